//! The charts of a record.

use plotly::common::{Line, Marker, Mode, Orientation, TextPosition};
use plotly::layout::{AxisType, RangeMode};
use plotly::{Bar, Plot, Scatter};

use crate::html::chart::{
    BLUE, Chart, Frame, GREEN, GREY, LINES, ORANGE, Scale, axis, categories, label,
    ordered_categories, spoken, time_unit,
};
use crate::record::{Point, Record, Sample};
use crate::stats::Interval;
use crate::table::Table;
use crate::{row, units, view};

/// Points drawn of one trial; more are thinned out evenly, as a screen has no more columns.
const POINTS_MAX: usize = 2000;

/// Trials drawn in a time series; the table holds all of them.
const TRIALS_MAX: usize = 12;

/// Every chart that the record has figures for; none when it has no result.
pub(in crate::html) fn all(record: &Record, series: &[Point]) -> Vec<Chart> {
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
    let caption =
        "Response time counts from the intended send time, service time from the sending.";
    Some(Chart {
        title: "Latency spectrum".to_owned(),
        caption: caption.to_owned(),
        plot: Frame::new(x, y, 360).legend(true).around(plot),
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
    let Scale { factor, title: y, .. } = Scale::of(&name, max);
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
    let y = axis(y).range_mode(RangeMode::ToZero);
    let frame = Frame::new(axis("time since the trial began (s)"), y, 300);
    let caption = "Each line is one trial; a step or a slope says that it was not steady.";
    Some(Chart {
        title: title.to_owned(),
        caption: caption.to_owned(),
        plot: frame.legend(trials.len() > 1).around(plot),
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
    let caption = "Wall-clock time of each stage's threads in the last trial, summed over \
                   replicas. CPU is that of the whole threads, waking and polling included; busy \
                   is their work alone.";
    Some(Chart {
        title: "Where the time went".to_owned(),
        caption: caption.to_owned(),
        plot: Frame::new(x, categories("stage"), height).legend(true).around(plot),
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
    let frame = Frame::new(x, categories("held against"), height).upright_at(100.0, ORANGE);
    let caption = "The dashed line is the limit that this machine measured for itself. The grey \
                   bar is held against a yardstick and no limit: what a stock library would need \
                   for the same, which faster kernels may pass.";
    Some(Chart {
        title: "Roofline".to_owned(),
        caption: caption.to_owned(),
        plot: frame.around(plot),
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
    let Scale { factor, title: y, .. } = Scale::of(name, max);
    let contended = values.iter().any(|(sample, _)| sample.contended);
    let mut plot = Plot::new();
    for (contended, series, colour) in [(false, "quiet", BLUE), (true, "contended", ORANGE)] {
        let chosen = values.iter().filter(|(sample, _)| sample.contended == contended);
        let (x, y): (Vec<String>, Vec<f64>) =
            chosen.map(|(sample, value)| (view::place(sample.index), value / factor)).unzip();
        if !x.is_empty() {
            let bars = Bar::new(x, y).name(series).marker(Marker::new().color(colour));
            plot.add_trace(bars);
        }
    }
    // Two traces share the axis: without a stated order the contended trials would come last.
    let names: Vec<String> = values.iter().map(|(sample, _)| view::place(sample.index)).collect();
    let x = ordered_categories("trial", names);
    let caption = "A trial is contended when other work took the CPU; the figure is the median. \
                   Where a stock crate is timed between the passes, it has its share of duration, \
                   and measured is the time of the scenario's own.";
    let frame = Frame::new(x, axis(y).range_mode(RangeMode::ToZero), 300);
    Some(Chart {
        title: "Trial by trial".to_owned(),
        caption: caption.to_owned(),
        plot: frame.legend(contended).around(plot),
        height: 300,
        table: view::samples(record),
    })
}
