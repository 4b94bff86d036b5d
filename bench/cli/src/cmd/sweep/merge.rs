//! Shards of one sweep, put together.

use std::path::PathBuf;

use quorumark_harness::sweep::{Plan, Point};
use quorumark_report::Record;

use super::folder::{self, SweepFolder};
use super::{SweepArgs, exit_of, show};
use crate::exit::Exit;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Prints the table of the whole sweep; with `--out`, copies the records of all shards there.
pub(super) fn merge(args: &SweepArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if let Some(flag) = args.settings.first_given() {
        let remedy = "leave it out: records are merged as they are";
        return Err(Refused::new(flag, "belongs to a measurement", remedy).into());
    }
    let mut shards = Vec::new();
    for path in args.what.iter().map(PathBuf::from) {
        let (folder, plan) = folder::existing(&path)?;
        shards.push((path, folder, plan));
    }
    let plans: Vec<_> = shards.iter().map(|(path, _, plan)| (path.clone(), plan.clone())).collect();
    let whole = Plan::merged(&plans)?;
    let mut points: Vec<(Point, Record, &SweepFolder)> = Vec::new();
    for (path, folder, plan) in &shards {
        for point in plan.points() {
            let Some(record) = folder.record_of(&point)? else {
                let problem = format!("shard {} has not measured {point}", plan.shard);
                let remedy = "run its command again with the same --out, it goes on";
                return Err(Refused::new(path.display(), problem, remedy).into());
            };
            points.push((point, record, folder));
        }
    }
    points.sort_by_key(|(point, _, _)| point.index);
    if let Some(out) = &args.out {
        let into = SweepFolder::open(Some(out), &whole)?;
        for (point, _, from) in &points {
            if into.record_of(point)?.is_none() {
                into.take(point, from)?;
            }
        }
        terminal.note(&format!("records: {}", out.display()));
    }
    let points: Vec<_> = points.into_iter().map(|(point, record, _)| (point, record)).collect();
    show(args, &whole, &points, terminal)?;
    Ok(exit_of(&points))
}
