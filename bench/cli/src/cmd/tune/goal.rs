//! What is asked for, from the command line.

use std::time::Duration;

use quorumark_harness::tune::{Direction, Goal, Limit, Relation};
use quorumark_harness::{Origin, Parameter, ParameterSet, Spec};

use super::TuneArgs;
use crate::cmd::compare::metric;
use crate::refused::Refused;

/// The longest time that can be asked for.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The figure and the limits that the flags name.
pub(super) fn read(args: &TuneArgs, spec: &Spec) -> anyhow::Result<Goal> {
    let known = metric::of_spec(spec);
    let (asked, direction) = match (&args.maximize, &args.minimize) {
        (Some(asked), _) => (asked, Direction::Maximize),
        (None, Some(asked)) => (asked, Direction::Minimize),
        (None, None) => unreachable!("the command line has one of them"),
    };
    let metric = metric::resolve(std::slice::from_ref(asked), &known)?.remove(0);
    let limits = args.subject_to.iter().map(|text| limit(text, &known));
    Ok(Goal { metric, direction, limits: limits.collect::<Result<_, _>>()? })
}

/// Reads `p99<=20ms`, `throughput>=20k`.
fn limit(text: &str, known: &[String]) -> anyhow::Result<Limit> {
    let parts = [("<=", Relation::AtMost), (">=", Relation::AtLeast)];
    let parts = parts.into_iter().find_map(|(sign, relation)| {
        let (name, bound) = text.split_once(sign)?;
        Some((name.trim(), relation, bound.trim()))
    });
    let Some((name, relation, bound)) = parts else {
        let remedy = "write a figure, <= or >=, and a value, such as p99<=20ms";
        return Err(Refused::new(text, "is no limit", remedy).into());
    };
    let metric = metric::resolve(&[name.to_owned()], known)?.remove(0);
    let bound = value(&metric, bound, text)?;
    if bound > 0.0 {
        return Ok(Limit { metric, relation, bound });
    }
    Err(Refused::new(text, "has no value above 0", "such a limit cannot be searched for").into())
}

/// A value in the unit that the metric's name ends in.
fn value(metric: &str, text: &str, limit: &str) -> anyhow::Result<f64> {
    let amount = metric.split("_per_").next().unwrap_or(metric);
    let unit = amount.rsplit('_').take(2).find_map(|word| match word {
        "ns" => Some(1.0),
        "us" => Some(1e3),
        "ms" => Some(1e6),
        _ => None,
    });
    let plain = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    match (unit, plain) {
        (_, Some(number)) if unit.is_none() || metric.contains("_per_") => Ok(number),
        (Some(unit), _) => Ok(duration(limit, text)?.as_nanos() as f64 / unit),
        (None, _) if amount.ends_with("_share") => {
            let share = Parameter::share("limit", 0.0, "");
            Ok(one(share, limit, text)?.share("limit"))
        }
        (None, _) => {
            let rate = Parameter::rate("limit", 1e15, 0.0, "");
            Ok(one(rate, limit, text)?.rate("limit"))
        }
    }
}

/// A length of time given by `place`.
pub(in crate::cmd) fn duration(place: &str, text: &str) -> anyhow::Result<Duration> {
    let range = Duration::from_nanos(1)..=TIME_MAX;
    let parameter = Parameter::duration("limit", range, Duration::from_secs(1), "");
    Ok(one(parameter, place, text)?.duration("limit"))
}

/// One value, read as a parameter is.
fn one(parameter: Parameter, place: &str, text: &str) -> anyhow::Result<ParameterSet> {
    let name = parameter.name;
    let mut one = ParameterSet::new(vec![parameter]);
    let set = one.set(name, text, Origin::Flag(place.to_owned()));
    set.map_err(|error| {
        // The place says what it is; the name of the makeshift parameter says nothing.
        let told = error.to_string();
        let told = told.strip_prefix(&format!("{name}=")).unwrap_or(&told).to_owned();
        Refused::sentence(told)
    })?;
    Ok(one)
}

/// The flags that [`read`] reads.
pub(super) fn arguments(args: &TuneArgs) -> String {
    let of = |flag: &str, metric: &Option<String>| {
        metric.as_ref().map(|metric| format!(" --{flag} {metric}")).unwrap_or_default()
    };
    let limits = args.subject_to.iter().map(|limit| format!(" --subject-to '{limit}'"));
    of("maximize", &args.maximize) + &of("minimize", &args.minimize) + &limits.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorumark_harness::scenario;

    fn of(text: &str) -> Result<(String, Relation, f64), String> {
        let known = metric::of_spec(&scenario::find("pbft/pipeline").unwrap().spec());
        let limit = limit(text, &known).map_err(|error| error.to_string())?;
        Ok((limit.metric, limit.relation, limit.bound))
    }

    #[test]
    fn a_limit_is_a_figure_a_side_and_a_value_in_its_unit() {
        let p99 = "response_time_ns_p99".to_owned();
        assert_eq!(of("p99<=20ms"), Ok((p99.clone(), Relation::AtMost, 2e7)));
        assert_eq!(of("response_time_ns_p99 <= 500us"), Ok((p99, Relation::AtMost, 5e5)));
        let throughput = "throughput_tx_per_s".to_owned();
        assert_eq!(of("throughput>=20k"), Ok((throughput, Relation::AtLeast, 20_000.0)));
        let cpu = "cpu_us_per_tx".to_owned();
        assert_eq!(of("cpu<=60.5"), Ok((cpu.clone(), Relation::AtMost, 60.5)));
        assert_eq!(of("cpu<=60us"), Ok((cpu, Relation::AtMost, 60.0)));
    }

    #[test]
    fn what_is_no_limit_is_refused_in_one_sentence() {
        let cases = [
            ("p99<20ms", "p99<20ms: is no limit; write a figure, <= or >=, and a value"),
            ("throughputt_tx_per_s<=2", "throughputt_tx_per_s: no such metric; did you mean"),
            ("p99<=20", "20 (p99<=20): is not a duration with a unit; write 10s"),
            ("throughput>=0", "throughput>=0: has no value above 0"),
        ];
        for (text, expected) in cases {
            let refused = of(text).unwrap_err();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }
}
