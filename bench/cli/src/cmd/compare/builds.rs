//! Two builds in turn: each trial is a run of the one program or the other.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::Context;
use quorumark_harness::{Origin, Phase, Progress, RunError, pairs, run_arguments};
use quorumark_report::{Record, merged::merged};

use super::live::{Plan, Planned};
use super::side_folder;
use crate::input;
use crate::interrupt;
use crate::progress::ProgressLine;
use crate::refused::Refused;

/// Measures pair by pair into folders below `folder`; the two records hold a sample a pair.
pub(super) fn run(
    plan: &Plan,
    folder: &Path,
    progress: &ProgressLine,
) -> anyhow::Result<[Record; 2]> {
    let this = env::current_exe().context("this program cannot be found on the disk")?;
    let programs = plan.sides.each_ref().map(|side| side.binary.as_ref().unwrap_or(&this));
    let count = u32::try_from(plan.shared.integer("repeat")).unwrap_or(u32::MAX);
    let seed = plan.shared.integer("seed");
    let mut records: [Vec<Record>; 2] = Default::default();
    for (pair, a_first) in (0..).zip(pairs::a_is_first(count, seed)) {
        let mut measured: [Option<Record>; 2] = [None, None];
        for (place, side) in (0..).zip(if a_first { [0, 1] } else { [1, 0] }) {
            progress.phase(Phase::Trial { index: 2 * pair + place, of: 2 * count });
            let out = side_folder(folder, ["a", "b"][side]).join(format!("{:03}", pair + 1));
            let trial =
                Trial { program: programs[side], out: &out, seed: seed.wrapping_add(pair.into()) };
            match trial.run(plan, &plan.sides[side]) {
                // Ctrl-C goes to whom we started as well, and to us.
                _ if interrupt::interrupted() => return whole(records, folder),
                record => measured[side] = Some(record?),
            }
        }
        for (records, record) in records.iter_mut().zip(measured) {
            records.extend(record);
        }
    }
    whole(records, folder)
}

/// The records of both sides, written into the folder of each.
fn whole(records: [Vec<Record>; 2], folder: &Path) -> anyhow::Result<[Record; 2]> {
    let [a, b] = records.map(|records| merged(&records));
    let (Some(a), Some(b)) = (a, b) else { return Err(RunError::Interrupted.into()) };
    for (record, side) in [(&a, "a"), (&b, "b")] {
        record.write(&side_folder(folder, side))?;
    }
    Ok([a, b])
}

/// The program at `path`, which exists: what is wrong with it is told before anything is measured.
pub(super) fn program(path: &Path) -> Result<PathBuf, Refused> {
    fs::canonicalize(path).map_err(|error| {
        let problem = format!("cannot be run: {}", input::system_words(&error));
        Refused::new(path.display(), problem, "name a build of quorumark")
    })
}

/// One run of one program.
struct Trial<'a> {
    program: &'a Path,
    out: &'a Path,
    seed: u64,
}

impl Trial<'_> {
    fn run(&self, plan: &Plan, side: &Planned) -> anyhow::Result<Record> {
        let name = plan.scenario.spec().name;
        let mut parameters = side.parameters.clone();
        let ours = Origin::Flag("compare".to_owned());
        parameters.set("repeat", "1", ours.clone())?;
        parameters.set("seed", &self.seed.to_string(), ours)?;
        let mut command = Command::new(self.program);
        command.args(run_arguments(name, &parameters));
        command.args(["--json", "--quiet", "--no-progress", "--out"]).arg(self.out);
        let output = command.stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("{} cannot be run", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.trim().is_empty() {
            return Err(self.nothing(&output));
        }
        Ok(Record::from_json(&text, self.program)?)
    }

    /// Why a program left no record, by its own last words.
    fn nothing(&self, output: &Output) -> anyhow::Error {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it said nothing").to_owned();
        let code =
            output.status.code().map_or("a signal".to_owned(), |code| format!("code {code}"));
        anyhow::anyhow!("{} ended with {code} and no record: {last}", self.program.display())
    }
}
