//! A replica's process: does what the run says, and tells what it did.

use core::time::Duration;
use std::io::{self, BufReader, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, bounded};
use quorumark_consensus::ReplicaId;
use quorumark_consensus::pbft::{PROTOCOL, Pbft};
use quorumark_pipeline::{Apart, Cluster, ClusterKeys, CommitEvent, Seat};
use thiserror::Error;

use super::frames;
use super::message::{Answer, Order, Seen, Setup, Stopped, Text};
use super::orphan::die_with_the_parent;
use crate::allocations;
use crate::clock;
use crate::environment::peak_rss_bytes;
use crate::scenario::PipelineReplica;
use crate::schedule::Schedule;

/// The argument with which a program becomes a replica of the run that started it. In a test binary it
/// names the test that does.
pub const ARGUMENT: &str = "replica_process";

/// Batches of executions that may wait to be shipped before they hold up the replica.
const EVENTS_CAPACITY: usize = 4096;

/// Why a process could not be a replica.
#[derive(Debug, Error)]
pub enum ReplicaProcessError {
    /// It was started by hand.
    #[error("{ARGUMENT} is started by `run` with processes=per-replica, which talks to it")]
    Alone,
    /// The run went away, or said what no run says.
    #[error("the run that started this replica: {0}")]
    Run(#[from] io::Error),
}

/// Is one replica until the run that started this process says stop, or goes away. What goes wrong with
/// the replica itself is told to the run.
///
/// # Errors
/// [`ReplicaProcessError`], when there is no run to be told.
pub fn replica_process() -> Result<(), ReplicaProcessError> {
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    if stream.peer_addr().is_err() {
        return Err(ReplicaProcessError::Alone);
    }
    die_with_the_parent();
    let mut orders = Orders(BufReader::new(stream.try_clone()?));
    let answers = Answers(Arc::new(Mutex::new(BufWriter::new(stream))));
    match serve(&mut orders, &answers) {
        Ok(stopped) => answers.say(&Answer::Stopped(Box::new(stopped)))?,
        Err(Failure::Run(error)) => return Err(error.into()),
        Err(Failure::Replica(text)) => answers.say(&Answer::Failed(Text::cut(&text)))?,
    }
    Ok(())
}

/// Why a replica ended.
enum Failure {
    /// There is nobody to tell.
    Run(io::Error),
    Replica(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Run(error)
    }
}

/// What the run says.
struct Orders(BufReader<UnixStream>);

impl Orders {
    fn next(&mut self) -> io::Result<Order> {
        frames::read(&mut self.0)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn out_of_turn(order: &Order) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("{order:?} out of turn"))
    }
}

/// The way to the run, for the thread that obeys and the one that ships.
#[derive(Clone)]
struct Answers(Arc<Mutex<BufWriter<UnixStream>>>);

impl Answers {
    fn say(&self, answer: &Answer) -> io::Result<()> {
        self.say_all(std::iter::once(answer))
    }

    fn say_all<'a>(&self, answers: impl Iterator<Item = &'a Answer>) -> io::Result<()> {
        // Who died while it wrote left half a frame, which the run refuses.
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for answer in answers {
            frames::write(&mut *out, answer)?;
        }
        out.flush()
    }
}

fn serve(orders: &mut Orders, answers: &Answers) -> Result<Stopped, Failure> {
    let setup = match orders.next()? {
        Order::Setup(setup) => setup,
        other => return Err(Orders::out_of_turn(&other).into()),
    };
    let replica = |error: &dyn core::fmt::Display| Failure::Replica(error.to_string());
    let settings: Vec<&str> = setup.settings.iter().map(|text| text.0.as_str()).collect();
    let wanted = PipelineReplica::read(&settings, setup.seed).map_err(|error| replica(&error))?;
    let seat = Seat::take().map_err(|error| replica(&error))?;
    let port = seat.address().map_err(|error| replica(&error))?.port();
    answers.say(&Answer::Seated(port))?;
    let seats = match orders.next()? {
        Order::Meet(ports) => ports.into_iter().map(|port| (Ipv4Addr::LOCALHOST, port).into()),
        other => return Err(Orders::out_of_turn(&other).into()),
    };
    let (events, observed) = bounded(EVENTS_CAPACITY);
    let apart = apart(&setup, seat, seats.collect(), &wanted);
    let keys = ClusterKeys::new(&wanted.config, PROTOCOL);
    let started =
        Cluster::start_pbft_apart(&wanted.config, &keys, apart, Some(events), wanted.state);
    let cluster = started.map_err(|error| replica(&error))?;
    let shipper = ship(observed, answers.clone())?;
    answers.say(&Answer::Met)?;
    obey(orders, answers, &cluster)?;
    let report = cluster.stop().map_err(|error| replica(&error))?;
    // All senders of executions are gone, so it ends.
    let shipped = shipper.join().map_err(|_| replica(&"the shipping thread panicked"))?;
    let one = report.replicas.into_iter().next();
    let one = one.ok_or_else(|| replica(&"no replica has reported"))?;
    Ok(Stopped {
        engine: one.engine,
        counts: one.counts,
        peak_rss_bytes: peak_rss_bytes(),
        shipping_ns: shipped.as_nanos() as u64,
    })
}

fn apart(setup: &Setup, seat: Seat, seats: Vec<SocketAddr>, wanted: &PipelineReplica) -> Apart {
    let now_ns = clock::monotonic().as_nanos() as u64;
    Apart {
        replica: ReplicaId(setup.replica),
        seat,
        seats,
        ports: core::slice::from_ref(&(0..wanted.config.clients)).to_vec(),
        elapsed: Duration::from_nanos(now_ns.saturating_sub(setup.epoch_ns)),
    }
}

/// Does what the run says until it says stop. Where it is gone the process ends at once: there is nobody
/// to be graceful to.
fn obey(orders: &mut Orders, answers: &Answers, cluster: &Cluster<Pbft>) -> io::Result<()> {
    loop {
        match orders.next() {
            Ok(Order::Look) => answers.say(&Answer::Seen(Box::new(seen(cluster))))?,
            Ok(Order::Stop) => return Ok(()),
            Ok(other) => return Err(Orders::out_of_turn(&other)),
            Err(_) => process::exit(1),
        }
    }
}

fn seen(cluster: &Cluster<Pbft>) -> Seen {
    // Since the process began: threads live as long as it does.
    let usage = Schedule::default().usage_since().unwrap_or_default();
    Seen {
        snapshot: cluster.snapshot(),
        ran_ns: clock::process_cpu().as_nanos() as u64,
        waited_ns: usage.waited_ns,
        allocations: allocations::count(),
    }
}

/// Ships executions until nobody makes any, or nobody takes them; its CPU time.
fn ship(
    observed: Receiver<Vec<CommitEvent>>,
    answers: Answers,
) -> io::Result<JoinHandle<Duration>> {
    Builder::new().name("ship".to_owned()).spawn(move || {
        for batch in observed {
            let executed: Vec<Answer> = batch.into_iter().map(Answer::Executed).collect();
            if answers.say_all(executed.iter()).is_err() {
                break;
            }
        }
        clock::thread_cpu()
    })
}
