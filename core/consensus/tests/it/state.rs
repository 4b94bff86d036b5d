//! PBFT 4.3: what a checkpoint's digest binds, and the exactly-once table that is part of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quorumark_consensus::client_table::{
    CLIENT_BYTES_MAX, ClientTable, Limits, Standing, digest_of, part_bytes_max,
};
use quorumark_consensus::parts::{Cut, StateRoot};
use quorumark_consensus::pbft::{Message, PrePrepare};
use quorumark_consensus::{
    Batch, ClientId, Executed, Execution, Input, Output, ReplicaId, Seq, SignedRequest, Timestamp,
    View,
};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::Signed;

use crate::agreement::{commit, prepare};
use crate::checkpoints::{executions, said_state};
use crate::lab::One;

/// A backup that takes a checkpoint every second sequence number.
fn backup(n: usize) -> One {
    One::new(n, 1, |config| {
        config.window = 4;
        config.checkpoint_interval = 2;
        config.client_window = 8;
    })
}

/// The committee orders these requests at `seq`; what follows from it.
fn order(one: &mut One, seq: u64, requests: Vec<SignedRequest>) -> Vec<Output<Message>> {
    let batch = Arc::new(Batch::new(requests));
    let digest = batch.digest();
    let body = PrePrepare { view: View(0), seq: Seq(seq), digest, replica: ReplicaId(0) };
    let mut outputs = one.hear(Message::PrePrepare(Box::new(Signed::blank(body)), batch));
    for replica in 1..one.committee.n() {
        outputs.extend(one.hear(prepare(seq, digest, replica)));
    }
    for replica in 0..one.committee.n() {
        outputs.extend(one.hear(commit(seq, digest, replica)));
    }
    outputs
}

/// The application answers every request alike and reports `root`.
fn execute(one: &mut One, execution: &Execution, root: Digest) -> Vec<Output<Message>> {
    let results = execution.fresh.iter().map(|_| Bytes::from_static(b"done")).collect();
    let state_root = execution.checkpoint.then_some(StateRoot { root, leaves: 1 });
    one.input(Input::Executed(Executed { seq: execution.seq, results, state_root }))
}

/// Orders and executes one batch; the state said after it, where a checkpoint is due.
fn run(one: &mut One, seq: u64, requests: &[(u32, u64)], root: Digest) -> Option<Digest> {
    let signed = |(client, timestamp): &(u32, u64)| one.keys.request(*client, *timestamp, b"op");
    let requests = requests.iter().map(signed).collect();
    let outputs = order(one, seq, requests);
    let [execution] = &executions(outputs)[..] else { panic!("{seq} is executed by itself") };
    said_state(&execute(one, execution, root))
}

/// The state after two batches of one request of `client` each.
fn state_after_two(n: usize, client: u32, root: Digest) -> Digest {
    let mut one = backup(n);
    assert_eq!(run(&mut one, 1, &[(client, 1)], root), None);
    run(&mut one, 2, &[(client, 2)], root).expect("a checkpoint is due after 2")
}

const ROOT: Digest = Digest([1; 32]);

#[test]
fn pbft_4_3_equal_executions_say_equal_states() {
    assert_eq!(state_after_two(4, 0, ROOT), state_after_two(4, 0, ROOT));
}

#[test]
fn pbft_4_3_the_state_binds_the_applications_root() {
    assert_ne!(state_after_two(4, 0, ROOT), state_after_two(4, 0, Digest([2; 32])));
}

#[test]
fn pbft_4_3_the_state_binds_the_number_of_its_leaves() {
    let said = |leaves| {
        let mut one = backup(4);
        run(&mut one, 1, &[(0, 1)], ROOT);
        let request = one.keys.request(0, 2, b"op");
        let outputs = order(&mut one, 2, vec![request]);
        let [execution] = &executions(outputs)[..] else { panic!("2 is executed by itself") };
        let (seq, results) = (execution.seq, vec![Bytes::new()]);
        let state_root = Some(StateRoot { root: ROOT, leaves });
        said_state(&one.input(Input::Executed(Executed { seq, results, state_root })))
    };
    assert_eq!(said(1), said(1));
    assert_ne!(said(1), said(2));
}

