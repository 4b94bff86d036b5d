//! Comparisons: verdicts on replayed noise, on records that do not go together, and how they read.

use quorumark_report::compare::judge::{Finding, Limits};
use quorumark_report::compare::noise::{Kind, NoiseFloors};
use quorumark_report::compare::{self, Comparison, Incomparable, Request, Side};
use quorumark_report::terminal::Style;
use quorumark_report::{Metrics, Record, Sample, Verdict};

use crate::golden;

/// What one trial of a trace was: CPU time, rate, and the share of the CPU that it got.
type Trial = (f64, f64, f64);

const QUIET: &str = include_str!("../noise/quiet.txt");
const SHARED: &str = include_str!("../noise/shared.txt");
const STOLEN: &str = include_str!("../noise/stolen.txt");

/// How often each comparison is made.
const SEEDS: u64 = 1000;

fn trace(text: &str) -> Vec<Trial> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let trial = |line: &str| {
        let numbers: Vec<f64> =
            line.split(' ').map(|word| word.parse().expect("a number")).collect();
        (numbers[0], numbers[1], numbers[2])
    };
    lines.map(trial).collect()
}

/// Ten pairs of a system that is as noisy as the trace from a seeded place on, and on side B slower
/// by a factor.
struct Sampler {
    trace: Vec<Trial>,
    records: [Record; 2],
}

impl Sampler {
    fn new(text: &str) -> Sampler {
        Sampler { trace: trace(text), records: [golden(), golden()] }
    }

    fn compare(&mut self, seed: u64, slower: f64) -> Comparison {
        let mut random = Random(seed);
        let start = (random.next() % (self.trace.len() as u64 - 20)) as usize;
        self.records.iter_mut().for_each(|record| record.samples.clear());
        for pair in 0..10 {
            let first = (random.next() % 2) as usize;
            for (place, side) in [first, 1 - first].into_iter().enumerate() {
                let trial = self.trace[start + 2 * pair + place];
                let factor = if side == 1 { slower } else { 1.0 };
                self.records[side].samples.push(sample(pair as u32, trial, factor));
            }
        }
        let request = Request { interleaved: true, ..Request::default() };
        let [a, b] = &self.records;
        let side = |label, record| Side { label, record };
        compare::compare(side("A", a), side("B", b), &request).expect("comparable records")
    }

    /// The share of all seeds in which `finding` was the verdict.
    fn share(&mut self, slower: f64, finding: Finding) -> f64 {
        let found = (0..SEEDS).filter(|seed| self.compare(*seed, slower).finding == finding);
        found.count() as f64 / SEEDS as f64
    }
}

