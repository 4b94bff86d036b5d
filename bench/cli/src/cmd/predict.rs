//! `predict`: throughput and latency by the cost model, and how far they are from live runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use quorumark_harness::prediction::{Ask, Prediction, check, prediction};
use quorumark_report::{Document, html, units};
use quorumark_sim::model::Regions;
use quorumark_sim::model::costs::CostFile;
use serde_json::{Value, json};

use super::calibrate;
use super::report::write;
use super::run::host;
use crate::args::whole_within;
use crate::exit::{self, Exit};
use crate::interrupt;
use crate::out::{OutFolder, default_path};
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Arguments of `predict`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark predict pbft
  quorumark predict pbft --replicas 100 --regions wan5
  quorumark predict pbft --replicas 7 --rate 2000 --json
  quorumark predict pbft --check                        beside live runs with 4, 7 and 16 replicas
  quorumark predict pbft --check 4 --rounds 5 --html check.html

Runs the real engines in virtual time, where each step takes what `quorumark calibrate` measured.
--check measures the costs itself, anew in each round and between its live runs: three minutes.")]
pub(crate) struct PredictArgs {
    /// Which protocol.
    #[arg(value_parser = ["pbft"])]
    protocol: String,
    /// n.
    #[arg(long, default_value = "4", value_parser = replicas)]
    replicas: u64,
    /// Where replicas and clients are.
    #[arg(long, default_value = "local")]
    regions: RegionsArg,
    /// Cores that all share, with local [default: those that were calibrated].
    #[arg(long, value_parser = cores)]
    cores: Option<u64>,
    /// Mbit/s that leave a machine, with lan and wan5.
    #[arg(long, value_name = "MBIT", default_value = "1000", value_parser = bandwidth)]
    bandwidth: u64,
    /// Requests a second in place of half of the saturation.
    #[arg(long, value_parser = rate)]
    rate: Option<u64>,
    /// The costs that `calibrate` wrote.
    #[arg(long, value_name = "FILE", default_value = calibrate::COSTS_FILE)]
    costs: PathBuf,
    /// Of all that is drawn.
    #[arg(long, default_value = "42", value_parser = crate::args::whole::<u64>)]
    seed: u64,
    /// Hold predictions against live runs of this machine, with so many replicas.
    #[arg(
        long,
        value_name = "N,..",
        num_args = 0..=1,
        default_missing_value = "4,7,16",
        value_delimiter = ',',
        value_parser = replicas,
        conflicts_with_all = ["replicas", "regions", "cores", "rate", "costs"],
    )]
    check: Option<Vec<u64>>,
    /// Times that --check measures everything.
    #[arg(long, default_value = "3", value_parser = rounds, requires = "check")]
    rounds: u64,
    /// Folder for what --check found [default: a new one under quorumark-runs].
    #[arg(long, value_name = "DIR", requires = "check")]
    out: Option<PathBuf>,
    /// Write what --check found as a page.
    #[arg(long, value_name = "FILE", requires = "check")]
    html: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The file that holds a check, inside its folder.
pub(super) const PREDICTION_FILE: &str = "prediction.json";
/// How long each live run of a check is measured.
const CHECK_SPAN: Duration = Duration::from_secs(2);

/// Where replicas are, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RegionsArg {
    /// All in one process, with their clients.
    Local,
    /// A machine each, 50 us apart.
    Lan,
    /// A machine each, in five regions of a public cloud.
    Wan5,
}

fn replicas(text: &str) -> Result<u64, String> {
    whole_within(text, 1, 256)
}

fn rounds(text: &str) -> Result<u64, String> {
    whole_within(text, 1, 100)
}

fn cores(text: &str) -> Result<u64, String> {
    whole_within(text, 1, 1024)
}

fn bandwidth(text: &str) -> Result<u64, String> {
    whole_within(text, 1, 1_000_000)
}

fn rate(text: &str) -> Result<u64, String> {
    whole_within(text, 1, 100_000_000)
}

/// Predicts and prints.
pub(crate) fn predict(args: &PredictArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if let Some(replicas) = &args.check {
        return check(args, replicas, terminal);
    }
    let file = calibrate::read(&args.costs)?;
    exit::say_debug_build();
    let costs = file.costs().map_err(|error| Refused::sentence(error.to_string()))?;
    let ask = ask(args, &file);
    let refused = |error| Refused::new("--replicas", error, "choose another number");
    let predicted = prediction(&ask, &costs).map_err(refused)?;
    match args.json {
        true => terminal.print_json(&to_json(&ask, &predicted, &file))?,
        false => terminal.print(&text(&ask, &predicted, &file, terminal))?,
    }
    Ok(Exit::Done)
}

