//! `profile`: one scenario, run once and sampled; who used the CPU, as a picture and in tables.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use quorumark_harness::profile::{Backend, FREQUENCY_HZ, ProfileError, Profiler, Sampled};
use quorumark_harness::{Origin, ParameterSet, Run, RunError, scenario};
use quorumark_report::flame::{BREAKDOWN_NOTE, breakdown, hottest};
use quorumark_report::table::Table;
use quorumark_report::{Folded, Record, Warning, html, label};
use serde_json::{Value, json};

use super::run::{exit_of, keep, measure};
use super::tour::PAGE_FILE;
use crate::exit::{self, Exit};
use crate::interrupt;
use crate::out::OutFolder;
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;

/// The most functions that are listed.
const FUNCTIONS_MAX: usize = 15;

/// What stands below the flags of `profile`.
const AFTER_HELP: &str = "\
Examples:
  quorumark profile pbft/pipeline --duration 5s
  quorumark profile pbft/pipeline --set auth=none --out profile-none
  quorumark profile merkle/root --backend perf --json

One trial, unless --repeat says otherwise, is sampled 997 times a second and core while it is
measured, and not before. The folder of the run then holds flamegraph.svg, stacks.folded (for other
tools), index.html, and the record, whose figures bear the cost of sampling. Neither root nor
hardware counters are needed: perf looks by the kernel's software clock. Without perf, build with
`--features pprof`. Who is not root sees the time in the kernel only where
kernel.perf_event_paranoid is 1 or less.";

/// Arguments of `profile`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ProfileArgs {
    /// What to run, such as pbft/pipeline; `quorumark list` names all.
    scenario: String,
    #[command(flatten)]
    settings: SettingArgs,
    /// Who looks: Linux's perf, or pprof in the process; auto takes the first that works.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    backend: Choice,
    /// Folder for record, picture and page [default: a new one under quorumark-runs].
    #[arg(long, value_name = "DIR", env = "QUORUMARK_OUT", hide_env = true)]
    out: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Which sampler to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    Auto,
    Perf,
    Pprof,
}

impl Choice {
    fn backends(self) -> &'static [Backend] {
        match self {
            Choice::Auto => &[Backend::Perf, Backend::Pprof],
            Choice::Perf => &[Backend::Perf],
            Choice::Pprof => &[Backend::Pprof],
        }
    }
}

/// Runs once, looks where the time goes, writes record, picture and page, prints the tables.
pub(crate) fn profile(args: &ProfileArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let scenario = scenario::find(&args.scenario)?;
    let mut parameters = args.settings.resolve(scenario)?;
    once(&mut parameters)?;
    let named = args.out.as_deref().map(OutFolder::named).transpose()?;
    let profiler = Profiler::attach(args.backend.backends()).map_err(cannot_look)?;
    let backend = profiler.backend();
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let progress = ProgressLine::or_lines(terminal, scenario.spec().name);
    let sampled = Sampled::new(profiler, &progress);
    let measured = measure(scenario, &parameters, interrupt, &sampled);
    progress.show("reading the samples");
    let seen = sampled.finish();
    drop(progress);
    let mut run = measured?;
    run.record.warnings.push(sampling_warning(backend));
    // The record is kept even where the profile failed.
    let record_file = keep(&run, named);
    let folded = seen.map_err(cannot_look)?;
    if folded.is_empty() {
        return Err(nothing_seen().into());
    }
    let record_file = record_file?;
    let files = write(&run, &folded, record_file.parent().unwrap_or(Path::new("")))?;
    let printed = match args.json {
        true => terminal.print_json(&document(&run.record, &folded, backend, &files)),
        false => terminal.print(&text(&run.record, &folded, terminal)),
    };
    terminal.note(&format!("record: {}", record_file.display()));
    for (what, file) in ["flamegraph", "stacks", "page"].iter().zip(&files) {
        terminal.note(&format!("{what}: {}", file.display()));
    }
    printed?;
    Ok(exit_of(&run))
}

/// One trial, unless somebody asked for more.
fn once(parameters: &mut ParameterSet) -> anyhow::Result<()> {
    Ok(parameters.set("repeat", "1", Origin::Default)?)
}

/// A sampler that the build lacks is the user's to mend, any other the machine's.
fn cannot_look(error: ProfileError) -> anyhow::Error {
    match error {
        ProfileError::NotBuilt => Refused::sentence(error.to_string()).into(),
        _ => anyhow::Error::new(error),
    }
}

fn nothing_seen() -> RunError {
    RunError::Failed {
        what: "no sample was taken in the measured span".to_owned(),
        remedy: "raise --duration".to_owned(),
    }
}

fn sampling_warning(backend: Backend) -> Warning {
    let cause = format!("{backend} took {FREQUENCY_HZ} samples a second, which costs CPU time");
    Warning::new("sampled", cause, "take figures from `quorumark run`")
}

/// Writes picture, stacks and page; returns their paths.
fn write(run: &Run, folded: &Folded, folder: &Path) -> anyhow::Result<[PathBuf; 3]> {
    let [picture, stacks] = folded.write(folder, &label::of(&run.record))?;
    let page = folder.join(PAGE_FILE);
    let document = run.document(Some(folded));
    fs::write(&page, html::page(&[document])).with_context(|| page.display().to_string())?;
    Ok([picture, stacks, page])
}

fn text(record: &Record, folded: &Folded, terminal: &Terminal) -> String {
    let width = terminal.style().width;
    let mut text = format!(
        "{}: {} samples\n\n",
        terminal.bold(&label::of(record)),
        quorumark_report::units::thousands(folded.total() as f64)
    );
    for table in [breakdown(record, folded), hottest(folded, FUNCTIONS_MAX)] {
        table.to_text(width).iter().for_each(|line| text.push_str(&format!("{line}\n")));
        text.push('\n');
    }
    text.push_str(&format!("{BREAKDOWN_NOTE}\n"));
    if let Some(bottleneck) = record.bottleneck.as_ref().filter(|_| record.verdict.has_result()) {
        text.push_str(&format!("bottleneck: {bottleneck}\n"));
    }
    if let Some(reason) = quorumark_report::row::reason(record) {
        text.push_str(&format!("{}: {reason}\n", record.verdict));
    }
    let reproduce = record.reproduce.replacen("quorumark run", "quorumark profile", 1);
    text.push_str(&format!("reproduce: {reproduce}\n"));
    text
}

fn document(
    record: &Record,
    folded: &Folded,
    backend: Backend,
    [picture, stacks, page]: &[PathBuf; 3],
) -> Value {
    let rows = |table: &Table| -> Vec<Value> {
        let row = |cells: &Vec<String>| {
            let named = table.columns.iter().map(|c| c.title.clone()).zip(cells);
            named.map(|(title, cell)| (title, Value::from(cell.as_str()))).collect()
        };
        table.rows.iter().map(row).collect()
    };
    json!({
        "backend": backend.to_string(),
        "frequency_hz": FREQUENCY_HZ,
        "samples": folded.total(),
        "stages": rows(&breakdown(record, folded)),
        "functions": rows(&hottest(folded, FUNCTIONS_MAX)),
        "flamegraph": picture.display().to_string(),
        "stacks": stacks.display().to_string(),
        "page": page.display().to_string(),
        "record": record,
    })
}
