//! A line with intervals where one parameter varies, a heat map where several do.

use plotly::common::{Anchor, Marker, Orientation};
use plotly::common::{ColorBar, ColorScale, ColorScaleElement, ErrorData, ErrorType, Line, Mode};
use plotly::layout::{Axis, AxisType, RangeMode};
use plotly::{HeatMap, Plot, Scatter};

use super::latency::{MEDIAN, TAIL};
use crate::html::chart::{
    BLUE, Chart, Frame, LINES, Scale, axis, label, ordered_categories, spoken,
};
use crate::record::Record;
use crate::stats::Interval;
use crate::sweep::{self, Row, Table};
use crate::table::Table as TextTable;
use crate::{row, units};

/// Ticks that stand at the swept values themselves, at most: more would cover each other.
const OWN_TICKS_MAX: usize = 12;

/// From this ratio of the largest to the smallest value on, their axis is logarithmic.
const LOGARITHMIC_FROM: f64 = 20.0;

/// Pixels of a heat map: the scale of colours above it, a row of cells at least, a line of a label,
/// the whole at most.
const ABOVE: usize = 76;
const SCALE_BELOW: f64 = 24.0;
const ROW_HEIGHT: usize = 34;
const LINE_HEIGHT: usize = 18;
const HEIGHT_MAX: usize = 900;

/// The chart of each answering figure; none where fewer than two points have a result.
pub(super) fn all(sweep: &Table<'_>) -> Vec<Chart> {
    let with_result = |row: &&Row<'_>| row.record.verdict.has_result();
    if sweep.rows.iter().filter(with_result).count() < 2 {
        return Vec::new();
    }
    let figures = figures(sweep);
    let figures = figures.iter().map(String::as_str);
    match varying(sweep).as_slice() {
        [] => Vec::new(),
        [one] => figures.filter_map(|figure| line(sweep, *one, figure)).collect(),
        [outer @ .., inner] => {
            figures.filter_map(|figure| heat_map(sweep, outer, *inner, figure)).collect()
        }
    }
}

/// The swept parameters that have more than one value, by their places.
pub(super) fn varying(sweep: &Table<'_>) -> Vec<usize> {
    let varies = |axis: &usize| values_of(sweep, &[*axis]).len() > 1;
    (0..sweep.axes.len()).filter(varies).collect()
}

