//! Bad input of every kind: exit code 2, one line that says where, nothing else.

use std::fs;

use crate::program::{Ended, Program, block, text};

const HASH: &str = "64a50c649fc816baaa2effda230c39cacf1504e4e616a2863685b72aaa7dce05";

/// Exit code 2, nothing on standard output, one line on standard error that says `named`.
pub(crate) fn refused(ended: &Ended, named: &str) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    assert_eq!(ended.stderr.matches('\n').count(), 1, "{ended:?}");
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.ends_with('\n'), "{ended:?}");
    assert!(ended.stderr.contains(named), "{named}: {ended:?}");
    // A remedy stands behind the problem.
    assert!(ended.stderr.contains("; "), "{ended:?}");
    assert!(!ended.stderr.contains("panic"), "{ended:?}");
}

fn all_refused(cases: &[(&str, &str)]) {
    for (arguments, named) in cases {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        refused(&Program::new().run(&arguments), named);
    }
}

#[test]
fn commands_and_flags_that_do_not_exist_or_do_not_go_together() {
    all_refused(&[
        ("rnu", "did you mean run?"),
        ("frobnicate", "known are run, "),
        ("merkle", "requires a subcommand"),
        ("merkle rot", "did you mean root?"),
        ("--bogus", "'--bogus'"),
        ("--json list", "--json: stands before the command"),
        ("run", "<SCENARIO>"),
        ("run pow/miner again", "'again'"),
        ("run pow/miner --threads 2", "--set threads=VALUE"),
        ("run pow/miner --rate 1k --concurrency 2", "'--concurrency <N>'"),
        ("run pow/miner --seed 1 --seed 2", "'--seed <N>'"),
        ("run pow/miner --set", "'--set <NAME=VALUE>'"),
        ("run pow/miner --color sometimes", "[possible values: auto, always, never]"),
        ("profile", "<SCENARIO>"),
        ("profile hash/sha256 --backend gprof", "[possible values: auto, perf, pprof]"),
        ("mine", "--header <HEX>|--puzzle <TEXT>"),
        ("mine --puzzle x", "--difficulty"),
        ("mine --puzzle x --difficulty 1 --header ab", "--header"),
        ("merkle root", "--block <FILE>|--leaves <FILE>"),
        ("merkle root --block a --leaves b", "'--leaves <FILE>'"),
        ("merkle proof --block a --index 1 --tx ab", "'--tx <TXID>'"),
        ("merkle verify --proof p", "--root <HEX>"),
        ("completions tcsh", "[possible values: bash,"),
        ("check", "--history <FILE>"),
        ("check --history h --max-steps many", "not a whole number"),
        ("report", "quorumark-runs: is not here; name a run's folder"),
        ("report . --export csv", "[possible values: bmf, github-action-benchmark,"),
        ("config", "requires a subcommand"),
        ("config show pbft/pipelin", "did you mean pbft/pipeline?"),
        ("config show --set seed=1", "--set: sets a parameter of a scenario; name one"),
        ("config show pow/miner --set thread=1", "did you mean threads?"),
        ("man rnu", "did you mean run?"),
        ("list pow/minr", "did you mean pow/miner?"),
        ("list pow", "did you mean pow/miner?"),
        ("run tour", "the tour is `quorumark` without a command"),
    ]);
}

#[test]
fn scenarios_parameters_and_values_that_do_not_exist() {
    all_refused(&[
        ("run pbft/pipeline --rate 1000000M", "is out of range; choose 0 to 100M"),
        ("run pbft/pipeline --rate 1e12", "is not a rate; write 2000, 20k or 1.5M"),
        ("run pow/minr", "did you mean pow/miner?"),
        ("run nothing/at-all", "`quorumark list` names them"),
        ("run merkle/root --set leavs=4", "did you mean leaves?"),
        ("run merkle/root --set leaves", "write name=value"),
        ("run merkle/root --set leaves=0", "choose 1 to"),
        ("run merkle/root --set leaves=many", "is not a whole number"),
        ("run merkle/root --set leaves=99999999999999999999", "is too large; choose 1 to"),
        ("run merkle/root --set rule=bitcon", "did you mean bitcoin?"),
        ("run merkle/root --set threads=0", "choose 1 to"),
        ("run merkle/root --replicas 4", "replicas (--replicas): no such parameter"),
        ("run hash/sha256 --set size=10parsecs", "write 512B"),
        ("run hash/sha256 --duration 10", "write 10s"),
        ("run hash/sha256 --duration -1s", "is below 0; choose 1ms to"),
        ("run hash/sha256 --duration 0s", "is out of range; choose 1ms to"),
        ("run hash/sha256 --set duration=999us", "is out of range; choose 1ms to"),
        (
            "run hash/sha256 --set duration=1s --duration 2s",
            "duration: is set by --duration and by --set; keep one of them",
        ),
        ("run hash/sha256 --repeat 0", "choose 1 to"),
        ("run hash/sha256 --seed -1", "seed=-1 (--seed): is below 0; choose 0 to"),
        ("run hash/sha256 --config missing.toml", "missing.toml: cannot be read"),
    ]);
    let taken = Program::new().file("taken", "x");
    let out = ["run", "hash/sha256", "--out", "taken/below"];
    refused(&taken.run(&out), "choose another with --out");
    refused(&taken.run(&["--out", "taken"]), "taken: cannot be made a folder");
}

