//! Point arithmetic in four lanes: the kernels that verification spends its time in.
//!
//! Four lanes do the same with four different numbers, so everything that is vectorised here is
//! four independent computations: four square roots, or four sums of points. Everything else
//! (`super::point`) is one at a time and the same for all backends.
//!
//! # Backends
//! `ifma` keeps an element in five limbs of 51 bits, each limb of two elements of the four lanes in one
//! 512-bit register, and multiplies 52 bits by 52 (AVX512_IFMA): four point additions in 0.4 of `avx2`'s
//! time.
//! `avx2` keeps an element in ten limbs of 26 and 25 bits (radix `2^25.5`), each limb of the four
//! lanes in one 256-bit register, because that unit multiplies four pairs of 32 bits at once.
//! `portable` is a loop over the lanes with five limbs of 51 bits. Which one runs is decided once,
//! by what the processor can do; [`Backend::from_str`] and `BatchVerifier::with_backend` override
//! it.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the intrinsics
mod avx2;
mod counted;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the intrinsics
mod ifma;
mod portable;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the intrinsics
mod vector;

use core::fmt;
use core::hint::black_box;
use core::str::FromStr;
use std::sync::OnceLock;

use thiserror::Error;

pub use counted::FieldWork;

use super::field::Fe;
use super::point::{Extended, HALF_BITS, Niels};

/// A coordinate in four lanes: limb by limb, of 26 and 25 bits in turn.
pub(super) type Coordinate = [[u64; 4]; 10];

/// Four points, one in each lane: `x`, `y`, `z` and `t`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(super) struct Quad(pub(super) [Coordinate; 4]);

/// An affine point to be added, or to be subtracted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term<'a> {
    pub(super) point: &'a Niels,
    pub(super) negative: bool,
}

impl Term<'_> {
    /// Adds nothing.
    pub(super) const NOTHING: Term<'static> = Term { point: &Niels::IDENTITY, negative: false };
}

/// For each place of 64, the first eight multiples of a point times that place's weight.
pub(super) type SecretRows = [[Niels; 8]; 64];

