//! `quorumark mine`.

use crate::program::Program;

/// Mainnet's header at height 0, its nonce (2083236893) set to zero.
const GENESIS: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3\
    edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d00000000";
const GENESIS_HASH: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

#[test]
fn the_genesis_nonce_is_found_with_any_number_of_threads() {
    for threads in ["1", "2", "3"] {
        let near = ["mine", "--header", GENESIS, "--start-nonce", "2083200000"];
        let arguments = [near.as_slice(), &["--threads", threads]].concat();
        let ended = Program::new().run(&arguments).done();
        assert_eq!((ended.value("nonce"), ended.value("hash")), ("2083236893", GENESIS_HASH));
        let expected = format!("{}1dac2b7c", &GENESIS[..152]);
        assert_eq!(ended.value("header"), expected);
        assert!(ended.value("tried").contains("hashes in "), "{ended:?}");
    }
}

#[test]
fn the_puzzle_has_one_answer_at_any_number_of_threads() {
    let answers = [("3", "6742"), ("4", "49967"), ("5", "")];
    for (difficulty, nonce) in answers {
        let solve = |threads: &str| {
            let puzzle = ["mine", "--puzzle", "hello world", "--difficulty", difficulty];
            let arguments = [puzzle.as_slice(), &["--threads", threads]].concat();
            Program::new().run(&arguments).done()
        };
        let (one, two) = (solve("1"), solve("2"));
        assert_eq!(one.value("nonce"), two.value("nonce"));
        assert!(nonce.is_empty() || one.value("nonce") == nonce, "{one:?}");
        let zeros = "0".repeat(difficulty.parse().unwrap());
        assert!(one.value("hash").starts_with(&zeros), "{one:?}");
        assert_eq!(one.value("text"), format!("hello world{}", one.value("nonce")));
    }
}

#[test]
fn a_search_without_an_answer_says_so_in_one_document_and_by_exit_code_1() {
    let last = ["mine", "--header", GENESIS, "--start-nonce", "4294967000", "--json"];
    let ended = Program::new().run(&last);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document = ended.json();
    assert_eq!((&document["outcome"], &document["hashes"]), (&"exhausted".into(), &296.into()));
    assert!(ended.stderr.contains("no nonce is left"), "{ended:?}");
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn an_interrupted_search_ends_with_130_and_tells_what_was_tried() {
    // A puzzle that nobody solves.
    let arguments = ["mine", "--puzzle", "x", "--difficulty", "64", "--json"];
    let ended = Program::new().run_interrupted(&arguments);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert_eq!(ended.json()["outcome"], "interrupted");
}
