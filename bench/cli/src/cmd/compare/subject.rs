//! Two records that exist.

use std::path::Path;

use quorumark_report::compare::noise::{Kind, NoiseFloors};
use quorumark_report::compare::{Request, Side};
use quorumark_report::{Record, criterion};

use super::{CompareArgs, judged, learn, metric, request, show};
use crate::baselines;
use crate::exit::Exit;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Compares the records that `a` and `b` name.
pub(super) fn compare(
    args: &CompareArgs,
    a: &str,
    b: &str,
    floors: &NoiseFloors,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    if let Some(flag) = measuring(args) {
        let remedy = "name one scenario instead of two records, or leave it out";
        return Err(Refused::new(flag, "belongs to a measurement", remedy).into());
    }
    let (record_a, record_b) = (read(a)?, read(b)?);
    let kind = Kind::of(&record_a, false);
    let known = metric::of_record(&record_a);
    let request = Request {
        reproduce: format!("quorumark compare {a} {b}{}", args.judging()),
        ..request(args, &known, floors, &kind)?
    };
    let [a, b] = [(a, &record_a), (b, &record_b)].map(|(label, record)| Side { label, record });
    match judged(a, b, &request)? {
        Ok(found) => {
            // Equal records are one record: from it nothing is learned.
            if record_a.started_at != record_b.started_at {
                learn(floors.clone(), &found, &kind, terminal)?;
            }
            show(args, &found, [&record_a, &record_b], terminal)
        }
        Err(exit) => Ok(exit),
    }
}

/// A flag that says how to measure, where one was given.
fn measuring(args: &CompareArgs) -> Option<&'static str> {
    let given = [
        ("--a", !args.a.is_empty()),
        ("--b", !args.b.is_empty()),
        ("--a-binary", args.a_binary.is_some()),
        ("--b-binary", args.b_binary.is_some()),
        ("--out", args.out.is_some() && std::env::var_os("QUORUMARK_OUT").is_none()),
    ];
    let given = given.into_iter().find_map(|(flag, given)| given.then_some(flag));
    given.or_else(|| args.settings.first_given())
}

/// The record at a path, criterion's there, or the baseline of that name.
fn read(named: &str) -> anyhow::Result<Record> {
    let path = Path::new(named);
    if criterion::is_baseline(path) {
        return Ok(criterion::read(path).map_err(|error| Refused::sentence(error.to_string()))?);
    }
    match path.exists() {
        true => Ok(Record::read(path)?),
        false => Ok(Record::read(&baselines::find(named)?)?),
    }
}
