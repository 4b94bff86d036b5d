//! What a run is found to be, and what must be said beside its figures.

use quorumark_report::stats::{LITTLES_LAW_TOLERANCE, littles_law_deviation};
use quorumark_report::verdict::CPU_SHARE_CONCLUSIVE_MIN;
use quorumark_report::{Metrics, Verdict, Warning, row};

use crate::provenance::DEBUG_BUILD;
use crate::scenario::{Objection, Oracle};

/// The verdict and why it is not ok: a violation fails, a run that checked nothing is void, and of
/// the objections the worst counts. Where the user wished that executions are not judged, `judges` is
/// false: the run is inconclusive at best, and what was checked all the same still fails it.
/// `interruption` is the reason where there was one: whatever else is found wrong may be its
/// consequence.
pub(crate) fn verdict(
    oracle: &Oracle,
    judges: bool,
    mut objections: Vec<Objection>,
    metrics: &Metrics,
    interruption: Option<String>,
) -> (Verdict, Option<String>) {
    if let Some(reason) = violation(oracle) {
        return (Verdict::Fail, Some(reason));
    }
    if let Some(reason) = interruption {
        let worst = objections.iter().map(|objection| objection.verdict).max();
        return (worst.unwrap_or(Verdict::Ok).max(Verdict::Inconclusive), Some(reason));
    }
    if !judges {
        let reason = "oracle=false: what replicas executed was not judged".to_owned();
        objections.insert(0, Objection { verdict: Verdict::Inconclusive, reason });
    } else if oracle.values().all(|check| check.evaluated == 0) {
        let reason = "nothing was checked, so nothing is known about the answers".to_owned();
        objections.push(Objection { verdict: Verdict::Void, reason });
    }
    if let Some(share) = metrics.get("cpu_share").filter(|s| *s < CPU_SHARE_CONCLUSIVE_MIN) {
        let got = share * 100.0;
        let reason = format!(
            "other work left the run {got:.0} % of the CPU time that it wanted; \
             close it, then run again"
        );
        objections.push(Objection { verdict: Verdict::Inconclusive, reason });
    }
    // `max_by_key` takes the last of equal ones; the first reason is the one to tell.
    let worst = objections.into_iter().rev().max_by_key(|objection| objection.verdict);
    match worst {
        Some(Objection { verdict, reason }) => (verdict, Some(reason)),
        None => (Verdict::Ok, None),
    }
}

fn violation(oracle: &Oracle) -> Option<String> {
    let (name, check) = oracle.iter().find(|(_, check)| check.violated > 0)?;
    let first = check.first_violation.as_deref().unwrap_or("no details");
    Some(format!("{name}: violated {} of {} times: {first}", check.violated, check.evaluated))
}

/// What objections of single trials say about the run: most trials void make it void, fewer make
/// it inconclusive.
pub(crate) fn of_trials(objections: &[&Objection], trials: usize) -> Vec<Objection> {
    let Some(first) = objections.iter().max_by_key(|objection| objection.verdict) else {
        return Vec::new();
    };
    let void = objections.iter().filter(|o| o.verdict == Verdict::Void).count();
    let verdict = if 2 * void >= trials { Verdict::Void } else { Verdict::Inconclusive };
    let reason = match objections.len() {
        count if count == trials => first.reason.clone(),
        count => format!("{count} of {trials} samples: {}", first.reason),
    };
    vec![Objection { verdict, reason }]
}

/// Takes the figures away that a run without a result has not reached: rates, shares of a limit and
/// latencies. What is left says why: counts, and the share of the CPU that the run got.
pub(crate) fn withhold(metrics: &mut Metrics) -> Option<Warning> {
    let reached = |name: &str| {
        name.ends_with("_per_s")
            || (name.ends_with("_share") && name != "cpu_share")
            || name.ends_with("_ns_max")
            || name.contains("_ns_p")
    };
    let names = metrics.iter().map(|(name, _)| name.to_owned());
    let names: Vec<String> = names.filter(|name| reached(name)).collect();
    names.iter().for_each(|name| metrics.set(name.as_str(), None));
    (!names.is_empty()).then(|| {
        let cause = format!("{}: left out, the run did not reach them", names.join(", "));
        Warning::new("not-reached", cause, "the verdict says why")
    })
}

