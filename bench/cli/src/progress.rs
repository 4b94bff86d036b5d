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
use crate::terminal::{self, Terminal};

/// Goes to the first column and clears the line.
const CLEAR: &str = "\r\u{1b}[2K";

/// The line is drawn again after this long at the earliest: drawing costs the CPU that is measured.
const REDRAW_AFTER: Duration = Duration::from_millis(200);

/// How often a load is looked at: often enough to be seen to move.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The shortest queue that is told of: a shorter one is written 0.0.
const QUEUE_SHOWN_MIN: f64 = 0.05;

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
    /// The trial that is prepared or measured, if one is: what a load belongs to.
    trial: Option<String>,
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

    /// Shows `text` behind the title, as much of it as the terminal has columns: what wraps stays
    /// on the screen for ever.
    pub(crate) fn show(&self, text: &str) {
        if self.drawn {
            // It may have been made wider or narrower since.
            let line = fitting(&format!("{}: {text}", self.title), terminal::columns(io::stderr()));
            let mut err = io::stderr().lock();
            // A progress line that cannot be drawn is not worth ending a run for.
            let _ = write!(err, "{CLEAR}{line}").and_then(|()| err.flush());
        }
    }

    /// Shows `text`, and behind it, from [`ProgressLine::loads`], what the load comes to meanwhile.
    pub(crate) fn doing(&self, text: &str) {
        self.show(text);
        text.clone_into(&mut self.shown().phase);
    }

    /// Of short measurements one after the other: how their load gets on, and not their phases.
    pub(crate) fn loads(&self) -> Loads<'_> {
        Loads(self)
    }

    /// A panic elsewhere cannot leave the text half written.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for ProgressLine {
    fn phase(&self, phase: Phase) {
        let text = words(phase);
        let mut shown = self.shown();
        let trial = match phase {
            // Its requests are signed before it is measured.
            Phase::Sign { .. } => shown.trial.clone(),
            Phase::Trial { .. } => Some(text.clone()),
            Phase::Prepare(_) | Phase::WarmUp | Phase::Check(_) => None,
        };
        match (&trial, phase) {
            (Some(trial), Phase::Sign { .. }) => self.show(&format!("{trial}, {text}")),
            _ => self.show(&text),
        }
        shown.trial = trial;
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
            let of = shown.trial.as_ref().unwrap_or(&shown.phase);
            self.show(&format!("{of}, {}", load(live)));
        }
    }
}

/// See [`ProgressLine::loads`].
#[derive(Debug)]
pub(crate) struct Loads<'a>(&'a ProgressLine);

impl Progress for Loads<'_> {
    fn phase(&self, _: Phase) {}

    fn advance(&self, _: f64) {}

    fn looks_every(&self) -> Option<Duration> {
        self.0.looks_every()
    }

    fn live(&self, live: &Live) {
        self.0.live(live);
    }
}

/// The parts of `line` that fit before the last of `columns`, where some terminals wrap already.
fn fitting(line: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1);
    let mut shown = String::new();
    for part in line.split_inclusive(", ") {
        if shown.chars().count() + part.trim_end_matches(", ").chars().count() > room {
            break;
        }
        shown.push_str(part);
    }
    match shown.is_empty() {
        true => line.chars().take(room).collect(),
        false => shown.trim_end_matches(", ").to_owned(),
    }
}

/// `40 %, 27.1k tx/s, p99 20.8 ms, 3.1 batches before verify`.
fn load(live: &Live) -> String {
    let percent = (100.0 * live.done.clamp(0.0, 1.0)).floor();
    let throughput = units::metric("throughput_tx_per_s", Some(live.throughput_tx_per_s));
    let p99 = live.p99_ns.map(|ns| format!(", p99 {}", units::duration_ns(ns)));
    let queue = live.queue.as_ref().filter(|(_, depth)| *depth >= QUEUE_SHOWN_MIN);
    let queue = queue.map(|(stage, depth)| format!(", {depth:.1} batches before {stage}"));
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
    fn a_line_is_cut_between_its_parts_before_the_last_column() {
        let line = "pbft/pipeline: trial 1 of 2, 40 %, 27.1k tx/s";
        assert_eq!(fitting(line, line.len() + 1), line);
        assert_eq!(fitting(line, line.len()), "pbft/pipeline: trial 1 of 2, 40 %");
        assert_eq!(fitting(line, 30), "pbft/pipeline: trial 1 of 2");
        assert_eq!(fitting(line, 9), "pbft/pip", "a part that does not fit alone");
        assert_eq!(fitting(line, 0), "");
    }

    #[test]
    fn a_load_is_told_in_one_line_with_what_is_known() {
        let live = Live {
            done: 0.409,
            throughput_tx_per_s: 27_140.0,
            p99_ns: Some(2.08e7),
            queue: Some(("verify".to_owned(), 3.06)),
        };
        assert_eq!(load(&live), "40 %, 27.1k tx/s, p99 20.8 ms, 3.1 batches before verify");
        let (stage, short) = ("verify".to_owned(), Some(("verify".to_owned(), 0.04)));
        assert_eq!(load(&Live { p99_ns: None, queue: short, ..live.clone() }), "40 %, 27.1k tx/s");
        let long = Live { queue: Some((stage, 0.05)), ..live };
        assert!(load(&long).ends_with(", 0.1 batches before verify"), "{}", load(&long));
    }

    #[test]
    fn a_load_belongs_to_its_trial_and_not_to_what_was_signed_for_it() {
        let shown = Mutex::default();
        let line = ProgressLine { drawn: false, told: false, title: String::new(), shown };
        let trial = || line.shown().trial.clone();
        line.phase(Phase::Trial { index: 0, of: 2 });
        line.phase(Phase::Sign { requests: 9 });
        assert_eq!(trial().as_deref(), Some("trial 1 of 2"));
        line.phase(Phase::Check("measuring the floor again"));
        assert_eq!(trial(), None);
    }
}
