//! What a batch must have held, when its clients asked for what the plan says.

use quorumark_consensus::request::Request;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Tag;

use super::runs::{Run, UNKNOWN, count, numbers};
use crate::workload::Plan;

/// The digest of the batch of these requests in this order; `None` when one of them is [`UNKNOWN`],
/// which has been reported already.
///
/// The digest binds what each request asks for, so a batch that has it was not tampered with.
pub(super) fn digest(plan: &Plan, runs: &[Run]) -> Option<Digest> {
    static BATCH: Tag = Tag::new(b"quorumark/batch");
    let mut hash = BATCH.hasher();
    hash.update(&(count(runs) as u32).to_le_bytes());
    for number in numbers(runs) {
        if number == UNKNOWN {
            return None;
        }
        let number = u64::from(number);
        let (client, timestamp) = (plan.client(number), plan.timestamp(number));
        let operation = plan.operation(number).clone();
        hash.update(&Request { client, timestamp, operation }.digest().0);
    }
    Some(hash.finish())
}