#[test]
fn headers_puzzles_and_nonces_that_cannot_be_mined() {
    let genesis = "01000000".to_owned() + &"00".repeat(32) + &"3b".repeat(32) + "29ab5f49";
    let header = |bits: &str| format!("mine --header {genesis}{bits}00000000");
    let (good, zero, negative) = (header("ffff001d"), header("00000000"), header("ffff801d"));
    let cases = [
        ("mine --header abcd".to_owned(), "4 hex digits, expected 160"),
        (format!("{good}00"), "162 hex digits, expected 160"),
        (good.replace("3b", "zz"), "is no hex digit"),
        (zero, "--header: "),
        (negative, "--header: "),
        (format!("{good} --start-nonce 4294967296"), "choose 0 to 4294967295"),
        (format!("{good} --start-nonce -1"), "--start-nonce"),
        (format!("{good} --threads 0"), "below 1, choose 1 to 1024"),
        (format!("{good} --threads 5000"), "too large, choose 1 to 1024"),
        (format!("{good} --threads two"), "not a whole number"),
        (format!("{good} --difficulty 3"), "--difficulty"),
        (
            "mine --puzzle x --difficulty 65".to_owned(),
            "'65' for '--difficulty <ZEROS>': too large, choose 0 to 64",
        ),
        (
            "mine --puzzle x --difficulty -1".to_owned(),
            "'-1' for '--difficulty <ZEROS>': below 0, choose 0 to 64",
        ),
        ("mine --puzzle x --difficulty five".to_owned(), "not a whole number, such as 4"),
        (
            "mine --puzzle x --difficulty 1 --start-nonce 18446744073709551615".to_owned(),
            "choose 0",
        ),
    ];
    let cases: Vec<(&str, &str)> =
        cases.iter().map(|(line, named)| (line.as_str(), *named)).collect();
    all_refused(&cases);
}

#[test]
fn blocks_that_are_missing_cut_short_changed_or_no_blocks() {
    let raw = fs::read(block("block413567.raw")).unwrap();
    let hex = fs::read_to_string(block("block_13b8a.hex")).unwrap();
    let changed = |at: usize| {
        let mut bytes = raw.clone();
        bytes[at] ^= 1;
        bytes
    };
    let program = Program::new()
        .file("empty", "")
        .file("short", &raw[..79])
        .file("cut", &raw[..raw.len() / 2])
        .file("ten-short", &raw[..raw.len() - 10])
        .file("prose", "# Not a block\n".repeat(20))
        .file("longer", [raw.as_slice(), b"x"].concat())
        .file("zeros", vec![0; 1000])
        .file("noise", (0..60_000u32).map(|i| ((i * i) >> 7) as u8).collect::<Vec<u8>>())
        .file("huge", vec![7; 17 << 20])
        .file("version", changed(0))
        .file("root", changed(40))
        .file("nonce", changed(76))
        .file("transaction", changed(raw.len() - 100))
        .file("odd.hex", &hex[..hex.trim().len() - 1])
        .file("letter.hex", hex.replacen("00", "0g", 1))
        .file(
            "framed",
            [&[0xf9, 0xbe, 0xb4, 0xd9, 0xff, 0xff, 0xff, 0x7f], raw.as_slice()].concat(),
        );
    let cases = [
        ("missing", "missing: cannot be read: no such file"),
        (".", ".: cannot be read: is a directory"),
        ("empty", "empty: is empty"),
        ("short", "short: 79 bytes"),
        ("cut", "cut: the bytes end inside transaction "),
        ("ten-short", "ten-short: the bytes end inside transaction 1556; "),
        ("prose", "prose: is neither a raw block nor hex: character 1"),
        ("longer", "longer: 1 bytes follow"),
        ("zeros", "zeros: "),
        ("noise", "noise: "),
        ("huge", "huge: has more than"),
        ("version", "version: hash "),
        ("root", "root: the transactions have Merkle root"),
        ("nonce", "nonce: hash "),
        ("transaction", "transaction: "),
        ("odd.hex", "an odd number"),
        ("letter.hex", "is no hex digit"),
        ("framed", "framed: "),
    ];
    for (file, named) in cases {
        refused(&program.run(&["merkle", "root", "--block", file]), named);
        refused(&program.run(&["merkle", "proof", "--block", file, "--index", "0"]), named);
    }
}