/// The figure that answers, the tail of the response time, and CPU time: those that there are.
fn figures(sweep: &Table<'_>) -> Vec<String> {
    let of = |record: &Record| {
        let named = [row::headline_metric(record), Some(TAIL), row::cpu_metric(record)];
        named.into_iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    let with_result = sweep.rows.iter().find(|row| row.record.verdict.has_result());
    let mut figures = with_result.map(|row| of(row.record)).unwrap_or_default();
    figures.dedup();
    figures
}

/// The values of some axes as one word each, in the order of their first appearance.
pub(super) fn values_of(sweep: &Table<'_>, axes: &[usize]) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for row in &sweep.rows {
        let value = value_at(row, axes);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// A row's values of some axes as one word: they are told apart by their order.
pub(super) fn value_at(row: &Row<'_>, axes: &[usize]) -> String {
    axes.iter().map(|&axis| row.values[axis]).collect::<Vec<_>>().join(", ")
}

/// A figure that may be shown: only runs with a result have any.
pub(super) fn shown(record: &Record, metric: &str) -> Option<f64> {
    record.metrics.get(metric).filter(|_| record.verdict.has_result())
}

/// What an axis is called, with the unit that its values do not carry.
fn named(axis: &sweep::Axis<'_>) -> String {
    match axis.unit {
        "" => label(axis.name),
        unit => format!("{} ({})", label(axis.name), label(unit)),
    }
}

/// The axis of a swept parameter: of numbers where its values are plain ones with a unit, else of
/// names.
fn swept(axis_of: &sweep::Axis<'_>, values: &[String]) -> Axis {
    let title = named(axis_of);
    let numbers: Option<Vec<f64>> = values.iter().map(|value| number(value)).collect();
    let Some(numbers) = numbers.filter(|_| !axis_of.unit.is_empty()) else {
        return ordered_categories(title, values.iter().map(|value| label(value)).collect());
    };
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(0.0, f64::max);
    let wide = least > 0.0 && most / least >= LOGARITHMIC_FROM;
    let mut axis = axis(title).type_(if wide { AxisType::Log } else { AxisType::Linear });
    if numbers.len() <= OWN_TICKS_MAX && wide {
        axis = axis.tick_values(numbers).tick_text(values.to_vec());
    }
    axis
}

/// A value on an axis of [`swept`]: a number, or its name.
fn place(axis_of: &sweep::Axis<'_>, value: &str) -> serde_json::Value {
    match number(value).filter(|_| !axis_of.unit.is_empty()) {
        Some(number) => number.into(),
        None => label(value).into(),
    }
}

/// A whole number or a rate as parameters are written: `64`, `20k`.
fn number(text: &str) -> Option<f64> {
    let scales = [('k', 1e3), ('M', 1e6), ('G', 1e9)];
    let scaled = scales.into_iter().find_map(|(suffix, factor)| {
        Some((text.strip_suffix(suffix)?.parse::<f64>().ok()?, factor))
    });
    let plain = || text.parse::<f64>().ok().map(|number| (number, 1.0));
    let (number, factor) = scaled.or_else(plain)?;
    number.is_finite().then_some(number * factor)
}

/// The figures that share a chart of lines with one: the median stands beside the tail.
fn beside(metric: &str) -> &'static [&'static str] {
    if metric == TAIL { &[MEDIAN] } else { &[] }
}

/// The values of a figure, and of those beside it, along one parameter, with the range over the
/// trials of each point.
fn line(sweep: &Table<'_>, axis_at: usize, metric: &str) -> Option<Chart> {
    let axis_of = &sweep.axes[axis_at];
    let metrics: Vec<&str> = core::iter::once(metric).chain(beside(metric).to_vec()).collect();
    let lines: Vec<Along<'_>> = metrics.iter().map(|metric| Along::of(sweep, metric)).collect();
    let max = lines.iter().filter_map(Along::max).reduce(f64::max)?;
    let scale = Scale::of(metric, max);
    let mut plot = Plot::new();
    for (along, colour) in lines.iter().zip([BLUE, LINES[2]]) {
        plot.add_trace(along.trace(axis_of, axis_at, scale.factor).line(Line::new().color(colour)));
    }
    let several = lines.len() > 1;
    let words = if several { spoken(metric.trim_end_matches("_p99")) } else { spoken(metric) };
    let x = swept(axis_of, &values_of(sweep, &[axis_at]));
    let y = axis(format!("{} ({})", label(&words), scale.unit)).range_mode(RangeMode::ToZero);
    Some(Chart {
        title: heading(
            if several { metric.trim_end_matches("_p99") } else { metric },
            &[axis_of.name],
        ),
        caption: "The median over the trials of each point; the bars reach from the smallest to \
                  the largest of them."
            .to_owned(),
        plot: Frame::new(x, y, 340).legend(several).around(plot),
        height: 340,
        table: lines_table(axis_of, axis_at, &lines),
    })
}

/// A figure along one parameter: the points that have it, with their trials.
struct Along<'a> {
    metric: &'a str,
    points: Vec<(&'a Row<'a>, f64)>,
    intervals: Vec<Option<Interval>>,
}

impl<'a> Along<'a> {
    fn of(sweep: &'a Table<'_>, metric: &'a str) -> Along<'a> {
        let value = |row: &'a Row<'_>| Some((row, shown(row.record, metric)?));
        let points: Vec<(&Row<'_>, f64)> = sweep.rows.iter().filter_map(value).collect();
        let interval = |row: &Row<'_>| row.record.intervals.get(metric).copied();
        let intervals = points.iter().map(|(row, _)| interval(row)).collect();
        Along { metric, points, intervals }
    }

    fn max(&self) -> Option<f64> {
        let ends = self.intervals.iter().flatten().map(Interval::max);
        self.points.iter().map(|(_, value)| *value).chain(ends).reduce(f64::max)
    }

    fn trace(
        &self,
        axis_of: &sweep::Axis<'_>,
        axis_at: usize,
        factor: f64,
    ) -> Box<Scatter<serde_json::Value, f64>> {
        let x = self.points.iter().map(|(row, _)| place(axis_of, row.values[axis_at])).collect();
        let y = self.points.iter().map(|(_, value)| value / factor).collect();
        Scatter::new(x, y)
            .mode(Mode::LinesMarkers)
            .name(label(&spoken(self.metric)))
            .marker(Marker::new().size(8))
            .error_y(reach(&self.points, &self.intervals, factor))
    }

    /// The value at a point, and its ends; empty where there are none.
    fn cells(&self, row: &Row<'_>) -> [String; 3] {
        let shown = |value: f64| units::metric(self.metric, Some(value));
        let interval = row.record.intervals.get(self.metric);
        let end = |end: fn(&Interval) -> f64| interval.map(|i| shown(end(i))).unwrap_or_default();
        let value = self.points.iter().find(|(at, _)| core::ptr::eq(*at, row));
        let value = value.map(|(_, value)| shown(*value)).unwrap_or_default();
        [value, end(Interval::min), end(Interval::max)]
    }
}

/// A row a point: each figure with its least and largest trial.
fn lines_table(axis_of: &sweep::Axis<'_>, axis_at: usize, lines: &[Along<'_>]) -> TextTable {
    let named = |along: &Along<'_>| match (lines.len(), along.metric.rsplit_once('_')) {
        (2.., Some((_, quantile))) => [quantile, "min", "max"].map(str::to_owned),
        _ => ["median", "min", "max"].map(str::to_owned),
    };
    let titles: Vec<String> = lines.iter().flat_map(named).collect();
    let titles = titles.iter().map(String::as_str);
    let titles: Vec<&str> = [axis_of.name].into_iter().chain(titles).chain(["trials"]).collect();
    let mut table = TextTable::new(&[], &titles);
    let Some(first) = lines.first() else { return table };
    for (nth, (row, _)) in first.points.iter().enumerate() {
        let figures = lines.iter().flat_map(|along| along.cells(row));
        let trials = first.intervals[nth].map(|interval| interval.n().to_string());
        let value = row.values[axis_at].to_owned();
        table.push([value].into_iter().chain(figures).chain([trials.unwrap_or_default()]));
    }
    table.without_empty_columns(|cell| !cell.is_empty())
}

