//! The ledger: each executed batch becomes a block, linked to the one before.

use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_consensus::types::{ClientId, Seq};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::merkle::{self, Rule, leaf_hash};
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};

use crate::Application;
use crate::permissions::{Allowed, Permissions};

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
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            0 => {
                Ok(Receipt::Included { height: u64::decode(reader)?, index: u32::decode(reader)? })
            }
            1 => Ok(Receipt::Forbidden),
            tag => Err(WireError::Tag { tag, of: "receipt" }),
        }
    }
}

/// A replicated ledger of opaque transactions.
///
/// An operation is a transaction's bytes, whatever they are. A batch with at least one transaction
/// becomes one block; one without (all repeats, or nothing allowed) leaves the ledger as it is.
///
/// What stays in memory is bounded: the head, the totals and the last [`HEADERS_MAX`] headers.
/// Transactions and older headers are dropped; the head's digest still binds them all.
#[derive(Debug)]
pub struct Ledger {
    permissions: Permissions,
    head: Digest,
    height: u64,
    transactions: u64,
    headers: VecDeque<Header>,
    /// Scratch: the leaves of the block being made.
    leaves: Vec<Digest>,
    executed: Seq,
}

impl Ledger {
    /// A ledger without blocks.
    pub fn new(permissions: Permissions) -> Ledger {
        Ledger {
            permissions,
            head: Digest::ZERO,
            height: 0,
            transactions: 0,
            headers: VecDeque::new(),
            leaves: Vec::new(),
            executed: Seq(0),
        }
    }

    /// The last block's digest, [`Digest::ZERO`] before the first.
    pub fn head(&self) -> Digest {
        self.head
    }

    /// The last block's height, 0 before the first.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// How many transactions stand in all blocks together.
    pub fn transactions(&self) -> u64 {
        self.transactions
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
        Receipt::Included { height: self.height + 1, index }.to_result()
    }

    /// Closes the block being made, if it has a transaction.
    fn seal(&mut self) {
        if self.leaves.is_empty() {
            return;
        }
        let header = Header {
            height: self.height + 1,
            previous: self.head,
            transactions_root: merkle::root(Rule::Rfc6962, &self.leaves),
            count: self.leaves.len() as u32,
        };
        self.transactions += self.leaves.len() as u64;
        self.leaves.clear();
        self.height = header.height;
        self.head = header.digest();
        if self.headers.len() == HEADERS_MAX {
            self.headers.pop_front();
        }
        self.headers.push_back(header);
    }
}

impl Application for Ledger {
    fn execute<'a>(
        &mut self,
        seq: Seq,
        operations: impl Iterator<Item = (ClientId, &'a Bytes)>,
        results: &mut Vec<Bytes>,
    ) {
        assert!(seq > self.executed, "{seq} after {}", self.executed);
        results.extend(operations.map(|(client, transaction)| self.append(client, transaction)));
        self.seal();
        self.executed = seq;
        assert!(self.leaves.is_empty(), "a block is left open after {seq}");
        assert!(self.headers.len() <= HEADERS_MAX, "{} headers", self.headers.len());
    }

    /// Over two leaves: the permissions, and the head with height and total.
    fn root(&mut self) -> Digest {
        let mut rules = b"quorumark/ledger".to_vec();
        self.permissions.encode(&mut rules);
        let mut state = self.head.to_frame().to_vec();
        self.height.encode(&mut state);
        self.transactions.encode(&mut state);
        let leaves = [&rules, &state].map(|leaf| leaf_hash(Rule::Rfc6962, leaf));
        merkle::root(Rule::Rfc6962, &leaves)
    }
}
