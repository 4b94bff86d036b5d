//! Commands that measure nothing, and what every command owes its streams.

use std::process::Stdio;

use crate::program::{Ended, Program};

#[test]
fn the_list_names_scenarios_parameters_and_defaults() {
    let ended = Program::new().run(&["list"]).done();
    for name in ["pow/miner", "merkle/root", "signature/batch-verify", "hash/blake3"] {
        assert!(ended.stdout.contains(name), "{name}");
    }
    assert!(ended.stdout.lines().count() < 40, "a list fits a screen: {ended:?}");
    assert!(ended.stdout.contains("quorumark list SCENARIO"), "{ended:?}");
    let document = Program::new().run(&["list", "--json"]).done().json();
    let scenarios = document["scenarios"].as_array().unwrap();
    assert!(scenarios.len() >= 9);
    for scenario in scenarios {
        let parameters = scenario["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "seed"), "{scenario}");
        assert!(!scenario["metrics"].as_array().unwrap().is_empty());
    }
    let one = Program::new().run(&["list", "merkle/root"]).done();
    assert!(one.stdout.contains("leaves_per_s") && !one.stdout.contains("pow/miner"));
    assert!(one.stdout.contains("1ms to") && one.stdout.contains("seed"), "{one:?}");
    let hash = Program::new().run(&["list", "hash/sha256"]).done();
    assert!(hash.stdout.contains("`tune` searches nothing of it by itself"), "{hash:?}");
}

#[test]
fn the_list_tells_what_tune_searches_between_which_values_and_why() {
    let one = Program::new().run(&["list", "pbft/pipeline"]).done().stdout;
    let tuned = one.split("searched by tune").nth(1).unwrap_or_else(|| panic!("{one}"));
    assert!(tuned.contains("16, 32 .. 1024") && tuned.contains("batch, single"), "{tuned}");
    let document = Program::new().run(&["list", "pbft/pipeline", "--json"]).done().json();
    let tunables = document["scenarios"][0]["tunables"].as_array().unwrap();
    assert!(tunables.iter().any(|tunable| tunable["name"] == "window"), "{document}");
    for tunable in tunables {
        let (name, effect) =
            (tunable["name"].as_str().unwrap(), tunable["effect"].as_str().unwrap());
        assert!(tuned.contains(name) && !effect.is_empty() && tuned.contains(effect), "{name}");
        assert!(tunable["values"].as_array().unwrap().len() > 1, "{tunable}");
    }
}

#[test]
fn every_known_answer_holds() {
    let ended = Program::new().run(&["verify"]).done();
    assert!(ended.stdout.trim_end().ends_with("checks, all ok"), "{ended:?}");
    let document = Program::new().run(&["verify", "--json"]).done().json();
    assert_eq!(document["passed"], true);
    assert!(document["checks"].as_array().unwrap().len() > 20);
}

#[test]
fn the_doctor_judges_by_exit_code_and_trusts_no_debug_build() {
    let ended = Program::new().run(&["doctor", "--json"]);
    let document = ended.json();
    let trusted = document["trusted"] == true;
    assert_eq!(ended.code, Some(if trusted { 0 } else { 4 }), "{ended:?}");
    assert!(!(trusted && cfg!(debug_assertions)));
    let ended = Program::new().run(&["doctor"]);
    assert!(ended.stdout.contains("SIMD path of SHA-256"), "{ended:?}");
}

#[test]
fn the_doctor_measures_the_limits_and_every_kernel_s_share_of_them() {
    let document = Program::new().run(&["doctor", "--limits", "--json"]).json();
    let limits = &document["limits"];
    assert!(limits["rounds"].as_u64().is_some_and(|rounds| rounds > 0), "{limits}");
    assert!(limits["clock_ghz"].as_f64().is_some_and(|clock| clock > 0.0), "{limits}");
    for limit in limits["limits"].as_array().unwrap() {
        for text in ["name", "unit", "how", "path"] {
            assert!(limit[text].as_str().is_some_and(|text| !text.is_empty()), "{limit}");
        }
        assert!(limit["cost"].is_null() || limit["cost"]["median"].is_number(), "{limit}");
    }
    for kernel in limits["kernels"].as_array().unwrap() {
        assert!(kernel["cost"]["min"].as_f64().is_some_and(|cost| cost > 0.0), "{kernel}");
        assert!(kernel["cost"]["min_cycles"].is_number(), "{kernel}");
        assert_eq!(kernel["floor"].is_null(), kernel["limit_share"].is_null(), "{kernel}");
        let share = kernel["limit_share"].as_f64();
        assert!(share.is_none_or(|share| share > 0.0 && share < 1.5), "{kernel}");
    }
    let bare = Program::new().run(&["doctor", "--json"]).json();
    assert!(bare.get("limits").is_none(), "only who asks waits for them");
}

#[test]
fn the_schema_is_json_and_completions_name_the_commands() {
    let schema = Program::new().run(&["schema"]).done().json();
    assert!(schema["properties"]["verdict"].is_object());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = Program::new().run(&["completions", shell]).done();
        assert!(ended.stdout.contains("merkle"), "{shell}");
    }
}

