//! `schema`: what a record looks like, for programs that read them.

use quorumark_report::record::RECORD_SCHEMA;

use crate::exit::Exit;
use crate::terminal::Terminal;

/// Prints the JSON schema of a record.
pub(crate) fn schema(terminal: &Terminal) -> anyhow::Result<Exit> {
    terminal.print(RECORD_SCHEMA)?;
    Ok(Exit::Done)
}
