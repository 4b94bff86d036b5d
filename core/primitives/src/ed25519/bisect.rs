//! Sums of weighted residues, and the bisection that names the bad ones.
//!
//! A residue is `z R + [z k] A - [z s] B`: zero, after the cofactor, just when its signature is
//! valid. Everything about it was computed before the first sum (hash, decompression, products), so
//! a bisection pays for multiscalar multiplications alone. And it pays for half of them only: of
//! two halves one is summed, the other is the difference to the sum of both, which is known.

use core::ops::Range;

use curve25519_dalek::Scalar;
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::traits::VartimeMultiscalarMul;

use super::equation::vanishes;
use super::{PreparedKey, VerifyCounters};

/// Terms that one bisection may sum, in sizes of its group. Finding one bad signature takes one
/// size, each doubling of their number another half. Beyond it, checking what is left one by one is
/// cheaper; so a hostile group costs at most four good ones and one check of each signature.
const BUDGET_GROUPS: usize = 3;

/// What a sum costs however few its terms, in terms: the doublings that all of them share.
const SUM_OVERHEAD_TERMS: usize = 4;

/// The weighted residues of one batch, and the buffers of their sums.
#[derive(Debug, Default)]
pub(super) struct Residues {
    residues: Vec<Residue>,
    points: Vec<EdwardsPoint>,
    weights: Vec<Scalar>,
    key_scalars: Vec<Scalar>,
    keys_touched: Vec<u32>,
    sum_scalars: Vec<Scalar>,
    sum_points: Vec<EdwardsPoint>,
}

#[derive(Debug)]
struct Residue {
    position: u32,
    key: u32,
    s: Scalar,
    k: Scalar,
    zs: Scalar,
    zk: Scalar,
}

/// What one bisection reports to, and how much it may still sum.
struct Bisection<'a> {
    keys: &'a [PreparedKey],
    verdicts: &'a mut [bool],
    counters: &'a mut VerifyCounters,
    budget: usize,
}

impl Residues {
    /// Forgets the last batch and expects one under `keys` distinct keys.
    pub(super) fn clear(&mut self, keys: usize) {
        assert!(self.keys_touched.is_empty(), "every sum resets its key scalars");
        self.residues.clear();
        self.points.clear();
        self.weights.clear();
        self.key_scalars.resize(keys, Scalar::ZERO);
    }

    /// Adds the residue of the signature `(r, s)` with challenge `k`, weighted by `z`.
    pub(super) fn push(
        &mut self,
        position: u32,
        key: u32,
        z: Scalar,
        (s, k): (Scalar, Scalar),
        r: EdwardsPoint,
    ) {
        self.residues.push(Residue { position, key, s, k, zs: z * s, zk: z * k });
        self.points.push(r);
        self.weights.push(z);
    }

    pub(super) fn len(&self) -> usize {
        self.residues.len()
    }

    /// Marks every signature of `range` valid.
    pub(super) fn accept(&self, range: Range<usize>, verdicts: &mut [bool]) {
        self.residues[range].iter().for_each(|residue| verdicts[residue.position as usize] = true);
    }

    /// The sum of the residues in `range`: one multiscalar multiplication, in which all residues
    /// under one key share its point.
    pub(super) fn sum(&mut self, range: Range<usize>, keys: &[PreparedKey]) -> EdwardsPoint {
        self.sum_scalars.clear();
        self.sum_points.clear();
        let mut base = Scalar::ZERO;
        for residue in &self.residues[range.clone()] {
            base -= residue.zs;
            let scalar = &mut self.key_scalars[residue.key as usize];
            if *scalar == Scalar::ZERO {
                self.keys_touched.push(residue.key);
            }
            *scalar -= residue.zk;
        }
        self.sum_scalars.push(base);
        self.sum_points.push(ED25519_BASEPOINT_POINT);
        for key in self.keys_touched.drain(..) {
            // A scalar that returned to zero in between was noted twice; the second is zero now.
            let scalar = core::mem::take(&mut self.key_scalars[key as usize]);
            self.sum_scalars.push(scalar);
            self.sum_points.push(*keys[key as usize].negated());
        }
        // Straus's algorithm below 190 points, Pippenger's above: measured on Zen 3 the crossing
        // lies between 110 and 190, depending on where the allocator puts Straus's tables.
        EdwardsPoint::vartime_multiscalar_mul(
            self.weights[range.clone()].iter().chain(&self.sum_scalars),
            self.points[range].iter().chain(&self.sum_points),
        )
    }

    /// Names the bad signatures of a group whose `sum` does not vanish.
    pub(super) fn bisect(
        &mut self,
        group: Range<usize>,
        sum: EdwardsPoint,
        keys: &[PreparedKey],
        verdicts: &mut [bool],
        counters: &mut VerifyCounters,
    ) {
        let budget = BUDGET_GROUPS * group.len();
        self.split(group, sum, &mut Bisection { keys, verdicts, counters, budget });
    }

    /// Splits a range whose sum does not vanish. Its depth is the logarithm of the group's size.
    fn split(&mut self, range: Range<usize>, sum: EdwardsPoint, to: &mut Bisection<'_>) {
        assert!(!range.is_empty(), "an empty sum vanishes");
        let half = range.len() / 2;
        if half == 0 {
            return;
        }
        let Some(budget) = to.budget.checked_sub(half + SUM_OVERHEAD_TERMS) else {
            return self.check_each(range, to);
        };
        to.budget = budget;
        to.counters.bisections += 1;
        to.counters.equations += 1;
        let middle = range.start + half;
        let left = self.sum(range.start..middle, to.keys);
        self.settle(middle..range.end, sum - left, to);
        self.settle(range.start..middle, left, to);
    }

    fn settle(&mut self, range: Range<usize>, sum: EdwardsPoint, to: &mut Bisection<'_>) {
        if vanishes(&sum) {
            self.accept(range, to.verdicts);
        } else {
            self.split(range, sum, to);
        }
    }

    /// Checks each residue of the range by itself, with the points at hand.
    fn check_each(&self, range: Range<usize>, to: &mut Bisection<'_>) {
        to.counters.singles += range.len() as u64;
        for i in range {
            let residue = &self.residues[i];
            let key = to.keys[residue.key as usize].negated();
            let expected =
                EdwardsPoint::vartime_double_scalar_mul_basepoint(&residue.k, key, &residue.s);
            let valid = vanishes(&(expected - self.points[i]));
            to.verdicts[residue.position as usize] = valid;
        }
    }
}
