//! View changes and states that are not what they claim to be.

use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::pbft::{
    Message, NewView, NewViewBody, Plan, StateSlice, ViewChange, ViewChangeBody,
};
use quorumark_consensus::request::Batch;

use super::{Liar, Scene, seal};
use crate::scenario::Lie;

impl Liar {
    /// Changes a view-change, a new-view or a piece of a state, as far as the lie concerns it.
    pub(super) fn falsify(&mut self, lie: Lie, message: &mut Message, scene: &mut Scene<'_>) {
        match message {
            Message::ViewChange(view_change) => {
                let mut body = view_change.body().clone();
                if !self.falsify_view_change(lie, &mut body) {
                    return;
                }
                *view_change = Arc::new(ViewChange::blank(body));
            }
            Message::NewView(new_view) => {
                let Some(body) = self.falsify_new_view(lie, new_view.body().clone(), scene) else {
                    return;
                };
                *new_view = Arc::new(NewView::blank(body));
            }
            Message::StateSlice(slice) if lie == Lie::PoisonState && !slice.bytes.is_empty() => {
                let mut bytes = slice.bytes.to_vec();
                let bit = self.random.below(8 * bytes.len() as u64) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
                let (seq, replica) = (slice.signed.body.seq, slice.signed.body.replica);
                let place = (slice.tree, slice.nth, slice.offset);
                let poisoned =
                    StateSlice::blank(seq, place, slice.total, Bytes::from(bytes), replica);
                *slice = Arc::new(poisoned);
            }
            _ => return,
        }
        seal(message, self.replica, scene.sealer);
    }

    fn falsify_view_change(&mut self, lie: Lie, body: &mut ViewChangeBody) -> bool {
        match lie {
            Lie::OmitPrepared => body.prepared.clear(),
            Lie::StaleViewChange => {
                let first = self.memory.iter().find_map(|message| match message {
                    Message::ViewChange(first) => Some(first.body().clone()),
                    _ => None,
                });
                let Some(first) = first else { return false };
                (body.checkpoint, body.prepared) = (first.checkpoint, first.prepared);
            }
            Lie::ForgeCertificate => self.forge(body),
            _ => return false,
        }
        true
    }

    /// One certificate gets a repeated signer, a signer too few, or a digest that nobody signed.
    fn forge(&mut self, body: &mut ViewChangeBody) {
        let kind = self.random.below(3);
        let digest = self.digest();
        let votes = &mut body.checkpoint.votes;
        match (body.prepared.first_mut(), kind) {
            (Some(proof), 0) => {
                if let (Some(first), Some(last)) =
                    (proof.prepares.first().copied(), proof.prepares.last_mut())
                {
                    *last = first;
                }
            }
            (Some(proof), 1) => drop(proof.prepares.pop()),
            (Some(proof), _) => proof.pre_prepare.body.digest = digest,
            (None, 0) => drop(votes.pop()),
            (None, _) => body.checkpoint.state = digest,
        }
    }

    fn falsify_new_view(
        &mut self,
        lie: Lie,
        mut body: NewViewBody,
        scene: &mut Scene<'_>,
    ) -> Option<NewViewBody> {
        match lie {
            // Its own view-change without certificates, and what follows from it.
            Lie::OmitPrepared => {
                let own = self.replica;
                for view_change in &mut body.view_changes {
                    if view_change.body().replica.0 == own {
                        let mut stripped = view_change.body().clone();
                        stripped.prepared.clear();
                        *view_change = ViewChange::blank(stripped);
                        view_change.seal(scene.sealer);
                    }
                }
                let plan = Plan::of(&body.view_changes);
                let (view, primary) = (body.view, body.replica);
                body.pre_prepares = plan
                    .pre_prepares(view, primary)
                    .map(quorumark_primitives::signed::Signed::blank)
                    .collect();
            }
            // V as it is, and O as if nothing had been prepared.
            Lie::NullPrepared => {
                let null = Batch::null().digest();
                body.pre_prepares.iter_mut().for_each(|offer| offer.body.digest = null);
            }
            // V with one signer twice, or one too few, or O with another digest.
            Lie::ForgeCertificate => match self.random.below(3) {
                0 => {
                    let first = body.view_changes.first().cloned()?;
                    *body.view_changes.last_mut()? = first;
                }
                1 => drop(body.view_changes.pop()),
                _ => body.pre_prepares.first_mut()?.body.digest = self.digest(),
            },
            _ => return None,
        }
        Some(body)
    }
}
