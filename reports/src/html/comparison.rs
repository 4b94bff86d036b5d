//! A comparison: the verdict, by how much each metric differs, the samples one by one, and the
//! exact counters.

use maud::{Markup, html};
use plotly::common::{ErrorData, ErrorType, Marker, Mode};
use plotly::{Bar, Plot, Scatter};

use super::chart::{
    BLUE, Chart, Frame, GREEN, GREY, ORANGE, RED, Scale, axis, label, ordered_categories,
};
use super::frame::{self, Drawings, badge, table};
use super::run;
use crate::compare::judge::{Finding, MetricComparison};
use crate::compare::render::{self, signed};
use crate::compare::{self, Comparison};
use crate::document::Compared;
use crate::record::Record;
use crate::table::Table;
use crate::units;

/// What the page of a comparison is called.
pub(super) fn title(found: &Comparison) -> String {
    format!("{}, {}", found.scenario, found.finding)
}

/// The verdict, why, and what was compared.
pub(super) fn answer(found: &Comparison, heading: bool) -> Markup {
    let what = format!("comparison of {}", found.scenario);
    html! {
        @if heading {
            p.soft { (what) }
            h1 { "B is " (badge(found.finding.as_str())) }
        } @else {
            h2 { (what) ": " (badge(found.finding.as_str())) }
        }
        @if let Some(reason) = render::reason(found) { p class=(found.finding) { (reason) } }
        @for line in render::sides(found) { p { (line) } }
        p.soft { (render::method(found)) }
        @for note in render::undecided(found) { p.warning { (note) } }
        @for warning in render::warnings(found) { p.warning { b { "Warning: " } (warning) } }
    }
}

/// The charts and tables.
pub(super) fn details(compared: &Compared<'_>, drawings: &mut Drawings) -> Markup {
    let found = compared.found;
    let samples = compared.records.map(|records| {
        let of = |metric| samples(found, records, metric);
        found.metrics.iter().filter_map(of).collect::<Vec<_>>()
    });
    let counters = render::counters(found);
    html! {
        @match all_differences(found) {
            Some(chart) => (drawings.place(&chart)),
            None => (table(&render::metrics(&found.metrics))),
        }
        @for chart in samples.unwrap_or_default() { (drawings.place(&chart)) }
        @if !counters.rows.is_empty() {
            h3 { "Exact counters" }
            p.soft {
                "Counts that every sample of a side agrees on are compared exactly: they have no "
                "noise. Where the samples differ, the verdict is " i { "varies" } "."
            }
            (table(&counters))
        }
        @if let Some(records) = compared.records {
            @for (side, record) in [("A", records[0]), ("B", records[1])] {
                details {
                    summary { "Machine, build and parameters of " (side) }
                    (run::circumstances(record))
                }
            }
        }
        (frame::reproduce(&found.reproduce))
    }
}

/// What [`differences`] shows of a comparison.
fn all_differences(found: &Comparison) -> Option<Chart> {
    let caption = format!(
        "Each point is a change, its bar the 95 % interval. The grey band is what equal sides \
         differ by; the dashed lines are the smallest change that was looked for, {}. A change \
         counts when its interval leaves out zero and it lies beyond both.",
        units::share(found.threshold_share)
    );
    differences(&found.metrics, Some(found.threshold_share), "By how much B differs", caption)
}

/// The change of each metric with its interval, over what equal sides differ by; dashed lines at
/// the threshold, where there is one.
pub(super) fn differences(
    metrics: &[MetricComparison],
    threshold_share: Option<f64>,
    title: &str,
    caption: String,
) -> Option<Chart> {
    let known: Vec<(&MetricComparison, f64)> =
        metrics.iter().rev().filter_map(|m| Some((m, m.change_share?))).collect();
    if known.is_empty() {
        return None;
    }
    let names: Vec<String> = known.iter().map(|(metric, _)| label(&metric.metric)).collect();
    let mut plot = Plot::new();
    for (share, named) in [(-1.0, false), (1.0, true)] {
        let noise = known.iter().map(|(m, _)| share * percent(m.noise_floor_share.unwrap_or(0.0)));
        let bars = Bar::new(noise.collect(), names.clone())
            .orientation(plotly::common::Orientation::Horizontal)
            .name("noise of equal sides")
            .show_legend(named)
            .width(0.6)
            .marker(Marker::new().color(GREY).opacity(0.45));
        plot.add_trace(bars);
    }
    for (finding, colour) in COLOURS {
        let chosen: Vec<_> = known.iter().filter(|(m, _)| m.finding == finding).collect();
        if !chosen.is_empty() {
            plot.add_trace(
                changes(&chosen)
                    .name(finding.as_str())
                    .marker(Marker::new().size(11).color(colour)),
            );
        }
    }
    let height = 150 + 60 * known.len();
    let x = axis("change from A to B (%)");
    let frame = Frame::new(x, ordered_categories("metric", names), height);
    let mut frame = frame.legend(true).bars_to_both_sides();
    for threshold in threshold_share.into_iter().flat_map(|share| [-share, share]) {
        frame = frame.upright_at(percent(threshold), ORANGE);
    }
    let (title, plot, table) = (title.to_owned(), frame.around(plot), render::metrics(metrics));
    Some(Chart { title, caption, plot, height, table })
}

