//! What the SHA unit can do, and how much of it a hash needs.

use super::Path;
use super::path::probes;

/// A group of instructions that does four rounds of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Two `sha256rnds2`, each group after the one before it: one stream alone.
    Chain,
    /// Two `sha256rnds2`, independent of those of other groups.
    Rounds,
    /// These with words of their own, to which the constants are added.
    RoundsWithWords,
    /// These with a quad by which the message schedule is extended: `sha256msg1`, `palignr`,
    /// `paddd`, `sha256msg2`.
    Extended,
}

impl Group {
    /// Does the group `turns` times 16; returns the groups done, `None` where the processor has no
    /// such unit.
    pub fn run(self, turns: u32) -> Option<u64> {
        let probes = probes()?;
        let run = match self {
            Group::Chain => probes.chain,
            Group::Rounds => probes.rounds,
            Group::RoundsWithWords => probes.rounds_with_words,
            Group::Extended => probes.extended,
        };
        Some(run(turns))
    }
}

/// The groups of four rounds that a hash by the kernels of the SHA unit consists of. Left out are
/// the words of the schedule that are made outside of an [`Group::Extended`], loads, byte swaps and
/// the additions between blocks: the sum is a bound that is not reached by streams in step. Groups of
/// different kinds side by side keep more of the unit busy than each kind alone, so eight streams in
/// phases can come closer to it, and in principle below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Groups {
    /// Of the kind [`Group::Rounds`].
    pub rounds: f64,
    /// Of the kind [`Group::RoundsWithWords`].
    pub with_words: f64,
    /// Of the kind [`Group::Extended`].
    pub extended: f64,
}

impl Groups {
    /// One block of a message.
    pub const BLOCK: Groups = Groups { rounds: 0.0, with_words: 4.0, extended: 12.0 };
    /// The double hash of 64 bytes: a block, the block of padding, whose words are constants, and
    /// the hash of the hash.
    pub const SHA256D_64: Groups = Groups { rounds: 18.0, with_words: 8.0, extended: 22.0 };
    /// The hash of a tag and 64 bytes: two blocks.
    pub const TAGGED_64: Groups = Groups { rounds: 0.0, with_words: 8.0, extended: 24.0 };
    /// A nonce of a scan. Of its second hash only the top word is computed, 62 rounds; the last two
    /// of these have a whole schedule and half of a group's rounds.
    pub const NONCE: Groups = Groups { rounds: 4.5, with_words: 8.0, extended: 18.0 };

    /// Whether a path computes in these groups, side by side in several streams.
    pub fn describe(path: Path) -> bool {
        path.name().starts_with("sha-ni-x") && path.name() != "sha-ni-x1"
    }

    /// `sha256rnds2` of all groups.
    pub fn rnds2(&self) -> f64 {
        2.0 * (self.rounds + self.with_words + self.extended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_a_hash_have_its_rounds() {
        // FIPS 180-4 6.2.2: 64 rounds a block, two of them to an instruction.
        assert!((Groups::BLOCK.rnds2() - 32.0).abs() < 1e-9);
        assert!((Groups::SHA256D_64.rnds2() - 96.0).abs() < 1e-9);
        assert!((Groups::TAGGED_64.rnds2() - 64.0).abs() < 1e-9);
        // Without the first four rounds of the one hash and the last two of the other.
        assert!((Groups::NONCE.rnds2() - 61.0).abs() < 1e-9);
    }

    #[test]
    fn every_group_runs_where_there_is_a_sha_unit_and_nowhere_else() {
        for group in [Group::Chain, Group::Rounds, Group::RoundsWithWords, Group::Extended] {
            assert_eq!(group.run(3), probes().map(|_| 48), "{group:?}");
        }
    }
}
