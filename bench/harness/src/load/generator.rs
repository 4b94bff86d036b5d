//! The generator's loop.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::pbft::READ;
use quorumark_consensus::types::{Instant, Seq, View};
use quorumark_pipeline::PortError;
use quorumark_pipeline::port::ReplyView;

use super::flights::{Flights, Landed, Needed, Progress};
use super::record::Recorder;
use super::{Gauge, LoadConfig, LoadReport, Loop, Port, Requests};
use crate::oracle::{SendTimes, Window};
use crate::workload::NUMBERS_MAX;

/// The most request frames that are handed to the port at once.
pub const FLUSH_FRAMES_MAX: usize = 256;

/// The longest that the generator parks: it has to see interrupts and overdue requests.
const PARK_MAX: Duration = Duration::from_millis(10);
/// How long it waits before it offers frames again that the port did not take.
const REFUSED_WAIT: Duration = Duration::from_micros(200);
/// The most requests that are sent again in one turn.
const RETRANSMITS_MAX: usize = 64;

/// Sends the requests of one trial and takes their results.
#[derive(Debug)]
pub struct Generator {
    config: LoadConfig,
    requests: Requests,
    flights: Flights,
    recorder: Recorder,
    sends: Arc<SendTimes>,
    interrupt: Arc<AtomicBool>,
    view: View,
    outgoing: Outgoing,
    /// Requests to send a second time, for their results were accepted; bounded by what one turn
    /// accepts, since each turn sends them all.
    second: Vec<u64>,
    /// Reads on which replicas differ, to be ordered; bounded as `second` is.
    split: Vec<u64>,
    /// Requests whose results were accepted in this turn: they are dated once all that came with them is
    /// authenticated and counted. Bounded by what is in flight; its memory stays.
    landed: Vec<(u64, Landed)>,
    next_retransmit_check: Instant,
}

/// Frames for the primary that no port has taken yet.
#[derive(Debug, Default)]
struct Outgoing {
    frames: Vec<Bytes>,
    /// The valid requests among them, with their intended times.
    numbers: Vec<(u64, Instant)>,
    /// The others: their proofs are spoilt.
    invalid: u64,
    /// Frames one behind the other, until they are cut apart: one buffer for all of a turn, to all of which
    /// each of them holds on.
    buffer: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Bytes of the last buffer: what the next one begins with.
    bytes_before: usize,
}

impl Outgoing {
    /// Frames that are there, cut apart or not.
    fn len(&self) -> usize {
        self.frames.len() + self.ends.len()
    }

    /// Adds the frame that `write` appends.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.buffer.is_empty() {
            self.buffer.reserve(self.bytes_before);
        }
        write(&mut self.buffer);
        self.ends.push(self.buffer.len());
    }

    /// Cuts what was written into frames.
    fn cut(&mut self) {
        if self.ends.is_empty() {
            return;
        }
        self.bytes_before = self.buffer.len();
        let mut buffer = std::mem::take(&mut self.buffer);
        // A replica may keep one of the frames: it holds on to no more than twice what all of them take.
        if buffer.capacity() > 2 * buffer.len() {
            buffer.shrink_to_fit();
        }
        let all = Bytes::from(buffer);
        let mut from = 0;
        for end in self.ends.drain(..) {
            self.frames.push(all.slice(from..end));
            from = end;
        }
    }
}

impl Generator {
    /// A generator for one trial. Real sends are noted in `sends`; `interrupt` ends the measured
    /// span early.
    pub fn new(
        config: LoadConfig,
        requests: Requests,
        sends: Arc<SendTimes>,
        interrupt: Arc<AtomicBool>,
    ) -> Generator {
        let clients = u64::from(requests.plan().clients());
        // Half of the window: executions may overtake each other by as much.
        let spread = (config.client_window / 2).max(1).saturating_mul(clients);
        Generator {
            flights: Flights::new(replies_needed(&config), config.committee.n(), spread),
            recorder: Recorder::new(config.window),
            next_retransmit_check: Instant(0),
            view: View(0),
            outgoing: Outgoing::default(),
            second: Vec::new(),
            split: Vec::new(),
            landed: Vec::new(),
            config,
            requests,
            sends,
            interrupt,
        }
    }

    /// Has `gauge` told of each slice of the span.
    #[must_use]
    pub fn watched_by(mut self, gauge: Arc<Gauge>) -> Generator {
        self.recorder.gauge = Some(gauge);
        self
    }

    /// Runs the load until its span has ended and its results are there, or are waited for no
    /// longer.
    ///
    /// # Errors
    /// [`PortError::Stopped`] when the system under test stopped.
    pub fn run(mut self, port: &mut impl Port) -> Result<LoadReport, PortError> {
        loop {
            let now = port.now();
            self.check_interrupt(now);
            self.recorder.look(now);
            if self.is_done(now) {
                break;
            }
            let more = self.launch(now);
            let refused = !self.flush(port, now);
            self.recorder.in_flight = self.in_flight();
            self.send_second(port);
            self.order_split(port, now);
            self.retransmit(port, now);
            // What was refused is not offered again at once, however much more is due.
            let until = if more && !refused { now } else { self.wake(now) };
            self.receive(port, until)?;
        }
        self.count_unsent();
        let Generator { mut recorder, requests, flights, .. } = self;
        flights.waiting().for_each(|flight| recorder.unanswered(flight));
        recorder.report.proven_live = requests.proven_live();
        Ok(recorder.finish(flights.next(), requests.plan().clients()))
    }

