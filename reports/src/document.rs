//! Whatever a command leaves behind, as one kind of thing: what can be listed and shown.

use crate::compare::Comparison;
use crate::flame::Folded;
use crate::prediction::Check;
use crate::record::{Point, Record};
use crate::sweep::Table;
use crate::tuning::{Slo, Tuning};

/// Something that was measured, with all that is needed to show it.
#[derive(Debug, Clone)]
pub enum Document<'a> {
    /// One run.
    Run(Run<'a>),
    /// The points of a sweep.
    Sweep(Table<'a>),
    /// Two records held against each other.
    Comparison(Compared<'a>),
    /// The settings that do best.
    Tuning(Tuning<'a>),
    /// The highest rate that holds a response time.
    Slo(Slo<'a>),
    /// Predictions held against live runs.
    Prediction(&'a Check),
}

/// A record and its time series, which may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its time series, as [`crate::store::read_series`] returns it.
    pub series: &'a [Point],
    /// The stacks of a sampled run, as [`Folded::read`] returns them.
    pub stacks: Option<&'a Folded>,
}

/// A comparison and what was compared.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// What was found.
    pub found: &'a Comparison,
    /// The records of A and B, whose samples are shown one by one; `None` where they are gone.
    pub records: Option<[&'a Record; 2]>,
}

impl<'a> From<Run<'a>> for Document<'a> {
    fn from(run: Run<'a>) -> Document<'a> {
        Document::Run(run)
    }
}

impl Document<'_> {
    /// When its measuring began, or where nobody kept that, when it was written: RFC 3339 in UTC;
    /// empty where nothing is known of it.
    pub fn started_at(&self) -> &str {
        match self {
            Document::Run(run) => &run.record.started_at,
            Document::Sweep(sweep) => {
                let begun = sweep.rows.iter().map(|row| row.record.started_at.as_str());
                begun.min().unwrap_or_default()
            }
            Document::Comparison(compared) => {
                let Compared { found, .. } = compared;
                found.a.started_at.as_str().min(&found.b.started_at)
            }
            Document::Tuning(tuning) => tuning.written_at,
            Document::Slo(slo) => slo.written_at,
            Document::Prediction(check) => &check.started_at,
        }
    }
}
