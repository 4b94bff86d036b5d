//! What each behaviour makes of a message, for one recipient.

use std::sync::Arc;

use quorumark_consensus::pbft::{Message, PrePrepare};
use quorumark_consensus::request::{Batch, RequestView, SignedRequest};
use quorumark_consensus::types::Seq;
use quorumark_primitives::Digest;
use quorumark_primitives::signed::Signed;

use super::field::{self, Change};
use super::{Liar, Scene, seal};
use crate::random::CERTAIN;
use crate::scenario::{Behaviour, Lie, Operation, Scenario};

/// How often `byzz` changes a message, out of [`CERTAIN`].
const BYZZ_SHARE: u32 = CERTAIN / 8;

/// Nanoseconds by which a slow replica holds back what it sends.
pub(super) fn slowness(lie: &Behaviour, scenario: &Scenario) -> u64 {
    let timeout = scenario.config.view_timeout.as_nanos();
    (timeout * u128::from(lie.share) / u128::from(CERTAIN)) as u64
}

impl Liar {
    /// Changes what a recipient gets; `versions` is empty when it gets nothing.
    pub(super) fn apply(
        &mut self,
        behaviour: &Behaviour,
        to: u16,
        versions: &mut Vec<Message>,
        scene: &mut Scene<'_>,
        nth: usize,
    ) {
        match behaviour.lie {
            // Seen to before, or on the way in.
            Lie::Silent | Lie::SilentTo | Lie::Slow | Lie::Twin | Lie::Censor => {}
            Lie::WithholdVotes => versions.retain(|message| !is_vote(message)),
            Lie::Equivocate => {
                versions.iter_mut().for_each(|message| self.equivocate(to, message, scene));
            }
            Lie::WrongDigest => {
                versions.iter_mut().filter(|message| is_vote(message)).for_each(|message| {
                    self.revote(message, scene);
                });
            }
            Lie::UnknownDigest => versions.retain(|message| self.lets_have(to, message, scene)),
            Lie::FakeCheckpoint => {
                let checkpoints = versions.iter_mut();
                let checkpoints =
                    checkpoints.filter(|message| matches!(message, Message::Checkpoint(_)));
                checkpoints.for_each(|message| self.revote(message, scene));
            }
            Lie::FutureSpam => self.spam(behaviour.factor, versions, scene),
            Lie::Flood => {
                let once = versions.clone();
                (1..behaviour.factor).for_each(|_| versions.extend(once.iter().cloned()));
            }
            Lie::Byzz => self.byzz(versions, scene, nth),
            Lie::StaleViewChange
            | Lie::OmitPrepared
            | Lie::NullPrepared
            | Lie::PoisonState
            | Lie::ForgeCertificate => {
                versions.iter_mut().for_each(|message| self.falsify(behaviour.lie, message, scene));
            }
        }
    }

    /// Puts another digest in a vote's place.
    fn revote(&mut self, message: &mut Message, scene: &mut Scene<'_>) {
        let digest = self.digest();
        match message {
            Message::Prepare(signed) => signed.body.digest = digest,
            Message::Commit(signed) => signed.body.digest = digest,
            Message::Checkpoint(signed) => signed.body.state = digest,
            _ => return,
        }
        seal(message, self.replica, scene.sealer);
    }

    pub(super) fn digest(&mut self) -> Digest {
        let mut bytes = [0; 32];
        bytes.chunks_exact_mut(8).for_each(|chunk| {
            chunk.copy_from_slice(&self.random.bits().to_le_bytes());
        });
        Digest(bytes)
    }

    /// The second half gets a rival proposal, and votes for it.
    fn equivocate(&mut self, to: u16, message: &mut Message, scene: &mut Scene<'_>) {
        if !scene.plot.is_told_the_rival(to) {
            return;
        }
        match message {
            Message::PrePrepare(signed, batch) if signed.body.replica.0 == self.replica => {
                let Some(rival) = self.rival(batch, scene.scenario) else { return };
                let PrePrepare { view, seq, digest, replica } = signed.body;
                scene.plot.oppose(view, seq, digest, rival.digest());
                let body = PrePrepare { view, seq, digest: rival.digest(), replica };
                let signed = Box::new(Signed::blank(body));
                *message = Message::PrePrepare(signed, Arc::new(rival));
            }
            Message::Prepare(signed) => {
                let body = &mut signed.body;
                let rival = scene.plot.rival(body.view, body.seq, body.digest);
                body.digest = rival.unwrap_or_else(|| self.digest());
            }
            Message::Commit(signed) => {
                let body = &mut signed.body;
                let rival = scene.plot.rival(body.view, body.seq, body.digest);
                body.digest = rival.unwrap_or_else(|| self.digest());
            }
            _ => return,
        }
        seal(message, self.replica, scene.sealer);
    }

