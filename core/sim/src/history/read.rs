//! Reading a file of operations, strictly and within bounds.

use std::io::{BufRead, Read};

use super::error::{LineProblem, ReadError};
use super::{History, LINE_BYTES_MAX};

impl History {
    /// Reads the file that the [module's documentation](super) describes.
    ///
    /// Memory is bounded by the module's bounds, whatever the source holds: it is read line by
    /// line.
    ///
    /// # Errors
    /// [`ReadError`]: the source fails, or a line is wrong; the first wrong one is named.
    pub fn read(mut source: impl BufRead) -> Result<History, ReadError> {
        let mut history = History::new();
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            // The longest line and its end, or one byte that shows that it is longer.
            let longest = LINE_BYTES_MAX as u64 + 1;
            if source.by_ref().take(longest).read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            let content = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let recorded = match content.len() {
                0..=LINE_BYTES_MAX => history.record_line(content),
                _ => Err(LineProblem::TooLong),
            };
            recorded.map_err(|problem| ReadError::Line { line, problem })?;
        }
        Ok(history)
    }
}
