//! `merkle`: roots and inclusion proofs of blocks and of lists of digests.

mod notation;
mod proof;
mod root;
mod verify;

use std::path::Path;

use clap::{Args, Subcommand};
use quorumark_chain::Block;
use quorumark_chain::block::BlockError;

use crate::exit::Exit;
use crate::input;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// The largest file that is read as a block: the chain crate's own bound is a little lower, and
/// its message better.
const BLOCK_FILE_BYTES_MAX: u64 = 16 << 20;

/// Arguments of `merkle`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = false)]
#[command(after_help = "\
Examples:
  quorumark merkle root --block core/testdata/bitcoin/block413567.raw
  quorumark merkle proof --block core/testdata/bitcoin/block413567.raw --index 5

A block is a file with its bytes, raw or as hex text, with or without the network's magic before
it. Under the bitcoin rule digests are written last byte first, as explorers show txids and roots;
under the other rules in the order of the hash function.")]
pub(crate) struct MerkleArgs {
    #[command(subcommand)]
    command: MerkleCommand,
}

#[derive(Debug, Subcommand)]
enum MerkleCommand {
    /// The root over a block's transactions, or over a list of digests
    Root(root::RootArgs),
    /// The proof that a transaction is in a block
    Proof(proof::ProofArgs),
    /// Check a proof against a root
    Verify(verify::VerifyArgs),
}

/// Does what was asked for.
pub(crate) fn merkle(args: &MerkleArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    match &args.command {
        MerkleCommand::Root(args) => root::root(args, terminal),
        MerkleCommand::Proof(args) => proof::proof(args, terminal),
        MerkleCommand::Verify(args) => verify::verify(args, terminal),
    }
}

/// The block in a file, whose header and transactions belong together.
fn read_block(path: &Path) -> Result<Block, Refused> {
    let bytes = input::read(path, "one block, raw or as hex", BLOCK_FILE_BYTES_MAX)?;
    let block = Block::from_file(&bytes).and_then(|block| block.check().map(|()| block));
    block.map_err(|error| {
        if let BlockError::Hex(error) = error {
            let problem = format!("is neither a raw block nor hex: {error}");
            return Refused::new(input::place(path), problem, "name a file with exactly one block");
        }
        let remedy = match error {
            BlockError::TooLarge { .. } | BlockError::Frame { .. } => {
                "name a file with exactly one block"
            }
            BlockError::MerkleRoot { .. }
            | BlockError::Mutated
            | BlockError::WitnessCommitment
            | BlockError::ProofOfWork { .. } => "the block was changed, fetch it again",
            _ => "the file is no whole block, fetch it again",
        };
        Refused::new(input::place(path), error, remedy)
    })
}
