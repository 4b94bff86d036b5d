//! How a run gets on, on standard error: one line that is drawn again and gone at the end; where
//! none can be drawn, a line for each kind of work when it first begins.

use core::mem::{Discriminant, discriminant};
use core::time::Duration;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quorumark_harness::{Phase, Progress};
use quorumark_report::units;

use crate::exit::say;
use crate::terminal::Terminal;

/// Goes to the first column and clears the line.
const CLEAR: &str = "\r\u{1b}[2K";

/// The line is drawn again after this long at the earliest: drawing costs the CPU that is measured.
const REDRAW_AFTER: Duration = Duration::from_millis(200);

/// The line; drop clears it.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    drawn: bool,
    /// Whether phases are said in lines of their own.
    told: bool,
    title: String,
    shown: Mutex<Shown>,
}

/// What the line says.
#[derive(Debug, Default)]
struct Shown {
    phase: String,
    since: Option<Instant>,
    /// Kinds of phases that have had their line.
    told: Vec<Discriminant<Phase>>,
}

impl ProgressLine {
    /// A line that begins with `title`; drawn only on a terminal that wants it.
    pub(crate) fn new(terminal: &Terminal, title: impl Into<String>) -> ProgressLine {
        let (drawn, title) = (terminal.progress(), title.into());
        ProgressLine { drawn, told: false, title, shown: Mutex::default() }
    }

    /// The same; where it cannot be drawn, phases are told in lines of their own, unless silence
    /// was asked for.
    pub(crate) fn or_lines(terminal: &Terminal, title: impl Into<String>) -> ProgressLine {
        let mut line = ProgressLine::new(terminal, title);
        line.told = !line.drawn && terminal.talks();
        line
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
        let text = words(phase);
        self.show(&text);
        let mut shown = self.shown();
        let kind = discriminant(&phase);
        if self.told && !shown.told.contains(&kind) {
            shown.told.push(kind);
            let first = match phase {
                Phase::Trial { of, .. } if of > 1 => format!("{text}, the others follow"),
                _ => text.clone(),
            };
            say(&format!("{}: {first}", self.title));
        }
        (shown.phase, shown.since) = (text, Some(Instant::now()));
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

fn words(phase: Phase) -> String {
    match phase {
        Phase::Prepare(work) | Phase::Check(work) => work.to_owned(),
        Phase::Sign { requests } => {
            format!("signing {} requests beforehand", units::thousands(requests as f64))
        }
        Phase::WarmUp => "warming up".to_owned(),
        Phase::Trial { index, of } => format!("trial {} of {of}", index + 1),
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}
