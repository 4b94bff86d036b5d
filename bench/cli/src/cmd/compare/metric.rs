//! Metrics as people call them: `throughput`, `p99`, `cpu`.

use quorumark_harness::Spec;
use quorumark_harness::parameter::suggestion;
use quorumark_report::Record;

use crate::refused::Refused;

/// Every figure that a trial of the scenario may have. Of latencies the table names few quantiles.
pub(in crate::cmd) fn of_spec(spec: &Spec) -> Vec<String> {
    let mut names: Vec<String> = spec.metrics.iter().map(|metric| metric.name.to_owned()).collect();
    names.push("cpu_share".to_owned());
    for metric in spec.metrics {
        if let Some(stem) = metric.name.strip_suffix("_p50") {
            let more = ["p90", "p99", "p999", "max"].map(|quantile| format!("{stem}_{quantile}"));
            let unknown = more.into_iter().filter(|name| !names.contains(name));
            names.extend(unknown.collect::<Vec<_>>());
        }
    }
    names
}

/// Every figure that a sample of the record has.
pub(super) fn of_record(record: &Record) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, value) in record.samples.iter().flat_map(|sample| sample.metrics.iter()) {
        if value.is_some() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The full names of what was asked for, each once.
pub(in crate::cmd) fn resolve(asked: &[String], known: &[String]) -> Result<Vec<String>, Refused> {
    let mut names: Vec<String> = Vec::new();
    for asked in asked.iter().map(|name| name.trim()) {
        let name = full_name(asked, known)?;
        if names.contains(name) {
            return Err(Refused::new("--metric", format!("names {name} twice"), "keep one"));
        }
        names.push(name.clone());
    }
    Ok(names)
}

/// The metric of that name; else the first that begins with it, or ends in it, at a word.
fn full_name<'a>(asked: &str, known: &'a [String]) -> Result<&'a String, Refused> {
    let begins =
        |name: &&String| name.strip_prefix(asked).is_some_and(|rest| rest.starts_with('_'));
    let ends = |name: &&String| name.strip_suffix(asked).is_some_and(|rest| rest.ends_with('_'));
    let exact = known.iter().find(|name| *name == asked);
    let short = || known.iter().find(begins).or_else(|| known.iter().find(ends));
    exact.or_else(short).ok_or_else(|| {
        let names = known.iter().map(String::as_str);
        let remedy = match suggestion(asked, names) {
            Some(near) => format!("did you mean {near}?"),
            None => "`quorumark list SCENARIO` names the figures".to_owned(),
        };
        Refused::new(asked, "no such metric", remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorumark_harness::scenario;

    fn of(asked: &[&str]) -> Result<Vec<String>, String> {
        let known = of_spec(&scenario::find("pbft/pipeline").unwrap().spec());
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        resolve(&asked, &known).map_err(|error| error.to_string())
    }

    #[test]
    fn a_metric_is_found_by_its_beginning_or_its_end() {
        let names = of(&["throughput", "p99", "cpu", "commit_last_ns_p90"]).unwrap();
        let expected =
            ["throughput_tx_per_s", "response_time_ns_p99", "cpu_us_per_tx", "commit_last_ns_p90"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_metric_that_is_none_is_refused_with_the_near_one() {
        let refused = of(&["cpu_us_pre_tx"]).unwrap_err();
        assert_eq!(refused, "cpu_us_pre_tx: no such metric; did you mean cpu_us_per_tx?");
        assert!(of(&["zzz"]).unwrap_err().contains("quorumark list"));
        let twice = of(&["cpu", "cpu_us_per_tx"]).unwrap_err();
        assert_eq!(twice, "--metric: names cpu_us_per_tx twice; keep one");
    }
}
