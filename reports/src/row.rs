//! One record as one row: what was run, the figure that answers for it, and how it compares with
//! the physical limit.

use crate::table::Table;
use crate::units::{self, ABSENT};
use crate::{Record, Verdict, label};

/// The code of the warning that an interrupted run carries.
pub const INTERRUPTED: &str = "interrupted";

/// One record in the table of several.
///
/// A run without a result ([`Verdict::has_result`]) shows its verdict in place of every figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Scenario and settings ([`label::of`]).
    pub what: String,
    /// The headline figure with its unit, or the verdict in capitals.
    pub result: String,
    /// Median response time.
    pub p50: String,
    /// 99th percentile of the response time.
    pub p99: String,
    /// CPU time per operation, over all replicas and clients.
    pub cpu: String,
    /// Share of the physical limit that was reached.
    pub limit_share: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why the verdict is not `ok`.
    pub reason: Option<String>,
    /// The command that repeats the run.
    pub reproduce: String,
}

/// What stands behind a wall-clock figure of a run most of whose samples lost the CPU.
pub const CONTENDED_MARK: &str = " *";

/// What [`CONTENDED_MARK`] means: one line below each table and headline that carries it.
pub const CONTENDED_NOTE: &str = "* most samples lost the CPU: wall-clock figures say as much \
    about the neighbours as about the code; CPU per op stands";

/// The figure that answers for a family of scenarios: the first of these that has a value.
fn headline_names(scenario: &str) -> &'static [&'static str] {
    match scenario {
        "pow/miner" => &["hashes_per_s"],
        "merkle/root" => &["leaves_per_s", "leaves_per_cpu_s"],
        _ if scenario.starts_with("signature/") => &["signatures_per_s", "cpu_us_per_signature"],
        _ if scenario.starts_with("hash/") => &["bytes_per_s", "hashes_per_s", "cpu_ns_per_hash"],
        _ if scenario.ends_with("/pipeline") => &["throughput_tx_per_s"],
        _ if scenario.ends_with("/view-change") => &["first_commit_after_stop_ns"],
        _ => &[],
    }
}

impl Row {
    /// The row of a record.
    pub fn of(record: &Record) -> Row {
        let mut row = Row {
            what: label::of(record),
            result: record.verdict.as_str().to_uppercase(),
            p50: ABSENT.to_owned(),
            p99: ABSENT.to_owned(),
            cpu: ABSENT.to_owned(),
            limit_share: ABSENT.to_owned(),
            verdict: record.verdict,
            reason: reason(record),
            reproduce: record.reproduce.clone(),
        };
        if record.verdict.has_result() {
            let shown = |name: &str| units::metric(name, record.metrics.get(name));
            row.result = headline(record).unwrap_or_else(|| ABSENT.to_owned());
            row.p50 = marked(record, "response_time_ns_p50");
            row.p99 = marked(record, "response_time_ns_p99");
            row.cpu = cpu_per_operation(record).unwrap_or_else(|| ABSENT.to_owned());
            row.limit_share = shown("limit_share");
        }
        row
    }

    /// Whether one of its figures carries [`CONTENDED_MARK`].
    pub fn is_marked(&self) -> bool {
        [&self.result, &self.p50, &self.p99].iter().any(|cell| cell.ends_with(CONTENDED_MARK))
    }

    /// The table of several records, each under its entry of [`label::of_all`].
    pub fn table(records: &[&Record]) -> Table {
        let figures = ["result", "p50", "p99", "CPU per op", "of limit"];
        let mut table = Table::new(&["what"], &figures);
        table.columns.extend(Table::new(&["verdict"], &[]).columns);
        for (record, what) in records.iter().zip(label::of_all(records)) {
            let row = Row::of(record);
            let verdict = row.verdict.to_string();
            table.push([what, row.result, row.p50, row.p99, row.cpu, row.limit_share, verdict]);
        }
        table
    }
}

/// The metric that answers for the record; `None` when it has no result.
pub fn headline_metric(record: &Record) -> Option<&str> {
    let mut known = headline_names(&record.scenario).iter().copied();
    let known = known.find(|name| record.metrics.get(name).is_some());
    let named = || record.metrics.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
    let rate = || named().find(|name| name.ends_with("_per_s"));
    let first = || named().next();
    record.verdict.has_result().then(|| known.or_else(rate).or_else(first)).flatten()
}

/// The headline figure with its unit, marked where the machine disturbed it; `None` when the
/// record has no result.
pub fn headline(record: &Record) -> Option<String> {
    headline_metric(record).map(|name| marked(record, name))
}

/// Whether more than half of the samples lost the CPU ([`crate::Sample::contended`]).
pub fn mostly_contended(record: &Record) -> bool {
    let contended = record.samples.iter().filter(|sample| sample.contended).count();
    2 * contended > record.samples.len()
}

/// Whether the run was ended before its time: what it shows is of a part of it.
pub fn interrupted(record: &Record) -> bool {
    record.warnings.iter().any(|warning| warning.code == INTERRUPTED)
}

/// A figure with its unit, and [`CONTENDED_MARK`] where it is a time on the wall clock and most
/// samples lost the CPU.
fn marked(record: &Record, name: &str) -> String {
    let value = record.metrics.get(name);
    let mark = value.is_some() && units::is_wall_clock(name) && mostly_contended(record);
    units::metric(name, value) + if mark { CONTENDED_MARK } else { "" }
}

/// Why the verdict is not `ok`, from the reason given, the oracle or the first warning.
pub fn reason(record: &Record) -> Option<String> {
    if record.verdict == Verdict::Ok {
        return None;
    }
    let violation = || {
        record.oracle.iter().find(|(_, check)| check.violated > 0).map(|(name, check)| {
            let times = check.violated;
            let first = check.first_violation.as_deref().unwrap_or("no detail was recorded");
            format!("{name} violated {times} times; first: {first}")
        })
    };
    let warning = || record.warnings.first().map(|w| format!("{}; {}", w.cause, w.remedy));
    let given = record.verdict_reason.clone();
    given.or_else(violation).or_else(warning).or(Some("no reason was recorded".to_owned()))
}

/// The metric that holds the CPU time of an operation; `None` where the record has none.
pub fn cpu_metric(record: &Record) -> Option<&str> {
    let valued = record.metrics.iter().filter(|(_, value)| value.is_some());
    let mut names = valued.map(|(name, _)| name);
    names.find(|name| name.starts_with("cpu_") && name.contains("_per_"))
}

/// CPU per operation: [`cpu_metric`], or what a rate per CPU second amounts to.
fn cpu_per_operation(record: &Record) -> Option<String> {
    if let Some(name) = cpu_metric(record) {
        return Some(units::metric(name, record.metrics.get(name)));
    }
    record.metrics.iter().find_map(|(name, value)| {
        let counted = name.strip_suffix("_per_cpu_s")?;
        let value = value.filter(|rate| *rate > 0.0)?;
        Some(format!("{}/{}", units::duration_ns(1e9 / value), singular(counted)))
    })
}

fn singular(counted: &str) -> &str {
    match counted {
        "leaves" => "leaf",
        "hashes" => "hash",
        other => other.strip_suffix('s').unwrap_or(other),
    }
}
