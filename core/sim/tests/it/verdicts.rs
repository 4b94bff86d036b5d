//! Verdicts of the checker that are known beforehand, and what it costs to reach them.

use quorumark_sim::history::{Answer, History, Operation, Outcome};
use quorumark_sim::linearizability::{Budget, Doubt, Reason, Report, Verdict, Violation, check};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::generator::{Shape, Words, calls};

/// A history of one key: client, start, end, operation, result; `-` for none.
fn history(lines: &[&str]) -> History {
    let object = |line: &str, id: usize| {
        let words: Vec<&str> = line.split(' ').collect();
        let [client, start, end, ref operation @ .., result] = words[..] else { panic!("{line}") };
        let text = |word: &str| match word {
            "-" => "null".to_owned(),
            word => format!("\"{word}\""),
        };
        let operation = match *operation {
            ["get"] => r#"{"get":{"key":"a"}}"#.to_owned(),
            ["put", value] => format!(r#"{{"put":{{"key":"a","value":"{value}"}}}}"#),
            ["cas", expected, value] => {
                let expected = text(expected);
                format!(r#"{{"cas":{{"key":"a","expected":{expected},"value":"{value}"}}}}"#)
            }
            _ => panic!("{line}"),
        };
        let result = match result {
            "absent" | "done" | "mismatch" | "-" => text(result),
            value => format!("{{\"value\":\"{value}\"}}"),
        };
        let end = if end == "-" { "null" } else { end };
        format!(
            "{{\"client\":{client},\"id\":{id},\"invoke_ns\":{start},\"return_ns\":{end},\
             \"operation\":{operation},\"result\":{result}}}"
        )
    };
    let lines: Vec<String> = lines.iter().enumerate().map(|(id, line)| object(line, id)).collect();
    History::read(lines.join("\n").as_bytes()).unwrap()
}

fn verdict(history: &History) -> Verdict {
    check(history, Budget::default()).verdict
}

fn violation(history: &History) -> Violation {
    match verdict(history) {
        Verdict::Violated(violation) => *violation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn herlihy_wing_2_a_read_may_see_a_write_under_way_and_none_may_go_back() {
    let forwards = ["0 0 100 put x done", "1 10 20 get absent", "1 30 40 get x"];
    assert_eq!(verdict(&history(&forwards)), Verdict::Linearizable);
    let backwards = ["0 0 100 put x done", "1 10 20 get x", "1 30 40 get absent"];
    assert_eq!(violation(&history(&backwards)).call.id.0, 2);
}

#[test]
fn a_stale_read_is_shown_with_the_write_that_it_missed_and_nothing_else() {
    let history = history(&[
        "0 0 10 put x done",
        "3 12 14 get x",
        "1 20 30 put y done",
        "3 31 39 get y",
        "2 40 50 get x",
        "0 60 70 put z done",
    ]);
    let violation = violation(&history);
    assert_eq!((violation.call.id.0, violation.reason), (4, Reason::NoOrder));
    let sentence = "key \"a\": client 2's get (id 4) found \"x\", but no order of 2 operations \
                    allows it, whatever the key held before";
    assert_eq!(violation.sentence(&history), sentence);
    let lines = [
        "31 to 39 ns: client 3's get (id 3) found \"y\"",
        "40 to 50 ns: client 2's get (id 4) found \"x\"",
    ];
    assert_eq!(violation.lines(&history), lines);
}

#[test]
fn a_value_that_nobody_wrote_before_is_told_as_such() {
    let history = history(&["0 0 10 put x done", "2 15 20 get y", "1 30 40 put y done"]);
    let violation = violation(&history);
    assert_eq!(violation.reason, Reason::Unwritten);
    let sentence = violation.sentence(&history);
    assert!(sentence.ends_with("but nobody had begun to write \"y\" by then"), "{sentence}");
}

#[test]
fn both_results_of_a_compare_and_swap_say_what_the_key_held() {
    let right = [
        ["0 0 10 put x done", "1 20 30 cas x y done", "2 40 50 get y"],
        ["0 0 10 put x done", "1 20 30 cas y z mismatch", "2 40 50 get x"],
        ["0 0 10 cas - x done", "1 20 30 cas - y mismatch", "2 40 50 get x"],
        // The failure needs the put in between.
        ["0 0 10 put x done", "1 20 40 cas x z mismatch", "2 25 35 put y done"],
    ];
    for lines in right {
        assert_eq!(verdict(&history(&lines)), Verdict::Linearizable, "{lines:?}");
    }
    let wrong = [
        ["0 0 10 put x done", "1 20 30 cas x y mismatch", "2 40 50 get x"],
        ["0 0 10 put x done", "1 20 30 cas - y done", "2 40 50 get y"],
        ["0 0 10 put x done", "1 20 30 cas x y done", "2 20 30 cas x z done"],
    ];
    for lines in wrong {
        assert!(matches!(verdict(&history(&lines)), Verdict::Violated(_)), "{lines:?}");
    }
    let alone = history(&["0 0 10 cas - x mismatch"]);
    let sentence = violation(&alone).sentence(&alone);
    assert!(sentence.ends_with("but the key held nothing, and nobody was writing"), "{sentence}");
}

#[test]
fn what_was_never_answered_may_take_effect_late_or_never_but_not_early_or_twice() {
    let right: [&[&str]; 4] = [
        &["0 0 - put x -", "1 10 20 get absent", "1 90 99 get x"],
        &["0 0 - put x -", "1 10 20 get absent", "1 90 99 get absent"],
        &["0 0 - cas - x -", "1 10 20 put y done", "1 30 40 get y"],
        // Its effect alone explains the failure.
        &["0 0 10 put x done", "1 0 - put y -", "2 20 30 cas x z mismatch"],
    ];
    for lines in right {
        assert_eq!(verdict(&history(lines)), Verdict::Linearizable, "{lines:?}");
    }
    let wrong: [&[&str]; 3] = [
        &["1 10 20 get x", "0 30 - put x -"],
        &["0 0 - put x -", "1 10 20 get x", "1 30 40 put y done", "1 50 60 get x"],
        &["0 0 - cas z x -", "1 10 20 get x"],
    ];
    for lines in wrong {
        assert!(matches!(verdict(&history(lines)), Verdict::Violated(_)), "{lines:?}");
    }
}

#[test]
fn calls_that_touch_in_one_moment_overlap() {
    let touching = history(&["0 0 10 put x done", "1 10 20 get absent"]);
    assert_eq!(verdict(&touching), Verdict::Linearizable);
    let apart = history(&["0 0 10 put x done", "1 11 20 get absent"]);
    assert!(matches!(verdict(&apart), Verdict::Violated(_)));
}

#[test]
fn a_history_without_answers_checks_nothing() {
    for lines in [&[][..], &["0 0 - put x -", "1 5 - get -"]] {
        assert_eq!(verdict(&history(lines)), Verdict::Unknown(Doubt::NothingChecked));
    }
}

/// A run as long as those that are measured.
const LONG: Shape = Shape {
    clients: 16,
    operations: 100_000,
    keys: 8,
    values: 100_000,
    delay_max: 1_000,
    unanswered: 0,
};

/// Puts that all overlap, and afterwards two reads that contradict each other: every order of the
/// puts has to be tried.
fn hard(puts: usize) -> History {
    let mut lines: Vec<String> =
        (0..puts).map(|put| format!("{put} 0 100 put v{put} done")).collect();
    lines.extend(["50 200 210 get v0".to_owned(), "50 220 230 get v1".to_owned()]);
    history(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_spent_budget_is_unknown_and_never_a_pass() {
    let few = Budget { steps_max: 100_000, ..Budget::default() };
    let Report { verdict, steps, .. } = check(&hard(30), few);
    assert_eq!(verdict, Verdict::Unknown(Doubt::BudgetSpent { keys_undecided: 1 }));
    assert_eq!(steps, few.steps_max);
    // The same, small enough to be decided; and without room to remember it takes longer.
    let decided = check(&hard(6), Budget::default());
    assert!(matches!(decided.verdict, Verdict::Violated(_)));
    let forgetful = check(&hard(6), Budget { memory_bytes_max: 0, ..Budget::default() });
    assert_eq!(forgetful.verdict, decided.verdict);
    assert!(forgetful.steps > decided.steps, "{} {}", forgetful.steps, decided.steps);
}

#[test]
fn a_run_that_lost_one_answer_in_fifty_is_decided_within_the_budget() {
    let shape = Shape { operations: 20_000, unanswered: 2, ..LONG };
    let words = Words::new(shape);
    let calls = calls(shape, &words, &mut ChaCha8Rng::seed_from_u64(7));
    let report = check(&words.history(&calls), Budget::default());
    assert_eq!(report.verdict, Verdict::Linearizable);
    assert!(report.unanswered > 300 && report.steps < 200 * 20_000, "{report:?}");
}

#[test]
fn a_long_run_costs_few_steps_an_operation_and_one_wrong_answer_in_it_is_found() {
    let shape = LONG;
    let words = Words::new(shape);
    let mut calls = calls(shape, &words, &mut ChaCha8Rng::seed_from_u64(42));
    let report = check(&words.history(&calls), Budget::default());
    assert_eq!(report.verdict, Verdict::Linearizable);
    assert_eq!((report.operations, report.keys), (100_000, 8));
    assert!(report.steps < 20 * 100_000, "{}", report.steps);
    // A get far inside answers what a get of the same key answered long before.
    let gets: Vec<usize> = (0..calls.len())
        .filter(|&at| calls[at].operation == Operation::Get && calls[at].key == words.keys[3])
        .collect();
    let (old, late) = (gets[100], gets[gets.len() / 2]);
    let outcome = calls[old].answer.unwrap().outcome;
    assert!(matches!(outcome, Outcome::Value(_)));
    calls[late].answer = calls[late].answer.map(|answer| Answer { outcome, ..answer });
    let history = words.history(&calls);
    let found = violation(&history);
    assert!(found.window.contains(&calls[late]), "{}", found.sentence(&history));
    assert!(found.window.len() <= 10, "{:#?}", found.lines(&history));
}
