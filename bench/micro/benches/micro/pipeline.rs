//! The hand-over between stages, and a whole cluster.
//!
//! Timed: `hand_over`, [`ITEMS`] messages moved from one thread to another through a bounded
//! channel in batches, each batch a vector that the sender fills and the receiver empties, until
//! the receiver says that it has the last. Throughput is in messages; `capacity` is in batches.
//!
//! `commit`, a run of puts of 512 bytes through a PBFT cluster on the memory transport, signed
//! beforehand by four keys, at most 512 under way, from the first request until *every* replica has
//! answered every one: per transaction, wall time. `threads` are the verifying ones of each
//! replica, beside its four other stages. Signing stands in a flamegraph, but not in the figure.

use std::thread::{self, JoinHandle};
use std::{iter, mem};

use criterion::Throughput;
use crossbeam_channel::{Receiver, Sender, bounded};
use quorumark_consensus::pbft::Message;
use quorumark_micro::Id;
use quorumark_micro::fixtures::frames::{Frame, of_kind};
use quorumark_micro::fixtures::live::Live;

use crate::suite::{Bench, Routine};

pub(crate) const ROUTINES: &[Routine] =
    &[("pipeline::hand_over", hand_over), ("pipeline::commit", commit)];

/// Messages of one iteration: a whole number of batches of each size.
const ITEMS: usize = 4096;
/// Requests of the run that shows that the cluster is right before it is measured.
const PROBE_REQUESTS: usize = 64;

fn hand_over(id: &Id, bench: Bench<'_, '_>) {
    let (batch_size, capacity) = (id.number("batch_size"), id.number("capacity"));
    let fixture = || {
        let stage = Stage::start(capacity);
        assert_eq!(stage.pass(batch_size), ITEMS, "a message is lost");
        stage
    };
    bench.measure(Throughput::Elements(ITEMS as u64), fixture, |stage| stage.pass(batch_size));
}

fn commit(id: &Id, bench: Bench<'_, '_>) {
    let start = || Live::start(id.number("n"), id.number("batch_size"), id.number("threads"));
    let fixture = || {
        let mut probe = start();
        probe.run(PROBE_REQUESTS);
        let executed = probe.stop();
        assert_eq!(executed, vec![PROBE_REQUESTS as u64; id.number("n")], "once at each replica");
        start()
    };
    bench.measure_runs(Throughput::Elements(1), fixture, |live, count| live.run(count as usize));
}

/// A stage that counts what it is handed, on a thread of its own.
struct Stage {
    /// `None` once the stage has to end.
    batches: Option<Sender<Vec<Message>>>,
    counts: Receiver<usize>,
    message: Message,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    fn start(capacity: usize) -> Stage {
        let Frame::Message(message) = of_kind("prepare", 0) else { panic!("a prepare") };
        let (batches, received) = bounded::<Vec<Message>>(capacity);
        let (count, counts) = bounded(1);
        let thread = thread::spawn(move || {
            let mut counted = 0;
            for mut batch in received {
                counted += batch.drain(..).filter(|message| message.sender().is_some()).count();
                if counted == ITEMS && count.send(mem::take(&mut counted)).is_err() {
                    return;
                }
            }
        });
        Stage { batches: Some(batches), counts, message, thread: Some(thread) }
    }

    /// Hands over [`ITEMS`] messages and waits until they are counted.
    fn pass(&self, batch_size: usize) -> usize {
        let batches = self.batches.as_ref().expect("the stage runs until it is dropped");
        for _ in 0..ITEMS / batch_size {
            let mut batch = Vec::with_capacity(batch_size);
            batch.extend(iter::repeat_n(&self.message, batch_size).cloned());
            batches.send(batch).expect("the stage receives until it is dropped");
        }
        self.counts.recv().expect("the stage counts until it is dropped")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the stage's thread ends without a panic");
        }
    }
}
