//! An order that somebody believes in, such as that in which a cluster says it executed.
//!
//! An order of all acts in which every answer is right, and which no start and end contradict, is
//! the very thing that the definition asks for: where the believed order is one, nothing needs to be
//! searched. Where it is none, that says nothing, and the search decides.

use std::collections::BTreeMap;

use super::register::{Act, State};
use crate::history::{Call, OperationId};

/// Operations by their place in a believed order.
pub type Believed = BTreeMap<OperationId, u64>;

/// Whether the believed order shows that these calls, all of one key, are linearizable.
pub(super) fn shows(calls: &[Call], believed: &Believed) -> bool {
    let acts = calls.iter().filter_map(Act::of);
    let placed: Vec<_> = acts.map(|act| (believed.get(&act.call.id), act)).collect();
    if placed.iter().any(|(place, act)| place.is_none() && act.must()) {
        return false;
    }
    let mut placed: Vec<_> =
        placed.into_iter().filter_map(|(place, act)| Some((*place?, act))).collect();
    placed.sort_by_key(|(place, _)| *place);
    let (mut state, mut latest_start) = (State::INITIAL, None);
    for (_, act) in placed {
        let end = act.call.answer.map(|answer| answer.at);
        if end.is_some_and(|end| Some(end) < latest_start) {
            return false;
        }
        match act.apply(state) {
            Some(next) => state = next,
            None if act.must() => return false,
            // Nobody was told what it did: here it had no effect.
            None => continue,
        }
        latest_start = latest_start.max(Some(act.call.invoked));
    }
    true
}

#[cfg(test)]
mod tests {
    use quorumark_consensus::types::{ClientId, Instant};

    use super::super::{Budget, Verdict, check_believing};
    use super::*;
    use crate::history::{Answer, History, Operation, Outcome};

    /// Ten writes at once, and reads one after the other of the given values.
    fn history(reads: &[u64]) -> History {
        let mut history = History::new();
        let key = history.key("k").unwrap();
        let mut id = 0;
        let mut record = |history: &mut History, from, to, operation, outcome| {
            let (client, call_id) = (ClientId(id as u32), OperationId(id));
            id += 1;
            let answer = Some(Answer { at: Instant(to), outcome });
            let invoked = Instant(from);
            let call = Call { client, id: call_id, invoked, key, operation, answer };
            history.record(call).unwrap();
        };
        for write in 0..10u64 {
            let value = history.value(&write.to_string()).unwrap();
            record(&mut history, 0, 1_000, Operation::Put(value), Outcome::Done);
        }
        for (nth, read) in (0u64..).zip(reads) {
            let value = history.value(&read.to_string()).unwrap();
            let from = 100 * (nth + 1);
            record(&mut history, from, from + 10, Operation::Get, Outcome::Value(value));
        }
        history
    }

    fn believed(order: &[u64]) -> Believed {
        (0..).zip(order).map(|(place, id)| (OperationId(*id), place)).collect()
    }

    #[test]
    fn an_order_that_does_is_the_proof_and_one_that_does_not_changes_no_verdict() {
        let good = history(&[3, 7]);
        let order = [0, 1, 2, 3, 10, 4, 5, 6, 7, 11, 8, 9];
        let report = check_believing(&good, &believed(&order), Budget::default());
        assert_eq!((report.verdict, report.steps), (Verdict::Linearizable, 0));
        for wrong in [&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0][..], &[3, 10], &[]] {
            let report = check_believing(&good, &believed(wrong), Budget::default());
            assert_eq!(report.verdict, Verdict::Linearizable);
            assert!(report.steps > 0, "it was searched");
        }
        let bad = history(&[3, 7, 3]);
        for order in [&[3, 10, 7, 11, 12, 0, 1, 2, 4, 5, 6, 8, 9][..], &[]] {
            let report = check_believing(&bad, &believed(order), Budget::default());
            assert!(matches!(report.verdict, Verdict::Violated(_)), "{order:?}");
        }
    }

    #[test]
    fn an_order_that_contradicts_an_answer_and_a_later_start_is_no_proof() {
        let calls = history(&[3, 7]).calls().to_vec();
        // The second read before the first one, which had its answer before the second began.
        let order = [0, 1, 2, 7, 11, 3, 10, 4, 5, 6, 8, 9];
        assert!(!shows(&calls, &believed(&order)));
    }
}
