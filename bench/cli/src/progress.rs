//! One line on standard error that says how a run gets on, and is gone when it ends.

use core::time::Duration;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quorumark_harness::{Phase, Progress};

use crate::terminal::Terminal;

/// Goes to the first column and clears the line.
const CLEAR: &str = "\r\u{1b}[2K";

/// The line is drawn again after this long at the earliest: drawing costs the CPU that is measured.
const REDRAW_AFTER: Duration = Duration::from_millis(200);

/// The line; drop clears it.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    drawn: bool,
    title: String,
    shown: Mutex<Shown>,
}

/// What the line says.
#[derive(Debug, Default)]
struct Shown {
    phase: String,
    since: Option<Instant>,
}

impl ProgressLine {
    /// A line that begins with `title`; drawn only on a terminal that wants it.
    pub(crate) fn new(terminal: &Terminal, title: impl Into<String>) -> ProgressLine {
        let (drawn, title) = (terminal.progress(), title.into());
        ProgressLine { drawn, title, shown: Mutex::default() }
    }

    /// Shows `text` behind the title.
    pub(crate) fn show(&self, text: &str) {
        if self.drawn {
            let mut err = io::stderr().lock();
            // A progress line that cannot be drawn is not worth ending a run for.
            let _ = write!(err, "{CLEAR}{}: {text}", self.title).and_then(|()| err.flush());
        }
    }

    /// A panic elsewhere cannot leave the text half written.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
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
        *self.shown() = Shown { phase: text, since: Some(Instant::now()) };
    }

    fn advance(&self, done: f64) {
        let mut shown = self.shown();
        if self.drawn && shown.since.is_none_or(|since| since.elapsed() >= REDRAW_AFTER) {
            shown.since = Some(Instant::now());
            let percent = (100.0 * done.clamp(0.0, 1.0)).floor();
            self.show(&format!("{}, {percent:.0} %", shown.phase));
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}
