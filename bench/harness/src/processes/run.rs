//! The run's side: starts a process for each replica, looks at them, stops them.

use core::ops::Range;
use core::time::Duration;
use std::env;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread::{self, Builder, JoinHandle};
use std::time::Instant as WallInstant;

use crossbeam_channel::{Receiver, Sender, bounded};
use quorumark_consensus::pbft::{Counters, Pbft};
use quorumark_consensus::{Instant, ReplicaId};
use quorumark_pipeline::{
    Checked, ClientPort, Cluster, ClusterConfig, ClusterKeys, ClusterReport, CommitEvent,
    ReplicaCounts, ReplicaReport, Snapshot,
};

use super::frames;
use super::message::{Answer, Order, Seen, Setup, Stopped, Text};
use super::replica::ARGUMENT;
use crate::clock;

/// The most replicas that get a process each.
pub(crate) const REPLICAS_MAX: usize = 32;

/// How long a process may take to begin, to meet the others, or to tell what it counted.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to stop: what it has in hand is executed and shipped.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take to exit once nobody asks anything of it any more.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);
/// How often the run looks whether it has.
const LOOK: Duration = Duration::from_millis(2);
/// Answers that wait to be heard: one a question.
const ANSWERS_MAX: usize = 4;

/// Replicas in processes of their own, and the clients' connections to them.
#[derive(Debug)]
pub(crate) struct Processes {
    // They end before the connections to them do: this is the order in which fields are dropped.
    replicas: Vec<Replica>,
    /// Has no replica of its own.
    ports: Cluster<Pbft>,
}

/// What was started.
#[derive(Debug)]
pub(crate) struct Started {
    /// The replicas.
    pub(crate) processes: Processes,
    /// The clients' ways to them.
    pub(crate) ports: Vec<ClientPort>,
}

/// What processes have counted up to one moment, those that have ended as they were seen last.
#[derive(Debug)]
pub(crate) struct Looked {
    /// Stages and replicas, the clients' connections included.
    pub(crate) snapshot: Snapshot,
    /// CPU time of the replicas' processes.
    pub(crate) ran_ns: u64,
    /// Time that their threads were runnable and waited for a core.
    pub(crate) waited_ns: u64,
    /// Their allocations; `None` where nothing counts them.
    pub(crate) allocations: Option<u64>,
}

/// What processes left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// As a cluster of one process reports.
    pub(crate) report: ClusterReport<Counters>,
    /// Memory of the replicas' processes, each at its peak, summed.
    pub(crate) peak_rss_bytes: Option<u64>,
    /// CPU time of shipping executions, at both ends.
    pub(crate) shipping: Duration,
    /// What is to be said of processes that ended before they were told to, one line each.
    pub(crate) lost: Vec<String>,
}

impl Processes {
    /// Starts the replicas of `config` as processes that read `settings`, each `name=value`, and
    /// connects a port for each range of client ids. `events` gets what they execute.
    ///
    /// # Errors
    /// One line: which process failed, and how. None is left behind.
    pub(crate) fn start(
        config: &Checked<ClusterConfig>,
        keys: &ClusterKeys,
        settings: &[String],
        ports: &[Range<u32>],
        events: &Sender<Vec<CommitEvent>>,
    ) -> Result<Started, String> {
        let (epoch, epoch_ns) = (WallInstant::now(), clock::monotonic().as_nanos() as u64);
        let started = config.replicas - config.silent_replicas;
        let mut replicas = Vec::new();
        for id in (0..started).map(|id| ReplicaId(id as u16)) {
            let spawned = Replica::spawn(id, events.clone());
            let mut replica = spawned.map_err(|error| format!("{id}'s process: {error}"))?;
            let settings = settings.iter().map(|setting| Text::cut(setting)).collect();
            replica.say(&Order::Setup(Setup {
                replica: id.0,
                seed: config.seed,
                epoch_ns,
                settings,
            }));
            replicas.push(replica);
        }
        let mut seats = Vec::new();
        for replica in &mut replicas {
            match replica.hear(PATIENCE)? {
                Answer::Seated(port) => seats.push(port),
                other => return Err(replica.out_of_turn(&other)),
            }
        }
        replicas.iter_mut().for_each(|replica| replica.say(&Order::Meet(seats.clone())));
        let seats: Vec<SocketAddr> =
            seats.into_iter().map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect();
        let dialed = Cluster::<Pbft>::dial(config, keys, &seats, ports, epoch.elapsed());
        let dialed = dialed.map_err(|error| error.to_string());
        for replica in &mut replicas {
            match replica.hear(PATIENCE)? {
                Answer::Met => {}
                other => return Err(replica.out_of_turn(&other)),
            }
        }
        let (connections, ports) = dialed?;
        let mut processes = Processes { replicas, ports: connections };
        processes.look();
        match processes.lost().into_iter().next() {
            Some(lost) => Err(lost),
            None => Ok(Started { processes, ports }),
        }
    }