/// The colour of each finding.
const COLOURS: [(Finding, &str); 5] = [
    (Finding::Improved, GREEN),
    (Finding::Unchanged, BLUE),
    (Finding::Regressed, RED),
    (Finding::Inconclusive, ORANGE),
    (Finding::Insufficient, ORANGE),
];

/// A point a metric, with its interval.
fn changes(chosen: &[&(&MetricComparison, f64)]) -> Box<Scatter<f64, String>> {
    let reach = |end: fn(&MetricComparison) -> Option<f64>| {
        let each = chosen.iter().map(move |(metric, change)| {
            end(metric).map_or(0.0, |end| percent((end - change).abs()))
        });
        each.collect::<Vec<f64>>()
    };
    let interval = ErrorData::new(ErrorType::Data)
        .symmetric(false)
        .array(reach(|metric| metric.change_share_high))
        .array_minus(reach(|metric| metric.change_share_low))
        .thickness(2.5)
        .width(8);
    let told = |(metric, change): &&(&MetricComparison, f64)| {
        let ends = metric.change_share_low.zip(metric.change_share_high);
        let ends = ends.map(|(low, high)| format!(", {} to {}", signed(low), signed(high)));
        format!("{}{}", signed(*change), ends.unwrap_or_default())
    };
    let x = chosen.iter().map(|(_, change)| percent(*change)).collect();
    let y = chosen.iter().map(|(metric, _)| label(&metric.metric)).collect();
    Scatter::new(x, y)
        .mode(Mode::Markers)
        .hover_text_array(chosen.iter().map(told).collect())
        .error_x(interval)
}

fn percent(share: f64) -> f64 {
    100.0 * share
}

/// Both sides of a metric, sample by sample.
fn samples(found: &Comparison, records: [&Record; 2], metric: &MetricComparison) -> Option<Chart> {
    let paired = found.interleaved;
    let sides = compare::samples(records, &metric.metric, paired);
    let max = sides.iter().flatten().copied().reduce(f64::max)?;
    let scale = Scale::of(&metric.metric, max);
    let mut plot = Plot::new();
    for ((values, name), colour) in sides.iter().zip(["A", "B"]).zip([BLUE, ORANGE]) {
        let x: Vec<usize> = (1..=values.len()).collect();
        let y = values.iter().map(|value| value / scale.factor).collect();
        let line = plotly::common::Line::new().color(colour);
        plot.add_trace(Scatter::new(x, y).mode(Mode::LinesMarkers).name(name).line(line));
    }
    let what = if paired { "pair" } else { "sample" };
    let order = if paired { "in which they were measured" } else { "of each side" };
    let caption = match paired {
        true => {
            "What the machine does from minute to minute moves both lines together; the \
                 change is read between them."
        }
        false => {
            "The sides were measured one after the other: what the machine did meanwhile is \
                  in the change."
        }
    };
    Some(Chart {
        title: format!("{}: {what}s in the order {order}", metric.metric),
        caption: caption.to_owned(),
        plot: Frame::new(axis(format!("{what} (number)")), axis(scale.title), 320)
            .legend(true)
            .around(plot),
        height: 320,
        table: sample_table(&metric.metric, what, &sides, paired),
    })
}

fn sample_table(metric: &str, what: &str, [a, b]: &[Vec<f64>; 2], paired: bool) -> Table {
    let mut table = Table::new(&[], &[what, "A", "B", "change"]);
    for place in 0..a.len().max(b.len()) {
        let (a, b) = (a.get(place).copied(), b.get(place).copied());
        let change = a.zip(b).filter(|(a, _)| paired && *a > 0.0).map(|(a, b)| signed(b / a - 1.0));
        let shown = |value: Option<f64>| value.map(|v| units::metric(metric, Some(v)));
        let cells = [shown(a), shown(b), change].map(Option::unwrap_or_default);
        table.push(core::iter::once((place + 1).to_string()).chain(cells));
    }
    table.without_empty_columns(|cell| !cell.is_empty())
}
