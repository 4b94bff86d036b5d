//! What the generator counts and times.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::types::{Instant, ReplicaId};
use quorumark_report::{Metrics, Point};

use super::flights::{Flight, Landed, Voters};
use super::gauge::Gauge;
use crate::clock;
use crate::latency::Latency;
use crate::oracle::{Sent, Window};

/// Length of one point of the time series.
pub const SLICE: Duration = Duration::from_millis(100);

/// Points of which the mean throughput is shown while the load goes on: in a single one there are
/// so few batches that the figure would jump.
const SHOWN_SLICES: usize = 5;

/// The part of the span in which latencies are taken as those of its end: one over this.
const EARLY: u32 = 10;

/// Results of requests that were sent twice, kept to compare later replies with.
const TWICE_KEPT_MAX: usize = 1 << 16;

/// What the load did. Counts are of the measured span where nothing else is said.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// Length of the measured span.
    pub span: Duration,
    /// Valid requests that were meant to be sent within the span.
    pub intended: u64,
    /// Of these, sent before its end.
    pub sent: u64,
    /// Of the intended ones, answered by the end of the cool-down.
    pub completed: u64,
    /// Of the intended ones, sent at any time and not answered by the end of the cool-down.
    pub dropped: u64,
    /// In the whole trial: requests sent and not answered by its end.
    pub unanswered: u64,
    /// Of the intended ones, answered within the span.
    pub completed_in_span: u64,
    /// How long after the span's end the others of them were answered.
    pub late: Latency,
    /// Response times of those that were intended in the first tenth of the span: as long as the
    /// last ones may take too.
    pub early: Latency,
    /// Results accepted within the span, whenever their requests were sent.
    pub accepted_in_span: u64,
    /// Times from the intended send of the intended requests.
    pub response: Latency,
    /// Times from their real send.
    pub service: Latency,
    /// Requests that were really sent and not answered, averaged over the span.
    pub in_flight_mean: f64,
    /// The generator's CPU time in the span.
    pub cpu: Duration,
    /// Throughput and response time in slices of [`SLICE`].
    pub series: Vec<Point>,
    /// In the whole trial: requests with a spoilt proof.
    pub sent_invalid: u64,
    /// In the whole trial: requests sent to all after a timeout.
    pub retransmitted: u64,
    /// In the whole trial: bytes of request frames, each copy counted.
    pub bytes_sent: u64,
    /// In the whole trial: replies of replicas that had answered already.
    pub replies_repeated: u64,
    /// In the whole trial: runs of replies that were not authentic, and replies to nobody.
    pub replies_refused: u64,
    /// In the whole trial: reads that were answered without being ordered.
    pub reads_unordered: u64,
    /// In the whole trial: results that were accepted before they were known to be committed.
    pub taken_tentatively: u64,
    /// In the whole trial: reads that replicas answered differently, and that were ordered then.
    pub reads_split: u64,
    /// In the whole trial: second copies of requests, sent once their results were accepted.
    pub sent_twice: u64,
    /// In the whole trial: second replies of a replica to a request that was sent twice, compared
    /// with the result that was accepted.
    pub replies_compared: u64,
    /// Of these, different ones; the first in words.
    pub replies_differing: (u64, Option<String>),
    /// In the whole trial: signatures that the pool did not have.
    pub proven_live: u64,
    /// What the oracle wants to know.
    pub requests: Sent,
}

/// Collects a [`LoadReport`].
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) report: LoadReport,
    pub(super) window: Window,
    slice: Latency,
    slice_end: Instant,
    pub(super) in_flight: usize,
    in_flight_area: f64,
    last_look: Instant,
    cpu_start: Option<Duration>,
    cpu_end: Option<Duration>,
    twice: HashMap<u64, Twice>,
    pub(super) gauge: Option<Arc<Gauge>>,
}

/// A request that was answered and is sent a second time.
#[derive(Debug)]
struct Twice {
    result: Bytes,
    /// The replicas whose first reply has come.
    answered: Voters,
}

impl Recorder {
    pub(super) fn new(window: Window) -> Recorder {
        Recorder {
            report: LoadReport::default(),
            window,
            slice: Latency::new(),
            slice_end: window.start + SLICE,
            in_flight: 0,
            in_flight_area: 0.0,
            last_look: window.start,
            cpu_start: None,
            cpu_end: None,
            twice: HashMap::new(),
            gauge: None,
        }
    }

    /// Called before the number of requests in flight changes, and each turn.
    pub(super) fn look(&mut self, now: Instant) {
        let until = now.min(self.window.end);
        if until > self.last_look {
            let span_ns = until.since(self.last_look).as_nanos() as f64;
            self.in_flight_area += self.in_flight as f64 * span_ns;
            self.last_look = until;
        }
        if now >= self.window.start && self.cpu_start.is_none() {
            self.cpu_start = Some(clock::thread_cpu());
        }
        if now >= self.window.end && self.cpu_end.is_none() {
            self.cpu_end = Some(clock::thread_cpu());
        }
        while now >= self.slice_end && self.slice_end <= self.window.end {
            self.close_slice();
        }
    }

