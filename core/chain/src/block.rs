//! Blocks as they stand in files and on the wire: read, taken apart, and held against their header.
//!
//! The `bitcoin` crate parses the transactions; the bytes of each are kept as they came, and the
//! Merkle root over the txids is ours. Reading a block checks its form alone; [`Block::check`]
//! checks that header and transactions belong together.

use core::ops::Range;

use bitcoin::Transaction;
use bitcoin::consensus::encode::{self, VarInt, deserialize_partial};
use bitcoin::hashes::Hash as _;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::sha256d;
use quorumark_primitives::merkle::{self, InclusionProof, Rule, Tree};
use thiserror::Error;

use crate::header::{HEADER_BYTES, Header};
use crate::hex::{self, HexError};
use crate::id::{BlockHash, MerkleRoot, Txid};
use crate::params::Params;
use crate::target::TargetError;

/// Most bytes of a block: no block of 4 million weight units is larger (BIP 141).
pub const BLOCK_BYTES_MAX: usize = 4_000_000;
/// Most bytes of a file with one block: its hex, and some white space.
const FILE_BYTES_MAX: usize = 9_000_000;
/// Bytes before a block in a file of frames: the network's magic and a length.
const FRAME_HEAD_BYTES: usize = 8;
/// Fewest bytes of a transaction: one input without script, one output without script.
const TRANSACTION_BYTES_MIN: usize = 60;
/// How an output with a witness commitment begins: OP_RETURN, a push of 36 bytes, and a tag
/// (BIP 141).
const COMMITMENT_PREFIX: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// Why bytes are not a block, or a block does not hold together.
#[derive(Debug, Error)]
pub enum BlockError {
    /// More bytes than any block has.
    #[error("{found} bytes, a block has at most {BLOCK_BYTES_MAX}")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// The bytes end inside the header or the number of transactions.
    #[error("{found} bytes end before the first transaction")]
    Truncated {
        /// Bytes found.
        found: usize,
    },
    /// The text is not hex.
    #[error("the block's hex is broken: {0}")]
    Hex(#[from] HexError),
    /// The block claims more transactions than its bytes could hold, or none.
    #[error("{found} transactions cannot stand in {bytes} bytes")]
    Count {
        /// Transactions claimed.
        found: u64,
        /// Bytes that are left for them.
        bytes: usize,
    },
    /// A transaction is not the encoding of one.
    #[error("transaction {index}: {source}")]
    Transaction {
        /// Its place in the block.
        index: usize,
        /// What is wrong with it.
        source: encode::Error,
    },
    /// The bytes end before a transaction does.
    #[error("the bytes end inside transaction {index}")]
    Cut {
        /// Its place in the block.
        index: usize,
    },
    /// Bytes follow the last transaction.
    #[error("{count} bytes follow the last transaction")]
    Trailing {
        /// Bytes left over.
        count: usize,
    },
    /// A frame's magic is that of no known network, or the frame is cut short.
    #[error("byte {offset}: no block frame of {network} begins here, or it is cut short")]
    Frame {
        /// Where the frame begins.
        offset: usize,
        /// The network whose magic was expected.
        network: &'static str,
    },
    /// The first transaction is no coinbase, or a later one is.
    #[error("transaction {index}: the first transaction, and no other, must be a coinbase")]
    Coinbase {
        /// Its place in the block.
        index: usize,
    },
    /// The transactions do not have the header's Merkle root.
    #[error("the transactions have Merkle root {found}, the header says {expected}")]
    MerkleRoot {
        /// Root of the transactions.
        found: MerkleRoot,
        /// Root in the header.
        expected: MerkleRoot,
    },
    /// Transactions were repeated at the end without changing the root (CVE-2012-2459).
    #[error("the last transactions are repeated, which does not change the Merkle root")]
    Mutated,
    /// The coinbase does not commit to the witnesses that are there.
    #[error("the coinbase does not commit to the block's witnesses (BIP 141)")]
    WitnessCommitment,
    /// The header's bits are no target.
    #[error("header: {0}")]
    Target(#[from] TargetError),
    /// The header's hash is above its target.
    #[error("hash {hash} does not meet the target of the header's bits")]
    ProofOfWork {
        /// The block's hash.
        hash: BlockHash,
    },
}

/// A block whose form is right: a header and whole transactions.
#[derive(Debug, Clone)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions' ids, in the block's order.
    pub txids: Vec<Txid>,
    bytes: Vec<u8>,
    transactions: Vec<Range<usize>>,
    witnesses: Witnesses,
}

/// What the block says about its witnesses.
#[derive(Debug, Clone, Default)]
struct Witnesses {
    /// Whether any transaction has one.
    present: bool,
    /// The hash of each transaction with its witnesses; zero for the coinbase (BIP 141).
    hashes: Vec<Digest>,
    /// The commitment in the coinbase's outputs: the last one counts.
    commitment: Option<Digest>,
    /// The coinbase's own witness, if it is one item of 32 bytes.
    reserved: Option<[u8; 32]>,
}

impl Block {
    /// Reads a block from its consensus encoding.
    ///
    /// # Errors
    /// [`BlockError`] when the bytes are not exactly one block whose first transaction is its only
    /// coinbase.
    pub fn parse(bytes: &[u8]) -> Result<Block, BlockError> {
        if bytes.len() > BLOCK_BYTES_MAX {
            return Err(BlockError::TooLarge { found: bytes.len() });
        }
        let truncated = BlockError::Truncated { found: bytes.len() };
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(truncated);
        };
        let Ok((VarInt(count), used)) = deserialize_partial(body) else {
            return Err(truncated);
        };
        let left = body.len() - used;
        if count == 0 || count > (left / TRANSACTION_BYTES_MIN) as u64 {
            return Err(BlockError::Count { found: count, bytes: left });
        }
        let mut block = Block {
            header: Header::decode(header),
            txids: Vec::with_capacity(count as usize),
            bytes: bytes.to_vec(),
            transactions: Vec::with_capacity(count as usize),
            witnesses: Witnesses::default(),
        };
        block.parse_transactions(HEADER_BYTES + used, count as usize)?;
        assert!(block.txids.len() == block.transactions.len(), "each transaction has its id");
        Ok(block)
    }

