//! SHA-256 of many small inputs at once, and the proof-of-work scan.
//!
//! One SHA-256 is a chain of 64 dependent rounds, so a processor's SHA unit idles most of the time
//! while it computes a single hash. The kernels here work on several independent messages side by
//! side and fill those gaps; what is known beforehand (padding blocks, a header's midstate) is
//! folded by the compiler or once per call.
//!
//! A [`Path`] names the code that does it; [`path`] is the one that the machine takes, and many messages
//! of any length take [`side_by_side`]. Each operation has a `_with` form that takes another, so that a benchmark can hold them side by side.
//! All paths give equal answers: [`self_check`] shows it on the machine at hand.
//!
//! `unsafe` is confined to the folders `sha_ni`, `avx2` and `avx512`. One message alone gains here where a
//! processor has no SHA unit; [`crate::hash::sha256`] takes the better way, and reads it in pieces.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the intrinsics
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the intrinsics
mod avx512;
#[cfg(target_arch = "x86_64")]
mod columns;
pub(crate) mod constants;
mod each;
mod path;
mod portable;
mod probe;
mod scan;
mod self_check;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the intrinsics
mod sha_ni;

pub use path::{Path, PathError, path, side_by_side};
pub(crate) use portable::compressed;
pub use probe::{Group, Groups};
pub use scan::Scan;
pub use self_check::self_check;

use std::sync::OnceLock;

use self::each::Start;
use crate::Digest;
use crate::hash;

/// Double SHA-256 of each 64-byte message: `out[i]` is the hash of `input[i]`.
///
/// # Panics
/// When the slices differ in length.
pub fn sha256d_64(input: &[[u8; 64]], out: &mut [Digest]) {
    sha256d_64_with(path(), input, out);
}

/// [`sha256d_64`] on a given path.
///
/// # Panics
/// As [`sha256d_64`].
pub fn sha256d_64_with(path: Path, input: &[[u8; 64]], out: &mut [Digest]) {
    assert_eq!(input.len(), out.len(), "one digest for each message");
    (path.kernels().sha256d_64)(input, out);
}

/// Double SHA-256 of each pair of digests, one after the other: Bitcoin's inner nodes.
///
/// # Panics
/// When the slices differ in length.
pub fn sha256d_pairs(input: &[[Digest; 2]], out: &mut [Digest]) {
    sha256d_pairs_with(path(), input, out);
}

/// [`sha256d_pairs`] on a given path.
///
/// # Panics
/// As [`sha256d_pairs`].
pub fn sha256d_pairs_with(path: Path, input: &[[Digest; 2]], out: &mut [Digest]) {
    assert_eq!(input.len(), out.len(), "one digest for each pair");
    (path.kernels().sha256d_pairs)(input, out);
}

/// SHA-256 of `tag` and each pair of digests, 65 bytes: with tag 1 the inner nodes of RFC 6962.
///
/// # Panics
/// When the slices differ in length.
pub fn tagged_pairs(tag: u8, input: &[[Digest; 2]], out: &mut [Digest]) {
    tagged_pairs_with(path(), tag, input, out);
}

/// [`tagged_pairs`] on a given path.
///
/// # Panics
/// As [`tagged_pairs`].
pub fn tagged_pairs_with(path: Path, tag: u8, input: &[[Digest; 2]], out: &mut [Digest]) {
    assert_eq!(input.len(), out.len(), "one digest for each pair");
    (path.kernels().tagged_pairs)(tag, input, out);
}

/// SHA-256 of each message: `out[i]` is the hash of `messages[i]`. Lengths may differ.
///
/// # Panics
/// When the slices differ in length.
pub fn sha256_each(messages: &[&[u8]], out: &mut [Digest]) {
    sha256_each_with(side_by_side(), messages, out);
}

/// [`sha256_each`] on a given path.
///
/// # Panics
/// As [`sha256_each`].
pub fn sha256_each_with(path: Path, messages: &[&[u8]], out: &mut [Digest]) {
    assert_eq!(messages.len(), out.len(), "one digest for each message");
    each::each(path.kernels(), Start::EMPTY, messages, out);
}

/// SHA-256 of one block, after which the state is `state`, and each message.
pub(crate) fn each_after(state: [u32; 8], messages: &[&[u8]], out: &mut [Digest]) {
    assert_eq!(messages.len(), out.len(), "one digest for each message");
    each::each(side_by_side().kernels(), Start { state, length: 64 }, messages, out);
}

/// SHA-256 of one message on a given path.
pub fn sha256_with(path: Path, message: &[u8]) -> Digest {
    each::one(path.kernels(), message)
}

/// Double SHA-256 of one block header. A range of nonces is for [`Scan`].
pub fn sha256d_header(header: &[u8; 80]) -> Digest {
    hash::sha256d(header)
}

/// Compresses a lone message's blocks into its state. By the `sha2` crate, but where vectors are the
/// best that a processor has: there the crate has nothing but integer code.
pub(crate) fn compress(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
    static BEST: OnceLock<Compress> = OnceLock::new();
    BEST.get_or_init(best)(state, blocks);
}

type Compress = fn(&mut [u32; 8], &[[u8; 64]]);

fn best() -> Compress {
    #[cfg(target_arch = "x86_64")]
    if path().name() == avx2::EIGHT.name {
        return avx2::EIGHT.long;
    }
    sha2::block_api::compress256
}

/// A message of 64 bytes, as the four quarters that a kernel loads.
trait Message64 {
    fn quarters(&self) -> [&[u8; 16]; 4];
}

impl Message64 for [u8; 64] {
    #[inline]
    fn quarters(&self) -> [&[u8; 16]; 4] {
        let quarters = self.as_chunks().0;
        [&quarters[0], &quarters[1], &quarters[2], &quarters[3]]
    }
}

impl Message64 for [Digest; 2] {
    #[inline]
    fn quarters(&self) -> [&[u8; 16]; 4] {
        let (left, right) = (self[0].0.as_chunks().0, self[1].0.as_chunks().0);
        [&left[0], &left[1], &right[0], &right[1]]
    }
}
