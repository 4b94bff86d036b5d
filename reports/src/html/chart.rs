//! The charts of a record, as `plotly` plots with units on each axis and a table for each.
//!
//! Colours of text and grid are left to the page's script, which knows whether it is dark.

use plotly::common::{Anchor, DashType, Line, Marker, Mode, Orientation, TextPosition, Title};
use plotly::configuration::DisplayModeBar;
use plotly::layout::{
    Axis, AxisType, BarMode, CategoryOrder, HoverMode, Legend, Margin, RangeMode, Shape, ShapeLine,
    ShapeType, TraceOrder,
};
use plotly::{Bar, Configuration, Layout, Plot, Scatter};

use crate::record::{Point, Record, Sample};
use crate::stats::Interval;
use crate::table::Table;
use crate::{row, units, view};

/// One chart with the table that holds the same figures.
pub(super) struct Chart {
    /// What it shows, as a heading.
    pub(super) title: &'static str,
    /// One sentence on how to read it.
    pub(super) caption: &'static str,
    /// The plot.
    pub(super) plot: Plot,
    /// Its height in pixels.
    pub(super) height: usize,
    /// The figures.
    pub(super) table: Table,
}

/// Points drawn of one trial; more are thinned out evenly, as a screen has no more columns.
const POINTS_MAX: usize = 2000;

/// Trials drawn in a time series; the table holds all of them.
const TRIALS_MAX: usize = 12;

const BLUE: &str = "#4287e0";
const ORANGE: &str = "#e08a2e";
const GREY: &str = "#9aa3ad";
const GREEN: &str = "#3fa35c";
const PURPLE: &str = "#9a6dd7";

/// Colours of lines that share a chart: as many as a pipeline has latencies.
const LINES: [&str; 5] = [BLUE, ORANGE, GREEN, PURPLE, GREY];

/// Every chart that the record has figures for; none when it has no result.
pub(super) fn all(record: &Record, series: &[Point]) -> Vec<Chart> {
    if !record.verdict.has_result() {
        return Vec::new();
    }
    let charts = [
        spectrum(record),
        over_time(series, |name| name.ends_with("_per_s"), "Rate over time"),
        over_time(series, units::is_latency_ns, "Latency over time"),
        stages(record),
        roofline(record),
        trials(record),
    ];
    charts.into_iter().flatten().collect()
}

/// Latency against quantile, the axis stretched towards 100 % so that the tail can be read.
fn spectrum(record: &Record) -> Option<Chart> {
    let spectra: Vec<_> =
        record.latency_spectrum.iter().filter(|(_, s)| !s.points().is_empty()).collect();
    let max = spectra.iter().flat_map(|(_, s)| s.points()).map(|p| p.1).max()?;
    let (factor, unit) = time_unit(max as f64);
    let mut plot = Plot::new();
    for ((name, spectrum), colour) in spectra.iter().zip(LINES.iter().cycle()) {
        // The quantile 1 lies at infinity on this axis; the table has it.
        let inner = spectrum.points().iter().filter(|(quantile, _)| *quantile < 1.0);
        let (x, y): (Vec<f64>, Vec<f64>) =
            inner.map(|&(quantile, ns)| (1.0 / (1.0 - quantile), ns as f64 / factor)).unzip();
        let trace = Scatter::new(x, y).mode(Mode::LinesMarkers).name(label(&spoken(name)));
        // In a closed loop response and service time are one line: the first shows on both sides.
        let width = if *colour == LINES[0] { 6.0 } else { 2.0 };
        let line = Line::new().color(*colour).width(width);
        plot.add_trace(trace.line(line).marker(Marker::new().size(5)));
    }
    let ticks = (0..7).map(|exponent| 10f64.powi(exponent)).chain([2.0]).collect();
    let texts = ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999", "50"];
    let x = axis("quantile (%)")
        .type_(AxisType::Log)
        .tick_values(ticks)
        .tick_text(texts.map(str::to_owned).to_vec());
    let y = axis(format!("latency ({unit})")).range_mode(RangeMode::ToZero);
    Some(Chart {
        title: "Latency spectrum",
        caption: "Response time counts from the intended send time, service time from the sending.",
        plot: finish(plot, x, y, 360, true),
        height: 360,
        table: spectrum_table(&spectra),
    })
}

