//! `calibrate`: what each step costs on this machine, for `predict`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use quorumark_harness::calibrate::{Plan, calibrate as measure};
use quorumark_report::table::Table;
use quorumark_report::units;
use quorumark_sim::model::costs::{CostFile, Item};

use super::run::host;
use crate::exit::{self, Exit};
use crate::input;
use crate::interrupt;
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Where the costs are when nobody says.
pub(super) const COSTS_FILE: &str = "quorumark-costs.json";
/// The largest file that is read.
const COSTS_BYTES_MAX: u64 = 4 << 20;

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark calibrate
  quorumark calibrate --out costs.json --json

Times the pipeline's own code piece by piece, on all cores at once, and no running cluster: a third
of a minute. `quorumark predict` reads what it writes. The costs are this machine's at this moment:
measure again when its neighbours have changed.")]
pub(crate) struct CalibrateArgs {
    /// Where the costs go; an older file there is replaced.
    #[arg(long, value_name = "FILE", default_value = COSTS_FILE)]
    out: PathBuf,
    /// Print the costs as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Measures, writes the file, prints it.
pub(crate) fn calibrate(args: &CalibrateArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let progress = ProgressLine::or_lines(terminal, "calibrate");
    progress.show("timing turns of replicas, signatures and threads");
    let file = measure(&Plan::default(), &host(interrupt, &progress))?;
    drop(progress);
    let text = serde_json::to_string_pretty(&file)? + "\n";
    fs::write(&args.out, &text).map_err(|error| {
        let problem = format!("cannot be written: {}", input::system_words(&error));
        Refused::new(args.out.display(), problem, "choose another with --out")
    })?;
    match args.json {
        true => terminal.print(&text)?,
        false => terminal.print(&table(&file, terminal))?,
    }
    terminal.note(&format!("costs: {}", args.out.display()));
    Ok(Exit::Done)
}

/// The costs in a file.
///
/// # Errors
/// [`Refused`], on one line.
pub(super) fn read(path: &Path) -> Result<CostFile, Refused> {
    if !path.exists() {
        let problem = "there is no cost model of this machine";
        return Err(Refused::new(path.display(), problem, "run `quorumark calibrate` first"));
    }
    let text = input::read_text(path, "costs", COSTS_BYTES_MAX)?;
    let remedy = "run `quorumark calibrate` again";
    CostFile::read(&text).map_err(|error| Refused::new(path.display(), error, remedy))
}

/// Each step with its cost, spread and source.
pub(super) fn table(file: &CostFile, terminal: &Terminal) -> String {
    let mut table = Table::new(&["step", "what it is", "measured by"], &["cost", "spread"]);
    let spread = |spread: Option<f64>| spread.map_or_else(|| "n/a".to_owned(), units::share);
    for cost in &file.costs {
        let means = Item::ALL.iter().find(|item| item.name() == cost.name);
        table.push([
            cost.name.clone(),
            means.map_or("", |item| item.means()).to_owned(),
            cost.how.clone(),
            units::duration_ns(cost.value),
            spread(cost.spread),
        ]);
    }
    for batch in thinned(file) {
        let (signatures, keys) = (batch.signatures, batch.keys);
        table.push([
            format!("verify {signatures}"),
            format!("{signatures} signatures of a committee of {keys} are verified together"),
            "mean of batches of that size".to_owned(),
            units::duration_ns(batch.value),
            spread(batch.spread),
        ]);
    }
    table.to_text(terminal.style().width).join("\n") + "\n"
}

/// A few sizes of each number of keys: each about twice the one before.
fn thinned(file: &CostFile) -> Vec<&quorumark_sim::model::costs::VerifyCost> {
    let mut last = (0, 0);
    let shown = |batch: &&quorumark_sim::model::costs::VerifyCost| {
        let shows = batch.keys != last.0 || batch.signatures >= 2 * last.1;
        if shows {
            last = (batch.keys, batch.signatures);
        }
        shows
    };
    file.verify.iter().filter(shown).collect()
}
