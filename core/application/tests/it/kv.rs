//! The key-value store: semantics, permissions, bounds and roots.

use bytes::Bytes;
use proptest::prelude::*;
use quorumark_application::kv::{KvStore, Limits, Operation, Outcome, VALUE_BYTES_MAX};
use quorumark_application::{Allowed, Application, Permissions};
use quorumark_consensus::types::{ClientId, Seq};
use quorumark_primitives::wire::Encode;

use crate::{CLIENT, execute, execute_as};

const SMALL: Limits = Limits { keys_max: 256, value_bytes_max: 1 << 20 };

fn store() -> KvStore {
    KvStore::new(SMALL, Permissions::default())
}

fn put(key: u64, value: &[u8]) -> Bytes {
    Operation::Put { key, value }.to_frame()
}

fn get(key: u64) -> Bytes {
    Operation::Get { key }.to_frame()
}

#[track_caller]
fn assert_outcomes(results: &[Bytes], expected: &[Outcome<'_>]) {
    let outcomes: Vec<_> = results.iter().map(|bytes| Outcome::parse(bytes).unwrap()).collect();
    assert_eq!(outcomes, expected);
}

#[test]
fn osdi99_5_1_a_query_answers_as_an_execution_would_and_only_what_reads() {
    let allowed = Permissions::new(Allowed::ALL).with(ClientId(9), Allowed::PUT);
    let mut store = KvStore::new(SMALL, allowed);
    execute(&mut store, 1, &[put(1, b"one")]);
    let root = store.root();
    let asked = [(CLIENT, get(1)), (CLIENT, get(2)), (ClientId(9), get(1))];
    for (seq, (client, operation)) in (2..).zip(asked) {
        let answer = store.query(client, &operation);
        assert_eq!(answer.as_ref(), execute_as(&mut store, seq, client, &[operation]).first());
    }
    let patch = Operation::ReadModifyWrite { key: 1, offset: 0, patch: b"x" }.to_frame();
    for operation in [put(1, b"two"), patch, Bytes::from_static(b"no operation")] {
        assert_eq!(store.query(CLIENT, &operation), None);
    }
    assert_eq!(store.root(), root, "nothing was written");
}

#[test]
fn a_get_answers_what_was_put_last() {
    let batch = [get(1), put(1, b"one"), get(1), put(1, b""), get(1), get(2)];
    let results = execute(&mut store(), 1, &batch);
    use Outcome::{Absent, Done, Value};
    assert_outcomes(&results, &[Absent, Done, Value(b"one"), Done, Value(b""), Absent]);
}

#[test]
fn compare_and_swap_writes_only_where_the_expected_value_stands() {
    let swap = |expected, value| Operation::CompareAndSwap { key: 1, expected, value }.to_frame();
    let batch = [
        swap(Some(b""), b"a"),
        swap(None, b"a"),
        swap(None, b"b"),
        swap(Some(b"b"), b"c"),
        swap(Some(b"a"), b"b"),
        get(1),
    ];
    let results = execute(&mut store(), 1, &batch);
    use Outcome::{Done, Mismatch, Value};
    assert_outcomes(&results, &[Mismatch, Done, Mismatch, Mismatch, Done, Value(b"b")]);
}

#[test]
fn an_update_writes_within_the_value_and_a_read_modify_write_answers_the_value_before() {
    let update = |key, offset, patch| Operation::Update { key, offset, patch }.to_frame();
    let modify = |key, offset, patch| Operation::ReadModifyWrite { key, offset, patch }.to_frame();
    let batch = [
        update(1, 0, b""),
        modify(1, 0, b""),
        put(1, b"abcdef"),
        update(1, 2, b"XY"),
        modify(1, 4, b"ZZ"),
        modify(1, 5, b"too far"),
        update(1, u32::MAX, b"x"),
        update(1, 6, b""),
        get(1),
    ];
    let results = execute(&mut store(), 1, &batch);
    use Outcome::{Absent, Done, OutOfRange, Value};
    let values = [Value(b"abXYef"), OutOfRange, OutOfRange, Done, Value(b"abXYZZ")];
    assert_outcomes(&results[..4], &[Absent, Absent, Done, Done]);
    assert_outcomes(&results[4..], &values);
}

#[test]
fn a_result_keeps_its_value_when_the_key_is_written_again() {
    let mut store = store();
    let results = execute(&mut store, 1, &[put(1, b"before"), get(1)]);
    let patch = Operation::Update { key: 1, offset: 0, patch: b"a" }.to_frame();
    execute(&mut store, 2, &[patch, put(1, b"after")]);
    assert_outcomes(&results[1..], &[Outcome::Value(b"before")]);
}

#[test]
fn nothing_of_a_request_is_kept_but_a_copy() {
    let mut store = store();
    let operations: Vec<Bytes> = (0..64).map(|key| Operation::put_of_size(key, 256)).collect();
    let results = execute(&mut store, 1, &operations);
    assert!(operations.iter().all(Bytes::is_unique), "the store holds a view of a request");
    assert_eq!((results.len(), store.keys(), store.value_bytes()), (64, 64, 64 * 247));
}

#[test]
fn what_does_not_fit_is_full_and_changes_nothing() {
    let limits = Limits { keys_max: 2, value_bytes_max: 10 };
    let mut store = KvStore::new(limits, Permissions::default());
    use Outcome::{Done, Full, Value};
    let results = execute(&mut store, 1, &[put(1, b"12345"), put(2, b"12345")]);
    assert_outcomes(&results, &[Done, Done]);
    let root = store.root();
    let swap = Operation::CompareAndSwap { key: 1, expected: Some(b"12345"), value: b"123456" };
    let results = execute(&mut store, 2, &[put(3, b""), put(1, b"123456"), swap.to_frame()]);
    assert_outcomes(&results, &[Full, Full, Full]);
    assert_eq!(store.root(), root);
    let results = execute(&mut store, 3, &[put(1, b"1234"), put(2, b"123456"), get(2)]);
    assert_outcomes(&results, &[Done, Done, Value(b"123456")]);
    assert_eq!((store.keys(), store.value_bytes()), (2, 10));
}

#[test]
fn a_forbidden_operation_is_answered_and_changes_nothing() {
    let reader = ClientId(7);
    let permissions = Permissions::default().with(reader, Allowed::GET);
    let mut store = KvStore::new(SMALL, permissions);
    execute(&mut store, 1, &[put(1, b"value")]);
    let root = store.root();
    let batch = [
        put(1, b"x"),
        put(2, b"x"),
        Operation::CompareAndSwap { key: 1, expected: Some(b"value"), value: b"x" }.to_frame(),
        Operation::Update { key: 1, offset: 0, patch: b"x" }.to_frame(),
        Operation::ReadModifyWrite { key: 1, offset: 0, patch: b"x" }.to_frame(),
        get(1),
    ];
    let results = execute_as(&mut store, 2, reader, &batch);
    assert_outcomes(&results[..5], &[Outcome::Forbidden; 5]);
    assert_outcomes(&results[5..], &[Outcome::Value(b"value")]);
    assert_eq!(store.root(), root);
}

#[test]
fn limits_and_permissions_are_part_of_the_root() {
    let roots = [
        store().root(),
        KvStore::new(Limits { keys_max: 255, ..SMALL }, Permissions::default()).root(),
        KvStore::new(Limits { value_bytes_max: 1, ..SMALL }, Permissions::default()).root(),
        KvStore::new(SMALL, Permissions::new(Allowed::GET)).root(),
        KvStore::new(SMALL, Permissions::default().with(CLIENT, Allowed::NONE)).root(),
    ];
    for (nth, root) in roots.iter().enumerate() {
        assert!(!roots[..nth].contains(root), "store {nth} has the root of another");
    }
}

#[test]
fn every_change_of_a_single_key_changes_the_root() {
    let mut store = store();
    let fill: Vec<Bytes> = (0..200).map(|key| put(key, &[key as u8; 3])).collect();
    execute(&mut store, 1, &fill);
    let mut roots = vec![store.root()];
    for key in 0..200 {
        let patch = Operation::Update { key, offset: 2, patch: b"\xff" }.to_frame();
        execute(&mut store, 2 + key, &[patch]);
        roots.push(store.root());
    }
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), 201);
}

