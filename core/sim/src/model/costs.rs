//! What each step costs, and the file that says so.

use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// The version of the file that this build writes and reads.
pub const COSTS_VERSION: u32 = 1;

macro_rules! items {
    ($($item:ident = $name:literal, $unit:literal, $means:literal;)*) => {
        /// A step that costs something, or a time that the machine takes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Item {
            $(#[doc = $means] $item,)*
        }

        impl Item {
            /// Every step.
            pub const ALL: &[Item] = &[$(Item::$item,)*];

            /// Its name in the file.
            pub fn name(self) -> &'static str {
                match self { $(Item::$item => $name,)* }
            }

            /// The unit of its cost.
            pub fn unit(self) -> &'static str {
                match self { $(Item::$item => $unit,)* }
            }

            /// What it is.
            pub fn means(self) -> &'static str {
                match self { $(Item::$item => $means,)* }
            }
        }
    };
}
items! {
    Turn = "turn", "ns", "one turn of a replica, whatever it has to do";
    Request = "request", "ns", "a client's request at the primary: decode, admit, put into a batch";
    Proposal = "proposal", "ns", "the primary proposes a batch";
    ProposalHeard = "proposal_heard", "ns", "a backup hears a proposal";
    RequestHeard = "request_heard", "ns", "a request in a proposal that a backup hears";
    VoteHeard = "vote_heard", "ns", "a prepare, commit or checkpoint is heard, one's own too";
    Copy = "copy", "ns", "a message is handed to one peer";
    Batch = "batch", "ns", "a batch is executed and answered";
    Execution = "execution", "ns", "a request is executed and answered";
    Checkpoint = "checkpoint", "ns", "the state's root is taken";
    CheckpointPage = "checkpoint_page", "ns", "of it, for each page written since the last one";
    Signature = "signature", "ns", "a replica signs a message";
    LoadTurn = "load_turn", "ns", "one turn of the clients' thread";
    LoadRequest = "load_request", "ns", "a client makes a request, signed beforehand";
    LoadReply = "load_reply", "ns", "a client checks and counts a reply";
    OracleBatch = "oracle_batch", "ns", "the oracle checks a batch that a replica executed";
    OracleRequest = "oracle_request", "ns", "the oracle checks one request of it";
    PaceLook = "pace_look", "ns", "one look of the thread that watches the pace of a live run";
    WakeCall = "wake_call", "ns", "a thread wakes another that sleeps";
    WakeDelay = "wake_delay", "ns", "until the woken thread runs, on another core";
    WakeNear = "wake_near", "ns", "until the woken thread runs, on the waker's core";
    Park = "park", "ns", "a thread goes to sleep and comes back, of its own CPU time";
    TimerLate = "timer_late", "ns", "a thread that sleeps until a time wakes after it";
    Tick = "tick", "ns", "busy threads of one core change places";
    SocketSend = "socket_send", "ns", "a flush is written to a socket";
    SocketSendByte = "socket_send_byte", "ns", "a byte of it";
    SocketReceive = "socket_receive", "ns", "a flush is read from a socket";
    SocketReceiveByte = "socket_receive_byte", "ns", "a byte of it";
}

/// What was measured of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Which: [`Item::name`].
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The figure.
    pub value: f64,
    /// The middle half of the repetitions lies within this share of the value; `None` where it was
    /// not repeated.
    pub spread: Option<f64>,
    /// How it was measured.
    pub how: String,
}

/// What verifying so many signatures together costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyCost {
    /// Signatures in one batch.
    pub signatures: u64,
    /// Keys that they are under.
    pub keys: u64,
    /// Nanoseconds for the batch.
    pub value: f64,
    /// As [`Cost::spread`].
    pub spread: Option<f64>,
}

/// The cost model of one machine, as its file holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostFile {
    /// [`COSTS_VERSION`].
    pub schema_version: u32,
    /// When, as `2026-11-28T10:00:00Z`.
    pub measured_at: String,
    /// Which build measured, as a record says it.
    pub provenance: Map<String, Value>,
    /// On which machine, as a record says it.
    pub environment: Map<String, Value>,
    /// Cores that the process may use.
    pub cores: u64,
    /// What a look at the pace took while turns were timed, in microseconds of CPU time: a live run
    /// tells the same of itself. `None` where too little was seen of it.
    pub pace_us: Option<f64>,
    /// Bytes of an operation.
    pub payload: u64,
    /// Distinct keys that operations write, in turn.
    pub keys: u64,
    /// Each step.
    pub costs: Vec<Cost>,
    /// Verification by size of batch, and by how many keys sign.
    pub verify: Vec<VerifyCost>,
}

/// Why a file is no cost model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CostsError {
    /// No JSON, or another shape.
    #[error("is no cost model: {0}")]
    Shape(String),
    /// Written by another build.
    #[error("has version {0} of the cost model, this build reads {COSTS_VERSION}")]
    Version(u32),
    /// A step has no cost, or two.
    #[error("tells {count} costs of `{name}`, and one is needed")]
    Count {
        /// The step.
        name: String,
        /// How many it tells.
        count: usize,
    },
    /// A step that this build does not know.
    #[error("tells the cost of `{0}`, which is no step of the model")]
    Unknown(String),
    /// A cost that cannot be one.
    #[error("says {name} = {value}, and {range} can be")]
    Value {
        /// The step.
        name: String,
        /// What is said of it.
        value: String,
        /// What can be said.
        range: String,
    },
    /// No batch of verification.
    #[error("tells no cost of verification")]
    NoVerification,
}

