//! Checkpoints: going back to them, and becoming a peer's, for every application.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use quorumark_application::kv::{KvStore, Limits, Operation};
use quorumark_application::{
    Allowed, Application, Ledger, NotKept, Permissions, RestoreError, Settling,
};
use quorumark_consensus::parts::{Cut, StateRoot};
use quorumark_consensus::types::Seq;
use quorumark_primitives::wire::Encode;

use crate::{execute, execute_apart};

/// Few keys in few pages, so that operations meet and some are refused.
const LIMITS: Limits = Limits { keys_max: 64, value_bytes_max: 600 };

fn store() -> KvStore {
    KvStore::new(LIMITS, Permissions::default())
}

fn ledger() -> Ledger {
    Ledger::new(Permissions::default())
}

/// What happens to an application.
#[derive(Clone, Debug)]
enum Event {
    /// A batch of writes, each a key and a value.
    Execute(Vec<(u64, Vec<u8>)>),
    Checkpoint,
    /// Back by this many batches, which succeeds where that is a checkpoint or the last batch.
    Rollback(u64),
    /// Everything older than this many batches is let go.
    Retain(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let write = || (0u64..24, prop::collection::vec(any::<u8>(), 0..40));
    prop_oneof![
        5 => prop::collection::vec(write(), 0..6).prop_map(Event::Execute),
        2 => Just(Event::Checkpoint),
        1 => (0u64..6).prop_map(Event::Rollback),
        1 => (0u64..6).prop_map(Event::Retain),
    ]
}

fn operations(writes: &[(u64, Vec<u8>)]) -> Vec<Bytes> {
    writes.iter().map(|(key, value)| Operation::Put { key: *key, value }.to_frame()).collect()
}

/// An application that executed these batches and nothing else, each in its frame.
fn replay<A: Application>(new: fn() -> A, batches: &[Vec<Bytes>]) -> A {
    let mut fresh = new();
    for (nth, batch) in batches.iter().enumerate() {
        execute(&mut fresh, nth as u64 + 1, batch);
    }
    fresh
}

/// The same of operations that lie apart: what an application should be.
fn model_of<A: Application>(new: fn() -> A, batches: &[Vec<Bytes>]) -> A {
    let mut fresh = new();
    for (nth, batch) in batches.iter().enumerate() {
        execute_apart(&mut fresh, nth as u64 + 1, batch);
    }
    fresh
}

/// Every part of a kept checkpoint.
fn parts(application: &impl Application, seq: Seq, leaves: u64) -> Vec<(u32, Bytes)> {
    let cut = Cut::new(leaves).unwrap();
    (0..cut.parts()).map(|nth| (nth, application.part(seq, nth).unwrap())).collect()
}

/// Whether the kept checkpoint's parts are those of an application that never went further.
fn is_kept_whole<A: Application>(application: &mut A, seq: Seq, mut model: A) -> StateRoot {
    let state = model.checkpoint(seq);
    let kept = application.part_digests(Some(seq)).unwrap();
    assert_eq!(Some(kept), model.part_digests(Some(seq)));
    let parts = parts(application, seq, state.leaves);
    assert_eq!(parts, self::parts(&model, seq, state.leaves));
    let cut = Cut::new(state.leaves).unwrap();
    let digests: Vec<_> =
        parts.iter().map(|(nth, part)| cut.digest_of(*nth, part).unwrap()).collect();
    assert_eq!(cut.root(&digests), Some(state.root));
    state
}

/// Runs a history on an application and on what it should be: the batches that count.
fn check_history<A: Application>(new: fn() -> A, events: &[Event]) {
    let mut application = new();
    let mut batches: Vec<Vec<Bytes>> = Vec::new();
    let mut kept = BTreeMap::new();
    let mut reaches = 0;
    let mut last_can_be_undone = false;
    for event in events {
        let now = batches.len() as u64;
        match event {
            Event::Execute(writes) => {
                let batch = operations(writes);
                let mut model = model_of(new, &batches);
                let results = execute(&mut application, now + 1, &batch);
                assert_eq!(results, execute_apart(&mut model, now + 1, &batch));
                batches.push(batch);
                last_can_be_undone = true;
            }
            Event::Checkpoint => {
                last_can_be_undone = false;
                let state = application.checkpoint(Seq(now));
                assert_eq!(state.root, model_of(new, &batches).root());
                kept.insert(now, state);
            }
            Event::Rollback(back) => {
                let seq = now.saturating_sub(*back);
                let done = application.rollback_to(Seq(seq));
                let is_last = last_can_be_undone && seq + 1 == now;
                let is_there = seq == 0 || is_last || kept.contains_key(&seq);
                if seq != now && (seq < reaches || !is_there) {
                    assert_eq!(done, Err(NotKept { seq: Seq(seq) }));
                } else {
                    assert_eq!(done, Ok(()));
                    batches.truncate(seq as usize);
                    kept.retain(|kept, _| *kept <= seq);
                    last_can_be_undone &= seq == now;
                }
            }
            Event::Retain(back) => {
                let from = now.saturating_sub(*back);
                application.retain(Seq(from), None);
                reaches = reaches.max(from);
                kept.retain(|kept, _| *kept >= reaches);
            }
        }
        if events.len().is_multiple_of(2) {
            assert_eq!(application.root(), model_of(new, &batches).root());
        }
        // Half of the histories have no roots but those of checkpoints.
        for (seq, state) in &kept {
            let model = model_of(new, &batches[..*seq as usize]);
            assert_eq!(is_kept_whole(&mut application, Seq(*seq), model), *state);
        }
    }
}

/// A checkpoint fetched by an application elsewhere gives the same state and the same future.
fn check_restore<A: Application>(
    new: fn() -> A,
    theirs: &[Vec<Bytes>],
    mine: &[Vec<Bytes>],
    later: &[Vec<Bytes>],
) {
    let mut peer = replay(new, theirs);
    let seq = Seq(theirs.len() as u64);
    let state = peer.checkpoint(seq);
    for (nth, batch) in later.iter().enumerate() {
        execute(&mut peer, seq.0 + nth as u64 + 1, batch);
    }
    let mut behind = replay(new, mine);
    let (_, wanted) = peer.part_digests(Some(seq)).unwrap();
    let (_, have) = behind.part_digests(None).unwrap();
    let mut fetched = parts(&peer, seq, state.leaves);
    fetched.retain(|(nth, _)| wanted[*nth as usize] != have[*nth as usize]);
    let before = behind.root();
    for (place, (nth, part)) in fetched.iter().enumerate() {
        // A part with any byte changed never gives the root, and changes nothing.
        let mut bytes = part.to_vec();
        let at = (seq.0 as usize * 7 + place) % bytes.len();
        bytes[at] ^= 1;
        let mut bad = fetched.clone();
        bad[place] = (*nth, Bytes::from(bytes));
        assert!(behind.restore(seq, state, &bad).is_err());
        assert_eq!(behind.root(), before);
    }
    // Power may fail before the restored checkpoint is durable: the old one can be gone back to.
    let own = Seq(mine.len() as u64);
    let own_state = behind.checkpoint(own);
    let has_old = own < seq;
    let own_parts = parts(&behind, own, own_state.leaves);
    if has_old {
        assert_eq!(behind.restore(seq, state, &fetched), Ok(()));
        assert_eq!(parts(&behind, own, own_state.leaves), own_parts);
        assert_eq!(behind.rollback_to(own), Ok(()));
        assert_eq!(behind.root(), own_state.root);
    }
    assert_eq!(behind.restore(seq, state, &fetched), Ok(()));
    assert_eq!(behind.root(), state.root);
    behind.retain(seq, None);
    assert!(!has_old || behind.rollback_to(own) == Err(NotKept { seq: own }));
    assert_eq!(parts(&behind, seq, state.leaves), parts(&peer, seq, state.leaves));
    for (nth, batch) in later.iter().enumerate() {
        execute(&mut behind, seq.0 + nth as u64 + 1, batch);
    }
    assert_eq!(behind.root(), peer.root());
    assert_eq!(behind.rollback_to(seq), Ok(()));
    assert_eq!(behind.root(), state.root);
}

/// What happens while a checkpoint's root is computed.
#[derive(Clone, Debug)]
enum Meanwhile {
    Execute(Vec<(u64, Vec<u8>)>),
    /// The batch executed last is undone, if it came after the checkpoint and was not undone before.
    Undo,
    /// The checkpoint is gone back to.
    Return,
    Settle,
}

/// Writes of more keys than one step hashes pages, some of values that are short.
fn writes() -> impl Strategy<Value = Vec<(u64, Vec<u8>)>> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        (any::<u8>(), 20usize..30).prop_map(|(byte, length)| vec![byte; length]),
    ];
    prop::collection::vec((0u64..400, value), 0..300)
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        2 => writes().prop_map(Meanwhile::Execute),
        1 => Just(Meanwhile::Undo),
        1 => Just(Meanwhile::Return),
        3 => Just(Meanwhile::Settle),
    ]
}

