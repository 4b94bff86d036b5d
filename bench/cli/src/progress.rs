//! One line on standard error that says how a run gets on, and is gone when it ends.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use quorumark_harness::{Phase, Progress};

use crate::terminal::Terminal;

/// Goes to the first column and clears the line.
const CLEAR: &str = "\r\u{1b}[2K";

/// The line; drop clears it.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    drawn: bool,
    title: String,
    phase: Mutex<String>,
}

impl ProgressLine {
    /// A line that begins with `title`; drawn only on a terminal that wants it.
    pub(crate) fn new(terminal: &Terminal, title: impl Into<String>) -> ProgressLine {
        let (drawn, title) = (terminal.progress(), title.into());
        ProgressLine { drawn, title, phase: Mutex::default() }
    }

    /// Shows `text` behind the title.
    pub(crate) fn show(&self, text: &str) {
        if self.drawn {
            let mut err = io::stderr().lock();
            // A progress line that cannot be drawn is not worth ending a run for.
            let _ = write!(err, "{CLEAR}{}: {text}", self.title).and_then(|()| err.flush());
        }
    }

    /// The phase alone behind the lock: a panic elsewhere cannot leave it half written.
    fn phase_text(&self) -> std::sync::MutexGuard<'_, String> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for ProgressLine {
    fn phase(&self, phase: Phase) {
        let text = match phase {
            Phase::Prepare => "preparing".to_owned(),
            Phase::WarmUp => "warming up".to_owned(),
            Phase::Trial { index, of } => format!("trial {} of {of}", index + 1),
            Phase::Check => "checking answers".to_owned(),
        };
        self.show(&text);
        *self.phase_text() = text;
    }

    fn advance(&self, done: f64) {
        let percent = (100.0 * done.clamp(0.0, 1.0)).floor();
        let text = format!("{}, {percent:.0} %", self.phase_text());
        self.show(&text);
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}
