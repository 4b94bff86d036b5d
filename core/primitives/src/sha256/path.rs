//! Which code computes SHA-256, chosen once at run time.

use core::fmt;
use core::str::FromStr;
use std::sync::OnceLock;

use thiserror::Error;

use super::each::Start;
use super::{Scan, portable};
use crate::Digest;

/// Blocks of one message, one after the other.
pub(super) type Run<'m> = &'m [[u8; 64]];

/// The digests of messages behind what all have before them.
pub(super) type Alike = fn(Start, &[&[u8]], &mut [Digest]);

/// The kernels of one path. Slices of inputs and outputs have equal length; callers have checked.
pub(super) struct Kernels {
    pub(super) name: &'static str,
    /// Messages that `runs` and `alike` take side by side, at most [`LANES_MAX`].
    pub(super) lanes: usize,
    pub(super) supported: fn() -> bool,
    pub(super) sha256d_64: fn(&[[u8; 64]], &mut [Digest]),
    pub(super) sha256d_pairs: fn(&[[Digest; 2]], &mut [Digest]),
    pub(super) tagged_pairs: fn(u8, &[[Digest; 2]], &mut [Digest]),
    /// Compresses each run of blocks into its own state; the runs are equally long.
    pub(super) runs: fn(&mut [[u32; 8]], &[Run<'_>]),
    /// The digests of `lanes` messages of one length behind a start, where there is a better way than
    /// `runs`.
    pub(super) alike: Option<Alike>,
    /// Compresses all blocks into one state, in their order.
    pub(super) long: fn(&mut [u32; 8], &[[u8; 64]]),
    pub(super) scan: fn(&Scan, u32, u64, u32, &mut Vec<u32>),
}

/// Loops of one kind of instructions each, which show what a unit can do. Each takes a number of
/// turns and returns the groups of four rounds that it did.
pub(super) struct Probes {
    pub(super) supported: fn() -> bool,
    pub(super) chain: fn(u32) -> u64,
    pub(super) rounds: fn(u32) -> u64,
    pub(super) rounds_with_words: fn(u32) -> u64,
    pub(super) extended: fn(u32) -> u64,
}

/// The probes of the SHA unit, where this machine has one.
pub(super) fn probes() -> Option<&'static Probes> {
    #[cfg(target_arch = "x86_64")]
    return Some(&super::sha_ni::PROBES).filter(|probes| (probes.supported)());
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// The most lanes of any kernel.
pub(super) const LANES_MAX: usize = 16;

/// Every path that this build holds, in the order in which [`path`] looks for one. Of the SHA unit it is
/// known how fast it could be at best, and proof of work and Merkle trees are held against that: so they
/// take it even where [`side_by_side`] is another one.
static ALL: &[&Kernels] = &[
    #[cfg(target_arch = "x86_64")]
    &super::sha_ni::EIGHT,
    #[cfg(target_arch = "x86_64")]
    &super::sha_ni::FOUR,
    #[cfg(target_arch = "x86_64")]
    &super::sha_ni::THREE,
    #[cfg(target_arch = "x86_64")]
    &super::sha_ni::TWO,
    #[cfg(target_arch = "x86_64")]
    &super::sha_ni::ONE,
    #[cfg(target_arch = "x86_64")]
    &super::avx512::SIXTEEN,
    #[cfg(target_arch = "x86_64")]
    &super::avx2::EIGHT,
    &portable::KERNELS,
];

/// A way to compute SHA-256 that this machine can run.
///
/// A value exists only for a path whose instructions were detected: that is what makes the kernels
/// safe to call. It prints and parses as its name, such as `sha-ni-x8`, `avx512-x16`,
/// `avx2-x8` or `portable`.
#[derive(Clone, Copy)]
pub struct Path(&'static Kernels);

/// Why a name is not a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// No path has the name.
    #[error("no SHA-256 path is named {name:?}; known are {}", names())]
    Unknown {
        /// The name given.
        name: String,
    },
    /// The processor lacks the instructions.
    #[error("this processor cannot run the SHA-256 path {name}; portable always runs")]
    Unsupported {
        /// The path asked for.
        name: &'static str,
    },
}

/// The path that is taken for many messages of any length side by side, by [`super::sha256_each`]: AVX-512
/// where there is also a SHA unit, else [`path`]. By measurement on one kind of processor, see `avx512`.
pub fn side_by_side() -> Path {
    static BEST: OnceLock<Path> = OnceLock::new();
    *BEST.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        if (super::avx512::SIXTEEN.supported)() {
            return Path(&super::avx512::SIXTEEN);
        }
        path()
    })
}

/// The path that this machine takes. Detection runs once.
pub fn path() -> Path {
    static BEST: OnceLock<Path> = OnceLock::new();
    *BEST.get_or_init(|| Path::available().next().unwrap_or(Path::PORTABLE))
}

impl Path {
    /// Plain integer code, one message at a time.
    pub const PORTABLE: Path = Path(&portable::KERNELS);

    /// Every path that this machine can run, [`path`] first; [`Path::PORTABLE`] is the last.
    pub fn available() -> impl Iterator<Item = Path> {
        ALL.iter().filter(|kernels| (kernels.supported)()).map(|kernels| Path(kernels))
    }

    /// The path's name, as in a configuration and a record.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    pub(super) fn kernels(self) -> &'static Kernels {
        self.0
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(name: &str) -> Result<Path, PathError> {
        match ALL.iter().find(|kernels| kernels.name == name) {
            None => Err(PathError::Unknown { name: name.to_owned() }),
            Some(kernels) if (kernels.supported)() => Ok(Path(kernels)),
            Some(kernels) => Err(PathError::Unsupported { name: kernels.name }),
        }
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Path) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Path {}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({})", self.name())
    }
}

fn names() -> String {
    ALL.iter().map(|kernels| kernels.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_path_parses_from_its_name() {
        for path in Path::available() {
            assert_eq!(path.to_string().parse(), Ok(path));
        }
        assert_eq!(Path::available().last(), Some(Path::PORTABLE));
        assert_eq!(Path::available().next(), Some(path()));
        assert!(Path::available().any(|path| path == side_by_side()));
    }

    #[test]
    fn an_unknown_path_is_refused_with_the_known_ones() {
        let refused = "sha-ni-x9".parse::<Path>().unwrap_err();
        assert!(refused.to_string().ends_with("portable"), "{refused}");
    }
}