#[test]
fn pbft_4_3_the_state_binds_whose_requests_were_executed() {
    assert_ne!(state_after_two(4, 0, ROOT), state_after_two(4, 1, ROOT));
}

#[test]
fn pbft_4_3_the_state_binds_the_size_of_the_committee() {
    assert_ne!(state_after_two(4, 0, ROOT), state_after_two(5, 0, ROOT));
}

#[test]
fn pbft_4_3_the_state_binds_its_sequence_number() {
    let mut one = backup(4);
    run(&mut one, 1, &[(0, 1)], ROOT);
    let at_2 = run(&mut one, 2, &[(0, 2)], ROOT).expect("a checkpoint is due after 2");
    // Repeats execute nothing: application and client table stay as they were.
    run(&mut one, 3, &[(0, 1)], ROOT);
    let at_4 = run(&mut one, 4, &[(0, 2)], ROOT).expect("a checkpoint is due after 4");
    assert_ne!(at_2, at_4);
}

const CLIENT: ClientId = ClientId(3);

fn done(table: &mut ClientTable, timestamp: u64) {
    assert!(table.begin(CLIENT, Timestamp(timestamp)));
    let result = Bytes::from(timestamp.to_le_bytes().to_vec());
    table.finish(CLIENT, Timestamp(timestamp), Seq(timestamp), result);
}

#[test]
fn a_result_that_comes_back_after_its_timestamp_left_the_window_is_dropped() {
    let window = 8;
    let mut table = ClientTable::new(Limits::new(4, window));
    for timestamp in [1, 2, 1 + window] {
        assert!(table.begin(CLIENT, Timestamp(timestamp)));
    }
    for timestamp in [1, 2, 1 + window] {
        table.finish(CLIENT, Timestamp(timestamp), Seq(5), Bytes::from_static(b"r"));
    }
    assert_eq!(table.standing(CLIENT, Timestamp(1)), Standing::Stale);
    for timestamp in [2, 1 + window] {
        let standing = table.standing(CLIENT, Timestamp(timestamp));
        assert_eq!(standing, Standing::Done { seq: Seq(5), result: Bytes::from_static(b"r") });
    }
}

#[test]
fn a_client_cannot_make_its_part_of_the_state_larger_than_what_is_transferred() {
    // PROTOCOLS (requests and clients): a bounded window of timestamps *with their replies*.
    let mut table = ClientTable::new(Limits::new(4, 1024));
    let long = Bytes::from(vec![7; 64 << 10]);
    for timestamp in 1..=1024 {
        assert!(table.begin(CLIENT, Timestamp(timestamp)));
        table.finish(CLIENT, Timestamp(timestamp), Seq(timestamp), long.clone());
    }
    assert!(matches!(table.standing(CLIENT, Timestamp(1)), Standing::Done { .. }));
    let state = table.checkpoint(Seq(1024));
    let part = table.part(Seq(1024), 0).unwrap();
    assert!(part.len() as u64 <= part_bytes_max(1), "{} bytes", part.len());
    assert!(part.len() > CLIENT_BYTES_MAX - long.len(), "as many replies as fit are kept");
    let done = |timestamp| table.standing(CLIENT, Timestamp(timestamp));
    assert!(matches!(done(1024 - 62), Standing::Done { .. }));
    assert_eq!(done(1024 - 63), Standing::Stale);
    // A replica that fetches the part decides alike.
    let empty = ClientTable::new(Limits::new(4, 1024));
    let parts = BTreeMap::from([(0, part)]);
    let fetched = empty.restored(Seq(1024), state, &parts).unwrap();
    for timestamp in 1..=1025 {
        let timestamp = Timestamp(timestamp);
        assert_eq!(fetched.standing(CLIENT, timestamp), table.standing(CLIENT, timestamp));
    }
}

