//! Measures on this machine what each step of a run costs: the cost model behind predictions.
//!
//! What is timed is the pipeline's own code, piece by piece, and no running cluster: turns of
//! replicas one at a time (`turns`), signatures (`signatures`), and what threads take to wake each
//! other (`machine`). Which costs explain the turns is found by least squares (`fit`).
//!
//! The pace of a shared machine changes within seconds. So turns are timed in slices, each with a
//! little of every size of batch: no size has a moment of its own, and between slices there may be
//! live runs, which then had the same moments.

mod fit;
mod machine;
mod signatures;
mod turns;

use core::fmt::Display;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::SystemTime;

use core_affinity::CoreId;
use quorumark_report::stats::median;
use quorumark_sim::model::costs::{COSTS_VERSION, Cost, CostFile, Item, VerifyCost};
use quorumark_sim::model::work::PARTS;
use serde_json::{Map, Value};

use self::fit::{Row, fit};
use self::machine::{Sockets, Wakes};
use self::turns::{Notes, Shape};
use crate::date;
use crate::environment::{self, Before};
use crate::pace::PaceThread;
use crate::pages::HugePages;
use crate::provenance;
use crate::trial::{Host, RunError};
use crate::workload::Workload;

/// Requests in a batch, and in flight, of the clusters of four that are timed.
const BATCHES: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// From this size on a batch takes so long that clusters are timed for twice the span.
const LARGE: usize = 64;
/// Larger committees, and their batches: of each pair one in every other slice, for four times the
/// span, because every replica first makes a table for every key.
const LARGER: [[(usize, usize); 2]; 2] = [[(7, 8), (7, 64)], [(16, 64), (16, 8)]];
/// Spans of load ahead of each slice that do not count: a machine that has worked for seconds is slower
/// than one that just begins, and a run has worked for its whole warm-up.
const WARM_UP_SPANS: u32 = 12;
/// Fewest batches of a size that tell what verifying it costs.
const SAMPLES_MIN: usize = 12;
/// A batch of verification that took so many times the median of its size does not count: something
/// cut in.
const CUT_IN: f64 = 3.0;
/// Slices of a calibration that nothing comes between.
const SLICES: usize = 4;

/// How a calibration is done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Bytes of an operation.
    pub payload: usize,
    /// How long clusters of four are timed in each slice; those with large batches and the larger
    /// committees longer.
    pub span: Duration,
    /// Of keys and operations.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { payload: 512, span: Duration::from_millis(150), seed: 42 }
    }
}

/// A figure and how it varies.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figure {
    value: f64,
    /// See [`Cost::spread`].
    spread: Option<f64>,
}

impl Figure {
    fn median(mut values: Vec<f64>) -> Figure {
        let value = median(values.iter().copied()).unwrap_or(0.0);
        values.sort_by(f64::total_cmp);
        let quarter = values.len() / 4;
        let half = || values[values.len() - 1 - quarter] - values[quarter];
        let spread = (values.len() >= 4 && value > 0.0).then(|| half() / value);
        Figure { value, spread }
    }

    /// The mean, without values of which a part was something else's.
    fn mean(mut values: Vec<f64>) -> Figure {
        let Figure { value: middle, spread } = Figure::median(values.clone());
        values.retain(|value| *value <= CUT_IN * middle);
        let value = values.iter().sum::<f64>() / values.len().max(1) as f64;
        Figure { value, spread }
    }
}

/// Measures everything: about half a minute.
///
/// # Errors
/// [`RunError`].
pub fn calibrate(plan: &Plan, host: &Host<'_>) -> Result<CostFile, RunError> {
    let mut calibration = Calibration::begin(plan);
    for _ in 0..SLICES {
        calibration.slice(host)?;
    }
    calibration.finish(host)
}

/// A calibration under way.
#[derive(Debug)]
pub struct Calibration {
    plan: Plan,
    before: Before,
    notes: NotesOf,
    /// What a look at the pace took in each slice, in microseconds.
    paces: Vec<f64>,
    slices: u64,
}

impl Calibration {
    /// A calibration that has measured nothing.
    pub fn begin(plan: &Plan) -> Calibration {
        let before = Before::now();
        Calibration { plan: *plan, before, notes: Vec::new(), paces: Vec::new(), slices: 0 }
    }

