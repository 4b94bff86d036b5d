//! `run`: one scenario, measured; a record left behind.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Args;
use quorumark_harness::{Host, ParameterSet, Progress, Run, Scenario, default_directory, scenario};
use quorumark_report::{Verdict, terminal as rendering};

use crate::exit::{self, Exit};
use crate::interrupt;
use crate::out::OutFolder;
use crate::progress::ProgressLine;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;

/// What stands below the flags of `run`.
const AFTER_HELP: &str = "\
Examples:
  quorumark run pbft/pipeline --replicas 7 --duration 10s --repeat 5
  quorumark run pbft/pipeline --rate 2k                     open loop
  quorumark run signature/batch-verify --set size=256 --json

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
    let named = args.out.as_deref().map(OutFolder::named).transpose()?;
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let progress = ProgressLine::or_lines(terminal, scenario.spec().name);
    let run = measure(scenario, &parameters, interrupt, &progress)?;
    drop(progress);
    let kept = keep(&run, named);
    let printed = match args.json {
        true => terminal.print(&run.record.to_json()),
        false => terminal.print(&rendering::record(&run.record, terminal.style())),
    };
    // Where the record is must be told, above all when it could not be printed.
    terminal.note(&format!("record: {}", kept?.display()));
    printed?;
    Ok(exit_of(&run))
}

/// Writes the run into its folder, a new one where none was named; returns the record's path.
pub(super) fn keep(run: &Run, named: Option<OutFolder>) -> anyhow::Result<PathBuf> {
    let folder = match named {
        Some(folder) => folder,
        None => OutFolder::numbered(&default_directory(run))?,
    };
    Ok(run.write(folder.path())?)
}

/// Runs `scenario`; `progress` hears how it gets on.
pub(crate) fn measure(
    scenario: &dyn Scenario,
    parameters: &ParameterSet,
    interrupt: &AtomicBool,
    progress: &dyn Progress,
) -> anyhow::Result<Run> {
    Ok(quorumark_harness::run(scenario, parameters, host(interrupt, progress))?)
}

/// What this program is, for the harness.
pub(crate) fn host<'a>(interrupt: &'a AtomicBool, progress: &'a dyn Progress) -> Host<'a> {
    Host {
        interrupt,
        progress,
        allocator: crate::ALLOCATOR_NAME,
        tool_version: env!("CARGO_PKG_VERSION"),
    }
}

/// A violation outweighs the interruption; the interruption every other verdict.
pub(super) fn exit_of(run: &Run) -> Exit {
    match run.record.verdict {
        Verdict::Fail => Exit::Unsafe,
        _ if run.interrupted => Exit::Interrupted,
        verdict => Exit::of(verdict),
    }
}