/// Some samples were disturbed.
pub(crate) fn contention(contended: usize, samples: usize) -> Option<Warning> {
    (contended > 0).then(|| {
        let cause = format!("{contended} of {samples} samples lost the CPU");
        Warning::new("cpu-contended", cause, "close other work or raise --repeat")
    })
}

/// What must be said when throughput times latency is not what was in flight (Little's law): one
/// of the three was mismeasured, or the run was not steady. `None` when the law holds or cannot be
/// judged; the arguments are those of [`littles_law_deviation`].
pub fn littles_law(in_flight: f64, throughput_per_s: f64, latency_mean_ns: f64) -> Option<Warning> {
    let deviation = littles_law_deviation(in_flight, throughput_per_s, latency_mean_ns)?;
    (deviation.abs() > LITTLES_LAW_TOLERANCE).then(|| {
        let percent = deviation * 100.0;
        let cause = format!("throughput times latency is {percent:+.0} % off what was in flight");
        Warning::new("littles-law", cause, "raise --warmup and --duration until the run is steady")
    })
}

/// Where the run was ended early, in words: within its last sample, which is `cut` then, or before
/// the next; `None` for one that came to its end.
pub(crate) fn interruption(interrupted: bool, cut: bool, samples: usize) -> Option<String> {
    let place = if cut { "in" } else { "after" };
    interrupted.then(|| format!("interrupted {place} sample {samples}"))
}

/// The warning that goes with [`interruption`].
pub(crate) fn interrupted(cause: String) -> Warning {
    Warning::new(row::INTERRUPTED, cause, "run it again to the end before quoting it")
}

/// The figures of this build are no measurement.
pub(crate) fn debug_build() -> Option<Warning> {
    DEBUG_BUILD.then(|| {
        let cause = "this is a debug build, many times slower than a release build";
        Warning::new("debug-build", cause, "build with --release")
    })
}

/// Figures without a value that no other warning names.
pub(crate) fn absent(metrics: &Metrics, said: &[Warning]) -> Vec<Warning> {
    let named = |name: &str| said.iter().any(|warning| warning.cause.contains(name));
    let absent = metrics.iter().filter(|(name, value)| value.is_none() && !named(name));
    let (percentiles, others): (Vec<&str>, Vec<&str>) =
        absent.map(|(name, _)| name).partition(|name| is_percentile(name));
    let mut warnings = Vec::new();
    if !percentiles.is_empty() {
        let cause = format!("{}: fewer than ten samples above", percentiles.join(", "));
        warnings.push(Warning::new("few-samples", cause, "raise --duration"));
    }
    if !others.is_empty() {
        let cause = format!("{}: not known for this run", others.join(", "));
        let remedy = "leave these out when quoting; the other figures stand";
        warnings.push(Warning::new("not-measured", cause, remedy));
    }
    warnings
}

