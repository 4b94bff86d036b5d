//! What a batch must have held, when its clients asked for what the plan says.

use quorumark_consensus::request::Request;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Tag;

use crate::workload::Plan;

/// The digest of the batch of these requests in this order; `None` when one of the numbers is
/// [`UNKNOWN`], which has been reported already.
///
/// The digest binds what each request asks for, so a batch that has it was not tampered with.
pub(super) fn digest(plan: &Plan, numbers: &[u32]) -> Option<Digest> {
    static BATCH: Tag = Tag::new(b"quorumark/batch");
    let mut hash = BATCH.hasher();
    hash.update(&(numbers.len() as u32).to_le_bytes());
    for number in numbers {
        if *number == UNKNOWN {
            return None;
        }
        let number = u64::from(*number);
        let (client, timestamp) = (plan.client(number), plan.timestamp(number));
        let operation = plan.operation(number).clone();
        hash.update(&Request { client, timestamp, operation }.digest().0);
    }
    Some(hash.finish())
}

/// Stands for a request that the plan does not have.
pub(super) const UNKNOWN: u32 = u32::MAX;
