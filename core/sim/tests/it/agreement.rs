//! Our checker against stateright's, over histories that are right and histories that are broken.

use quorumark_sim::history::{Call, Value};
use quorumark_sim::linearizability::{Budget, Reason, Verdict, Violation, check};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::generator::{Shape, Words, break_by_hand, calls};
use crate::store::{Store, stateright_says_linearizable};

/// Histories of each kind.
const HISTORIES: usize = 5_000;

fn small(rng: &mut ChaCha8Rng) -> Shape {
    Shape {
        clients: rng.random_range(2..=4),
        operations: rng.random_range(3..=9),
        keys: rng.random_range(1..=2),
        values: rng.random_range(1..=4),
        delay_max: rng.random_range(1..=12),
        unanswered: [0, 0, 15, 30][rng.random_range(0..4usize)],
    }
}

/// The checker's verdict, whose evidence must hold before the independent tester too.
fn is_linearizable(words: &Words, calls: &[Call], seed: usize) -> bool {
    let history = words.history(calls);
    match check(&history, Budget::default()).verdict {
        Verdict::Linearizable => true,
        Verdict::Violated(violation) => {
            assert_evidence(&violation, &words.values, seed);
            let sentence = violation.sentence(&history);
            assert!(sentence.starts_with("key \"k"), "seed {seed}: {sentence}");
            assert_eq!(violation.lines(&history).len(), violation.window.len());
            false
        }
        Verdict::Unknown(doubt) => {
            assert!(calls.iter().all(|call| call.answer.is_none()), "seed {seed}: {doubt:?}");
            true
        }
    }
}

/// The window alone has no order, whatever the key held before, as far as it says so.
fn assert_evidence(violation: &Violation, values: &[Value], seed: usize) {
    let Violation { key, call, window, reason } = violation;
    assert!(window.contains(call) && window.iter().all(|call| call.key == *key), "seed {seed}");
    let mut before = vec![Store::default()];
    if *reason == Reason::NoOrder {
        before.extend(values.iter().map(|&value| Store([(*key, value)].into())));
    }
    for store in before {
        let shown = format!("seed {seed}: {violation:?} after {store:?}");
        assert!(!stateright_says_linearizable(window, store), "{shown}");
    }
}

#[test]
fn the_checker_agrees_with_stateright_on_10_000_small_histories_half_of_them_broken() {
    let (mut right, mut broken) = (0, 0);
    for seed in 0.. {
        if right == HISTORIES && broken == HISTORIES {
            break;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let shape = small(&mut rng);
        let words = Words::new(shape);
        let mut calls = calls(shape, &words, &mut rng);
        if right < HISTORIES {
            right += 1;
            assert!(stateright_says_linearizable(&calls, Store::default()), "seed {seed}");
            assert!(is_linearizable(&words, &calls, seed), "seed {seed}");
        }
        break_by_hand(&mut calls, &words, &mut rng);
        if broken < HISTORIES {
            let expected = stateright_says_linearizable(&calls, Store::default());
            assert_eq!(is_linearizable(&words, &calls, seed), expected, "seed {seed}");
            // One that is right by chance was compared, and is not counted.
            broken += usize::from(!expected);
        }
    }
    assert_eq!((right, broken), (HISTORIES, HISTORIES));
}