/// Whole values, and patches of those that are long enough.
fn mixed(writes: &[(u64, Vec<u8>)]) -> Vec<Bytes> {
    let operations = writes.iter().enumerate().map(|(nth, (key, value))| match nth % 3 {
        0 => Operation::Update { key: *key, offset: 0, patch: value }.to_frame(),
        _ => Operation::Put { key: *key, value }.to_frame(),
    });
    operations.collect()
}

fn large_store() -> KvStore {
    KvStore::new(Limits { keys_max: 4096, ..Limits::default() }, Permissions::default())
}

/// The root of a checkpoint that is begun is that of the state where it was, and the state is kept.
fn check_begun(before: &[Vec<(u64, Vec<u8>)>], events: &[Meanwhile]) {
    let mut batches: Vec<_> = before.iter().map(|writes| mixed(writes)).collect();
    let mut store = replay(large_store, &batches);
    let seq = Seq(batches.len() as u64);
    assert_eq!(store.begin_checkpoint(seq), None);
    let mut told = None;
    let mut settle = |store: &mut KvStore| match store.settle() {
        Settling::Done { seq: of, state } => {
            assert_eq!((of, told.replace(state)), (seq, None), "it is told once");
            false
        }
        settling => settling == Settling::More,
    };
    let mut can_undo = false;
    for event in events {
        match event {
            Meanwhile::Execute(writes) => {
                batches.push(mixed(writes));
                execute(&mut store, batches.len() as u64, batches.last().unwrap());
                can_undo = true;
            }
            Meanwhile::Undo if can_undo => {
                batches.pop();
                assert_eq!(store.rollback_to(Seq(batches.len() as u64)), Ok(()));
                can_undo = false;
            }
            Meanwhile::Undo => {}
            Meanwhile::Return => {
                batches.truncate(before.len());
                assert_eq!(store.rollback_to(seq), Ok(()));
                can_undo = false;
            }
            Meanwhile::Settle => drop(settle(&mut store)),
        }
    }
    while settle(&mut store) {}
    let model = model_of(large_store, &batches[..before.len()]);
    assert_eq!(told, Some(is_kept_whole(&mut store, seq, model)));
    assert_eq!(store.root(), model_of(large_store, &batches).root());
}

