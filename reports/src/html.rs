//! What commands left behind as one HTML page that opens offline: nothing is fetched, and the page
//! forbids it.

mod chart;
mod comparison;
mod frame;
mod overview;
mod prediction;
mod run;
mod slo;
mod sweep;
mod tuning;

use maud::{Markup, html};

use crate::document::Document;
use frame::Drawings;

/// Documents that are shown with their charts; all stand in the table.
pub const DETAILS_MAX: usize = 64;

/// The page of one or more documents, about 5 MB, nearly all of it the charting script.
///
/// The answer comes first: of a single document its figure or its verdict, of several a table that
/// leads to each.
pub fn page(documents: &[Document<'_>]) -> String {
    let mut drawings = Drawings::default();
    let body = match documents {
        [] => html! { p { "No run was given." } },
        [one] => shown(one, true, &mut drawings),
        several => html! {
            (overview::overview(several))
            @for (place, document) in several.iter().take(DETAILS_MAX).enumerate() {
                section.run id=(overview::anchor(place)) { (shown(document, false, &mut drawings)) }
            }
            @if several.len() > DETAILS_MAX {
                p.soft { "Charts of the first " (DETAILS_MAX) " are shown." }
            }
        },
    };
    let title = match documents {
        [one] => title(one),
        several => overview::counted(several),
    };
    frame::page(&format!("quorumark: {title}"), &body, &drawings)
}

fn title(document: &Document<'_>) -> String {
    match document {
        Document::Run(run) => run::title(run.record),
        Document::Sweep(table) => sweep::title(table),
        Document::Comparison(compared) => comparison::title(compared.found),
        Document::Tuning(found) => tuning::title(found),
        Document::Slo(found) => slo::title(found),
        Document::Prediction(check) => prediction::title(check),
    }
}

/// One document: its answer, as the heading of the page or of a part of it, and all else.
fn shown(document: &Document<'_>, heading: bool, drawings: &mut Drawings) -> Markup {
    html! {
        @match document {
            Document::Run(run) => {
                (run::answer(run.record, heading))
                (run::details(run, drawings))
            }
            Document::Sweep(table) => {
                (sweep::answer(table, heading))
                (sweep::details(table, drawings))
            }
            Document::Comparison(compared) => {
                (comparison::answer(compared.found, heading))
                (comparison::details(compared, drawings))
            }
            Document::Tuning(found) => {
                (tuning::answer(found, heading))
                (tuning::details(found, drawings))
            }
            Document::Slo(found) => {
                (slo::answer(found, heading))
                (slo::details(found, drawings))
            }
            Document::Prediction(check) => {
                (prediction::answer(check, heading))
                (prediction::details(check, drawings))
            }
        }
    }
}
