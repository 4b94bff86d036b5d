//! The hash of a trace.

use quorumark_primitives::Digest;
use quorumark_primitives::hash::Blake3;

use super::Event;

/// Bytes that are gathered before they are hashed: BLAKE3 hashes long inputs several chunks at once,
/// if they begin and end with a chunk.
const BUFFER_BYTES: usize = 16 << 10;

/// What the hash begins with: its version.
const TAG: &[u8] = b"quorumark/trace/1";

/// BLAKE3 over the canonical encodings of all events, in order. It keeps none of them.
#[derive(Debug)]
pub struct TraceHash {
    hash: Blake3,
    buffer: Vec<u8>,
    events: u64,
}

impl Default for TraceHash {
    fn default() -> TraceHash {
        let mut buffer = Vec::with_capacity(2 * BUFFER_BYTES);
        buffer.extend_from_slice(TAG);
        TraceHash { hash: Blake3::new(), buffer, events: 0 }
    }
}

impl TraceHash {
    /// The hash of a trace without events.
    pub fn new() -> TraceHash {
        TraceHash::default()
    }

    /// Takes the next event.
    #[inline]
    pub fn absorb(&mut self, event: &Event) {
        event.encode(&mut self.buffer);
        self.events += 1;
        while let Some((whole, _)) = self.buffer.split_first_chunk::<BUFFER_BYTES>() {
            self.hash.update(whole);
            self.buffer.drain(..BUFFER_BYTES);
        }
    }

    /// Events taken so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash of the events taken.
    pub fn finish(mut self) -> Digest {
        self.hash.update(&self.buffer);
        self.hash.finish()
    }
}
