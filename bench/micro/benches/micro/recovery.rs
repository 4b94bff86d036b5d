//! What a replica spends where the normal case ends: on the VIEW-CHANGEs that make it primary, on
//! its client table at a checkpoint, and on a client table that it fetched.
//!
//! - `view_change::handle`: timed is `Engine::handle` for the VIEW-CHANGEs of all other backups, the
//!   NEW-VIEW that follows among it; throughput is in VIEW-CHANGEs. No signature is checked or made.
//! - `checkpoint::client_table`: timed are the root of a table of full windows and its copy for the
//!   journal, after so many replies; throughput is in these.
//! - `transfer::restore`: timed is the making of a table of full windows from its parts, its root
//!   among it; throughput is in replies.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Throughput;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::{Engine, Output};
use quorumark_micro::Id;
use quorumark_micro::fixtures::failover::Failover;
use quorumark_micro::fixtures::table::{Table, WINDOW};

use crate::suite::{Bench, Routine};

pub(crate) const ROUTINES: &[Routine] = &[
    ("view_change::handle", view_change),
    ("checkpoint::client_table", checkpoint),
    ("transfer::restore", restore),
];

fn view_change(id: &Id, bench: Bench<'_, '_>) {
    let n = id.number("n");
    let (window, prepared) = (id.number("window") as u64, id.number("prepared") as u64);
    let fixture = || {
        let failover = Failover::new(n, window, prepared);
        let mut takeover = failover.before();
        takeover.run();
        let opens =
            |output: &Output<_>| matches!(output, Output::Say { message: Message::NewView(_), .. });
        assert_eq!(takeover.out.drain().filter(opens).count(), 1, "the view is opened once");
        assert_eq!(takeover.engine.counters().messages_improper, 0);
        failover
    };
    // The old primary is silent, and the new one does not hear itself.
    let work = Throughput::Elements(n as u64 - 2);
    bench.measure_each(work, fixture, Failover::before, |_, mut takeover| {
        takeover.run();
        takeover
    });
}

fn checkpoint(id: &Id, bench: Bench<'_, '_>) {
    let (clients, replies) = (id.number("clients") as u32, id.number("replies") as u64);
    let fixture = || {
        let mut table = Table::new(clients);
        table.write(replies);
        table.checkpoint();
        assert!(table.fetched().restore().is_some(), "the parts make the table of the root");
        table
    };
    bench.measure_runs(Throughput::Elements(replies), fixture, |table, count| {
        let mut took = Duration::ZERO;
        for _ in 0..count {
            table.write(replies);
            let begun = Instant::now();
            black_box(table.checkpoint());
            took += begun.elapsed();
        }
        took
    });
}

fn restore(id: &Id, bench: Bench<'_, '_>) {
    let clients = id.number("clients") as u32;
    let fixture = || {
        let fetched = Table::new(clients).fetched();
        assert!(fetched.restore().is_some(), "the parts make the table of the root");
        fetched
    };
    let work = Throughput::Elements(u64::from(clients) * WINDOW);
    bench.measure_each(work, fixture, |_| (), |fetched, ()| fetched.restore());
}
