//! The exactly-once table: what each client has had executed, and what it was answered.
//!
//! Per client it holds the window `(highest - size, highest]` of timestamps, `highest` being the
//! largest executed one, or as much of its upper end as [`CLIENT_BYTES_MAX`] allows. Inside the
//! window each timestamp is free, executing or done with its reply; below it a request is stale;
//! above it a request is new. All moves are made by executions in order, and by checkpoints, so
//! equal sequences of executions give equal tables at every replica, and the table's root is part
//! of the checkpoint digest.
//!
//! Bounds: `clients_max` records of `window / 64 + 2` pages of 64 replies, pages made when first
//! written and dropped when the window has passed them; while checkpoints are kept, what was
//! executed since the oldest of them is dropped only with it.

mod page;
mod pages;
mod pieces;
mod record;
mod snapshot;

use alloc::collections::BTreeMap;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{self, Rule};

use self::page::{ENTRY_BYTES, Entry};
pub use self::pieces::Pieces;
use self::record::{HEADER_BYTES, Record};
use self::snapshot::Kept;
pub use self::snapshot::digest_of;
use crate::request::RESULT_BYTES_MAX;
use crate::types::{ClientId, Seq, Timestamp};

/// What the table says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Never seen by an execution: it may be ordered and executed.
    Fresh,
    /// Ordered, its result not back yet.
    Executing,
    /// Executed; the answer is here.
    Done {
        /// The sequence number that executed it.
        seq: Seq,
        /// What it answered.
        result: Bytes,
    },
    /// Below the client's window: whether it was executed is no longer known, so it never will be.
    Stale,
}

/// See the module.
#[derive(Debug)]
pub struct ClientTable {
    records: BTreeMap<ClientId, Record>,
    kept: BTreeMap<Seq, Kept>,
    /// The earliest table that can be gone back to.
    reaches: Seq,
    limits: Limits,
}

/// How much a table holds. Equal at all replicas: what is stale depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most clients.
    pub clients_max: usize,
    /// The most timestamps of a client's window, at least 1.
    pub window: u64,
    /// The most bytes of a client's window at a checkpoint, as a part of a state has them, where it
    /// holds more than one reply; see [`CLIENT_BYTES_MAX`].
    pub client_bytes_max: usize,
}

/// What a client's window takes at most, as every cluster has it: 64 replies of 64 KiB.
///
/// A client chooses what it is answered, and a table that a client can make as large as it likes
/// could not be transferred. So the window has its size in bytes too: at each checkpoint its low
/// end rises until the rest fits, and what is below is stale. That a checkpoint does it, when no
/// result is outstanding, makes it the same at every replica, however fast its results come back.
/// Only a client that has more than that in answers outstanding can lose any.
pub const CLIENT_BYTES_MAX: usize = 4 << 20;

// One reply is always kept, however long it is: the bound holds with it.
const _: () = assert!(RESULT_BYTES_MAX + ENTRY_BYTES <= CLIENT_BYTES_MAX);

/// The most bytes of a part that holds so many clients.
pub fn part_bytes_max(clients: u64) -> u64 {
    clients.saturating_mul((HEADER_BYTES + CLIENT_BYTES_MAX) as u64)
}

impl Limits {
    /// Limits of so many clients and timestamps, and [`CLIENT_BYTES_MAX`].
    pub fn new(clients_max: usize, window: u64) -> Limits {
        Limits { clients_max, window, client_bytes_max: CLIENT_BYTES_MAX }
    }
}

impl ClientTable {
    /// An empty table.
    ///
    /// # Panics
    /// When a window is of no timestamp.
    pub fn new(limits: Limits) -> ClientTable {
        assert!(limits.window > 0, "a client's window holds at least one timestamp");
        let (records, kept) = (BTreeMap::new(), BTreeMap::from([(Seq(0), Kept::default())]));
        ClientTable { records, kept, reaches: Seq(0), limits }
    }

    /// What is known of a request.
    pub fn standing(&self, client: ClientId, timestamp: Timestamp) -> Standing {
        let Some(record) = self.records.get(&client) else {
            return if self.records.len() < self.limits.clients_max {
                Standing::Fresh
            } else {
                Standing::Stale
            };
        };
        if record.is_fresh(timestamp.0) {
            return Standing::Fresh;
        }
        match record.entry(timestamp.0).filter(|_| timestamp.0 >= record.low) {
            Some(Entry::Executing) => Standing::Executing,
            Some(Entry::Done(seq, result)) => Standing::Done { seq: *seq, result: result.clone() },
            // Below the window: above it what is free is fresh.
            None | Some(Entry::Free) => Standing::Stale,
        }
    }

    /// Whether a request was never seen by an execution, and may be.
    pub fn is_fresh(&self, client: ClientId, timestamp: Timestamp) -> bool {
        self.standing(client, timestamp) == Standing::Fresh
    }

    /// Marks a request as ordered, when it is [`Standing::Fresh`]; tells whether it was.
    pub fn begin(&mut self, client: ClientId, timestamp: Timestamp) -> bool {
        let room = self.records.len() < self.limits.clients_max;
        let record = match self.records.get_mut(&client) {
            Some(record) if record.is_fresh(timestamp.0) => record,
            None if room => self.records.entry(client).or_default(),
            _ => return false,
        };
        record.extend_to(timestamp.0, self.limits.window);
        record.set(timestamp.0, Entry::Executing);
        debug_assert!(
            self.records.len() <= self.limits.clients_max,
            "more clients than the table's bound"
        );
        true
    }