#[test]
fn a_begun_checkpoint_that_is_gone_back_before_is_not_told() {
    let mut store = replay(large_store, &[operations(&[(1, vec![1])])]);
    store.checkpoint(Seq(1));
    execute(&mut store, 2, &operations(&[(2, vec![2])]));
    assert_eq!(store.begin_checkpoint(Seq(2)), None);
    assert_eq!(store.rollback_to(Seq(1)), Ok(()));
    assert_eq!(store.settle(), Settling::Nothing);
    assert_eq!(store.part_digests(Some(Seq(2))), None);
}

fn batches() -> impl Strategy<Value = Vec<Vec<Bytes>>> {
    let write = || (0u64..24, prop::collection::vec(any::<u8>(), 0..40));
    let batch = prop::collection::vec(write(), 0..5);
    prop::collection::vec(batch.prop_map(|writes| operations(&writes)), 0..8)
}

proptest! {
    #[test]
    fn a_store_goes_back_and_keeps_checkpoints_as_if_it_had_executed_nothing_else(
        events in prop::collection::vec(event(), 1..30),
    ) {
        check_history(store, &events);
    }

    #[test]
    fn a_begun_checkpoint_is_of_the_state_where_it_was_begun_whatever_follows(
        before in prop::collection::vec(writes(), 0..3),
        events in prop::collection::vec(meanwhile(), 0..12),
    ) {
        check_begun(&before, &events);
    }

    #[test]
    fn a_ledger_goes_back_and_keeps_checkpoints_as_if_it_had_executed_nothing_else(
        events in prop::collection::vec(event(), 1..30),
    ) {
        check_history(ledger, &events);
    }

    #[test]
    fn a_restored_store_has_the_peers_root_and_future_and_no_changed_part_gives_that_root(
        theirs in batches(), mine in batches(), later in batches(),
    ) {
        check_restore(store, &theirs, &mine, &later);
    }

    #[test]
    fn a_restored_ledger_has_the_peers_root_and_future_and_no_changed_part_gives_that_root(
        theirs in batches(), mine in batches(), later in batches(),
    ) {
        check_restore(ledger, &theirs, &mine, &later);
    }
}

