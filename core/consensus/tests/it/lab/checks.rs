//! What must hold of a lab, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};

use quorumark_consensus::Seq;

use super::{Entry, Lab};

impl Lab {
    /// Every pair of ledgers agrees where both have an entry, none has a gap but where a state was
    /// taken over, and none ran anything twice.
    pub(crate) fn check_ledgers(&self) {
        let mut all: BTreeMap<Seq, &Entry> = BTreeMap::new();
        for member in &self.members {
            let mut ran = BTreeSet::new();
            let mut last = Seq(0);
            for (seq, entry) in &member.ledger {
                let closed = member.restored.contains(&Seq(seq.0 - 1));
                assert!(*seq == last.next() || closed, "a gap in the order before {seq}");
                entry.1.iter().for_each(|id| assert!(ran.insert(*id), "{id:?} ran twice"));
                assert_eq!(all.entry(*seq).or_insert(entry), &entry, "ledgers disagree at {seq}");
                last = *seq;
            }
        }
    }

    /// Whatever is answered to a request for good, by whomever and however often, it was executed
    /// once, and where its client took a tentative answer to be.
    pub(crate) fn check_replies(&self) {
        for (id, by_replica) in &self.replies {
            let all = by_replica.values().flatten().filter(|reply| !reply.tentative);
            let mut all = all.map(|reply| (reply.seq, &reply.result));
            let first = all.next();
            assert!(all.all(|reply| Some(reply) == first), "{id:?} has two answers");
        }
        for request in &self.asked {
            let Some(seq) = self.acknowledged_at(request) else { continue };
            for member in &self.members {
                let Some((_, ran)) = member.ledger.get(&seq) else { continue };
                assert!(ran.contains(&request.id()), "{:?} was answered at {seq}", request.id());
            }
        }
    }
}
