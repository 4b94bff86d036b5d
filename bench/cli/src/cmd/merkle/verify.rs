//! `merkle verify`.

use std::path::PathBuf;

use clap::Args;
use quorumark_primitives::merkle::ProofError;
use serde_json::json;

use super::notation::{WrittenProof, digest_flag, shown};
use crate::exit::Exit;
use crate::terminal::Terminal;

/// Arguments of `merkle verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark merkle verify --proof proof.json --root 64a50c649fc816baaa2effda230c39cacf1504e4e616a2863685b72aaa7dce05

The root must come from somewhere that you trust, such as a header that you checked: a forged
proof brings a root of its own. Exit code 0: it verifies; 13: it does not; 2: it is no proof.")]
pub(crate) struct VerifyArgs {
    /// The proof, as `quorumark merkle proof --out` writes it; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    proof: PathBuf,
    /// The root that you trust.
    #[arg(long, value_name = "HEX", allow_hyphen_values = true)]
    root: String,
    /// The leaf, such as a txid [default: the one that the proof names].
    #[arg(long, value_name = "HEX", allow_hyphen_values = true)]
    leaf: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Says whether the proof holds.
pub(crate) fn verify(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let written = WrittenProof::read(&args.proof)?;
    let rule = written.proof.rule;
    let root = digest_flag(rule, "--root", &args.root)?;
    let leaf = args.leaf.as_deref().map(|text| digest_flag(rule, "--leaf", text));
    let leaf = leaf.transpose()?.unwrap_or(written.leaf);
    let problem = written.proof.verify(&leaf, &root).err().map(|error| match error {
        ProofError::Root { found } => format!("path leads to the root {}", shown(rule, found)),
        other => other.to_string(),
    });
    let verifies = problem.is_none();
    if args.json {
        terminal.print_json(&json!({ "verifies": verifies, "problem": problem }))?;
    } else {
        let verdict = match problem {
            None => "the proof verifies".to_owned(),
            Some(problem) => format!("the proof does not verify: {problem}"),
        };
        terminal.print(&terminal.pairs(&[
            ("leaf", shown(rule, leaf)),
            ("root", shown(rule, root)),
            ("verdict", verdict),
        ]))?;
    }
    Ok(if verifies { Exit::Done } else { Exit::Rejected })
}
