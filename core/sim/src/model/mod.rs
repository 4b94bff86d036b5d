//! Predicts throughput and latency: the real engines in virtual time, where every step takes what it
//! was measured to cost.
//!
//! The fault simulator (`world`) is not bent to it: there nothing takes time but what is drawn, and
//! each event is traced and checked. Here there is no trace, no fault and no checker, and time goes
//! by in turns of threads that share cores. What both have in common is the engines.
//!
//! - [`costs`] is what each step costs, and the file that says so.
//! - [`work`] is what a turn is made of, counted here and by the calibration alike.
//!
//! Invariant: equal settings and costs give an equal prediction, bit for bit.

pub mod costs;
mod load;
mod network;
mod replica;
mod run;
mod scheduler;
pub mod work;

use core::time::Duration;

use quorumark_consensus::committee::{Committee, CommitteeSize};
use quorumark_consensus::pbft::{self, ConfigError};
use quorumark_consensus::types::ReplicaId;
use thiserror::Error;

use self::costs::Costs;
pub use self::network::Regions;

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As soon as fewer than this many wait for their result.
    Closed(usize),
    /// So many a second, at equal intervals, whatever waits.
    Open(f64),
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// n.
    pub replicas: usize,
    /// Where they are. [`Regions::Local`]: one machine for all, and its clients; else each has one
    /// core of its own, and clients cost nothing.
    pub regions: Regions,
    /// Cores of the one machine.
    pub cores: usize,
    /// Bits a second that leave a machine; `None` for any number.
    pub bandwidth: Option<u64>,
    /// Client identities.
    pub clients: u32,
    /// Bytes of an operation.
    pub payload: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// The most requests in a batch.
    pub batch_size_max: usize,
    /// How long the oldest request waits for company.
    pub batch_linger: Duration,
    /// Batches under way from which on only a full one is proposed.
    pub parallel_batches: u64,
    /// The most messages that are verified together.
    pub verify_batch_max: usize,
    /// Whether the threads that watch a live run share the cores: the oracle, and the look at the pace.
    pub watched: bool,
    /// Virtual time before the measured span.
    pub warmup: Duration,
    /// The measured span.
    pub span: Duration,
    /// Of all that is drawn.
    pub seed: u64,
}

/// What a prediction says.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Requests accepted by their clients in the span, per second.
    pub throughput_tx_per_s: f64,
    /// Median time from when a request was due to its result, in nanoseconds; `None` without one.
    pub response_time_ns_p50: Option<u64>,
    /// 99 % are faster; `None` with fewer than a thousand.
    pub response_time_ns_p99: Option<u64>,
    /// Requests of a batch, on average.
    pub batch_size_mean: f64,
    /// CPU time of replicas and clients for one request, in microseconds.
    pub cpu_us_per_tx: f64,
    /// Times that a replica's thread fell asleep, for one request.
    pub parks_per_tx: f64,
    /// How busy the cores are: of the one machine, or of the busiest replica's.
    pub busy_share: f64,
    /// Views that the replica that left most has left.
    pub views_left: u64,
}

/// Why nothing can be predicted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A committee of an impossible size.
    #[error("replicas: {0}")]
    Committee(#[from] CommitteeSize),
    /// An engine setting.
    #[error(transparent)]
    Engine(#[from] ConfigError),
}

impl Settings {
    /// The settings with which `pbft/pipeline` runs where nothing else is asked for.
    pub fn new(replicas: usize, regions: Regions, cores: usize) -> Settings {
        Settings {
            replicas,
            regions,
            cores,
            bandwidth: None,
            clients: 4,
            payload: 512,
            pace: Pace::Closed(1536),
            batch_size_max: 512,
            batch_linger: Duration::from_micros(500),
            parallel_batches: 1,
            verify_batch_max: 512,
            watched: false,
            warmup: Duration::from_millis(500),
            span: Duration::from_secs(2),
            seed: 42,
        }
    }

    fn engine(&self, replica: usize) -> Result<pbft::CheckedConfig, ModelError> {
        let committee = Committee::new(self.replicas)?;
        let mut config = pbft::Config::new(committee, ReplicaId(replica as u16));
        config.batch_size_max = self.batch_size_max;
        config.batch_linger = self.batch_linger;
        config.parallel_batches = self.parallel_batches;
        let share = match self.pace {
            Pace::Closed(concurrency) => (concurrency as u64).div_ceil(self.clients.into()),
            Pace::Open(_) => 0,
        };
        config.client_window = config.client_window.max(4 * share);
        // No fault, so no view is left for one; a load that is too much is told by its latency.
        config.view_timeout = Duration::from_secs(600);
        Ok(config.check()?)
    }
}

/// Predicts what `settings` come to under `costs`.
///
/// # Errors
/// [`ModelError`].
pub fn predict(settings: &Settings, costs: &Costs) -> Result<Outcome, ModelError> {
    Ok(run::Model::new(settings, costs)?.run())
}
