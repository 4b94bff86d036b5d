//! Ways to break a good trace, each named after what it claims, with the check that has to see it.

mod orders;
mod states;
mod votes;

use std::sync::Arc;

use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Tag;
use quorumark_sim::check::Check;
use quorumark_sim::trace::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::model::{self, Run};

/// One way to break a trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Break {
    pub(crate) name: &'static str,
    pub(crate) seen_by: Check,
    /// Breaks the trace; `false` and nothing done, when it has nothing that could be broken so.
    apply: fn(&mut Patient) -> bool,
}

/// Every way.
pub(crate) fn all() -> Vec<Break> {
    [votes::BREAKS, orders::BREAKS, states::BREAKS].concat()
}

impl Break {
    /// The broken run of the first seed from `seed` on, in steps of 10,000, that can be broken so.
    pub(crate) fn of_seed(self, seed: u64) -> Run {
        let mut seeds = (0..100).map(|nth| seed + 10_000 * nth);
        let broken = seeds.find_map(|seed| {
            let random = ChaCha8Rng::seed_from_u64(seed ^ 0xb4ea);
            let mut patient = Patient { run: model::run(seed), random };
            (self.apply)(&mut patient).then_some(patient.run)
        });
        broken.unwrap_or_else(|| panic!("no run can be broken by: {}", self.name))
    }
}

/// A run while it is being broken.
#[derive(Debug)]
struct Patient {
    run: Run,
    random: ChaCha8Rng,
}

impl Patient {
    /// The place of a fact that `wanted` picks: the first one from a drawn place on.
    fn any(&mut self, wanted: impl Fn(&Run, &Fact) -> bool) -> Option<usize> {
        let start = self.random.random_range(0..self.run.events.len());
        let places = (start..self.run.events.len()).chain(0..start);
        let mut picked = places.filter(|at| wanted(&self.run, &self.run.events[*at].fact));
        picked.next()
    }

    fn fact(&mut self, at: usize) -> &mut Fact {
        &mut self.run.events[at].fact
    }

    /// Puts a fact in behind the place `at`, at the same time.
    fn insert_after(&mut self, at: usize, fact: Fact) {
        let event = Event { at: self.run.events[at].at, fact };
        self.run.events.insert(at + 1, event);
    }

    fn quorum(&self) -> usize {
        let n = usize::from(self.run.header.replicas);
        n - (n - 1) / 3
    }

    /// Signs a commit by every replica.
    fn certify(
        &self,
        view: View,
        seq: Seq,
        digest: Digest,
    ) -> Arc<[(ReplicaId, quorumark_primitives::ed25519::Signature)]> {
        let keys = self.run.keys;
        let ids = (0..self.run.header.replicas).map(ReplicaId);
        ids.map(|by| (by, keys.commit(by, view, seq, digest))).collect()
    }

    /// Breaks one fact that `change` accepts; it says whether it changed it.
    fn alter(
        &mut self,
        wanted: impl Fn(&Run, &Fact) -> bool,
        change: impl FnOnce(&mut Fact),
    ) -> bool {
        let Some(at) = self.any(wanted) else { return false };
        change(self.fact(at));
        true
    }

    /// Changes what every honest replica committed and executed at one sequence number that
    /// `wanted` picks.
    fn rewrite(
        &mut self,
        wanted: impl Fn(&Executed) -> bool,
        change: impl Fn(&mut Executed),
    ) -> bool {
        let Some(at) = self.any(|run, fact| executed(run, fact).is_some_and(&wanted)) else {
            return false;
        };
        let Fact::Executed(model) = self.fact(at) else { return false };
        let mut model = Executed::clone(model);
        change(&mut model);
        let Executed { seq, digest, ref requests, ref fresh, .. } = model;
        for at in 0..self.run.events.len() {
            let certified = match &self.run.events[at].fact {
                Fact::Committed(it) if it.seq == seq => Some(self.certify(it.view, seq, digest)),
                _ => None,
            };
            match self.fact(at) {
                Fact::Committed(it) if it.seq == seq => {
                    (it.digest, it.requests) = (digest, Arc::clone(requests));
                    it.certificate = certified.unwrap();
                }
                Fact::Executed(it) if it.seq == seq => {
                    let it = Arc::make_mut(it);
                    (it.digest, it.requests) = (digest, Arc::clone(requests));
                    it.fresh.clone_from(fresh);
                }
                _ => {}
            }
        }
        true
    }
}

fn said<'a>(run: &Run, fact: &'a Fact) -> Option<&'a Said> {
    match fact {
        Fact::Said(it) if run.header.is_honest(it.replica) => Some(it),
        _ => None,
    }
}

fn committed<'a>(run: &Run, fact: &'a Fact) -> Option<&'a Committed> {
    match fact {
        Fact::Committed(it) if run.header.is_honest(it.replica) => Some(it),
        _ => None,
    }
}

fn executed<'a>(run: &Run, fact: &'a Fact) -> Option<&'a Executed> {
    match fact {
        Fact::Executed(it) if run.header.is_honest(it.replica) => Some(it),
        _ => None,
    }
}

/// How many honest replicas executed a sequence number.
fn executions(run: &Run, seq: Seq) -> usize {
    let executions = run.events.iter().filter_map(|event| executed(run, &event.fact));
    let mut who: Vec<ReplicaId> =
        executions.filter(|it| it.seq == seq).map(|it| it.replica).collect();
    who.sort_unstable();
    who.dedup();
    who.len()
}

fn digest_of(requests: &[Ordered]) -> Digest {
    static BATCH: Tag = Tag::new(b"quorumark/batch");
    let mut hash = BATCH.hasher();
    hash.update(&(requests.len() as u32).to_le_bytes());
    requests.iter().for_each(|request| hash.update(&request.digest.0));
    hash.finish()
}

fn flip(digest: &mut Digest) {
    digest.0[7] ^= 4;
}
