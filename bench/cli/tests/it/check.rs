//! `quorumark check` on histories that are right, wrong, and neither.

use std::fmt::Write;

use crate::program::Program;

/// A line of a history: a put of `value` to the key `a`, or a get that found it.
fn line(id: usize, times: (u64, u64), operation: &str, value: &str) -> String {
    let (start, end) = times;
    let (operation, result) = match operation {
        "put" => (format!(r#"{{"put":{{"key":"a","value":"{value}"}}}}"#), "\"done\"".to_owned()),
        _ => (r#"{"get":{"key":"a"}}"#.to_owned(), format!(r#"{{"value":"{value}"}}"#)),
    };
    format!(
        "{{\"client\":0,\"id\":{id},\"invoke_ns\":{start},\"return_ns\":{end},\
         \"operation\":{operation},\"result\":{result}}}\n"
    )
}

/// Two puts one after the other, and then a get that finds `value`.
fn two_puts_and_a_get(value: &str) -> String {
    let puts = line(0, (0, 10), "put", "x") + &line(1, (20, 30), "put", "y");
    puts + &line(2, (40, 50), "get", value)
}

#[test]
fn a_linearizable_history_ends_with_0() {
    let program = Program::new().file("h.jsonl", two_puts_and_a_get("y"));
    let ended = program.run(&["check", "--history", "h.jsonl"]).done();
    assert_eq!(ended.value("verdict"), "linearizable");
    assert_eq!(ended.value("operations"), "3, 0 unanswered");
    assert_eq!((ended.value("keys"), ended.value("steps")), ("1", "5"));
    let ended = program.run_with_input(&["check", "--history", "-"], two_puts_and_a_get("y"));
    assert_eq!(ended.done().value("verdict"), "linearizable");
    let document = program.run(&["check", "--history", "h.jsonl", "--json"]).done().json();
    assert_eq!((&document["verdict"], &document["operations"]), (&"ok".into(), &3.into()));
    assert!(document["violation"].is_null() && document["doubt"].is_null());
}

#[test]
fn a_stale_read_ends_with_10_and_shows_the_operations_that_contradict_each_other() {
    let program = Program::new().file("h.jsonl", two_puts_and_a_get("x"));
    let ended = program.run(&["check", "--history", "h.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(10), ""), "{ended:?}");
    let verdict = "not linearizable: key \"a\": client 0's get (id 2) found \"x\", but no order of \
                   2 operations allows it, whatever the key held before";
    assert_eq!(ended.value("verdict"), verdict);
    assert_eq!(ended.value("evidence"), "20 to 30 ns: client 0's put of \"y\" (id 1) was done");
    assert!(ended.stdout.contains("40 to 50 ns: client 0's get (id 2) found \"x\""), "{ended:?}");
    let ended = program.run(&["check", "--history", "h.jsonl", "--json"]);
    assert_eq!(ended.code, Some(10));
    let document = ended.json();
    assert_eq!(document["verdict"], "fail");
    assert_eq!(document["violation"]["operation"]["id"], 2);
    assert_eq!(document["violation"]["evidence"].as_array().unwrap().len(), 2);
}

#[test]
fn what_checks_nothing_or_spends_its_steps_ends_with_4() {
    let unanswered = line(0, (0, 1), "put", "x").replace(":1,", ":null,");
    let unanswered = unanswered.replace("\"done\"", "null");
    let mut hard = String::new();
    for put in 0..30 {
        write!(hard, "{}", line(put, (0, 100), "put", &put.to_string())).unwrap();
    }
    hard += &(line(30, (200, 210), "get", "0") + &line(31, (220, 230), "get", "1"));
    let program =
        Program::new().file("empty", "").file("unanswered", unanswered).file("hard", hard);
    let cases = [
        ("empty", "unknown: no operation has an answer, so nothing was checked"),
        ("unanswered", "unknown: no operation has an answer, so nothing was checked"),
        ("hard", "unknown: the steps were spent with 1 key undecided; raise --max-steps, or check"),
    ];
    for (file, said) in cases {
        let arguments = ["check", "--history", file, "--max-steps", "10000"];
        let ended = program.run(&arguments);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.value("verdict").starts_with(said), "{ended:?}");
        let json = program.run(&[arguments.as_slice(), &["--json"]].concat());
        assert_eq!((json.code, &json.json()["verdict"]), (Some(4), &"inconclusive".into()));
    }
}
