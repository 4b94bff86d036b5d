//! How the program ends: exit codes, errors on one line, panics on one line.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Error;
use quorumark_harness::provenance::DEBUG_BUILD;
use quorumark_harness::scenario::UnknownScenario;
use quorumark_harness::sweep::SweepError;
use quorumark_harness::tune::{JournalError, TuneError};
use quorumark_harness::{ParameterError, RunError};
use quorumark_report::compare::noise::NoiseError;
use quorumark_report::table::plain;
use quorumark_report::{RecordError, Verdict};

use crate::refused::Refused;

/// Exit codes. Scripts rely on them; `quorumark --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; the verdict is as expected.
    Done = 0,
    /// The machine or the system under test failed, or a search found nothing.
    Failed = 1,
    /// Bad usage, configuration or input file.
    Refused = 2,
    /// A regression, where that was asked to be an error.
    Regressed = 3,
    /// The machine was busy, the load was not offered, or nothing was checked.
    Inconclusive = 4,
    /// The objective of `slo` or `tune` cannot be met.
    Unmet = 5,
    /// A known-answer check failed.
    KnownAnswer = 6,
    /// Safety was violated.
    Unsafe = 10,
    /// Liveness was violated.
    Stuck = 11,
    /// A panic, anywhere.
    Panicked = 12,
    /// A well-formed proof does not hold, or bytes are no value.
    Rejected = 13,
    /// A pass where a violation was expected, or too few operations.
    Unexpected = 14,
    /// Ctrl-C; what was measured so far is kept.
    Interrupted = 130,
}

impl Exit {
    /// What a verdict means for a script.
    pub(crate) fn of(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Ok => Exit::Done,
            Verdict::Inconclusive | Verdict::Void => Exit::Inconclusive,
            Verdict::Fail => Exit::Unsafe,
        }
    }
}

/// Whether any thread has panicked.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Replaces Rust's panic message, which has several lines and asks for a backtrace.
pub(crate) fn say_panics_in_one_line() {
    panic::set_hook(Box::new(|info| {
        // One cause is told: the panics of other threads are nearly always its consequence.
        if !PANICKED.swap(true, Ordering::Relaxed) {
            say(&panic_line(info));
        }
    }));
}

fn panic_line(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
    let (text, place) = (text.unwrap_or("no message"), place.unwrap_or_default());
    format!("panic: {text}{place}; this is a bug, please report it with the command that you ran")
}

/// Runs `work`; a panic on any thread becomes [`Exit::Panicked`], whatever `work` made of it: the
/// hook has said its line already.
pub(crate) fn guarded(work: impl FnOnce() -> anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    if PANICKED.load(Ordering::Relaxed) {
        Ok(Exit::Panicked)
    } else {
        outcome.unwrap_or(Ok(Exit::Panicked))
    }
}

/// Says on one line what went wrong, if anything, and gives the process its exit code.
pub(crate) fn finish(outcome: anyhow::Result<Exit>) -> ExitCode {
    let exit = outcome.unwrap_or_else(|error| {
        let exit = exit_of(&error);
        if exit != Exit::Done {
            say(&format!("error: {error:#}"));
        }
        exit
    });
    ExitCode::from(exit as u8)
}

/// A line on standard error. If that is closed, nobody is left to be told.
pub(crate) fn say(line: &str) {
    let line = plain(line.trim_end()) + "\n";
    // In one piece: whoever ends the program between two would leave half a line.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Tells loudly, once, that figures of this build mean nothing.
pub(crate) fn say_debug_build() {
    static SAID: Once = Once::new();
    if DEBUG_BUILD {
        SAID.call_once(|| say("DEBUG BUILD: its figures are no measurement; build with --release"));
    }
}

fn exit_of(error: &Error) -> Exit {
    error.chain().find_map(exit_of_cause).unwrap_or(Exit::Failed)
}

fn exit_of_cause(cause: &(dyn core::error::Error + 'static)) -> Option<Exit> {
    let refused = cause.is::<Refused>() || cause.is::<NoiseError>() || cause.is::<SweepError>();
    let refused = refused || cause.is::<TuneError>() || cause.is::<JournalError>();
    if refused || cause.is::<ParameterError>() || cause.is::<UnknownScenario>() {
        return Some(Exit::Refused);
    }
    if let Some(error) = cause.downcast_ref::<RunError>() {
        return Some(match error {
            RunError::Parameter(_) => Exit::Refused,
            RunError::Failed { .. } => Exit::Failed,
            RunError::Interrupted => Exit::Interrupted,
        });
    }
    if let Some(error) = cause.downcast_ref::<RecordError>() {
        let written = matches!(error, RecordError::Write { .. });
        return Some(if written { Exit::Failed } else { Exit::Refused });
    }
    let io = cause.downcast_ref::<io::Error>()?;
    // The reader of a pipe, such as `head`, has seen enough: that is no error.
    (io.kind() == io::ErrorKind::BrokenPipe).then_some(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        let refused = Refused::new("--threads", "is no number", "write 4");
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        let failed = RunError::Failed { what: "no threads".into(), remedy: "wait".into() };
        let cases = [
            (Error::from(refused), Exit::Refused),
            (Error::from(pipe), Exit::Done),
            (Error::from(failed), Exit::Failed),
            (Error::from(RunError::Interrupted), Exit::Interrupted),
            (anyhow::anyhow!("the disk is full"), Exit::Failed),
        ];
        for (error, exit) in cases {
            assert_eq!(exit_of(&error), exit, "{error}");
            assert_eq!(exit_of(&error.context("pbft/pipeline")), exit);
        }
    }

    #[test]
    fn exit_codes_agree_with_those_that_the_report_documents() {
        for verdict in [Verdict::Ok, Verdict::Inconclusive, Verdict::Void, Verdict::Fail] {
            assert_eq!(Exit::of(verdict) as u8, verdict.exit_code());
        }
    }

    #[test]
    fn a_panic_becomes_an_exit_code() {
        let outcome = guarded(|| panic!("a bug"));
        assert_eq!(outcome.unwrap(), Exit::Panicked);
    }
}
