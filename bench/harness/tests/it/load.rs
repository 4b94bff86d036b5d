//! The generator against a pretended server in virtual time: known answers, and no clock.

#![allow(clippy::unwrap_used)] // A test stops at what it did not expect.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::pbft::{Message, PROTOCOL};
use quorumark_consensus::request::Reply;
use quorumark_consensus::types::{Instant, ReplicaId, Seq, View};
use quorumark_consensus::{ClientId, Committee};
use quorumark_harness::load::{
    Arrivals, Gauge, Generator, Law, LoadConfig, LoadReport, Loop, Pool, Port, Requests,
};
use quorumark_harness::oracle::{SendTimes, Window};
use quorumark_harness::workload::{Plan, Shares, Workload};
use quorumark_pipeline::port::ReplyView;
use quorumark_pipeline::{ClientAuthKind, ClusterConfig, ClusterKeys, PortError};
use quorumark_primitives::wire::Decode;
use quorumark_report::Point;

const MS: u64 = 1_000_000;
/// What the server takes for one request when it does not stall.
const SERVICE: u64 = 200_000;
const SPAN: Range<u64> = 100 * MS..1100 * MS;

/// Four replicas that answer each request after [`SERVICE`], and take nothing during a stall.
struct Server {
    now: Cell<u64>,
    stall: Range<u64>,
    /// Requests that are never answered at the first try.
    lose: fn(u64) -> bool,
    /// Replicas that give a wrong result.
    liars: u16,
    /// Nanoseconds between answers when requests queue up.
    pace: u64,
    free_at: u64,
    due: BTreeMap<(u64, u64), Reply>,
    received: BTreeMap<(ClientId, u64), u64>,
    counter: u64,
}

impl Server {
    fn new() -> Server {
        Server {
            now: Cell::new(0),
            stall: 0..0,
            lose: |_| false,
            liars: 0,
            pace: 0,
            free_at: 0,
            due: BTreeMap::new(),
            received: BTreeMap::new(),
            counter: 0,
        }
    }

    fn answer(&mut self, replica: u16, frame: &Bytes) {
        let Ok(Message::Request(signed)) = Message::from_frame(frame) else {
            panic!("the generator sends requests")
        };
        let (client, timestamp) = signed.id();
        let times = self.received.entry((client, timestamp.0)).or_default();
        *times += 1;
        if *times == 1 && (self.lose)(timestamp.0) {
            return;
        }
        // A repeat is answered from what is kept.
        let pace = if *times == 1 { self.pace } else { 0 };
        self.free_at = self.free_at.max(self.now.get()) + pace;
        let at = self.free_at + SERVICE;
        let replicas = if *times == 1 { 0..4 } else { replica..replica + 1 };
        for replica in replicas {
            let result = Bytes::from_static(if replica < self.liars { b"lie" } else { b"done" });
            let (view, seq, tentative) = (View(0), Seq(1), false);
            let replica = ReplicaId(replica);
            let reply = Reply { view, seq, timestamp, client, replica, result, tentative };
            self.counter += 1;
            self.due.insert((at, self.counter), reply);
        }
    }
}

impl Port for Server {
    fn now(&self) -> Instant {
        // Looking at the clock takes time, or a loop that never waits would never end.
        self.now.set(self.now.get() + 50);
        Instant(self.now.get())
    }

    fn send(&mut self, to: ReplicaId, frames: Vec<Bytes>) -> Result<(), (PortError, Vec<Bytes>)> {
        if self.stall.contains(&self.now.get()) {
            return Err((PortError::Full, frames));
        }
        frames.iter().for_each(|frame| self.answer(to.0, frame));
        Ok(())
    }

    fn wait(&mut self, until: Instant) -> Result<(), PortError> {
        let first = self.due.first_key_value().map_or(until.0, |((at, _), _)| (*at).min(until.0));
        self.now.set(self.now.get().max(first));
        Ok(())
    }

    fn receive(&mut self, visit: &mut dyn FnMut(ReplyView<'_>)) -> u64 {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > self.now.get() {
                break;
            }
            visit(ReplyView::from(&entry.remove()));
        }
        0
    }
}

fn run(server: &mut Server, pace: Loop, shares: Shares) -> LoadReport {
    run_with(server, pace, shares, false)
}

fn run_with(server: &mut Server, pace: Loop, shares: Shares, read_only: bool) -> LoadReport {
    let mut config = ClusterConfig::new(4).unwrap();
    config.client_auth = ClientAuthKind::Mac;
    let keys = ClusterKeys::new(&config.check().unwrap(), PROTOCOL);
    let workload = Arc::new(Workload::named("fixed", 16, 1).unwrap());
    let plan = Plan::new(workload, 4, 1, shares);
    let clients = (0..4).map(|id| keys.client(ClientId(id))).collect();
    let requests = Requests::new(plan, ClientAuthKind::Mac, Pool::default(), clients);
    let load = LoadConfig {
        committee: Committee::new(4).unwrap(),
        pace,
        window: Window { start: Instant(SPAN.start), end: Instant(SPAN.end) },
        retransmit_timeout: Duration::from_millis(100),
        drain_max: Duration::from_secs(1),
        client_window: 1 << 16,
        client_to_all: false,
        read_only,
    };
    let interrupt = Arc::new(AtomicBool::new(false));
    let generator = Generator::new(load, requests, Arc::new(SendTimes::default()), interrupt);
    let gauge = Arc::new(Gauge::default());
    assert_eq!((gauge.throughput(), gauge.p99_ns()), (None, None), "nothing is known yet");
    let report = generator.watched_by(Arc::clone(&gauge)).run(server).unwrap();
    let slice = |point: &Point| point.values.get("throughput_tx_per_s").unwrap();
    let slices: Vec<f64> = report.series.iter().rev().take(5).map(slice).collect();
    let shown = slices.iter().sum::<f64>() / slices.len() as f64;
    assert_eq!(gauge.throughput(), Some(shown), "who watches sees the mean of half a second");
    report
}

