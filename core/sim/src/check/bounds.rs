//! Bounds: everything stays under its declared cap.

use super::Checker;
use super::finding::{Findings, Violation};
use super::kinds::Kinds;
use super::run::{Run, Seen};
use crate::trace::{Fact, FactKind};

/// No gauge of an honest replica shows more than its cap.
#[derive(Debug)]
pub(super) struct Bounds;

impl Checker for Bounds {
    fn hears(&self) -> Kinds {
        Kinds::of(&[FactKind::Gauge])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        let Fact::Gauge(it) = &seen.event.fact else { return };
        if !run.is_honest(it.replica) {
            return;
        }
        found.decide(it.value <= it.cap, || {
            let (replica, value, bound, cap) = (it.replica, it.value, &it.bound, it.cap);
            let what = format!("{replica} holds {value} of {bound}, its cap is {cap}");
            Violation::shown_by(vec![seen.exhibit()], vec![replica], what)
        });
    }
}