    /// Keeps the result of a request that [`ClientTable::begin`] marked.
    ///
    /// One whose timestamp has meanwhile left the window is stale: its result is there for who goes
    /// back to before that, and for nobody else.
    ///
    /// # Panics
    /// When the request was not executing: results come back once, for what was handed out.
    pub fn finish(&mut self, client: ClientId, timestamp: Timestamp, seq: Seq, result: Bytes) {
        let record = self.records.get_mut(&client);
        if record.is_some_and(|record| record.finish(timestamp.0, seq, result)) {
            return;
        }
        match self.standing(client, timestamp) {
            Standing::Stale => {}
            standing => panic_on(standing, client, timestamp),
        }
    }

    /// The root over all records, in the order of client ids (RFC 6962 shape). A request that is
    /// executing is told apart from one that is done; a checkpoint is taken when none is.
    pub fn root(&mut self) -> Digest {
        merkle::root(Rule::Rfc6962, &self.leaf_hashes())
    }

    /// Clients known.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no client is known.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cold]
#[allow(clippy::panic)] // A bug of the engine, not an input: see the `# Panics` of `finish`.
fn panic_on(standing: Standing, client: ClientId, timestamp: Timestamp) -> ! {
    panic!("a result came back for {client} {timestamp}, which stands as {standing:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientId = ClientId(3);

    fn done(table: &mut ClientTable, timestamp: u64) {
        assert!(table.begin(CLIENT, Timestamp(timestamp)));
        let result = Bytes::from(timestamp.to_le_bytes().to_vec());
        table.finish(CLIENT, Timestamp(timestamp), Seq(timestamp), result);
    }

    #[test]
    fn a_repeat_inside_the_window_gets_its_reply_and_below_it_is_stale() {
        let mut table = ClientTable::new(Limits::new(4, 100));
        (1..=150).for_each(|timestamp| done(&mut table, timestamp));
        for timestamp in 1..=150 {
            let standing = table.standing(CLIENT, Timestamp(timestamp));
            if timestamp <= 50 {
                assert_eq!(standing, Standing::Stale, "timestamp {timestamp}");
            } else {
                let result = Bytes::from(timestamp.to_le_bytes().to_vec());
                assert_eq!(standing, Standing::Done { seq: Seq(timestamp), result });
            }
            assert!(!table.begin(CLIENT, Timestamp(timestamp)), "timestamp {timestamp} ran twice");
        }
    }

    #[test]
    fn requests_in_flight_may_execute_in_any_order_inside_the_window() {
        let mut table = ClientTable::new(Limits::new(4, 100));
        for timestamp in [40, 3, 39, 99, 1] {
            done(&mut table, timestamp);
        }
        assert_eq!(table.standing(CLIENT, Timestamp(2)), Standing::Fresh);
        assert!(matches!(table.standing(CLIENT, Timestamp(3)), Standing::Done { .. }));
    }

    #[test]
    fn equal_executions_give_equal_roots_and_any_difference_shows() {
        let mut one = ClientTable::new(Limits::new(4, 100));
        let mut two = ClientTable::new(Limits::new(4, 100));
        assert_eq!(one.root(), two.root());
        for timestamp in 1..=300 {
            done(&mut one, timestamp);
            one.root();
            done(&mut two, timestamp);
        }
        assert_eq!(one.root(), two.root());
        done(&mut one, 301);
        assert_ne!(one.root(), two.root());
        assert!(two.begin(CLIENT, Timestamp(301)));
        two.finish(CLIENT, Timestamp(301), Seq(301), Bytes::from_static(b"other"));
        assert_ne!(one.root(), two.root());
    }

    #[test]
    fn the_root_depends_on_the_content_of_the_window_and_not_on_what_left_it() {
        let mut one = ClientTable::new(Limits::new(4, 100));
        (1..=10).for_each(|timestamp| done(&mut one, timestamp));
        done(&mut one, 110);
        let mut two = ClientTable::new(Limits::new(4, 100));
        done(&mut two, 110);
        assert_eq!(one.root(), two.root());
    }

    #[test]
    fn a_client_that_jumps_ahead_hurts_only_itself_and_costs_no_memory() {
        let mut table = ClientTable::new(Limits::new(2, 1024));
        (1..=2000).for_each(|timestamp| done(&mut table, timestamp));
        done(&mut table, u64::MAX - 1);
        table.checkpoint(Seq(u64::MAX));
        table.retain(Seq(u64::MAX), None);
        assert_eq!(table.records[&CLIENT].page_count(), 1);
        assert_eq!(table.standing(CLIENT, Timestamp(1999)), Standing::Stale);
        assert_eq!(table.standing(ClientId(4), Timestamp(1)), Standing::Fresh);
    }

    #[test]
    fn what_only_a_checkpoint_that_is_let_go_had_costs_no_memory() {
        let mut table = ClientTable::new(Limits::new(4, 100));
        for timestamp in 1..=10_000 {
            done(&mut table, timestamp);
            if timestamp % 50 == 0 {
                table.checkpoint(Seq(timestamp));
                table.retain(Seq(timestamp.saturating_sub(50)), None);
            }
            assert!(table.records[&CLIENT].page_count() <= 5);
        }
    }

    #[test]
    fn one_client_more_than_the_bound_is_not_taken() {
        let mut table = ClientTable::new(Limits::new(1, 8));
        assert!(table.begin(ClientId(0), Timestamp(1)));
        assert!(!table.begin(ClientId(1), Timestamp(1)));
    }
}
