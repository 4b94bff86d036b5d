//! What can be set, checked once.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use quorumark_consensus::committee::{Committee, CommitteeSize};
use quorumark_consensus::pbft;
use quorumark_consensus::range::{OutOfRange, check_ranges};
use quorumark_consensus::types::ReplicaId;
use quorumark_primitives::signed::{CLIENTS_MAX, VerifyPath};
use thiserror::Error;

/// How frames travel between replicas, and between clients and replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Encoded frames over channels.
    #[default]
    Memory,
    /// TCP over 127.0.0.1, one connection a direction between replicas, one for each client port.
    Tcp,
}

/// How clients authenticate their requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthKind {
    /// An ed25519 signature, which every replica verifies.
    #[default]
    Signature,
    /// One MAC a replica.
    Mac,
    /// Nothing. Not BFT.
    None,
}

/// Which threads do the work of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stages {
    /// Each stage has threads of its own. Best where there are cores for them.
    #[default]
    Separate,
    /// One thread does all of it, stage after stage: run to completion. Best where several replicas
    /// share a core, because a hand-over between threads costs more there than most of the work.
    Merged,
}

macro_rules! names {
    ($type:ident, $what:literal: $($variant:ident = $name:literal),*) => {
        impl FromStr for $type {
            type Err = ConfigError;
            fn from_str(text: &str) -> Result<Self, ConfigError> {
                match text {
                    $($name => Ok($type::$variant),)*
                    _ => Err(ConfigError::Choice {
                        name: $what,
                        value: text.to_owned(),
                        choices: &[$($name),*],
                    }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($type::$variant => $name),* })
            }
        }
    };
}
names!(Transport, "transport": Memory = "memory", Tcp = "tcp");
names!(Stages, "stages": Separate = "separate", Merged = "merged");
names!(ClientAuthKind, "auth": Signature = "signature", Mac = "mac", None = "none");

/// Which processors the threads may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Pinning {
    /// The operating system decides. Best where there are cores for the stages of a replica.
    #[default]
    None,
    /// All threads of replica i on one core, `cores[i mod len]`. Best where several replicas share a
    /// core anyhow: what one stage wrote, the next then finds in that core's caches.
    ByReplica(Vec<usize>),
}

/// The settings of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// n. Default 4.
    pub replicas: usize,
    /// How frames travel. Default memory.
    pub transport: Transport,
    /// How clients authenticate. Default signature.
    pub client_auth: ClientAuthKind,
    /// Client ids, from 0. Default 4.
    pub clients: u32,
    /// Distinct client keys; client c signs with key c mod signers. Default 4.
    pub signers: u32,
    /// By which path signatures are verified. Default batch.
    pub verify_path: VerifyPath,
    /// Which threads do the work of a replica. Default separate.
    pub stages: Stages,
    /// Verify threads of each replica. More help only where cores are free. Default 1.
    pub verify_threads: usize,
    /// The most messages in one batch of verification; larger batches cost less a signature and
    /// wait longer. Default 256.
    pub verify_batch_max: usize,
    /// Batches that each queue between stages holds. Default 64.
    pub queue_capacity_batches: usize,
    /// Flushes that a replica's inbox holds before its senders wait; there is one inbox for all peers
    /// and one for all clients. A batch takes about 2n flushes, and a replica must reach what its
    /// inbox holds: keep it below 4n windows. Default 1,024.
    pub inbox_capacity_batches: usize,
    /// Flushes of replies that a client port holds before more are dropped, and over TCP as many on
    /// the way to it. A dropped reply costs its client a wait before it asks again. Default 4,096.
    pub port_capacity_batches: usize,
    /// How long a replica waits for another's full inbox before it drops. Default 1 s.
    pub peer_patience: Duration,
    /// How long a thread without input looks for some before it parks, at most 10 ms; between looks
    /// it offers its core to others. Longer ones save wake-ups, and take from who has work where
    /// threads outnumber cores. Readers of sockets wait in the kernel, and are not concerned.
    /// Default 0: parks at once.
    pub spin: Duration,
    /// Whether threads time their work and their waits: two looks at the clock for each batch. Without
    /// it busy, waiting and blocked times are 0. Default true.
    pub stage_times: bool,
    /// Which processors the threads may use. Default none.
    pub pinning: Pinning,
    /// How many replicas, the last ones, are never started. Default 0.
    pub silent_replicas: usize,
    /// The cluster's id, bound by every signature. Default 1.
    pub cluster: u64,
    /// From which keys and batch weights are derived. Default 42.
    pub seed: u64,
    /// PBFT: see [`pbft::Config`].
    pub engine: pbft::Config,
}

/// Settings that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A committee of an impossible size.
    #[error("replicas: {0}")]
    Committee(#[from] CommitteeSize),
    /// An engine setting.
    #[error(transparent)]
    Engine(#[from] pbft::ConfigError),
    /// A number is outside its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
    /// A name that is no choice.
    #[error("{name} = {value}: choose one of {}", choices.join(", "))]
    Choice {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What can be chosen.
        choices: &'static [&'static str],
    },
    /// More clients than replicas remember.
    #[error(
        "clients = {clients} with clients_max = {clients_max}: \
         the exactly-once table must hold every client, choose at most {clients_max} clients"
    )]
    Clients {
        /// Clients of the cluster.
        clients: u32,
        /// Clients that the engine's table holds.
        clients_max: usize,
    },
    /// Several verifying threads where one thread does everything.
    #[error(
        "verify_threads = {0} with stages = merged: \
         one thread does all the work of a replica, choose 1 or stages = separate"
    )]
    Merged(usize),
    /// A core that the machine does not have, or that the process may not use.
    #[error("pin: core {core} is none of this process's cores: choose from {cores:?}")]
    Core {
        /// The core named.
        core: usize,
        /// Cores there are.
        cores: Vec<usize>,
    },
}

