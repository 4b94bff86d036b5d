//! Every scenario in a tiny configuration: verdict, metrics of the contract, checks.

use quorumark_harness::{Host, Origin, ParameterSet, Run, Scenario, run, scenario};
use quorumark_report::Verdict;

use crate::described::is_listed;

/// The settings that make each scenario tiny.
fn tiny(name: &str) -> &'static [&'static str] {
    match name {
        "pow/miner" => &["hashes=4096", "threads=2"],
        "merkle/root" => &["leaves=1000", "threads=2"],
        "merkle/proof" => &["leaves=100"],
        "signature/sign" | "signature/verify" => &["size=8"],
        "signature/batch-verify" => &["size=16"],
        _ => &[],
    }
}

pub(crate) fn run_tiny(scenario: &dyn Scenario, settings: &[&str]) -> Run {
    let spec = scenario.spec();
    let mut parameters = ParameterSet::new(spec.parameters);
    let common = ["duration=1ms", "warmup=0s", "repeat=2"];
    for setting in common.iter().chain(tiny(spec.name)).chain(settings) {
        let set = parameters.assign(setting, Origin::Flag("--set".to_owned()));
        set.expect("the settings of a test are right");
    }
    run(scenario, &parameters, Host::quiet()).expect("a tiny run needs nothing special")
}

/// The metrics that the contract names, by scenario.
fn contract(name: &str) -> &'static [&'static str] {
    match name {
        "pow/miner" => &["hashes_per_s", "cpu_ns_per_hash"],
        "merkle/root" => &["leaves_per_s", "leaves_per_cpu_s"],
        "merkle/proof" => &["proofs_per_s", "hashes_per_proof"],
        "hash/sha256" | "hash/sha256d" | "hash/blake3" => &["cpu_ns_per_hash", "bytes_per_s"],
        "signature/batch-verify" => {
            &["cpu_us_per_signature", "dalek_cpu_us_per_signature", "ratio_to_dalek"]
        }
        _ => &["cpu_us_per_signature"],
    }
}

fn kernels() -> impl Iterator<Item = &'static dyn Scenario> {
    scenario::all().into_iter().filter(|scenario| !scenario.spec().name.starts_with("pbft/"))
}

#[test]
fn every_kernel_scenario_gives_the_metrics_of_the_contract() {
    for scenario in kernels() {
        let spec = scenario.spec();
        let record = run_tiny(scenario, &[]).record;
        assert_ne!(record.verdict, Verdict::Fail, "{}: {:?}", spec.name, record.verdict_reason);
        assert_eq!(record.samples.len(), 2, "{}", spec.name);
        for name in contract(spec.name) {
            let value = record.metrics.get(name);
            assert!(value.is_some_and(|value| value > 0.0), "{} {name} {value:?}", spec.name);
        }
        for metric in spec.metrics.iter().chain(&scenario::COMMON_METRICS) {
            assert!(record.metrics.contains(metric.name), "{} {}", spec.name, metric.name);
        }
        is_listed(&record, scenario, &[]);
        let checks: u64 = record.oracle.values().map(|check| check.evaluated).sum();
        assert!(checks > 2, "{}: {:?}", spec.name, record.oracle);
        assert!(record.reproduce.starts_with(&format!("quorumark run {}", spec.name)));
    }
}

#[test]
fn every_path_rule_and_thread_count_passes_its_checks() {
    let cases: [(&str, &[&str]); 11] = [
        ("hash/sha256d", &["path=portable"]),
        ("hash/sha256d", &["size=80B"]),
        ("hash/blake3", &["size=16B"]),
        ("merkle/root", &["rule=rfc6962", "threads=1"]),
        ("merkle/root", &["rule=blake3"]),
        ("merkle/proof", &["rule=rfc6962", "leaves=1"]),
        ("pow/miner", &["path=portable", "threads=1"]),
        ("signature/batch-verify", &["path=dalek", "size=3"]),
        ("signature/batch-verify", &["path=equation", "size=16"]),
        ("signature/verify", &["path=single", "size=8"]),
        ("signature/sign", &["path=dalek", "signers=3"]),
    ];
    for (name, settings) in cases {
        let record = run_tiny(scenario::find(name).unwrap(), settings).record;
        assert_ne!(record.verdict, Verdict::Fail, "{name}: {:?}", record.verdict_reason);
    }
}

#[test]
fn a_path_that_was_chosen_stands_in_the_provenance() {
    let scenario = scenario::find("pow/miner").unwrap();
    let record = run_tiny(scenario, &["path=portable"]).record;
    assert_eq!(record.provenance.simd["sha256"], "portable");
}

#[test]
fn a_proof_from_the_real_block_has_eleven_hashes() {
    let record = run_tiny(scenario::find("merkle/proof").unwrap(), &["leaves=1557"]).record;
    assert_eq!(record.metrics.get("hashes_per_proof"), Some(11.0));
}

#[test]
fn settings_that_contradict_each_other_are_refused_before_anything_runs() {
    let scenario = scenario::find("hash/sha256d").unwrap();
    let mut parameters = ParameterSet::new(scenario.spec().parameters);
    for setting in ["size=80B", "path=portable"] {
        parameters.assign(setting, Origin::Flag("--set".to_owned())).unwrap();
    }
    let refused = run(scenario, &parameters, Host::quiet()).unwrap_err().to_string();
    assert_eq!(
        refused,
        "size=80B path=portable: the paths hash messages of 64 bytes; set size=64B or path=auto"
    );
}

#[test]
fn an_unknown_scenario_is_refused_with_what_was_meant() {
    let refused = |name| scenario::find(name).err().map(|error| error.to_string());
    let near = "merkle/rooot: no such scenario; did you mean merkle/root?";
    assert_eq!(refused("merkle/rooot").as_deref(), Some(near));
    let far = "nonsense: no such scenario; `quorumark list` names them";
    assert_eq!(refused("nonsense").as_deref(), Some(far));
    let area = "hash: no such scenario; did you mean hash/sha256 or hash/sha256d or hash/blake3?";
    assert_eq!(refused("hash").as_deref(), Some(area));
    let tour = "tour: no such scenario; the tour is `quorumark` without a command";
    assert_eq!(refused("tour").as_deref(), Some(tour));
}