    /// Times turns once more.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn slice(&mut self, host: &Host<'_>) -> Result<(), RunError> {
        // As a run with the default settings has it.
        let _pages = HugePages::allow(false);
        let warm_up = Shape {
            replicas: 4,
            batch: BATCHES[BATCHES.len() - 1],
            payload: self.plan.payload,
            span: self.plan.span * WARM_UP_SPANS,
            seed: self.plan.seed,
        };
        turns::time(warm_up, &cores()?)?;
        let watched = PaceThread::start(self.plan.seed).map_err(|error| failed(&error))?;
        let notes = timed_turns(&self.plan, self.slices, host);
        self.paces.extend(watched.finish());
        self.notes.extend(notes?);
        self.slices += 1;
        Ok(())
    }

    /// Measures the rest, and says what each step costs.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn finish(self, host: &Host<'_>) -> Result<CostFile, RunError> {
        let pace_us = median(self.paces.iter().copied());
        costs_of(&self.plan, &self.notes, pace_us, &self.before, host)
    }
}

fn cores() -> Result<Vec<CoreId>, RunError> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    match cores.is_empty() {
        true => Err(failed(&"the system names no core")),
        false => Ok(cores),
    }
}

fn costs_of(
    plan: &Plan,
    notes: &NotesOf,
    pace_us: Option<f64>,
    before: &Before,
    host: &Host<'_>,
) -> Result<CostFile, RunError> {
    let cores = cores()?;
    let (first, other) = (cores[0], cores.get(1).copied().unwrap_or(cores[0]));
    let keys = Workload::named("fixed", plan.payload, plan.seed);
    let keys = keys.map_or(0, |workload| workload.len());
    let mut costs = Vec::new();
    let mut add = |item: Item, figure: Figure, how: &str| {
        costs.push(Cost {
            name: item.name().to_owned(),
            unit: item.unit().to_owned(),
            value: figure.value,
            spread: figure.spread,
            how: how.to_owned(),
        });
    };
    let (many_keys, pace) = machine::beside_busy(&cores[1..], || {
        (signatures::votes(plan.seed), machine::pace_look(plan.seed))
    });
    for (part, figure) in parts(notes) {
        add(part, figure, FITTED);
    }
    for (item, figure) in clients(notes) {
        add(item, figure, "fitted to the load generator's work between rounds of turns");
    }
    for (item, figure) in oracle(notes) {
        add(item, figure, "fitted to the oracle's work after turns that executed");
    }
    add(Item::PaceLook, pace, "median of looks");
    let Wakes { call, delay, park } = machine::wakes(first, other);
    let near = machine::wakes(first, first);
    let near_ns = (near.delay.value + near.call.value - call.value).max(0.0);
    add(Item::WakeCall, call, "mean of sends to a thread that sleeps on another core");
    add(Item::WakeDelay, delay, "mean from the end of such a send");
    let near = Figure { value: near_ns, ..near.delay };
    add(Item::WakeNear, near, "mean from such a send on one core, less the call");
    add(Item::Park, park, "CPU time of the woken thread for each time that it is woken");
    add(Item::TimerLate, machine::timer_late(), "mean of sleeps of 150 us");
    add(Item::Tick, machine::tick(other), "median run of two busy threads on one core");
    let sockets = machine::sockets(first, other).map_err(|error| failed(&error))?;
    let Sockets { send, send_byte, receive, receive_byte } = sockets;
    for (item, value) in [
        (Item::SocketSend, send),
        (Item::SocketSendByte, send_byte),
        (Item::SocketReceive, receive),
        (Item::SocketReceiveByte, receive_byte),
    ] {
        let how = "CPU time over TCP on loopback, from flushes of 150 B and of 64 KiB";
        add(item, Figure { value, spread: None }, how);
    }
    let mut verify = verification(notes);
    verify.extend(many_keys);
    Ok(CostFile {
        schema_version: COSTS_VERSION,
        measured_at: date::rfc3339(SystemTime::now()),
        provenance: map(&provenance::capture(host.allocator, host.tool_version)),
        environment: map(&environment::capture(before)),
        cores: cores.len() as u64,
        pace_us,
        payload: plan.payload as u64,
        keys: keys as u64,
        costs,
        verify,
    })
}

const FITTED: &str = "least squares over single turns of replicas, verification aside";

