//! `merkle root`.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{self, Rule};
use quorumark_report::units;
use serde_json::json;

use super::{notation, read_block};
use crate::exit::Exit;
use crate::input;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// The largest list of leaves that is read: about four million of them.
const LEAVES_BYTES_MAX: u64 = 256 << 20;

/// Arguments of `merkle root`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark merkle root --block core/testdata/bitcoin/block413567.raw
  quorumark merkle root --leaves leaves.txt --rule rfc6962")]
#[command(group(ArgGroup::new("input").required(true).args(["block", "leaves"])))]
pub(crate) struct RootArgs {
    /// A block: its root is computed from the transactions and held against the header.
    #[arg(long, value_name = "FILE")]
    block: Option<PathBuf>,
    /// Leaf hashes as hex, one a line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    leaves: Option<PathBuf>,
    /// How nodes are hashed: bitcoin, rfc6962 or blake3. A block's is bitcoin.
    #[arg(long, value_name = "RULE", conflicts_with = "block")]
    rule: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Prints the root.
pub(crate) fn root(args: &RootArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    match (&args.block, &args.leaves) {
        (Some(block), _) => of_block(block, args.json, terminal),
        (None, leaves) => {
            let rule = args.rule.as_deref().map_or(Ok(Rule::Bitcoin), str::parse);
            let rule = rule.map_err(|error: merkle::UnknownRule| {
                Refused::new("--rule", error, "choose one of them")
            })?;
            let leaves = leaves.as_deref().unwrap_or(Path::new("-"));
            of_leaves(rule, leaves, args.json, terminal)
        }
    }
}

fn of_block(path: &Path, as_json: bool, terminal: &Terminal) -> anyhow::Result<Exit> {
    // A root that differs from the header's is refused in there.
    let block = read_block(path)?;
    let root = block.header.merkle_root;
    if as_json {
        terminal.print_json(&json!({
            "root": root.to_string(),
            "equals_header": true,
            "block": block.hash().to_string(),
            "transactions": block.txids.len(),
        }))?;
    } else {
        terminal.print(&terminal.pairs(&[
            ("root", format!("{root}, equals the header's")),
            ("block", block.hash().to_string()),
            ("transactions", units::thousands(block.txids.len() as f64)),
        ]))?;
    }
    Ok(Exit::Done)
}

fn of_leaves(rule: Rule, path: &Path, as_json: bool, terminal: &Terminal) -> anyhow::Result<Exit> {
    let leaves = read_leaves(rule, path)?;
    let root = notation::shown(rule, merkle::root_parallel(rule, &leaves));
    if rule == Rule::Bitcoin && merkle::bitcoin_root_checked(&leaves).is_err() {
        let twice = "two equal siblings: a shorter list has the same root (CVE-2012-2459)";
        terminal.note(&format!("warning: {}: {twice}", input::place(path)));
    }
    if as_json {
        let document = json!({ "root": root, "rule": rule.name(), "leaves": leaves.len() });
        terminal.print_json(&document)?;
    } else {
        terminal.print(&terminal.pairs(&[
            ("root", root),
            ("rule", rule.name().to_owned()),
            ("leaves", units::thousands(leaves.len() as f64)),
        ]))?;
    }
    Ok(Exit::Done)
}

fn read_leaves(rule: Rule, path: &Path) -> Result<Vec<Digest>, Refused> {
    let what = "hex digests, one a line";
    let text = input::read_text(path, what, LEAVES_BYTES_MAX)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let leaf = |(number, line): (usize, &str)| {
        notation::digest(rule, line).map_err(|error| {
            let place = format!("{}:{number}", input::place(path));
            Refused::new(place, error, "write 64 hex digits a line")
        })
    };
    let leaves: Vec<Digest> = lines.map(leaf).collect::<Result<_, _>>()?;
    if leaves.is_empty() {
        let remedy = format!("name a file with {what}");
        return Err(Refused::new(input::place(path), "holds no leaves", remedy));
    }
    Ok(leaves)
}
