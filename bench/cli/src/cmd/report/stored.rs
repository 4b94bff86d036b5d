//! What stands in a folder: the run, sweep, comparison, tuning, objective or prediction that a
//! command left there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use quorumark_harness::date;
use quorumark_harness::sweep::{PLAN_FILE, Plan, Point as SweepPoint};
use quorumark_harness::tune::{SUMMARY_FILE, Summary};
use quorumark_report::compare::Comparison;
use quorumark_report::document::{Compared, Run};
use quorumark_report::prediction::Check;
use quorumark_report::{Document, Folded, Point, Record, RecordError, store};

use serde::de::DeserializeOwned;

use super::{slo, tuning};
use crate::cmd::compare::{self, COMPARISON_FILE};
use crate::cmd::predict::PREDICTION_FILE;
use crate::cmd::slo::SLO_FILE;
use crate::cmd::sweep;
use crate::input;
use crate::refused::Refused;

/// The largest result of a comparison or a search that is read.
const RESULT_BYTES_MAX: u64 = 16 << 20;

/// A document, read.
pub(super) enum Stored {
    /// A run.
    Run(Box<StoredRun>),
    /// A sweep, and the points that are finished, each with its record.
    Sweep(Plan, Vec<(SweepPoint, Record)>),
    /// A comparison, and the records that it is of, where they are still there.
    Comparison(Box<Comparison>, Option<Box<[Record; 2]>>),
    /// A tuning, and when it was written.
    Tuning(Box<Summary>, String),
    /// An objective, and when it was written.
    Slo(Box<slo::Kept>, String),
    /// Predictions held against live runs.
    Prediction(Box<Check>),
}

/// A record with what stands beside it in its folder.
pub(super) struct StoredRun {
    /// The record.
    pub(super) record: Record,
    /// Its time series.
    pub(super) series: Vec<Point>,
    /// Where it was found on a core, when it was sampled.
    pub(super) stacks: Option<Folded>,
}

/// The files that tell what a folder holds, in the order in which they are looked for.
const FILES: [&str; 6] =
    [store::RECORD_FILE, PLAN_FILE, COMPARISON_FILE, SUMMARY_FILE, SLO_FILE, PREDICTION_FILE];

impl Stored {
    /// What stands at `path`: a folder, or the file in it that tells what it holds.
    pub(super) fn read(path: &Path) -> anyhow::Result<Stored> {
        let (folder, file) = match file_of(path) {
            Some(file) => (path, file),
            None => {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                match FILES.into_iter().skip(1).find(|known| *known == name) {
                    Some(file) => (folder.unwrap_or(Path::new(".")), file),
                    None => (path, store::RECORD_FILE),
                }
            }
        };
        Ok(match file {
            PLAN_FILE => {
                let (plan, points) = sweep::stored(folder)?;
                Stored::Sweep(plan, points)
            }
            COMPARISON_FILE => {
                let (found, _) = read(&folder.join(COMPARISON_FILE), "a comparison", "compare")?;
                Stored::Comparison(Box::new(found), sides(folder)?.map(Box::new))
            }
            SUMMARY_FILE => {
                let (found, at) = read(&folder.join(SUMMARY_FILE), "a tuning", "tune")?;
                Stored::Tuning(Box::new(found), at)
            }
            SLO_FILE => {
                let (found, at) = read(&folder.join(SLO_FILE), "an objective", "slo")?;
                Stored::Slo(Box::new(found), at)
            }
            PREDICTION_FILE => {
                let path = folder.join(PREDICTION_FILE);
                let (found, _) = read(&path, "a checked prediction", "predict --check")?;
                Stored::Prediction(Box::new(found))
            }
            _ => Stored::Run(Box::new(StoredRun::read(path)?)),
        })
    }

    /// For the renderings.
    pub(super) fn document(&self) -> Document<'_> {
        match self {
            Stored::Run(run) => Document::Run(run.run()),
            Stored::Sweep(plan, points) => Document::Sweep(sweep::table(plan, points)),
            Stored::Comparison(found, records) => {
                let records = records.as_ref().map(|both| [&both[0], &both[1]]);
                Document::Comparison(Compared { found, records })
            }
            Stored::Tuning(summary, at) => Document::Tuning(tuning::of(summary, at)),
            Stored::Slo(kept, at) => Document::Slo(slo::of(kept, at)),
            Stored::Prediction(check) => Document::Prediction(check),
        }
    }

    /// Every record in it, with the folder below its own that it stands in.
    pub(super) fn records(&self) -> Vec<(PathBuf, &Record)> {
        match self {
            Stored::Run(run) => vec![(PathBuf::new(), &run.record)],
            Stored::Sweep(_, points) => {
                points.iter().map(|(point, record)| (point.folder().into(), record)).collect()
            }
            Stored::Comparison(_, records) => {
                let both = records.iter().flat_map(|both| ["a", "b"].iter().zip(both.iter()));
                both.map(|(side, record)| (side.into(), record)).collect()
            }
            // These keep no records: their measurements are too short to be quoted one by one.
            Stored::Tuning(..) | Stored::Slo(..) | Stored::Prediction(_) => Vec::new(),
        }
    }
}

impl StoredRun {
    fn read(path: &Path) -> Result<StoredRun, RecordError> {
        let record = Record::read(path)?;
        let (series, stacks) = (store::read_series(path)?, Folded::read(path)?);
        Ok(StoredRun { record, series, stacks })
    }

    fn run(&self) -> Run<'_> {
        Run { record: &self.record, series: &self.series, stacks: self.stacks.as_ref() }
    }
}

/// The file that tells what the folder at `path` holds; `None` where it holds nothing of ours.
fn file_of(path: &Path) -> Option<&'static str> {
    FILES.into_iter().find(|file| path.join(file).is_file())
}

/// The documents at `path`: itself; where it is none, those one folder below and, of folders that
/// hold documents as a tour's does, two below; by name.
pub(super) fn documents(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() || file_of(path).is_some() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for folder in folders_below(path)? {
        match file_of(&folder) {
            Some(_) => found.push(folder),
            None => {
                let below = folders_below(&folder)?;
                found.extend(below.into_iter().filter(|folder| file_of(folder).is_some()));
            }
        }
    }
    found.sort();
    if found.is_empty() {
        let problem = format!("holds no {}", store::RECORD_FILE);
        let remedy = "name a folder that `quorumark run --out` wrote";
        return Err(Refused::new(path.display(), problem, remedy).into());
    }
    Ok(found)
}

fn folders_below(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

/// The result that `command` wrote, and when it did.
fn read<T: DeserializeOwned>(
    path: &Path,
    what: &str,
    command: &str,
) -> Result<(T, String), Refused> {
    let text = input::read_text(path, what, RESULT_BYTES_MAX)?;
    let found = serde_json::from_str(&text).map_err(|error| {
        let remedy = format!("name a folder that `quorumark {command}` wrote");
        Refused::new(path.display(), format!("is not {what} ({error})"), remedy)
    })?;
    let written = fs::metadata(path).and_then(|file| file.modified());
    Ok((found, date::rfc3339(written.unwrap_or(SystemTime::UNIX_EPOCH))))
}

/// The records of both sides; `None` where one is not there.
fn sides(folder: &Path) -> Result<Option<[Record; 2]>, RecordError> {
    let [a, b] = ["a", "b"].map(|side| compare::side_folder(folder, side));
    match [&a, &b].iter().all(|side| side.join(store::RECORD_FILE).is_file()) {
        true => Ok(Some([Record::read(&a)?, Record::read(&b)?])),
        false => Ok(None),
    }
}