#[test]
fn histories_that_are_missing_or_hold_a_wrong_line() {
    let put = concat!(
        r#"{"client":0,"id":1,"invoke_ns":10,"return_ns":20,"#,
        r#""operation":{"put":{"key":"a","value":"1"}},"result":"done"}"#
    );
    let program = Program::new()
        .file("text", "no history\n")
        .file("cut", &put[..put.len() - 9])
        .file("twice", format!("{put}\n{put}\n"))
        .file("blank", format!("{put}\n\n"))
        .file("key", put.replace("client", "clinet"))
        .file("type", put.replace("\"1\"", "1"))
        .file("time", put.replace("20", "9"))
        .file("result", put.replace("done", "absent"))
        .file("half", put.replace("\"done\"", "null"))
        .file("long", " ".repeat((1 << 20) + 1))
        .file("binary", [0xff, 0, 1]);
    let cases = [
        ("missing", "missing: cannot be read: no such file"),
        (".", ".: cannot be read: is a directory"),
        ("text", "text:1: is no JSON object"),
        ("cut", "cut:1: is cut short"),
        ("twice", "twice:2: client 0 has a second operation with id 1"),
        ("blank", "blank:2: is blank"),
        ("key", "key:1: is no operation: unknown field `clinet`"),
        ("type", "type:1: is no operation: invalid type: integer `1`"),
        ("time", "time:1: return_ns is 9, before invoke_ns 10"),
        ("result", "result:1: a put has no result absent"),
        ("half", "half:1: return_ns is given and result is null"),
        ("long", "long:1: has more than 1048576 bytes"),
        ("binary", "binary:1: is no JSON object"),
    ];
    for (file, named) in cases {
        refused(&program.run(&["check", "--history", file]), named);
        refused(&program.run(&["check", "--history", file, "--json"]), named);
    }
}

