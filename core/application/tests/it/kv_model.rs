//! The key-value store against a plain map, under random histories.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use quorumark_application::kv::{KvStore, Limits, Operation, Outcome};
use quorumark_application::{Application, Permissions};
use quorumark_primitives::Digest;
use quorumark_primitives::wire::Encode;

use crate::{execute, execute_apart};

/// Few keys in few pages, so that operations meet.
const LIMITS: Limits = Limits { keys_max: 64, value_bytes_max: 400 };

/// An operation that owns its bytes, and what it means on a plain map.
#[derive(Clone, Debug)]
enum Step {
    Get(u64),
    Put(u64, Vec<u8>),
    CompareAndSwap(u64, Option<Vec<u8>>, Vec<u8>),
    Update(u64, u32, Vec<u8>),
    ReadModifyWrite(u64, u32, Vec<u8>),
}

impl Step {
    fn encoded(&self) -> Bytes {
        let operation = match self {
            Step::Get(key) => Operation::Get { key: *key },
            Step::Put(key, value) => Operation::Put { key: *key, value },
            Step::CompareAndSwap(key, expected, value) => {
                let expected = expected.as_deref();
                Operation::CompareAndSwap { key: *key, expected, value }
            }
            Step::Update(key, offset, patch) => {
                Operation::Update { key: *key, offset: *offset, patch }
            }
            Step::ReadModifyWrite(key, offset, patch) => {
                Operation::ReadModifyWrite { key: *key, offset: *offset, patch }
            }
        };
        operation.to_frame()
    }
}

/// What the store should be.
#[derive(Default)]
struct Model(BTreeMap<u64, Vec<u8>>);

impl Model {
    fn apply(&mut self, step: &Step) -> Bytes {
        match step {
            Step::Get(key) => self.read(*key),
            Step::Put(key, value) => self.write(*key, value),
            Step::CompareAndSwap(key, expected, value) if self.0.get(key) == expected.as_ref() => {
                self.write(*key, value)
            }
            Step::CompareAndSwap(..) => Outcome::Mismatch.to_frame(),
            Step::Update(key, offset, patch) => self.patch(*key, *offset as usize, patch),
            Step::ReadModifyWrite(key, offset, patch) => {
                let before = self.read(*key);
                let outcome = self.patch(*key, *offset as usize, patch);
                if outcome == Outcome::Done.to_frame() { before } else { outcome }
            }
        }
    }

    fn read(&self, key: u64) -> Bytes {
        self.0.get(&key).map_or(Outcome::Absent, |value| Outcome::Value(value)).to_frame()
    }

    fn write(&mut self, key: u64, value: &[u8]) -> Bytes {
        let old = self.0.insert(key, value.to_vec());
        let bytes: usize = self.0.values().map(Vec::len).sum();
        if bytes as u64 <= LIMITS.value_bytes_max {
            return Outcome::Done.to_frame();
        }
        match old {
            Some(old) => self.0.insert(key, old),
            None => self.0.remove(&key),
        };
        Outcome::Full.to_frame()
    }

    fn patch(&mut self, key: u64, offset: usize, patch: &[u8]) -> Bytes {
        let outcome = match self.0.get_mut(&key) {
            None => Outcome::Absent,
            Some(value) => match value.get_mut(offset..offset + patch.len()) {
                None => Outcome::OutOfRange,
                Some(part) => {
                    part.copy_from_slice(patch);
                    Outcome::Done
                }
            },
        };
        outcome.to_frame()
    }

    /// The root of a new store that is given nothing but the content, largest key first.
    fn root_from_scratch(&self) -> Digest {
        let put = |(&key, value): (&u64, &Vec<u8>)| Operation::Put { key, value }.to_frame();
        let puts: Vec<Bytes> = self.0.iter().rev().map(put).collect();
        let mut store = KvStore::new(LIMITS, Permissions::default());
        execute_apart(&mut store, 1, &puts);
        store.root()
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0u64..24;
    let value = || prop::collection::vec(0u8..3, 0..40);
    let short = || prop::collection::vec(0u8..3, 0..3);
    prop_oneof![
        key().prop_map(Step::Get),
        (key(), value()).prop_map(|(key, value)| Step::Put(key, value)),
        (key(), short()).prop_map(|(key, value)| Step::Put(key, value)),
        (key(), prop::option::of(short()), short())
            .prop_map(|(key, expected, value)| Step::CompareAndSwap(key, expected, value)),
        (key(), 0u32..40, short()).prop_map(|(key, at, patch)| Step::Update(key, at, patch)),
        (key(), 0u32..40, short())
            .prop_map(|(key, at, patch)| Step::ReadModifyWrite(key, at, patch)),
    ]
}

proptest! {
    #[test]
    fn every_history_answers_as_a_plain_map_and_keeps_the_root_from_scratch(
        batches in prop::collection::vec(prop::collection::vec(step(), 0..24), 1..16),
    ) {
        let mut store = KvStore::new(LIMITS, Permissions::default());
        let mut model = Model::default();
        for (nth, batch) in batches.iter().enumerate() {
            let operations: Vec<Bytes> = batch.iter().map(Step::encoded).collect();
            let expected: Vec<Bytes> = batch.iter().map(|step| model.apply(step)).collect();
            prop_assert_eq!(execute(&mut store, nth as u64 + 1, &operations), expected);
            prop_assert_eq!(store.root(), model.root_from_scratch());
        }
        let bytes: usize = model.0.values().map(Vec::len).sum();
        prop_assert_eq!((store.keys(), store.value_bytes()), (model.0.len(), bytes as u64));
    }

    #[test]
    fn replicas_that_execute_the_same_batches_agree_whenever_they_take_roots(
        batches in prop::collection::vec(prop::collection::vec(step(), 0..24), 1..16),
        interval in 1usize..8,
    ) {
        let mut eager = KvStore::new(LIMITS, Permissions::default());
        let mut lazy = KvStore::new(LIMITS, Permissions::default());
        for (nth, batch) in batches.iter().enumerate() {
            let operations: Vec<Bytes> = batch.iter().map(Step::encoded).collect();
            let seq = nth as u64 + 1;
            let results = execute(&mut eager, seq, &operations);
            prop_assert_eq!(execute_apart(&mut lazy, seq, &operations), results);
            let root = eager.root();
            if nth % interval == 0 {
                prop_assert_eq!(lazy.root(), root);
            }
        }
        prop_assert_eq!(lazy.root(), eager.root());
    }
}
