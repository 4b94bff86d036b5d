//! Verify: all signatures of many messages in one batch.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use quorumark_primitives::signed::{Verified, Verifier};

use crate::link::{Closed, send};
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
    pub(crate) counts: Arc<Counts>,
}

impl<M: Protocol> Verify<M> {
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
        let mut gate = self.verifier.counters();
        while let Ok(mut batch) = self.decoded.recv() {
            watch.waited();
            watch.took(self.decoded.len());
            while batch.len() < self.batch_max
                && let Ok(more) = self.decoded.try_recv()
            {
                batch.extend(more);
            }
            let items = batch.len();
            let verified = self.verify(batch);
            let now = self.verifier.counters();
            self.counts.add_gate(&now, &gate);
            gate = now;
            let sent =
                if verified.is_empty() { Ok(()) } else { send(&self.order, verified, watch) };
            watch.worked(items);
            if sent == Err(Closed) {
                return;
            }
        }
    }

    fn verify(&mut self, mut batch: Vec<M>) -> Vec<Verified<M>> {
        let mut verified = Vec::with_capacity(batch.len());
        let (mut proofs, mut refused, mut requests) = (0, 0, 0);
        self.verifier.verify(&mut batch, |verdict| match verdict {
            Ok(message) => {
                proofs += message.client_proofs();
                verified.push(message);
            }
            Err((message, _)) => {
                refused += 1;
                requests += u64::from(message.sender().is_none());
            }
        });
        Counts::add(&self.counts.client_proofs_verified, proofs);
        Counts::add(&self.counts.values_refused, refused);
        Counts::add(&self.counts.requests_refused, requests);
        verified
    }
}
