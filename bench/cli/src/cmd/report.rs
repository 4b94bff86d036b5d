//! `report`: records that exist, rendered and exported.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use quorumark_harness::{LATENCY_FILE, RUNS_DIRECTORY};
use quorumark_report::export::{self, Better};
use quorumark_report::{
    Folded, Point, Record, RecordError, csv, html, index, label, markdown, store,
    terminal as rendering,
};

use super::tour::PAGE_FILE;
use crate::exit::Exit;
use crate::input;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// The most records in one report.
const RECORDS_MAX: usize = 1000;

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark report                                        a list of all runs, the latest first
  quorumark report quorumark-runs --html runs.html
  quorumark report quorumark-runs --csv runs.csv --markdown runs.md
  quorumark report quorumark-runs --export bmf            for bencher run --adapter json

github-action-benchmark has one direction a file: the export of that name is for its tool
customSmallerIsBetter, github-action-benchmark-bigger for customBiggerIsBetter. Runs that are not ok
are left out of every export; where none is left, the exit code is 4. Of runs with one label the
latest is exported.")]
pub(crate) struct ReportArgs {
    /// A run's folder, its record.json, or a folder of such folders [default: quorumark-runs].
    #[arg(value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Write one HTML page, which opens offline.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write Markdown; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write every parameter and figure as CSV, one line a run; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Print what a service for continuous benchmarking takes.
    #[arg(long, value_name = "FORMAT")]
    export: Option<Format>,
}

/// Who takes the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Bencher Metric Format.
    Bmf,
    /// github-action-benchmark, customSmallerIsBetter.
    GithubActionBenchmark,
    /// github-action-benchmark, customBiggerIsBetter.
    GithubActionBenchmarkBigger,
}

/// A record with what stands beside it in its folder.
pub(crate) struct Stored {
    /// The record.
    pub(crate) record: Record,
    /// Its time series.
    pub(crate) series: Vec<Point>,
    /// Where it was found on a core, when it was sampled.
    pub(crate) stacks: Option<Folded>,
}

impl Stored {
    fn as_run(&self) -> html::Run<'_> {
        html::Run { record: &self.record, series: &self.series, stacks: self.stacks.as_ref() }
    }

    fn read(folder: &Path) -> Result<Stored, RecordError> {
        let record = Record::read(folder)?;
        Ok(Stored { record, series: store::read_series(folder)?, stacks: Folded::read(folder)? })
    }
}

/// Writes what was asked for; where nothing was, prints a table.
pub(crate) fn report(args: &ReportArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (places, stored) = read_asked(args, terminal)?;
    let records: Vec<&Record> = stored.iter().map(|stored| &stored.record).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    if let Some(file) = &args.html {
        write(file, &page(&stored))?;
        terminal.note(&format!("page: {}", file.display()));
    }
    if let Some(file) = &args.markdown {
        let text = match records.as_slice() {
            [record] => markdown::record(record),
            several => markdown::records(several),
        };
        emit("markdown", file, &text, terminal)?;
    }
    if let Some(file) = &args.csv {
        let runs: Vec<_> = places.iter().copied().zip(records.iter().copied()).collect();
        emit("csv", file, &csv::records(&runs), terminal)?;
    }
    if let Some(format) = args.export {
        return print_export(format, &records, terminal);
    }
    if args.html.is_none() && args.markdown.is_none() && args.csv.is_none() {
        terminal.print(&match records.as_slice() {
            several if args.runs.is_empty() => listed(several, &places, terminal),
            [record] => rendering::record(record, terminal.style()),
            several => rendering::records(several, terminal.style()),
        })?;
    }
    Ok(Exit::Done)
}

/// The index of all runs.
fn listed(records: &[&Record], places: &[&str], terminal: &Terminal) -> String {
    let lines = index::table(records, places).to_text(terminal.style().width);
    format!("{}\n\nOne of them: quorumark report RUN\n", lines.join("\n"))
}

/// Prints the export; what is not `ok` is left out, and that is said.
fn print_export(format: Format, records: &[&Record], terminal: &Terminal) -> anyhow::Result<Exit> {
    for record in records {
        if !export::is_exported(record) {
            let label = label::of(record);
            terminal.note(&format!("{label}: is {}; left out", record.verdict));
        }
    }
    terminal.print_json(&match format {
        Format::Bmf => export::bmf(records),
        Format::GithubActionBenchmark => export::github_action_benchmark(records, Better::Smaller),
        Format::GithubActionBenchmarkBigger => {
            export::github_action_benchmark(records, Better::Bigger)
        }
    })?;
    let any = records.iter().any(|record| export::is_exported(record));
    Ok(if any { Exit::Done } else { Exit::Inconclusive })
}

