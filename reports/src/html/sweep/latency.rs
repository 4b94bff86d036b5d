//! Latency against throughput: the picture in which the saturation point is seen.

use plotly::common::{DashType, Line, Marker, Mode};
use plotly::layout::RangeMode;
use plotly::{Plot, Scatter};

use super::charts::{reach, shown, value_at, values_of, varying};
use crate::html::chart::{BLUE, Chart, Frame, LINES, Scale, axis, label};
use crate::stats::Interval;
use crate::sweep::{Row, Table};
use crate::table::Table as TextTable;
use crate::units;

const THROUGHPUT: &str = "throughput_tx_per_s";
pub(super) const MEDIAN: &str = "response_time_ns_p50";
pub(super) const TAIL: &str = "response_time_ns_p99";

/// The parameter whose points are joined to a line, wherever it stands among the axes.
const RATE: &str = "rate";

/// A point a run, joined along the offered rate, or along the parameter that was swept innermost;
/// a line for each combination of the others. `None` where fewer than two runs have both figures.
pub(super) fn against_throughput(sweep: &Table<'_>) -> Option<Chart> {
    let points = points(sweep);
    if points.len() < 2 {
        return None;
    }
    let max = |metric: &str| {
        let ends = points.iter().filter_map(|row| row.record.intervals.get(metric));
        let values = points.iter().filter_map(|row| shown(row.record, metric));
        values.chain(ends.map(Interval::max)).fold(0.0, f64::max)
    };
    let (x, y) = (Scale::of(THROUGHPUT, max(THROUGHPUT)), Scale::of(TAIL, max(TAIL)));
    let others = others(sweep);
    let groups = values_of(sweep, &others);
    let names: Vec<&str> = others.iter().map(|&axis| sweep.axes[axis].name).collect();
    // More lines than there are colours are not told apart: then the points stand alone.
    let joined = groups.len() <= LINES.len();
    let mut plot = Plot::new();
    for (group, colour) in groups.iter().zip(LINES.iter().cycle()).filter(|_| joined) {
        let of_group = |row: &&Row<'_>| value_at(row, &others) == *group;
        let chosen: Vec<&Row<'_>> = points.iter().copied().filter(of_group).collect();
        let name = |what: &str| match groups.len() {
            1 => what.to_owned(),
            _ => format!("{what}, {} {}", label(&names.join(", ")), label(group)),
        };
        plot.add_trace(trace(sweep, &chosen, TAIL, [&x, &y], colour, true).name(name("p99")));
        if groups.len() == 1 {
            let median = trace(sweep, &chosen, MEDIAN, [&x, &y], LINES[2], true).name("p50");
            plot.add_trace(median);
        }
    }
    if !joined {
        plot.add_trace(trace(sweep, &points, TAIL, [&x, &y], BLUE, false).name("p99"));
    }
    let titles = [x.title, format!("response time ({})", y.unit)];
    let [x, y] = titles.map(|title| axis(title).range_mode(RangeMode::ToZero));
    Some(Chart {
        title: "Latency against throughput".to_owned(),
        caption: "Where the line turns upwards, the system is saturated: more load makes only \
                  longer queues. Bars reach over the trials of each point."
            .to_owned(),
        plot: Frame::new(x, y, 380).legend(joined).around(plot),
        height: 380,
        table: table(sweep, &points),
    })
}

/// The runs that have both figures.
fn points<'a>(sweep: &'a Table<'_>) -> Vec<&'a Row<'a>> {
    let both = |row: &&Row<'_>| {
        [THROUGHPUT, TAIL].iter().all(|metric| shown(row.record, metric).is_some())
    };
    sweep.rows.iter().filter(both).collect()
}

/// The parameters that vary, but for the one that lines are drawn along.
fn others(sweep: &Table<'_>) -> Vec<usize> {
    let mut varying = varying(sweep);
    let along = varying.iter().position(|&axis| sweep.axes[axis].name == RATE);
    let along = along.or(varying.len().checked_sub(1));
    if let Some(along) = along {
        varying.remove(along);
    }
    varying
}

/// One latency of some points.
fn trace(
    sweep: &Table<'_>,
    points: &[&Row<'_>],
    metric: &str,
    [x, y]: [&Scale; 2],
    colour: &'static str,
    line: bool,
) -> Box<Scatter<f64, f64>> {
    let of = |metric: &str| -> (Vec<(&Row<'_>, f64)>, Vec<Option<Interval>>) {
        let valued = points.iter().map(|row| (*row, shown(row.record, metric).unwrap_or(f64::NAN)));
        let spread = points.iter().map(|row| row.record.intervals.get(metric).copied());
        (valued.collect(), spread.collect())
    };
    let ((rates, rate_spread), (times, time_spread)) = (of(THROUGHPUT), of(metric));
    let scaled = |values: &[(&Row<'_>, f64)], factor: f64| {
        values.iter().map(|(_, value)| value / factor).collect::<Vec<_>>()
    };
    let settings: Vec<String> = points.iter().map(|row| label(&sweep.settings(row))).collect();
    let dash = if metric == TAIL { DashType::Solid } else { DashType::Dot };
    Scatter::new(scaled(&rates, x.factor), scaled(&times, y.factor))
        .mode(if line { Mode::LinesMarkers } else { Mode::Markers })
        .hover_text_array(settings)
        .line(Line::new().color(colour).dash(dash))
        .marker(Marker::new().size(8).color(colour))
        .error_x(reach(&rates, &rate_spread, x.factor))
        .error_y(reach(&times, &time_spread, y.factor))
}

fn table(sweep: &Table<'_>, points: &[&Row<'_>]) -> TextTable {
    let names: Vec<&str> = sweep.names().chain(["throughput", "p50", "p99"]).collect();
    let mut table = TextTable::new(&[], &names);
    for row in points {
        let values = row.values.iter().map(|value| (*value).to_owned());
        let figures = [THROUGHPUT, MEDIAN, TAIL];
        let figures = figures.map(|metric| units::metric(metric, shown(row.record, metric)));
        table.push(values.chain(figures));
    }
    table
}
