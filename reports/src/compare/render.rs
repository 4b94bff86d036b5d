//! A comparison as text: for a terminal, and as Markdown.

use super::Comparison;
use super::judge::{Finding, MetricComparison};
use crate::markdown::{escape, table as markdown_table};
use crate::table::{Table, plain};
use crate::terminal::{BOLD, GREEN, RED, Style, YELLOW};
use crate::units::{self, ABSENT};

/// A change as people read it: `+4.2 %`, `-11.0 %`.
pub(crate) fn signed(share: f64) -> String {
    format!("{:+.1} %", tenths(share))
}

/// A share without a sign: `9.7 %`.
pub(crate) fn unsigned(share: f64) -> String {
    format!("{:.1} %", tenths(share))
}

/// Per cent, rounded to what is shown, without a zero below zero.
fn tenths(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0 + 0.0
}

/// For a terminal. The last line is `reproduce: ` and the command.
pub fn text(comparison: &Comparison, style: Style) -> String {
    let mut lines = vec![heading(comparison, style)];
    lines.extend(reason(comparison).map(|reason| format!("why: {reason}")));
    lines.extend(sides(comparison));
    for table in [metrics(&comparison.metrics), counters(comparison)] {
        if !table.rows.is_empty() {
            lines.push(String::new());
            let painted = |(place, line): (usize, String)| match place {
                0 => style.paint(&line, BOLD),
                _ => line,
            };
            lines.extend(table.to_text(style.width).into_iter().enumerate().map(painted));
        }
    }
    lines.push(String::new());
    lines.push(method(comparison));
    lines.extend(undecided(comparison));
    let warning = style.paint("warning", YELLOW);
    lines.extend(warnings(comparison).map(|text| format!("{warning}: {text}")));
    lines.push(format!("reproduce: {}", plain(&comparison.reproduce)));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// As Markdown, under a heading of the second level: to be posted where a change is reviewed.
pub fn markdown(comparison: &Comparison) -> String {
    let mut text =
        format!("## {}: {}\n\n", escape(&comparison.scenario), comparison.finding.as_str());
    let paragraphs = reason(comparison).into_iter().chain(sides(comparison));
    paragraphs.for_each(|line| text.push_str(&format!("{}\n\n", escape(&line))));
    for table in [metrics(&comparison.metrics), counters(comparison)] {
        if !table.rows.is_empty() {
            text.push_str(&format!("{}\n", markdown_table(&table)));
        }
    }
    text.push_str(&format!("{}\n\n", escape(&method(comparison))));
    let notes = undecided(comparison).into_iter().chain(warnings(comparison));
    let notes: String = notes.map(|note| format!("- {}\n", escape(&note))).collect();
    if !notes.is_empty() {
        text.push_str(&format!("{notes}\n"));
    }
    text.push_str(&format!("    {}\n", plain(&comparison.reproduce)));
    text
}

fn heading(comparison: &Comparison, style: Style) -> String {
    let colour = match comparison.finding {
        Finding::Improved | Finding::Unchanged => GREEN,
        Finding::Inconclusive | Finding::Insufficient => YELLOW,
        Finding::Regressed => RED,
    };
    let what = style.paint(&plain(&comparison.scenario), BOLD);
    format!("{what}: {}", style.paint(comparison.finding.as_str(), colour))
}

/// Why the whole has its verdict; the table says it where there is one metric alone.
pub(crate) fn reason(comparison: &Comparison) -> Option<String> {
    comparison.reason.as_deref().map(plain)
}

/// The two sides, and that nothing tells them apart where nothing does.
pub(crate) fn sides(comparison: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, side) in [("A", &comparison.a), ("B", &comparison.b)] {
        let commit = side.commit.as_deref().map(|commit| commit.get(..12).unwrap_or(commit));
        let commit = commit.map(|commit| format!(", commit {commit}")).unwrap_or_default();
        lines.push(plain(&format!("{name}: {}{commit}", side.label)));
    }
    let unsaid = |value: &Option<String>| value.clone().unwrap_or_else(|| ABSENT.to_owned());
    let told = comparison.settings.iter().map(|difference| {
        let (a, b) = (unsaid(&difference.a), unsaid(&difference.b));
        format!("{} {a} -> {b}", difference.name)
    });
    let told: Vec<String> = told.collect();
    if !told.is_empty() {
        lines.push(plain(&format!("differs: {}", told.join(", "))));
    } else if comparison.equal_sides {
        lines.push("differs: nothing, so what is found is noise".to_owned());
    }
    lines
}

/// A row a metric: both sides, the change, how far it may be off, the verdict.
pub(crate) fn metrics(metrics: &[MetricComparison]) -> Table {
    let figures = ["A", "B", "change", "95 % interval", "noise", "p"];
    let mut table = Table::new(&["metric"], &figures);
    table.columns.extend(Table::new(&["verdict"], &[]).columns);
    for metric in metrics {
        let shown = |value: Option<f64>| units::metric(&metric.metric, value);
        let ends = metric.change_share_low.zip(metric.change_share_high);
        let or_absent = |text: Option<String>| text.unwrap_or_else(|| ABSENT.to_owned());
        table.push([
            metric.metric.clone(),
            shown(metric.a),
            shown(metric.b),
            or_absent(metric.change_share.map(signed)),
            or_absent(ends.map(|(low, high)| format!("{} to {}", signed(low), signed(high)))),
            or_absent(metric.noise_floor_share.map(unsigned)),
            or_absent(metric.p_value.map(p_value)),
            metric.finding.to_string(),
        ]);
    }
    table
}

/// A chance, as many digits as mean something.
fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

/// A row an exact counter that both sides have.
pub(crate) fn counters(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["counter"], &["A", "B"]);
    table.columns.extend(Table::new(&["verdict"], &[]).columns);
    for counter in &comparison.counters {
        let [a, b] = counter.shown();
        table.push([counter.metric.clone(), a, b, counter.finding.as_str().to_owned()]);
    }
    table
}

/// How the verdicts were reached, in one line.
pub(crate) fn method(comparison: &Comparison) -> String {
    let pairs = comparison.metrics.iter().map(|metric| metric.pairs).min().unwrap_or(0);
    let threshold = units::share(comparison.threshold_share);
    let how = match comparison.interleaved {
        true => format!("{pairs} pairs, measured in turn"),
        false => format!("{pairs} samples a side, measured one side after the other"),
    };
    format!("{how}; a change counts beyond {threshold} and beyond the noise of equal sides")
}

/// Why metrics have no verdict, where the heading does not say it.
pub(crate) fn undecided(comparison: &Comparison) -> Vec<String> {
    let of = |metric: &MetricComparison| {
        let reason = metric.reason.as_deref()?;
        Some(plain(&format!("{}, {}: {reason}", metric.metric, metric.finding)))
    };
    let said = comparison.reason.as_deref().unwrap_or_default();
    let unsaid = |metric: &&MetricComparison| !said.starts_with(&format!("{}:", metric.metric));
    comparison.metrics.iter().filter(unsaid).filter_map(of).collect()
}

/// What a reader must know.
pub(crate) fn warnings(comparison: &Comparison) -> impl Iterator<Item = String> {
    comparison.warnings.iter().map(|w| plain(&format!("{}; {}", w.cause, w.remedy)))
}
