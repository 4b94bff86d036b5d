//! `check`: whether a history of key-value clients is linearizable.

use std::path::{Path, PathBuf};

use clap::Args;
use quorumark_report::{Verdict as Word, units};
use quorumark_sim::history::{Call, History, ReadError};
use quorumark_sim::linearizability::{Budget, Doubt, Report, Verdict, Violation, check as search};
use serde_json::{Value, json};

use crate::args;
use crate::exit::Exit;
use crate::input;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark check --history history.jsonl
  quorumark check --history history.jsonl --max-steps 1000000 --json

A history has one JSON object a line, one line an operation, in any order:
  {\"client\":0,\"id\":1,\"invoke_ns\":10,\"return_ns\":20,
   \"operation\":{\"put\":{\"key\":\"a\",\"value\":\"1\"}},\"result\":\"done\"}

  operation                                             result
  {\"get\":{\"key\":\"a\"}}                                   \"absent\" or {\"value\":\"1\"}
  {\"put\":{\"key\":\"a\",\"value\":\"1\"}}                       \"done\"
  {\"cas\":{\"key\":\"a\",\"expected\":\"1\",\"value\":\"2\"}}        \"done\" or \"mismatch\"

Every key is needed, and no other is known. A client has each id once; return_ns and result are
null for an operation that was never answered, which may have taken effect or not. Times are of one
clock. In a cas, expected is null for a key that holds nothing; every key holds nothing at first.

Exit code 0: linearizable; 10: not, with the operations that show it; 4: nothing was checked, or the
steps were spent before it was certain; 2: no history.")]
pub(crate) struct CheckArgs {
    /// The history; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// How often the search may look at an operation before it gives up.
    #[arg(long, value_name = "N", default_value_t = Budget::default().steps_max)]
    #[arg(value_parser = args::whole::<u64>, allow_hyphen_values = true)]
    max_steps: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Says whether one store could have answered so.
pub(crate) fn check(args: &CheckArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let history = read(&args.history)?;
    let report = search(&history, Budget { steps_max: args.max_steps, ..Budget::default() });
    let word = word(&report.verdict);
    if args.json {
        terminal.print_json(&document(&history, &report, word))?;
    } else {
        let lines = lines(&history, &report);
        terminal.print(&terminal.pairs(&lines))?;
    }
    Ok(Exit::of(word))
}

fn read(path: &Path) -> Result<History, Refused> {
    let what = "one operation a line, see `quorumark check --help`";
    let source = input::open_lines(path, what)?;
    History::read(source).map_err(|error| match error {
        ReadError::Source(error) => input::cannot_be_read(path, what, &error),
        ReadError::Line { line, problem } => {
            Refused::new(format!("{}:{line}", input::place(path)), &problem, problem.remedy())
        }
    })
}

/// The word that every JSON document of the program uses.
fn word(verdict: &Verdict) -> Word {
    match verdict {
        Verdict::Linearizable => Word::Ok,
        Verdict::Violated(_) => Word::Fail,
        Verdict::Unknown(_) => Word::Inconclusive,
    }
}

fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::NothingChecked => "no operation has an answer, so nothing was checked".to_owned(),
        Doubt::BudgetSpent { keys_undecided } => {
            let plural = if *keys_undecided == 1 { "" } else { "s" };
            format!(
                "the steps were spent with {keys_undecided} key{plural} undecided; raise \
                 --max-steps, or check a shorter run"
            )
        }
    }
}

fn lines(history: &History, report: &Report) -> Vec<(&'static str, String)> {
    let verdict = match &report.verdict {
        Verdict::Linearizable => "linearizable".to_owned(),
        Verdict::Violated(violation) => {
            format!("not linearizable: {}", violation.sentence(history))
        }
        Verdict::Unknown(cause) => format!("unknown: {}", doubt(cause)),
    };
    let mut lines = vec![("verdict", verdict)];
    if let Verdict::Violated(violation) = &report.verdict {
        let names = std::iter::once("evidence").chain(std::iter::repeat(""));
        lines.extend(names.zip(violation.lines(history)));
    }
    let count = |count: usize| units::thousands(count as f64);
    let operations =
        format!("{}, {} unanswered", count(report.operations), count(report.unanswered));
    lines.extend([
        ("operations", operations),
        ("keys", count(report.keys)),
        ("steps", units::thousands(report.steps as f64)),
    ]);
    lines
}

fn document(history: &History, report: &Report, word: Word) -> Value {
    let (violation, doubt) = match &report.verdict {
        Verdict::Linearizable => (None, None),
        Verdict::Violated(violation) => (Some(told(history, violation)), None),
        Verdict::Unknown(cause) => (None, Some(doubt(cause))),
    };
    json!({
        "verdict": word.as_str(),
        "operations": report.operations,
        "unanswered": report.unanswered,
        "keys": report.keys,
        "steps": report.steps,
        "violation": violation,
        "doubt": doubt,
    })
}

/// A violation for programs: the operations as the history's file has them.
fn told(history: &History, violation: &Violation) -> Value {
    let line = |call: &Call| -> Value {
        serde_json::from_str(&history.line(call)).expect("a line of a history is JSON")
    };
    json!({
        "key": history.key_name(violation.key),
        "sentence": violation.sentence(history),
        "operation": line(&violation.call),
        "evidence": violation.window.iter().map(line).collect::<Vec<_>>(),
    })
}