/// Why it failed, as every command says it.
pub(crate) fn failed(error: &dyn Display) -> RunError {
    RunError::Failed {
        what: format!("calibration: {error}"),
        remedy: "close other programs and run it again".to_owned(),
    }
}

pub(crate) fn map(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// What was noted, by the number of replicas.
type NotesOf = Vec<(u64, Notes)>;

/// Times the shapes of a slice, from large batches to small ones: the first follow full load at once.
fn timed_turns(plan: &Plan, slice: u64, host: &Host<'_>) -> Result<NotesOf, RunError> {
    let cores = cores()?;
    let fours = BATCHES.map(|batch| (4, batch, if batch < LARGE { 1 } else { 2 }));
    let larger = LARGER.map(|pair| pair[slice as usize % pair.len()]);
    let larger = larger.map(|(replicas, batch)| (replicas, batch, 4));
    let mut notes = Vec::new();
    for (replicas, batch, spans) in fours.into_iter().rev().chain(larger) {
        if host.interrupt.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let seed = plan.seed.wrapping_add((slice << 16) + batch as u64);
        let (payload, span) = (plan.payload, plan.span * spans);
        let timed = turns::time(Shape { replicas, batch, payload, span, seed }, &cores)?;
        notes.push((replicas as u64, timed));
    }
    Ok(notes)
}

/// The costs of the parts of a turn.
fn parts(notes: &NotesOf) -> Vec<(Item, Figure)> {
    let rows = notes.iter().flat_map(|(_, notes)| &notes.turns).map(|turn| Row {
        counts: turn.work.counts().iter().map(|count| *count as f64).collect(),
        ns: turn.rest_ns,
    });
    figures(&rows.collect::<Vec<_>>(), &PARTS)
}

/// The costs of `items`, fitted to rows; the spread is by how much those of half of the rows differ
/// from those of the other half.
fn figures(rows: &[Row], items: &[Item]) -> Vec<(Item, Figure)> {
    let costs = fit(rows);
    let half = |odd: usize| {
        let some = rows.iter().enumerate().filter(|(place, _)| place % 2 == odd);
        fit(&some.map(|(_, row)| row.clone()).collect::<Vec<_>>())
    };
    let (even, odd) = (half(0), half(1));
    let figure = |(place, item): (usize, &Item)| {
        let value = costs.get(place).copied().unwrap_or(0.0);
        let apart = even.get(place).zip(odd.get(place)).map(|(one, other)| (one - other).abs());
        (*item, Figure { value, spread: apart.filter(|_| value > 0.0).map(|apart| apart / value) })
    };
    items.iter().enumerate().map(figure).collect()
}

fn clients(notes: &NotesOf) -> Vec<(Item, Figure)> {
    let load = notes.iter().flat_map(|(_, notes)| &notes.load);
    let busy = load.filter(|note| note.replies > 0 && note.requests > 0);
    let rows = busy.map(|note| Row {
        counts: vec![1.0, note.requests as f64, note.replies as f64],
        ns: note.ns,
    });
    figures(&rows.collect::<Vec<_>>(), &[Item::LoadTurn, Item::LoadRequest, Item::LoadReply])
}

fn oracle(notes: &NotesOf) -> Vec<(Item, Figure)> {
    let rows = notes
        .iter()
        .flat_map(|(_, notes)| &notes.oracle)
        .map(|note| Row { counts: vec![note.batches as f64, note.requests as f64], ns: note.ns });
    figures(&rows.collect::<Vec<_>>(), &[Item::OracleBatch, Item::OracleRequest])
}

/// What batches of verification cost, of committees of four and of sixteen.
fn verification(notes: &NotesOf) -> Vec<VerifyCost> {
    let mut sizes: BTreeMap<(u64, u64), Vec<f64>> = BTreeMap::new();
    for (keys, notes) in notes {
        for turn in notes.turns.iter().filter(|turn| turn.signatures > 0) {
            sizes.entry((*keys, turn.signatures)).or_default().push(turn.verify_ns);
        }
    }
    let enough = sizes.into_iter().filter(|(_, times)| times.len() >= SAMPLES_MIN);
    let cost = |((keys, signatures), times): ((u64, u64), Vec<f64>)| {
        let Figure { value, spread } = Figure::mean(times);
        VerifyCost { signatures, keys, value, spread }
    };
    enough.map(cost).collect()
}