#[test]
fn help_and_version_are_data_and_name_the_exit_codes() {
    let help = Program::new().run(&["--help"]).done();
    assert!(help.stdout.contains("130") && help.stderr.is_empty(), "{help:?}");
    let version = Program::new().run(&["--version"]).done();
    assert_eq!(version.stdout, format!("quorumark {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let coloured = |program: Program, arguments: &[&str]| {
        program.run(arguments).done().stdout.contains('\u{1b}')
    };
    let list = ["list", "hash/sha256"];
    let forced = || Program::new().variable("CLICOLOR_FORCE", "1");
    assert!(!coloured(Program::new(), &list));
    assert!(coloured(forced(), &list));
    assert!(!coloured(forced().variable("NO_COLOR", "1"), &list));
    assert!(coloured(Program::new(), &["list", "hash/sha256", "--color", "always"]));
    assert!(!coloured(forced(), &["list", "hash/sha256", "--color=never"]));
    assert!(!coloured(forced().variable("QUORUMARK_COLOR", "never"), &list));
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let program = Program::new();
    let mut command = program.command(&["completions", "bash"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_with_the_stream_that_met_it() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let program = Program::new();
    let mut command = program.command(&["list"]);
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("error: standard output cannot be written: "), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_cannot_be_printed_still_says_where_its_record_is() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let program = Program::new();
    let short = ["--duration", "1ms", "--warmup", "0s", "--repeat", "1", "--out", "o"];
    let mut command = program.command(&[["run", "hash/sha256"].as_slice(), &short].concat());
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("record: o/record.json\n"), "{ended:?}");
    assert!(ended.stderr.contains("error: standard output cannot be written: "), "{ended:?}");
    assert!(program.path("o/record.json").exists(), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_standard_output_is_no_success() {
    let program = Program::new();
    let shell = |redirected: &str| {
        let mut command = std::process::Command::new("sh");
        let binary = env!("CARGO_BIN_EXE_quorumark");
        command.args(["-c", &format!("'{binary}' schema {redirected}")]);
        Ended::of(command.current_dir(program.path(".")).output().unwrap())
    };
    let ended = shell(">&-");
    let told = "error: standard output cannot be written: it is closed\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), told));
    assert_eq!(shell("> /dev/null").code, Some(0), "a null device that was asked for is open");
    assert_eq!(shell("<> /dev/null >&0").code, Some(0), "however it was opened");
}

#[test]
fn every_parameter_is_listed_with_its_unit_default_range_and_effect() {
    let document = Program::new().run(&["list", "--json"]).done().json();
    for scenario in document["scenarios"].as_array().unwrap() {
        for parameter in scenario["parameters"].as_array().unwrap() {
            let text = |key: &str| parameter[key].as_str().unwrap_or_default();
            assert!(!text("effect").is_empty() && !text("allowed").is_empty(), "{parameter}");
            assert!(!parameter["default"].is_null(), "{parameter}");
            // A seed counts nothing; words and flags have no unit.
            let bare = ["choice", "flag"].contains(&text("kind")) || parameter["name"] == "seed";
            assert_eq!(text("unit").is_empty(), bare, "{}: {parameter}", scenario["name"]);
        }
        let name = scenario["name"].as_str().unwrap();
        let shown = Program::new().run(&["list", name]).done().stdout;
        for parameter in scenario["parameters"].as_array().unwrap() {
            for key in ["name", "effect", "allowed"] {
                assert!(shown.contains(parameter[key].as_str().unwrap()), "{name}: {parameter}");
            }
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let program = Program::new();
    let main = program.run(&["man"]).done().stdout;
    assert!(main.contains(".TH quorumark 1") && main.contains("quorumark\\-merkle(1)"), "{main}");
    let root = program.run(&["man", "merkle", "root"]).done().stdout;
    assert!(root.contains(".TH quorumark-merkle-root 1"), "{root}");
    assert!(root.contains("\\fBquorumark merkle root\\fR ["), "as it is typed: {root}");
    assert!(root.contains("\\-\\-leaves") && root.contains("Examples"), "{root}");
    let told = program.run(&["man", "--out", "m/man1"]).done();
    let written: Vec<_> = std::fs::read_dir(program.path("m/man1")).unwrap().collect();
    assert!(told.stderr.starts_with(&format!("{} pages: ", written.len())), "{told:?}");
    assert!(program.path("m/man1/quorumark-run.1").exists() && written.len() > 18);
}