/// Settings that were checked; the only ones a cluster takes.
#[derive(Debug, Clone)]
pub struct Checked<T>(T);

impl<T> Deref for Checked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl ClusterConfig {
    /// The defaults for a committee of `replicas`.
    ///
    /// # Errors
    /// [`ConfigError::Committee`] for an impossible size.
    pub fn new(replicas: usize) -> Result<ClusterConfig, ConfigError> {
        let committee = Committee::new(replicas)?;
        Ok(ClusterConfig {
            replicas,
            transport: Transport::default(),
            client_auth: ClientAuthKind::default(),
            clients: 4,
            signers: 4,
            verify_path: VerifyPath::default(),
            stages: Stages::default(),
            verify_threads: 1,
            verify_batch_max: 512,
            queue_capacity_batches: 64,
            inbox_capacity_batches: 1024,
            port_capacity_batches: 4096,
            peer_patience: Duration::from_secs(1),
            spin: Duration::ZERO,
            stage_times: true,
            pinning: Pinning::default(),
            silent_replicas: 0,
            cluster: 1,
            seed: 42,
            engine: pbft::Config::new(committee, ReplicaId(0)),
        })
    }

    /// Checks each value and the rules between them.
    ///
    /// # Errors
    /// [`ConfigError`], which says the value and what to choose.
    pub fn check(mut self) -> Result<Checked<ClusterConfig>, ConfigError> {
        self.engine.committee = Committee::new(self.replicas)?;
        self.engine.replica = ReplicaId(0);
        self.engine.clone().check()?;
        let patience = u64::try_from(self.peer_patience.as_millis()).unwrap_or(u64::MAX);
        let spin = u64::try_from(self.spin.as_nanos()).unwrap_or(u64::MAX);
        check_ranges([
            ("spin in ns", spin, 0, 10_000_000),
            ("clients", u64::from(self.clients), 1, CLIENTS_MAX as u64),
            ("signers", u64::from(self.signers), 1, u64::from(self.clients)),
            ("verify_threads", self.verify_threads as u64, 1, 64),
            ("verify_batch_max", self.verify_batch_max as u64, 1, 4096),
            ("queue_capacity", self.queue_capacity_batches as u64, 1, 65_536),
            ("inbox_capacity", self.inbox_capacity_batches as u64, 1, 65_536),
            ("port_capacity", self.port_capacity_batches as u64, 1, 65_536),
            ("peer_patience in ms", patience, 1, 60_000),
            ("silent_replicas", self.silent_replicas as u64, 0, self.replicas as u64 - 1),
        ])?;
        if self.clients as usize > self.engine.clients_max {
            let (clients, clients_max) = (self.clients, self.engine.clients_max);
            return Err(ConfigError::Clients { clients, clients_max });
        }
        if self.stages == Stages::Merged && self.verify_threads > 1 {
            return Err(ConfigError::Merged(self.verify_threads));
        }
        if let Pinning::ByReplica(wanted) = &self.pinning {
            let cores = cores();
            if let Some(&core) = wanted.iter().find(|core| !cores.contains(core)) {
                return Err(ConfigError::Core { core, cores });
            }
        }
        Ok(Checked(self))
    }
}

/// The numbers of the cores that the calling thread may use, by the kernel's count; those that it
/// hands on to the threads that it starts. None where the kernel does not tell.
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_each_bad_value_says_what_to_choose() {
        assert!(ClusterConfig::new(4).unwrap().check().is_ok());
        assert!(ClusterConfig::new(0).unwrap_err().to_string().starts_with("replicas: "));
        let mut config = ClusterConfig::new(4).unwrap();
        config.verify_batch_max = 0;
        let error = config.clone().check().unwrap_err().to_string();
        assert_eq!(error, "verify_batch_max = 0: choose 1 to 4096");
        config.verify_batch_max = 8;
        config.silent_replicas = 4;
        assert!(config.clone().check().unwrap_err().to_string().contains("choose 0 to 3"));
        config.silent_replicas = 0;
        config.clients = 70_000;
        assert!(config.clone().check().unwrap_err().to_string().contains("at most 65536 clients"));
        config.clients = 4;
        (config.stages, config.verify_threads) = (Stages::Merged, 2);
        assert!(config.clone().check().unwrap_err().to_string().contains("stages = separate"));
        config.verify_threads = 1;
        config.pinning = Pinning::ByReplica(vec![100_000]);
        assert!(config.check().unwrap_err().to_string().contains("none of this process"));
        assert!(!cores().is_empty());
        let mut config = ClusterConfig::new(4).unwrap();
        config.pinning = Pinning::ByReplica(cores());
        assert!(config.check().is_ok());
        let error = "carrier-pigeon".parse::<Transport>().unwrap_err().to_string();
        assert_eq!(error, "transport = carrier-pigeon: choose one of memory, tcp");
    }
}
