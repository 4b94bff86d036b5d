//! A lone bad signature is found without halving: by two sums with weights of a few bits.
//!
//! Let `E_i = R_i + [k_i] A_i - [s_i] B` be the residues without their weights, the places `i` from
//! one up. If all but one vanish, at place `b`, then `sum E_i = E_b` and `sum [i] E_i = [b] E_b`,
//! and walking the multiples of the one to the other finds `b`. A commitment costs two additions in
//! both sums together, where a sum with random weights has one for each of two dozen windows. What
//! the residues share, the keys and the base point, has long scalars: this pays where keys are few.
//!
//! The place is a guess: bad signatures can be made to add up to what looks like one of them. It is
//! proven by the sum that failed. Less `[z_b] sum E_i`, it is `sum [z_i - z_b] E_i`: the bad one is
//! not in it, and every other has a random weight that was not known when the signatures were made.
//! If it vanishes, the others are valid, as after an equation that holds; and the one left out is
//! not, since the whole sum did not vanish. Otherwise several are bad, and halving names them.
//!
//! Law and Matt, "Finding Invalid Signatures in Pairing-Based Batches" (2007), name this the
//! exponentiation method; there the weights of the equation that failed are its own.

use core::ops::Range;

use curve25519_dalek::Scalar;

use super::super::lanes::{Quad, Term};
use super::super::point::{Extended, Niels};
use super::super::table::Table;
use super::super::{PreparedKey, VerifyCounters};
use super::{Residue, Residues, SUM_OVERHEAD_TERMS};

impl Residues {
    /// The only bad signature of a group whose `sum` does not vanish; `None` when there are
    /// several, or when halving is as cheap.
    pub(super) fn lone<'t>(
        &mut self,
        group: Range<usize>,
        sum: &Extended,
        keys: &[PreparedKey],
        table: &impl Fn(u32) -> Option<&'t Table>,
        counters: &mut VerifyCounters,
    ) -> Option<usize> {
        // Two sums over the keys and the base point, in halves, are at most half of the group's.
        if 4 * (SUM_OVERHEAD_TERMS + 2 * (keys.len() + 1)) > group.len() {
            return None;
        }
        counters.equations += 2;
        let [once, by_place] = commitments(self, &self.points[group.clone()]);
        let plain = |_, one: &Residue| [one.term.s, one.term.k];
        let once = once.add(&self.sum_shared(group.clone(), keys, table, plain));
        let placed = |nth, one: &Residue| {
            let place = Scalar::from(nth as u64 + 1);
            [place * one.term.s, place * one.term.k]
        };
        let by_place = by_place.add(&self.sum_shared(group.clone(), keys, table, placed));
        let bad = group.start + ratio(&once, &by_place, group.len())?;
        let others = sum.add(&times(&once, self.weights[bad]).negated());
        others.vanishes().then_some(bad)
    }
}

/// `sum R_i` and `sum [i] R_i`, the places from one up.
fn commitments(residues: &Residues, points: &[Niels]) -> [Extended; 2] {
    // The last four first: what stands in a lane at the end was added `t + 1` times to its sum when
    // it came with the four of number t, and its place is 4 (t + 1) - (3 - lane).
    let (mut once, mut sums) = (Quad::IDENTITY, Quad::IDENTITY);
    for four in points.chunks(4).rev() {
        let term = |lane| match four.get(lane) {
            Some(point) => Term { point, negative: false },
            None => Term::NOTHING,
        };
        (residues.kernels.accumulate)(&mut once, &[[0, 1, 2, 3].map(term)]);
        (residues.kernels.add)(&mut sums, &once);
    }
    let first = once.lane(0);
    let two = first.add(&once.lane(1));
    let excess = first.add(&two).add(&two.add(&once.lane(2)));
    let by_place = sums.sum().doubled().doubled().add(&excess.negated());
    [once.sum(), by_place]
}

/// The place, from zero up and below `count`, of which `point`, times one more, is `multiple`, but
/// for what the cofactor brings to zero.
fn ratio(point: &Extended, multiple: &Extended, count: usize) -> Option<usize> {
    let (point, multiple) = (point.eightfold(), multiple.eightfold());
    let mut reached = point;
    for place in 0..count {
        if reached.equals(&multiple) {
            return Some(place);
        }
        reached = reached.add(&point);
    }
    None
}

/// `[scalar] point`.
fn times(point: &Extended, scalar: u128) -> Extended {
    (0..u128::BITS).rev().fold(Extended::IDENTITY, |sum, bit| {
        let sum = sum.doubled();
        if scalar >> bit & 1 == 1 { sum.add(point) } else { sum }
    })
}
