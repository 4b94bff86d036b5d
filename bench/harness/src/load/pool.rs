//! Signatures made before the run, so that signing takes no CPU time from what is measured.

use quorumark_consensus::request::{ClientProof, Request};
use quorumark_pipeline::{ClientKeys, ClusterKeys};
use quorumark_primitives::ed25519::Signature;
use rayon::prelude::*;

use crate::workload::Plan;

/// The most memory of a pool, in bytes: four million signatures. Operations need no room, the plan
/// has them.
pub const POOL_BYTES_MAX: usize = 256 << 20;

/// Requests that are signed, about 4 ms, before it is asked whether to go on.
const SIGNED_BETWEEN_LOOKS: u64 = 256;

/// The signatures of the first requests of a plan.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    signatures: Vec<Signature>,
}

impl Pool {
    /// Signs the first `requests` requests, on all cores; fewer when they would take more than
    /// [`POOL_BYTES_MAX`].
    pub fn signed(plan: &Plan, keys: &ClusterKeys, requests: usize) -> Pool {
        Pool::signed_until(plan, keys, requests, || false)
    }

    /// [`Pool::signed`] until `ended` says so, which is asked every few milliseconds: what is not
    /// signed by then is blank, and no use to anybody.
    pub fn signed_until(
        plan: &Plan,
        keys: &ClusterKeys,
        requests: usize,
        ended: impl Fn() -> bool + Sync,
    ) -> Pool {
        let requests = requests.min(POOL_BYTES_MAX / size_of::<Signature>());
        let mut signatures = vec![Signature::BLANK; requests];
        let share = requests.div_ceil(rayon::current_num_threads()).max(1);
        let sign = |(nth, share_of): (usize, &mut [Signature])| {
            let mut clients: Vec<Option<ClientKeys>> = Vec::new();
            clients.resize_with(plan.clients() as usize, || None);
            for (number, signature) in ((nth * share) as u64..).zip(share_of) {
                if number.is_multiple_of(SIGNED_BETWEEN_LOOKS) && ended() {
                    return;
                }
                let client = plan.client(number);
                let slot = &mut clients[client.0 as usize];
                let keys = slot.get_or_insert_with(|| keys.client(client));
                if let ClientProof::Signature(made) = keys.prove(&request(plan, number)) {
                    *signature = made;
                }
            }
        };
        signatures.par_chunks_mut(share).enumerate().for_each(sign);
        Pool { signatures }
    }

    /// The signature of request `number`, if it was made beforehand.
    #[inline]
    pub fn get(&self, number: u64) -> Option<Signature> {
        self.signatures.get(usize::try_from(number).ok()?).copied()
    }

    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.signatures.capacity() * size_of::<Signature>()
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
