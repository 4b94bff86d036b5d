//! Known answers, checked before anything is measured.

use quorumark_primitives::check::Check;
use quorumark_primitives::sha256::Path;

use crate::headers::HeaderChain;
use crate::miner::{Miner, Stop};
use crate::params::Params;
use crate::puzzle::Puzzle;
use crate::target::{CompactTarget, Work};
use crate::uint::U256;

/// The hash of mainnet's block at height 0.
const GENESIS_HASH: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
/// The header at height 1.
const SECOND_HEADER: &str = "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d61900000000\
    00982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299";
/// Of `hello world` and a nonce, the first digest that begins with three zeros.
const PUZZLE_DIFFICULTY: u32 = 3;
/// That nonce, found with another implementation of SHA-256.
const PUZZLE_NONCE: u64 = 6_742;
/// A clock after both headers: 2010-01-01.
const NOW: u64 = 1_262_304_000;

/// Holds this crate against published answers, the miner on every path of the machine. Takes a few
/// milliseconds.
pub fn self_check() -> Vec<Check> {
    let mut checks = vec![
        Check::new("chain::header/block=genesis", genesis_hash_is_known()),
        Check::new("chain::headers/heights=0-1", second_header_extends_the_first()),
        Check::new("chain::target/bits=all-sizes", targets_round_trip()),
        Check::new("chain::retarget/cases=bitcoin-core", retargets_are_known()),
        Check::new("chain::puzzle/data=hello-world", puzzle_is_known()),
    ];
    checks.extend(
        Path::available().map(|path| {
            Check::new(format!("chain::miner/path={path}"), genesis_nonce_is_found(path))
        }),
    );
    assert!(checks.iter().all(|check| !check.name.is_empty()), "each check says what it checked");
    checks
}

fn genesis_hash_is_known() -> bool {
    Params::mainnet().genesis.block_hash().to_string() == GENESIS_HASH
}

fn second_header_extends_the_first() -> bool {
    let Ok(second) = SECOND_HEADER.parse() else { return false };
    let mut chain = HeaderChain::new(Params::mainnet());
    let extended = chain.extend(&[Params::mainnet().genesis, second], NOW);
    extended.is_ok() && chain.work() == Work(U256::from(2 * 0x1_0001_0001))
}

fn targets_round_trip() -> bool {
    (1..=32).all(|size: u32| {
        let bits = CompactTarget(size << 24 | 0x0012_0000);
        bits.target().is_ok_and(|target| target.compact() == bits)
    })
}

/// Cases of Bitcoin Core's `pow_tests`: a usual one, and one at each end of the clamp.
fn retargets_are_known() -> bool {
    let cases = [
        (0x1d00_ffff, 1_261_130_161, 1_262_152_739, 0x1d00_d86a),
        (0x1c05_a3f4, 1_279_008_237, 1_279_297_671, 0x1c01_68fd),
        (0x1c38_7f6f, 1_263_163_443, 1_269_211_443, 0x1d00_e1fd),
    ];
    cases.iter().all(|&(bits, first, last, next)| {
        let found = Params::mainnet().retarget(CompactTarget(bits), first, last);
        found == Ok(CompactTarget(next))
    })
}

fn puzzle_is_known() -> bool {
    let Ok(puzzle) = Puzzle::new(b"hello world", PUZZLE_DIFFICULTY) else { return false };
    puzzle.is_solved_by(PUZZLE_NONCE) && !(0..PUZZLE_NONCE).any(|nonce| puzzle.is_solved_by(nonce))
}

fn genesis_nonce_is_found(path: Path) -> bool {
    let genesis = Params::mainnet().genesis;
    let Ok(miner) = Miner::with_path(2, path) else { return false };
    let mined = miner.mine(&genesis, genesis.nonce - 2000..=u32::MAX, &Stop::new());
    mined.is_ok_and(|mined| {
        mined.outcome.found().is_some_and(|solved| solved.nonce == genesis.nonce)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_answer_holds() {
        for check in self_check() {
            assert!(check.passed, "{}", check.name);
        }
    }
}
