//! One replica: its engine, its application, its disk, its clock.

use std::collections::VecDeque;

use quorumark_application::KvStore;
use quorumark_application::kv::Limits;
use quorumark_application::permissions::Permissions;
use quorumark_consensus::engine::{Input, Outbox, Position, Recipients, StateWork};
use quorumark_consensus::pbft::{FILLS, Message, Pbft, Record};
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{Instant, ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::signed::{ReplicaSessions, Sealer, Verifier};

use super::frame::Frame;
use crate::byzantine::Liar;
use crate::trace::{MessageKind, VoteKind};

/// One replica, or one of two twins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) replica: ReplicaId,
    pub(super) engine: Pbft,
    pub(super) sealer: Sealer,
    pub(super) verifier: Verifier,
    pub(super) sessions: ReplicaSessions,
    pub(super) application: KvStore,
    pub(super) disk: Disk,
    pub(super) clock: Clock,
    /// How often it has restarted; twins differ in it too.
    pub(super) incarnation: u32,
    pub(super) up: bool,
    /// Whether its disk lost everything once.
    pub(super) lost: bool,
    pub(super) paused_until: u64,
    /// When the earliest timer event for it is due.
    pub(super) timer: Option<u64>,
    /// When its last timeout was, and how many came at that time in a row.
    pub(super) timeouts: (u64, u32),
    /// Results on their way back to the engine, oldest first.
    pub(super) results: VecDeque<Input<Message>>,
    /// When the executor is free again.
    pub(super) executor_free: u64,
    /// Bytes of states that arrived since it last had to fetch one.
    pub(super) fetched: u64,
    /// The root of the state that its application was given.
    pub(super) restored: Digest,
    /// What waits for the journal.
    pub(super) waiting: VecDeque<(Position, Outgoing)>,
    /// Inputs of this moment.
    pub(super) inputs: VecDeque<Input<Message>>,
    pub(super) outbox: Outbox<Message>,
    /// What was last told of it.
    pub(super) told: Told,
    /// Its lies, if it lies.
    pub(super) liar: Option<Box<Liar>>,
}

/// What the trace was last told of a replica.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// The last view that it was told to have entered.
    pub(super) view: View,
    pub(super) stable: Seq,
    /// The application's root at the last checkpoint that it executed.
    pub(super) root: Option<(Seq, Digest)>,
    /// The checkpoint whose state it fetches.
    pub(super) fetching: Option<Seq>,
    /// How full its bounded things were at their fullest, as far as was told.
    pub(super) peaks: [u64; FILLS],
}

/// What leaves a replica once its journal is durable so far.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A frame to replicas.
    Frame {
        to: Recipients,
        frame: Frame,
        kind: MessageKind,
        vote: Option<Vote>,
        /// The message itself, where a behaviour wants it.
        message: Option<Box<Message>>,
    },
    /// A reply to a client.
    Reply(Reply),
    /// What the state machine may let go.
    State(StateWork),
}

/// What a vote says, for the trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vote {
    pub(super) kind: VoteKind,
    pub(super) view: View,
    pub(super) seq: Seq,
    pub(super) digest: Digest,
    pub(super) signature: Signature,
}

/// A journal: what was written, and how far it is durable.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Records with their positions, rising.
    pub(super) records: Vec<(Position, Record)>,
    pub(super) durable: Position,
    /// As far as the write under way goes.
    pub(super) writing: Option<Position>,
    /// Whether a checkpoint was written since the journal was last cut.
    checkpointed: bool,
}

impl Disk {
    /// The position of the last record.
    pub(super) fn written(&self) -> Position {
        self.records.last().map_or(self.durable, |(position, _)| *position)
    }

    /// Appends a record.
    pub(super) fn write(&mut self, position: Position, record: Record) {
        debug_assert!(position == self.written().next(), "positions rise by one");
        self.checkpointed |= matches!(record, Record::Stable(_));
        self.records.push((position, record));
    }