fn open(rate: f64) -> Loop {
    Loop::Open(Arrivals::new(Law::Constant, rate, Instant(0), 1))
}

#[test]
fn a_stall_stands_in_the_response_time_and_not_in_the_service_time() {
    let mut server = Server { stall: 500 * MS..700 * MS, ..Server::new() };
    let report = run(&mut server, open(1000.0), Shares::default());
    assert_eq!((report.intended, report.sent, report.completed), (1000, 1000, 1000));
    // A fifth of the requests was due in the stall of 200 ms: their mean wait is half of it.
    let response = report.response.quantile(0.9).unwrap() / MS;
    assert!((95..=105).contains(&response), "{response} ms");
    let longest = report.response.max().unwrap() / MS;
    assert!((199..=202).contains(&longest), "{longest} ms");
    let service = report.service.max().unwrap();
    assert!(service < 2 * SERVICE, "{service} ns");
}

#[test]
fn a_closed_loop_keeps_its_concurrency_and_little_s_law_holds() {
    let report = run(&mut Server::new(), Loop::Closed(8), Shares::default());
    let per_s = report.accepted_in_span as f64 / report.span.as_secs_f64();
    let stay = report.service.mean().unwrap() / 1e9;
    let expected = 8.0 * 1e9 / (SERVICE as f64 * 1.005);
    assert!((per_s / expected - 1.0).abs() < 0.02, "{per_s} for {expected}");
    assert!((per_s * stay / report.in_flight_mean - 1.0).abs() < 0.02, "{report:?}");
    assert_eq!(report.series.len(), 10);
    assert_eq!(report.requests.turns.iter().sum::<u64>(), report.requests.acknowledged.len());
}

#[test]
fn an_overloaded_open_loop_shows_what_was_intended_and_what_came_back() {
    let mut server = Server { pace: 100_000, ..Server::new() };
    let report = run(&mut server, open(20_000.0), Shares::default());
    assert_eq!(report.intended, 20_000);
    assert!((9_900..=10_100).contains(&report.accepted_in_span), "{}", report.accepted_in_span);
    // Half of the load waits: the longest for half of warm-up and span.
    let longest = report.response.max().unwrap() / MS;
    assert!(longest > 500, "{longest} ms");
}

#[test]
fn lost_requests_are_sent_to_all_and_answered_once() {
    let mut server = Server { lose: |timestamp| timestamp % 10 == 3, ..Server::new() };
    let report = run(&mut server, open(400.0), Shares::default());
    assert_eq!((report.intended, report.completed), (400, 400));
    let lost = server.received.values().filter(|times| **times > 1).count() as u64;
    assert!(lost >= 40 && report.retransmitted == lost, "{lost} {}", report.retransmitted);
    let service = report.service.max().unwrap() / MS;
    assert!((100..=130).contains(&service), "{service} ms");
}

#[test]
fn f_liars_are_outvoted_and_more_than_f_equal_ones_would_be_believed() {
    let report = run(&mut Server { liars: 1, ..Server::new() }, open(100.0), Shares::default());
    assert_eq!(report.completed, 100);
    let twice = Shares { invalid: 0.0, sent_twice: 1.0 };
    let report = run(&mut Server { liars: 1, ..Server::new() }, open(100.0), twice);
    // Later replies of the liar differ from the accepted result, and that is told.
    assert!(report.replies_compared > 0 && report.replies_differing.0 > 0);
}

#[test]
fn spoilt_requests_are_sent_beside_the_others_and_wait_for_nothing() {
    let shares = Shares { invalid: 0.25, sent_twice: 0.0 };
    let mut server = Server::new();
    let report = run(&mut server, open(1000.0), shares);
    assert_eq!((report.intended, report.completed), (1000, 1000));
    let all = report.sent_invalid as f64 / server.received.len() as f64;
    assert!((0.2..0.3).contains(&all), "{all}");
}

#[test]
fn where_reads_are_not_ordered_a_write_takes_a_quorum_of_equal_replies_too() {
    for (read_only, completed) in [(false, 1000), (true, 0)] {
        // Two replicas say one thing, two another: neither is a quorum of four.
        let mut server = Server { liars: 2, ..Server::new() };
        let report = run_with(&mut server, open(1000.0), Shares::default(), read_only);
        assert_eq!(report.completed, completed, "read_only = {read_only}");
    }
}
