//! The digests by which blocks, transactions and Merkle roots are known.
//!
//! Each is a type of its own, because the three are shown alike and mean different things. They
//! hold the bytes in the order of the hash function and show them reversed, as the field does.

use core::fmt;
use core::str::FromStr;

use quorumark_primitives::Digest;

use crate::hex::{self, HexError};

macro_rules! reversed_digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub Digest);

        /// Sixty-four hex digits, last byte first.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(self.0.0.iter().rev(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        /// Reads what `Display` writes.
        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<$name, HexError> {
                let mut bytes = hex::decode_array::<32>(text)?;
                bytes.reverse();
                Ok($name(Digest(bytes)))
            }
        }
    };
}

reversed_digest! {
    /// The double SHA-256 of a block's header.
    BlockHash
}
reversed_digest! {
    /// The double SHA-256 of a transaction without its witnesses.
    Txid
}
reversed_digest! {
    /// The root of a block's Merkle tree over its txids.
    MerkleRoot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_shown_last_byte_first_and_read_back() {
        let mut bytes = [0; 32];
        bytes[0] = 0xab;
        let hash = BlockHash(Digest(bytes));
        assert!(hash.to_string().ends_with("00ab"));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("ab".parse::<Txid>().is_err());
    }
}
