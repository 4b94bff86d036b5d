//! A replica's journal on the lab's disk, and what waits for it.

use std::collections::VecDeque;

use quorumark_consensus::engine::StateWork;
use quorumark_consensus::pbft::{Message, Record};
use quorumark_consensus::{Position, Recipients, Reply, Seq};

/// What an engine said that must not happen before its records are durable.
pub(crate) enum Held {
    Send(Recipients, Message),
    Reply(Vec<Reply>),
    State(StateWork),
}

/// A faultless disk: what is written becomes durable after a while, in order.
#[derive(Default)]
pub(crate) struct Disk {
    records: Vec<Record>,
    /// Records of this life that were left out.
    cut: u64,
    durable: u64,
    held: VecDeque<(Position, Held)>,
    /// The mutant: it lets out words that still have to wait.
    pub hasty: bool,
}

impl Disk {
    pub(crate) fn write(&mut self, position: Position, record: Record) {
        self.records.push(record);
        assert_eq!(self.written(), position.0, "positions rise by one");
    }

    /// Whether something may happen at once; else it is held.
    pub(crate) fn hold(&mut self, after: Position, held: Held) -> Option<Held> {
        assert!(after.0 <= self.written(), "it waits for a record that was written");
        let lets_out = self.hasty && !matches!(held, Held::State(_));
        if lets_out || (self.durable >= after.0 && self.held.is_empty()) {
            return Some(held);
        }
        self.held.push_back((after, held));
        None
    }

    /// The journal is durable up to a position; what may happen now, in order.
    pub(crate) fn synced(&mut self, position: Position) -> Vec<Held> {
        self.durable = self.durable.max(position.0);
        let mut free = Vec::new();
        while self.held.front().is_some_and(|(after, _)| after.0 <= self.durable) {
            free.extend(self.held.pop_front().map(|(_, held)| held));
        }
        free
    }

    /// Power fails: what is durable is all there is.
    pub(crate) fn fail(&mut self) -> Vec<Record> {
        self.records.truncate((self.durable - self.cut) as usize);
        self.held.clear();
        (self.cut, self.durable) = (0, self.records.len() as u64);
        self.records.clone()
    }

    fn written(&self) -> u64 {
        self.cut + self.records.len() as u64
    }

    /// Leaves out what the last durable checkpoint makes superfluous.
    pub(crate) fn cut(&mut self) {
        let durable = (self.durable - self.cut) as usize;
        let stable = self.records[..durable].iter().rposition(|r| matches!(r, Record::Stable(_)));
        let Some(last) = stable else { return };
        let Record::Stable(record) = self.records[last].clone() else { unreachable!() };
        let mut nth = 0;
        let before = self.records.len();
        self.records.retain(|record_here| {
            nth += 1;
            nth > last || record_here.outlives(record.certificate.seq)
        });
        self.cut += (before - self.records.len()) as u64;
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The checkpoint that a restart begins from.
    pub(crate) fn stable(&self) -> Seq {
        let stable = self.records.iter().rev().find_map(|record| match record {
            Record::Stable(stable) => Some(stable.certificate.seq),
            _ => None,
        });
        stable.unwrap_or(Seq(0))
    }
}
