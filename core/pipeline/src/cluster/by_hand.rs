//! The replicas of a cluster without their threads: whoever holds them says who has a turn.
//!
//! It is how a turn is timed by itself: the same decoder, verifier, engine, application and writer
//! as in a running cluster of merged replicas, joined by the same queues, and no scheduler, no
//! waiting between them. Each may be held by another thread, so that what they cost each other by
//! lying on one core or on several is what it is in a run.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::Sender;
use quorumark_application::Application;
use quorumark_consensus::pbft::{self, Pbft};
use quorumark_consensus::types::{Instant, ReplicaId};

use super::wiring::Builder;
use super::{Cluster, StartError, check_ports};
use crate::config::{Checked, ClusterConfig, Transport};
use crate::events::CommitEvent;
use crate::keys::ClusterKeys;
use crate::metrics::{Meter, ReplicaCounts, StageKind, Stopwatch};
use crate::port::ClientPort;
use crate::stage::{Pass, Turns};

/// PBFT replicas that take turns when they are told to, joined by channels.
pub struct ByHand<A> {
    /// By replica id.
    pub replicas: Vec<Hand<A>>,
    /// Its clock, and what tells replicas to stop; it has no threads.
    cluster: Cluster<Pbft>,
}

/// One replica: whoever holds it is its thread.
pub struct Hand<A> {
    id: ReplicaId,
    turns: Turns<Pbft, A>,
    meters: Vec<Arc<Meter>>,
    watch: Stopwatch,
}

/// What one turn of a replica did, and what that took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Nanoseconds of work by stage, in the order of [`StageKind::OF_A_REPLICA`].
    pub busy_ns: [u64; 5],
    /// What was counted.
    pub counts: ReplicaCounts,
    /// Requests executed and committed.
    pub executed: u64,
}

impl<A> fmt::Debug for ByHand<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByHand").field("replicas", &self.replicas.len()).finish_non_exhaustive()
    }
}

impl<A> fmt::Debug for Hand<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<A: Application> ByHand<A> {
    /// Replicas by `config`, of which `transport`, `stages`, `spin` and `pinning` have no say, and a
    /// port for each range of client ids. `events` says where each replica tells what it executes:
    /// who holds the other end must take from it between turns.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn pbft(
        config: &Checked<ClusterConfig>,
        keys: &ClusterKeys,
        ports: &[Range<u32>],
        mut events: impl FnMut(ReplicaId) -> Option<Sender<Vec<CommitEvent>>>,
        mut application: impl FnMut(ReplicaId) -> A,
    ) -> Result<(ByHand<A>, Vec<ClientPort>), StartError> {
        check_ports(ports, config.clients)?;
        assert_eq!(config.transport, Transport::Memory, "sockets need threads");
        let mut builder = Builder::new(config, keys);
        let (wiring, client_ports) = builder.wire(ports)?;
        let mut replicas = Vec::new();
        for (replica, wires) in wiring.into_iter().enumerate() {
            let id = ReplicaId(replica as u16);
            let settings = pbft::Config { replica: id, ..config.engine.clone() };
            let engine = Pbft::new(settings.check().expect("a checked cluster's engines are"));
            let mut parts = builder.parts(id, wires, engine, application(id), events(id));
            // Whose turns are timed one by one does in one what belongs to it.
            parts.executor.hashes_at_once = true;
            let turns = builder.whole(id, parts).begin();
            let meters = Meter::of_whole(id.0);
            let watch = Stopwatch::new(&meters);
            replicas.push(Hand { id, turns, meters, watch });
        }
        Ok((ByHand { replicas, cluster: builder.cluster }, client_ports))
    }

    /// The time on the cluster's clock.
    pub fn now(&self) -> Instant {
        self.cluster.now()
    }
}

impl<A: Application> Hand<A> {
    /// As [`Hand::turn`], and by how much `counter` rose meanwhile, by stage in the order of
    /// [`StageKind::OF_A_REPLICA`]: a count of the calling thread's allocations tells how many each
    /// stage made.
    pub fn turn_counted(&mut self, counter: fn() -> u64) -> Option<(Turn, [u64; 5])> {
        self.watch.begin_probe(counter);
        let turn = self.turn();
        let risen = self.watch.end_probe();
        turn.map(|turn| (turn, risen))
    }

    /// Gives the replica a turn; `None` when it has nothing to do.
    pub fn turn(&mut self) -> Option<Turn> {
        let before = read(&self.meters);
        // What others did since its last turn was no work of this one.
        self.watch.waited();
        let pass = self.turns.pass(&mut self.watch);
        (pass == Pass::Worked).then(|| {
            let after = read(&self.meters);
            Turn {
                busy_ns: std::array::from_fn(|stage| after.busy_ns[stage] - before.busy_ns[stage]),
                counts: after.counts.since(&before.counts),
                executed: after.executed - before.executed,
            }
        })
    }
}

/// What a replica's meters say in sum.
fn read(meters: &[Arc<Meter>]) -> Turn {
    let mut sum = Turn { busy_ns: [0; 5], counts: ReplicaCounts::default(), executed: 0 };
    for meter in meters {
        let (stage, busy_ns, items) = meter.read();
        let place = StageKind::OF_A_REPLICA.iter().position(|kind| *kind == stage);
        sum.busy_ns[place.expect("a whole replica has the stages of one")] = busy_ns;
        sum.counts = sum.counts.plus(&meter.counts());
        sum.executed += if stage == StageKind::Execute { items } else { 0 };
    }
    sum
}
