//! Which keys have a table, within a budget of memory.

use std::collections::HashMap;

use super::lanes::Kernels;
use super::table::{KEY_WIDTH, Table};
use super::{PreparedKey, PublicKey};

/// Bytes of one key's table: 172 KiB.
pub const KEY_TABLE_BYTES: usize = Table::bytes(KEY_WIDTH);

/// Bytes that the tables of one verifier may take unless it is told otherwise: 139 keys.
pub const TABLE_BYTES_MAX: usize = 24 << 20;

/// Batches in which a key has to appear before it gets a table. A table costs as much as about
/// fifteen single verifications, so a key that is seen a few times is not worth one.
pub const TABLE_BATCHES: u32 = 16;

/// A table gives way to another only when it was not used for so many batches.
const IDLE_BATCHES: u64 = 4096;

/// The tables of keys that are seen often.
///
/// A key earns its table by appearing in [`TABLE_BATCHES`] batches. When the budget is used up, the
/// table that was idle for longest goes, if no batch of the last 4096 used it; otherwise the new
/// key goes without and is verified with the batch's equation. So a crowd of keys that take turns
/// cannot make a verifier build tables again and again.
#[derive(Debug)]
pub(super) struct KeyTables {
    bytes_max: usize,
    places: HashMap<PublicKey, u32>,
    held: Vec<Held>,
    batch: u64,
}

#[derive(Debug)]
struct Held {
    key: PublicKey,
    table: Table,
    used: u64,
}

impl KeyTables {
    /// No table yet, and room for `bytes_max` bytes of them.
    pub(super) fn new(bytes_max: usize) -> KeyTables {
        KeyTables { bytes_max, places: HashMap::new(), held: Vec::new(), batch: 0 }
    }

    /// Bytes of all tables held.
    pub(super) fn bytes(&self) -> usize {
        self.held.len() * KEY_TABLE_BYTES
    }

    /// Tells that a batch is over: places that were handed out may now change.
    pub(super) fn end_batch(&mut self) {
        self.batch += 1;
    }

    /// The place of a key's table, until the batch is over. `batches` says in how many batches the
    /// key has been.
    pub(super) fn place(
        &mut self,
        key: &PreparedKey,
        batches: u32,
        kernels: &Kernels,
    ) -> Option<u32> {
        if let Some(place) = self.places.get(key.public()) {
            self.held[*place as usize].used = self.batch;
            return Some(*place);
        }
        if batches < TABLE_BATCHES {
            return None;
        }
        let place = self.room()?;
        let table = Table::new(kernels, &key.negated_point(), KEY_WIDTH);
        let held = Held { key: *key.public(), table, used: self.batch };
        if place == self.held.len() {
            self.held.push(held);
        } else {
            let idle = core::mem::replace(&mut self.held[place], held);
            self.places.remove(&idle.key);
        }
        self.places.insert(*key.public(), place as u32);
        assert!(self.bytes() <= self.bytes_max, "tables keep within their budget");
        Some(place as u32)
    }

    /// The table at a place of this batch.
    pub(super) fn table(&self, place: u32) -> &Table {
        &self.held[place as usize].table
    }

    /// Where a new table may stand.
    fn room(&self) -> Option<usize> {
        if self.bytes() + KEY_TABLE_BYTES <= self.bytes_max {
            return Some(self.held.len());
        }
        let (place, idle) = self.held.iter().enumerate().min_by_key(|(_, held)| held.used)?;
        (self.batch - idle.used > IDLE_BATCHES).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ed25519::{SecretKey, backend};

    fn key(seed: u8) -> PreparedKey {
        PreparedKey::new(&SecretKey::from_seed(&[seed; 32]).public()).expect("it decompresses")
    }

    #[test]
    fn a_key_earns_its_table_and_an_idle_one_gives_way() {
        let kernels = backend().kernels();
        let mut tables = KeyTables::new(2 * KEY_TABLE_BYTES);
        assert_eq!(tables.place(&key(1), TABLE_BATCHES - 1, kernels), None, "not earned yet");
        assert_eq!(tables.place(&key(1), TABLE_BATCHES, kernels), Some(0));
        assert_eq!(tables.place(&key(2), TABLE_BATCHES, kernels), Some(1));
        assert_eq!(tables.place(&key(3), TABLE_BATCHES, kernels), None, "no memory");
        (0..IDLE_BATCHES).for_each(|_| tables.end_batch());
        assert_eq!(tables.place(&key(1), TABLE_BATCHES, kernels), Some(0), "used again");
        assert_eq!(tables.place(&key(3), TABLE_BATCHES, kernels), None, "nobody is idle enough");
        tables.end_batch();
        assert_eq!(tables.place(&key(3), TABLE_BATCHES, kernels), Some(1), "in place of key 2");
        assert_eq!(tables.place(&key(2), TABLE_BATCHES, kernels), None);
        assert_eq!(tables.place(&key(1), TABLE_BATCHES, kernels), Some(0));
        assert_eq!(tables.bytes(), 2 * KEY_TABLE_BYTES);
    }
}
