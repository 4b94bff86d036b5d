//! Tuning: the setting of a scenario's parameters that does best what is asked for, within a
//! budget.
//!
//! A [`Search`] over a [`Space`] for a [`Goal`] decides, and knows neither clock nor machine; a
//! [`Journal`] keeps what it asked and was told, so that a search goes on where it ended;
//! [`measure`]
//! asks a scenario. What is shown and written of it is the caller's.

mod ask;
mod confirm;
mod costs;
mod goal;
mod journal;
mod live;
mod model;
mod outcome;
mod search;
mod space;
mod summary;
mod surface;

use thiserror::Error;

use crate::parameter::ParameterError;

pub use ask::{Ask, Plan, Reading, Sample, Stage};
pub use goal::{Direction, Goal, Limit, Relation};
pub use journal::{Header, JOURNAL_FILE, JOURNAL_VERSION, Journal, JournalError};
pub use live::{Live, measure};
pub use outcome::{Found, Outcome};
pub use search::Search;
pub use space::{Dimension, LEVELS_MAX, Setup, Space, Tunable};
pub use summary::{FRONT, Measured, SUMMARY_FILE, SUMMARY_VERSION, Settings, Summary};

/// Why there is nothing to search. One sentence that says how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TuneError {
    /// A parameter or a value is wrong.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A parameter has too many values.
    #[error("{name}: at most {LEVELS_MAX} values can be tuned; leave some out")]
    TooManyLevels {
        /// The parameter.
        name: String,
    },
    /// Nothing can be chosen.
    #[error("nothing is left to tune; give a parameter more than one value with --param")]
    Empty,
}
