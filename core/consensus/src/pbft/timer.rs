//! How long a replica trusts the primary (PBFT 4.4, TOCS'02 4.5.2).
//!
//! A backup leaves the view when the oldest request that it knows of and that is not executed has
//! waited for the timeout, since it came or since the view was entered. Nothing restarts that: no
//! pre-prepare, and no other request's execution; so a primary cannot keep one client waiting while
//! it serves others.
//!
//! After its VIEW-CHANGE a replica waits until a quorum has come as far, and only then starts the
//! timer, so that a replica ahead of the others does not run away from them. It has the VIEW-CHANGE
//! of the highest view of each replica alone, so those for later views count too: who has gone
//! further has come as far. The timeout doubles with each view in a row in which nothing was
//! executed, and an execution takes it back to the base.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::types::{Instant, Seq};

/// The most often that the timeout doubles.
const DOUBLINGS_MAX: u32 = 16;

/// When this replica leaves its view.
#[derive(Debug)]
pub(super) struct Timer {
    base: Duration,
    /// As it stands: it follows from the base and the failures, and is asked for all the time.
    timeout: Duration,
    /// Views left in a row in which nothing was executed.
    failures: u32,
    /// When the view was entered.
    entered: Instant,
    /// While the view is changing: since when a quorum has come as far.
    quorum_since: Option<Instant>,
    /// Accepted proposals with requests of which this replica knows the clients, oldest first; at
    /// most a window of them, because each is popped once it and all before it are executed.
    accepted: VecDeque<(Instant, Seq)>,
}

impl Timer {
    pub(super) fn new(base: Duration) -> Timer {
        Timer {
            base,
            timeout: base,
            failures: 0,
            entered: Instant::START,
            quorum_since: None,
            accepted: VecDeque::new(),
        }
    }

    /// The timeout as it stands.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn fail(&mut self, failures: u32) {
        self.failures = failures;
        self.timeout = self.base * (1 << failures.saturating_sub(1).min(DOUBLINGS_MAX));
    }

    /// The view is left. The first wait for a new view takes the base, the next twice that.
    pub(super) fn left_view(&mut self) {
        self.fail(self.failures.saturating_add(1));
        self.quorum_since = None;
        self.accepted.clear();
    }

    /// A quorum has left for this view or a later one.
    pub(super) fn quorum_left(&mut self, now: Instant) {
        self.quorum_since.get_or_insert(now);
    }

    /// The view is entered.
    pub(super) fn entered_view(&mut self, now: Instant) {
        self.entered = now;
        self.quorum_since = None;
    }

    /// When the view was entered.
    pub(super) fn entered(&self) -> Instant {
        self.entered
    }

    /// A proposal was accepted: its requests are known from now on.
    pub(super) fn accepted(&mut self, now: Instant, seq: Seq) {
        self.accepted.push_back((now, seq));
    }

    /// Everything up to `seq` was handed to execution; `in_view` says that this view committed it.
    pub(super) fn executed(&mut self, seq: Seq, in_view: bool) {
        while self.accepted.front().is_some_and(|(_, first)| *first <= seq) {
            self.accepted.pop_front();
        }
        if in_view && self.failures > 0 {
            self.fail(0);
        }
    }

    /// While the view is changing: when to give it up.
    pub(super) fn while_changing(&self) -> Option<Instant> {
        self.quorum_since.map(|since| since + self.timeout())
    }

    /// In the view: when to leave it. `oldest` is when the oldest waiting request came; proposals up
    /// to `handed` are executed.
    pub(super) fn while_active(&self, oldest: Option<Instant>, handed: Seq) -> Option<Instant> {
        let proposed = self.accepted.iter().find(|(_, seq)| *seq > handed).map(|(at, _)| *at);
        let known = [oldest, proposed].into_iter().flatten().min()?;
        Some(known.max(self.entered) + self.timeout())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(1);

    #[test]
    fn pbft_4_4_the_timeout_doubles_with_each_view_and_an_execution_takes_it_back() {
        let mut timer = Timer::new(BASE);
        assert_eq!(timer.timeout(), BASE);
        for doublings in 0..4 {
            timer.left_view();
            assert_eq!(timer.timeout(), BASE * (1 << doublings));
        }
        timer.entered_view(Instant(5));
        assert_eq!(timer.timeout(), BASE * 8, "entering a view shows nothing yet");
        timer.executed(Seq(1), false);
        assert_eq!(timer.timeout(), BASE * 8, "an earlier view committed that one");
        timer.executed(Seq(2), true);
        assert_eq!(timer.timeout(), BASE);
    }

    #[test]
    fn the_timeout_never_overflows() {
        let mut timer = Timer::new(Duration::from_secs(600));
        (0..100).for_each(|_| timer.left_view());
        assert_eq!(timer.timeout(), Duration::from_secs(600) * 65_536);
    }

    #[test]
    fn pbft_4_4_the_timer_follows_the_oldest_request_and_starts_anew_in_a_new_view() {
        let mut timer = Timer::new(BASE);
        timer.accepted(Instant(30), Seq(1));
        timer.accepted(Instant(40), Seq(2));
        let at = |timer: &Timer, oldest: Option<u64>, handed| {
            timer.while_active(oldest.map(Instant), Seq(handed)).map(|at| at.since(Instant::START))
        };
        let nanos = Duration::from_nanos;
        assert_eq!(at(&timer, Some(20), 0), Some(BASE + nanos(20)));
        assert_eq!(at(&timer, Some(35), 0), Some(BASE + nanos(30)));
        assert_eq!(at(&timer, None, 1), Some(BASE + nanos(40)));
        assert_eq!(at(&timer, None, 2), None, "nothing waits");
        timer.entered_view(Instant(100));
        assert_eq!(at(&timer, Some(20), 2), Some(BASE + nanos(100)));
    }
}
