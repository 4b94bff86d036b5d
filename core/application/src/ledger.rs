//! The ledger: each executed batch becomes a block, linked to the one before.

use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_consensus::parts::{Cut, StateRoot, append_leaf};
use quorumark_consensus::types::{ClientId, Seq};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::merkle::{self, Rule, leaf_hash};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};

use crate::history::{History, Undo};
use crate::permissions::{Allowed, Permissions};
use crate::{Application, NotKept, RestoreError};

/// Leaves of a ledger's state; each is a part of its own.
const LEAVES: u64 = 2;

/// The most headers that a ledger keeps; the oldest goes first.
pub const HEADERS_MAX: usize = 4096;

/// The head of one block: it binds the transactions, their order and all blocks before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Its place in the ledger; the first block has 1.
    pub height: u64,
    /// [`Header::digest`] of the block before, [`Digest::ZERO`] for the first.
    pub previous: Digest,
    /// The Merkle root over the transactions' bytes (RFC 6962).
    pub transactions_root: Digest,
    /// How many transactions the block has; never 0.
    pub count: u32,
}

impl Header {
    /// The digest that the next block links to.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(b"quorumark/ledger-block");
        hash.update(&self.height.to_le_bytes());
        hash.update(&self.previous.0);
        hash.update(&self.transactions_root.0);
        hash.update(&self.count.to_le_bytes());
        hash.finish()
    }
}

/// What the ledger answers to one transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// It stands in a block.
    Included {
        /// The block's height.
        height: u64,
        /// Its place in the block, from 0.
        index: u32,
    },
    /// The client may not append; the transaction stands in no block.
    Forbidden,
}

impl Receipt {
    /// The encoding in a buffer of its exact size: there is one for each transaction.
    fn to_result(self) -> Bytes {
        let mut result = Vec::with_capacity(1 + 8 + 4);
        self.encode(&mut result);
        Bytes::from(result)
    }
}

impl Encode for Receipt {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Receipt::Included { height, index } => {
                out.push(0);
                height.encode(out);
                index.encode(out);
            }
            Receipt::Forbidden => out.push(1),
        }
    }
}

impl Decode for Receipt {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            0 => {
                Ok(Receipt::Included { height: u64::decode(reader)?, index: u32::decode(reader)? })
            }
            1 => Ok(Receipt::Forbidden),
            tag => Err(WireError::Tag { tag, of: "receipt" }),
        }
    }
}

fn cut() -> Cut {
    Cut::new(LEAVES).expect("two leaves are few")
}

/// What the state is, besides the permissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Totals {
    head: Digest,
    height: u64,
    transactions: u64,
}

impl Encode for Totals {
    fn encode(&self, out: &mut Vec<u8>) {
        self.head.encode(out);
        self.height.encode(out);
        self.transactions.encode(out);
    }
}

impl Decode for Totals {
    const SIZE_MIN: usize = 32 + 8 + 8;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Totals {
            head: Digest::decode(reader)?,
            height: u64::decode(reader)?,
            transactions: u64::decode(reader)?,
        })
    }
}

impl Undo for Totals {
    /// Not told: there is one entry a batch, and it is small.
    fn written_before(&self) -> u64 {
        0
    }
}

/// A replicated ledger of opaque transactions.
///
/// An operation is a transaction's bytes, whatever they are. A batch with at least one transaction
/// becomes one block; one without (all repeats, or nothing allowed) leaves the ledger as it is.
///
/// What stays in memory is bounded: the head, the totals and the last [`HEADERS_MAX`] headers.
/// Transactions and older headers are dropped; the head's digest still binds them all. The headers
/// are no part of the state, since nothing that is executed reads them and the head binds them: a
/// restored ledger has those of the blocks that it executes itself, after the restored head.
#[derive(Debug)]
pub struct Ledger {
    permissions: Permissions,
    totals: Totals,
    headers: VecDeque<Header>,
    history: History<Totals>,
    /// Scratch: the leaves of the block being made.
    leaves: Vec<Digest>,
    executed: Seq,
}

impl Ledger {
    /// A ledger without blocks.
    pub fn new(permissions: Permissions) -> Ledger {
        Ledger {
            permissions,
            totals: Totals { head: Digest::ZERO, height: 0, transactions: 0 },
            headers: VecDeque::new(),
            history: History::new(Seq(0)),
            leaves: Vec::new(),
            executed: Seq(0),
        }
    }

    /// The last block's digest, [`Digest::ZERO`] before the first.
    pub fn head(&self) -> Digest {
        self.totals.head
    }

    /// The last block's height, 0 before the first.
    pub fn height(&self) -> u64 {
        self.totals.height
    }

    /// How many transactions stand in all blocks together.
    pub fn transactions(&self) -> u64 {
        self.totals.transactions
    }

