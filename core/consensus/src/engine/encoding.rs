//! The canonical bytes of what an engine says, by which two runs are compared.
//!
//! Nothing decodes them: what travels or is kept has encodings of its own, which stand inside.

use alloc::vec::Vec;

use quorumark_primitives::wire::{Encode, encode_bytes, encode_sequence};

use super::{Evidence, Execution, Output, Position, Recipients, StateWork, Vocabulary};
use crate::types::Seq;

impl<M> Encode for Output<M>
where
    M: Vocabulary + Encode,
    M::Record: Encode,
{
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Output::Persist { position, record } => {
                out.push(0);
                position.encode(out);
                record.encode(out);
            }
            Output::Say { to, message, after } => {
                out.push(1);
                to.encode(out);
                message.encode(out);
                after.encode(out);
            }
            Output::Relay { to, message, after } => {
                out.push(2);
                to.encode(out);
                message.encode(out);
                after.encode(out);
            }
            Output::Execute(execution) => {
                out.push(3);
                execution.encode(out);
            }
            Output::Reply { replies, after } => {
                out.push(4);
                encode_sequence(replies, out);
                after.encode(out);
            }
            Output::Evidence(evidence) => {
                out.push(5);
                evidence.encode(out);
            }
            Output::State(work) => {
                out.push(6);
                work.encode(out);
            }
            Output::Confirm(execution) => {
                out.push(7);
                execution.encode(out);
            }
        }
    }
}

impl Encode for StateWork {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            StateWork::Digests { at } => {
                out.push(0);
                encode_place(*at, out);
            }
            StateWork::Read { seq, nth } => {
                out.push(1);
                seq.encode(out);
                nth.encode(out);
            }
            StateWork::Restore { seq, state, parts } => {
                out.push(2);
                seq.encode(out);
                state.encode(out);
                (parts.len() as u32).encode(out);
                for (nth, part) in parts {
                    nth.encode(out);
                    encode_bytes(part, out);
                }
            }
            StateWork::Query { operations } => {
                out.push(4);
                (operations.len() as u32).encode(out);
                for (client, operation) in operations {
                    client.encode(out);
                    encode_bytes(operation, out);
                }
            }
            StateWork::Rollback { to } => {
                out.push(5);
                to.encode(out);
            }
            StateWork::Retain { from, leased, after } => {
                out.push(3);
                from.encode(out);
                encode_place(*leased, out);
                after.encode(out);
            }
        }
    }
}

fn encode_place(place: Option<Seq>, out: &mut Vec<u8>) {
    place.is_some().encode(out);
    place.unwrap_or_default().encode(out);
}

impl Encode for Position {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Encode for Recipients {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Recipients::Others => out.push(0),
            Recipients::One(replica) => {
                out.push(1);
                replica.encode(out);
            }
        }
    }
}

impl Encode for Execution {
    fn encode(&self, out: &mut Vec<u8>) {
        self.seq.encode(out);
        self.view.encode(out);
        self.batch.encode(out);
        encode_sequence(&self.fresh, out);
        self.checkpoint.encode(out);
        self.tentative.encode(out);
        (self.certificate.len() as u32).encode(out);
        for (replica, signature) in self.certificate.iter() {
            replica.encode(out);
            signature.encode(out);
        }
    }
}

impl<M: Encode> Encode for Evidence<M> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.replica.encode(out);
        self.first.encode(out);
        self.second.encode(out);
    }
}