#[test]
fn the_longest_reply_is_kept_alone_and_a_checkpoint_alone_moves_the_window() {
    let limits = Limits { clients_max: 4, window: 100, client_bytes_max: 50 };
    let (mut early, mut late) = (ClientTable::new(limits), ClientTable::new(limits));
    let long = || Bytes::from(vec![1; 60]);
    // Results are back before the next request is ordered, or after it: what is fresh is the same.
    for table in [&mut early, &mut late] {
        assert!(table.begin(CLIENT, Timestamp(5)));
    }
    early.finish(CLIENT, Timestamp(5), Seq(1), long());
    for table in [&mut early, &mut late] {
        assert!(table.begin(CLIENT, Timestamp(2)));
    }
    late.finish(CLIENT, Timestamp(5), Seq(1), long());
    for table in [&mut early, &mut late] {
        table.finish(CLIENT, Timestamp(2), Seq(2), Bytes::new());
    }
    assert_eq!(early.checkpoint(Seq(2)), late.checkpoint(Seq(2)));
    let reply = Standing::Done { seq: Seq(1), result: long() };
    assert_eq!(early.standing(CLIENT, Timestamp(5)), reply);
    assert_eq!(early.standing(CLIENT, Timestamp(2)), Standing::Stale);
    assert_eq!(
        early.standing(CLIENT, Timestamp(3)),
        Standing::Stale,
        "never ordered, and too late"
    );
}

#[test]
fn what_left_the_window_before_its_result_was_back_is_known_again_after_going_back() {
    let window = 8;
    let mut table = ClientTable::new(Limits::new(4, window));
    assert!(table.begin(CLIENT, Timestamp(1)));
    assert!(table.begin(CLIENT, Timestamp(1 + window)));
    table.finish(CLIENT, Timestamp(1), Seq(1), Bytes::from_static(b"r"));
    table.finish(CLIENT, Timestamp(1 + window), Seq(2), Bytes::from_static(b"r"));
    table.checkpoint(Seq(2));
    assert!(table.rollback_to(Seq(1)));
    assert!(!table.begin(CLIENT, Timestamp(1)), "it was executed, and is not again");
}