#[test]
fn a_state_of_another_setup_is_refused_whole() {
    let mut peer = replay(store, &[operations(&[(1, vec![1])])]);
    let state = peer.checkpoint(Seq(1));
    let all = parts(&peer, Seq(1), state.leaves);
    let mut smaller = KvStore::new(Limits { keys_max: 8, ..LIMITS }, Permissions::default());
    let refused = smaller.restore(Seq(1), state, &all);
    assert_eq!(refused, Err(RestoreError::Shape { leaves: state.leaves }));
    let mut stricter = KvStore::new(LIMITS, Permissions::new(Allowed::GET));
    let rules = state.leaves as u32 - 1;
    let refused = stricter.restore(Seq(1), state, &all);
    assert!(matches!(refused, Err(RestoreError::Part { nth, .. }) if nth == rules));
    assert_eq!(stricter.keys(), 0);
}

#[test]
fn a_lease_keeps_an_old_checkpoint_while_the_store_goes_on() {
    let mut store = store();
    let mut state = None;
    for seq in 1..=20 {
        execute(&mut store, seq, &operations(&[(seq % 5, vec![seq as u8; 9])]));
        let at = store.checkpoint(Seq(seq));
        if seq == 4 {
            state = Some(at);
        }
        store.retain(Seq(seq.saturating_sub(2)), (seq > 4).then_some(Seq(4)));
    }
    let all = parts(&store, Seq(4), state.unwrap().leaves);
    let mut other = self::store();
    assert_eq!(other.restore(Seq(4), state.unwrap(), &all), Ok(()));
    store.retain(Seq(19), None);
    assert!(store.part(Seq(4), 0).is_none() && store.part(Seq(19), 0).is_some());
    assert_eq!(store.rollback_to(Seq(4)), Err(NotKept { seq: Seq(4) }));
}

#[test]
fn parts_of_a_large_store_hold_many_pages_each() {
    let limits = Limits { keys_max: 1 << 15, ..Limits::default() };
    let new = || KvStore::new(limits, Permissions::default());
    let mut peer = new();
    let writes: Vec<_> = (0..5000).map(|key| (key, vec![key as u8; 10])).collect();
    execute(&mut peer, 1, &operations(&writes));
    let state = peer.checkpoint(Seq(1));
    let cut = Cut::new(state.leaves).unwrap();
    assert!(u64::from(cut.parts()) < state.leaves / 2);
    execute(&mut peer, 2, &operations(&[(7, vec![1, 2, 3]), (90_000, vec![4])]));
    let mut other = new();
    let all = parts(&peer, Seq(1), state.leaves);
    assert_eq!(other.restore(Seq(1), state, &all), Ok(()));
    assert_eq!(other.keys(), 5000);
    assert_eq!(other.get(90_000), None);
}
