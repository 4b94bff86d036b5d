//! How digests and proofs are written: digests by the custom of their rule, proofs as JSON.

use std::path::Path;

use quorumark_chain::hex::{self, HexError};
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{InclusionProof, PATH_LENGTH_MAX, Rule};
use serde_json::{Value, json};

use crate::input;
use crate::refused::Refused;

/// The largest proof that is read; the longest path needs 3 kB.
const PROOF_BYTES_MAX: u64 = 1 << 16;

/// A digest under `rule`: Bitcoin's are shown last byte first.
pub(super) fn shown(rule: Rule, digest: Digest) -> String {
    let mut bytes = digest.0;
    if rule == Rule::Bitcoin {
        bytes.reverse();
    }
    hex::encode(&bytes)
}

/// Reads what [`shown`] writes.
pub(super) fn digest(rule: Rule, text: &str) -> Result<Digest, HexError> {
    let mut bytes = hex::decode_array::<32>(text)?;
    if rule == Rule::Bitcoin {
        bytes.reverse();
    }
    Ok(Digest(bytes))
}

/// A digest given by flag.
pub(super) fn digest_flag(rule: Rule, flag: &str, text: &str) -> Result<Digest, Refused> {
    digest(rule, text).map_err(|error| Refused::new(flag, error, "give 64 hex digits"))
}

/// A proof with the leaf and the root that it is about.
#[derive(Debug)]
pub(super) struct WrittenProof {
    pub(super) proof: InclusionProof,
    pub(super) leaf: Digest,
    pub(super) root: Digest,
}

impl WrittenProof {
    /// As one JSON object.
    pub(super) fn to_json(&self) -> Value {
        let rule = self.proof.rule;
        let path: Vec<String> = self.proof.path.iter().map(|node| shown(rule, *node)).collect();
        json!({
            "rule": rule.name(),
            "leaf": shown(rule, self.leaf),
            "root": shown(rule, self.root),
            "leaf_count": self.proof.leaf_count,
            "index": self.proof.index,
            "path": path,
        })
    }

    /// Reads what [`WrittenProof::to_json`] makes.
    pub(super) fn read(file: &Path) -> Result<WrittenProof, Refused> {
        let text = input::read_text(file, "a proof as JSON", PROOF_BYTES_MAX)?;
        let parsed = serde_json::from_str(&text).map_err(|error| error.to_string());
        parsed.and_then(|document| WrittenProof::from_json(&document)).map_err(|problem| {
            let problem = format!("is no proof: {problem}");
            let remedy = "make one with `quorumark merkle proof --out FILE`";
            Refused::new(input::place(file), problem, remedy)
        })
    }

    fn from_json(document: &Value) -> Result<WrittenProof, String> {
        let text = |name| {
            let value = document.get(name).and_then(Value::as_str);
            value.ok_or_else(|| format!("{name} is missing or no text"))
        };
        let number = |name| {
            let value = document.get(name).and_then(Value::as_u64);
            value.ok_or_else(|| format!("{name} is missing or no whole number"))
        };
        let rule: Rule = text("rule")?.parse().map_err(|error| format!("{error}"))?;
        let digest =
            |name: &str, text: &str| digest(rule, text).map_err(|error| format!("{name}: {error}"));
        let siblings = document.get("path").and_then(Value::as_array);
        let siblings = siblings.ok_or("path is missing or no list")?;
        if siblings.len() > PATH_LENGTH_MAX {
            return Err(format!("path has {} digests, at most {PATH_LENGTH_MAX}", siblings.len()));
        }
        let sibling = |value: &Value| {
            let text = value.as_str().ok_or("path holds what is no text")?;
            digest("path", text)
        };
        let proof = InclusionProof {
            rule,
            leaf_count: number("leaf_count")?,
            index: number("index")?,
            path: siblings.iter().map(sibling).collect::<Result<_, String>>()?,
        };
        let leaf = digest("leaf", text("leaf")?)?;
        Ok(WrittenProof { proof, leaf, root: digest("root", text("root")?)? })
    }
}