    fn close_slice(&mut self) {
        let slice = std::mem::take(&mut self.slice);
        let mut values = Metrics::new();
        let throughput = slice.len() as f64 / SLICE.as_secs_f64();
        values.set("throughput_tx_per_s", throughput);
        values.set("response_time_ns_p50", slice.quantile(0.5).map(|ns| ns as f64));
        values.set("response_time_ns_p99", slice.quantile(0.99).map(|ns| ns as f64));
        let t_ns = self.slice_end.since(self.window.start).as_nanos() as u64;
        self.report.series.push(Point { sample: 0, t_ns, values });
        if let Some(gauge) = &self.gauge {
            let last = self.report.series.iter().rev().take(SHOWN_SLICES);
            let shown = last.filter_map(|point| point.values.get("throughput_tx_per_s"));
            let (count, sum) = shown.fold((0.0, 0.0), |(count, sum), one| (count + 1.0, sum + one));
            gauge.set(sum / count, self.report.response.quantile(0.99));
        }
        self.slice_end = self.slice_end + SLICE;
    }

    /// A valid request was due.
    pub(super) fn intended(&mut self, at: Instant) {
        self.report.intended += u64::from(self.window.contains(at));
    }

    /// A valid request left for the first time at `now`.
    pub(super) fn sent(&mut self, intended: Instant, now: Instant) {
        let counts = self.window.contains(intended) && now < self.window.end;
        self.report.sent += u64::from(counts);
    }

    /// The result of request `number` was accepted at `now`.
    pub(super) fn accepted(&mut self, number: u64, landed: &Landed, now: Instant) {
        if landed.reads {
            self.report.reads_unordered += 1;
        } else {
            self.report.requests.acknowledged.insert(number);
        }
        let response = now.since(landed.intended);
        if self.window.contains(now) {
            self.report.accepted_in_span += 1;
            self.slice.record(response);
        }
        if self.window.contains(landed.intended) {
            self.report.completed += 1;
            self.place(landed.intended, now);
            self.report.response.record(response);
            self.report.service.record(now.since(landed.sent.unwrap_or(landed.intended)));
        }
    }

    /// Where the answer to a request that was intended within the span lies.
    fn place(&mut self, intended: Instant, now: Instant) {
        let Window { start, end } = self.window;
        if now < end {
            self.report.completed_in_span += 1;
        } else {
            self.report.late.record(now.since(end));
        }
        if intended < start + end.since(start) / EARLY {
            self.report.early.record(now.since(intended));
        }
    }

    /// A request that is still without its result at the end of the cool-down.
    pub(super) fn unanswered(&mut self, flight: &Flight) {
        if flight.sent.is_some() {
            self.report.unanswered += 1;
            self.report.dropped += u64::from(self.window.contains(flight.intended));
        }
    }

    /// Requests of an open loop were due within the span and never made.
    pub(super) fn unsent(&mut self, count: u64) {
        self.report.intended += count;
    }

    /// Keeps the result of a request that is to be sent twice; tells whether there was room.
    pub(super) fn keep_result(&mut self, number: u64, landed: &Landed, result: &[u8]) -> bool {
        let room = self.twice.len() < TWICE_KEPT_MAX;
        if room {
            // A copy: a view would hold the whole frame in memory.
            let result = Bytes::copy_from_slice(result);
            self.twice.insert(number, Twice { result, answered: landed.answered_by });
        }
        room
    }

    /// Compares a reply that came after its result was accepted, if it is the replica's second: the
    /// first ones of slow replicas come late too, and say nothing about repeats.
    pub(super) fn compare(&mut self, number: u64, by: ReplicaId, result: &[u8]) {
        let Some(twice) = self.twice.get_mut(&number) else { return };
        if twice.answered.insert(by) {
            return;
        }
        let accepted = &twice.result;
        self.report.replies_repeated += 1;
        self.report.replies_compared += 1;
        if accepted != result {
            let result = Bytes::copy_from_slice(result);
            let said = || format!("request {number} was answered {accepted:?}, then {result:?}");
            self.report.replies_differing.0 += 1;
            self.report.replies_differing.1.get_or_insert_with(said);
        }
    }

    /// The report of a load whose `numbers` requests came from `clients`.
    pub(super) fn finish(mut self, numbers: u64, clients: u32) -> LoadReport {
        let clients = u64::from(clients);
        let turn = |client| numbers / clients + u64::from(client < numbers % clients);
        self.report.requests.turns = (0..clients).map(turn).collect();
        self.report.span = self.window.end.since(self.window.start);
        let span_ns = self.report.span.as_nanos().max(1) as f64;
        self.report.in_flight_mean = self.in_flight_area / span_ns;
        if let Some((start, end)) = self.cpu_start.zip(self.cpu_end) {
            self.report.cpu = end.saturating_sub(start);
        }
        self.report
    }
}