/// A row a quantile, a column a distribution.
fn spectrum_table(spectra: &[(&String, &crate::Spectrum)]) -> Table {
    let titles: Vec<String> = spectra.iter().map(|(name, _)| spoken(name)).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mut table = Table::new(&["quantile"], &titles);
    let points = spectra.iter().flat_map(|(_, spectrum)| spectrum.points());
    let mut quantiles: Vec<f64> = points.map(|point| point.0).collect();
    quantiles.sort_by(f64::total_cmp);
    quantiles.dedup_by(|a, b| a.total_cmp(b).is_eq());
    for quantile in quantiles {
        let percent = (quantile * 1e8).round() / 1e6;
        let title = if percent >= 100.0 { "max".to_owned() } else { format!("{percent} %") };
        let cells = spectra.iter().map(|(_, spectrum)| {
            let mut points = spectrum.points().iter();
            let found = points.find(|point| point.0.total_cmp(&quantile).is_eq());
            found.map_or(units::ABSENT.to_owned(), |point| units::duration_ns(point.1 as f64))
        });
        table.push(core::iter::once(title).chain(cells));
    }
    table
}

/// The first metric of the series that `chosen` accepts, a line a trial.
fn over_time(series: &[Point], chosen: fn(&str) -> bool, title: &'static str) -> Option<Chart> {
    let names = || series.iter().flat_map(|p| p.values.iter()).filter(|(_, v)| v.is_some());
    let name = names().map(|(name, _)| name).find(|name| chosen(name))?.to_owned();
    let max = names().filter(|(n, _)| *n == name).filter_map(|(_, v)| v).fold(0.0, f64::max);
    let (factor, unit) = axis_unit(&name, max);
    let mut trials: Vec<u32> = series.iter().map(|point| point.sample).collect();
    trials.sort_unstable();
    trials.dedup();
    let mut plot = Plot::new();
    let mut table = Table::new(&[], &["trial", "points", "min", "median", "max"]);
    for (place, &trial) in trials.iter().enumerate() {
        let of_trial = series.iter().filter(|point| point.sample == trial);
        let points: Vec<(f64, f64)> = of_trial
            .filter_map(|point| Some((point.t_ns as f64 / 1e9, point.values.get(&name)?)))
            .collect();
        if let Some(spread) = Interval::of(points.iter().map(|point| point.1)) {
            let ends = [spread.min(), spread.median(), spread.max()];
            let ends = ends.map(|value| units::metric(&name, Some(value)));
            let number = view::place(trial);
            table.push([number, spread.n().to_string()].into_iter().chain(ends));
        }
        if place < TRIALS_MAX {
            let step = points.len().div_ceil(POINTS_MAX).max(1);
            let thinned = points.iter().step_by(step);
            let (x, y) = thinned.map(|&(t, value)| (t, value / factor)).unzip();
            let trace = Scatter::<f64, f64>::new(x, y).mode(Mode::Lines);
            plot.add_trace(trace.name(format!("trial {}", view::place(trial))));
        }
    }
    let y = axis(format!("{} ({unit})", label(&spoken(&name)))).range_mode(RangeMode::ToZero);
    Some(Chart {
        title,
        caption: "Each line is one trial; a step or a slope says that it was not steady.",
        plot: finish(plot, axis("time since the trial began (s)"), y, 300, trials.len() > 1),
        height: 300,
        table,
    })
}

