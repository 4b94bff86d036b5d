//! The record schema, its rendering and its statistics.
//!
//! Invariant: this crate knows neither the system under test nor what runs it. A record is all
//! that passes between a measurement and its readers, so that a run can be rendered, compared and
//! repeated years later from its files alone. Nothing here prints: functions return strings or
//! write to an `impl io::Write`.

#![forbid(unsafe_code)]

pub mod compare;
pub mod criterion;
pub mod csv;
pub mod document;
pub mod export;
pub mod flame;
pub mod html;
pub mod index;
pub mod label;
pub mod markdown;
pub mod merged;
pub mod metrics;
pub mod prediction;
pub mod record;
pub mod row;
pub mod stats;
pub mod store;
pub mod sweep;
pub mod table;
pub mod terminal;
pub mod tuning;
pub mod units;
pub mod verdict;
pub mod view;

pub use document::Document;
pub use flame::Folded;
pub use metrics::Metrics;
pub use record::{Check, Environment, Point, Provenance, Record, Sample, Spectrum, Stage, Warning};
pub use stats::Interval;
pub use store::RecordError;
pub use verdict::Verdict;
