//! The folder of a sweep: its plan, and a folder for each point that is finished.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use quorumark_harness::Run;
use quorumark_harness::sweep::{PLAN_FILE, Plan, Point};
use quorumark_report::{Record, store};

use crate::input;
use crate::out::default_path;
use crate::refused::Refused;

/// The largest plan that is read.
const PLAN_BYTES_MAX: u64 = 4 << 20;

/// An open sweep.
pub(super) struct SweepFolder {
    path: PathBuf,
}

impl SweepFolder {
    /// The folder at `out`, made where it is missing and gone on with where it holds `plan`; a new
    /// one where none is named.
    pub(super) fn open(out: Option<&Path>, plan: &Plan) -> anyhow::Result<SweepFolder> {
        let path = match out {
            Some(out) => out.to_owned(),
            None => default_path(&format!("sweep-{}", plan.scenario)),
        };
        if path.join(PLAN_FILE).exists() {
            let begun = read_plan(&path)?;
            let shard = (begun.shard != plan.shard).then_some("the shard");
            if let Some(difference) = begun.difference(plan).or(shard) {
                let problem = format!("holds another sweep: it differs in {difference}");
                let remedy = "give the command that began it, or another --out";
                return Err(Refused::new(path.display(), problem, remedy).into());
            }
            return Ok(SweepFolder { path });
        }
        let used = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
        if used {
            let problem = "is not empty and holds no sweep";
            return Err(Refused::new(path.display(), problem, "choose another --out").into());
        }
        SweepFolder::create(&path, plan)
    }

    /// A new folder with a plan.
    pub(super) fn create(path: &Path, plan: &Plan) -> anyhow::Result<SweepFolder> {
        let text = serde_json::to_string_pretty(plan)? + "\n";
        let file = path.join(PLAN_FILE);
        let written = fs::create_dir_all(path).and_then(|()| fs::write(&file, text));
        written.with_context(|| format!("{} cannot be written", file.display()))?;
        Ok(SweepFolder { path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The record of a point, where it is finished.
    pub(super) fn record_of(&self, point: &Point) -> anyhow::Result<Option<Record>> {
        let folder = self.path.join(point.folder());
        match folder.join(store::RECORD_FILE).exists() {
            true => Ok(Some(Record::read(&folder)?)),
            false => Ok(None),
        }
    }

    /// Keeps what a point gave. Its folder appears whole or not at all, whenever the program ends.
    pub(super) fn keep(&self, point: &Point, run: &Run) -> anyhow::Result<()> {
        let (folder, beside) = self.places(point);
        discard(&beside)?;
        run.write(&beside)?;
        fs::rename(&beside, &folder).with_context(|| folder.display().to_string())
    }

    /// Takes over a point that another folder holds.
    pub(super) fn take(&self, point: &Point, from: &SweepFolder) -> anyhow::Result<()> {
        let (folder, beside) = self.places(point);
        let copied = || -> io::Result<()> {
            discard(&beside)?;
            fs::create_dir_all(&beside)?;
            for entry in fs::read_dir(from.path.join(point.folder()))? {
                let entry = entry?;
                fs::copy(entry.path(), beside.join(entry.file_name()))?;
            }
            fs::rename(&beside, &folder)
        };
        copied().with_context(|| folder.display().to_string())
    }

    /// Where a point's folder is, and where it is filled.
    fn places(&self, point: &Point) -> (PathBuf, PathBuf) {
        let name = point.folder();
        (self.path.join(&name), self.path.join(format!(".{name}.part")))
    }
}

/// Removes what an earlier end of the program left half written.
fn discard(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The plan that a folder holds.
pub(super) fn read_plan(folder: &Path) -> Result<Plan, Refused> {
    let path = folder.join(PLAN_FILE);
    let text = input::read_text(&path, "the plan of a sweep", PLAN_BYTES_MAX)?;
    let refused = |problem: String| {
        Refused::new(path.display(), problem, "name a folder that `quorumark sweep --out` wrote")
    };
    let plan: Plan = serde_json::from_str(&text)
        .map_err(|error| refused(format!("is not the plan of a sweep ({error})")))?;
    let values = plan.axes.iter().all(|axis| !axis.values.is_empty());
    if !values || !(1..=plan.shard.of).contains(&plan.shard.index) {
        return Err(refused("is not the plan of a sweep (it has no such points)".to_owned()));
    }
    // A file may hold what no command line makes: more points than are counted, a parameter twice.
    let Plan { schema_version, scenario, shared, axes, shard } = plan;
    let plan = Plan::new(&scenario, shared, axes, shard);
    let plan = plan.map_err(|error| refused(format!("is not the plan of a sweep ({error})")))?;
    Ok(Plan { schema_version, ..plan })
}

/// The folder at a path that holds a plan.
pub(super) fn existing(path: &Path) -> Result<(SweepFolder, Plan), Refused> {
    let plan = read_plan(path)?;
    Ok((SweepFolder { path: path.to_owned() }, plan))
}

/// The plan at a path, and its points that are finished.
pub(in crate::cmd) fn stored(path: &Path) -> anyhow::Result<(Plan, Vec<(Point, Record)>)> {
    let (folder, plan) = existing(path)?;
    let mut points = Vec::new();
    for point in plan.points() {
        if let Some(record) = folder.record_of(&point)? {
            points.push((point, record));
        }
    }
    Ok((plan, points))
}