/// Busy, waiting and blocked, as shares of each stage's thread time.
fn stages(record: &Record) -> Option<Chart> {
    let mut totals = view::stage_totals(&record.stages);
    totals.retain(|(_, times)| times.iter().any(|&ns| ns > 0));
    if totals.is_empty() {
        return None;
    }
    totals.reverse();
    let names: Vec<String> = totals.iter().map(|(name, _)| label(name)).collect();
    let mut plot = Plot::new();
    let parts = [("busy", BLUE), ("waiting for input", GREY), ("blocked downstream", ORANGE)];
    for (part, (name, colour)) in parts.into_iter().enumerate() {
        let shares = totals.iter().map(|(_, times)| {
            let whole: f64 = times.iter().map(|&ns| ns as f64).sum();
            100.0 * times[part] as f64 / whole
        });
        let trace = Bar::new(shares.collect(), names.clone()).name(name);
        let marker = Marker::new().color(colour);
        plot.add_trace(trace.orientation(Orientation::Horizontal).marker(marker));
    }
    let height = 150 + 34 * totals.len();
    let x = axis("share of thread time (%)").range(vec![0.0, 100.0]);
    Some(Chart {
        title: "Where the time went",
        caption: "Wall-clock time of each stage's threads in the last trial, summed over \
                  replicas. CPU is that of the whole threads, waking and polling included; busy \
                  is their work alone.",
        plot: finish(plot, x, categories(), height, true),
        height,
        table: view::stages(record).without_empty_columns(|cell| cell != units::ABSENT),
    })
}

/// How far the run is from what the machine can do at most, and beside it, in grey, from what a
/// stock library could do.
fn roofline(record: &Record) -> Option<Chart> {
    let known = [
        ("limit_share", "CPU limit", GREEN, "the floor's CPU per operation over the run's"),
        ("yardstick_share", "yardstick (no limit)", GREY, "the same, the floor by ed25519-dalek"),
        ("wall_limit_share", "wall-clock limit", GREEN, "throughput over what all cores could do"),
    ];
    let shares: Vec<_> = known
        .iter()
        .rev()
        .filter_map(|&(metric, name, colour, meaning)| {
            Some((name, colour, meaning, record.metrics.get(metric)?))
        })
        .collect();
    let percent: Vec<f64> = shares.iter().map(|&(.., share)| share * 100.0).collect();
    let largest = percent.iter().copied().reduce(f64::max)?;
    let mut table = Table::new(&["held against"], &["reached"]);
    table.columns.extend(Table::new(&["what it is"], &[]).columns);
    for &(name, _, meaning, share) in shares.iter().rev() {
        table.push([name.to_owned(), units::share(share), meaning.to_owned()]);
    }
    let texts = shares.iter().map(|&(.., share)| units::share(share)).collect();
    let colours = shares.iter().map(|&(_, colour, ..)| colour).collect();
    let bars = Bar::new(percent, shares.iter().map(|&(name, ..)| name).collect())
        .orientation(Orientation::Horizontal)
        .text_array(texts)
        .text_position(TextPosition::Auto)
        .marker(Marker::new().color_array(colours));
    let mut plot = Plot::new();
    plot.add_trace(bars);
    let height = 130 + 38 * shares.len();
    let x = axis("share that was reached (%)").range(vec![0.0, largest.max(105.0)]);
    plot = finish(plot, x, categories(), height, false);
    let roof = Shape::new().shape_type(ShapeType::Line).x_ref("x").y_ref("paper");
    let roof = roof.x0(100.0).x1(100.0).y0(0.0).y1(1.0);
    let line = ShapeLine::new().color(ORANGE).dash(DashType::Dash).width(2.0);
    let layout = plot.layout().clone().shapes(vec![roof.line(line)]);
    plot.set_layout(layout);
    Some(Chart {
        title: "Roofline",
        caption: "The dashed line is the limit that this machine measured for itself. The grey \
                  bar is held against a yardstick and no limit: what a stock library would need \
                  for the same, which faster kernels may pass.",
        plot,
        height,
        table,
    })
}

