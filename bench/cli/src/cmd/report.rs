//! `report`: records that exist, rendered.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use quorumark_harness::LATENCY_FILE;
use quorumark_report::{
    Folded, Point, Record, RecordError, html, markdown, store, terminal as rendering,
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
pub(crate) struct ReportArgs {
    /// A run's folder, its record.json, or a folder of such folders.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Write one HTML page, which opens offline.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
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

/// Writes the pages that were asked for; without any, prints a table.
pub(crate) fn report(args: &ReportArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let stored = read_all(&args.runs, terminal)?;
    let records: Vec<&Record> = stored.iter().map(|stored| &stored.record).collect();
    if let Some(file) = &args.html {
        write(file, &page(&stored))?;
        terminal.note(&format!("page: {}", file.display()));
    }
    if let Some(file) = &args.markdown {
        let text = match records.as_slice() {
            [record] => markdown::record(record),
            several => markdown::records(several),
        };
        write(file, &text)?;
        terminal.note(&format!("markdown: {}", file.display()));
    }
    if args.html.is_none() && args.markdown.is_none() {
        terminal.print(&match records.as_slice() {
            [record] => rendering::record(record, terminal.style()),
            several => rendering::records(several, terminal.style()),
        })?;
    }
    Ok(Exit::Done)
}

/// The HTML page of stored runs.
pub(crate) fn page(stored: &[Stored]) -> String {
    html::page(&stored.iter().map(Stored::as_run).collect::<Vec<_>>())
}

fn read_all(paths: &[PathBuf], terminal: &Terminal) -> anyhow::Result<Vec<Stored>> {
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
            stored.push(Stored::read(&folder)?);
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

/// The record at `path`; where there is none, those one folder below, by name.
fn folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() || path.join(store::RECORD_FILE).exists() {
        return Ok(vec![path.to_owned()]);
    }
    let folders = store::runs_below(path).with_context(|| path.display().to_string())?;
    if folders.is_empty() {
        let problem = format!("holds no {}", store::RECORD_FILE);
        let remedy = "name a folder that `quorumark run --out` wrote";
        return Err(Refused::new(path.display(), problem, remedy).into());
    }
    Ok(folders)
}

fn write(file: &Path, text: &str) -> Result<(), Refused> {
    fs::write(file, text).map_err(|error| {
        let problem = format!("cannot be written: {}", input::system_words(&error));
        Refused::new(file.display(), problem, "choose another file")
    })
}
