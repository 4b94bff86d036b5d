//! What each thread counts exactly: messages, bytes, signatures, and what was refused or dropped.

use std::sync::atomic::{AtomicU64, Ordering};

use quorumark_primitives::signed::GateCounters;
use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};

use crate::protocol::KINDS_MAX;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What one thread counts, and no other writes.
        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $(pub(crate) $name: AtomicU64,)*
            pub(crate) sent: [AtomicU64; KINDS_MAX],
            pub(crate) received: [AtomicU64; KINDS_MAX],
        }

        /// One replica's exact counts at one moment, or between two.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct ReplicaCounts {
            $($(#[$doc])* pub $name: u64,)*
            /// Messages sent to replicas, each copy counted, by `Protocol::KINDS`.
            pub sent: [u64; KINDS_MAX],
            /// Messages decoded, by `Protocol::KINDS`.
            pub received: [u64; KINDS_MAX],
        }

        impl Counts {
            pub(crate) fn snapshot(&self) -> ReplicaCounts {
                let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
                ReplicaCounts {
                    $($name: read(&self.$name),)*
                    sent: std::array::from_fn(|kind| read(&self.sent[kind])),
                    received: std::array::from_fn(|kind| read(&self.received[kind])),
                }
            }
        }

        impl Encode for ReplicaCounts {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$name.encode(out);)*
                self.sent.iter().chain(&self.received).for_each(|count| count.encode(out));
            }
        }

        impl Decode for ReplicaCounts {
            const SIZE_MIN: usize = size_of::<ReplicaCounts>();
            fn decode(reader: &mut Reader<'_>) -> Result<ReplicaCounts, WireError> {
                let mut counts =
                    ReplicaCounts { $($name: u64::decode(reader)?,)* ..ReplicaCounts::default() };
                for count in counts.sent.iter_mut().chain(&mut counts.received) {
                    *count = u64::decode(reader)?;
                }
                Ok(counts)
            }
        }

        impl ReplicaCounts {
            /// What was counted since `earlier`.
            pub fn since(&self, earlier: &ReplicaCounts) -> ReplicaCounts {
                ReplicaCounts {
                    $($name: self.$name - earlier.$name,)*
                    sent: std::array::from_fn(|kind| self.sent[kind] - earlier.sent[kind]),
                    received: std::array::from_fn(|kind| {
                        self.received[kind] - earlier.received[kind]
                    }),
                }
            }

            /// The sum of two replicas' counts.
            pub fn plus(&self, other: &ReplicaCounts) -> ReplicaCounts {
                ReplicaCounts {
                    $($name: self.$name + other.$name,)*
                    sent: std::array::from_fn(|kind| self.sent[kind] + other.sent[kind]),
                    received: std::array::from_fn(|kind| {
                        self.received[kind] + other.received[kind]
                    }),
                }
            }
        }
    };
}

counts! {
    /// Bytes of frames sent to replicas.
    bytes_sent,
    /// Bytes of frames received.
    bytes_received,
    /// Bytes of frames sent to clients.
    bytes_to_clients,
    /// Frames that are no message.
    frames_undecodable,
    /// Messages whose sender cannot have sent them here: itself, no member, or a client that
    /// speaks for a replica.
    messages_improper,
    /// Connections closed for a length that no frame may have.
    frames_oversized,
    /// Values that the verifier refused, whatever the reason.
    values_refused,
    /// Of these, for a signature.
    refused_for_signature,
    /// Of these, for a MAC.
    refused_for_mac,
    /// Of these, bare client requests.
    requests_refused,
    /// Client proofs (signatures or MACs) in values that the verifier accepted.
    client_proofs_verified,
    /// Proposals that came again, equal in every byte, and were not verified a second time.
    proposals_recalled,
    /// Signatures that got a verdict, of clients and replicas.
    signatures_verified,
    /// Of these, invalid ones.
    signatures_invalid,
    /// MACs that got a verdict.
    macs_verified,
    /// Signatures made.
    signatures_made,
    /// Replies sent.
    replies_sent,
    /// Flushes to a replica dropped because its inbox stayed full.
    flushes_dropped,
    /// Flushes to a client dropped because its inbox was full.
    client_flushes_dropped,
    /// Batches of commit events dropped while stopping, because the observer had stopped taking.
    commit_events_dropped,
    /// Proven misbehaviour of other replicas.
    evidence_found,
}

impl Counts {
    /// Counts; to be called by the thread whose counts they are.
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        super::add(counter, amount);
    }

    /// Adds what a verifier counted between two readings.
    pub(crate) fn add_gate(&self, now: &GateCounters, before: &GateCounters) {
        let (now_s, before_s) = (&now.signatures, &before.signatures);
        let verified = now_s.signatures_verified - before_s.signatures_verified;
        let invalid = now_s.signatures_invalid - before_s.signatures_invalid;
        Counts::add(&self.signatures_verified, verified);
        Counts::add(&self.signatures_invalid, invalid);
        Counts::add(&self.macs_verified, now.macs_verified - before.macs_verified);
    }
}
