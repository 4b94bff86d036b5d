//! `quorumark config show`: values and where they come from.

use serde_json::{Value, json};

use crate::program::Program;

fn named<'a>(document: &'a Value, list: &str, name: &str) -> &'a Value {
    let all = document[list].as_array().unwrap();
    all.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn every_setting_of_a_run_is_told_with_the_strongest_place_that_sets_it() {
    let file = "seed = 1\nrepeat = 3\n\n[\"hash/sha256\"]\nsize = \"100B\"\n";
    let program = Program::new()
        .file("quorumark.toml", file)
        .variable("QUORUMARK_REPEAT", "4")
        .variable("QUORUMARK_OUT", "there");
    let show = ["config", "show", "hash/sha256", "--duration", "7ms", "--set", "seed=9"];
    let document = program.run(&[&show[..], &["--json"]].concat()).done().json();
    let cases = [
        ("size", json!("100B"), "bytes", "file", json!("quorumark.toml:5")),
        ("repeat", json!(4), "trials", "environment", json!("QUORUMARK_REPEAT")),
        ("duration", json!("7ms"), "time", "flag", json!("--duration")),
        ("seed", json!(9), "", "flag", json!("--set")),
    ];
    for (name, value, unit, kind, place) in cases {
        let setting = named(&document, "parameters", name);
        let expected = json!({
            "name": name, "value": value, "unit": unit,
            "origin": { "kind": kind, "place": place },
        });
        assert_eq!(*setting, expected);
    }
    let warmup = named(&document, "parameters", "warmup");
    assert_eq!(warmup["origin"], json!({ "kind": "default", "place": null }));
    assert_eq!(named(&document, "tool", "config")["value"], "quorumark.toml");
    let out = named(&document, "tool", "out");
    assert_eq!(
        (&out["value"], &out["origin"]["place"]),
        (&json!("there"), &json!("QUORUMARK_OUT"))
    );

    let text = program.run(&[&show[..], &["--origin"]].concat()).done().stdout;
    let line = |name: &str| {
        let found = text.lines().find(|line| line.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name}: {text}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("size"), ["size", "100B", "quorumark.toml:5"]);
    assert_eq!(line("repeat"), ["repeat", "4", "trials", "QUORUMARK_REPEAT"]);
    assert_eq!(line("color"), ["color", "auto", "default"]);
    let bare = program.run(&show).done().stdout;
    assert!(!bare.contains("quorumark.toml:5") && bare.contains("100B"), "{bare}");
}

#[test]
fn what_is_shown_is_what_a_run_uses() {
    let program = Program::new()
        .file("quorumark.toml", "[\"hash/sha256\"]\nsize = \"64B\"\nrepeat = 2\n")
        .variable("QUORUMARK_WARMUP", "0s");
    let short = ["hash/sha256", "--duration", "1ms", "--json"];
    let shown = program.run(&[&["config", "show"], &short[..]].concat()).done().json();
    let ran = program.run(&[&["run"], &short[..]].concat()).json();
    for setting in shown["parameters"].as_array().unwrap() {
        let name = setting["name"].as_str().unwrap();
        let used = if name == "seed" { &ran["seed"] } else { &ran["config"][name] };
        assert_eq!(&setting["value"], used, "{name}");
    }
}

#[test]
fn the_tool_s_own_settings_need_no_scenario() {
    let program = Program::new().variable("QUORUMARK_COLOR", "never");
    let document = program.run(&["config", "show", "--json"]).done().json();
    assert!(
        document["parameters"].as_array().unwrap().is_empty() && document["scenario"].is_null()
    );
    let color = named(&document, "tool", "color");
    assert_eq!(
        (&color["value"], &color["origin"]["kind"]),
        (&json!("never"), &json!("environment"))
    );
    let flag = program.run(&["config", "show", "--json", "--color", "always"]).done().json();
    assert_eq!(named(&flag, "tool", "color")["origin"]["place"], "--color");
    assert_eq!(named(&flag, "tool", "config")["value"], Value::Null);
}
