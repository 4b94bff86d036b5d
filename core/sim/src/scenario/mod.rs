//! What a run shall be: the scenario file, checked, with its draws made for one seed.
//!
//! [`Template::parse`] reads a file, [`Template::scenario`] gives the scenario of one seed. What is
//! wrong is told with file and line, and nothing is guessed: unknown keys are errors.

mod check;
mod faults;
mod quantity;
mod read;
pub mod schema;
mod source;
mod swarm;
mod terms;

use std::collections::BTreeSet;
use std::time::Duration;

use quorumark_primitives::Digest;
use quorumark_primitives::hash::sha256;
use thiserror::Error;

pub use faults::{AfterCrash, Behaviour, Byzantine, Event, Fault, Moment, Mutation, When, Who};
pub use terms::{Deed, Lie, Operation, PHASES};

use source::Node;

use crate::verdict::Outcome;

/// Where in a file something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScenarioError {
    /// A value, or several together, cannot be.
    #[error("{}:{}: {problem}; {remedy}", place.file, place.line)]
    Wrong {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
        /// How to mend it.
        remedy: String,
    },
    /// A name is not known.
    #[error("{}:{}: {name}: no such {what}; known are {}", place.file, place.line, known.join(", "))]
    Unknown {
        /// Where.
        place: Place,
        /// The name.
        name: String,
        /// What it would be the name of.
        what: &'static str,
        /// The names that there are.
        known: Vec<&'static str>,
    },
}

impl Place {
    fn wrong(&self, problem: impl Into<String>, remedy: impl Into<String>) -> ScenarioError {
        let (problem, remedy) = (problem.into(), remedy.into());
        ScenarioError::Wrong { place: self.clone(), problem, remedy }
    }
}

/// A scenario file, read; its draws are not made yet.
#[derive(Debug, Clone)]
pub struct Template {
    file: String,
    /// SHA-256 of the file.
    sha256: Digest,
    tree: Node,
    seed: u64,
}

impl Template {
    /// Reads a scenario; `file` is how errors name it.
    ///
    /// # Errors
    /// [`ScenarioError`], with the line.
    pub fn parse(text: &str, file: &str) -> Result<Template, ScenarioError> {
        let tree = Node::parse(text, file)?;
        let sha256 = sha256(text.as_bytes());
        let mut template = Template { file: file.to_owned(), sha256, tree, seed: 0 };
        template.seed = template.scenario(0)?.seed_given;
        Ok(template)
    }

    /// The seed that the file names.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The scenario of one seed.
    ///
    /// # Errors
    /// [`ScenarioError`] for what a draw made impossible.
    pub fn scenario(&self, seed: u64) -> Result<Scenario, ScenarioError> {
        let tree = self.tree.drawn(seed, &self.file)?;
        let scenario = read::scenario(&tree, &self.file, seed)?;
        check::check(&scenario, &self.file)?;
        Ok(scenario)
    }
}

/// A scenario, ready to run. All times are nanoseconds, all probabilities thresholds out of
/// [`crate::random::CERTAIN`].
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it shows.
    pub name: String,
    /// Committee size.
    pub replicas: u16,
    /// The seed of this run.
    pub seed: u64,
    /// The seed that the file names.
    pub seed_given: u64,
    /// When the run ends.
    pub duration: u64,
    /// When network faults, crashes and clock faults have ended.
    pub gst: u64,
    /// Whether the file names it.
    pub gst_given: bool,
    /// Whether signatures are ed25519; else stand-ins.
    pub real_crypto: bool,
    /// Whether more than f replicas may be faulty.
    pub allow_too_many_faults: bool,
    /// The engine's settings.
    pub config: Settings,
    /// What clients do.
    pub workload: Workload,
    /// Every link.
    pub network: Network,
    /// How long a write takes to become durable, from and to.
    pub fsync: [u64; 2],
    /// Who lies.
    pub byzantine: Vec<Byzantine>,
    /// What happens.
    pub events: Vec<Event>,
    /// What makes the run a success.
    pub expect: Expect,
}

impl Scenario {
    /// Replicas that are faulty at some time: liars, and those who lose what they must not forget.
    pub fn faulty(&self) -> BTreeSet<u16> {
        check::faulty(self)
    }
}

/// The engine's settings, as the file gives them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Requests in a batch.
    pub batch_size_max: usize,
    /// Bytes in a batch.
    pub batch_bytes_max: usize,
    /// How long a request waits for company.
    pub batch_linger: Duration,
    /// W.
    pub parallel_batches: u64,
    /// L.
    pub window: u64,
    /// K.
    pub checkpoint_interval: u64,
    /// Requests that may wait.
    pub pending_max: usize,
    /// Bytes of them.
    pub pending_bytes_max: usize,
    /// Clients in the exactly-once table.
    pub clients_max: usize,
    /// Timestamps of a client.
    pub client_window: u64,
    /// How long a replica waits before it says what it lacks.
    pub status_interval: Duration,
    /// How long the oldest request may wait.
    pub view_timeout: Duration,
    /// Whether replicas keep a journal.
    pub journal: bool,
    /// Whether reads are answered without being ordered.
    pub read_only: bool,
    /// Whether batches are executed before they are committed.
    pub tentative: bool,
}

/// What clients do.
#[derive(Debug, Clone)]
pub struct Workload {
    /// How many.
    pub clients: u32,
    /// Operations in all.
    pub operations: u64,
    /// Keys.
    pub keys: u64,
    /// Weights of get, put and compare-and-swap.
    pub mix: [u64; 3],
    /// Mean time between two operations, open loop; `None`: closed loop.
    pub interval: Option<u64>,
    /// After which a client sends again.
    pub retransmit: u64,
    /// Whether a request goes to all at once.
    pub to_all: bool,
}

/// Every link, unless an event says otherwise.
#[derive(Debug, Clone)]
pub struct Network {
    /// One way, from and to.
    pub delay: [u64; 2],
    /// How often a tail is added.
    pub delay_tail: u32,
    /// How often a message is lost.
    pub loss: u32,
    /// How often it arrives twice.
    pub duplicate: u32,
    /// How often it arrives changed.
    pub corrupt: u32,
    /// Whether it may be overtaken.
    pub reorder: bool,
    /// Bits per second; `None`: unlimited.
    pub bandwidth: Option<u64>,
    /// Whether delays come from the matrix of five regions.
    pub wan5: bool,
}

/// What makes the run a success.
#[derive(Debug, Clone)]
pub struct Expect {
    /// What is to be found.
    pub outcome: Outcome,
    /// The least operations answered.
    pub min_operations: u64,
    /// After gst, for each pending request.
    pub liveness_bound: u64,
    /// Names of checks; `all` among them means each.
    pub checks: Vec<String>,
}
