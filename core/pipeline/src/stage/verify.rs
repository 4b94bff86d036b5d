//! Verify: all signatures of many messages in one batch.

use crossbeam_channel::{Receiver, Sender};
use quorumark_primitives::signed::{GateCounters, Refusal, Verified, Verifier};

use super::Recall;
use crate::link::{Closed, receive, send};
use crate::metrics::{Counts, Stopwatch};
use crate::protocol::Protocol;

/// One verifying thread, with keys and caches of its own. Several of a replica share its queue;
/// what they pass on may overtake each other, as messages on a network may.
#[derive(Debug)]
pub(crate) struct Verify<M> {
    pub(crate) gate: Gate<M>,
    pub(crate) decoded: Receiver<Vec<M>>,
    pub(crate) order: Sender<Vec<Verified<M>>>,
    pub(crate) batch_max: usize,
}

/// What turns messages into verified ones.
#[derive(Debug)]
pub(crate) struct Gate<M> {
    verifier: Verifier,
    /// One for all threads of the replica.
    recall: Recall<M>,
    /// What the verifier had counted at the last batch.
    counted: GateCounters,
}

impl<M: Protocol> Verify<M> {
    pub(crate) fn run(mut self, watch: &mut Stopwatch) {
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
            let mut verified = Vec::with_capacity(items);
            self.gate.verify(&mut batch, &mut verified, watch.counts());
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
}

impl<M: Protocol> Gate<M> {
    pub(crate) fn new(verifier: Verifier, recall: Recall<M>) -> Gate<M> {
        let counted = verifier.counters();
        Gate { verifier, recall, counted }
    }

    /// Judges what is new, and then what repeats it: a repeat gets the verdict of the first. Empties
    /// the batch; what passes is appended.
    pub(crate) fn verify(
        &mut self,
        batch: &mut Vec<M>,
        verified: &mut Vec<Verified<M>>,
        counts: &Counts,
    ) {
        let repeats = self.recall.take_repeats(batch);
        self.judge(batch, verified, counts);
        let mut unknown = Vec::new();
        for repeat in repeats {
            match self.recall.find(&repeat) {
                Some(known) => {
                    Counts::add(&counts.proposals_recalled, 1);
                    verified.push(known);
                }
                // The first was refused, or is forgotten by now.
                None => unknown.push(repeat),
            }
        }
        self.judge(&mut unknown, verified, counts);
        let now = self.verifier.counters();
        counts.add_gate(&now, &self.counted);
        self.counted = now;
    }

