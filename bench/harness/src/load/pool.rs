//! Proofs of requests made before the run, so that making them takes no CPU time from what is
//! measured: signatures, or authenticators of a MAC for each replica.

use quorumark_consensus::request::{ClientProof, Request};
use quorumark_pipeline::{ClientKeys, ClusterKeys};
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::mac::{Authenticator, Tag};
use rayon::prelude::*;

use crate::workload::Plan;

/// The most memory of a pool, in bytes: four million signatures. Operations need no room, the plan
/// has them.
pub const POOL_BYTES_MAX: usize = 256 << 20;

/// Requests that are proven, about 4 ms of signatures, before it is asked whether to go on.
const PROVEN_BETWEEN_LOOKS: u64 = 256;
/// Bytes of a tag.
const TAG: usize = size_of::<Tag>();

/// The proofs of the first requests of a plan.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    kind: Kind,
    /// Bytes of a proof; nothing in a pool of none.
    each: usize,
    /// One proof after the other.
    proofs: Vec<u8>,
}

/// What proofs a pool holds.
#[derive(Debug, Clone, Copy, Default)]
enum Kind {
    #[default]
    Signature,
    Mac,
}

impl Pool {
    /// Proves the first `requests` requests as their clients do, on all cores; fewer when they would
    /// take more than [`POOL_BYTES_MAX`], none where clients prove nothing.
    pub fn made(plan: &Plan, keys: &ClusterKeys, requests: usize) -> Pool {
        Pool::made_until(plan, keys, requests, || false)
    }

    /// [`Pool::made`] until `ended` says so, which is asked every few milliseconds: what is not made
    /// by then is blank, and no use to anybody.
    pub fn made_until(
        plan: &Plan,
        keys: &ClusterKeys,
        requests: usize,
        ended: impl Fn() -> bool + Sync,
    ) -> Pool {
        let first = keys.client(plan.client(0)).prove(&request(plan, 0));
        let (kind, each) = match &first {
            ClientProof::Signature(_) => (Kind::Signature, size_of::<Signature>()),
            ClientProof::Mac(authenticator) => (Kind::Mac, TAG * authenticator.len()),
            ClientProof::None => return Pool::default(),
        };
        let requests = requests.min(POOL_BYTES_MAX / each);
        let mut proofs = vec![0; requests * each];
        let share = requests.div_ceil(rayon::current_num_threads()).max(1);
        let prove = |(nth, share_of): (usize, &mut [u8])| {
            let mut clients: Vec<Option<ClientKeys>> = Vec::new();
            clients.resize_with(plan.clients() as usize, || None);
            for (number, place) in ((nth * share) as u64..).zip(share_of.chunks_exact_mut(each)) {
                if number.is_multiple_of(PROVEN_BETWEEN_LOOKS) && ended() {
                    return;
                }
                let client = plan.client(number);
                let slot = &mut clients[client.0 as usize];
                let keys = slot.get_or_insert_with(|| keys.client(client));
                write(&keys.prove(&request(plan, number)), place);
            }
        };
        proofs.par_chunks_mut(share * each).enumerate().for_each(prove);
        Pool { kind, each, proofs }
    }

    /// The proof of request `number`, if it was made beforehand.
    #[inline]
    pub fn get(&self, number: u64) -> Option<ClientProof> {
        let start = usize::try_from(number).ok()?.checked_mul(self.each)?;
        let proof = self.proofs.get(start..)?.get(..self.each)?;
        match self.kind {
            Kind::Signature => proof.try_into().ok().map(Signature).map(ClientProof::Signature),
            Kind::Mac => {
                let tags = proof.as_chunks::<TAG>().0.iter().copied().map(Tag);
                Some(ClientProof::Mac(Authenticator::new(tags.collect())))
            }
        }
    }

    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.proofs.capacity()
    }
}

fn write(proof: &ClientProof, place: &mut [u8]) {
    match proof {
        ClientProof::Signature(signature) => place.copy_from_slice(&signature.0),
        ClientProof::Mac(authenticator) => {
            let tags = (0..).map_while(|receiver| authenticator.tag(receiver));
            place.as_chunks_mut::<TAG>().0.iter_mut().zip(tags).for_each(|(to, tag)| *to = tag.0);
        }
        ClientProof::None => (),
    }
}

/// Request `number` of the plan.
pub(super) fn request(plan: &Plan, number: u64) -> Request {
    Request {
        client: plan.client(number),
        timestamp: plan.timestamp(number),
        operation: plan.operation(number).clone(),
    }
}
