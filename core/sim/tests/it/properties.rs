//! What holds of every history, whatever is in it.

use proptest::prelude::*;
use quorumark_consensus::types::{ClientId, Instant};
use quorumark_sim::history::{Answer, Call, Operation, OperationId, Outcome};
use quorumark_sim::linearizability::{Budget, Doubt, Verdict, check};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::generator::{Shape, Words, calls};

/// Runs of several clients that are linearizable by construction.
fn runs() -> impl Strategy<Value = (Words, Vec<Call>)> {
    let shape = (1..7usize, 1..60usize, 1..4usize, 1..6usize, 1..30u64, 0..20u32);
    (shape, any::<u64>()).prop_map(|(shape, seed)| {
        let (clients, operations, keys, values, delay_max, unanswered) = shape;
        let shape = Shape { clients, operations, keys, values, delay_max, unanswered };
        let words = Words::new(shape);
        let calls = calls(shape, &words, &mut ChaCha8Rng::seed_from_u64(seed));
        (words, calls)
    })
}

/// Whether the calls pass; where none has an answer, nothing can be wrong.
fn passes(words: &Words, calls: &[Call]) -> bool {
    let verdict = check(&words.history(calls), Budget::default()).verdict;
    matches!(verdict, Verdict::Linearizable | Verdict::Unknown(Doubt::NothingChecked))
}

/// Each client writes a value of its own and reads it back, one call after the other.
fn writes_and_reads(words: &Words) -> Vec<Call> {
    let mut calls = Vec::new();
    for (round, value) in words.values.iter().enumerate() {
        let both =
            [(Operation::Put(*value), Outcome::Done), (Operation::Get, Outcome::Value(*value))];
        for (operation, outcome) in both {
            let id = calls.len() as u64;
            calls.push(Call {
                client: ClientId(round as u32),
                id: OperationId(id),
                invoked: Instant(10 * id),
                key: words.keys[0],
                operation,
                answer: Some(Answer { at: Instant(10 * id + 5), outcome }),
            });
        }
    }
    calls
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_run_of_a_store_passes_and_so_does_its_every_prefix(
        (words, calls) in runs(),
        cut in 0..400u64,
    ) {
        prop_assert!(passes(&words, &calls));
        let begun = calls.iter().filter(|call| call.invoked.0 <= cut);
        let prefix: Vec<Call> = begun
            .map(|call| Call { answer: call.answer.filter(|answer| answer.at.0 <= cut), ..*call })
            .collect();
        prop_assert!(passes(&words, &prefix));
    }

    #[test]
    fn forgetting_answers_or_stretching_calls_breaks_nothing(
        (words, mut calls) in runs(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..50u64), 0..10),
    ) {
        for (index, stretch) in changes {
            let call = index.get_mut(&mut calls);
            call.invoked = Instant(call.invoked.0.saturating_sub(stretch));
            // Those that are not stretched lose their answer instead.
            call.answer = call.answer.filter(|_| stretch > 0).map(|answer| Answer {
                at: Instant(answer.at.0 + stretch),
                ..answer
            });
        }
        prop_assert!(passes(&words, &calls));
    }

    #[test]
    fn the_order_of_lines_means_nothing((words, calls) in runs(), seed in any::<u64>()) {
        use rand::seq::SliceRandom;

        let mut shuffled = calls.clone();
        shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let report = |calls: &[Call]| check(&words.history(calls), Budget::default());
        prop_assert_eq!(report(&calls), report(&shuffled));
    }

    #[test]
    fn reads_of_writes_that_do_not_overlap_cannot_swap_their_results(
        values in 2..20usize,
        picked in any::<[prop::sample::Index; 2]>(),
    ) {
        let words = Words::new(Shape {
            clients: 1,
            operations: 0,
            keys: 1,
            values,
            delay_max: 1,
            unanswered: 0,
        });
        let mut calls = writes_and_reads(&words);
        prop_assert!(passes(&words, &calls));
        let [one, other] = picked.map(|index| 2 * index.index(words.values.len()) + 1);
        prop_assume!(one != other);
        let (first, second) = (calls[one].answer, calls[other].answer);
        let swapped = |own: Option<Answer>, foreign: Option<Answer>| {
            own.zip(foreign).map(|(own, foreign)| Answer { outcome: foreign.outcome, ..own })
        };
        calls[one].answer = swapped(first, second);
        calls[other].answer = swapped(second, first);
        prop_assert!(!passes(&words, &calls));
    }
}
