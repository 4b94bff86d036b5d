//! Measures on this machine what each step of a run costs: the cost model behind predictions.
//!
//! What is timed is the pipeline's own code, piece by piece, and no running cluster: turns of
//! replicas one at a time on one thread (`turns`), signatures (`signatures`), and what threads take to
//! wake each other (`machine`). Every core does the same at once, because in a run every core is busy.
//! Which costs explain the turns is found by least squares (`fit`).

mod fit;
mod machine;
mod signatures;
mod turns;

use core::fmt::Display;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::collections::BTreeMap;
use std::thread;
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
use crate::provenance;
use crate::trial::{Host, RunError};
use crate::workload::Workload;

/// Requests in a batch, and in flight, of the clusters of four that are timed.
const BATCHES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/// The larger committees, and their batches.
const LARGER: [(usize, usize); 4] = [(7, 8), (7, 64), (16, 8), (16, 64)];
/// Fewest batches of a size that tell what verifying it costs.
const SAMPLES_MIN: usize = 12;
/// One batch in so many, the dearest, does not count: something cut in.
const DEAREST: usize = 20;

/// How a calibration is done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Bytes of an operation.
    pub payload: usize,
    /// How long each cluster is timed.
    pub span: Duration,
    /// Of keys and operations.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { payload: 512, span: Duration::from_millis(600), seed: 42 }
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

    /// The mean, without the dearest values.
    fn mean(mut values: Vec<f64>) -> Figure {
        values.sort_by(f64::total_cmp);
        let spread = Figure::median(values.clone()).spread;
        values.truncate(values.len() - values.len() / DEAREST);
        let value = values.iter().sum::<f64>() / values.len().max(1) as f64;
        Figure { value, spread }
    }
}

/// Measures everything: about a quarter of a minute.
///
/// # Errors
/// [`RunError`].
pub fn calibrate(plan: &Plan, host: &Host<'_>) -> Result<CostFile, RunError> {
    let before = Before::now();
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let first = *cores.first().ok_or_else(|| failed(&"the system names no core"))?;
    let other = cores.get(1).copied().unwrap_or(first);
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
    let watched = PaceThread::start(plan.seed).map_err(|error| failed(&error))?;
    let notes = timed_turns(plan, &cores, host)?;
    let pace_us = watched.finish();
    let (many_keys, pace) = machine::beside_busy(&cores[1..], || {
        (signatures::votes(plan.seed), machine::pace_look(plan.seed))
    });
    for (part, figure) in parts(&notes) {
        add(part, figure, FITTED);
    }
    for (item, figure) in clients(&notes) {
        add(item, figure, "fitted to the load generator's work between rounds of turns");
    }
    for (item, figure) in oracle(&notes) {
        add(item, figure, "fitted to the oracle's work after turns that executed");
    }
    add(Item::PaceLook, pace, "median of looks");
    let Wakes { call, delay, park } = machine::wakes(first, other);
    let near = machine::wakes(first, first);
    let near_ns = (near.delay.value + near.call.value - call.value).max(0.0);
    add(Item::WakeCall, call, "median of sends to a thread that sleeps on another core");
    add(Item::WakeDelay, delay, "median from the end of such a send");
    let near = Figure { value: near_ns, ..near.delay };
    add(Item::WakeNear, near, "median from such a send on one core, less the call");
    add(Item::Park, park, "CPU time of the woken thread for each time that it is woken");
    add(Item::TimerLate, machine::timer_late(), "median of sleeps of 150 us");
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
    let mut verify = verification(&notes);
    verify.extend(many_keys);
    Ok(CostFile {
        schema_version: COSTS_VERSION,
        measured_at: date::rfc3339(SystemTime::now()),
        provenance: map(&provenance::capture(host.allocator, host.tool_version)),
        environment: map(&environment::capture(&before)),
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

/// Times every shape on every core at once.
fn timed_turns(plan: &Plan, cores: &[CoreId], host: &Host<'_>) -> Result<NotesOf, RunError> {
    let fours = BATCHES.map(|batch| (4, batch));
    let mut notes = Vec::new();
    for (replicas, batch) in fours.into_iter().chain(LARGER) {
        if host.interrupt.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let shape = |core: CoreId| Shape {
            replicas,
            batch,
            payload: plan.payload,
            span: plan.span,
            seed: plan.seed.wrapping_add(((core.id as u64) << 32) | batch as u64),
        };
        let each = thread::scope(|scope| {
            let timed = |core: &CoreId| {
                let core = *core;
                scope.spawn(move || {
                    core_affinity::set_for_current(core);
                    turns::time(shape(core))
                })
            };
            let threads: Vec<_> = cores.iter().map(timed).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join();
            threads.into_iter().map(join).collect::<Vec<_>>()
        });
        for timed in each {
            let timed = timed.map_err(|_| failed(&"a thread panicked"))?;
            notes.push((replicas as u64, timed?));
        }
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

/// The costs of `items`, fitted to rows; the spread is by how much those of half of the rows differ from
/// those of the other half.
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
