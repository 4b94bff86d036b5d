//! An objective: the rate that holds it, and the p99 of every trial.

use maud::{Markup, html};
use plotly::common::{Marker, Mode};
use plotly::layout::RangeMode;
use plotly::{Plot, Scatter};

use super::chart::{BLUE, Chart, Frame, GREEN, ORANGE, Scale, axis};
use super::frame::{self, Drawings, badge, table};
use crate::table::Table;
use crate::tuning::{Offered, Slo};
use crate::units;

const RATE: &str = "rate_requests_per_s";
const TAIL: &str = "response_time_ns_p99";

/// What the page is called.
pub(super) fn title(slo: &Slo<'_>) -> String {
    format!("{}, p99 within {}", slo.scenario, units::duration_ns(slo.p99_ns))
}

/// What was found.
pub(super) fn answer(slo: &Slo<'_>, heading: bool) -> Markup {
    let what = format!("objective of {}: p99 within {}", slo.scenario, bound(slo));
    let found = slo.rate.map(|rate| format!("{}/s ", units::count(rate))).unwrap_or_default();
    html! {
        @if heading {
            p.soft { (what) }
            h1 { (found) (badge(slo.verdict)) }
        } @else {
            h2 { (what) ": " (found) (badge(slo.verdict)) }
        }
        p { (slo.sentence) }
    }
}

/// The chart, or the table alone where no trial has a p99.
pub(super) fn details(slo: &Slo<'_>, drawings: &mut Drawings) -> Markup {
    html! {
        @match trials(slo) {
            Some(chart) => (drawings.place(&chart)),
            None => (table(&rates(slo))),
        }
        (frame::reproduce(slo.reproduce))
    }
}

fn bound(slo: &Slo<'_>) -> String {
    units::duration_ns(slo.p99_ns)
}

/// The p99 of each trial over the rate that was offered in it.
fn trials(slo: &Slo<'_>) -> Option<Chart> {
    let all = || slo.offered.iter().flat_map(|step| step.p99_ns.iter().copied());
    let slowest = all().reduce(f64::max)?.max(slo.p99_ns);
    let fastest = slo.offered.iter().map(|step| step.rate).reduce(f64::max)?;
    let (x, y) = (Scale::of(RATE, fastest), Scale::of(TAIL, slowest));
    let mut plot = Plot::new();
    for (name, confirming, colour) in [("looked at", false, BLUE), ("confirming", true, GREEN)] {
        let chosen = slo.offered.iter().filter(|step| step.confirming == confirming);
        let (rates, times): (Vec<f64>, Vec<f64>) = chosen
            .flat_map(|step| step.p99_ns.iter().map(|ns| (step.rate / x.factor, ns / y.factor)))
            .unzip();
        if !rates.is_empty() {
            let trace = Scatter::new(rates, times).mode(Mode::Markers).name(name);
            plot.add_trace(trace.marker(Marker::new().size(8).color(colour)));
        }
    }
    let objective = slo.p99_ns / y.factor;
    let [x, y] = [x.title, y.title].map(|title| axis(title).range_mode(RangeMode::ToZero));
    Some(Chart {
        title: "p99 of each trial".to_owned(),
        caption: format!(
            "The dashed line is the objective, {}. A rate is looked at until it is likely to hold, \
             and then confirmed.",
            bound(slo)
        ),
        plot: Frame::new(x, y, 340).legend(true).level_at(objective, ORANGE).around(plot),
        height: 340,
        table: rates(slo),
    })
}

fn rates(slo: &Slo<'_>) -> Table {
    let mut table = Table::new(&[], &["rate", "trials", "largest p99", "not served"]);
    table.columns.extend(Table::new(&["why", "verdict"], &[]).columns);
    for step in &slo.offered {
        let Offered { rate, confirming, p99_ns, void, holds } = step;
        let largest = p99_ns.iter().copied().reduce(f64::max).map(units::duration_ns);
        let holds = match holds {
            Some(true) => "holds",
            Some(false) => "does not hold",
            None => "open",
        };
        table.push([
            format!("{}/s", units::count(*rate)),
            (p99_ns.len() + void).to_string(),
            largest.unwrap_or_else(|| units::ABSENT.to_owned()),
            void.to_string(),
            if *confirming { "to confirm" } else { "to look" }.to_owned(),
            holds.to_owned(),
        ]);
    }
    table
}