/// The costs of a checked file.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    by_item: Vec<f64>,
    /// Batches of verification by keys, then by size, both rising.
    verify: Vec<(u64, Vec<(u64, f64)>)>,
    /// Bytes of an operation.
    pub payload: usize,
    /// Distinct keys that operations write, in turn.
    pub keys: u64,
}

/// The most nanoseconds that a step may cost.
const COST_MAX: f64 = 1e12;
/// The least time after which busy threads change places.
const TICK_MIN: f64 = 1e3;

impl CostFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CostsError`]; its words follow the name of the file.
    pub fn read(text: &str) -> Result<CostFile, CostsError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| CostsError::Shape(error.to_string()))?;
        let version = value.get("schema_version").and_then(Value::as_u64);
        if let Some(version) = version.filter(|version| *version != u64::from(COSTS_VERSION)) {
            return Err(CostsError::Version(u32::try_from(version).unwrap_or(u32::MAX)));
        }
        let file: CostFile =
            serde_json::from_value(value).map_err(|error| CostsError::Shape(error.to_string()))?;
        file.costs().map(|_| file)
    }

    /// The costs, checked.
    ///
    /// # Errors
    /// [`CostsError`].
    pub fn costs(&self) -> Result<Costs, CostsError> {
        let known = |cost: &&Cost| !Item::ALL.iter().any(|item| item.name() == cost.name);
        if let Some(unknown) = self.costs.iter().find(known) {
            return Err(CostsError::Unknown(unknown.name.clone()));
        }
        let of = |item: &Item| {
            let named = || self.costs.iter().filter(|cost| cost.name == item.name());
            match named().count() {
                // Threads that change places all the time would get nowhere.
                1 if *item == Item::Tick => within(item.name(), sum(named()), TICK_MIN..=COST_MAX),
                1 => within(item.name(), sum(named()), 0.0..=COST_MAX),
                count => Err(CostsError::Count { name: item.name().to_owned(), count }),
            }
        };
        let by_item = Item::ALL.iter().map(of).collect::<Result<_, _>>()?;
        let mut verify: Vec<(u64, Vec<(u64, f64)>)> = Vec::new();
        let mut batches: Vec<&VerifyCost> = self.verify.iter().collect();
        batches.sort_by_key(|batch| (batch.keys, batch.signatures));
        for batch in batches {
            let point = (batch.signatures, within("verify", batch.value, 0.0..=COST_MAX)?);
            match verify.last_mut().filter(|(keys, _)| *keys == batch.keys) {
                Some((_, points)) => points.push(point),
                None => verify.push((batch.keys, vec![point])),
            }
        }
        if verify.is_empty() {
            return Err(CostsError::NoVerification);
        }
        Ok(Costs { by_item, verify, payload: self.payload as usize, keys: self.keys })
    }
}

fn within(name: &str, value: f64, range: RangeInclusive<f64>) -> Result<f64, CostsError> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(CostsError::Value {
            name: name.to_owned(),
            value: value.to_string(),
            range: format!("{} to {}", range.start(), range.end()),
        }),
    }
}

fn sum<'a>(costs: impl Iterator<Item = &'a Cost>) -> f64 {
    costs.map(|cost| cost.value).sum()
}

impl Costs {
    /// Steps that cost nothing, and threads that change places every 4 ms: what is set is all that
    /// there is.
    pub fn free() -> Costs {
        let free = Costs {
            by_item: vec![0.0; Item::ALL.len()],
            verify: vec![(1, vec![(1, 0.0)])],
            payload: 512,
            keys: 4096,
        };
        free.with(Item::Tick, 4e6)
    }

    /// The same with one step at `ns`.
    #[must_use]
    pub fn with(mut self, item: Item, ns: f64) -> Costs {
        self.by_item[item as usize] = ns;
        self
    }

    /// The same where a signature costs `ns` to verify, however many are verified together.
    #[must_use]
    pub fn with_verify(mut self, ns: f64) -> Costs {
        self.verify = vec![(1, vec![(1, ns)])];
        self
    }

    /// The same on cores on which the same work takes `factor` times as long: what threads wait for
    /// stays as it is.
    #[must_use]
    pub fn slowed(mut self, factor: f64) -> Costs {
        for item in Item::ALL {
            let waits = [Item::WakeDelay, Item::WakeNear, Item::TimerLate, Item::Tick];
            if !waits.contains(item) {
                self.by_item[*item as usize] *= factor;
            }
        }
        for (_, points) in &mut self.verify {
            points.iter_mut().for_each(|(_, ns)| *ns *= factor);
        }
        self
    }

    /// Nanoseconds of a step.
    #[inline]
    pub fn ns(&self, item: Item) -> f64 {
        self.by_item[item as usize]
    }

    /// Nanoseconds of verifying `signatures` together, of which `keys` are the signers: between the
    /// batches that were measured on a straight line, beyond them in proportion, and by the measured
    /// number of keys that is nearest.
    pub fn verify_ns(&self, signatures: u64, keys: u64) -> f64 {
        let nearest = self.verify.iter().min_by_key(|(measured, _)| measured.abs_diff(keys));
        let Some((_, points)) = nearest.filter(|_| signatures > 0) else { return 0.0 };
        let above = points.iter().position(|(size, _)| *size >= signatures);
        let per = |(size, ns): (u64, f64)| signatures as f64 * ns / size as f64;
        match above {
            Some(0) => per(points[0]),
            None => points.last().map_or(0.0, |last| per(*last)),
            Some(place) => {
                let ((low, from), (high, to)) = (points[place - 1], points[place]);
                from + (to - from) * (signatures - low) as f64 / (high - low).max(1) as f64
            }
        }
    }
}
