//! The result of `slo`, read again for its page.

use quorumark_harness::slo::{Found, Objective, Reading, Step};
use quorumark_report::tuning::{Offered, Slo};
use serde::Deserialize;

/// What `slo` kept: the part of its document that is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Kept {
    scenario: String,
    objective: Objective,
    result: Found,
    sentence: String,
    steps: Vec<Step>,
    reproduce: String,
}

/// For the renderings.
pub(super) fn of<'a>(kept: &'a Kept, written_at: &'a str) -> Slo<'a> {
    let (verdict, rate) = match kept.result {
        Found::Holds { rate, .. } => ("holds", Some(rate)),
        Found::Unmet => ("unmet", None),
        Found::Open => ("open", None),
    };
    Slo {
        scenario: &kept.scenario,
        verdict,
        sentence: &kept.sentence,
        p99_ns: kept.objective.p99_ns,
        rate,
        offered: kept.steps.iter().map(offered).collect(),
        written_at,
        reproduce: &kept.reproduce,
    }
}

/// As text: the sentence, and the command.
pub(super) fn text(slo: &Slo<'_>) -> String {
    let Slo { scenario, sentence, reproduce, .. } = slo;
    format!("{scenario}: {sentence}\nreproduce: {reproduce}\n")
}

fn offered(step: &Step) -> Offered {
    let p99_ns = step.readings.iter().filter_map(|reading| match reading {
        Reading::P99Ns(ns) => Some(*ns),
        Reading::Void | Reading::Disturbed => None,
    });
    Offered {
        rate: step.rate,
        confirming: step.confirming,
        p99_ns: p99_ns.collect(),
        void: step.readings.iter().filter(|reading| **reading == Reading::Void).count(),
        holds: step.holds,
    }
}
