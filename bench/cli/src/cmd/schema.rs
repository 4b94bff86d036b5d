//! `schema`: what a document looks like, for programs that read them.

use clap::{Args, ValueEnum};
use quorumark_report::compare::COMPARISON_SCHEMA;
use quorumark_report::prediction::{COSTS_SCHEMA, PREDICTION_SCHEMA};
use quorumark_report::record::RECORD_SCHEMA;
use quorumark_report::sweep::SWEEP_SCHEMA;
use quorumark_report::tuning::TUNE_SCHEMA;

use crate::exit::Exit;
use crate::terminal::Terminal;

/// Arguments of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark schema                  of record.json and `run --json`
  quorumark schema comparison       of comparison.json and `compare --json`")]
pub(crate) struct SchemaArgs {
    /// Of which document.
    #[arg(default_value = "record")]
    document: Document,
}

/// A document that others read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Document {
    /// One run: record.json, `run --json`.
    Record,
    /// Two records held against each other: comparison.json, `compare --json`.
    Comparison,
    /// The points of a sweep: `sweep --json`.
    Sweep,
    /// What a tuning found: tune.json, `tune --json`.
    Tune,
    /// What each step costs: `calibrate`.
    Costs,
    /// Predictions held against live runs: prediction.json, `predict --check --json`.
    Prediction,
}

/// Prints the JSON schema of a document.
pub(crate) fn schema(args: &SchemaArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    terminal.print(match args.document {
        Document::Record => RECORD_SCHEMA,
        Document::Comparison => COMPARISON_SCHEMA,
        Document::Sweep => SWEEP_SCHEMA,
        Document::Tune => TUNE_SCHEMA,
        Document::Costs => COSTS_SCHEMA,
        Document::Prediction => PREDICTION_SCHEMA,
    })?;
    Ok(Exit::Done)
}
