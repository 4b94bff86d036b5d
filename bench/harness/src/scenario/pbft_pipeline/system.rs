//! The replicas of a trial: stages in this process, or a process for each.

use crossbeam_channel::Sender;
use quorumark_consensus::pbft::{Counters, Pbft};
use quorumark_consensus::{Instant, ReplicaId};
use quorumark_pipeline::{
    Checked, ClientPort, Cluster, ClusterConfig, ClusterKeys, ClusterReport, CommitEvent, Snapshot,
};

use super::settings::{self, Settings};
use crate::allocations;
use crate::contention::Contention;
use crate::parameter::{Origin, ParameterError, ParameterSet};
use crate::processes::{Ended, Processes, Started};
use crate::workload::{Plan, StateMachine};

/// Running replicas.
#[derive(Debug)]
pub(super) enum System {
    /// All in this process.
    Here(Box<Cluster<Pbft>>),
    /// Each in one of its own.
    Apart(Processes),
}

/// What was counted up to one moment.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) snapshot: Snapshot,
    allocations: Option<u64>,
    contention: Contention,
    /// CPU time of the replicas' processes, and time that their threads waited for a core.
    elsewhere_ns: [u64; 2],
}

/// What was counted between two moments.
#[derive(Debug)]
pub(super) struct Spent {
    pub(super) counted: Snapshot,
    pub(super) allocations: Option<u64>,
    pub(super) cpu_share: Option<f64>,
}

impl System {
    /// Starts what `settings` ask for, with a port for all clients of `plan`.
    ///
    /// # Errors
    /// One line.
    pub(super) fn start(
        settings: &Settings,
        config: &Checked<ClusterConfig>,
        keys: &ClusterKeys,
        plan: &Plan,
        events: Option<Sender<Vec<CommitEvent>>>,
    ) -> Result<(System, ClientPort), String> {
        let clients = 0..plan.clients();
        let ports = core::slice::from_ref(&clients);
        let (system, ports) = match &settings.apart {
            Some(assigned) => {
                let events = events.ok_or("processes have an oracle")?;
                let started = Processes::start(config, keys, assigned, ports, &events)?;
                let Started { processes, ports } = started;
                (System::Apart(processes), ports)
            }
            None => {
                let state = plan.workload().state();
                let build = |_| state.build();
                let started = Cluster::start_pbft(config, keys, ports, events, build);
                let (cluster, ports) = started.map_err(|error| error.to_string())?;
                (System::Here(Box::new(cluster)), ports)
            }
        };
        let port = ports.into_iter().next().ok_or("a cluster without a port")?;
        Ok((system, port))
    }

    /// The time on the cluster's clock.
    pub(super) fn now(&self) -> Instant {
        match self {
            System::Here(cluster) => cluster.now(),
            System::Apart(processes) => processes.now(),
        }
    }

    /// What stages and replicas have counted so far.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        match self {
            System::Here(cluster) => cluster.snapshot(),
            System::Apart(processes) => processes.look().snapshot,
        }
    }

    /// What is known of the queues; `None` where replicas are processes, which would have to be
    /// asked.
    pub(super) fn queues(&self) -> Option<Snapshot> {
        match self {
            System::Here(cluster) => Some(cluster.snapshot()),
            System::Apart(_) => None,
        }
    }

    /// Everything counted so far.
    pub(super) fn look(&mut self) -> Looked {
        let (snapshot, elsewhere, elsewhere_ns) = match self {
            System::Here(cluster) => (cluster.snapshot(), Some(0), [0, 0]),
            System::Apart(processes) => {
                let looked = processes.look();
                (looked.snapshot, looked.allocations, [looked.ran_ns, looked.waited_ns])
            }
        };
        let allocations = allocations::count().zip(elsewhere).map(|(own, others)| own + others);
        Looked { snapshot, allocations, contention: Contention::now(), elsewhere_ns }
    }

    /// What is to be said of replicas that have ended before they were told to, one line each.
    pub(super) fn lost(&self) -> Vec<String> {
        match self {
            System::Here(_) => Vec::new(),
            System::Apart(processes) => processes.lost(),
        }
    }

    /// Stops one replica for good; when it took nothing more.
    ///
    /// # Errors
    /// One line.
    pub(super) fn stop_replica(&mut self, replica: ReplicaId) -> Result<Instant, String> {
        match self {
            System::Here(cluster) => {
                cluster.stop_replica(replica).map_err(|error| error.to_string())
            }
            System::Apart(_) => Err(format!("{replica} cannot be stopped alone in a process")),
        }
    }

    /// Stops every replica.
    ///
    /// # Errors
    /// One line: a thread had panicked.
    pub(super) fn stop(self) -> Result<Ended, String> {
        match self {
            System::Here(cluster) => {
                let report = cluster.stop().map_err(|error| error.to_string())?;
                Ok(here(report))
            }
            System::Apart(processes) => processes.stop(),
        }
    }
}

fn here(report: ClusterReport<Counters>) -> Ended {
    Ended { report, peak_rss_bytes: None, shipping: core::time::Duration::ZERO, lost: Vec::new() }
}

impl Looked {
    /// What was counted since `earlier`.
    pub(super) fn since(&self, earlier: &Looked) -> Spent {
        let allocations = self.allocations.zip(earlier.allocations).map(|(now, then)| now - then);
        let elsewhere =
            |nth: usize| self.elsewhere_ns[nth].saturating_sub(earlier.elsewhere_ns[nth]);
        Spent {
            counted: self.snapshot.since(&earlier.snapshot),
            allocations,
            cpu_share: earlier.contention.cpu_share_since(elsewhere(0), elsewhere(1)),
        }
    }
}

/// What a replica in a process of its own is made of.
pub(crate) struct PipelineReplica {
    /// The whole cluster's settings.
    pub(crate) config: Checked<ClusterConfig>,
    /// The application, in the state in which it begins.
    pub(crate) state: StateMachine,
}

impl PipelineReplica {
    /// Reads every parameter of the run, each `name=value`, for the trial with this seed: as the run
    /// read them, so both have the same cluster.
    ///
    /// # Errors
    /// [`ParameterError`], when the program is another than the run's.
    pub(crate) fn read(settings: &[&str], seed: u64) -> Result<PipelineReplica, ParameterError> {
        let mut set = ParameterSet::new(settings::parameters());
        for setting in settings {
            set.assign(setting, Origin::Flag("the run".to_owned()))?;
        }
        let settings = Settings::read(&set)?;
        let config = settings.checked(seed).map_err(settings::conflict)?;
        Ok(PipelineReplica { config, state: settings.workload().state().build() })
    }
}