/// The kernels of one backend.
pub(super) struct Kernels {
    name: &'static str,
    supported: fn() -> bool,
    /// Raises each element, the sum of two reduced ones at most, to the power `(p - 5) / 8`. Eight at a
    /// time suit every backend.
    pub(super) pow_p58: fn(&mut [Fe]),
    /// Adds, step by step, the four terms of a step to the four lanes.
    pub(super) accumulate: fn(&mut Quad, &[[Term<'_>; 4]]),
    /// Adds four points to four points.
    pub(super) add: fn(&mut Quad, &Quad),
    /// Adds, for each row, the multiple that its digit from -8 to 8 asks for, the rows dealt to the
    /// lanes in turn. In constant time: every entry of a row is read, and none is branched on.
    /// `None` where there is no such kernel.
    pub(super) accumulate_secret: Option<fn(&mut Quad, &SecretRows, &[i8; 64])>,
    /// Multiplies each of four coordinates, in four lanes, so many times: what the backend can do.
    multiply: fn(&mut Quad, u32),
    /// As `multiply`, squares.
    square: fn(&mut Quad, u32),
}

/// Every backend that this build holds, the fastest first.
static ALL: &[&Kernels] = &[
    #[cfg(target_arch = "x86_64")]
    &ifma::KERNELS,
    #[cfg(target_arch = "x86_64")]
    &avx2::KERNELS,
    &portable::KERNELS,
];

/// A way to compute with points that this machine can run.
///
/// A value exists only for a backend whose instructions were detected: that is what makes the
/// kernels safe to call. It prints and parses as its name: `ifma`, `avx2` or `portable`.
#[derive(Clone, Copy)]
pub struct Backend(&'static Kernels);

/// Why a name is not a [`Backend`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackendError {
    /// No backend has the name.
    #[error("no ed25519 backend is named {name:?}; known are ifma, avx2 and portable")]
    Unknown {
        /// The name given.
        name: String,
    },
    /// The processor lacks the instructions.
    #[error("this processor cannot run the ed25519 backend {name}; portable always runs")]
    Unsupported {
        /// The backend asked for.
        name: &'static str,
    },
}

/// The fastest backend of this machine. Detection runs once.
pub fn backend() -> Backend {
    static BEST: OnceLock<Backend> = OnceLock::new();
    *BEST.get_or_init(|| Backend::available().next().unwrap_or(Backend::PORTABLE))
}

impl Backend {
    /// Plain integer code, one lane after the other.
    pub const PORTABLE: Backend = Backend(&portable::KERNELS);

    /// Every backend that this machine can run, the fastest first; [`Backend::PORTABLE`] is the
    /// last.
    pub fn available() -> impl Iterator<Item = Backend> {
        ALL.iter().filter(|kernels| (kernels.supported)()).map(|kernels| Backend(kernels))
    }

    /// The backend's name, as in a configuration and a record.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether it has a kernel for signing; where not, a library signs.
    pub fn signs(self) -> bool {
        self.0.accumulate_secret.is_some()
    }

    /// Makes `rounds` times four products of field elements in each lane, independent of each other
    /// within a round; returns how many times four lanes were multiplied. For [`crate::limits`].
    pub fn multiply(self, rounds: u32) -> u64 {
        run_probe(self.0.multiply, rounds)
    }

    /// As [`Backend::multiply`], squares.
    pub fn square(self, rounds: u32) -> u64 {
        run_probe(self.0.square, rounds)
    }

    pub(super) fn kernels(self) -> &'static Kernels {
        self.0
    }
}

fn run_probe(probe: fn(&mut Quad, u32), rounds: u32) -> u64 {
    let mut quad = Quad::new([&Extended::IDENTITY; 4]);
    quad.0[0] = quad.0[1];
    quad.0[3] = quad.0[1];
    probe(black_box(&mut quad), rounds);
    black_box(quad);
    4 * u64::from(rounds)
}

impl FromStr for Backend {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Backend, BackendError> {
        match ALL.iter().find(|kernels| kernels.name == name) {
            None if name == "ifma" => Err(BackendError::Unsupported { name: "ifma" }),
            None if name == "avx2" => Err(BackendError::Unsupported { name: "avx2" }),
            None => Err(BackendError::Unknown { name: name.to_owned() }),
            Some(kernels) if (kernels.supported)() => Ok(Backend(kernels)),
            Some(kernels) => Err(BackendError::Unsupported { name: kernels.name }),
        }
    }
}

impl PartialEq for Backend {
    fn eq(&self, other: &Backend) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Backend {}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({})", self.name())
    }
}

impl Quad {
    pub(super) const IDENTITY: Quad = {
        let mut one = [[0; 4]; 10];
        one[0] = [1; 4];
        Quad([[[0; 4]; 10], one, one, [[0; 4]; 10]])
    };

    /// Four points, one for each lane.
    pub(super) fn new(points: [&Extended; 4]) -> Quad {
        let mut quad = Quad::IDENTITY;
        for (lane, point) in points.into_iter().enumerate() {
            for (to, from) in quad.0.iter_mut().zip([point.x, point.y, point.z, point.t]) {
                put(to, lane, from);
            }
        }
        quad
    }

    /// The point in one lane.
    pub(super) fn lane(&self, lane: usize) -> Extended {
        let [x, y, z, t] = [0, 1, 2, 3].map(|i: usize| take(&self.0[i], lane));
        Extended { x, y, z, t }
    }

    /// Replaces the point in one lane by that in a lane of another quad.
    pub(super) fn copy_lane(&mut self, lane: usize, from: &Quad, from_lane: usize) {
        for (to, from) in self.0.as_flattened_mut().iter_mut().zip(from.0.as_flattened()) {
            to[lane] = from[from_lane];
        }
    }

    /// The sum over the lanes.
    pub(super) fn sum(&self) -> Extended {
        let [a, b, c, d] = [0, 1, 2, 3].map(|lane| self.lane(lane));
        a.add(&b).add(&c.add(&d))
    }
}

/// Splits the limbs of 51 bits of an element into one lane.
fn put(to: &mut Coordinate, lane: usize, element: Fe) {
    for (halves, limb) in to.as_chunks_mut::<2>().0.iter_mut().zip(element.reduced().0) {
        halves[0][lane] = limb & ((1 << HALF_BITS) - 1);
        halves[1][lane] = limb >> HALF_BITS;
    }
}

/// The element in one lane.
fn take(from: &Coordinate, lane: usize) -> Fe {
    let halves = from.as_chunks::<2>().0;
    Fe(core::array::from_fn(|i| halves[i][0][lane] + (halves[i][1][lane] << HALF_BITS))).reduced()
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernels({})", self.name)
    }
}