    /// Another batch of authentic requests: these in reverse, the one twice, or an earlier one.
    fn rival(&self, batch: &Batch, scenario: &Scenario) -> Option<Batch> {
        let reversed: Vec<SignedRequest> = batch.requests().rev().map(RequestView::apart).collect();
        let rival = match &reversed[..] {
            [one] if scenario.config.batch_size_max > 1 => vec![one.clone(), one.clone()],
            [_] => self
                .memory
                .iter()
                .find_map(|message| match message {
                    Message::PrePrepare(_, earlier) => {
                        earlier.requests().next().map(RequestView::apart)
                    }
                    _ => None,
                })
                .into_iter()
                .collect(),
            _ => reversed,
        };
        let rival = Batch::new(rival);
        (!rival.is_null() && rival.digest() != batch.digest()).then_some(rival)
    }

    /// Proposals go to as few as can prepare them; the bodies are kept from the others.
    fn lets_have(&self, to: u16, message: &Message, scene: &Scene<'_>) -> bool {
        let n = scene.scenario.replicas;
        let quorum = n - (n - 1) / 3;
        let rank = (0..n).filter(|id| *id != self.replica).position(|id| id == to);
        match message {
            Message::PrePrepare(..) => rank.is_some_and(|rank| rank + 1 < usize::from(quorum)),
            Message::Body(_) | Message::Committed(..) => false,
            _ => true,
        }
    }

    /// Votes and proposals far ahead, beside the honest ones.
    fn spam(&mut self, factor: u64, versions: &mut Vec<Message>, scene: &mut Scene<'_>) {
        let window = scene.scenario.config.window;
        for message in versions.clone() {
            for _ in 1..factor {
                let mut ahead = message.clone();
                let (seqs, views) = (self.random.below(4 * window) + 1, self.random.below(4));
                match &mut ahead {
                    Message::Prepare(signed) => {
                        signed.body.seq = Seq(signed.body.seq.0.saturating_add(seqs));
                        signed.body.view.0 += views;
                    }
                    Message::Commit(signed) => {
                        signed.body.seq = Seq(signed.body.seq.0.saturating_add(seqs));
                        signed.body.view.0 += views;
                    }
                    Message::PrePrepare(signed, _) => {
                        signed.body.seq = Seq(signed.body.seq.0.saturating_add(seqs));
                    }
                    Message::Checkpoint(signed) => {
                        let ahead = seqs * scene.scenario.config.checkpoint_interval;
                        signed.body.seq = Seq(signed.body.seq.0.saturating_add(ahead));
                    }
                    _ => continue,
                }
                seal(&mut ahead, self.replica, scene.sealer);
                versions.push(ahead);
            }
        }
    }

    /// `ByzzFuzz`: now and then a message is left out, replaced by an older one, or one of its fields
    /// is changed by a little (small scope) or by anything (any scope), until the budget is spent.
    fn byzz(&mut self, versions: &mut Vec<Message>, scene: &mut Scene<'_>, nth: usize) {
        let budget = match self.lies.get_mut(nth) {
            Some((behaviour, _)) if behaviour.budget > 0 => &mut behaviour.budget,
            _ => return,
        };
        if !self.random.happens(BYZZ_SHARE) {
            return;
        }
        *budget -= 1;
        let Some(message) = versions.first_mut() else { return };
        let fields = field::names(message);
        let field = self.random.pick(&fields).cloned().unwrap_or_default();
        let operation = match self.random.below(8) {
            0 => return versions.clear(),
            1 => Operation::ReplayOlder,
            2 => Operation::Increment,
            3 => Operation::Decrement,
            4 => Operation::Remove,
            5 => Operation::Duplicate,
            6 => Operation::Set,
            _ => Operation::FlipBit,
        };
        let value = self.random.bits() >> self.random.below(64);
        let older = self.memory.iter().find(|older| older.kind() == message.kind());
        let change = Change { operation, value, older };
        if field::change(message, &field, &change, &mut self.random) {
            seal(message, self.replica, scene.sealer);
        }
    }
}

fn is_vote(message: &Message) -> bool {
    matches!(message, Message::Prepare(_) | Message::Commit(_) | Message::Checkpoint(_))
}