#[test]
fn the_order_of_writes_to_one_key_shows_in_the_root_and_that_of_others_does_not() {
    let root = |batch: &[Bytes]| {
        let mut store = store();
        execute(&mut store, 1, batch);
        store.root()
    };
    assert_ne!(root(&[put(1, b"a"), put(1, b"b")]), root(&[put(1, b"b"), put(1, b"a")]));
    assert_eq!(root(&[put(1, b"a"), put(2, b"b")]), root(&[put(2, b"b"), put(1, b"a")]));
}

#[test]
#[should_panic(expected = "s3 after s3")]
fn a_sequence_number_that_does_not_rise_is_a_bug() {
    let mut store = store();
    execute(&mut store, 3, &[]);
    execute(&mut store, 3, &[]);
}

#[test]
fn a_value_above_the_bound_is_malformed() {
    let largest = vec![7; VALUE_BYTES_MAX];
    let longer = vec![7; VALUE_BYTES_MAX + 1];
    let results = execute(&mut store(), 1, &[put(1, &largest), put(1, &longer)]);
    assert_outcomes(&results, &[Outcome::Done, Outcome::Malformed]);
}

proptest! {
    #[test]
    fn bytes_that_are_no_operation_are_malformed_and_change_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        tag in 0u8..8,
    ) {
        let mut hostile = bytes;
        if let Some(first) = hostile.first_mut() {
            *first = tag;
        }
        let mut store = store();
        execute(&mut store, 1, &[put(1, b"value")]);
        let root = store.root();
        let parsed = Operation::parse(&hostile).is_ok();
        let results = execute(&mut store, 2, &[Bytes::from(hostile.clone())]);
        let outcome = Outcome::parse(&results[0]).unwrap();
        prop_assert_eq!(outcome == Outcome::Malformed, !parsed);
        if let Ok(operation) = Operation::parse(&hostile) {
            prop_assert_eq!(operation.to_frame(), hostile, "an operation has one spelling");
        } else {
            prop_assert_eq!(store.root(), root);
        }
    }

    #[test]
    fn a_cut_or_lengthened_operation_never_passes_for_a_read(key: u64, extra in 1usize..9) {
        let whole = get(key);
        let mut results = Vec::new();
        let long = Bytes::from([&whole[..], &[0; 8][..extra]].concat());
        let short = whole.slice(..9 - extra);
        let operations = [&long[..], &short].map(|operation| (CLIENT, operation));
        store().execute(Seq(1), &Bytes::new(), operations.into_iter(), &mut results);
        assert_outcomes(&results, &[Outcome::Malformed; 2]);
    }
}
