//! The 80-byte block header.

use core::fmt;
use core::str::FromStr;

use quorumark_primitives::Digest;
use quorumark_primitives::hash::sha256d;
use thiserror::Error;

use crate::hex::{self, HexError};
use crate::id::{BlockHash, MerkleRoot};
use crate::target::{CompactTarget, TargetError};

/// Bytes of an encoded header.
pub const HEADER_BYTES: usize = 80;

/// A block header.
///
/// Encoded little-endian in the order of the fields; the digests stand in the order of the hash
/// function. Source: Bitcoin Core `CBlockHeader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Header {
    /// Format version and soft-fork signals; signed in the consensus rules.
    pub version: i32,
    /// The hash of the block before; zero at height 0.
    pub previous: BlockHash,
    /// The root over the block's txids.
    pub merkle_root: MerkleRoot,
    /// Seconds since 1970-01-01, as the miner's clock showed them.
    pub time: u32,
    /// The target that the block claims to meet.
    pub bits: CompactTarget,
    /// What the miner varies.
    pub nonce: u32,
}

/// Why bytes or a text are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderParseError {
    /// Another number of bytes.
    #[error("{found} bytes, a header has {HEADER_BYTES}")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// The text is not hex.
    #[error("a header is 160 hex digits: {0}")]
    Hex(#[from] HexError),
}

impl Header {
    /// The consensus encoding.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..36].copy_from_slice(&self.previous.0.0);
        bytes[36..68].copy_from_slice(&self.merkle_root.0.0);
        bytes[68..72].copy_from_slice(&self.time.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.bits.0.to_le_bytes());
        bytes[76..].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }

    /// Reads the consensus encoding; every 80 bytes are a header.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Header {
        Header {
            version: i32::from_le_bytes(field(bytes, 0)),
            previous: BlockHash(Digest(field(bytes, 4))),
            merkle_root: MerkleRoot(Digest(field(bytes, 36))),
            time: u32::from_le_bytes(field(bytes, 68)),
            bits: CompactTarget(u32::from_le_bytes(field(bytes, 72))),
            nonce: u32::from_le_bytes(field(bytes, 76)),
        }
    }

    /// Reads exactly one header.
    ///
    /// # Errors
    /// [`HeaderParseError::Length`] for any other number of bytes than 80.
    pub fn parse(bytes: &[u8]) -> Result<Header, HeaderParseError> {
        let bytes =
            bytes.try_into().map_err(|_| HeaderParseError::Length { found: bytes.len() })?;
        Ok(Header::decode(bytes))
    }

    /// Reads headers that stand one behind the other.
    ///
    /// # Errors
    /// [`HeaderParseError::Length`] with the bytes left over, when they are not a whole number of
    /// headers.
    pub fn parse_many(bytes: &[u8]) -> Result<Vec<Header>, HeaderParseError> {
        let (headers, rest) = bytes.as_chunks::<HEADER_BYTES>();
        if !rest.is_empty() {
            return Err(HeaderParseError::Length { found: rest.len() });
        }
        Ok(headers.iter().map(Header::decode).collect())
    }

    /// The hash by which the block is known.
    pub fn block_hash(&self) -> BlockHash {
        BlockHash(sha256d(&self.encode()))
    }

    /// Whether the hash meets the target that the header itself claims.
    ///
    /// # Errors
    /// [`TargetError`] when the bits are no target.
    pub fn meets_own_target(&self) -> Result<bool, TargetError> {
        Ok(self.bits.target()?.meets(self.block_hash()))
    }
}

/// The `N` bytes of a header that start at `at`.
fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    assert!(at + N <= HEADER_BYTES, "a field lies inside the header");
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// The encoding as 160 hex digits.
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(self.encode().iter(), f)
    }
}

/// Reads 160 hex digits.
impl FromStr for Header {
    type Err = HeaderParseError;

    fn from_str(text: &str) -> Result<Header, HeaderParseError> {
        Ok(Header::decode(&hex::decode_array(text)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Params;

    #[test]
    fn the_genesis_header_round_trips_and_has_its_known_hash() {
        let genesis = Params::mainnet().genesis;
        assert_eq!(Header::parse(&genesis.encode()), Ok(genesis));
        assert_eq!(genesis.to_string().parse(), Ok(genesis));
        assert_eq!(
            genesis.block_hash().to_string(),
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
        );
        assert_eq!(genesis.meets_own_target(), Ok(true));
    }

    #[test]
    fn each_malformed_header_says_what_is_wrong() {
        assert_eq!(Header::parse(&[0; 79]), Err(HeaderParseError::Length { found: 79 }));
        assert_eq!(Header::parse_many(&[0; 161]), Err(HeaderParseError::Length { found: 1 }));
        let short = "00".repeat(79).parse::<Header>().unwrap_err();
        assert_eq!(short.to_string(), "a header is 160 hex digits: 158 hex digits, expected 160");
        let digit = "0x".repeat(80).parse::<Header>().unwrap_err();
        assert_eq!(digit.to_string(), "a header is 160 hex digits: character 2 is no hex digit");
    }
}
