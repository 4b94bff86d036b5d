//! The result of a tuning, read again for its page.

use quorumark_harness::tune::{Direction, Measured, Summary};
use quorumark_report::tuning::{Tried, Tuning};
use quorumark_report::units;

use crate::cmd::tune;

/// For the renderings.
pub(super) fn of<'a>(summary: &'a Summary, written_at: &'a str) -> Tuning<'a> {
    let tried = summary.points.iter().enumerate();
    Tuning {
        scenario: &summary.search.scenario,
        verdict: tune::word(summary.found),
        sentence: tune::sentence(summary),
        goal: goal(summary),
        metric: &summary.search.goal.metric,
        settings: settings(summary),
        tried: tried.map(|(place, point)| of_point(summary, place, point)).collect(),
        confirmation: summary.confirmation.as_ref(),
        written_at,
        reproduce: &summary.reproduce,
    }
}

/// As text: the sentence, and what is recommended.
pub(super) fn text(tuning: &Tuning<'_>) -> String {
    let changed = tuning.settings.iter().filter(|[_, _, recommended]| !recommended.is_empty());
    let told = changed.map(|[name, _, value]| format!(" {name}={value}")).collect::<String>();
    let recommended = if told.is_empty() { String::new() } else { format!("recommended:{told}\n") };
    let Tuning { scenario, sentence, reproduce, .. } = tuning;
    format!("{scenario}: {sentence}\n{recommended}reproduce: {reproduce}\n")
}

/// `maximize throughput_tx_per_s, response_time_ns_p99 <= 20.0 ms`.
fn goal(summary: &Summary) -> String {
    let goal = &summary.search.goal;
    let way = match goal.direction {
        Direction::Maximize => "maximize",
        Direction::Minimize => "minimize",
    };
    let limits = goal.limits.iter().map(|limit| {
        let bound = units::metric(&limit.metric, Some(limit.bound));
        format!(", {} {} {bound}", limit.metric, limit.relation)
    });
    format!("{way} {}{}", goal.metric, limits.collect::<String>())
}

/// Parameter, default, and what is recommended where that is another.
fn settings(summary: &Summary) -> Vec<[String; 3]> {
    let row = |(name, default): (&String, &String)| {
        let recommended = summary.recommended.as_ref().and_then(|all| all.get(name));
        let other = recommended.filter(|value| *value != default).cloned();
        [name.clone(), default.clone(), other.unwrap_or_default()]
    };
    summary.defaults.iter().map(row).collect()
}

fn of_point<'a>(summary: &Summary, place: usize, point: &'a Measured) -> Tried<'a> {
    let told = tune::changed(&point.settings, &summary.defaults);
    Tried {
        settings: if told.is_empty() { "defaults".to_owned() } else { told },
        metrics: &point.metrics,
        measurements: point.measurements,
        on_front: summary.front.contains(&place),
        recommended: summary.recommended.as_ref() == Some(&point.settings),
        keeps_limits: point.keeps_limits,
    }
}