/// Bars from the smallest to the largest of the trials of each point.
pub(super) fn reach(
    points: &[(&Row<'_>, f64)],
    intervals: &[Option<Interval>],
    factor: f64,
) -> ErrorData {
    let each = || points.iter().map(|(_, value)| *value).zip(intervals);
    let above = each().map(|(value, i)| i.map_or(0.0, |i| (i.max() - value).max(0.0) / factor));
    let below = each().map(|(value, i)| i.map_or(0.0, |i| (value - i.min()).max(0.0) / factor));
    let data = ErrorData::new(ErrorType::Data).symmetric(false).thickness(1.5).width(5);
    data.array(above.collect()).array_minus(below.collect())
}

/// A figure over all combinations of the parameters that vary.
fn heat_map(sweep: &Table<'_>, outer: &[usize], inner: usize, metric: &str) -> Option<Chart> {
    let (columns, rows) = (values_of(sweep, &[inner]), values_of(sweep, outer));
    let max = sweep.rows.iter().filter_map(|row| shown(row.record, metric)).reduce(f64::max)?;
    let scale = Scale::of(metric, max);
    let at = |row: &String, column: &String| {
        sweep
            .rows
            .iter()
            .find(|point| value_at(point, outer) == *row && point.values[inner] == column)
    };
    let grid: Vec<Vec<Option<&Row<'_>>>> =
        rows.iter().map(|row| columns.iter().map(|column| at(row, column)).collect()).collect();
    let names: Vec<&str> = outer.iter().map(|&axis| sweep.axes[axis].name).collect();
    let y_title = match outer {
        [one] => named(&sweep.axes[*one]),
        _ => label(&names.join(", ")),
    };
    let height =
        (ABOVE + 90 + ROW_HEIGHT.max(LINE_HEIGHT * outer.len()) * rows.len()).min(HEIGHT_MAX);
    // A line for each outer parameter: a phone is not wide enough for several beside each other.
    let labels = |values: &[String]| -> Vec<String> {
        values.iter().map(|value| label(value).replace(", ", ",<br>")).collect()
    };
    let trace = cells(sweep, &grid, metric, &scale, [labels(&columns), labels(&rows)]);
    let mut plot = Plot::new();
    plot.add_trace(trace);
    let x = ordered_categories(named(&sweep.axes[inner]), labels(&columns));
    let frame = Frame::new(x, ordered_categories(y_title, labels(&rows)), height).above(ABOVE);
    let mut plot = frame.around(plot);
    // What plotly knows and its crate does not: to write into cells, and to hang the scale of
    // colours at the top. Where that stands on the plot, the axis' title is drawn into its labels.
    plot["data"][0]["texttemplate"] = "%{text}".into();
    plot["data"][0]["textfont"]["color"] = CELL_TEXT.into();
    plot["data"][0]["colorbar"]["yref"] = "container".into();
    // The scale's own title would then be drawn over it.
    let mut title = serde_json::json!({ "text": scale.title, "font": { "size": 13 } });
    [title["y"], title["yanchor"], title["yref"]] = [0.99.into(), "top".into(), "container".into()];
    plot["layout"]["title"] = title;
    let inner_name = sweep.axes[inner].name;
    let all: Vec<&str> = names.iter().copied().chain([inner_name]).collect();
    Some(Chart {
        title: heading(metric, &all),
        caption: "Medians over the trials of each point. A gap is a point without a result.".into(),
        plot,
        height,
        table: matrix(
            &grid,
            metric,
            &rows,
            &columns,
            &format!("{} \\ {inner_name}", names.join(" ")),
        ),
    })
}

/// From little to much: lightness falls all the way, so that it is read without seeing hues, and
/// [`CELL_TEXT`] has a contrast of 5 or more on each of them.
const CELLS: [(f64, &str); 3] = [(0.0, "#f7f4c5"), (0.5, "#86cdb3"), (1.0, "#4f9bd9")];

/// The colour of what is written into cells.
const CELL_TEXT: &str = "#1b1f24";

/// The cells of a heat map.
fn cells(
    sweep: &Table<'_>,
    grid: &[Vec<Option<&Row<'_>>>],
    metric: &str,
    scale: &Scale,
    [x, y]: [Vec<String>; 2],
) -> Box<HeatMap<String, String, Vec<Option<f64>>>> {
    let value = |point: &Option<&Row<'_>>| {
        point.and_then(|point| shown(point.record, metric)).map(|value| value / scale.factor)
    };
    let z = grid.iter().map(|row| row.iter().map(value).collect()).collect();
    let told = |point: &Option<&Row<'_>>| {
        let point = point.as_ref()?;
        let value = units::metric(metric, Some(shown(point.record, metric)?));
        Some(format!("{}<br>{}", label(&sweep.settings(point)), label(&value)))
    };
    let hover =
        |row: &Vec<Option<&Row<'_>>>| row.iter().map(|p| told(p).unwrap_or_default()).collect();
    let text = |row: &Vec<Option<&Row<'_>>>| {
        row.iter().map(|point| value(point).map(units::digits).unwrap_or_default()).collect()
    };
    let colours = CELLS.map(|(at, colour)| ColorScaleElement(at, colour.to_owned())).to_vec();
    let bar = ColorBar::new()
        .orientation(Orientation::Horizontal)
        .thickness(10)
        .y(1.0)
        .y_pad(SCALE_BELOW)
        .y_anchor(Anchor::Top);
    HeatMap::new(x, y, z)
        .color_scale(ColorScale::Vector(colours))
        .color_bar(bar)
        .text_matrix(grid.iter().map(text).collect::<Vec<Vec<String>>>())
        .hover_text_matrix(grid.iter().map(hover).collect::<Vec<Vec<String>>>())
        .hover_template("%{hovertext}<extra></extra>")
        .hover_on_gaps(false)
        .x_gap(2.0)
        .y_gap(2.0)
}

