//! How a run gets on, on standard error: one line that is drawn again and gone at the end; where
//! none can be drawn, a line for each kind of work when it first begins.

use core::mem::{Discriminant, discriminant};
use core::time::Duration;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quorumark_harness::progress::Live;
use quorumark_harness::{Phase, Progress};
use quorumark_report::units;

use crate::exit::say;
use crate::terminal::Terminal;

/// Goes to the first column and clears the line.
const CLEAR: &str = "\r\u{1b}[2K";

/// The line is drawn again after this long at the earliest: drawing costs the CPU that is measured.
const REDRAW_AFTER: Duration = Duration::from_millis(200);

/// How often a load is looked at: often enough to be seen to move.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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

    fn looks_every(&self) -> Option<Duration> {
        self.drawn.then_some(LOOK_EVERY)
    }

    fn live(&self, live: &Live) {
        let shown = self.shown();
        if self.drawn {
            self.show(&format!("{}, {}", shown.phase, load(live)));
        }
    }
}

/// `40 %, 27.1k tx/s, p99 20.8 ms, 3.1 batches before verify`.
fn load(live: &Live) -> String {
    let percent = (100.0 * live.done.clamp(0.0, 1.0)).floor();
    let throughput = units::metric("throughput_tx_per_s", Some(live.throughput_tx_per_s));
    let p99 = live.p99_ns.map(|ns| format!(", p99 {}", units::duration_ns(ns)));
    let queue =
        live.queue.as_ref().map(|(stage, depth)| format!(", {depth:.1} batches before {stage}"));
    let [p99, queue] = [p99, queue].map(Option::unwrap_or_default);
    format!("{percent:.0} %, {throughput}{p99}{queue}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_told_in_one_line_with_what_is_known() {
        let live = Live {
            done: 0.409,
            throughput_tx_per_s: 27_140.0,
            p99_ns: Some(2.08e7),
            queue: Some(("verify".to_owned(), 3.06)),
        };
        assert_eq!(load(&live), "40 %, 27.1k tx/s, p99 20.8 ms, 3.1 batches before verify");
        assert_eq!(load(&Live { p99_ns: None, queue: None, ..live }), "40 %, 27.1k tx/s");
    }
}