    /// The last stable checkpoint on it.
    pub(super) fn stable(&self) -> Seq {
        let stable = self.records.iter().rev().find_map(|(_, record)| match record {
            Record::Stable(stable) => Some(stable.certificate.seq),
            _ => None,
        });
        stable.unwrap_or_default()
    }

    /// Leaves out what the last durable checkpoint makes superfluous.
    pub(super) fn cut(&mut self) {
        if !self.checkpointed {
            return;
        }
        let durable = self.durable;
        let last = self.records.iter().rposition(|(position, record)| {
            *position <= durable && matches!(record, Record::Stable(_))
        });
        let Some(last) = last else { return };
        let Some((first, Record::Stable(stable))) = self.records.get(last).cloned() else { return };
        let seq = stable.certificate.seq;
        debug_assert!(first <= durable, "only what is durable lets others go");
        self.records.retain(|(position, record)| *position >= first || record.outlives(seq));
        self.checkpointed = self
            .records
            .iter()
            .any(|(position, record)| *position > durable && matches!(record, Record::Stable(_)));
    }

    /// Numbers the records again from 1, as an engine that begins with them does.
    pub(super) fn begin_again(&mut self) {
        for (nth, (position, _)) in self.records.iter_mut().enumerate() {
            *position = Position(nth as u64 + 1);
        }
        self.durable = Position(self.records.len() as u64);
        self.writing = None;
        debug_assert_eq!(self.written(), self.durable, "what is left is durable");
    }
}

/// A replica's clock: integer arithmetic on nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    /// When the clock was last changed, in the world's time and in its own.
    base: (u64, u64),
    /// Parts per million by which it is fast.
    drift: i64,
}

impl Clock {
    /// The replica's time at the world's time `now`.
    pub(super) fn local(&self, now: u64) -> Instant {
        if self.drift == 0 {
            return Instant(now - self.base.0 + self.base.1);
        }
        let span = i128::from(now - self.base.0);
        let drifted = span + span * i128::from(self.drift) / 1_000_000;
        Instant(self.base.1 + drifted.max(0) as u64)
    }

    /// The earliest time of the world, not before `now`, at which the clock shows `local`.
    pub(super) fn world(&self, local: Instant, now: u64) -> u64 {
        if self.drift == 0 {
            return self.base.0.saturating_add(local.0.saturating_sub(self.base.1)).max(now);
        }
        let span = i128::from(local.0.saturating_sub(self.base.1));
        let rate = 1_000_000 + i128::from(self.drift);
        let span = (span * 1_000_000 + rate - 1) / rate.max(1);
        let world = u128::from(self.base.0) + span.max(0) as u128;
        u64::try_from(world).unwrap_or(u64::MAX).max(now)
    }

    /// Lets the clock jump ahead and go wrong from `now` on.
    pub(super) fn change(&mut self, now: u64, offset: u64, drift: i64) {
        let local = self.local(now).0.saturating_add(offset);
        self.base = (now, local);
        self.drift = drift.clamp(-900_000, 900_000);
    }
}

/// An empty store that is large enough for `keys` keys.
pub(super) fn application(keys: u64) -> KvStore {
    // Eight keys a page on average, and room for pages that get more than their share.
    let keys_max = usize::try_from(keys * 8).unwrap_or(usize::MAX).clamp(64, 1 << 20);
    let limits = Limits { keys_max, ..Limits::default() };
    KvStore::new(limits, Permissions::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_drifts_shows_each_time_no_earlier_than_it_was_asked_for() {
        for drift in [-900_000, -7, 0, 13, 250_000] {
            let mut clock = Clock::default();
            clock.change(1_000, 500, drift);
            for ahead in [0u64, 1, 2, 999, 1_000_003] {
                let local = Instant(1_500 + ahead);
                let world = clock.world(local, 1_000);
                assert!(clock.local(world) >= local, "{drift} {ahead}");
            }
        }
    }
}