/// The same as a table: a row an outer combination, a column an inner value.
fn matrix(
    grid: &[Vec<Option<&Row<'_>>>],
    metric: &str,
    rows: &[String],
    columns: &[String],
    corner: &str,
) -> TextTable {
    let titles: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = TextTable::new(&[corner], &titles);
    for (name, points) in rows.iter().zip(grid) {
        let cells = points.iter().map(|point| match point {
            None => units::ABSENT.to_owned(),
            Some(point) => match shown(point.record, metric) {
                Some(value) => units::metric(metric, Some(value)),
                None => point.record.verdict.to_string(),
            },
        });
        table.push(core::iter::once(name.clone()).chain(cells));
    }
    table
}

/// `Throughput over window and payload`, `CPU per tx over window`.
fn heading(metric: &str, axes: &[&str]) -> String {
    let per = metric.split_once("_per_").map(|(_, per)| per).filter(|per| *per != "s");
    let words = spoken(metric) + &per.map(|per| format!(" per {per}")).unwrap_or_default();
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{} over {}", letters.as_str(), axes.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_parameters_write_it() {
        let read = ["64", "20k", "1.5M", "2G", "64B", "200us", "auto"].map(number);
        let expected = [Some(64.0), Some(2e4), Some(1.5e6), Some(2e9), None, None, None];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_heading_says_what_over_what() {
        let titled = heading("response_time_ns_p99", &["window", "payload"]);
        assert_eq!(titled, "Response time p99 over window and payload");
        assert_eq!(heading("cpu_us_per_tx", &["window"]), "CPU per tx over window");
        assert_eq!(heading("hashes_per_s", &["threads"]), "Hashes over threads");
    }
}