    /// Requests that have left and wait for their results.
    fn in_flight(&self) -> usize {
        self.flights.len() - self.outgoing.numbers.len()
    }

    fn check_interrupt(&mut self, now: Instant) {
        let window = &mut self.recorder.window;
        if self.interrupt.load(Ordering::Relaxed) && now < window.end {
            window.end = now.max(window.start);
        }
    }

    fn is_done(&self, now: Instant) -> bool {
        let end = self.recorder.window.end;
        let idle =
            self.flights.len() == 0 && self.outgoing.frames.is_empty() && self.second.is_empty();
        now >= end && (idle || now >= end + self.config.drain_max)
    }

    /// Makes the requests that are due; tells whether more are than one flush takes.
    fn launch(&mut self, now: Instant) -> bool {
        let more = self.write_due(now);
        self.outgoing.cut();
        more
    }

    fn write_due(&mut self, now: Instant) -> bool {
        if now >= self.recorder.window.end {
            return false;
        }
        while let Some(intended) = self.due(now) {
            if self.outgoing.len() >= FLUSH_FRAMES_MAX {
                return true;
            }
            let number = self.flights.next();
            let plan = self.requests.plan();
            let invalid = plan.is_invalid(number);
            let reads = self.config.read_only && !invalid && plan.only_reads(number);
            self.outgoing.add(|out| match reads {
                true => self.requests.write_read_frame(number, out),
                false => self.requests.write_frame(number, out),
            });
            if invalid {
                self.flights.pass();
                self.outgoing.invalid += 1;
            } else {
                self.flights.launch(intended, reads);
                self.outgoing.numbers.push((number, intended));
                self.recorder.intended(intended);
                if let Loop::Open(arrivals) = &mut self.config.pace {
                    arrivals.advance();
                }
            }
        }
        false
    }

    /// When the next request was meant to be sent, if that is now or before.
    fn due(&self, now: Instant) -> Option<Instant> {
        let free = self.flights.has_room() && self.flights.next() < NUMBERS_MAX;
        let due = match &self.config.pace {
            Loop::Closed(concurrency) => (self.flights.len() < *concurrency).then_some(now),
            Loop::Open(arrivals) => Some(arrivals.next()).filter(|intended| *intended <= now),
        };
        due.filter(|_| free)
    }

    /// Hands the port what is there; tells whether all has left.
    fn flush(&mut self, port: &mut impl Port, now: Instant) -> bool {
        if self.outgoing.frames.is_empty() {
            return true;
        }
        let frames = std::mem::take(&mut self.outgoing.frames);
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        // Noted before they leave: a commit must find the send of its request.
        for (number, _) in &self.outgoing.numbers {
            self.sends.record(*number, now);
        }
        let primary = self.config.committee.primary(self.view);
        let copy = self.for_all(&frames);
        match port.send(primary, frames) {
            // To one that has stopped they are lost, as on any network.
            Ok(()) | Err((PortError::Stopped, _)) => {
                self.recorder.report.bytes_sent += bytes as u64;
                let bytes: usize = copy.iter().map(Bytes::len).sum();
                for backup in self.config.committee.members().filter(|one| *one != primary) {
                    if !copy.is_empty() && port.send(backup, copy.clone()).is_ok() {
                        self.recorder.report.bytes_sent += bytes as u64;
                    }
                }
                self.recorder.report.sent_invalid += std::mem::take(&mut self.outgoing.invalid);
                let again = now + self.config.retransmit_timeout;
                for (number, intended) in self.outgoing.numbers.drain(..) {
                    self.flights.sent(number, now, again);
                    self.recorder.sent(intended, now);
                }
                true
            }
            Err((PortError::Full, frames)) => {
                self.outgoing.frames = frames;
                false
            }
        }
    }

    /// The frames that go to the backups as well: every read, and every request where clients send
    /// to all.
    fn for_all(&self, frames: &[Bytes]) -> Vec<Bytes> {
        let goes = |frame: &&Bytes| self.config.client_to_all || frame.first() == Some(&READ);
        frames.iter().filter(goes).cloned().collect()
    }

    /// OSDI'99 5.1: a read that finds no quorum of equal replies is sent "as a regular read-write
    /// request". Here as soon as that is certain, in the paper when the client's timer expires.
    fn order_split(&mut self, port: &mut impl Port, now: Instant) {
        let numbers = std::mem::take(&mut self.split);
        let again = now + self.config.retransmit_timeout;
        for some in numbers.chunks(FLUSH_FRAMES_MAX) {
            self.send_to_all(port, some);
            some.iter().for_each(|number| self.flights.sent(*number, now, again));
        }
    }

