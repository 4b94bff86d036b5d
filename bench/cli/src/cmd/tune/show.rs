//! What a tuning found, as text, as a configuration, as an exit code.

use quorumark_harness::tune::{FRONT, Found, Measured, Settings, Summary};
use quorumark_harness::{Origin, ParameterSet};
use quorumark_report::compare::judge::MetricComparison;
use quorumark_report::table::Table;
use quorumark_report::units;

use crate::exit::Exit;
use crate::terminal::Terminal;

/// Parameters of every run that say nothing of how the work is done.
const OF_A_RUN: [&str; 4] = ["duration", "warmup", "repeat", "seed"];

/// Points of the front that are shown.
const ROWS_MAX: usize = 8;

/// What a script is told.
pub(super) fn exit_of(summary: &Summary) -> Exit {
    match summary.found {
        _ if summary.interrupted => Exit::Interrupted,
        Found::Unmet => Exit::Unmet,
        Found::Open | Found::Unknown => Exit::Inconclusive,
        _ => Exit::Done,
    }
}

/// What was found, in a word or three.
pub(in crate::cmd) fn word(found: Found) -> &'static str {
    match found {
        Found::Gain => "gain",
        Found::DefaultsWithinNoise => "defaults within noise",
        Found::DefaultsBest => "defaults best",
        Found::LimitsKept => "limits kept",
        Found::Unmet => "unmet",
        Found::Open => "open",
        Found::Unconfirmed => "unconfirmed",
        Found::Unknown => "unknown",
    }
}

/// What was found in one sentence, without the scenario's name.
pub(in crate::cmd) fn sentence(summary: &Summary) -> String {
    let metric = &summary.search.goal.metric;
    let change = summary.confirmation.as_ref().and_then(change);
    let pairs = summary.confirmation.as_ref().map_or(0, |found| found.pairs);
    match (summary.found, change) {
        (Found::Gain, Some(change)) => {
            format!("{metric} {change} against the defaults, in {pairs} pairs on fresh seeds")
        }
        (Found::DefaultsWithinNoise, Some(change)) => format!(
            "the defaults are within noise of the best that was found ({metric} {change}, {pairs} \
             pairs on fresh seeds), and are kept"
        ),
        (Found::Gain | Found::DefaultsWithinNoise | Found::DefaultsBest, _) => {
            "the defaults are within noise of the best that was found, and are kept".to_owned()
        }
        (Found::LimitsKept, Some(change)) => format!(
            "the defaults do not keep the limits, what was found does, on fresh seeds; {metric} \
             {change}"
        ),
        (Found::LimitsKept, None) => {
            "the defaults do not keep the limits, what was found does, on fresh seeds".to_owned()
        }
        (Found::Unmet, _) => unmet(summary),
        (Found::Open, _) => format!(
            "whether anything keeps {} is open: the measurements differ too much, on a machine \
             that may be busy",
            limits(summary)
        ),
        (Found::Unconfirmed, _) if summary.interrupted => {
            "interrupted: the best so far, which nothing has confirmed".to_owned()
        }
        (Found::Unconfirmed, _) => "the budget was too short to confirm it on fresh seeds; raise \
                                    --budget or shorten --duration"
            .to_owned(),
        (Found::Unknown, _) => format!("no measurement counts{}", reason(&summary.points)),
    }
}