/// A proof of a tree of two leaves with this path.
fn proof_with_path(sibling: &str) -> String {
    let digests = format!(r#""leaf":"{HASH}","root":"{HASH}","path":["{sibling}"]"#);
    format!(r#"{{"rule":"bitcoin","leaf_count":2,"index":0,{digests}}}"#)
}

#[test]
fn transactions_leaves_and_proofs_that_are_wrong() {
    let path = block("block_13b8a.hex");
    let real = text(&path);
    let program = Program::new()
        .file("short", "abcd\n")
        .file("letters", format!("{HASH}\n\n{}\n", HASH.replace('a', "x")))
        .file("blank", "\n \n")
        .file("binary", [0xff, 0xfe, 0, 1])
        .file("no.json", "{\"rule\":")
        .file("list.json", "[]")
        .file("rule.json", "{\"rule\":\"sha1\"}")
        .file("path.json", proof_with_path(&HASH[1..]));
    let cases = [
        (vec!["merkle", "proof", "--block", real, "--index", "9"], "choose 0 to 8"),
        (vec!["merkle", "proof", "--block", real, "--index", "x"], "not a whole number"),
        (vec!["merkle", "proof", "--block", real, "--tx", HASH], "has no transaction"),
        (vec!["merkle", "proof", "--block", real, "--tx", "12"], "--tx: 2 hex digits"),
        (vec!["merkle", "proof", "--block", real, "--index", "1", "--out", "no/p"], "no/p: cannot"),
        (vec!["merkle", "root", "--leaves", "short"], "short:1: 4 hex digits"),
        (vec!["merkle", "root", "--leaves", "letters"], "letters:3: character"),
        (vec!["merkle", "root", "--leaves", "blank"], "holds no leaves"),
        (vec!["merkle", "root", "--leaves", "binary"], "is no text"),
        (vec!["merkle", "root", "--leaves", "short", "--rule", "sha1"], "known are bitcoin"),
        (vec!["merkle", "verify", "--root", HASH, "--proof", "none"], "none: cannot be read"),
        (vec!["merkle", "verify", "--root", HASH, "--proof", "no.json"], "is no proof"),
        (vec!["merkle", "verify", "--root", HASH, "--proof", "list.json"], "rule is missing"),
        (vec!["merkle", "verify", "--root", HASH, "--proof", "rule.json"], "\"sha1\""),
        (vec!["merkle", "verify", "--root", HASH, "--proof", "path.json"], "path: 63 hex digits"),
    ];
    for (arguments, named) in cases {
        refused(&program.run(&arguments), named);
    }
    let proof = ["merkle", "proof", "--block", real, "--index", "1", "--out", "p", "--quiet"];
    program.run(&proof).done();
    refused(&program.run(&["merkle", "verify", "--proof", "p", "--root", "12"]), "--root: 2 hex");
    let leaf = ["merkle", "verify", "--proof", "p", "--root", HASH, "--leaf", "zz"];
    refused(&program.run(&leaf), "--leaf: character 1");
}

#[test]
fn configurations_and_variables_that_are_wrong() {
    let files = [
        ("seed = ", "quorumark.toml:1: is not TOML"),
        ("seed = 1\nreplcas = 4", "quorumark.toml:2: replcas is no parameter"),
        ("[\"pow/minr\"]\nseed = 1", "quorumark.toml:1: [pow/minr] is no scenario"),
        ("[\"pow/miner\"]\nleaves = 1", "quorumark.toml:2: leaves is no parameter"),
        ("seed = [1]", "is a TOML array"),
        ("\n\nduration = 5", "duration=5 (quorumark.toml:3)"),
        ("seed = 1\nseed = 2", "quorumark.toml:2: is not TOML"),
    ];
    for (content, named) in files {
        let program = Program::new().file("quorumark.toml", content);
        refused(&program.run(&["run", "hash/sha256"]), named);
        refused(&program.run(&["config", "show", "hash/sha256"]), named);
    }
    let variables = [
        ("QUORUMARK_SEDE", "1", "did you mean QUORUMARK_SEED?"),
        ("QUORUMARK_SEED", "x", "seed=x (QUORUMARK_SEED)"),
        ("QUORUMARK_CONFIG", "none.toml", "none.toml: cannot be read"),
        ("QUORUMARK_COLOR", "pink", "'pink'"),
    ];
    for (name, value, named) in variables {
        let program = Program::new().variable(name, value);
        refused(&program.run(&["run", "hash/sha256"]), named);
    }
}

#[test]
fn records_that_are_missing_broken_or_of_another_version() {
    let program = Program::new()
        .file("text", "no record")
        .file("half.json", "{\"schema_version\": 1, \"scenario\":")
        .file("other.json", "{\"schema_version\": 99}")
        .file("short.json", "{\"schema_version\": 1}");
    let cases = [
        ("missing", "missing: cannot be read: no such file or directory; name a run's folder"),
        (".", ".: holds no record.json"),
        ("text", "text: is not a record (it is no JSON from line 1 column 2 on); name a run's"),
        ("half.json", "half.json: is not a record"),
        ("other.json", "schema_version 99"),
        ("short.json", "short.json: is not a record"),
    ];
    for (file, named) in cases {
        let ended = program.run(&["report", file]);
        refused(&ended, named);
        for cause in ["no such file", "line 1"] {
            assert!(ended.stderr.to_lowercase().matches(cause).count() <= 1, "{ended:?}");
        }
    }
}

#[test]
fn a_folder_of_several_runs_takes_no_record_of_its_own() {
    let program = Program::new();
    for folder in ["quorumark-runs", "./quorumark-runs/", "elsewhere/quorumark-runs"] {
        let named = "is the folder of all runs; choose a folder of its own with --out";
        refused(&program.run(&["run", "hash/sha256", "--out", folder]), named);
        refused(&program.run(&["--out", folder]), named);
    }
    fs::create_dir_all(program.path("mine/one")).unwrap();
    fs::write(program.path("mine/one/record.json"), "{}").unwrap();
    let ended = program.run(&["run", "hash/sha256", "--out", "mine"]);
    refused(&ended, "mine: holds folders of other runs; choose a folder of its own");
    assert!(!program.path("mine/record.json").exists());
}

#[test]
fn a_folder_that_holds_a_record_keeps_it() {
    let program = Program::new();
    fs::create_dir_all(program.path("o")).unwrap();
    fs::write(program.path("o/record.json"), "the first").unwrap();
    let named = "o: holds the record of an earlier run; choose another with --out, or move it away";
    refused(&program.run(&["run", "hash/sha256", "--out", "o"]), named);
    refused(&program.run(&["--out", "o"]), named);
    assert_eq!(fs::read_to_string(program.path("o/record.json")).unwrap(), "the first");
}
