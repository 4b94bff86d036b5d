//! Workloads: what clients ask for, drawn from a seed before the run.
//!
//! A [`Workload`] is a table of encoded operations. Request `i` of a run carries entry
//! `i mod length`, under a timestamp of its own, so every request is distinct, making one costs an
//! index, and whoever knows the seed can say afterwards what each request must have been.

mod numbers;
mod plan;
mod state;
pub mod ycsb;
pub mod zipfian;

use bytes::Bytes;
use quorumark_application::kv::Operation;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use self::numbers::{NUMBERS_MAX, Numbers};
pub use self::plan::{Plan, Shares};
pub use self::state::{State, StateMachine};
use self::ycsb::Ycsb;
use crate::fixture;

/// The names of all workloads; the first is the default.
pub const NAMES: [&str; 6] = ["fixed", "ycsb-a", "ycsb-b", "ycsb-c", "ycsb-f", "block413567"];

/// The most bytes of the operations of the workload `fixed`.
const FIXED_TABLE_BYTES: usize = 8 << 20;
/// The most operations, and so keys, of the workload `fixed`.
const FIXED_KEYS_MAX: usize = 4096;

/// The operations of a run, and the state that replicas begin with.
#[derive(Debug, Clone)]
pub struct Workload {
    operations: Vec<Bytes>,
    state: State,
}

impl Workload {
    /// The workload `name`, drawn from `seed`; `payload` is the size of the operations of `fixed`
    /// in bytes, the others have their own. `None` when no workload has the name.
    ///
    /// # Panics
    /// When `payload` is not a size that [`Operation::put_of_size`] makes.
    pub fn named(name: &str, payload: usize, seed: u64) -> Option<Workload> {
        let workload = match name {
            "fixed" => fixed(payload, seed),
            "block413567" => block_413567(),
            _ => of_ycsb(&Ycsb::core(name.strip_prefix("ycsb-")?.chars().next()?)?, seed),
        };
        assert!(!workload.operations.is_empty(), "{name} has operations");
        Some(workload)
    }

    /// The operation of request `i`.
    #[inline]
    pub fn operation(&self, i: u64) -> &Bytes {
        &self.operations[(i % self.operations.len() as u64) as usize]
    }

    /// Whether operation `i` only reads.
    #[inline]
    pub fn only_reads(&self, i: u64) -> bool {
        let reads =
            |operation: &Bytes| matches!(Operation::parse(operation), Ok(Operation::Get { .. }));
        // The ledger has no operation that reads, whatever its bytes would mean to the store.
        !matches!(self.state, State::Ledger) && reads(self.operation(i))
    }

    /// Whether any operation only reads.
    pub fn has_reads(&self) -> bool {
        (0..self.operations.len() as u64).any(|i| self.only_reads(i))
    }

    /// Operations before they repeat.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Mean size of an operation, in bytes.
    pub fn operation_bytes_mean(&self) -> f64 {
        let bytes: usize = self.operations.iter().map(Bytes::len).sum();
        bytes as f64 / self.operations.len() as f64
    }

    /// What every replica begins with.
    pub fn state(&self) -> &State {
        &self.state
    }
}

/// Puts of exactly `payload` bytes to keys drawn from `seed`.
fn fixed(payload: usize, seed: u64) -> Workload {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = (FIXED_TABLE_BYTES / payload).clamp(1, FIXED_KEYS_MAX);
    let put = |_| Operation::put_of_size(random.next_u64(), payload);
    Workload { operations: (0..count).map(put).collect(), state: State::Empty(count) }
}

fn of_ycsb(workload: &Ycsb, seed: u64) -> Workload {
    let state = State::Records(workload.load_phase(seed).into());
    Workload { operations: workload.operations(seed.wrapping_add(1)), state }
}

/// The block's transactions, in order.
fn block_413567() -> Workload {
    let operations = fixture::block_413567().transactions().map(Bytes::copy_from_slice).collect();
    Workload { operations, state: State::Ledger }
}

/// A uniform number from `[0, 1)`, with 53 random bits.
pub(crate) fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_workload_is_the_same_from_the_same_seed() {
        for name in NAMES {
            let one = Workload::named(name, 512, 3).unwrap();
            let two = Workload::named(name, 512, 3).unwrap();
            let other = Workload::named(name, 512, 4).unwrap();
            let all = |workload: &Workload| {
                (0..workload.len() as u64)
                    .map(|i| workload.operation(i).clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(all(&one), all(&two), "{name}");
            // The transactions of the block are what they are.
            assert_eq!(all(&one) == all(&other), name == "block413567", "{name}");
        }
        assert!(Workload::named("ycsb-z", 512, 3).is_none());
        assert!(Workload::named("fix", 512, 3).is_none());
    }

    #[test]
    fn only_some_workloads_have_reads() {
        for (name, has) in NAMES.into_iter().zip([false, true, true, true, true, false]) {
            assert_eq!(Workload::named(name, 512, 3).unwrap().has_reads(), has, "{name}");
        }
    }

    #[test]
    fn fixed_operations_have_the_payload_s_size() {
        for payload in [16, 512, 16 << 10] {
            let workload = Workload::named("fixed", payload, 1).unwrap();
            assert!((0..10_000).all(|i| workload.operation(i).len() == payload));
            assert!(workload.len() * payload <= FIXED_TABLE_BYTES.max(payload));
        }
    }

    #[test]
    fn the_block_gives_its_1557_transactions_in_order_and_begins_again() {
        let workload = Workload::named("block413567", 512, 1).unwrap();
        assert_eq!(workload.len(), 1557);
        let bytes: usize = (0..1557).map(|i| workload.operation(i).len()).sum();
        // The header has 80 bytes, the number of transactions 3.
        assert_eq!(bytes + 80 + 3, fixture::BLOCK_413567.len());
        assert_eq!(workload.operation(1557), workload.operation(0));
    }
}
