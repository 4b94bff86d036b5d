//! What a replica in a process of its own tells of itself, on the wire: counts, and executions.

use quorumark_consensus::request::BATCH_REQUESTS_MAX;
use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::wire::{
    Decode, Encode, Reader, WireError, encode_bytes, encode_sequence,
};

use crate::events::CommitEvent;
use crate::metrics::{ReplicaCounts, Snapshot, StageKind, ThreadSnapshot};

/// The most threads of one process that are told of.
const THREADS_MAX: usize = 4096;
/// The most bytes of a thread's name.
const NAME_BYTES_MAX: usize = 64;
/// The most replicas, and so the most commits of a certificate.
const REPLICAS_MAX: usize = quorumark_consensus::committee::REPLICAS_MAX as usize;

impl Encode for StageKind {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            StageKind::Ingress => 0,
            StageKind::Verify => 1,
            StageKind::Order => 2,
            StageKind::Execute => 3,
            StageKind::Egress => 4,
            StageKind::Socket => 5,
        });
    }
}

impl Decode for StageKind {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<StageKind, WireError> {
        Ok(match u8::decode(reader)? {
            0 => StageKind::Ingress,
            1 => StageKind::Verify,
            2 => StageKind::Order,
            3 => StageKind::Execute,
            4 => StageKind::Egress,
            5 => StageKind::Socket,
            tag => return Err(WireError::Tag { tag, of: "stage" }),
        })
    }
}

impl Encode for ThreadSnapshot {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.name.as_bytes(), out);
        self.stage.encode(out);
        self.replica.encode(out);
        self.numbers().iter().for_each(|number| number.encode(out));
        let [cpu_ns, runqueue_ns] = self.thread_ns;
        [self.cpu_ns, self.runqueue_ns, cpu_ns, runqueue_ns].iter().for_each(|ns| ns.encode(out));
        self.shared.encode(out);
    }
}

impl Decode for ThreadSnapshot {
    const SIZE_MIN: usize = 4 + 1 + 1 + 9 * 8 + 4 + 1;
    fn decode(reader: &mut Reader<'_>) -> Result<ThreadSnapshot, WireError> {
        let name = reader.bytes(NAME_BYTES_MAX, "thread name")?;
        let name = String::from_utf8(name.to_vec());
        let (stage, replica) = (StageKind::decode(reader)?, Option::decode(reader)?);
        let mut number = || u64::decode(reader);
        Ok(ThreadSnapshot {
            name: name.map_err(|_| WireError::NotCanonical { of: "thread name" })?,
            stage,
            replica,
            items: number()?,
            batches: number()?,
            busy_ns: number()?,
            wait_ns: number()?,
            blocked_ns: number()?,
            depth_sum: number()?,
            depth_max: number()?,
            parks: number()?,
            spins: number()?,
            cpu_ns: Option::decode(reader)?,
            runqueue_ns: Option::decode(reader)?,
            thread_ns: [Option::decode(reader)?, Option::decode(reader)?],
            shared: bool::decode(reader)?,
        })
    }
}

impl ThreadSnapshot {
    /// The plain numbers, in the order of the fields.
    fn numbers(&self) -> [u64; 9] {
        [
            self.items,
            self.batches,
            self.busy_ns,
            self.wait_ns,
            self.blocked_ns,
            self.depth_sum,
            self.depth_max,
            self.parks,
            self.spins,
        ]
    }
}

impl Encode for Snapshot {
    fn encode(&self, out: &mut Vec<u8>) {
        self.at_ns.encode(out);
        encode_sequence(&self.threads, out);
        encode_sequence(&self.replicas, out);
    }
}

impl Decode for Snapshot {
    const SIZE_MIN: usize = 16;
    fn decode(reader: &mut Reader<'_>) -> Result<Snapshot, WireError> {
        Ok(Snapshot {
            at_ns: u64::decode(reader)?,
            threads: reader.sequence(THREADS_MAX, "threads")?,
            replicas: reader.sequence::<ReplicaCounts>(REPLICAS_MAX, "replicas")?,
        })
    }
}

impl Encode for CommitEvent {
    fn encode(&self, out: &mut Vec<u8>) {
        self.replica.encode(out);
        self.seq.encode(out);
        self.after.encode(out);
        self.view.encode(out);
        self.digest.encode(out);
        self.requests.encode(out);
        encode_sequence(&self.executed, out);
        encode_sequence(&self.certificate, out);
        self.at_ns.encode(out);
    }
}

impl Decode for CommitEvent {
    const SIZE_MIN: usize = 2 + 8 + 8 + 8 + 32 + 4 + 4 + 4 + 8;
    fn decode(reader: &mut Reader<'_>) -> Result<CommitEvent, WireError> {
        let replica = ReplicaId::decode(reader)?;
        let (seq, after) = (Seq::decode(reader)?, Seq::decode(reader)?);
        let view = View::decode(reader)?;
        let (digest, requests) = (Digest::decode(reader)?, u32::decode(reader)?);
        Ok(CommitEvent {
            replica,
            seq,
            after,
            view,
            digest,
            requests,
            executed: reader.sequence(BATCH_REQUESTS_MAX, "executed requests")?,
            certificate: reader.sequence(REPLICAS_MAX, "certificate")?.into(),
            at_ns: u64::decode(reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use quorumark_consensus::types::{ClientId, Timestamp};
    use quorumark_primitives::ed25519::Signature;

    use super::*;
    use crate::metrics::{Meter, Stopwatch};

    /// The value is read as it was written, no shorter frame is a value, and none panics.
    fn goes_round<T: Encode + Decode + std::fmt::Debug>(value: &T) {
        let frame = value.to_frame();
        assert!(frame.len() >= T::SIZE_MIN);
        let read = T::from_frame(&frame).unwrap();
        assert_eq!((read.to_frame(), format!("{read:?}")), (frame.clone(), format!("{value:?}")));
        for length in 0..frame.len() {
            assert!(T::from_frame(&frame.slice(..length)).is_err(), "{length}");
        }
        for at in 0..frame.len().min(200) {
            let mut spoilt = frame.to_vec();
            spoilt[at] ^= 0xff;
            let spoilt = Bytes::from(spoilt);
            let read = T::from_frame(&spoilt).map(|value| value.to_frame());
            assert!(read.as_ref().is_ok_and(|again| *again == spoilt) || read.is_err(), "{at}");
        }
    }

    #[test]
    fn what_is_shipped_is_read_as_it_was_written_and_nothing_shorter_is() {
        let meters = Meter::of_whole(2);
        let mut watch = Stopwatch::new(&meters);
        watch.took(3);
        watch.worked(5);
        goes_round(&Snapshot::take(77, &meters, 4));
        goes_round(&CommitEvent {
            replica: ReplicaId(3),
            seq: Seq(9),
            after: Seq(8),
            view: View(1),
            digest: Digest([7; 32]),
            requests: 3,
            executed: vec![(ClientId(1), Timestamp(2)), (ClientId(3), Timestamp(4))],
            certificate: Arc::new([(ReplicaId(0), Signature([9; 64]))]),
            at_ns: 5,
        });
    }
}