fn sample(index: u32, (cpu, rate, share): Trial, slower: f64) -> Sample {
    let mut metrics = Metrics::new();
    metrics.set("cpu_us_per_tx", cpu * slower);
    metrics.set("throughput_tx_per_s", rate / slower);
    Sample {
        index,
        duration_ns: 100_000_000,
        metrics,
        cpu_share: Some(share),
        contended: share < 0.95,
        verdict: Verdict::Ok,
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

#[test]
fn equal_sides_regress_in_at_most_one_of_a_hundred_comparisons() {
    for (name, text) in [("quiet", QUIET), ("shared", SHARED), ("stolen", STOLEN)] {
        let regressed = Sampler::new(text).share(1.0, Finding::Regressed);
        assert!(regressed <= 0.01, "{name}: {regressed}");
    }
}

#[test]
fn a_slowdown_of_five_percent_is_found_on_a_quiet_machine() {
    let found = Sampler::new(QUIET).share(1.05, Finding::Regressed);
    assert!(found >= 0.95, "{found}");
    let improved = Sampler::new(QUIET).share(1.0 / 1.05, Finding::Improved);
    assert!(improved >= 0.95, "{improved}");
    let unchanged = Sampler::new(QUIET).share(1.0, Finding::Unchanged);
    assert!(unchanged >= 0.8, "{unchanged}");
}

#[test]
fn on_a_stolen_machine_nothing_is_concluded() {
    for slower in [1.0, 1.05] {
        let inconclusive = Sampler::new(STOLEN).share(slower, Finding::Inconclusive);
        assert!(inconclusive >= 0.95, "{slower}: {inconclusive}");
    }
}

/// Ten pairs around 50 us; those of B cost `slower` times as much.
fn steady(slower: f64) -> [Record; 2] {
    [1.0, slower].map(|factor| {
        let mut record = golden();
        let cpu = |index: u32| 50.0 + 0.1 * f64::from(index * 7 % 10);
        let trial = |index: u32| sample(index, (cpu(index), 1e6 / cpu(index), 1.0), factor);
        record.samples = (0..10).map(trial).collect();
        record.verdict = Verdict::Ok;
        record
    })
}

fn compared(records: &[Record; 2], request: &Request) -> Result<Comparison, Incomparable> {
    let [a, b] = records;
    compare::compare(Side { label: "A", record: a }, Side { label: "B", record: b }, request)
}

fn in_turn() -> Request {
    Request { interleaved: true, ..Request::default() }
}

#[test]
fn what_is_of_another_scenario_or_has_no_result_is_refused() {
    let mut records = steady(1.0);
    records[1].scenario = "hash/sha256".to_owned();
    let refused = compared(&records, &in_turn()).unwrap_err();
    assert!(matches!(refused, Incomparable::Scenario { .. }), "{refused}");
    let mut records = steady(1.0);
    records[1].verdict = Verdict::Void;
    records[1].verdict_reason = Some("the rate was not offered".to_owned());
    let refused = compared(&records, &in_turn()).unwrap_err().to_string();
    assert_eq!(
        refused,
        "B is void, so it has no figures: the rate was not offered; measure it again"
    );
    let metrics = vec!["pace_us".to_owned()];
    let refused = compared(&steady(1.0), &Request { metrics, ..in_turn() }).unwrap_err();
    assert!(refused.to_string().starts_with("pace_us: no sample of A has it"), "{refused}");
}

#[test]
fn times_of_two_machines_or_of_a_debug_build_and_a_release_build_are_no_evidence() {
    let mut records = steady(1.5);
    records[1].environment.cpu_model = Some("another".to_owned());
    let found = compared(&records, &in_turn()).unwrap();
    assert_eq!(found.finding, Finding::Inconclusive);
    assert!(found.reason.unwrap().contains("measure both on one machine"));
    let mut records = steady(1.5);
    records[1].provenance.debug_build = !records[0].provenance.debug_build;
    let found = compared(&records, &in_turn()).unwrap();
    assert_eq!(found.finding, Finding::Inconclusive);
    assert!(found.warnings.iter().any(|warning| warning.code == "debug-build"));
}

#[test]
fn on_a_contended_machine_cpu_time_is_judged_and_wall_clock_time_is_not() {
    let mut records = steady(1.2);
    records[0].samples.iter_mut().for_each(|sample| sample.contended = true);
    let found = compared(&records, &in_turn()).unwrap();
    let findings: Vec<Finding> = found.metrics.iter().map(|metric| metric.finding).collect();
    assert_eq!(findings, [Finding::Regressed, Finding::Inconclusive]);
    assert_eq!(found.finding, Finding::Regressed);
    assert!(found.metrics[1].reason.as_deref().unwrap().contains("most samples of A lost the CPU"));
}

#[test]
fn an_exact_counter_that_rose_is_a_regression_and_one_that_varies_decides_nothing() {
    let counted = |a: f64, b: f64, other: f64| {
        let mut records = steady(1.0);
        for (record, count) in records.iter_mut().zip([a, b]) {
            for sample in &mut record.samples {
                sample.metrics.set("signatures_verified_per_tx", count);
                sample.metrics.set("bytes_per_tx", 2591.0 + f64::from(sample.index) * other);
            }
        }
        compared(&records, &in_turn()).unwrap()
    };
    let rose = counted(4.0, 5.0, 1.0);
    assert_eq!(rose.finding, Finding::Regressed);
    let reason = rose.reason.as_deref().unwrap();
    assert_eq!(reason, "signatures_verified_per_tx from 4/tx to 5/tx");
    assert_eq!(rose.counters[1].finding.as_str(), "varies");
    assert_eq!(counted(4.0, 3.0, 1.0).finding, Finding::Improved);
    assert_eq!(counted(4.0, 4.0, 1.0).finding, Finding::Unchanged);
    let text = compare::text(&counted(4.0, 4.000_001, 0.0), Style::default());
    assert!(text.contains("4.000001") && text.contains("more"), "{text}");
}

#[test]
fn what_equal_sides_showed_is_remembered_and_outweighs_a_smaller_change() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new/noise-floors.json");
    let one_program = Request { one_program: true, ..in_turn() };
    let noisy = steady(1.08);
    let found = compared(&noisy, &one_program).unwrap();
    assert!(found.equal_sides && found.finding == Finding::Regressed);
    let kind = Kind::of(&noisy[0], true);
    let mut floors = NoiseFloors::read(&file).unwrap();
    assert!(floors.learn(&found, &kind));
    floors.write(&file).unwrap();
    let learned = NoiseFloors::read(&file).unwrap().learned(&kind);
    assert!((learned["cpu_us_per_tx"] - 0.08).abs() < 1e-9, "{learned:?}");
    let limits = Limits { learned, ..Limits::default() };
    let again = |slower: f64| {
        let mut records = steady(slower);
        records[1].config.insert("batch_size_max".to_owned(), 8.into());
        compared(&records, &Request { limits: limits.clone(), ..in_turn() }).unwrap()
    };
    assert_eq!(again(1.07).finding, Finding::Inconclusive);
    assert_eq!(again(1.09).finding, Finding::Regressed);
    assert!(!floors.learn(&again(1.09), &kind), "its sides are not equal");
    assert!(floors.learned(&Kind::of(&noisy[0], false)).is_empty(), "of another kind");
}

#[test]
fn a_comparison_is_one_document_for_programs_and_reads_back() {
    let found = compared(&steady(1.2), &in_turn()).unwrap();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        (json["schema_version"].as_u64(), json["verdict"].as_str()),
        (Some(1), Some("regressed"))
    );
    let metric = &json["metrics"][0];
    let keys = [
        "metric",
        "higher_is_better",
        "pairs",
        "a",
        "b",
        "change_share",
        "change_share_low",
        "change_share_high",
        "noise_floor_share",
        "p_value",
        "verdict",
        "verdict_reason",
    ];
    assert_eq!(metric.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert_eq!(serde_json::from_value::<Comparison>(json).unwrap(), found);
}

#[test]
fn a_comparison_reads_as_a_table_with_its_answer_first() {
    let request = Request { reproduce: "quorumark compare a b".to_owned(), ..in_turn() };
    let text = compare::text(&compared(&steady(1.2), &request).unwrap(), Style::default());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["pbft/pipeline: regressed", "why: cpu_us_per_tx +20.0 %"], "{text}");
    let row = lines.iter().find(|line| line.starts_with("throughput_tx_per_s")).unwrap();
    assert!(row.contains("-16.7 %") && row.ends_with("regressed"), "{text}");
    assert!(text.contains("10 pairs, measured in turn; a change counts beyond 3 %"), "{text}");
    assert_eq!(*lines.last().unwrap(), "reproduce: quorumark compare a b");
    let markdown = compare::markdown(&compared(&steady(1.0), &request).unwrap());
    assert!(markdown.starts_with("## pbft/pipeline: unchanged\n"), "{markdown}");
    assert!(markdown.contains("| cpu_us_per_tx | "), "{markdown}");
}