    /// Reads a block from a file's content: the consensus encoding, the same with a network's magic
    /// and length before it, or either as hex text.
    ///
    /// # Errors
    /// As [`Block::parse`], and [`BlockError::Hex`] for a text that is not all hex.
    pub fn from_file(content: &[u8]) -> Result<Block, BlockError> {
        if content.len() > FILE_BYTES_MAX {
            return Err(BlockError::TooLarge { found: content.len() });
        }
        let start = content.get(..HEADER_BYTES);
        // Two hashes stand in a block's first 80 bytes, which are therefore never all text.
        if start.is_some_and(|start| start.iter().all(is_text)) {
            return Block::from_binary(&hex::decode(content)?);
        }
        Block::from_binary(content)
    }

    fn from_binary(bytes: &[u8]) -> Result<Block, BlockError> {
        for params in [Params::mainnet(), Params::testnet3(), Params::regtest()] {
            if bytes.starts_with(&params.magic) {
                let frame = frames(bytes, &params).next();
                let block = frame.ok_or(BlockError::Truncated { found: bytes.len() })??;
                let count = bytes.len() - FRAME_HEAD_BYTES - block.len();
                if count > 0 {
                    return Err(BlockError::Trailing { count });
                }
                return Block::parse(block);
            }
        }
        Block::parse(bytes)
    }

    /// The block's hash.
    pub fn hash(&self) -> BlockHash {
        self.header.block_hash()
    }

    /// The consensus encoding, as it was read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of each transaction with its witnesses, as they stand in the block.
    pub fn transactions(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.transactions.iter().map(|range| &self.bytes[range.clone()])
    }

    /// The bytes of the first transaction, the one that pays the miner.
    pub fn coinbase(&self) -> &[u8] {
        let first = self.transactions.first().expect("a block was read with its coinbase");
        &self.bytes[first.clone()]
    }

    /// The Merkle root over the txids by Bitcoin's rule; [`Block::check`] compares it.
    ///
    /// # Errors
    /// [`BlockError::Mutated`] when the list of transactions has a shorter one with the same root.
    pub fn merkle_root(&self) -> Result<MerkleRoot, BlockError> {
        merkle::bitcoin_root_checked(&self.leaves())
            .map(MerkleRoot)
            .map_err(|_| BlockError::Mutated)
    }

    /// Whether header and transactions belong together and the work was done: the Merkle root, the
    /// witness commitment, and the hash against the header's own target. Whether that target is the
    /// right one, only the chain of headers can say.
    ///
    /// # Errors
    /// [`BlockError`]: the first rule that the block breaks.
    pub fn check(&self) -> Result<(), BlockError> {
        let (found, expected) = (self.merkle_root()?, self.header.merkle_root);
        if found != expected {
            return Err(BlockError::MerkleRoot { found, expected });
        }
        self.witnesses.check()?;
        if !self.header.meets_own_target()? {
            return Err(BlockError::ProofOfWork { hash: self.hash() });
        }
        Ok(())
    }

