//! `verify`: known answers of every kernel, before anything is timed.

use clap::Args;
use quorumark_harness::verify::known_answers;
use quorumark_primitives::check::Check;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::terminal::Terminal;

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  quorumark verify\n  quorumark verify --json")]
pub(crate) struct VerifyArgs {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Checks, and prints a line for each check.
pub(crate) fn verify(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let checks = known_answers();
    let failed = checks.iter().filter(|check| !check.passed).count();
    if args.json {
        let check = |check: &Check| json!({ "name": check.name, "passed": check.passed });
        let checks: Vec<Value> = checks.iter().map(check).collect();
        terminal.print_json(&json!({ "passed": failed == 0, "checks": checks }))?;
    } else {
        terminal.print(&text(&checks, failed))?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::KnownAnswer })
}

fn text(checks: &[Check], failed: usize) -> String {
    let line = |check: &Check| {
        let verdict = if check.passed { "ok" } else { "FAILED" };
        format!("{verdict:<6}  {}\n", check.name)
    };
    let mut text: String = checks.iter().map(line).collect();
    text.push_str(&match failed {
        0 => format!("{} checks, all ok\n", checks.len()),
        _ => format!("{failed} of {} checks FAILED: trust no figure of this build\n", checks.len()),
    });
    text
}
