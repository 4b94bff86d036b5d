//! The file of a history: what is read, what is refused, and with which words.

use quorumark_sim::history::{History, LINE_BYTES_MAX, LineProblem, ReadError};

/// The problem of the first wrong line.
fn refused(text: &str) -> (u64, LineProblem) {
    match History::read(text.as_bytes()) {
        Err(ReadError::Line { line, problem }) => (line, problem),
        other => panic!("{other:?} of {text}"),
    }
}

const PUT: &str = concat!(
    r#"{"client":0,"id":1,"invoke_ns":10,"return_ns":20,"#,
    r#""operation":{"put":{"key":"a","value":"1"}},"result":"done"}"#
);

#[test]
fn a_history_reads_back_as_it_was_written() {
    let lines = [
        PUT,
        concat!(
            r#"{"client":1,"id":1,"invoke_ns":0,"return_ns":0,"#,
            r#""operation":{"get":{"key":"a"}},"result":"absent"}"#
        ),
        concat!(
            r#"{"client":1,"id":2,"invoke_ns":5,"return_ns":25,"#,
            r#""operation":{"get":{"key":"a"}},"result":{"value":"1"}}"#
        ),
        concat!(
            r#"{"client":4294967295,"id":18446744073709551615,"#,
            r#""invoke_ns":18446744073709551615,"return_ns":null,"#,
            r#""operation":{"cas":{"key":"\u0000\n","expected":null,"value":""}},"result":null}"#
        ),
        concat!(
            r#"{"client":2,"id":1,"invoke_ns":5,"return_ns":6,"#,
            r#""operation":{"cas":{"key":"b","expected":"x","value":"y"}},"result":"mismatch"}"#
        ),
    ];
    let text = lines.join("\n");
    let history = History::read(text.as_bytes()).unwrap();
    assert_eq!(history.calls().len(), lines.len());
    let mut written = Vec::new();
    history.write(&mut written).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), format!("{text}\n"));
    // Ends of lines of another system, spaces, and the order of keys mean nothing.
    let spaced = text.replace(':', " : ").replace('\n', "\r\n");
    assert_eq!(History::read(spaced.as_bytes()).unwrap().calls(), history.calls());
    assert!(History::read(&b""[..]).unwrap().calls().is_empty());
}

#[test]
fn each_wrong_line_is_named_with_what_is_wrong() {
    let changes = [
        ("\"client\"", "\"clinet\"", "unknown field `clinet`"),
        ("\"client\":0,", "", "missing field `client`"),
        ("\"client\":0", "\"client\":0,\"client\":0", "duplicate field `client`"),
        ("\"client\":0", "\"client\":-1", "invalid value: integer `-1`"),
        ("\"client\":0", "\"client\":4294967296", "expected u32"),
        ("\"client\":0", "\"client\":\"0\"", "invalid type: string"),
        ("\"id\":1", "\"id\":1.5", "invalid type: floating point"),
        ("\"id\":1", "\"id\":null", "invalid type: null"),
        ("\"invoke_ns\":10", "\"invoke_ns\":18446744073709551616", "invalid type: floating"),
        ("\"return_ns\":20,", "", "missing field `return_ns`"),
        ("\"return_ns\":20", "\"return_ns\":9", "return_ns is 9, before invoke_ns 10"),
        ("\"return_ns\":20", "\"return_ns\":null", "result is given and return_ns is null"),
        (",\"result\":\"done\"", "", "missing field `result`"),
        ("\"done\"", "null", "return_ns is given and result is null"),
        ("\"done\"", "\"ok\"", "unknown variant `ok`"),
        ("\"done\"", "\"absent\"", "a put has no result absent"),
        ("\"done\"", "{\"value\":1}", "invalid type: integer `1`"),
        ("\"done\"", "\"mismatch\"", "a put has no result mismatch"),
        ("\"put\"", "\"ptu\"", "unknown variant `ptu`"),
        ("\"put\"", "\"cas\"", "missing field `expected`"),
        ("\"put\"", "\"get\"", "unknown field `value`"),
        ("\"a\"", "7", "invalid type: integer `7`"),
        ("}},", "}},\"note\":1,", "unknown field `note`"),
    ];
    for (from, to, said) in changes {
        let wrong = PUT.replacen(from, to, 1);
        assert_ne!(wrong, PUT, "{from}");
        let other = PUT.replace("\"id\":1", "\"id\":7");
        let (line, problem) = refused(&format!("{other}\n{wrong}\n"));
        assert_eq!(line, 2);
        assert!(problem.to_string().contains(said), "{said}: {problem}");
        assert!(!problem.remedy().is_empty());
    }
}

#[test]
fn what_is_cut_short_blank_no_json_or_twice_there_is_told_apart() {
    for length in 1..PUT.len() {
        let (line, problem) =
            refused(&format!("{}\n{}", PUT.replace(":1,", ":2,"), &PUT[..length]));
        assert!(matches!(problem, LineProblem::Truncated { .. }), "{length}: {problem}");
        assert_eq!(line, 2);
    }
    assert_eq!(refused(" \n"), (1, LineProblem::Blank));
    assert_eq!(refused(&format!("{PUT}\n\n")), (2, LineProblem::Blank));
    assert!(matches!(refused("client 1 put a\n").1, LineProblem::Syntax { .. }));
    assert!(matches!(refused("[1, 2]\n").1, LineProblem::Form { .. }));
    assert!(matches!(refused(&format!("{PUT} {PUT}")).1, LineProblem::Syntax { .. }));
    let (line, problem) = refused(&format!("{PUT}\n{PUT}\n"));
    assert_eq!(problem.to_string(), "client 0 has a second operation with id 1");
    assert_eq!(line, 2);
    let invalid = [&PUT.as_bytes()[..PUT.len() - 3], &[0xff, b'"', b'}']].concat();
    assert!(History::read(invalid.as_slice()).is_err(), "only UTF-8 is text");
}

#[test]
fn a_line_may_be_as_long_as_the_bound_and_no_longer() {
    let filling = " ".repeat(LINE_BYTES_MAX - PUT.len());
    let longest = format!("{PUT}{filling}");
    assert_eq!(History::read(longest.as_bytes()).unwrap().calls().len(), 1);
    assert_eq!(History::read(format!("{longest}\n").as_bytes()).unwrap().calls().len(), 1);
    for end in ["", "\n"] {
        assert_eq!(refused(&format!("{longest} {end}")), (1, LineProblem::TooLong));
    }
}
