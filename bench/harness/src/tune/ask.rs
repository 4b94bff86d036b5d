//! What a search asks for, and what it is told.

use core::time::Duration;

use quorumark_report::Metrics;
use serde::{Deserialize, Serialize};

use super::space::Setup;

/// How much may be spent, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Nanoseconds that all measurements together may take, the confirmation included.
    pub budget_ns: u64,
    /// Nanoseconds of the longest measured span.
    pub span_ns: u64,
    /// Seeds every choice of the search, and the seeds of what it measures.
    pub seed: u64,
}

/// Why something is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// To know the defaults, and what a measurement costs.
    Reference,
    /// In a round of successive halving.
    Halving {
        /// Which, from 0; the next one keeps fewer setups and measures longer.
        rung: u32,
    },
    /// Beside the best one, in turn with it.
    Refinement {
        /// Which turn, from 0.
        block: u32,
    },
    /// On a fresh seed, in turn with the defaults.
    Confirmation {
        /// Which pair, from 0.
        pair: u32,
    },
}

/// One measurement that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// How many came before it.
    pub number: u32,
    /// What to set.
    pub setup: Setup,
    /// How long to measure.
    pub span: Duration,
    /// The seed of its workload.
    pub seed: u64,
    /// Why.
    pub stage: Stage,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Nanoseconds that all of it took, preparation included.
    pub cost_ns: u64,
    /// What was read.
    pub reading: Reading,
}

/// What a measurement gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Figures that count.
    Figures(Metrics),
    /// The setup cannot do what was asked of it: it is not measured again.
    Refused(String),
    /// The machine did something else; nothing is known of the setup.
    Disturbed(String),
}
