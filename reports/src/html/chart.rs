//! What all charts have in common: axes with titles and units, colours, and a table for each.
//!
//! Colours of text and grid are left to the page's script, which knows whether it is dark.

use plotly::common::{Anchor, DashType, Orientation, Title};
use plotly::configuration::DisplayModeBar;
use plotly::layout::{
    Axis, AxisType, BarMode, CategoryOrder, HoverMode, Legend, Margin, Shape, ShapeLine, ShapeType,
    TraceOrder,
};
use plotly::{Configuration, Layout, Plot};
use serde_json::Value;

use crate::table::Table;
use crate::units;

/// One chart with the table that holds the same figures.
pub(super) struct Chart {
    /// What it shows, as a heading.
    pub(super) title: String,
    /// How to read it, in a sentence or two.
    pub(super) caption: String,
    /// The plot: what plotly is given.
    pub(super) plot: Value,
    /// Its height in pixels.
    pub(super) height: usize,
    /// The figures.
    pub(super) table: Table,
}

pub(super) const BLUE: &str = "#4287e0";
pub(super) const ORANGE: &str = "#e08a2e";
pub(super) const GREY: &str = "#9aa3ad";
pub(super) const GREEN: &str = "#3fa35c";
pub(super) const PURPLE: &str = "#9a6dd7";
pub(super) const RED: &str = "#d4504b";

/// Colours of lines that share a chart: as many as a pipeline has latencies.
pub(super) const LINES: [&str; 5] = [BLUE, ORANGE, GREEN, PURPLE, GREY];

/// Pixels between the labels of an upright axis and its title.
const TITLE_DISTANCE: u32 = 8;

/// What stands around the traces of a chart.
pub(super) struct Frame {
    x: Axis,
    y: Axis,
    height: usize,
    legend: bool,
    /// Pixels above the plot, where what stands there does not make room for itself.
    above: usize,
    bars: BarMode,
    shapes: Vec<Shape>,
}

impl Frame {
    /// Axes and a height in pixels; no legend.
    pub(super) fn new(x: Axis, y: Axis, height: usize) -> Frame {
        Frame { x, y, height, legend: false, above: 10, bars: BarMode::Stack, shapes: Vec::new() }
    }

    /// With a legend above, or without.
    pub(super) fn legend(self, legend: bool) -> Frame {
        Frame { legend, ..self }
    }

    /// With so many pixels above the plot.
    pub(super) fn above(self, above: usize) -> Frame {
        Frame { above, ..self }
    }

    /// Bars below zero are stacked apart from those above.
    pub(super) fn bars_to_both_sides(self) -> Frame {
        Frame { bars: BarMode::Relative, ..self }
    }

    /// A dashed line over the whole height at `x`.
    pub(super) fn upright_at(mut self, x: f64, colour: &'static str) -> Frame {
        let line = Shape::new().shape_type(ShapeType::Line).x_ref("x").y_ref("paper");
        self.shapes.push(line.x0(x).x1(x).y0(0.0).y1(1.0).line(dashed(colour)));
        self
    }

    /// A dashed line over the whole width at `y`.
    pub(super) fn level_at(mut self, y: f64, colour: &'static str) -> Frame {
        let line = Shape::new().shape_type(ShapeType::Line).x_ref("paper").y_ref("y");
        self.shapes.push(line.x0(0.0).x1(1.0).y0(y).y1(y).line(dashed(colour)));
        self
    }

    /// `plot` within it.
    pub(super) fn around(self, mut plot: Plot) -> Value {
        let clear = "rgba(0,0,0,0)";
        let above = Legend::new()
            .orientation(Orientation::Horizontal)
            .trace_order(TraceOrder::Normal)
            .y(1.02)
            .y_anchor(Anchor::Bottom);
        let layout = Layout::new()
            .x_axis(self.x)
            .y_axis(self.y)
            .height(self.height)
            .auto_size(true)
            .margin(Margin::new().left(10).right(16).top(self.above).bottom(10))
            .paper_background_color(clear)
            .plot_background_color(clear)
            .bar_mode(self.bars)
            .hover_mode(HoverMode::Closest)
            .show_legend(self.legend)
            .legend(above)
            .shapes(self.shapes);
        plot.set_layout(layout);
        let config = Configuration::new().responsive(true).display_mode_bar(DisplayModeBar::False);
        plot.set_configuration(config.display_logo(false).typeset_math(false));
        let mut plot = serde_json::to_value(&plot).expect("a plot has text keys only");
        // plotly keeps an upright title that has a distance clear of long labels; its crate has no
        // such setting. A level title it then draws into the labels, and without one it does not.
        plot["layout"]["yaxis"]["title"]["standoff"] = TITLE_DISTANCE.into();
        plot
    }
}

fn dashed(colour: &'static str) -> ShapeLine {
    ShapeLine::new().color(colour).dash(DashType::Dash).width(2.0)
}

/// An axis with a title, that leaves room for its labels and cannot be dragged by a thumb.
pub(super) fn axis(title: impl Into<String>) -> Axis {
    Axis::new().title(Title::with_text(title)).auto_margin(true).fixed_range(true)
}

/// An axis of names, which have no unit.
pub(super) fn categories(title: impl Into<String>) -> Axis {
    axis(title).type_(AxisType::Category)
}

/// An axis of names in the order of `names`, whatever order the traces have them in.
pub(super) fn ordered_categories(title: impl Into<String>, names: Vec<String>) -> Axis {
    categories(title).category_order(CategoryOrder::Array).category_array(names)
}

/// `text` for a chart: plotly reads a subset of HTML in every label.
pub(super) fn label(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A metric's name without its unit, in words: `response time p99`, `throughput`.
pub(super) fn spoken(name: &str) -> String {
    let words = match name.split_once("_per_") {
        Some((amount, _)) => amount.rsplit_once('_').map_or(amount, |(words, _)| words),
        None => name,
    };
    let words = words.split('_').filter(|word| !matches!(*word, "ns" | "us" | "ms"));
    let words = words.map(|word| if word == "cpu" { "CPU" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// How the values of a metric are written on an axis.
pub(super) struct Scale {
    /// What values are divided by.
    pub(super) factor: f64,
    /// The unit then.
    pub(super) unit: String,
    /// The metric in words, and the unit.
    pub(super) title: String,
}

impl Scale {
    /// Of an axis of `metric` that ends at `max`.
    pub(super) fn of(metric: &str, max: f64) -> Scale {
        let (factor, unit) = axis_unit(metric, max);
        let title = format!("{} ({unit})", label(&spoken(metric)));
        Scale { factor, unit, title }
    }
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

/// The unit that nanoseconds up to `max_ns` are written in, and what they are divided by.
pub(super) fn time_unit(max_ns: f64) -> (f64, &'static str) {
    match max_ns {
        ns if ns >= 1e9 => (1e9, "s"),
        ns if ns >= 1e6 => (1e6, "ms"),
        ns if ns >= 1e3 => (1e3, "us"),
        _ => (1.0, "ns"),
    }
}
