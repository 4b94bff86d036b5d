//! `baseline`: records that have a name, for `compare`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use quorumark_report::table::Table;
use quorumark_report::{Record, label};
use serde_json::json;

use crate::baselines;
use crate::exit::Exit;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// What stands below the flags of `baseline`.
const AFTER_HELP: &str = "\
Baselines stand in quorumark-baselines, below the working directory, one folder with a record.json
each. Commit the folder, or keep it where your CI keeps caches; `quorumark report` renders it.

Examples:
  quorumark baseline save main before      what `quorumark run pbft/pipeline --repeat 10 --out before` left
  quorumark baseline list

`quorumark compare main quorumark-runs/after --fail-on-regression` then holds a run against it.";

/// Arguments of `baseline`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct BaselineArgs {
    #[command(subcommand)]
    what: What,
}

/// What to do with baselines.
#[derive(Debug, Subcommand)]
enum What {
    /// Keep a record under a name
    #[command(after_help = "Examples:\n  quorumark baseline save main quorumark-runs/before")]
    Save {
        /// The name: letters, digits, dots, dashes and underscores.
        name: String,
        /// A run's folder, or its record.json.
        run: PathBuf,
        /// Take the place of the baseline that has the name.
        #[arg(long)]
        replace: bool,
    },
    /// Show all baselines
    #[command(after_help = "Examples:\n  quorumark baseline list --json")]
    List {
        /// Print them as one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Remove a baseline
    #[command(after_help = "Examples:\n  quorumark baseline rm main")]
    Rm {
        /// Its name.
        name: String,
    },
}

/// Saves, lists or removes.
pub(crate) fn baseline(args: &BaselineArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    match &args.what {
        What::Save { name, run, replace } => save(name, run, *replace, terminal)?,
        What::List { json: true } => {
            let one = |(name, record): &(String, Record)| {
                json!({
                    "name": name,
                    "scenario": record.scenario,
                    "started_at": record.started_at,
                    "commit": record.provenance.commit,
                    "samples": record.samples.len(),
                    "verdict": record.verdict,
                })
            };
            let all: Vec<_> = all(terminal)?.iter().map(one).collect();
            terminal.print_json(&json!({ "baselines": all }))?;
        }
        What::List { json: false } => list(terminal)?,
        What::Rm { name } => {
            let folder = baselines::find(name)?;
            baselines::remove(&folder).with_context(|| folder.display().to_string())?;
            terminal.note(&format!("removed: {}", folder.display()));
        }
    }
    Ok(Exit::Done)
}

fn save(name: &str, run: &Path, replace: bool, terminal: &Terminal) -> anyhow::Result<()> {
    let folder = baselines::folder(name)?;
    let record = Record::read(run)?;
    if !record.verdict.has_result() {
        let problem = format!("is {}, so it has no figures", record.verdict);
        return Err(Refused::new(run.display(), problem, "save a run that has a result").into());
    }
    if folder.exists() && !replace {
        let remedy = "choose another name, or --replace it";
        return Err(Refused::new(name, "is the name of a baseline already", remedy).into());
    }
    let path = record.write(&folder)?;
    terminal.note(&format!("baseline: {}", path.display()));
    Ok(())
}

/// Every baseline that can be read; of others it is said why not.
fn all(terminal: &Terminal) -> anyhow::Result<Vec<(String, Record)>> {
    let names = baselines::names().context(baselines::BASELINES_DIRECTORY)?;
    let mut read = Vec::new();
    for name in names {
        match baselines::folder(&name).map(|folder| Record::read(&folder)) {
            Ok(Ok(record)) => read.push((name, record)),
            Ok(Err(error)) => terminal.note(&error.to_string()),
            Err(error) => terminal.note(&error.to_string()),
        }
    }
    Ok(read)
}

fn list(terminal: &Terminal) -> anyhow::Result<()> {
    let baselines = all(terminal)?;
    if baselines.is_empty() {
        terminal.note("no baselines here; `quorumark baseline save NAME RUN` keeps one");
        return Ok(());
    }
    let mut table = Table::new(&["baseline", "what", "measured", "commit"], &["samples"]);
    table.columns.extend(Table::new(&["verdict"], &[]).columns);
    for (name, record) in &baselines {
        let commit = record.provenance.commit.as_deref().unwrap_or("unknown");
        table.push([
            name.clone(),
            label::of(record),
            record.started_at.clone(),
            commit.get(..12).unwrap_or(commit).to_owned(),
            record.samples.len().to_string(),
            record.verdict.to_string(),
        ]);
    }
    let lines = table.to_text(terminal.style().width);
    terminal.print(&lines.into_iter().map(|line| line + "\n").collect::<String>())
}
