//! What a run is called: its scenario, and the settings that tell it from others.

use serde_json::Value;

use crate::Record;

/// Parameters that say how long, how often and from which seed a run was measured, not what was:
/// they stand in a label only where nothing else tells two runs apart.
const OF_THE_MEASUREMENT: [&str; 4] = ["duration", "warmup", "repeat", "seed"];

/// The parameters that are told of each run of a scenario, most telling first.
fn telling(scenario: &str) -> &'static [&'static str] {
    match scenario {
        "pow/miner" => &["threads"],
        "merkle/root" => &["rule", "leaves", "threads"],
        _ if scenario.starts_with("signature/") => &["size", "signers"],
        _ if scenario.starts_with("hash/") => &["size"],
        _ if scenario.ends_with("/pipeline") || scenario.ends_with("/view-change") => {
            &["replicas", "payload", "auth", "transport"]
        }
        _ => &[],
    }
}

/// The label of a run that stands alone: its scenario, all telling parameters, and whatever else
/// its command sets.
pub fn of(record: &Record) -> String {
    named(record, telling(&record.scenario).iter().copied().chain(set(record)))
}

/// What tells each of `records` from the others: the scenario, its most telling parameter, the
/// number of threads where there are several, every telling parameter in which two records of the
/// scenario differ, and what its own command sets. Where that leaves two alike, how they were
/// measured; and where nothing does, the row's place in the table, from 1.
pub fn of_all(records: &[&Record]) -> Vec<String> {
    let short: Vec<String> = records.iter().map(|record| among(record, records)).collect();
    let alike = |names: &[String], place: usize| -> Vec<usize> {
        (0..names.len()).filter(|&other| names[other] == names[place]).collect()
    };
    let longer = |(place, name): (usize, &String)| {
        let rivals: Vec<&Record> = alike(&short, place).iter().map(|&r| records[r]).collect();
        let record = records[place];
        let apart = |parameter: &&str| differs(record, &rivals, parameter);
        let measured = OF_THE_MEASUREMENT.into_iter().filter(apart);
        measured.fold(name.clone(), |label, parameter| label + &setting(record, parameter))
    };
    let longer: Vec<String> = short.iter().enumerate().map(longer).collect();
    let numbered = |(place, name): (usize, &String)| match alike(&longer, place).len() {
        1 => name.clone(),
        _ => format!("{name} (row {})", place + 1),
    };
    longer.iter().enumerate().map(numbered).collect()
}

/// The label of `record` as one of `records`, whose settings may all be the same.
fn among(record: &Record, records: &[&Record]) -> String {
    let alike: Vec<&Record> =
        records.iter().copied().filter(|other| other.scenario == record.scenario).collect();
    let told = telling(&record.scenario);
    let shown = |name: &&str| {
        told.first() == Some(name)
            || (*name == "threads" && value(record, name).is_some_and(|threads| threads != "1"))
            || differs(record, &alike, name)
    };
    named(record, told.iter().copied().filter(shown).chain(set(record)))
}

fn differs(record: &Record, others: &[&Record], name: &str) -> bool {
    others.iter().any(|other| value(other, name) != value(record, name))
}

/// The scenario and the named settings, each once.
fn named<'a>(record: &Record, names: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut label = record.scenario.clone();
    for name in names.filter(|name| !is_moot(record, name)) {
        if !seen.contains(&name) {
            seen.push(name);
            label.push_str(&setting(record, name));
        }
    }
    label
}

/// ` name=value`, or nothing where the record has no such parameter.
fn setting(record: &Record, name: &str) -> String {
    value(record, name).map(|value| format!(" {name}={value}")).unwrap_or_default()
}

/// As the configuration holds it; a number as the command spells it, `200k`, where it does.
fn value(record: &Record, name: &str) -> Option<String> {
    match record.config.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => {
            let spelt = commanded(record).find(|(known, _)| *known == name);
            Some(spelt.map_or_else(|| number.to_string(), |(_, text)| text.to_owned()))
        }
        None if name == "seed" => Some(record.seed.to_string()),
        Some(Value::Null) | None => None,
        Some(value) => Some(value.to_string()),
    }
}

/// Whether a parameter changed nothing in this run: only one workload has operations of a size
/// that can be chosen.
fn is_moot(record: &Record, name: &str) -> bool {
    name == "payload" && value(record, "workload").is_some_and(|workload| workload != "fixed")
}

/// What the command that repeats a run sets, besides how it is measured: whatever was set by hand
/// or is not its default.
fn set(record: &Record) -> impl Iterator<Item = &str> {
    let names = commanded(record).map(|(name, _)| name);
    names.filter(|name| !OF_THE_MEASUREMENT.contains(name) && record.config.contains_key(*name))
}

/// Names and values in the command: `--set name=value` and `--name value`.
fn commanded(record: &Record) -> impl Iterator<Item = (&str, &str)> {
    let words = || record.reproduce.split_whitespace();
    words().zip(words().skip(1)).filter_map(|(flag, value)| match flag {
        "--set" => value.split_once('='),
        _ => Some((flag.strip_prefix("--")?, value)),
    })
}
