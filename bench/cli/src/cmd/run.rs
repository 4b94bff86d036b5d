//! `run`: one scenario, measured; a record left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use quorumark_harness::{
    Host, ParameterSet, RUNS_DIRECTORY, Run, Scenario, default_directory, scenario,
};
use quorumark_report::{Verdict, store, terminal as rendering};

use crate::exit::{self, Exit};
use crate::input;
use crate::interrupt;
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;

/// What stands below the flags of `run`.
const AFTER_HELP: &str = "\
A run takes longer than its trials. Each trial of a pipeline is a fresh cluster: with auth=signature
its requests are signed beforehand, as many as the machine could ever answer within --warmup and
--duration, and the floor is measured before the first trial and after the last, 1.4 s each. Other
scenarios make their inputs once, and check the answers at the end. A trial is at least 1ms long.";

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RunArgs {
    /// What to measure, such as pbft/pipeline; `quorumark list` names all.
    scenario: String,
    #[command(flatten)]
    settings: SettingArgs,
    /// Folder for the record, of this run alone [default: a new one under quorumark-runs].
    #[arg(long, value_name = "DIR", env = "QUORUMARK_OUT", hide_env = true)]
    out: Option<PathBuf>,
    /// Print the record as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Measures, writes the record, prints it.
pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let scenario = scenario::find(&args.scenario)?;
    let parameters = args.settings.resolve(scenario)?;
    if let Some(out) = &args.out {
        refuse_parent(out)?;
        make_folder(out)?;
    }
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let progress = ProgressLine::or_lines(terminal, scenario.spec().name);
    let run = measure(scenario, &parameters, interrupt, &progress)?;
    drop(progress);
    let folder = args.out.clone().unwrap_or_else(|| default_directory(&run));
    let written = run.write(&folder);
    if args.json {
        terminal.print(&run.record.to_json())?;
    } else {
        terminal.print(&rendering::record(&run.record, terminal.style()))?;
    }
    terminal.note(&format!("record: {}", written?.display()));
    Ok(exit_of(&run))
}

/// Runs `scenario`; `progress` hears how it gets on.
pub(crate) fn measure(
    scenario: &dyn Scenario,
    parameters: &ParameterSet,
    interrupt: &AtomicBool,
    progress: &ProgressLine,
) -> anyhow::Result<Run> {
    let host = Host {
        interrupt,
        progress,
        allocator: crate::ALLOCATOR_NAME,
        tool_version: env!("CARGO_PKG_VERSION"),
    };
    Ok(quorumark_harness::run(scenario, parameters, host)?)
}

/// A record beside folders of other runs would hide them from `report`.
fn refuse_parent(folder: &Path) -> Result<(), Refused> {
    refuse_all_runs(folder)?;
    match store::runs_below(folder).is_ok_and(|runs| !runs.is_empty()) {
        true => Err(Refused::new(folder.display(), "holds folders of other runs", OWN_FOLDER)),
        false => Ok(()),
    }
}

/// What to do about a folder that is not for one run.
const OWN_FOLDER: &str = "choose a folder of its own with --out, such as one below it";

/// The folder below which runs go when nothing is said is no run's own.
pub(crate) fn refuse_all_runs(folder: &Path) -> Result<(), Refused> {
    match folder.file_name().is_some_and(|name| name == RUNS_DIRECTORY) {
        true => Err(Refused::new(folder.display(), "is the folder of all runs", OWN_FOLDER)),
        false => Ok(()),
    }
}

/// A folder that cannot be made is told before anything is measured.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Refused> {
    fs::create_dir_all(folder).map_err(|error| {
        let problem = format!("cannot be made a folder: {}", input::system_words(&error));
        Refused::new(folder.display(), problem, "choose another with --out")
    })
}

/// A violation outweighs the interruption; the interruption every other verdict.
fn exit_of(run: &Run) -> Exit {
    match run.record.verdict {
        Verdict::Fail => Exit::Unsafe,
        _ if run.interrupted => Exit::Interrupted,
        verdict => Exit::of(verdict),
    }
}
