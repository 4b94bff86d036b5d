//! What differs between Bitcoin's networks, and the difficulty retarget.

use quorumark_primitives::Digest;

use crate::header::Header;
use crate::id::{BlockHash, MerkleRoot};
use crate::target::{CompactTarget, Target, TargetError};

/// Blocks between two retargets.
pub const RETARGET_INTERVAL: u32 = 2016;
/// Seconds that a block is meant to take.
pub const BLOCK_SPACING_S: u32 = 600;
/// Seconds that the blocks of one retarget interval are meant to take: two weeks.
pub const RETARGET_TIMESPAN_S: u32 = RETARGET_INTERVAL * BLOCK_SPACING_S;
/// A retarget makes the target at most this many times larger or smaller.
pub const RETARGET_FACTOR_MAX: u32 = 4;

/// The root of the one transaction that all three genesis blocks share.
const GENESIS_MERKLE_ROOT: [u8; 32] = [
    0x3b, 0xa3, 0xed, 0xfd, 0x7a, 0x7b, 0x12, 0xb2, 0x7a, 0xc7, 0x2c, 0x3e, 0x67, 0x76, 0x8f, 0x61,
    0x7f, 0xc8, 0x1b, 0xc3, 0x88, 0x8a, 0x51, 0x32, 0x3a, 0x9f, 0xb8, 0xaa, 0x4b, 0x1e, 0x5e, 0x4a,
];

/// The rules of one network. Source: Bitcoin Core `kernel/chainparams.cpp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The network's name, for messages.
    pub name: &'static str,
    /// Four bytes before each block in files and on the wire.
    pub magic: [u8; 4],
    /// The header at height 0.
    pub genesis: Header,
    /// The easiest target allowed, in compact form.
    pub limit: CompactTarget,
    /// Whether a block that comes more than 20 minutes late may have the easiest target.
    pub allows_minimum_difficulty: bool,
    /// Whether the target stays what it was at every height.
    pub never_retargets: bool,
}

impl Params {
    /// The main network.
    pub const fn mainnet() -> Params {
        Params {
            name: "mainnet",
            magic: [0xf9, 0xbe, 0xb4, 0xd9],
            genesis: genesis(1_231_006_505, 0x1d00_ffff, 2_083_236_893),
            limit: CompactTarget(0x1d00_ffff),
            allows_minimum_difficulty: false,
            never_retargets: false,
        }
    }

    /// The third test network.
    pub const fn testnet3() -> Params {
        Params {
            name: "testnet3",
            magic: [0x0b, 0x11, 0x09, 0x07],
            genesis: genesis(1_296_688_602, 0x1d00_ffff, 414_098_458),
            limit: CompactTarget(0x1d00_ffff),
            allows_minimum_difficulty: true,
            never_retargets: false,
        }
    }

    /// The regression test network: any second hash is good enough.
    pub const fn regtest() -> Params {
        Params {
            name: "regtest",
            magic: [0xfa, 0xbf, 0xb5, 0xda],
            genesis: genesis(1_296_688_602, 0x207f_ffff, 2),
            limit: CompactTarget(0x207f_ffff),
            allows_minimum_difficulty: true,
            never_retargets: true,
        }
    }

    /// The easiest target allowed, as a number.
    pub fn limit_target(&self) -> Target {
        self.limit.target().expect("each network's limit is a positive number of 256 bits")
    }

    /// The target of bits that this network allows.
    ///
    /// # Errors
    /// As [`CompactTarget::target`], and [`TargetError::AboveLimit`].
    pub fn target(&self, bits: CompactTarget) -> Result<Target, TargetError> {
        let target = bits.target()?;
        if target > self.limit_target() {
            return Err(TargetError::AboveLimit { bits, limit: self.limit });
        }
        Ok(target)
    }

    /// The bits of the block that follows a retarget interval.
    ///
    /// `bits` are those of the interval's last block, the times are of its first and last block,
    /// in Unix seconds. Only 2015 block times lie between these two, yet their difference is held
    /// against the time of 2016 blocks: Bitcoin's off-by-one, which is consensus. The difference is
    /// clamped to a quarter and to four times of what it should be, and the result to the
    /// network's limit. Source: Bitcoin Core `CalculateNextWorkRequired`.
    ///
    /// # Errors
    /// [`TargetError`] when `bits` are no target of this network.
    pub fn retarget(
        &self,
        bits: CompactTarget,
        first_time: u32,
        last_time: u32,
    ) -> Result<CompactTarget, TargetError> {
        let target = self.target(bits)?;
        if self.never_retargets {
            return Ok(bits);
        }
        let shortest = i64::from(RETARGET_TIMESPAN_S / RETARGET_FACTOR_MAX);
        let longest = i64::from(RETARGET_TIMESPAN_S * RETARGET_FACTOR_MAX);
        let took = (i64::from(last_time) - i64::from(first_time)).clamp(shortest, longest);
        assert!(took > 0, "the clamped timespan is positive");
        let limit = self.limit_target();
        let scaled = target.value().checked_mul_div(took as u64, RETARGET_TIMESPAN_S.into());
        // A product that does not fit 256 bits is above every limit.
        let next = scaled.and_then(Target::new).map_or(limit, |next| next.min(limit));
        Ok(next.compact())
    }
}

const fn genesis(time: u32, bits: u32, nonce: u32) -> Header {
    Header {
        version: 1,
        previous: BlockHash(Digest::ZERO),
        merkle_root: MerkleRoot(Digest(GENESIS_MERKLE_ROOT)),
        time,
        bits: CompactTarget(bits),
        nonce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_genesis_header_meets_its_network_s_limit() {
        for params in [Params::mainnet(), Params::testnet3(), Params::regtest()] {
            assert_eq!(params.genesis.bits, params.limit);
            assert_eq!(params.genesis.meets_own_target(), Ok(true), "{}", params.name);
        }
    }

    /// The cases of Bitcoin Core's `pow_tests`.
    #[test]
    fn retargets_agree_with_bitcoin_core_s_own_cases() {
        for (bits, first, last, next) in [
            (0x1d00_ffffu32, 1_261_130_161, 1_262_152_739, 0x1d00_d86au32),
            (0x1d00_ffff, 1_231_006_505, 1_233_061_996, 0x1d00_ffff),
            (0x1c05_a3f4, 1_279_008_237, 1_279_297_671, 0x1c01_68fd),
            (0x1c38_7f6f, 1_263_163_443, 1_269_211_443, 0x1d00_e1fd),
        ] {
            let retargeted = Params::mainnet().retarget(CompactTarget(bits), first, last);
            assert_eq!(retargeted, Ok(CompactTarget(next)));
        }
    }

    #[test]
    fn a_clock_that_runs_backwards_counts_as_the_shortest_timespan() {
        let bits = CompactTarget(0x1c05_a3f4);
        let backwards = Params::mainnet().retarget(bits, 2_000_000, 0);
        assert_eq!(backwards, Params::mainnet().retarget(bits, 0, RETARGET_TIMESPAN_S / 4));
    }

    #[test]
    fn bits_above_the_limit_are_refused() {
        let bits = CompactTarget(0x1d01_0000);
        let refused = TargetError::AboveLimit { bits, limit: CompactTarget(0x1d00_ffff) };
        assert_eq!(Params::mainnet().target(bits), Err(refused));
        assert_eq!(Params::mainnet().retarget(bits, 0, 1), Err(refused));
    }
}