/// Predicts and runs live in turn, keeps what was found, prints it.
fn check(args: &PredictArgs, replicas: &[u64], terminal: &Terminal) -> anyhow::Result<Exit> {
    let plan = check::Plan {
        replicas: replicas.iter().map(|n| *n as usize).collect(),
        rounds: args.rounds as u32,
        span: CHECK_SPAN,
        seed: args.seed,
    };
    let folder = match &args.out {
        Some(out) => OutFolder::named(out)?,
        None => OutFolder::numbered(&default_path("predict-check"))?,
    };
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let progress = ProgressLine::or_lines(terminal, "predict");
    let host = host(interrupt, &progress);
    let found = check::check(&plan, &host, &|line| progress.show(line))?;
    drop(progress);
    let file = folder.path().join(PREDICTION_FILE);
    let text = serde_json::to_string_pretty(&found)? + "\n";
    write(&file, &text)?;
    if let Some(page) = &args.html {
        write(page, &html::page(&[Document::Prediction(&found)]))?;
    }
    let printed = match args.json {
        true => terminal.print(&text),
        false => terminal.print(&found.text(terminal.style())),
    };
    terminal.note(&format!("record: {}", file.display()));
    printed?;
    Ok(Exit::Done)
}

fn ask(args: &PredictArgs, file: &CostFile) -> Ask {
    let regions = match args.regions {
        RegionsArg::Local => Regions::Local,
        RegionsArg::Lan => Regions::Lan,
        RegionsArg::Wan5 => Regions::Wan5,
    };
    Ask {
        replicas: args.replicas as usize,
        regions,
        cores: args.cores.unwrap_or(file.cores) as usize,
        bandwidth: Some(args.bandwidth * 1_000_000),
        rate: args.rate.map(|rate| rate as f64),
        watched: true,
        seed: args.seed,
    }
}

fn to_json(ask: &Ask, predicted: &Prediction, file: &CostFile) -> Value {
    let outcome = |outcome: &quorumark_sim::model::Outcome| {
        json!({
            "throughput_tx_per_s": outcome.throughput_tx_per_s,
            "response_time_ns_p50": outcome.response_time_ns_p50,
            "response_time_ns_p99": outcome.response_time_ns_p99,
            "batch_size_mean": outcome.batch_size_mean,
            "cpu_us_per_tx": outcome.cpu_us_per_tx,
            "parks_per_tx": outcome.parks_per_tx,
            "busy_share": outcome.busy_share,
        })
    };
    json!({
        "schema_version": 1,
        "protocol": "pbft",
        "replicas": ask.replicas,
        "saturated": outcome(&predicted.saturated),
        "concurrency": predicted.concurrency,
        "half_load": outcome(&predicted.half),
        "rate": predicted.rate,
        "links": ask.regions.source(),
        "costs": file,
    })
}

fn text(ask: &Ask, predicted: &Prediction, file: &CostFile, terminal: &Terminal) -> String {
    let time =
        |ns: Option<u64>| ns.map_or_else(|| "n/a".to_owned(), |ns| units::duration_ns(ns as f64));
    let Prediction { saturated, half, .. } = predicted;
    let mut text = format!(
        "pbft, {} replicas: {:.0} tx/s at saturation, with {} in flight ({:.1} us of CPU a \
         transaction, batches of {:.1}, cores busy {:.0} %, p50 {})\n",
        ask.replicas,
        saturated.throughput_tx_per_s,
        predicted.concurrency,
        saturated.cpu_us_per_tx,
        saturated.batch_size_mean,
        saturated.busy_share * 100.0,
        time(saturated.response_time_ns_p50),
    );
    text.push_str(&format!(
        "at {:.0} tx/s: p50 {}, p99 {} ({:.1} us of CPU a transaction, batches of {:.1}, busy \
         {:.0} %)\n",
        predicted.rate,
        time(half.response_time_ns_p50),
        time(half.response_time_ns_p99),
        half.cpu_us_per_tx,
        half.batch_size_mean,
        half.busy_share * 100.0,
    ));
    text + "\nlinks: " + ask.regions.source() + "\n\n" + &calibrate::table(file, terminal)
}
