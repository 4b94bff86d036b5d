//! Requests of a plan as frames, each with its proof.

use bytes::Bytes;
use quorumark_consensus::pbft::READ;
use quorumark_consensus::request::ClientProof;
use quorumark_pipeline::{ClientAuthKind, ClientKeys};
use quorumark_primitives::mac::Authenticator;
use quorumark_primitives::wire::{Encode, encode_bytes};

use super::pool::{Pool, request};
use crate::workload::Plan;

/// The tag of a client's request among the messages of the protocol; [`READ`] of one that reads.
const REQUEST_TAG: u8 = 0;
/// Bytes of a request beside its operation and its authenticator.
const OVERHEAD_BYTES: usize = 1 + 4 + 8 + 4 + 1 + 64;
/// A bit of the signature's response: flipped, the equation no longer holds.
const SPOILT_BYTE: usize = 40;

/// Makes the frames of a plan's requests.
#[derive(Debug)]
pub struct Requests {
    plan: Plan,
    auth: ClientAuthKind,
    pool: Pool,
    /// By client id.
    keys: Vec<ClientKeys>,
    proven_live: u64,
}

impl Requests {
    /// `keys` are those of the plan's clients, in order.
    ///
    /// # Panics
    /// When a client has no keys.
    pub fn new(plan: Plan, auth: ClientAuthKind, pool: Pool, keys: Vec<ClientKeys>) -> Requests {
        assert_eq!(keys.len(), plan.clients() as usize, "each client has its keys");
        Requests { plan, auth, pool, keys, proven_live: 0 }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Proofs that the pool did not have.
    pub fn proven_live(&self) -> u64 {
        self.proven_live
    }

    /// The frame of request `number`: the same each time it is made.
    pub fn frame(&mut self, number: u64) -> Bytes {
        let mut out = Vec::with_capacity(OVERHEAD_BYTES + self.plan.operation(number).len());
        self.write_frame(number, &mut out);
        Bytes::from(out)
    }

    /// Appends the frame of request `number` to `out`.
    pub fn write_frame(&mut self, number: u64, out: &mut Vec<u8>) {
        self.write(REQUEST_TAG, number, out);
    }

    /// Appends the frame that asks every replica for the result without an order (OSDI'99 5.1).
    pub fn write_read_frame(&mut self, number: u64, out: &mut Vec<u8>) {
        self.write(READ, number, out);
    }

    fn write(&mut self, tag: u8, number: u64, out: &mut Vec<u8>) {
        let proof = self.proof(number);
        out.push(tag);
        self.plan.client(number).encode(out);
        self.plan.timestamp(number).encode(out);
        encode_bytes(self.plan.operation(number), out);
        match &proof {
            ClientProof::Signature(signature) => {
                out.push(0);
                signature.encode(out);
            }
            ClientProof::Mac(authenticator) => {
                out.push(1);
                authenticator.encode(out);
            }
            ClientProof::None => out.push(2),
        }
    }

    fn proof(&mut self, number: u64) -> ClientProof {
        let mut proof = match self.auth {
            ClientAuthKind::None => ClientProof::None,
            ClientAuthKind::Mac | ClientAuthKind::Signature => match self.pool.get(number) {
                Some(proof) => proof,
                None => {
                    self.proven_live += 1;
                    self.prove(number)
                }
            },
        };
        if self.plan.is_invalid(number) {
            spoil(&mut proof);
        }
        proof
    }

    fn prove(&mut self, number: u64) -> ClientProof {
        let keys = &mut self.keys[self.plan.client(number).0 as usize];
        keys.prove(&request(&self.plan, number))
    }
}

/// Makes a proof one that no replica accepts.
fn spoil(proof: &mut ClientProof) {
    match proof {
        ClientProof::Signature(signature) => signature.0[SPOILT_BYTE] ^= 1,
        ClientProof::Mac(authenticator) => spoil_tags(authenticator),
        ClientProof::None => (),
    }
}

fn spoil_tags(authenticator: &mut Authenticator) {
    for receiver in 0..authenticator.len() as u16 {
        if let Some(tag) = authenticator.tag_mut(receiver) {
            tag.0[0] ^= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorumark_consensus::pbft::{Message, PROTOCOL};
    use quorumark_consensus::request::SignedRequest;
    use quorumark_pipeline::{ClusterConfig, ClusterKeys};
    use quorumark_primitives::wire::Decode;

    use super::*;
    use crate::workload::{Shares, Workload};

    fn requests(auth: ClientAuthKind, pooled: usize, invalid: f64) -> Requests {
        let mut config = ClusterConfig::new(4).unwrap();
        config.client_auth = auth;
        let keys = ClusterKeys::new(&config.check().unwrap(), PROTOCOL);
        let workload = Arc::new(Workload::named("fixed", 64, 1).unwrap());
        let plan = Plan::new(workload, 4, 1, Shares { invalid, sent_twice: 0.0 });
        let pool = Pool::made(&plan, &keys, pooled);
        let clients = (0..4).map(|id| keys.client(quorumark_consensus::ClientId(id))).collect();
        Requests::new(plan, auth, pool, clients)
    }

    #[test]
    fn a_frame_is_the_protocol_s_own_encoding_of_the_request() {
        for auth in [ClientAuthKind::Signature, ClientAuthKind::Mac, ClientAuthKind::None] {
            let mut requests = requests(auth, 0, 0.0);
            for number in 0..8 {
                let proof = requests.proof(number);
                let signed = SignedRequest::new(request(requests.plan(), number), proof);
                let message = Message::Request(signed);
                let frame = requests.frame(number);
                assert_eq!(frame, message.to_frame());
                assert_eq!(Message::from_frame(&frame), Ok(message.clone()));
                let Message::Request(signed) = message else { unreachable!("it was just made") };
                let mut frame = Vec::new();
                requests.write_read_frame(number, &mut frame);
                assert_eq!(frame, Message::Read(signed).to_frame());
            }
        }
    }

    #[test]
    fn pooled_proofs_are_the_ones_made_live() {
        for auth in [ClientAuthKind::Signature, ClientAuthKind::Mac] {
            let (mut pooled, mut live) = (requests(auth, 50, 0.0), requests(auth, 0, 0.0));
            assert!((0..60).all(|number| pooled.frame(number) == live.frame(number)), "{auth:?}");
            assert_eq!((pooled.proven_live(), live.proven_live()), (10, 60), "{auth:?}");
            assert!(pooled.pool.bytes() >= 50 * 64, "four tags are as long as a signature");
        }
        assert_eq!(requests(ClientAuthKind::None, 50, 0.0).pool.bytes(), 0);
    }

    #[test]
    fn a_spoilt_request_differs_in_its_proof_alone() {
        for auth in [ClientAuthKind::Signature, ClientAuthKind::Mac] {
            let (mut good, mut bad) = (requests(auth, 0, 0.0), requests(auth, 0, 1.0));
            let (good, bad) = (good.frame(3), bad.frame(3));
            let proof_from = 1 + 4 + 8 + 4 + 64;
            assert_ne!(good, bad);
            assert_eq!(good[..=proof_from], bad[..=proof_from]);
        }
    }
}