#[test]
fn one_batch_may_hold_a_request_and_another_that_pushes_it_out_of_the_window() {
    let mut one = backup(4);
    let requests = [1, 9].map(|timestamp| one.keys.request(0, timestamp, b"op"));
    let outputs = order(&mut one, 1, requests.to_vec());
    let [execution] = &executions(outputs)[..] else { panic!("one batch") };
    assert_eq!(execution.fresh, [0, 1]);
    let outputs = execute(&mut one, execution, ROOT);
    let [Output::Reply { replies, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(replies.len(), 2, "both were executed, both are answered");
    assert!(one.ask(0, 1).is_empty(), "stale by now");
    assert!(matches!(&one.ask(0, 9)[..], [Output::Reply { .. }]));
}

#[test]
fn the_root_depends_on_the_window_alone_and_not_on_how_it_was_reached() {
    // A page covers 64 timestamps: windows that end inside one, at its end, and after several.
    for window in [1, 10, 64, 100] {
        for highest in [window + 3, 63.max(window), 64.max(window), 150, 191, 192, 300] {
            let low = highest - window;
            let mut long = ClientTable::new(Limits::new(4, window));
            for timestamp in 1..=highest {
                done(&mut long, timestamp);
                long.root();
            }
            let mut short = ClientTable::new(Limits::new(4, window));
            (low + 1..=highest).for_each(|timestamp| done(&mut short, timestamp));
            let mut backwards = ClientTable::new(Limits::new(4, window));
            (low + 1..=highest).rev().for_each(|timestamp| done(&mut backwards, timestamp));
            let root = long.root();
            assert_eq!(short.root(), root, "window {window}, highest {highest}");
            assert_eq!(backwards.root(), root, "window {window}, highest {highest}");
        }
    }
}

#[test]
fn the_root_tells_apart_which_requests_of_the_window_were_executed_and_where() {
    let table = |timestamps: &[u64]| {
        let mut table = ClientTable::new(Limits::new(4, 10));
        timestamps.iter().for_each(|timestamp| done(&mut table, *timestamp));
        table.root()
    };
    assert_eq!(table(&[5, 20]), table(&[20]), "5 is below the window");
    assert_ne!(table(&[15, 20]), table(&[20]), "15 is inside it");
    assert_ne!(table(&[15, 20]), table(&[16, 20]));
    assert_ne!(table(&[15, 20]), table(&[15, 21]));
    let at = |seq| {
        let mut table = ClientTable::new(Limits::new(4, 10));
        assert!(table.begin(CLIENT, Timestamp(1)));
        table.finish(CLIENT, Timestamp(1), Seq(seq), Bytes::from_static(b"r"));
        table.root()
    };
    assert_ne!(at(1), at(2));
}

/// A table, and what it is to be: the executions that count, each a client and a timestamp, by the
/// sequence number that ran them.
struct Twin {
    table: ClientTable,
    executed: Vec<(u64, u32, u64)>,
    /// Where a checkpoint was taken, kept or not.
    checkpoints: Vec<u64>,
    seq: u64,
}

const TWIN_WINDOW: u64 = 10;
/// Three entries with their results, or four without.
const TWIN_LIMITS: Limits = Limits { clients_max: 6, window: TWIN_WINDOW, client_bytes_max: 80 };

fn run_on(table: &mut ClientTable, seq: u64, client: u32, timestamp: u64) -> bool {
    let (client, timestamp) = (ClientId(client), Timestamp(timestamp));
    let fresh = table.begin(client, timestamp);
    if fresh {
        let result = Bytes::from([seq as u8, timestamp.0 as u8].repeat(timestamp.0 as usize % 3));
        table.finish(client, timestamp, Seq(seq), result);
    }
    fresh
}

impl Twin {
    fn new() -> Twin {
        let table = ClientTable::new(TWIN_LIMITS);
        Twin { table, executed: Vec::new(), checkpoints: Vec::new(), seq: 0 }
    }

    fn run(&mut self, client: u32, timestamp: u64) {
        self.seq += 1;
        let before = self.rebuilt(self.seq - 1).begin(ClientId(client), Timestamp(timestamp));
        let fresh = run_on(&mut self.table, self.seq, client, timestamp);
        assert_eq!(fresh, before, "the same requests are fresh");
        if fresh {
            self.executed.push((self.seq, client, timestamp));
        }
    }

    /// A table that executed the same up to `seq`, and keeps nothing else.
    fn rebuilt(&self, seq: u64) -> ClientTable {
        let mut table = ClientTable::new(TWIN_LIMITS);
        let mut checkpoints = self.checkpoints.iter().filter(|at| **at <= seq).peekable();
        for (at, client, timestamp) in self.executed.iter().filter(|(at, ..)| *at <= seq) {
            while let Some(taken) = checkpoints.next_if(|taken| *taken < at) {
                table.checkpoint(Seq(*taken));
            }
            assert!(run_on(&mut table, *at, *client, *timestamp));
        }
        for taken in checkpoints {
            table.checkpoint(Seq(*taken));
        }
        table
    }

    fn checkpoint(&mut self) -> StateRoot {
        self.checkpoints.push(self.seq);
        self.table.checkpoint(Seq(self.seq))
    }
}

fn parts_of(table: &ClientTable, seq: u64, leaves: u64) -> BTreeMap<u32, Bytes> {
    let cut = Cut::new(leaves).unwrap();
    (0..cut.parts()).map(|nth| (nth, table.part(Seq(seq), nth).unwrap())).collect()
}

proptest! {
    #[test]
    fn a_table_goes_back_and_keeps_checkpoints_as_if_it_had_executed_nothing_else(
        steps in prop::collection::vec((0u8..12, 0u32..8, 1u64..60), 1..120),
    ) {
        let mut twin = Twin::new();
        let mut kept = BTreeMap::new();
        let mut reaches = 0;
        for (step, client, timestamp) in steps {
            match step {
                0 | 1 => {
                    kept.insert(twin.seq, twin.checkpoint());
                }
                2 => {
                    let to = twin.seq.saturating_sub(timestamp % 12);
                    prop_assert_eq!(twin.table.rollback_to(Seq(to)), to >= reaches);
                    if to >= reaches {
                        twin.seq = to;
                        twin.executed.retain(|(at, ..)| *at <= to);
                        twin.checkpoints.retain(|at| *at <= to);
                        kept.retain(|at, _| *at <= to);
                    }
                }
                3 => {
                    reaches = twin.seq.saturating_sub(timestamp % 12).max(reaches);
                    twin.table.retain(Seq(reaches), None);
                    kept.retain(|at, _| *at >= reaches);
                }
                _ => twin.run(client, timestamp + twin.seq / 3),
            }
            prop_assert_eq!(twin.table.root(), twin.rebuilt(twin.seq).root());
            for (seq, state) in &kept {
                let mut model = twin.rebuilt(*seq);
                prop_assert_eq!(model.checkpoint(Seq(*seq)), *state);
                let digests = twin.table.part_digests(Some(Seq(*seq)));
                prop_assert_eq!(&digests, &model.part_digests(Some(Seq(*seq))));
                let parts = parts_of(&twin.table, *seq, state.leaves);
                prop_assert_eq!(&parts, &parts_of(&model, *seq, state.leaves));
                let cut = Cut::new(state.leaves).unwrap();
                let digests = digests.unwrap().1;
                for (nth, part) in &parts {
                    let digest = digest_of(cut, *nth, part, Seq(*seq), TWIN_WINDOW);
                    prop_assert_eq!(digest, Ok(digests[*nth as usize]));
                }
            }
        }
    }

    #[test]
    fn a_restored_table_has_the_peers_root_and_future_and_no_changed_part_gives_that_root(
        theirs in prop::collection::vec((0u32..8, 1u64..40), 1..60),
        mine in prop::collection::vec((0u32..8, 1u64..40), 0..30),
        later in prop::collection::vec((0u32..8, 1u64..60), 0..20),
        flip in any::<usize>(),
    ) {
        let (mut peer, mut behind) = (Twin::new(), Twin::new());
        theirs.iter().for_each(|(client, timestamp)| peer.run(*client, *timestamp));
        mine.iter().for_each(|(client, timestamp)| behind.run(*client, *timestamp));
        let seq = peer.seq;
        let state = peer.checkpoint();
        later.iter().for_each(|(client, timestamp)| peer.run(*client, *timestamp));
        let wanted = peer.table.part_digests(Some(Seq(seq))).unwrap().1;
        let have = behind.table.part_digests(None).unwrap().1;
        let mut fetched = parts_of(&peer.table, seq, state.leaves);
        fetched.retain(|nth, _| have.get(*nth as usize) != Some(&wanted[*nth as usize]));
        for nth in fetched.keys() {
            let mut bad = fetched.clone();
            let mut bytes = bad[nth].to_vec();
            let at = flip % bytes.len();
            bytes[at] ^= 1;
            bad.insert(*nth, Bytes::from(bytes));
            prop_assert!(behind.table.restored(Seq(seq), state, &bad).is_none());
        }
        let mut table = behind.table.restored(Seq(seq), state, &fetched).unwrap();
        prop_assert_eq!(
            parts_of(&table, seq, state.leaves),
            parts_of(&peer.table, seq, state.leaves)
        );
        for (nth, (client, timestamp)) in later.iter().enumerate() {
            run_on(&mut table, seq + nth as u64 + 1, *client, *timestamp);
        }
        prop_assert_eq!(table.root(), peer.table.root());
        prop_assert!(table.rollback_to(Seq(seq)) && !table.rollback_to(Seq(seq - 1)));
        prop_assert_eq!(table.root(), state.root);
    }
}
