//! Verify: all signatures of many messages in one batch.

use crossbeam_channel::{Receiver, Sender};
use quorumark_primitives::signed::{Refusal, Verified, Verifier};

use crate::link::{Closed, receive, send};
use crate::metrics::{Counts, Stopwatch};
use crate::protocol::Protocol;

/// One verifying thread, with keys and caches of its own. Several of a replica share its queue;
/// what they pass on may overtake each other, as messages on a network may.
#[derive(Debug)]
pub(crate) struct Verify<M> {
    pub(crate) verifier: Verifier,
    pub(crate) decoded: Receiver<Vec<M>>,
    pub(crate) order: Sender<Vec<Verified<M>>>,
    pub(crate) batch_max: usize,
}

impl<M: Protocol> Verify<M> {
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        let mut gate = self.verifier.counters();
        let mut rest = Vec::new();
        while let Some(mut batch) = self.next(&mut rest, watch) {
            watch.took(self.decoded.len());
            while batch.len() < self.batch_max
                && let Ok(more) = self.decoded.try_recv()
            {
                batch.extend(more);
            }
            rest = batch.split_off(batch.len().min(self.batch_max));
            let items = batch.len();
            assert!((1..=self.batch_max).contains(&items), "a batch of {items} messages");
            let verified = self.verify(batch, watch.counts());
            let now = self.verifier.counters();
            watch.counts().add_gate(&now, &gate);
            gate = now;
            let sent =
                if verified.is_empty() { Ok(()) } else { send(&self.order, verified, watch) };
            watch.worked(items);
            if sent == Err(Closed) {
                return;
            }
        }
    }

    /// What did not fit the last batch comes before what waits.
    fn next(&self, rest: &mut Vec<M>, watch: &mut Stopwatch) -> Option<Vec<M>> {
        match rest.is_empty() {
            true => receive(&self.decoded, watch),
            false => Some(std::mem::take(rest)),
        }
    }

    fn verify(&mut self, mut batch: Vec<M>, counts: &Counts) -> Vec<Verified<M>> {
        let mut verified = Vec::with_capacity(batch.len());
        self.verifier.verify(&mut batch, |verdict| match verdict {
            Ok(message) => {
                Counts::add(&counts.client_proofs_verified, message.client_proofs());
                verified.push(message);
            }
            Err((message, refusal)) => {
                Counts::add(&counts.values_refused, 1);
                Counts::add(&counts.requests_refused, u64::from(message.is_request()));
                match refusal {
                    Refusal::Signature => Counts::add(&counts.refused_for_signature, 1),
                    Refusal::Mac => Counts::add(&counts.refused_for_mac, 1),
                    _ => {}
                }
            }
        });
        assert!(batch.is_empty(), "every value got its verdict");
        verified
    }
}
