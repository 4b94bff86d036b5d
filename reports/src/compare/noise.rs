//! What equal sides differed by on this machine: learned from A/A comparisons, kept in a file.
//!
//! The samples of one comparison say how much they vary among themselves; what they cannot say is
//! how much a whole comparison of equal sides may be off, by where memory happens to lie or which
//! neighbour woke up. So each comparison of equal sides leaves its changes here, and later ones of
//! its kind count nothing as a change that is no larger than the largest of the last
//! [`REMEMBERED`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Comparison;
use super::judge::PAIRS_MIN;
use crate::Record;
use crate::store::{FILE_BYTES_MAX, system_words};

/// The name of the file.
pub const NOISE_FILE: &str = "noise-floors.json";

/// Comparisons of one kind that count; older ones are forgotten.
pub const REMEMBERED: usize = 20;

/// Entries of all kinds that are kept; the oldest go first.
const ENTRIES_MAX: usize = 2000;

/// What is known of the noise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloors {
    /// One entry a comparison and metric, the oldest first.
    entries: Vec<Entry>,
}

/// What makes comparisons alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    scenario: String,
    hostname: Option<String>,
    cpu_model: Option<String>,
    cores: u32,
    /// Cargo profile of the build.
    profile: String,
    /// Length of a trial.
    duration: Option<String>,
    /// Trials a side.
    repeat: usize,
    /// Whether the sides were measured in turn.
    interleaved: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    kind: Kind,
    metric: String,
    change_share: f64,
}

/// Why the file could not be read or written.
#[derive(Debug, Error)]
pub enum NoiseError {
    /// It is not what it should be.
    #[error("{path}: is not a file of noise floors ({cause}); delete it, it is learned again")]
    Shape {
        /// The file.
        path: PathBuf,
        /// What was expected.
        cause: serde_json::Error,
    },
    /// The system refused.
    #[error("{path}: {}; make it readable and writable, or delete it", system_words(.cause))]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl Kind {
    /// The kind of a comparison of records like `record`.
    pub fn of(record: &Record, interleaved: bool) -> Kind {
        let machine = &record.environment;
        Kind {
            scenario: record.scenario.clone(),
            hostname: machine.hostname.clone(),
            cpu_model: machine.cpu_model.clone(),
            cores: machine.cores,
            profile: record.provenance.profile.clone(),
            duration: record.config.get("duration").and_then(|d| d.as_str()).map(str::to_owned),
            repeat: record.samples.len(),
            interleaved,
        }
    }
}

impl NoiseFloors {
    /// Reads what `path` holds; nothing is known where there is no such file.
    ///
    /// # Errors
    /// [`NoiseError`].
    pub fn read(path: &Path) -> Result<NoiseFloors, NoiseError> {
        let system = |cause| NoiseError::System { path: path.to_owned(), cause };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(system(error)),
            Ok(file) if file.len() > FILE_BYTES_MAX => {
                return Err(system(io::Error::other("is too large")));
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(path).map_err(system)?;
        let shape = |cause| NoiseError::Shape { path: path.to_owned(), cause };
        serde_json::from_str(&text).map_err(shape)
    }

    /// Writes to `path`, whose folder is made where it is missing. Whoever reads it meanwhile sees
    /// the file before or after, never a part.
    ///
    /// # Errors
    /// [`NoiseError::System`].
    pub fn write(&self, path: &Path) -> Result<(), NoiseError> {
        let text = serde_json::to_string_pretty(self)
            .expect("entries have text keys only, and writing to memory does not fail");
        let beside = path.with_extension("json.new");
        let folder = path.parent().unwrap_or(Path::new(""));
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&beside, text + "\n"))
            .and_then(|()| fs::rename(&beside, path));
        written.map_err(|cause| NoiseError::System { path: path.to_owned(), cause })
    }

    /// By metric, the largest change that comparisons of `kind` showed between equal sides.
    pub fn learned(&self, kind: &Kind) -> IndexMap<String, f64> {
        let mut floors: IndexMap<String, Vec<f64>> = IndexMap::new();
        for entry in self.entries.iter().rev().filter(|entry| entry.kind == *kind) {
            let known = floors.entry(entry.metric.clone()).or_default();
            if known.len() < REMEMBERED {
                known.push(entry.change_share);
            }
        }
        let largest = |known: Vec<f64>| known.into_iter().fold(0.0, f64::max);
        floors.into_iter().map(|(metric, known)| (metric, largest(known))).collect()
    }

    /// Learns from a comparison of equal sides that had enough samples; `false` for any other.
    pub fn learn(&mut self, comparison: &Comparison, kind: &Kind) -> bool {
        let enough = comparison.metrics.iter().all(|m| m.pairs as usize >= PAIRS_MIN);
        if !comparison.equal_sides || !enough {
            return false;
        }
        for metric in &comparison.metrics {
            if let Some(change) = metric.change_share.filter(|change| change.is_finite()) {
                // A change and its inverse are equally far.
                let change_share = change.ln_1p().abs().exp_m1();
                let (kind, metric) = (kind.clone(), metric.metric.clone());
                self.entries.push(Entry { kind, metric, change_share });
            }
        }
        let forgotten = self.entries.len().saturating_sub(ENTRIES_MAX);
        self.entries.drain(..forgotten);
        true
    }
}
