//! `quorumark profile`, on machines that let it look and on those that do not.

use std::fs;

use quorumark_report::{Folded, Record};

use crate::program::{Ended, Program};

/// Long enough for one busy thread to be found on a core by the slowest of clocks.
const SHORT: &str = "300ms";
/// The same for each of a pipeline's threads, on a machine that is busy with other tests.
const LONGER: &str = "1500ms";

/// The program's end and true, or false where this machine lets nobody look, which it says on one
/// line.
fn profiled(program: &Program, arguments: &[&str], span: &str) -> (Ended, bool) {
    let flags = ["--duration", span, "--warmup", "0s", "--out", "o", "--json"];
    let ended = program.run(&[&["profile"], arguments, &flags].concat());
    let refused = ended.code == Some(1) && ended.stderr.contains("perf cannot sample: ");
    if refused {
        assert_eq!((ended.stderr.matches('\n').count(), ended.stdout.as_str()), (1, ""));
        assert!(!program.path("o").exists(), "what was not measured leaves nothing: {ended:?}");
    }
    (ended, !refused)
}

#[test]
fn a_profile_leaves_a_picture_the_stacks_a_page_and_the_record() {
    let program = Program::new();
    let (ended, looked) = profiled(&program, &["hash/sha256d"], SHORT);
    if !looked {
        return;
    }
    let document = ended.json();
    let stacks = Folded::read(&program.path("o")).unwrap().expect("the stacks are kept");
    assert_eq!(document["samples"], stacks.total());
    assert!(!stacks.is_empty() && !document["functions"].as_array().unwrap().is_empty());
    let picture = fs::read_to_string(program.path("o/flamegraph.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.ends_with("</svg>"), "{picture}");
    assert!(picture.contains("<title>main: "), "the thread that hashes: {picture}");
    let page = fs::read_to_string(program.path("o/index.html")).unwrap();
    assert!(page.contains("Flamegraph") && page.contains("<svg class=\"flame\""));
    let record = Record::read(&program.path("o")).unwrap();
    assert_eq!(ended.code, Some(i32::from(record.verdict.exit_code())), "{ended:?}");
    assert!(record.verdict.has_result(), "{ended:?}");
    assert_eq!(record.samples.len(), 1, "one trial, unless more were asked for");
    assert!(record.warnings.iter().any(|warning| warning.code == "sampled"), "{record:?}");
    program.run(&["report", "o", "--html", "again.html", "--quiet"]).done();
    let again = fs::read_to_string(program.path("again.html")).unwrap();
    assert!(again.contains("<svg class=\"flame\""), "a report of the run shows it too");
}

#[test]
fn a_pipeline_s_samples_stand_below_its_stages_and_threads() {
    for (stages, thread) in [("separate", "r0-order"), ("merged", "r0-whole")] {
        pipeline_s_samples(&format!("stages={stages}"), thread);
    }
}

fn pipeline_s_samples(stages: &str, thread: &str) {
    let program = Program::new();
    let arguments = ["pbft/pipeline", "--set", "auth=none", "--set", stages];
    let (ended, looked) = profiled(&program, &arguments, LONGER);
    if !looked {
        return;
    }
    let stacks = Folded::read(&program.path("o")).unwrap().expect("the stacks are kept");
    let ends: Vec<(String, String)> = stacks
        .iter()
        .filter_map(|(mut frames, _)| Some((frames.next()?.to_owned(), frames.next()?.to_owned())))
        .collect();
    let orders = ends.iter().any(|(stage, by)| (stage.as_str(), by.as_str()) == ("order", thread));
    assert!(orders, "order;{thread} is missing: {ends:?}");
    // The load generator hardly runs: on a busy machine no sample may meet it.
    let strays = ends.iter().find(|(stage, by)| by == "load" && stage != "generator");
    assert_eq!(strays, None, "a sample of the load generator below another stage");
    assert!(ends.iter().all(|(stage, _)| stage != "ended"), "no name for a thread: {ends:?}");
    let stages = ended.json()["stages"].clone();
    let names: Vec<&str> =
        stages.as_array().unwrap().iter().filter_map(|row| row["stage"].as_str()).collect();
    assert_eq!(names[..4], ["ingress", "verify", "order", "execute"]);
    let shares = |column: &str| stages[2][column].as_str().unwrap().ends_with(" %");
    assert!(["samples", "CPU", "busy", "wait", "blocked"].into_iter().all(shares), "{stages}");
}

#[test]
fn without_the_program_perf_one_line_says_how_to_get_it() {
    let program = Program::new().variable("PATH", "");
    let ended =
        program.run(&["profile", "hash/sha256", "--backend", "perf", "--out", "o", "--json"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let told = "error: perf cannot sample: there is no program perf; install Linux's perf, ";
    assert!(ended.stderr.starts_with(told), "{ended:?}");
    assert!(ended.stderr.contains("--features pprof"), "{ended:?}");
    assert_eq!(ended.stderr.matches('\n').count(), 1, "{ended:?}");
    assert!(!program.path("o").exists());
}

#[cfg(not(feature = "pprof"))]
#[test]
fn a_sampler_that_is_not_built_in_is_refused_with_the_way_to_build_it() {
    let ended = Program::new().run(&["profile", "hash/sha256", "--backend", "pprof"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.starts_with("error: this build has no pprof; build with"), "{ended:?}");
    assert_eq!(ended.stderr.matches('\n').count(), 1, "{ended:?}");
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn an_interrupted_profile_keeps_what_was_sampled() {
    let program = Program::new();
    if !profiled(&Program::new(), &["hash/sha256d"], SHORT).1 {
        return;
    }
    let long = ["profile", "hash/sha256d", "--duration", "1h", "--warmup", "0s", "--out", "o"];
    let ended = program.run_interrupted(&long);
    // The press may come before the first pass, or before the first sample.
    assert!([Some(130), Some(1)].contains(&ended.code), "{ended:?}");
    if ended.code == Some(130) && program.path("o").exists() {
        let stacks = Folded::read(&program.path("o")).unwrap().expect("the stacks are kept");
        assert!(!stacks.is_empty() && program.path("o/flamegraph.svg").exists());
    }
}
