//! A tuning: its sentence, the front of throughput against p99, the confirmed gain, what was tried.

use maud::{Markup, html};
use plotly::common::{Line, Marker, Mode};
use plotly::layout::RangeMode;
use plotly::{Plot, Scatter};

use super::chart::{BLUE, Chart, Frame, GREEN, GREY, ORANGE, Scale, axis, label};
use super::comparison::differences;
use super::frame::{self, Drawings, badge, table};
use crate::table::Table;
use crate::tuning::{Tried, Tuning};
use crate::units;

const THROUGHPUT: &str = "throughput_tx_per_s";
const TAIL: &str = "response_time_ns_p99";

/// What the page of a tuning is called.
pub(super) fn title(tuning: &Tuning<'_>) -> String {
    format!("{}, {}", tuning.scenario, tuning.verdict)
}

/// What was found, and what was asked for.
pub(super) fn answer(tuning: &Tuning<'_>, heading: bool) -> Markup {
    let what = format!("tuning of {}: {}", tuning.scenario, tuning.goal);
    html! {
        @if heading {
            p.soft { (what) }
            h1 { (badge(tuning.verdict)) }
        } @else {
            h2 { (what) ": " (badge(tuning.verdict)) }
        }
        p { (tuning.sentence) }
    }
}

/// The charts and tables.
pub(super) fn details(tuning: &Tuning<'_>, drawings: &mut Drawings) -> Markup {
    html! {
        @if tuning.settings.iter().any(|[_, _, recommended]| !recommended.is_empty()) {
            h3 { "Recommended" }
            (table(&recommended(tuning)))
        }
        @if let Some(chart) = confirmation(tuning) { (drawings.place(&chart)) }
        @if let Some(chart) = front(tuning) { (drawings.place(&chart)) }
        @if let Some(chart) = in_order(tuning) { (drawings.place(&chart)) }
        (frame::reproduce(tuning.reproduce))
    }
}

fn recommended(tuning: &Tuning<'_>) -> Table {
    let mut table = Table::new(&["parameter", "default", "recommended"], &[]);
    tuning.settings.iter().for_each(|row| table.push(row.iter().cloned()));
    table
}

/// What was confirmed, in turn with the defaults on fresh seeds.
fn confirmation(tuning: &Tuning<'_>) -> Option<Chart> {
    let caption = "What is recommended against the defaults, in turn on fresh seeds: its change \
                   with the 95 % interval, and in grey what equal sides differ by.";
    let found = core::slice::from_ref(tuning.confirmation?);
    differences(found, None, "The confirmed difference", caption.to_owned())
}

/// Every setting by its throughput and p99; those that no other beats are joined.
fn front(tuning: &Tuning<'_>) -> Option<Chart> {
    let both = |tried: &&Tried<'_>| {
        [THROUGHPUT, TAIL].iter().all(|name| tried.metrics.get(name).is_some())
    };
    let tried: Vec<&Tried<'_>> = tuning.tried.iter().filter(both).collect();
    let max = |metric: &str| tried.iter().filter_map(|t| t.metrics.get(metric)).reduce(f64::max);
    let (x, y) = (Scale::of(THROUGHPUT, max(THROUGHPUT)?), Scale::of(TAIL, max(TAIL)?));
    let mut front: Vec<&Tried<'_>> = tried.iter().copied().filter(|t| t.on_front).collect();
    front.sort_by(|a, b| {
        let of = |tried: &Tried<'_>| tried.metrics.get(THROUGHPUT).unwrap_or_default();
        of(a).total_cmp(&of(b))
    });
    let named = |chosen: fn(&Tried<'_>) -> bool| -> Vec<&Tried<'_>> {
        tried.iter().copied().filter(|t| chosen(t)).collect()
    };
    let mut plot = Plot::new();
    for (name, chosen, colour, mode) in [
        ("tried", tried.clone(), GREY, Mode::Markers),
        ("not beaten in both", front.clone(), BLUE, Mode::LinesMarkers),
        ("defaults", named(|t| t.settings == "defaults"), ORANGE, Mode::Markers),
        ("recommended", named(|t| t.recommended), GREEN, Mode::Markers),
    ] {
        if !chosen.is_empty() {
            let value = |metric: &str, factor: f64| -> Vec<f64> {
                chosen.iter().filter_map(|t| t.metrics.get(metric)).map(|v| v / factor).collect()
            };
            let size = if name == "tried" { 7 } else { 10 };
            let trace = Scatter::new(value(THROUGHPUT, x.factor), value(TAIL, y.factor))
                .mode(mode)
                .name(name)
                .hover_text_array(chosen.iter().map(|t| label(&t.settings)).collect())
                .line(Line::new().color(colour))
                .marker(Marker::new().size(size).color(colour));
            plot.add_trace(trace);
        }
    }
    let [x, y] = [x.title, y.title].map(|title| axis(title).range_mode(RangeMode::ToZero));
    Some(Chart {
        title: "Throughput against p99".to_owned(),
        caption: "To the right and below is better. Most settings were measured once or twice and \
                  shortly: only what was confirmed is to be believed."
            .to_owned(),
        plot: Frame::new(x, y, 380).legend(true).around(plot),
        height: 380,
        table: figures(&front, &[THROUGHPUT, TAIL]),
    })
}

/// The figure that was tuned, of each setting in the order in which they were tried.
fn in_order(tuning: &Tuning<'_>) -> Option<Chart> {
    let values: Vec<(usize, &Tried<'_>, f64)> = (1..)
        .zip(&tuning.tried)
        .filter_map(|(place, tried)| Some((place, tried, tried.metrics.get(tuning.metric)?)))
        .collect();
    let scale = Scale::of(tuning.metric, values.iter().map(|v| v.2).reduce(f64::max)?);
    let mut plot = Plot::new();
    for (name, keeps, colour) in
        [("keeps the limits", true, GREEN), ("does not keep them", false, GREY)]
    {
        let chosen = values.iter().filter(|(_, t, _)| (t.keeps_limits != Some(false)) == keeps);
        let chosen: Vec<_> = chosen.collect();
        if !chosen.is_empty() {
            let x = chosen.iter().map(|(place, ..)| *place).collect();
            let y = chosen.iter().map(|(.., value)| value / scale.factor).collect();
            let trace = Scatter::<usize, f64>::new(x, y)
                .mode(Mode::Markers)
                .name(name)
                .hover_text_array(chosen.iter().map(|(_, t, _)| label(&t.settings)).collect())
                .marker(Marker::new().size(8).color(colour));
            plot.add_trace(trace);
        }
    }
    let all: Vec<&Tried<'_>> = values.iter().map(|(_, tried, _)| *tried).collect();
    Some(Chart {
        title: "Every setting, in the order in which it was tried".to_owned(),
        caption: "The median of what was measured of each. The search spreads first, and looks \
                  near the best later."
            .to_owned(),
        plot: Frame::new(axis("setting (number)"), axis(scale.title), 320)
            .legend(true)
            .around(plot),
        height: 320,
        table: figures(&all, &[tuning.metric]),
    })
}

fn figures(tried: &[&Tried<'_>], metrics: &[&str]) -> Table {
    let numeric: Vec<&str> = metrics.iter().copied().chain(["measured"]).collect();
    let mut table = Table::new(&["setting"], &numeric);
    for one in tried {
        let values = metrics.iter().map(|metric| units::metric(metric, one.metrics.get(metric)));
        let measured = core::iter::once(one.measurements.to_string());
        table.push(core::iter::once(one.settings.clone()).chain(values).chain(measured));
    }
    table
}