    /// The time on the cluster's clock.
    pub(crate) fn now(&self) -> Instant {
        self.ports.now()
    }

    /// Asks every process what it has counted.
    pub(crate) fn look(&mut self) -> Looked {
        self.replicas.iter_mut().for_each(|replica| replica.say(&Order::Look));
        for replica in &mut self.replicas {
            match replica.hear(PATIENCE) {
                Ok(Answer::Seen(seen)) => replica.seen = Some(*seen),
                Ok(other) => drop(replica.out_of_turn(&other)),
                Err(_) => {} // It is noted, and told when all stop.
            }
        }
        let seen = || self.replicas.iter().filter_map(|replica| replica.seen.as_ref());
        let mut snapshot = self.ports.snapshot();
        seen().for_each(|seen| snapshot.add(&seen.snapshot));
        Looked {
            snapshot,
            ran_ns: seen().map(|seen| seen.ran_ns).sum(),
            waited_ns: seen().map(|seen| seen.waited_ns).sum(),
            allocations: seen().map(|seen| seen.allocations).sum(),
        }
    }

    /// What is to be said of processes that have ended, one line each.
    pub(crate) fn lost(&self) -> Vec<String> {
        self.replicas.iter().filter_map(|replica| replica.lost.clone()).collect()
    }

    /// Stops every process, and waits for each for a bounded time.
    ///
    /// # Errors
    /// What a replica said of its failure, such as a panic of one of its threads.
    pub(crate) fn stop(mut self) -> Result<Ended, String> {
        self.replicas.iter_mut().for_each(|replica| replica.say(&Order::Stop));
        let mut failed = None;
        let mut left: Vec<Option<Stopped>> = Vec::new();
        for replica in &mut self.replicas {
            let stopped = match replica.hear(STOP_PATIENCE) {
                Ok(Answer::Stopped(stopped)) => Some(*stopped),
                Ok(Answer::Failed(Text(text))) => {
                    failed.get_or_insert(text);
                    None
                }
                Ok(other) => {
                    replica.out_of_turn(&other);
                    None
                }
                Err(_) => None,
            };
            left.push(stopped);
        }
        let lost = self.lost();
        let connections = self.ports.snapshot().replicas;
        let report = report(&self.replicas, &left, &connections);
        let mut shipping: Duration = self.replicas.iter_mut().map(Replica::end).sum();
        let stopped = || left.iter().flatten();
        shipping += Duration::from_nanos(stopped().map(|stopped| stopped.shipping_ns).sum());
        let peak_rss_bytes = stopped().map(|stopped| stopped.peak_rss_bytes).sum();
        let connections = self.ports.stop().map_err(|error| error.to_string());
        match failed {
            Some(text) => Err(text),
            None => connections.map(|_| Ended { report, peak_rss_bytes, shipping, lost }),
        }
    }
}

/// The replicas' own reports, with what the clients' connections counted at each.
fn report(
    replicas: &[Replica],
    left: &[Option<Stopped>],
    connections: &[ReplicaCounts],
) -> ClusterReport<Counters> {
    let of = |(replica, left): (&Replica, &Option<Stopped>)| {
        let place = usize::from(replica.id.0);
        let last = || replica.seen.as_ref()?.snapshot.replicas.get(place).copied();
        let own = left.as_ref().map(|left| left.counts).or_else(last).unwrap_or_default();
        let of_clients = connections.get(place).copied().unwrap_or_default();
        ReplicaReport {
            replica: replica.id,
            engine: left.as_ref().and_then(|left| left.engine),
            counts: own.plus(&of_clients),
        }
    };
    ClusterReport { replicas: replicas.iter().zip(left).map(of).collect() }
}

/// One replica's process.
#[derive(Debug)]
struct Replica {
    id: ReplicaId,
    process: process::Child,
    orders: UnixStream,
    answers: Receiver<Result<Answer, String>>,
    /// Hears the process; its CPU time is part of what the oracle costs.
    listener: Option<JoinHandle<Duration>>,
    /// What it told last.
    seen: Option<Seen>,
    /// Why nothing more is heard of it.
    lost: Option<String>,
}