    fn judge(&mut self, batch: &mut Vec<M>, verified: &mut Vec<Verified<M>>, counts: &Counts) {
        let recall = &self.recall;
        self.verifier.verify(batch, |verdict| match verdict {
            Ok(message) => {
                Counts::add(&counts.client_proofs_verified, message.client_proofs());
                recall.remember(&message);
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
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use quorumark_consensus::pbft::{Message, PrePrepare};
    use quorumark_consensus::{
        Batch, ClientId, ClientProof, ReplicaId, Request, Seq, SignedRequest, Timestamp, View,
    };
    use quorumark_primitives::signed::{ClientAuth, Sealable, Signed};
    use quorumark_primitives::wire::{Decode, Encode};

    use super::super::recall::REMEMBERED;
    use super::*;
    use crate::config::{Checked, ClientAuthKind, ClusterConfig};
    use crate::keys::ClusterKeys;
    use crate::metrics::{Meter, StageKind, Work};

    const REQUESTS: u64 = 5;

    /// A verifying thread of replica 1, driven by hand, and what it counts.
    struct Bench {
        keys: ClusterKeys,
        gate: Gate<Message>,
        watch: Stopwatch,
    }

    impl Bench {
        fn new(auth: ClientAuthKind) -> Bench {
            let mut config = ClusterConfig::new(4).unwrap();
            config.client_auth = auth;
            let config: Checked<ClusterConfig> = config.check().unwrap();
            let keys = ClusterKeys::new(&config, Message::ID);
            let client_auth = match auth {
                ClientAuthKind::Mac => ClientAuth::Mac(keys.sessions(1)),
                _ => ClientAuth::Signature,
            };
            let directory = Arc::clone(keys.directory());
            let verifier = Verifier::new(keys.context(), directory, client_auth, [3; 32]);
            let gate = Gate::new(verifier, Recall::new());
            let meter = Meter::new("test".to_owned(), StageKind::Verify, Work::Replica(1));
            Bench { keys, gate, watch: Stopwatch::new(&[meter]) }
        }

        /// The proposal of a sequence number, `spoil`ed before the primary names it.
        fn proposal(&self, seq: u64, spoil: impl Fn(&mut ClientProof)) -> Message {
            let requests = (1..=REQUESTS).map(|nth| {
                let (client, timestamp) = (ClientId(nth as u32 % 4), Timestamp(seq * 100 + nth));
                let request = Request { client, timestamp, operation: Bytes::new() };
                let mut proof = self.keys.client(client).prove(&request);
                spoil(&mut proof);
                SignedRequest::new(request, proof)
            });
            let batch = Arc::new(Batch::new(requests.collect()));
            let (view, digest, replica) = (View(0), batch.digest(), ReplicaId(0));
            let body = PrePrepare { view, seq: Seq(seq), digest, replica };
            let mut message = Message::PrePrepare(Box::new(Signed::blank(body)), batch);
            message.seal(&mut self.keys.sealer(0));
            message
        }

        /// Verifies messages as they arrive, in one batch; returns how many pass.
        fn hear(&mut self, messages: &[&Message]) -> usize {
            let decoded = messages.iter().map(|m| Message::from_frame(&m.to_frame()).unwrap());
            let (mut batch, mut verified) = (decoded.collect(), Vec::new());
            self.gate.verify(&mut batch, &mut verified, self.watch.counts());
            verified.len()
        }

        /// Client proofs verified, and proposals recalled.
        fn counted(&self) -> (u64, u64) {
            let counts = self.watch.counts().snapshot();
            (counts.client_proofs_verified, counts.proposals_recalled)
        }
    }

    #[test]
    fn a_repeated_proposal_passes_each_time_and_is_verified_once() {
        let mut bench = Bench::new(ClientAuthKind::Signature);
        let (one, two) = (bench.proposal(1, |_| {}), bench.proposal(2, |_| {}));
        assert_eq!(bench.hear(&[&one, &two, &one]), 3, "in the same batch");
        assert_eq!(bench.hear(&[&two, &one]), 2, "in a later batch");
        assert_eq!(bench.counted(), (2 * REQUESTS, 3));
        assert_eq!(bench.gate.verifier.counters().signatures.signatures_verified, 12);
    }

    #[test]
    fn a_copy_that_differs_in_a_proof_or_in_the_signature_is_judged_for_itself() {
        let mut bench = Bench::new(ClientAuthKind::Signature);
        let good = bench.proposal(1, |_| {});
        let bad = bench.proposal(1, |proof| {
            let ClientProof::Signature(signature) = proof else { unreachable!() };
            signature.0[3] ^= 1;
        });
        let mut forged = good.clone();
        let Message::PrePrepare(signed, _) = &mut forged else { unreachable!() };
        signed.signature.0[3] ^= 1;
        for _ in 0..2 {
            assert_eq!(bench.hear(&[&bad, &good, &forged, &bad, &good]), 2);
        }
        assert_eq!(bench.counted(), (REQUESTS, 3));
        assert_eq!(bench.watch.counts().snapshot().values_refused, 6);
    }

    #[test]
    fn under_macs_a_good_copy_is_not_taken_for_a_spoilt_one() {
        let mut bench = Bench::new(ClientAuthKind::Mac);
        let spoilt = bench.proposal(1, |proof| {
            let ClientProof::Mac(authenticator) = proof else { unreachable!() };
            authenticator.tag_mut(1).unwrap().0[0] ^= 1;
        });
        let good = bench.proposal(1, |_| {});
        assert_eq!(bench.hear(&[&spoilt, &good, &spoilt, &good]), 4, "f + 1 may vouch");
        assert_eq!(bench.counted(), (3 * REQUESTS, 1), "a spoilt one is never recalled");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_forgotten_is_verified_again() {
        let mut bench = Bench::new(ClientAuthKind::Signature);
        let first = bench.proposal(1, |_| {});
        bench.hear(&[&first]);
        let more = REMEMBERED as u64 - 1;
        for seq in 2..2 + more {
            let next = bench.proposal(seq, |_| {});
            bench.hear(&[&next]);
        }
        assert_eq!(bench.hear(&[&first]), 1);
        assert_eq!(bench.counted(), ((1 + more) * REQUESTS, 1), "the oldest is remembered");
        let last = bench.proposal(2 + more, |_| {});
        bench.hear(&[&last]);
        assert_eq!(bench.hear(&[&first]), 1);
        assert_eq!(bench.counted(), ((3 + more) * REQUESTS, 1), "and makes room");
    }
}