/// For a terminal. The last line is `reproduce: ` and the command.
pub(super) fn text(summary: &Summary, terminal: &Terminal) -> String {
    let scenario = terminal.bold(&summary.search.scenario);
    let mut lines = vec![format!("{scenario}: {}", sentence(summary))];
    if let Some(recommended) = &summary.recommended {
        let told = match changed(recommended, &summary.defaults) {
            told if told.is_empty() => "the defaults".to_owned(),
            told => told,
        };
        lines.push(format!("recommended: {told}"));
    }
    let table = table(summary);
    if !table.rows.is_empty() {
        lines.push(String::new());
        lines.push("no other setting has both more throughput and a lower p99:".to_owned());
        lines.extend(table.to_text(terminal.style().width));
    }
    let spent = units::duration_ns(summary.spent_ns as f64);
    let measured: u32 = summary.points.iter().map(|point| point.measurements).sum();
    let points = summary.points.len();
    lines.push(String::new());
    lines.push(format!("{measured} measurements of {points} settings in {spent}"));
    lines.push(format!("reproduce: {}", summary.reproduce));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The configuration for `run --config`; `None` where nothing is recommended.
pub(super) fn tuned(summary: &Summary, shared: &ParameterSet) -> Option<String> {
    let recommended = summary.recommended.as_ref()?;
    let mut text = format!("# {}\n# {}\n", summary.reproduce, sentence(summary));
    text.push_str(&format!("[\"{}\"]\n", summary.search.scenario));
    let given = shared.iter().filter(|setting| {
        let name = setting.parameter.name;
        let own = recommended.contains_key(name) || OF_A_RUN.contains(&name);
        setting.origin != Origin::Default && !own
    });
    let given = given.map(|setting| (setting.parameter.name, setting.value.to_string()));
    let chosen = recommended.iter().map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in given.chain(chosen) {
        text.push_str(&format!("{name} = \"{value}\"\n"));
    }
    Some(text)
}

/// `+4.2 % (+1.0 % to +7.5 %)`.
fn change(found: &MetricComparison) -> Option<String> {
    let signed = |share: f64| format!("{:+.1} %", share * 100.0);
    let (low, high) = (found.change_share_low?, found.change_share_high?);
    Some(format!("{} ({} to {})", signed(found.change_share?), signed(low), signed(high)))
}

/// One lucky measurement within the limits may stand in the table: what is said of them is what the
/// confirmation says, or all measurements together.
fn unmet(summary: &Summary) -> String {
    let (limits, relief) = (limits(summary), relief(summary));
    match summary.confirmation {
        Some(_) => {
            format!("what came nearest to {limits} does not keep it on fresh seeds{relief}")
        }
        None => format!("nothing that was measured is likely to keep {limits}{relief}"),
    }
}

/// What else keeps a limit of latency: the load, which no setting changes.
fn relief(summary: &Summary) -> &'static str {
    let mut limits = summary.search.goal.limits.iter();
    match limits.any(|limit| limit.metric.contains("_time_ns")) {
        true => "; offer less (--concurrency, --rate) or loosen the limit",
        false => "",
    }
}

fn limits(summary: &Summary) -> String {
    let limits = summary.search.goal.limits.iter();
    let told = limits.map(|limit| {
        let bound = units::metric(&limit.metric, Some(limit.bound));
        format!("{} {} {bound}", limit.metric, limit.relation)
    });
    told.collect::<Vec<_>>().join(" and ")
}

/// The settings that differ from the defaults.
pub(in crate::cmd) fn changed(settings: &Settings, defaults: &Settings) -> String {
    let differs = settings.iter().filter(|(name, value)| defaults.get(*name) != Some(value));
    differs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// Why the first measurement that does not count does not.
fn reason(points: &[Measured]) -> String {
    let reason = points.iter().find_map(|point| point.refused.as_ref());
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// The front of throughput against p99.
fn table(summary: &Summary) -> Table {
    let mut table = Table::new(&["setting"], &["throughput", "p99", "measured"]);
    for place in summary.front.iter().take(ROWS_MAX) {
        let point = &summary.points[*place];
        let told = match changed(&point.settings, &summary.defaults) {
            told if told.is_empty() => "defaults".to_owned(),
            told => told,
        };
        let figure = |name: &str| units::metric(name, point.metrics.get(name));
        let measured = point.measurements.to_string();
        table.push([told, figure(FRONT[0]), figure(FRONT[1]), measured]);
    }
    table
}
