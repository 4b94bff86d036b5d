//! Probes: the few things that the kernels of this crate are made of, each repeated with nothing
//! around it.
//!
//! Timed, they say where a core ends, and so how near a kernel comes to it. They compute nothing
//! that anybody wants. A probe without its instructions on this machine answers `None`.

use core::hint::black_box;

use crate::ed25519::{Backend, backend};
use crate::sha256::Group;

/// One thing that a core does over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Additions, each of the sum before it: one a cycle on every processor that we know of.
    Cycle,
    /// Groups of four rounds of SHA-256.
    Sha256(Group),
    /// Products of field elements in four lanes.
    LaneProduct,
    /// Squares of field elements in four lanes.
    LaneSquare,
    /// Products of field elements one at a time.
    Product,
    /// Squares of field elements one at a time.
    Square,
}

impl Probe {
    /// Every probe, in the order in which they are shown.
    pub const ALL: [Probe; 9] = [
        Probe::Cycle,
        Probe::Sha256(Group::Chain),
        Probe::Sha256(Group::Rounds),
        Probe::Sha256(Group::RoundsWithWords),
        Probe::Sha256(Group::Extended),
        Probe::LaneProduct,
        Probe::LaneSquare,
        Probe::Product,
        Probe::Square,
    ];

    /// The probe's name.
    pub fn name(self) -> &'static str {
        match self {
            Probe::Cycle => "cycle",
            Probe::Sha256(Group::Chain) => "sha256_rounds4_chain",
            Probe::Sha256(Group::Rounds) => "sha256_rounds4",
            Probe::Sha256(Group::RoundsWithWords) => "sha256_rounds4_with_words",
            Probe::Sha256(Group::Extended) => "sha256_rounds4_extended",
            Probe::LaneProduct => "field_product_4_lanes",
            Probe::LaneSquare => "field_square_4_lanes",
            Probe::Product => "field_product_portable",
            Probe::Square => "field_square_portable",
        }
    }

    /// What is repeated, in one line.
    pub fn meaning(self) -> &'static str {
        match self {
            Probe::Cycle => "an addition to the sum before it",
            Probe::Sha256(Group::Chain) => "2 sha256rnds2 in one stream, each after the last",
            Probe::Sha256(Group::Rounds) => "2 sha256rnds2, independent groups",
            Probe::Sha256(Group::RoundsWithWords) => {
                "2 sha256rnds2, paddd, pshufd; independent groups"
            }
            Probe::Sha256(Group::Extended) => "these, msg1, msg2, palignr, paddd; independent",
            Probe::LaneProduct => "four field products at once, independent ones",
            Probe::LaneSquare => "four field squares at once, independent ones",
            Probe::Product => "one field product, independent ones",
            Probe::Square => "one field square, independent ones",
        }
    }

    /// The path that it takes.
    pub fn path(self) -> &'static str {
        match self {
            Probe::Cycle | Probe::Product | Probe::Square => "portable",
            Probe::Sha256(_) => "sha-ni",
            Probe::LaneProduct | Probe::LaneSquare => backend().name(),
        }
    }

    /// Repeats it for some tenths of a millisecond and returns how often; `None` where this machine
    /// cannot.
    pub fn run(self) -> Option<u64> {
        match self {
            Probe::Cycle => Some(additions(1 << 20)),
            Probe::Sha256(Group::Chain) => Group::Chain.run(1 << 12),
            Probe::Sha256(group) => group.run(1 << 13),
            Probe::LaneProduct => Some(backend().multiply(1 << 10)),
            Probe::LaneSquare => Some(backend().square(1 << 10)),
            // Of its four lanes, which it takes one after the other, each counts.
            Probe::Product => Some(4 * Backend::PORTABLE.multiply(1 << 9)),
            Probe::Square => Some(4 * Backend::PORTABLE.square(1 << 9)),
        }
    }
}

/// An exclusive or between two additions keeps the compiler from making one of many.
fn additions(count: u64) -> u64 {
    let (mut sum, addend, mask) = black_box((1u64, 0x9e37_79b9, 0x5555));
    for _ in 0..count / 2 {
        sum = sum.wrapping_add(addend) ^ mask;
    }
    black_box(sum);
    count / 2 * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_runs_or_says_that_it_cannot_and_has_a_name_of_its_own() {
        let mut names = Vec::new();
        for probe in Probe::ALL {
            let is_of_the_sha_unit = matches!(probe, Probe::Sha256(_));
            match probe.run() {
                Some(count) => assert!(count > 0, "{probe:?}"),
                None => assert!(is_of_the_sha_unit, "{probe:?}"),
            }
            assert!(!probe.meaning().is_empty() && !probe.path().is_empty());
            names.push(probe.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Probe::ALL.len());
    }
}