/// The HTML page of stored runs.
pub(crate) fn page(stored: &[Stored]) -> String {
    html::page(&stored.iter().map(Stored::as_run).collect::<Vec<_>>())
}

/// The records that were named and the places that they were read from; where none was named, all
/// that there are, the latest first.
fn read_asked(
    args: &ReportArgs,
    terminal: &Terminal,
) -> anyhow::Result<(Vec<String>, Vec<Stored>)> {
    if !args.runs.is_empty() {
        return Ok(read_all(&args.runs, terminal)?.into_iter().unzip());
    }
    let all = Path::new(RUNS_DIRECTORY);
    if !all.is_dir() {
        let remedy = "name a run's folder, or make a run with `quorumark run`";
        return Err(Refused::new(RUNS_DIRECTORY, "is not here", remedy).into());
    }
    let mut stored = read_all(&[all.to_owned()], terminal)?;
    stored.sort_by(|(_, a), (_, b)| b.record.started_at.cmp(&a.record.started_at));
    Ok(stored.into_iter().unzip())
}

fn read_all(paths: &[PathBuf], terminal: &Terminal) -> anyhow::Result<Vec<(String, Stored)>> {
    let mut stored = Vec::new();
    // `quorumark-runs/*` names whatever stands there: what a run or a tour leaves beside its
    // records is passed over, unless nothing else was named.
    let (beside, named): (Vec<_>, Vec<_>) = paths.iter().partition(|path| is_beside(path));
    for path in &beside {
        if named.is_empty() {
            let remedy = "name the folder that it stands in";
            return Err(Refused::new(path.display(), NO_RECORD, remedy).into());
        }
        terminal.note(&format!("{}: {NO_RECORD}; left out", path.display()));
    }
    for path in named {
        for folder in folders(path)? {
            if stored.len() == RECORDS_MAX {
                let problem = format!("there are more than {RECORDS_MAX} records");
                return Err(Refused::new(path.display(), problem, "name fewer folders").into());
            }
            stored.push((folder.display().to_string(), Stored::read(&folder)?));
        }
    }
    Ok(stored)
}

/// What is said of a file that [`is_beside`].
const NO_RECORD: &str = "stands beside a record and is none";

/// Whether `path` is a file that runs and tours leave beside records.
fn is_beside(path: &Path) -> bool {
    let names =
        [store::SERIES_FILE, store::FLAMEGRAPH_FILE, store::FOLDED_FILE, LATENCY_FILE, PAGE_FILE];
    let name = path.file_name();
    path.is_file() && names.iter().any(|known| name.is_some_and(|name| name == *known))
}

/// The record at `path`; where there is none, those one folder below and, of folders that hold
/// records as a tour's does, two below; by name.
fn folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() || path.join(store::RECORD_FILE).exists() {
        return Ok(vec![path.to_owned()]);
    }
    let below = |path: &Path| store::runs_below(path).with_context(|| path.display().to_string());
    let mut folders = below(path)?;
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())?.flatten() {
        let folder = entry.path();
        if folder.is_dir() && !folder.join(store::RECORD_FILE).exists() {
            folders.extend(below(&folder)?);
        }
    }
    folders.sort();
    if folders.is_empty() {
        let problem = format!("holds no {}", store::RECORD_FILE);
        let remedy = "name a folder that `quorumark run --out` wrote";
        return Err(Refused::new(path.display(), problem, remedy).into());
    }
    Ok(folders)
}

/// Writes text into a file and says so, or to standard output for `-`.
fn emit(what: &str, file: &Path, text: &str, terminal: &Terminal) -> anyhow::Result<()> {
    if file.as_os_str() == "-" {
        return terminal.print(text);
    }
    write(file, text)?;
    terminal.note(&format!("{what}: {}", file.display()));
    Ok(())
}

/// Writes a page that was asked for.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Refused> {
    fs::write(file, text).map_err(|error| {
        let problem = format!("cannot be written: {}", input::system_words(&error));
        Refused::new(file.display(), problem, "choose another file")
    })
}
