//! The simple puzzle: SHA-256 of the data and then the decimal nonce.

use quorumark_chain::miner::{Miner, Outcome, Stop};
use quorumark_chain::puzzle::{NONCE_END, Puzzle};
use quorumark_primitives::hash::sha256;

fn solve(threads: usize, data: &str, difficulty: u32) -> (u64, String) {
    let puzzle = Puzzle::new(data.as_bytes(), difficulty).unwrap();
    let miner = Miner::new(threads).unwrap();
    let mined = puzzle.solve(&miner, 0..NONCE_END, &Stop::new());
    let solution = mined.outcome.found().unwrap();
    assert!(mined.statistics.hashes() > solution.nonce);
    (solution.nonce, solution.digest.to_string())
}

#[test]
fn the_lowest_nonce_is_found_by_any_number_of_threads() {
    for (data, difficulty) in [("hello world", 3), ("", 2), ("quorumark", 0)] {
        let zeros = "0".repeat(difficulty as usize);
        let digest = |nonce: &u64| sha256(format!("{data}{nonce}").as_bytes()).to_string();
        let expected = (0..).find(|nonce| digest(nonce).starts_with(&zeros)).unwrap();
        for threads in [1, 2, 4] {
            assert_eq!(solve(threads, data, difficulty), (expected, digest(&expected)));
        }
    }
}

#[test]
fn a_range_without_an_answer_is_exhausted() {
    let puzzle = Puzzle::new(b"hello world", 64).unwrap();
    let miner = Miner::new(2).unwrap();
    let mined = puzzle.solve(&miner, 5..20_005, &Stop::new());
    assert_eq!((mined.outcome, mined.statistics.hashes()), (Outcome::Exhausted, 20_000));
    let beyond = puzzle.solve(&miner, u64::MAX - 5..u64::MAX, &Stop::new());
    assert_eq!((beyond.outcome, beyond.statistics.hashes()), (Outcome::Exhausted, 0));
}

#[test]
fn a_puzzle_can_be_stopped() {
    let puzzle = Puzzle::new(b"hello world", 64).unwrap();
    let stop = Stop::new();
    let handle = stop.clone();
    let mined = std::thread::scope(|scope| {
        scope.spawn(move || handle.stop());
        puzzle.solve(&Miner::new(2).unwrap(), 0..NONCE_END, &stop)
    });
    assert_eq!(mined.outcome, Outcome::Stopped);
}
