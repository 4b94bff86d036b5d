//! What the run and a replica's process say to each other.

use bytes::Bytes;
use quorumark_consensus::pbft::Counters;
use quorumark_pipeline::{CommitEvent, ReplicaCounts, Snapshot};
use quorumark_primitives::wire::{
    Decode, Encode, Reader, WireError, encode_bytes, encode_sequence,
};

use super::run::REPLICAS_MAX;

/// The most settings, and the most bytes of one, and of what a process says of its failure.
const SETTINGS_MAX: usize = 256;
const TEXT_BYTES_MAX: usize = 4096;

/// From the run to a replica.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Setup(Setup),
    /// The ports of all started replicas, by id.
    Meet(Vec<u16>),
    Look,
    Stop,
}

/// What a process needs to know to be a replica.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setup {
    pub(super) replica: u16,
    /// Of the trial: keys, batch weights and the cluster's id follow from it.
    pub(super) seed: u64,
    /// When the cluster's clock began, on the system's monotonic clock.
    pub(super) epoch_ns: u64,
    /// Every parameter of the run, as `name=value`.
    pub(super) settings: Vec<Text>,
}

/// From a replica to the run.
#[derive(Debug)]
pub(super) enum Answer {
    /// The port that it takes connections at.
    Seated(u16),
    Met,
    Executed(CommitEvent),
    Seen(Box<Seen>),
    Stopped(Box<Stopped>),
    Failed(Text),
}

/// What a process has counted up to one moment.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) snapshot: Snapshot,
    /// CPU time of the process.
    pub(super) ran_ns: u64,
    /// Time that its threads were runnable and waited for a core.
    pub(super) waited_ns: u64,
    pub(super) allocations: Option<u64>,
}

/// What a process leaves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stopped {
    pub(super) engine: Option<Counters>,
    pub(super) counts: ReplicaCounts,
    pub(super) peak_rss_bytes: Option<u64>,
    /// CPU time of the thread that ships executions: part of what the oracle costs.
    pub(super) shipping_ns: u64,
}

/// A short text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// The text, cut to what one may hold.
    pub(super) fn cut(text: &str) -> Text {
        let fits = |end: &usize| text.is_char_boundary(*end);
        let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(fits).unwrap_or(0);
        Text(text[..end].to_owned())
    }
}

impl Encode for Text {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.0.as_bytes(), out);
    }
}

impl Decode for Text {
    const SIZE_MIN: usize = 4;
    fn decode(reader: &mut Reader<'_>) -> Result<Text, WireError> {
        let bytes: Bytes = reader.bytes(TEXT_BYTES_MAX, "text")?;
        let text = String::from_utf8(bytes.to_vec());
        text.map(Text).map_err(|_| WireError::NotCanonical { of: "text" })
    }
}

impl Encode for Order {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Order::Setup(setup) => {
                out.push(0);
                setup.replica.encode(out);
                setup.seed.encode(out);
                setup.epoch_ns.encode(out);
                encode_sequence(&setup.settings, out);
            }
            Order::Meet(ports) => {
                out.push(1);
                encode_sequence(ports, out);
            }
            Order::Look => out.push(2),
            Order::Stop => out.push(3),
        }
    }
}

impl Decode for Order {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Order, WireError> {
        Ok(match u8::decode(reader)? {
            0 => Order::Setup(Setup {
                replica: u16::decode(reader)?,
                seed: u64::decode(reader)?,
                epoch_ns: u64::decode(reader)?,
                settings: reader.sequence(SETTINGS_MAX, "settings")?,
            }),
            1 => Order::Meet(reader.sequence(REPLICAS_MAX, "ports")?),
            2 => Order::Look,
            3 => Order::Stop,
            tag => return Err(WireError::Tag { tag, of: "order" }),
        })
    }
}

impl Encode for Answer {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Answer::Seated(port) => {
                out.push(0);
                port.encode(out);
            }
            Answer::Met => out.push(1),
            Answer::Executed(event) => {
                out.push(2);
                event.encode(out);
            }
            Answer::Seen(seen) => {
                out.push(3);
                seen.snapshot.encode(out);
                seen.ran_ns.encode(out);
                seen.waited_ns.encode(out);
                seen.allocations.encode(out);
            }
            Answer::Stopped(stopped) => {
                out.push(4);
                stopped.engine.encode(out);
                stopped.counts.encode(out);
                stopped.peak_rss_bytes.encode(out);
                stopped.shipping_ns.encode(out);
            }
            Answer::Failed(text) => {
                out.push(5);
                text.encode(out);
            }
        }
    }
}

impl Decode for Answer {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Answer, WireError> {
        Ok(match u8::decode(reader)? {
            0 => Answer::Seated(u16::decode(reader)?),
            1 => Answer::Met,
            2 => Answer::Executed(CommitEvent::decode(reader)?),
            3 => Answer::Seen(Box::new(Seen {
                snapshot: Snapshot::decode(reader)?,
                ran_ns: u64::decode(reader)?,
                waited_ns: u64::decode(reader)?,
                allocations: Option::decode(reader)?,
            })),
            4 => Answer::Stopped(Box::new(Stopped {
                engine: Option::decode(reader)?,
                counts: ReplicaCounts::decode(reader)?,
                peak_rss_bytes: Option::decode(reader)?,
                shipping_ns: u64::decode(reader)?,
            })),
            5 => Answer::Failed(Text::decode(reader)?),
            tag => return Err(WireError::Tag { tag, of: "answer" }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_are_read_as_they_were_written() {
        let text = Text::cut("replicas=4");
        let setup = Setup { replica: 3, seed: 42, epoch_ns: 7, settings: vec![text.clone()] };
        for order in [Order::Setup(setup), Order::Meet(vec![80, 443]), Order::Look, Order::Stop] {
            assert_eq!(Order::from_frame(&order.to_frame()), Ok(order));
        }
        let stopped = Stopped {
            engine: Some(Counters { timeouts: 1, ..Counters::default() }),
            counts: ReplicaCounts { bytes_sent: 2, ..ReplicaCounts::default() },
            peak_rss_bytes: Some(3),
            shipping_ns: 4,
        };
        for answer in [
            Answer::Seated(1),
            Answer::Met,
            Answer::Stopped(Box::new(stopped)),
            Answer::Failed(text),
        ] {
            let frame = answer.to_frame();
            let read = Answer::from_frame(&frame).unwrap();
            assert_eq!((read.to_frame(), format!("{read:?}")), (frame, format!("{answer:?}")));
        }
    }

    #[test]
    fn a_long_text_is_cut_between_its_characters() {
        let long = "a".to_owned() + &"\u{e4}".repeat(TEXT_BYTES_MAX);
        assert_eq!(Text::cut(&long).0.len(), TEXT_BYTES_MAX - 1);
        assert_eq!(Text::from_frame(&Text::cut(&long).to_frame()), Ok(Text::cut(&long)));
    }
}