fn is_percentile(name: &str) -> bool {
    let quantile = name.rsplit_once("_p").map(|(_, digits)| digits);
    quantile.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::note;

    fn checked() -> Oracle {
        let mut oracle = Oracle::new();
        note(&mut oracle, "agreement", None);
        oracle
    }

    fn objection(verdict: Verdict) -> Objection {
        Objection { verdict, reason: verdict.to_string() }
    }

    #[test]
    fn a_violation_outweighs_every_objection_and_is_told() {
        let mut oracle = checked();
        note(&mut oracle, "order", Some("seq 7 twice".to_owned()));
        note(&mut oracle, "order", Some("seq 9 twice".to_owned()));
        let judged = verdict(&oracle, true, vec![objection(Verdict::Void)], &Metrics::new(), None);
        let reason = "order: violated 2 of 2 times: seq 7 twice".to_owned();
        assert_eq!(judged, (Verdict::Fail, Some(reason)));
    }

    #[test]
    fn a_run_that_checked_nothing_is_void_and_inconclusive_where_that_was_asked_for() {
        let judged = verdict(&Oracle::new(), true, Vec::new(), &Metrics::new(), None);
        assert_eq!(judged.0, Verdict::Void);
        let (found, reason) = verdict(
            &Oracle::new(),
            false,
            vec![objection(Verdict::Inconclusive)],
            &Metrics::new(),
            None,
        );
        assert_eq!(found, Verdict::Inconclusive);
        assert!(reason.unwrap().starts_with("oracle=false: "));
        let mut violated = Oracle::new();
        note(&mut violated, "replies_equal", Some("two answers".to_owned()));
        let found = verdict(&violated, false, Vec::new(), &Metrics::new(), None).0;
        assert_eq!(found, Verdict::Fail, "what clients saw is judged all the same");
        assert_eq!(
            verdict(&checked(), true, Vec::new(), &Metrics::new(), None),
            (Verdict::Ok, None)
        );
    }

    #[test]
    fn figures_that_were_not_reached_are_taken_away_and_named() {
        let reached = ["hashes_per_s", "limit_share", "service_time_ns_p99", "commit_last_ns_max"];
        let kept = ["cpu_share", "dropped", "cpu_us_per_tx"];
        let all = reached.iter().chain(&kept).map(|name| (*name, 1.0));
        let mut metrics: Metrics = all.collect();
        let warning = withhold(&mut metrics).unwrap();
        for name in reached {
            assert!(metrics.contains(name) && metrics.get(name).is_none(), "{name}");
            assert!(warning.cause.contains(name), "{name}");
        }
        assert!(kept.iter().all(|name| metrics.get(name).is_some()));
    }

    #[test]
    fn a_run_that_lost_most_of_the_cpu_is_inconclusive() {
        let metrics: Metrics = [("cpu_share", 0.3)].into_iter().collect();
        let (found, reason) = verdict(&checked(), true, Vec::new(), &metrics, None);
        assert_eq!(found, Verdict::Inconclusive);
        assert!(reason.unwrap().contains("30 %"));
    }

    #[test]
    fn an_interruption_is_the_reason_whatever_it_left_unfinished_and_no_violation_hides_in_it() {
        let cut = || Some("interrupted in sample 1".to_owned());
        let none = Metrics::new();
        let judged = verdict(&Oracle::new(), true, Vec::new(), &none, cut());
        assert_eq!(judged, (Verdict::Inconclusive, cut()));
        let judged = verdict(&Oracle::new(), true, vec![objection(Verdict::Void)], &none, cut());
        assert_eq!(judged, (Verdict::Void, cut()));
        let mut unsafe_run = checked();
        note(&mut unsafe_run, "order", Some("seq 7 twice".to_owned()));
        assert_eq!(verdict(&unsafe_run, true, Vec::new(), &none, cut()).0, Verdict::Fail);
    }

    #[test]
    fn one_void_trial_of_three_leaves_the_run_inconclusive_and_two_make_it_void() {
        let void = objection(Verdict::Void);
        assert_eq!(of_trials(&[&void], 3)[0].verdict, Verdict::Inconclusive);
        assert_eq!(of_trials(&[&void, &void], 3)[0].verdict, Verdict::Void);
        assert!(of_trials(&[], 3).is_empty());
    }

    #[test]
    fn disturbed_samples_are_counted_in_one_warning() {
        assert_eq!(contention(0, 10), None);
        let warning = contention(3, 10).unwrap();
        assert_eq!(warning.cause, "3 of 10 samples lost the CPU");
        assert_eq!(warning.remedy, "close other work or raise --repeat");
    }

    #[test]
    fn littles_law_is_warned_of_beyond_a_tenth() {
        assert_eq!(littles_law(256.0, 20_000.0, 12_000_000.0), None);
        let warning = littles_law(256.0, 20_000.0, 6_400_000.0).unwrap();
        assert!(warning.cause.contains("-50 %"), "{}", warning.cause);
        assert_eq!(littles_law(0.0, 1.0, 1.0), None);
    }

    #[test]
    fn every_absent_figure_stands_in_one_warning() {
        let mut metrics = Metrics::new();
        for name in ["limit_share", "bytes_per_tx", "response_time_ns_p999"] {
            metrics.set(name, None);
        }
        metrics.set("cpu_share", 1.0);
        let said = Warning::new("no-limit", "limit_share is null: no floor", "measure one");
        let warnings = absent(&metrics, &[said]);
        let codes: Vec<&str> = warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(codes, ["few-samples", "not-measured"]);
        assert!(warnings[1].cause.starts_with("bytes_per_tx:"), "{warnings:?}");
    }
}
