//! `report`: what was measured, listed, rendered and exported.

mod slo;
mod stored;
mod tuning;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use quorumark_harness::{LATENCY_FILE, RUNS_DIRECTORY};
use quorumark_report::export::{self, Better};
use quorumark_report::{
    Document, Record, compare, csv, html, index, label, markdown, store, terminal as rendering,
};

use self::stored::Stored;
use super::tour::PAGE_FILE;
use crate::exit::Exit;
use crate::input;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// The most documents in one report.
const DOCUMENTS_MAX: usize = 1000;

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
A sweep, a comparison, a tuning and an objective (`slo`) are each one entry of the list and one part
of the page; --csv and --export hold every record in them.

Examples:
  quorumark report                                        a list of everything, the latest first
  quorumark report quorumark-runs --html runs.html        everything on one page
  quorumark report quorumark-runs/my-sweep --html sweep.html
  quorumark report quorumark-runs --csv runs.csv --markdown runs.md
  quorumark report quorumark-runs --export bmf            for bencher run --adapter json

github-action-benchmark has one direction a file: the export of that name is for its tool
customSmallerIsBetter, github-action-benchmark-bigger for customBiggerIsBetter. Runs that are not ok
are left out of every export; where none is left, the exit code is 4. Of runs with one label the
latest is exported.")]
pub(crate) struct ReportArgs {
    /// The folder of a run, sweep, comparison, tuning or objective, a record.json, or a folder of
    /// such folders [default: quorumark-runs].
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

/// Writes what was asked for; where nothing was, prints a table.
pub(crate) fn report(args: &ReportArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (places, stored) = read_asked(args, terminal)?;
    let documents: Vec<Document<'_>> = stored.iter().map(Stored::document).collect();
    let labels: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    if let Some(file) = &args.html {
        write(file, &html::page(&documents))?;
        terminal.note(&format!("page: {}", file.display()));
    }
    if let Some(file) = &args.markdown {
        emit("markdown", file, &markdown_of(&documents, &labels), terminal)?;
    }
    let records: Vec<(String, &Record)> = places.iter().zip(&stored).flat_map(placed).collect();
    if let Some(file) = &args.csv {
        let runs: Vec<_> =
            records.iter().map(|(place, record)| (place.as_str(), *record)).collect();
        emit("csv", file, &csv::records(&runs), terminal)?;
    }
    if let Some(format) = args.export {
        let records: Vec<&Record> = records.iter().map(|(_, record)| *record).collect();
        return print_export(format, &records, terminal);
    }
    if args.html.is_none() && args.markdown.is_none() && args.csv.is_none() {
        terminal.print(&match args.runs.is_empty() {
            true => listed(&documents, &labels, terminal),
            false => text_of(&documents, &labels, terminal),
        })?;
    }
    Ok(Exit::Done)
}

/// Each record of a document, with the folder that it stands in.
fn placed<'a>((place, stored): (&PathBuf, &'a Stored)) -> Vec<(String, &'a Record)> {
    let below = |folder: PathBuf| match folder.as_os_str().is_empty() {
        true => place.display().to_string(),
        false => place.join(folder).display().to_string(),
    };
    stored.records().into_iter().map(|(folder, record)| (below(folder), record)).collect()
}

/// The records, where every document is a run.
fn only_runs<'a>(documents: &[Document<'a>]) -> Option<Vec<&'a Record>> {
    let record = |document: &Document<'a>| match document {
        Document::Run(run) => Some(run.record),
        _ => None,
    };
    documents.iter().map(record).collect()
}

fn text_of(documents: &[Document<'_>], places: &[&str], terminal: &Terminal) -> String {
    match (documents, only_runs(documents)) {
        ([Document::Run(run)], _) => rendering::record(run.record, terminal.style()),
        ([Document::Sweep(table)], _) => table.text(terminal.style()),
        ([Document::Comparison(compared)], _) => compare::text(compared.found, terminal.style()),
        ([Document::Tuning(found)], _) => tuning::text(found),
        ([Document::Slo(found)], _) => slo::text(found),
        ([Document::Prediction(check)], _) => check.text(terminal.style()),
        (_, Some(runs)) => rendering::records(&runs, terminal.style()),
        (several, None) => listed(several, places, terminal),
    }
}

fn markdown_of(documents: &[Document<'_>], places: &[&str]) -> String {
    match (documents, only_runs(documents)) {
        ([Document::Run(run)], _) => markdown::record(run.record),
        ([Document::Sweep(table)], _) => table.markdown(),
        ([Document::Comparison(compared)], _) => compare::markdown(compared.found),
        (_, Some(runs)) => markdown::records(&runs),
        (several, None) => markdown::table(&index::table(several, places)),
    }
}

/// The index of everything.
fn listed(documents: &[Document<'_>], places: &[&str], terminal: &Terminal) -> String {
    let lines = index::table(documents, places).to_text(terminal.style().width);
    let one = "One of them: quorumark report RUN, or as a page: quorumark report RUN --html FILE";
    format!("{}\n\n{one}\n", lines.join("\n"))
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

/// The documents that were named and the places that they were read from; where none was named,
/// all that there are, the latest first.
fn read_asked(
    args: &ReportArgs,
    terminal: &Terminal,
) -> anyhow::Result<(Vec<PathBuf>, Vec<Stored>)> {
    if !args.runs.is_empty() {
        return Ok(read_all(&args.runs, terminal)?.into_iter().unzip());
    }
    let all = Path::new(RUNS_DIRECTORY);
    if !all.is_dir() {
        let remedy = "name a run's folder, or make a run with `quorumark run`";
        return Err(Refused::new(RUNS_DIRECTORY, "is not here", remedy).into());
    }
    let mut stored = read_all(&[all.to_owned()], terminal)?;
    stored.sort_by_cached_key(|(_, stored)| {
        std::cmp::Reverse(stored.document().started_at().to_owned())
    });
    Ok(stored.into_iter().unzip())
}

fn read_all(paths: &[PathBuf], terminal: &Terminal) -> anyhow::Result<Vec<(PathBuf, Stored)>> {
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
        for place in stored::documents(path)? {
            if stored.len() == DOCUMENTS_MAX {
                let problem = format!("there are more than {DOCUMENTS_MAX} records");
                return Err(Refused::new(path.display(), problem, "name fewer folders").into());
            }
            let document = Stored::read(&place)?;
            stored.push((place, document));
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