    /// The headers that are kept, by rising height; the last is the head's.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = &Header> {
        self.headers.iter()
    }

    /// Takes one transaction into the block being made.
    fn append(&mut self, client: ClientId, transaction: &[u8]) -> Bytes {
        if !self.permissions.allow(client, Allowed::APPEND) {
            return Receipt::Forbidden.to_result();
        }
        let index = self.leaves.len() as u32;
        self.leaves.push(leaf_hash(Rule::Rfc6962, transaction));
        Receipt::Included { height: self.totals.height + 1, index }.to_result()
    }

    /// Closes the block being made, if it has a transaction.
    fn seal(&mut self) {
        if self.leaves.is_empty() {
            return;
        }
        self.history.note(self.totals, 0);
        let header = Header {
            height: self.totals.height + 1,
            previous: self.totals.head,
            transactions_root: merkle::root(Rule::Rfc6962, &self.leaves),
            count: self.leaves.len() as u32,
        };
        self.totals.transactions += self.leaves.len() as u64;
        self.leaves.clear();
        self.totals.height = header.height;
        self.totals.head = header.digest();
        if self.headers.len() == HEADERS_MAX {
            self.headers.pop_front();
        }
        self.headers.push_back(header);
    }

    /// The two leaves of the state: the permissions, and the totals.
    fn state_leaves(&self, totals: Totals) -> [Bytes; 2] {
        let mut rules = b"quorumark/ledger".to_vec();
        self.permissions.encode(&mut rules);
        [Bytes::from(rules), totals.to_frame()]
    }

    fn digests(&self, totals: Totals) -> Vec<Digest> {
        self.state_leaves(totals).iter().map(|leaf| leaf_hash(Rule::Rfc6962, leaf)).collect()
    }

    /// Reads what parts say of the totals.
    fn read_parts(&self, parts: &[(u32, Bytes)]) -> Result<Totals, RestoreError> {
        let [rules, _] = self.state_leaves(self.totals);
        let mut totals = self.totals;
        for (nth, part) in parts {
            let read = cut().read(*nth, part).and_then(|leaves| match (nth, leaves.first()) {
                (0, Some(leaf)) if *leaf == rules => Ok(()),
                (1, Some(leaf)) => Totals::from_frame(leaf).map(|read| totals = read),
                _ => Err(WireError::NotCanonical { of: "part" }),
            });
            read.map_err(|error| RestoreError::Part { nth: *nth, error })?;
        }
        Ok(totals)
    }
}

impl Application for Ledger {
    fn execute<'a>(
        &mut self,
        seq: Seq,
        _: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    ) {
        assert!(seq > self.executed, "{seq} after {}", self.executed);
        self.history.begin(self.executed, seq);
        results.extend(operations.map(|(client, transaction)| self.append(client, transaction)));
        self.seal();
        self.executed = seq;
        assert!(self.leaves.is_empty(), "a block is left open after {seq}");
        assert!(self.headers.len() <= HEADERS_MAX, "{} headers", self.headers.len());
    }

    /// Over two leaves: the permissions, and the head with height and total.
    fn root(&mut self) -> Digest {
        merkle::root(Rule::Rfc6962, &self.digests(self.totals))
    }

    fn checkpoint(&mut self, seq: Seq) -> StateRoot {
        self.history.mark(seq);
        self.history.keep(seq, self.digests(self.totals));
        StateRoot { root: self.root(), leaves: LEAVES }
    }

    fn part_digests(&mut self, at: Option<Seq>) -> Option<(u64, Vec<Digest>)> {
        let digests = match at {
            Some(seq) => self.history.parts(seq)?.to_vec(),
            None => self.digests(self.totals),
        };
        Some((LEAVES, digests))
    }

    fn part(&self, seq: Seq, nth: u32) -> Option<Bytes> {
        let kept = self.history.kept(seq)?;
        // The oldest totals noted since are those that the checkpoint had.
        let totals = self.history.since(kept).last().unwrap_or(&self.totals);
        let leaves = self.state_leaves(*totals);
        let mut part = Vec::new();
        append_leaf(leaves.get(nth as usize)?, &mut part);
        Some(Bytes::from(part))
    }

    fn retain(&mut self, from: Seq, leased: Option<Seq>) {
        self.history.retain(from, leased);
    }

    fn rollback_to(&mut self, seq: Seq) -> Result<(), NotKept> {
        if seq == self.executed {
            return Ok(());
        }
        let undone = self.history.unwind(seq).ok_or(NotKept { seq })?;
        if let Some(oldest) = undone.last() {
            self.totals = oldest;
        }
        while self.headers.back().is_some_and(|header| header.height > self.totals.height) {
            self.headers.pop_back();
        }
        self.executed = seq;
        Ok(())
    }

    fn restore(
        &mut self,
        seq: Seq,
        state: StateRoot,
        parts: &[(u32, Bytes)],
    ) -> Result<(), RestoreError> {
        if state.leaves != LEAVES {
            return Err(RestoreError::Shape { leaves: state.leaves });
        }
        let totals = self.read_parts(parts)?;
        let found = merkle::root(Rule::Rfc6962, &self.digests(totals));
        if found != state.root {
            return Err(RestoreError::Root { found });
        }
        self.history.begin_restore(self.executed, seq);
        if totals != self.totals {
            self.headers.clear();
            self.history.replaced(self.totals);
        }
        self.totals = totals;
        self.history.mark(seq);
        self.history.keep(seq, self.digests(totals));
        self.executed = seq;
        Ok(())
    }
}
