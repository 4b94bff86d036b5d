//! What criterion saved of a benchmark, as a record that can be compared.
//!
//! criterion calls its files private, so no more of them is read than is needed, and what has
//! changed its shape is refused: `sample.json` (iterations and times) and `benchmark.json` (the id)
//! of `target/criterion/<group>/<id>/<baseline>`, as criterion 0.5 to 0.8 write them.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::record::SCHEMA_VERSION;
use crate::store::{RecordError, read_bounded};
use crate::{Environment, Metrics, Provenance, Record, Sample, Verdict};

/// The file that tells a baseline of criterion from other folders.
const SAMPLE_FILE: &str = "sample.json";
const BENCHMARK_FILE: &str = "benchmark.json";

/// The figure of such a record: wall-clock time of an iteration, unless the benchmark measures
/// something else.
pub const TIME: &str = "time_ns";

/// Why a baseline of criterion could not be read.
#[derive(Debug, Error)]
pub enum CriterionError {
    /// A file could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file is not what criterion 0.5 to 0.8 write.
    #[error("{path}: is not as criterion 0.5 to 0.8 write it ({cause}); run the benchmark again")]
    Shape {
        /// The file.
        path: PathBuf,
        /// What was expected.
        cause: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

/// Sample i took `times[i]` nanoseconds for `iters[i]` iterations.
#[derive(Deserialize)]
struct Samples {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// Whether `folder` is a baseline that criterion saved.
pub fn is_baseline(folder: &Path) -> bool {
    folder.join(SAMPLE_FILE).exists() && folder.join(BENCHMARK_FILE).exists()
}

/// The baseline in `folder` as a record: its scenario is the benchmark's id, its samples have
/// [`TIME`] alone, and nothing is known of machine and build.
///
/// # Errors
/// [`CriterionError`], which names the file.
pub fn read(folder: &Path) -> Result<Record, CriterionError> {
    let benchmark: Benchmark = json(&folder.join(BENCHMARK_FILE))?;
    let saved: Samples = json(&folder.join(SAMPLE_FILE))?;
    let times: Vec<f64> = saved.times.iter().zip(&saved.iters).map(|(t, n)| t / n).collect();
    let samples = (0..).zip(&saved.times).zip(&times).map(|((index, whole), time)| Sample {
        index,
        duration_ns: *whole as u64,
        metrics: metrics(Some(*time)),
        cpu_share: None,
        contended: false,
        verdict: Verdict::Ok,
    });
    Ok(Record {
        schema_version: SCHEMA_VERSION,
        scenario: benchmark.full_id,
        config: serde_json::Map::new(),
        effective: serde_json::Map::new(),
        seed: 0,
        started_at: String::new(),
        environment: Environment::default(),
        provenance: Provenance::default(),
        verdict: Verdict::Ok,
        verdict_reason: None,
        oracle: IndexMap::new(),
        metrics: metrics(crate::stats::median(times.iter().copied())),
        intervals: IndexMap::new(),
        latency_spectrum: IndexMap::new(),
        stages: Vec::new(),
        samples: samples.collect(),
        warnings: Vec::new(),
        bottleneck: None,
        reproduce: "cargo bench".to_owned(),
    })
}

fn metrics(time_ns: Option<f64>) -> Metrics {
    let mut metrics = Metrics::new();
    metrics.set(TIME, time_ns);
    metrics
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, CriterionError> {
    let text = read_bounded(path)?;
    serde_json::from_str(&text)
        .map_err(|cause| CriterionError::Shape { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_has_a_sample_for_each_of_criterion_s() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        assert!(!is_baseline(dir.path()));
        write(BENCHMARK_FILE, r#"{"group_id":"g","full_id":"g/size=64","title":"t"}"#);
        write(SAMPLE_FILE, r#"{"sampling_mode":"Linear","iters":[10.0,20],"times":[500.0,900.0]}"#);
        assert!(is_baseline(dir.path()));
        let record = read(dir.path()).unwrap();
        assert_eq!(record.scenario, "g/size=64");
        let times: Vec<_> = record.samples.iter().map(|s| s.metrics.get(TIME)).collect();
        assert_eq!(times, [Some(50.0), Some(45.0)]);
        write(SAMPLE_FILE, r#"{"iterations":[1]}"#);
        let refused = read(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("is not as criterion 0.5 to 0.8 write it"), "{refused}");
    }
}
