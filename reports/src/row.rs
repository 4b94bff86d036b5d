//! One record as one row: what was run, the figure that answers for it, and how it compares with
//! the physical limit.

use crate::table::Table;
use crate::units::{self, ABSENT};
use crate::{Record, Verdict};

/// One record in the table of several.
///
/// A run without a result ([`Verdict::has_result`]) shows its verdict in place of every figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Scenario and the parameters that tell its runs apart.
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

/// What a family of scenarios is known by.
struct Family {
    /// Whether a scenario belongs to it.
    matches: fn(&str) -> bool,
    /// The headline: the first of these metrics that has a value.
    headline: &'static [&'static str],
    /// Parameters that tell two runs apart, most telling first.
    parameters: &'static [&'static str],
}

/// The first match counts; the last one matches everything.
const FAMILIES: [Family; 6] = [
    Family {
        matches: |scenario| scenario.ends_with("/pipeline"),
        headline: &["throughput_tx_per_s"],
        parameters: &["replicas", "payload", "auth", "transport"],
    },
    Family {
        matches: |scenario| scenario == "pow/miner",
        headline: &["hashes_per_s"],
        parameters: &["threads"],
    },
    Family {
        matches: |scenario| scenario == "merkle/root",
        headline: &["leaves_per_s", "leaves_per_cpu_s"],
        parameters: &["rule", "leaves", "threads"],
    },
    Family {
        matches: |scenario| scenario.starts_with("signature/"),
        headline: &["signatures_per_s", "cpu_us_per_signature"],
        parameters: &["size", "signers"],
    },
    Family {
        matches: |scenario| scenario.starts_with("hash/"),
        headline: &["bytes_per_s", "hashes_per_s", "cpu_ns_per_hash"],
        parameters: &["size"],
    },
    Family { matches: |_| true, headline: &[], parameters: &[] },
];

impl Row {
    /// The row of a record.
    pub fn of(record: &Record) -> Row {
        let mut row = Row {
            what: what(record),
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
            row.p50 = shown("response_time_ns_p50");
            row.p99 = shown("response_time_ns_p99");
            row.cpu = cpu_per_operation(record).unwrap_or_else(|| ABSENT.to_owned());
            row.limit_share = shown("limit_share");
        }
        row
    }

    /// The table of several records. Parameters in which no two of them differ are left out, but
    /// for the most telling one.
    pub fn table(records: &[&Record]) -> Table {
        let figures = ["result", "p50", "p99", "CPU per op", "of limit"];
        let mut table = Table::new(&["what"], &figures);
        table.columns.extend(Table::new(&["verdict"], &[]).columns);
        for record in records {
            let row = Row::of(record);
            let verdict = row.verdict.to_string();
            let what = what_among(record, records);
            table.push([what, row.result, row.p50, row.p99, row.cpu, row.limit_share, verdict]);
        }
        table
    }
}

/// The metric that answers for the record; `None` when it has no result.
pub fn headline_metric(record: &Record) -> Option<&str> {
    let mut known = family(record).headline.iter().copied();
    let known = known.find(|name| record.metrics.get(name).is_some());
    let named = || record.metrics.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
    let rate = || named().find(|name| name.ends_with("_per_s"));
    let first = || named().next();
    record.verdict.has_result().then(|| known.or_else(rate).or_else(first)).flatten()
}

/// The headline figure with its unit; `None` when the record has no result.
pub fn headline(record: &Record) -> Option<String> {
    headline_metric(record).map(|name| units::metric(name, record.metrics.get(name)))
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

/// CPU per operation: the first `cpu_*_per_*` metric, or what a rate per CPU second amounts to.
fn cpu_per_operation(record: &Record) -> Option<String> {
    let direct = record.metrics.iter().find(|(name, value)| {
        name.starts_with("cpu_") && name.contains("_per_") && value.is_some()
    });
    if let Some((name, value)) = direct {
        return Some(units::metric(name, value));
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

/// The scenario with all its telling parameters.
fn what(record: &Record) -> String {
    named(record, |_| true)
}

/// The scenario with its first telling parameter, and those that differ among `records`.
fn what_among(record: &Record, records: &[&Record]) -> String {
    let alike = || records.iter().filter(|other| other.scenario == record.scenario);
    let first = family(record).parameters.first();
    named(record, |name| {
        Some(&name) == first || alike().any(|o| o.config.get(name) != record.config.get(name))
    })
}

fn named(record: &Record, shown: impl Fn(&'static str) -> bool) -> String {
    let mut what = record.scenario.clone();
    for name in family(record).parameters.iter().filter(|name| shown(name)) {
        match record.config.get(*name) {
            Some(serde_json::Value::String(text)) => what.push_str(&format!(" {name}={text}")),
            Some(value) if !value.is_null() => what.push_str(&format!(" {name}={value}")),
            _ => {}
        }
    }
    what
}

fn family(record: &Record) -> &'static Family {
    let [.., fallback] = &FAMILIES;
    FAMILIES.iter().find(|family| (family.matches)(&record.scenario)).unwrap_or(fallback)
}
