//! A replica's counters on the wire, for whoever counts replicas of other processes.

use alloc::vec::Vec;

use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};

use super::Counters;

macro_rules! on_the_wire {
    ($($name:ident),* $(,)?) => {
        impl Encode for Counters {
            fn encode(&self, out: &mut Vec<u8>) {
                // Without `..`, so that no counter is forgotten.
                let Counters { $($name),* } = self;
                $($name.encode(out);)*
            }
        }

        impl Decode for Counters {
            const SIZE_MIN: usize = size_of::<Counters>();
            fn decode(reader: &mut Reader<'_>) -> Result<Counters, WireError> {
                // Fields are decoded in the order in which they are written here.
                Ok(Counters { $($name: u64::decode(reader)?),* })
            }
        }
    };
}

on_the_wire! {
    batches_proposed,
    batches_committed,
    batches_tentative,
    batches_rolled_back,
    requests_executed,
    repeats_skipped,
    replies_repeated,
    requests_stale,
    requests_refused,
    requests_forwarded,
    messages_early,
    messages_of_later_views,
    messages_out_of_reach,
    messages_improper,
    reads_answered,
    reads_refused,
    evidence_found,
    statuses_said,
    messages_repeated,
    checkpoints_stable,
    checkpoints_beyond,
    checkpoints_diverged,
    timeouts,
    views_joined,
    view_changes_said,
    certificates_said,
    new_views_said,
    new_views_rejected,
    views_entered,
    bodies_asked,
    bodies_unasked,
    transfers_begun,
    transfers_moved,
    transfers_finished,
    transfers_failed,
    state_parts_fetched,
    state_bytes_fetched,
    state_pieces_bad,
    state_pieces_unasked,
    state_pieces_sent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_as_they_were_written() {
        let counters = Counters { batches_proposed: 7, timeouts: u64::MAX, ..Counters::default() };
        let frame = counters.to_frame();
        assert_eq!(frame.len(), Counters::SIZE_MIN);
        assert_eq!(Counters::from_frame(&frame), Ok(counters));
        assert!(Counters::from_frame(&frame.slice(1..)).is_err());
    }
}
