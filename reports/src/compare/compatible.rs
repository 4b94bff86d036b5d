//! May these two records be held against each other at all, and what must be said beside it?

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Incomparable, Side};
use crate::verdict::CPU_SHARE_CONCLUSIVE_MIN;
use crate::{Record, Warning, row, stats, units, view};

/// A setting in which the sides differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The parameter.
    pub name: String,
    /// Its value in A; `null` where A has no such parameter.
    pub a: Option<String>,
    /// Its value in B.
    pub b: Option<String>,
}

/// Refuses what has no common ground.
pub(super) fn check(a: Side<'_>, b: Side<'_>) -> Result<(), Incomparable> {
    if a.record.scenario != b.record.scenario {
        let (a, b) = (a.record.scenario.clone(), b.record.scenario.clone());
        return Err(Incomparable::Scenario { a, b });
    }
    match [a, b].into_iter().find(|side| !side.record.verdict.has_result()) {
        Some(side) => Err(Incomparable::NoResult {
            side: side.label.to_owned(),
            verdict: side.record.verdict,
            reason: row::reason(side.record).unwrap_or_default(),
        }),
        None => Ok(()),
    }
}

/// Settings in which two records differ, seeds included; A's order first.
pub(super) fn differences(a: &Record, b: &Record) -> Vec<Difference> {
    let value = |record: &Record, name: &str| record.config.get(name).map(plain);
    let names = a.config.keys().chain(b.config.keys().filter(|name| !a.config.contains_key(*name)));
    let each =
        names.map(|name| Difference { name: name.clone(), a: value(a, name), b: value(b, name) });
    each.filter(|difference| difference.a != difference.b).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether one build ran one configuration on one machine twice, so that every difference is noise.
/// Sources that differ from their commit may be any, unless it was `one_program`.
pub(super) fn are_equal(a: &Record, b: &Record, one_program: bool) -> bool {
    let [of_a, of_b] = [&a.provenance, &b.provenance];
    let known = of_a.commit.is_some() && of_a.dirty == Some(false);
    let one_build = of_a == of_b && (known || one_program);
    one_build && a.config == b.config && a.seed == b.seed && same_machine(a, b)
}

fn same_machine(a: &Record, b: &Record) -> bool {
    let of = |record: &Record| {
        let machine = &record.environment;
        (machine.hostname.clone(), machine.cpu_model.clone(), machine.cores)
    };
    of(a) == of(b)
}

/// Why no time of these records can be compared, whatever the samples say.
pub(super) fn doubt(a: Side<'_>, b: Side<'_>) -> Option<String> {
    let [machine_a, machine_b] = [a, b].map(|side| {
        let machine = &side.record.environment;
        format!("{} cores of {}", machine.cores, machine.cpu_model.as_deref().unwrap_or("?"))
    });
    if machine_a != machine_b {
        return Some(format!(
            "A ran on {machine_a}, B on {machine_b}; measure both on one machine"
        ));
    }
    let [debug_a, debug_b] = [a, b].map(|side| side.record.provenance.debug_build);
    if debug_a != debug_b {
        let which = if debug_a { "A" } else { "B" };
        return Some(format!("{which} is a debug build; build both with --release"));
    }
    [("A", a), ("B", b)].into_iter().find_map(|(name, side)| {
        let shares = side.record.samples.iter().filter_map(|sample| sample.cpu_share);
        let share = stats::median(shares)?;
        (share < CPU_SHARE_CONCLUSIVE_MIN).then(|| {
            let got = units::share((share * 100.0).round() / 100.0);
            format!("other work left {name} {got} of the CPU time that it wanted; close it")
        })
    })
}

/// What must be said beside the verdicts.
pub(super) fn warnings(a: Side<'_>, b: Side<'_>) -> Vec<Warning> {
    let (sides, mut warnings) = ([a, b], Vec::new());
    let mut warn = |code: &str, cause: String, remedy: &str| {
        warnings.push(Warning::new(code, cause, remedy));
    };
    let named = |is: &dyn Fn(&Record) -> bool| -> Option<String> {
        let each = sides.iter().zip(["A", "B"]).filter(|(side, _)| is(side.record));
        let names: Vec<&str> = each.map(|(_, name)| name).collect();
        (!names.is_empty()).then(|| names.join(" and "))
    };
    if let Some(names) = named(&|record| record.provenance.debug_build) {
        warn(view::DEBUG_BUILD, format!("debug build: {names}"), "build with --release");
    }
    if let Some(names) = named(&|record| record.provenance.dirty == Some(true)) {
        let remedy = "commit, build and measure again, so that it can be repeated";
        warn("dirty-sources", format!("sources differed from their commit: {names}"), remedy);
    }
    let [host_a, host_b] = sides.map(|side| &side.record.environment.hostname);
    if host_a != host_b && host_a.is_some() && host_b.is_some() {
        let cause = "the machines are of one kind and not the same".to_owned();
        warn("other-machine", cause, "measure both on one machine");
    }
    for (side, name) in sides.into_iter().zip(["A", "B"]) {
        if let Some(reason) = row::reason(side.record) {
            let cause = format!("the run of {name} is {}: {reason}", side.record.verdict);
            warn("run-inconclusive", cause, "its samples are compared all the same");
        }
    }
    warnings
}
