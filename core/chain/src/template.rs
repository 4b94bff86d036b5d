//! A block to be mined, and its extra nonce.
//!
//! When all 2^32 nonces of a header are used up, a few bytes of the coinbase transaction's input
//! script are changed. That changes its txid and, through the hashes beside the way from the first
//! leaf to the root, the Merkle root: `log2` of the number of transactions hashes for a whole new
//! range of nonces.

use core::ops::Range;

use bitcoin::Transaction;
use bitcoin::consensus::encode;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::sha256d;
use quorumark_primitives::merkle::{Rule, Tree};
use thiserror::Error;

use crate::block::Block;
use crate::header::Header;
use crate::id::{BlockHash, MerkleRoot, Txid};
use crate::miner::SolvedHeader;

/// Most bytes of an extra nonce.
pub const EXTRA_NONCE_BYTES_MAX: usize = 8;
/// Bytes of an extra nonce that is placed in a block read from a file, if the script has as many.
const EXTRA_NONCE_BYTES: usize = 4;
/// Where the input script of a coinbase without witness begins: 4 bytes of version, the number of
/// inputs, 36 bytes of outpoint, and one byte of script length (at most 100 by consensus).
const SCRIPT_START: usize = 4 + 1 + 36 + 1;

/// Why a block cannot be mined with an extra nonce.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// The bytes are no transaction.
    #[error("the coinbase: {0}")]
    Transaction(#[from] encode::Error),
    /// The transaction is no coinbase, or has its witness with it.
    #[error("the coinbase must have one input, from nothing, and come without its witness")]
    NotCoinbase,
    /// The extra nonce does not lie in the coinbase's input script.
    #[error(
        "an extra nonce of 1 to {EXTRA_NONCE_BYTES_MAX} bytes at {start}..{end} does not lie in \
         the coinbase's input script at {script_start}..{script_end}"
    )]
    ExtraNonce {
        /// First byte of the extra nonce.
        start: usize,
        /// Byte behind the extra nonce.
        end: usize,
        /// First byte of the script.
        script_start: usize,
        /// Byte behind the script.
        script_end: usize,
    },
}

/// A block to be mined: a header, a coinbase transaction with room for an extra nonce, and the
/// hashes that lead from it to the Merkle root.
#[derive(Debug, Clone)]
pub struct Template {
    header: Header,
    coinbase: Vec<u8>,
    extra_nonce: Range<usize>,
    siblings: Vec<Digest>,
}

/// A template with one extra nonce filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The header, with the Merkle root of this coinbase.
    pub header: Header,
    /// The coinbase transaction, without witness.
    pub coinbase: Vec<u8>,
}

/// A mined block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolvedBlock {
    /// The header, with the nonce that meets its target.
    pub header: Header,
    /// The header's hash.
    pub hash: BlockHash,
    /// The extra nonce in the coinbase.
    pub extra_nonce: u64,
    /// The coinbase transaction, without witness.
    pub coinbase: Vec<u8>,
}

impl Template {
    /// A template of `header` (its Merkle root and nonce do not matter), the coinbase transaction
    /// without witness, the bytes of it that are the extra nonce (little-endian), and the txids of
    /// all other transactions.
    ///
    /// # Errors
    /// [`TemplateError`] when the bytes are no such transaction, or the extra nonce does not lie in
    /// its input script.
    pub fn new(
        header: Header,
        coinbase: Vec<u8>,
        extra_nonce: Range<usize>,
        others: &[Txid],
    ) -> Result<Template, TemplateError> {
        let transaction: Transaction = encode::deserialize(&coinbase)?;
        // The witness form has a zero byte where the number of inputs stands.
        if !transaction.is_coinbase() || coinbase[4] != 1 {
            return Err(TemplateError::NotCoinbase);
        }
        let script_end = SCRIPT_START + transaction.input[0].script_sig.len();
        let fits = (1..=EXTRA_NONCE_BYTES_MAX).contains(&extra_nonce.len());
        if !fits || extra_nonce.start < SCRIPT_START || extra_nonce.end > script_end {
            return Err(TemplateError::ExtraNonce {
                start: extra_nonce.start,
                end: extra_nonce.end,
                script_start: SCRIPT_START,
                script_end,
            });
        }
        let siblings = siblings(others);
        Ok(Template { header, coinbase, extra_nonce, siblings })
    }

    /// A template that mines a block anew. The extra nonce takes the last four bytes of the
    /// coinbase's input script, or all of a shorter one.
    ///
    /// # Errors
    /// As [`Template::new`], when the script is empty.
    pub fn of_block(block: &Block) -> Result<Template, TemplateError> {
        let mut coinbase: Transaction = encode::deserialize(block.coinbase())?;
        coinbase.input.iter_mut().for_each(|input| input.witness.clear());
        let script = coinbase.input.first().map_or(0, |input| input.script_sig.len());
        let end = SCRIPT_START + script;
        let extra_nonce = end - script.min(EXTRA_NONCE_BYTES)..end;
        let others = block.txids.get(1..).unwrap_or_default();
        Template::new(block.header, encode::serialize(&coinbase), extra_nonce, others)
    }

    /// The largest extra nonce that fits its bytes.
    pub fn extra_nonce_max(&self) -> u64 {
        let bits = 8 * self.extra_nonce.len() as u32;
        assert!((1..=64).contains(&bits), "an extra nonce has 1 to 8 bytes");
        u64::MAX >> (64 - bits)
    }

    /// The template with this extra nonce; bytes that do not fit are cut off.
    pub fn candidate(&self, extra_nonce: u64) -> Candidate {
        let mut coinbase = self.coinbase.clone();
        let bytes = extra_nonce.to_le_bytes();
        coinbase[self.extra_nonce.clone()].copy_from_slice(&bytes[..self.extra_nonce.len()]);
        // The coinbase is the first leaf, so that at every level it is the left of two.
        let root = self
            .siblings
            .iter()
            .fold(sha256d(&coinbase), |left, right| sha256d(&[left.0, right.0].concat()));
        Candidate { header: Header { merkle_root: MerkleRoot(root), ..self.header }, coinbase }
    }
}

impl Candidate {
    /// The block with the nonce that was found.
    pub(crate) fn solved(self, extra_nonce: u64, solved: SolvedHeader) -> SolvedBlock {
        let header = Header { nonce: solved.nonce, ..self.header };
        assert!(header.block_hash() == solved.hash, "the hash is that of the header handed out");
        SolvedBlock { header, hash: solved.hash, extra_nonce, coinbase: self.coinbase }
    }
}

/// The hashes beside the way from the first leaf to the root; they do not depend on that leaf.
fn siblings(others: &[Txid]) -> Vec<Digest> {
    let leaves = core::iter::once(Digest::ZERO).chain(others.iter().map(|txid| txid.0)).collect();
    let proof = Tree::build(Rule::Bitcoin, leaves).proof(0);
    proof.expect("a tree with a coinbase has a first leaf").path
}