/// The headline of each trial; those that lost the CPU are set apart.
fn trials(record: &Record) -> Option<Chart> {
    let name = row::headline_metric(record).filter(|_| record.samples.len() > 1)?;
    let valid = |sample: &&Sample| sample.verdict.has_result();
    let values: Vec<(&Sample, f64)> = record
        .samples
        .iter()
        .filter(valid)
        .filter_map(|sample| Some((sample, sample.metrics.get(name)?)))
        .collect();
    let max = values.iter().map(|(_, value)| *value).reduce(f64::max)?;
    let (factor, unit) = axis_unit(name, max);
    let contended = values.iter().any(|(sample, _)| sample.contended);
    let mut plot = Plot::new();
    for (contended, series, colour) in [(false, "quiet", BLUE), (true, "contended", ORANGE)] {
        let chosen = values.iter().filter(|(sample, _)| sample.contended == contended);
        let (x, y): (Vec<String>, Vec<f64>) =
            chosen.map(|(sample, value)| (trial_name(sample), value / factor)).unzip();
        if !x.is_empty() {
            let bars = Bar::new(x, y).name(series).marker(Marker::new().color(colour));
            plot.add_trace(bars);
        }
    }
    let y = axis(format!("{} ({unit})", label(&spoken(name)))).range_mode(RangeMode::ToZero);
    // Two traces share the axis: without a stated order the contended trials would come last.
    let names: Vec<String> = values.iter().map(|(sample, _)| trial_name(sample)).collect();
    let order = categories().category_order(CategoryOrder::Array).category_array(names);
    Some(Chart {
        title: "Trial by trial",
        caption: "A trial is contended when other work took the CPU; the figure is the median. \
                  Where a stock crate is timed between the passes, it has its share of duration, \
                  and measured is the time of the scenario's own.",
        plot: finish(plot, order, y, 300, contended),
        height: 300,
        table: view::samples(record),
    })
}

fn trial_name(sample: &Sample) -> String {
    format!("trial {}", view::place(sample.index))
}

/// An axis with a title, that leaves room for its labels and cannot be dragged by a thumb.
fn axis(title: impl Into<String>) -> Axis {
    Axis::new().title(Title::with_text(title)).auto_margin(true).fixed_range(true)
}

/// An axis of names, which have no unit.
fn categories() -> Axis {
    Axis::new().type_(AxisType::Category).auto_margin(true).fixed_range(true)
}

fn finish(mut plot: Plot, x: Axis, y: Axis, height: usize, legend: bool) -> Plot {
    let clear = "rgba(0,0,0,0)";
    let above = Legend::new()
        .orientation(Orientation::Horizontal)
        .trace_order(TraceOrder::Normal)
        .y(1.02)
        .y_anchor(Anchor::Bottom);
    let layout = Layout::new()
        .x_axis(x)
        .y_axis(y)
        .height(height)
        .auto_size(true)
        .margin(Margin::new().left(10).right(16).top(10).bottom(10))
        .paper_background_color(clear)
        .plot_background_color(clear)
        .bar_mode(BarMode::Stack)
        .hover_mode(HoverMode::Closest)
        .show_legend(legend)
        .legend(above);
    plot.set_layout(layout);
    let config = Configuration::new().responsive(true).display_mode_bar(DisplayModeBar::False);
    plot.set_configuration(config.display_logo(false).typeset_math(false));
    plot
}

/// `text` for a chart: plotly reads a subset of HTML in every label.
fn label(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A metric's name without its unit, in words: `response time p99`, `throughput`.
fn spoken(name: &str) -> String {
    let words = match name.split_once("_per_") {
        Some((amount, _)) => amount.rsplit_once('_').map_or(amount, |(words, _)| words),
        None => name,
    };
    let words = words.split('_').filter(|word| !matches!(*word, "ns" | "us" | "ms"));
    words.collect::<Vec<_>>().join(" ")
}

/// What values of `name` are divided by on an axis that ends at `max`, and the unit then.
fn axis_unit(name: &str, max: f64) -> (f64, String) {
    let per = name.split_once("_per_").map(|(_, per)| format!("/{}", per.replace('_', "-")));
    if units::is_latency_ns(name) {
        let (factor, unit) = time_unit(max);
        return (factor, unit.to_owned());
    }
    let factor = [1e9, 1e6, 1e3].into_iter().find(|factor| max >= *factor).unwrap_or(1.0);
    let prefix = match factor {
        1e9 => "G",
        1e6 => "M",
        1e3 => "k",
        _ => "",
    };
    let counted = name.split("_per_").next().unwrap_or(name).rsplit('_').next().unwrap_or(name);
    (factor, label(&format!("{prefix} {counted}{}", per.unwrap_or_default())).trim().to_owned())
}

fn time_unit(max_ns: f64) -> (f64, &'static str) {
    match max_ns {
        ns if ns >= 1e9 => (1e9, "s"),
        ns if ns >= 1e6 => (1e6, "ms"),
        ns if ns >= 1e3 => (1e3, "us"),
        _ => (1.0, "ns"),
    }
}