    /// Sends overdue requests to every replica (PBFT 4.1); an overdue read is ordered from now on.
    fn retransmit(&mut self, port: &mut impl Port, now: Instant) {
        if now < self.next_retransmit_check {
            return;
        }
        self.next_retransmit_check = now + self.config.retransmit_timeout / 8;
        let numbers = self.flights.due(now, RETRANSMITS_MAX);
        if numbers.is_empty() {
            return;
        }
        numbers.iter().for_each(|number| self.flights.give_up_reading(*number));
        // A full replica gets them the next time.
        self.send_to_all(port, &numbers);
        self.recorder.report.retransmitted += numbers.len() as u64;
        for number in numbers {
            self.flights.sent(number, now, now + self.config.retransmit_timeout);
        }
    }

    /// Sends answered requests to every replica again, as a client whose replies were lost would: a
    /// replica answers from what it kept (PBFT 4.1), and must answer the same.
    fn send_second(&mut self, port: &mut impl Port) {
        let numbers = std::mem::take(&mut self.second);
        for some in numbers.chunks(FLUSH_FRAMES_MAX) {
            self.send_to_all(port, some);
            self.recorder.report.sent_twice += some.len() as u64;
        }
    }

    /// Sends these requests to every replica that takes them just now; one that has stopped never
    /// does.
    fn send_to_all(&mut self, port: &mut impl Port, numbers: &[u64]) {
        let frames: Vec<Bytes> = numbers.iter().map(|nth| self.requests.frame(*nth)).collect();
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        for replica in self.config.committee.members() {
            if port.send(replica, frames.clone()).is_ok() {
                self.recorder.report.bytes_sent += bytes as u64;
            }
        }
    }

    /// When there is something to do even without a reply.
    fn wake(&self, now: Instant) -> Instant {
        let mut wake = now + PARK_MAX;
        for boundary in [self.recorder.window.start, self.recorder.window.end] {
            if boundary > now {
                wake = wake.min(boundary);
            }
        }
        if let Loop::Open(arrivals) = &self.config.pace
            && now < self.recorder.window.end
            && self.flights.has_room()
        {
            wake = wake.min(arrivals.next());
        }
        if !self.outgoing.frames.is_empty() {
            wake = wake.min(now + REFUSED_WAIT);
        }
        wake
    }

    fn receive(&mut self, port: &mut impl Port, until: Instant) -> Result<(), PortError> {
        port.wait(until)?;
        let refused = port.receive(&mut |reply| self.take(&reply));
        self.recorder.report.replies_refused += refused;
        // One reading of the clock for all that came together; no reply is dated before it is known to be
        // authentic.
        let now = port.now();
        self.recorder.look(now);
        for (number, landed) in self.landed.drain(..) {
            self.recorder.accepted(number, &landed, now);
        }
        self.recorder.in_flight = self.in_flight();
        Ok(())
    }

    fn take(&mut self, reply: &ReplyView<'_>) {
        let plan = self.requests.plan();
        let Some(number) = plan.number(reply.client, reply.timestamp) else {
            self.recorder.report.replies_refused += 1;
            return;
        };
        let sent_twice = plan.is_sent_twice(number);
        let ordered = reply.seq > Seq(0);
        // What is tentative may have been undone meanwhile.
        let stands = ordered && !reply.tentative;
        match self.flights.reply(number, reply) {
            Progress::Accepted { landed, view, tentative } => {
                self.view = self.view.max(view);
                self.recorder.report.taken_tentatively += u64::from(tentative);
                self.landed.push((number, landed));
                // Ordered later, a read may see another value.
                if sent_twice && ordered && self.recorder.keep_result(number, &landed, reply.result)
                {
                    self.second.push(number);
                }
            }
            Progress::Counted => (),
            Progress::Split => {
                self.recorder.report.reads_split += 1;
                self.flights.give_up_reading(number);
                self.split.push(number);
            }
            Progress::Repeated => self.recorder.report.replies_repeated += 1,
            Progress::Late if sent_twice && stands => {
                self.recorder.compare(number, reply.replica, reply.result);
            }
            Progress::Late => (),
        }
    }

    /// Counts the requests of an open loop that were due and never launched.
    fn count_unsent(&mut self) {
        if let Loop::Open(arrivals) = &mut self.config.pace {
            let Window { start, end } = self.recorder.window;
            arrivals.skip(start);
            let unsent = arrivals.skip(end);
            self.recorder.unsent(unsent);
        }
    }
}

/// Equal replies at which a result is accepted: f + 1 (PBFT 4.1), or a quorum where reads are not
/// ordered, so that a read's quorum shares an honest replica with that of each write. Tentative ones
/// take a quorum (OSDI'99 5.1).
fn replies_needed(config: &LoadConfig) -> Needed {
    let quorum = config.committee.quorum();
    let committed = if config.read_only { quorum } else { config.committee.weak_quorum() };
    Needed { committed, quorum }
}
