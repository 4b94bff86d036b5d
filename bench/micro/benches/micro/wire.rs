//! The codec, message by message; throughput in bytes of the frame.
//!
//! Timed: `encode`, into a buffer that is used again; `decode`, from a frame in memory to the
//! value, the digests of its requests and its batch included, because decoding computes them.
//! Requests and replies carry 512 bytes.

use std::hint::black_box;

use bytes::Bytes;
use criterion::Throughput;
use quorumark_micro::Id;
use quorumark_micro::fixtures::frames::{Frame, of_kind};

use crate::suite::{Bench, Routine};

pub(crate) const ROUTINES: &[Routine] = &[("wire::encode", encode), ("wire::decode", decode)];

fn encode(id: &Id, bench: Bench<'_, '_>) {
    let (value, frame) = framed(id);
    let fixture = || (value.clone(), frame.to_vec());
    bench.measure(Throughput::Bytes(frame.len() as u64), fixture, |(value, out)| {
        out.clear();
        black_box(value).encode(out);
    });
}

fn decode(id: &Id, bench: Bench<'_, '_>) {
    let (value, frame) = framed(id);
    let fixture = || {
        assert_eq!(value.decode(&frame).as_ref(), Ok(&value), "a frame is another value");
        (value.clone(), frame.clone())
    };
    bench.measure(Throughput::Bytes(frame.len() as u64), fixture, |(value, frame)| {
        value.decode(black_box(frame))
    });
}

/// The value that an id names, and its encoding. Made for ids that are not selected too, because
/// their throughput is the frame's length; it takes microseconds.
fn framed(id: &Id) -> (Frame, Bytes) {
    let batch_size = if id.value("batch_size").is_some() { id.number("batch_size") } else { 0 };
    let value = of_kind(id.text("message"), batch_size);
    let mut frame = Vec::new();
    value.encode(&mut frame);
    (value, Bytes::from(frame))
}