impl Replica {
    fn spawn(id: ReplicaId, events: Sender<Vec<CommitEvent>>) -> io::Result<Replica> {
        let (orders, theirs) = UnixStream::pair()?;
        let heard = orders.try_clone()?;
        let process = Command::new(env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // Ctrl-C is for the run, which stops its replicas and keeps what was measured.
            .process_group(0)
            .spawn()?;
        let (say, answers) = bounded(ANSWERS_MAX);
        let mut replica =
            Replica { id, process, orders, answers, listener: None, seen: None, lost: None };
        // From here on a failure drops the replica, which ends its process.
        let listener = Builder::new().name(format!("hear-{id}"));
        replica.listener = Some(listener.spawn(move || listen(heard, id, &say, &events))?);
        Ok(replica)
    }

    /// Says it; who does not listen any more is found out when its answer is missing.
    fn say(&mut self, order: &Order) {
        let _ = frames::write(&mut self.orders, order).and_then(|()| self.orders.flush());
    }

    /// The next answer.
    ///
    /// # Errors
    /// One line, which is kept: the process failed, has ended, or does not answer.
    fn hear(&mut self, patience: Duration) -> Result<Answer, String> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let id = self.id;
        let lost = match self.answers.recv_timeout(patience) {
            Ok(Ok(Answer::Failed(Text(text)))) if self.seen.is_none() => format!("{id}: {text}"),
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(refused)) => format!("{id}'s process was given up: {refused}"),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                format!("{id}'s process did not answer for {patience:?}")
            }
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => self.how_it_ended(),
        };
        self.lost = Some(lost.clone());
        Err(lost)
    }

    /// Notes that an answer was none to what was asked.
    fn out_of_turn(&mut self, answer: &Answer) -> String {
        let what = match answer {
            Answer::Seated(_) => "seated",
            Answer::Met => "met",
            Answer::Executed(_) => "executed",
            Answer::Seen(_) => "seen",
            Answer::Stopped(_) => "stopped",
            Answer::Failed(Text(text)) => text,
        };
        let lost = format!("{}'s process said out of turn: {what}", self.id);
        self.lost.get_or_insert(lost).clone()
    }

    fn how_it_ended(&mut self) -> String {
        let id = self.id;
        match self.exited_within(EXIT_PATIENCE) {
            Some(status) => format!("{id}'s process ended before it was stopped ({status})"),
            None => format!("{id}'s process closed its socket before it was stopped"),
        }
    }

    fn exited_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = WallInstant::now() + patience;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if WallInstant::now() < deadline => thread::sleep(LOOK),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Waits for the process, and ends it when it does not end by itself; CPU time of hearing it.
    fn end(&mut self) -> Duration {
        // It ends when its socket closes, whatever it does.
        let _ = self.orders.shutdown(Shutdown::Both);
        if self.exited_within(EXIT_PATIENCE).is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        let listener = self.listener.take();
        listener.and_then(|listener| listener.join().ok()).unwrap_or_default()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.end();
    }
}

/// Hears a process until it closes its end, or says what cannot be understood: executions go to the
/// oracle, all else to whoever asked. Returns the CPU time of it.
fn listen(
    stream: UnixStream,
    id: ReplicaId,
    say: &Sender<Result<Answer, String>>,
    events: &Sender<Vec<CommitEvent>>,
) -> Duration {
    let mut input = BufReader::with_capacity(256 << 10, stream);
    loop {
        let said = match frames::read(&mut input) {
            Ok(Some(Answer::Executed(event))) if event.replica != id => {
                Err(format!("it executed {} for {}", event.seq, event.replica))
            }
            Ok(Some(Answer::Executed(event))) => {
                // An oracle that is gone has no use for it; the process goes on.
                let _ = events.send(vec![event]);
                continue;
            }
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => break,
            // Torn, reset, or nonsense. A process that was killed leaves the first two.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(error.to_string()),
            Err(_) => break,
        };
        let last = said.is_err();
        if say.send(said).is_err() || last {
            break;
        }
    }
    let _ = input.get_ref().shutdown(Shutdown::Both);
    clock::thread_cpu()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// What the run makes of a process that says these bytes.
    fn heard(bytes: &[u8]) -> Vec<Result<String, String>> {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let ((say, answers), (events, _observed)) = (bounded(ANSWERS_MAX), bounded(4));
        theirs.write_all(bytes).unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        listen(ours, ReplicaId(1), &say, &events);
        drop(say);
        // It hangs up on who says nonsense.
        assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
        answers.iter().map(|said| said.map(|answer| format!("{answer:?}"))).collect()
    }

    #[test]
    fn a_process_that_says_nonsense_is_given_up_and_one_that_breaks_off_has_ended() {
        let mut met = Vec::new();
        frames::write(&mut met, &Answer::Met).unwrap();
        let with = |more: &[u8]| [&met[..], more].concat();
        assert_eq!(heard(&met), [Ok("Met".to_owned())]);
        assert_eq!(heard(&with(&[9, 0, 0])), [Ok("Met".to_owned())]);
        for nonsense in [&u32::MAX.to_le_bytes()[..], &[1, 0, 0, 0, 77]] {
            let said = heard(&with(nonsense));
            assert!(said.len() == 2 && said[1].is_err(), "{said:?}");
        }
    }
}
