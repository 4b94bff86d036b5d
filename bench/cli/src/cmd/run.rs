//! `run`: one scenario, measured; a record left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use quorumark_harness::{Host, ParameterSet, Run, Scenario, default_directory, scenario};
use quorumark_report::{Verdict, terminal as rendering};

use crate::exit::{self, Exit};
use crate::input;
use crate::interrupt;
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What to measure, such as pbft/pipeline; `quorumark list` names all.
    scenario: String,
    #[command(flatten)]
    settings: SettingArgs,
    /// Folder for the record [default: a new one under quorumark-runs].
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
        make_folder(out)?;
    }
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let run = measure(scenario, &parameters, interrupt, terminal)?;
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

/// Runs `scenario`, with a progress line.
pub(crate) fn measure(
    scenario: &dyn Scenario,
    parameters: &ParameterSet,
    interrupt: &AtomicBool,
    terminal: &Terminal,
) -> anyhow::Result<Run> {
    let progress = ProgressLine::new(terminal, scenario.spec().name);
    let host = Host {
        interrupt,
        progress: &progress,
        allocator: crate::ALLOCATOR_NAME,
        tool_version: env!("CARGO_PKG_VERSION"),
    };
    Ok(quorumark_harness::run(scenario, parameters, host)?)
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
