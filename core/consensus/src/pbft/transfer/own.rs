//! What a replica that fetches a state has of it already.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use quorumark_primitives::Digest;

use super::super::message::Message;
use super::super::replica::Pbft;
use super::super::state_message::Tree;
use super::{Step, Target};
use crate::engine::{Outbox, Output, StateWork};
use crate::parts::Cut;

impl Pbft {
    /// What this replica has already need not be fetched. Its own digests are those of a state that
    /// does not change: all that was handed to execution is back, and no more is handed out.
    pub(super) fn ask_for_own_digests(&mut self, out: &mut Outbox<Message>) {
        let is_idle = self.cursor.is_idle();
        if let Some(Target { step: Step::Compare { asked, .. }, .. }) = &mut self.transfer.target
            && !*asked
            && is_idle
        {
            *asked = true;
            out.push(Output::State(StateWork::Digests { at: None }));
        }
    }

    /// The digests of this replica's own application state: what differs is to be fetched.
    pub(in super::super) fn on_own_digests(&mut self, found: Option<(u64, Vec<Digest>)>) {
        let clients = self.clients.part_digests(None);
        let Some(target) = &mut self.transfer.target else { return };
        let Step::Compare { manifest, asked: true } = &target.step else { return };
        let manifest = manifest.clone();
        let mut missing = BTreeSet::new();
        for (tree, own) in [(Tree::Application, found), (Tree::Clients, clients)] {
            let listed = manifest.tree(tree);
            let own = own.unwrap_or_default();
            // Equal digests are equal leaves; they stand at the same place if the cut is the same.
            let alike = Cut::new(own.0).is_some_and(|cut| cut.level() == listed.cut.level());
            let own = if alike { own.1 } else { Vec::new() };
            let differs = |nth: &u32| own.get(*nth as usize) != listed.digests.get(*nth as usize);
            missing.extend((0..listed.cut.parts()).filter(differs).map(|nth| (tree, nth)));
        }
        // What was verified for an earlier target counts where the digest is still the same.
        self.transfer.verified.retain(|part, (digest, _)| {
            missing.contains(part) && manifest.digest(*part) == Some(*digest)
        });
        missing.retain(|part| !self.transfer.verified.contains_key(part));
        target.step = Step::Parts { manifest, missing };
    }
}
