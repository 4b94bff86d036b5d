//! `merkle proof`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};
use quorumark_chain::{Block, Txid};
use quorumark_primitives::merkle::Rule;
use quorumark_report::units;

use super::notation::{WrittenProof, shown};
use super::read_block;
use crate::args::whole;
use crate::exit::Exit;
use crate::input;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Arguments of `merkle proof`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark merkle proof --block core/testdata/bitcoin/block413567.raw --index 5
  quorumark merkle proof --block core/testdata/bitcoin/block413567.raw --index 5 --out proof.json")]
#[command(group(ArgGroup::new("transaction").required(true).args(["tx", "index"])))]
pub(crate) struct ProofArgs {
    /// The block.
    #[arg(long, value_name = "FILE")]
    block: PathBuf,
    /// The transaction, by its id.
    #[arg(long, value_name = "TXID", allow_hyphen_values = true)]
    tx: Option<String>,
    /// The transaction, by its place in the block, from 0.
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
    index: Option<u64>,
    /// Write the proof as JSON, for `quorumark merkle verify`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the proof as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Prints the proof.
pub(crate) fn proof(args: &ProofArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let block = read_block(&args.block)?;
    let index = index(args, &block)?;
    let tree = block.tree();
    let proof = tree.proof(index as u64).context("the block has the transaction")?;
    let written = WrittenProof { proof, leaf: block.txids[index].0, root: tree.root() };
    written.proof.verify(&written.leaf, &written.root).context("a proof just made must verify")?;
    if let Some(out) = &args.out {
        write(out, &written)?;
    }
    if args.json {
        terminal.print_json(&written.to_json())?;
    } else {
        terminal.print(&text(&written, &block, terminal))?;
    }
    if let Some(out) = &args.out {
        terminal.note(&format!("proof: {}", out.display()));
    }
    Ok(Exit::Done)
}

/// The place of the transaction that was asked for.
fn index(args: &ProofArgs, block: &Block) -> Result<usize, Refused> {
    let count = block.txids.len();
    match (&args.tx, args.index) {
        (Some(text), _) => {
            let txid: Txid =
                text.parse().map_err(|error| Refused::new("--tx", error, "give 64 hex digits"))?;
            let found = block.txids.iter().position(|known| *known == txid);
            found.ok_or_else(|| {
                let problem = format!("{} has no transaction {txid}", args.block.display());
                Refused::new("--tx", problem, "look it up in another block")
            })
        }
        (None, index) => {
            let index = index.unwrap_or_default();
            let found = usize::try_from(index).ok().filter(|index| *index < count);
            found.ok_or_else(|| {
                let problem = format!("{index} is outside the block's {count} transactions");
                Refused::new("--index", problem, format!("choose 0 to {}", count - 1))
            })
        }
    }
}

fn write(out: &Path, proof: &WrittenProof) -> Result<(), Refused> {
    fs::write(out, format!("{:#}\n", proof.to_json())).map_err(|error| {
        let problem = format!("cannot be written: {}", input::system_words(&error));
        Refused::new(out.display(), problem, "choose another file with --out")
    })
}

fn text(written: &WrittenProof, block: &Block, terminal: &Terminal) -> String {
    let WrittenProof { proof, leaf, root } = written;
    let count = units::thousands(proof.leaf_count as f64);
    let hashes = proof.path.len();
    let mut pairs = vec![
        ("transaction", shown(Rule::Bitcoin, *leaf)),
        ("block", block.hash().to_string()),
        ("index", format!("{} of {count} transactions", proof.index)),
        ("path", format!("{hashes} hashes, from the leaf's sibling up")),
    ];
    pairs.extend(proof.path.iter().map(|node| ("", shown(Rule::Bitcoin, *node))));
    pairs.push(("root", format!("{}, equals the header's", shown(Rule::Bitcoin, *root))));
    pairs.push(("verdict", "the proof verifies".to_owned()));
    terminal.pairs(&pairs)
}
