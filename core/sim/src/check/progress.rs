//! Progress: requests are answered within the bound.

use std::collections::BTreeMap;

use quorumark_consensus::types::{ClientId, Instant, Timestamp};

use super::Checker;
use super::finding::{Exhibit, Findings, Violation};
use super::kinds::Kinds;
use super::run::{Run, Seen};
use crate::trace::{Fact, FactKind};

/// Requests that may wait for their answer and are watched; later ones are skipped while it is full.
const PENDING_MAX: usize = 1 << 16;

/// After GST each pending request of an honest client is answered within the bound, which begins at
/// GST or at its submission, whatever is later. What is answered before GST decides nothing, nor what
/// the run ends too early for.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pending: BTreeMap<(ClientId, Timestamp), (Instant, Exhibit)>,
}

impl Checker for Progress {
    fn hears(&self) -> Kinds {
        Kinds::of(&[FactKind::Submitted, FactKind::Answered])
    }

    fn observe(&mut self, run: &mut Run, seen: &Seen<'_>, found: &mut Findings) {
        match &seen.event.fact {
            Fact::Submitted(it) if run.header.is_honest_client(it.client) => {
                if self.pending.len() < PENDING_MAX {
                    let submitted = (seen.event.at, seen.exhibit());
                    self.pending.insert((it.client, it.timestamp), submitted);
                } else {
                    found.skip();
                }
            }
            Fact::Answered(it) => {
                let pending = self.pending.remove(&(it.client, it.timestamp));
                let Some((submitted, exhibit)) = pending else { return };
                if seen.event.at < run.header.gst {
                    return;
                }
                let deadline = run.deadline(submitted);
                found.decide(seen.event.at <= deadline, || {
                    let late = seen.event.at.since(deadline);
                    let what = format!(
                        "{}'s {} is answered {late:?} after its bound",
                        it.client, it.timestamp
                    );
                    Violation::shown_by(vec![exhibit, seen.exhibit()], Vec::new(), what)
                });
            }
            _ => {}
        }
    }

    fn finish(&mut self, run: &mut Run, found: &mut Findings) {
        for ((client, timestamp), (submitted, exhibit)) in core::mem::take(&mut self.pending) {
            let deadline = run.deadline(submitted);
            if deadline > run.now {
                found.skip();
                continue;
            }
            found.decide(false, || {
                let what = format!("{client}'s {timestamp} is not answered within its bound");
                Violation { at: deadline, ..Violation::shown_by(vec![exhibit], Vec::new(), what) }
            });
        }
    }
}