    /// The proof that a transaction is in the block, or `None` when it is not: `log2` of the number
    /// of transactions hashes, rounded up.
    pub fn proof(&self, txid: Txid) -> Option<InclusionProof> {
        let index = self.txids.iter().position(|id| *id == txid)?;
        self.tree().proof(index as u64)
    }

    /// The whole Merkle tree over the txids, for many proofs from one block.
    pub fn tree(&self) -> Tree {
        Tree::build(Rule::Bitcoin, self.leaves())
    }

    fn leaves(&self) -> Vec<Digest> {
        self.txids.iter().map(|txid| txid.0).collect()
    }

    fn parse_transactions(&mut self, start: usize, count: usize) -> Result<(), BlockError> {
        let mut at = start;
        for index in 0..count {
            let (transaction, used) = deserialize_partial::<Transaction>(&self.bytes[at..])
                .map_err(|source| match source {
                    // The decoder reads from memory: its only failure to read is the end.
                    encode::Error::Io(_) => BlockError::Cut { index },
                    source => BlockError::Transaction { index, source },
                })?;
            if transaction.is_coinbase() != (index == 0) {
                return Err(BlockError::Coinbase { index });
            }
            let txid = Txid(Digest(transaction.compute_txid().to_byte_array()));
            self.txids.push(txid);
            self.transactions.push(at..at + used);
            self.witnesses.read(&transaction, txid);
            at += used;
        }
        match self.bytes.len() - at {
            0 => Ok(()),
            count => Err(BlockError::Trailing { count }),
        }
    }
}

impl Witnesses {
    /// Takes what matters from the block's next transaction.
    fn read(&mut self, transaction: &Transaction, txid: Txid) {
        let has_witness = transaction.input.iter().any(|input| !input.witness.is_empty());
        self.present |= has_witness;
        if self.hashes.is_empty() {
            self.hashes.push(Digest::ZERO);
            self.read_coinbase(transaction);
        } else if has_witness {
            self.hashes.push(Digest(transaction.compute_wtxid().to_byte_array()));
        } else {
            self.hashes.push(txid.0);
        }
    }

    fn read_coinbase(&mut self, coinbase: &Transaction) {
        let scripts = coinbase.output.iter().rev().map(|output| output.script_pubkey.as_bytes());
        self.commitment = scripts
            .filter_map(|script| script.strip_prefix(&COMMITMENT_PREFIX))
            .find_map(|rest| rest.first_chunk::<32>().copied().map(Digest));
        let witness = coinbase.input.first().map(|input| &input.witness);
        self.reserved = witness
            .filter(|witness| witness.len() == 1)
            .and_then(|witness| witness.nth(0)?.try_into().ok());
    }

    /// BIP 141: without a commitment no transaction may have a witness; with one it is the double
    /// SHA-256 of the root over the hashes with witnesses, and the coinbase's own 32 bytes.
    fn check(&self) -> Result<(), BlockError> {
        match (self.commitment, self.reserved) {
            (None, _) if !self.present => Ok(()),
            (Some(commitment), Some(reserved)) => {
                let root = merkle::root(Rule::Bitcoin, &self.hashes);
                let expected = sha256d(&[root.0, reserved].concat());
                if commitment == expected { Ok(()) } else { Err(BlockError::WitnessCommitment) }
            }
            _ => Err(BlockError::WitnessCommitment),
        }
    }
}

/// The blocks of a file that holds them one after the other, each behind the network's magic and
/// its length (Bitcoin Core's `blk*.dat`). The blocks are not parsed. After an error nothing comes.
pub fn frames<'a>(
    bytes: &'a [u8],
    params: &Params,
) -> impl Iterator<Item = Result<&'a [u8], BlockError>> + use<'a> {
    let (magic, network) = (params.magic, params.name);
    let mut offset = 0;
    core::iter::from_fn(move || {
        let rest = bytes.get(offset..).filter(|rest| !rest.is_empty())?;
        let Some(block) = frame(rest, magic) else {
            let error = BlockError::Frame { offset, network };
            offset = bytes.len();
            return Some(Err(error));
        };
        offset += FRAME_HEAD_BYTES + block.len();
        Some(Ok(block))
    })
}

fn frame(bytes: &[u8], magic: [u8; 4]) -> Option<&[u8]> {
    let (length, rest) = bytes.strip_prefix(&magic)?.split_first_chunk::<4>()?;
    rest.get(..u32::from_le_bytes(*length) as usize)
}

fn is_text(byte: &u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}
