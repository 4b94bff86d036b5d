//! Digests for the trace.

use quorumark_primitives::Digest;
use quorumark_primitives::hash::blake3;
use rustc_hash::FxHashMap;

/// Byte strings whose digests are remembered; when there are more, all are forgotten.
const KEPT: usize = 256;

/// BLAKE3 of short byte strings. Replicas that agree have the same ones to tell, one soon after the
/// other: most are looked up.
#[derive(Debug, Default)]
pub(super) struct Digests {
    known: FxHashMap<Box<[u8]>, Digest>,
}

impl Digests {
    pub(super) fn of(&mut self, bytes: &[u8]) -> Digest {
        if let Some(digest) = self.known.get(bytes) {
            return *digest;
        }
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        let digest = blake3(bytes);
        self.known.insert(Box::from(bytes), digest);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_string_has_its_digest_however_many_came_between() {
        let mut digests = Digests::default();
        for nth in (0..2 * KEPT as u32).chain(0..9) {
            let bytes = nth.to_le_bytes();
            for length in [4, 0, 1, 4] {
                assert_eq!(digests.of(&bytes[..length]), blake3(&bytes[..length]));
            }
        }
    }
}
