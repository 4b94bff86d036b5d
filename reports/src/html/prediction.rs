//! Predictions beside live runs.

use maud::{Markup, html};
use plotly::common::{Marker, Mode};
use plotly::{Plot, Scatter};

use super::chart::{BLUE, Chart, Frame, GREEN, ORANGE, PURPLE, axis};
use super::frame::{self, Drawings, table};
use crate::compare::render::signed;
use crate::prediction::{Against, Check};
use crate::table::Table;

/// What the page is called.
pub(super) fn title(check: &Check) -> String {
    format!("{}: predicted and live", check.protocol)
}

/// By how much the prediction misses.
pub(super) fn answer(check: &Check, heading: bool) -> Markup {
    let what = title(check);
    let worst = check.worst(Against::Predicted).map(|(_, error)| signed(error)).unwrap_or_default();
    html! {
        @if heading { p.soft { (what) } h1 { (worst) } } @else { h2 { (what) ": " (worst) } }
        p { (check.sentence()) "." }
        p.soft {
            "The costs of each step were measured in each round, in slices between the live runs, by "
            "pieces and not by a running cluster. The error is the median over " (check.rounds)
            " rounds; from and to are the least and the greatest of one round."
        }
    }
}

/// The errors drawn, and every figure.
pub(super) fn details(check: &Check, drawings: &mut Drawings) -> Markup {
    html! {
        @if check.worst(Against::Predicted).is_some() { (drawings.place(&errors(check))) }
        h3 { "Figures" }
        (table(&check.table()))
        (frame::reproduce(&check.reproduce))
    }
}

/// The errors, medians over the rounds, over the number of replicas.
fn errors(check: &Check) -> Chart {
    let mut plot = Plot::new();
    let mut rows = Table::new(&["figure"], &["replicas", "error"]);
    let (throughput, p50) = ("throughput_tx_per_s", "response_time_ns_p50");
    let series = [
        ("throughput at saturation", throughput, Against::Predicted, BLUE),
        ("throughput at the run's pace", throughput, Against::AtPace, PURPLE),
        ("p50 at half load", p50, Against::Predicted, GREEN),
        ("p50 at the run's pace", p50, Against::AtPace, ORANGE),
    ];
    for (name, metric, which, colour) in series {
        let of = check.points.iter().filter(|point| point.metric == metric);
        let errors = of.filter_map(|point| Some((point.replicas, point.error_share(which)?)));
        let (replicas, shares): (Vec<u32>, Vec<f64>) = errors.unzip();
        for (replicas, share) in replicas.iter().zip(&shares) {
            rows.push([name.to_owned(), replicas.to_string(), signed(*share)]);
        }
        let shares = shares.into_iter().map(|share| share * 100.0).collect();
        let trace = Scatter::new(replicas, shares).mode(Mode::LinesMarkers).name(name);
        plot.add_trace(trace.marker(Marker::new().size(8).color(colour)));
    }
    Chart {
        title: "Error by size of the committee".to_owned(),
        caption: "Above 0 the prediction is higher than the live run.".to_owned(),
        plot: Frame::new(axis("committee (replicas)"), axis("error (%)"), 340)
            .legend(true)
            .around(plot),
        height: 340,
        table: rows,
    }
}
