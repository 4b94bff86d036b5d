//! Sums of weighted residues, and how the bad ones are named: a lone one by two more sums (see
//! `lone`), several by bisection.
//!
//! A residue is `z R + [z k] A - [z s] B`: zero, after the cofactor, just when its signature is
//! valid. Everything about it was computed before the first sum (hash, decompression, products), so
//! a bisection pays for multiscalar multiplications alone. And it pays for half of them only: of
//! two halves one is summed, the other is the difference to the sum of both, which is known.

mod lone;

use core::ops::Range;
use std::sync::OnceLock;

use curve25519_dalek::Scalar;
use curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED;
use curve25519_dalek::edwards::CompressedEdwardsY;

use super::equation::holds;
use super::lanes::Kernels;
use super::multiscalar::Multiscalar;
use super::point::{Affine, Extended, Niels};
use super::policy::SINGLES_MAX;
use super::prepared::halves_of;
use super::table::Table;
use super::tabled::sum_of;
use super::{PreparedKey, VerifyCounters};

/// Terms that one bisection may sum, in sizes of its group. Finding one bad signature takes one
/// size, each doubling of their number another half. Beyond it, checking what is left one by one is
/// cheaper; so a hostile group costs at most four good ones and one check of each signature.
const BUDGET_GROUPS: usize = 3;

/// What a sum costs however few its terms, in terms: the doublings and the buckets. Measured on Zen
/// 3 with AVX2 a sum costs about 95 us and 4.5 us a term.
const SUM_OVERHEAD_TERMS: usize = 20;

/// The weighted residues of one batch, and the buffers of their sums.
#[derive(Debug)]
pub(super) struct Residues {
    kernels: &'static Kernels,
    residues: Vec<Residue>,
    points: Vec<Niels>,
    weights: Vec<u128>,
    key_scalars: Vec<Scalar>,
    keys_touched: Vec<u32>,
    sum_scalars: Vec<u128>,
    sum_points: Vec<Niels>,
    multiscalar: Multiscalar,
}

/// A signature with its challenge, as a residue starts from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    pub(super) position: u32,
    pub(super) key: u32,
    pub(super) s: Scalar,
    pub(super) k: Scalar,
    pub(super) commitment: CompressedEdwardsY,
}

#[derive(Debug)]
struct Residue {
    term: Term,
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
    pub(super) fn new(kernels: &'static Kernels) -> Residues {
        Residues {
            kernels,
            residues: Vec::new(),
            points: Vec::new(),
            weights: Vec::new(),
            key_scalars: Vec::new(),
            keys_touched: Vec::new(),
            sum_scalars: Vec::new(),
            sum_points: Vec::new(),
            multiscalar: Multiscalar::default(),
        }
    }

    /// Forgets the last batch and expects one under `keys` distinct keys.
    pub(super) fn clear(&mut self, keys: usize) {
        assert!(self.keys_touched.is_empty(), "every sum resets its key scalars");
        self.residues.clear();
        self.points.clear();
        self.weights.clear();
        self.key_scalars.resize(keys, Scalar::ZERO);
    }

    /// Adds the residue of a signature whose commitment is the point `r`, weighted by `z`.
    pub(super) fn push(&mut self, term: Term, z: u128, r: &Affine) {
        let weight = Scalar::from(z);
        self.residues.push(Residue { term, zs: weight * term.s, zk: weight * term.k });
        self.points.push(r.niels());
        self.weights.push(z);
    }

    pub(super) fn len(&self) -> usize {
        self.residues.len()
    }

    /// Marks every signature of `range` valid.
    pub(super) fn accept(&self, range: Range<usize>, verdicts: &mut [bool]) {
        let accepted = &self.residues[range];
        accepted.iter().for_each(|residue| verdicts[residue.term.position as usize] = true);
    }

    /// The sum of the residues in `range`: one multiscalar multiplication, in which all residues
    /// under one key share its point.
    pub(super) fn sum(&mut self, range: Range<usize>, keys: &[PreparedKey]) -> Extended {
        let base = self.gather(range.clone(), |_, residue| [residue.zs, residue.zk]);
        self.list_shared(&base, keys);
        self.sum_points.extend_from_slice(&self.points[range.clone()]);
        self.sum_scalars.extend_from_slice(&self.weights[range]);
        self.multiscalar.sum(self.kernels, &self.sum_points, &self.sum_scalars)
    }

    /// The part of a sum that is under the keys and the base point; by the keys' tables where all
    /// have one.
    fn sum_shared<'t>(
        &mut self,
        range: Range<usize>,
        keys: &[PreparedKey],
        table: &impl Fn(u32) -> Option<&'t Table>,
        scalars: impl Fn(usize, &Residue) -> [Scalar; 2],
    ) -> Extended {
        let base = self.gather(range, scalars);
        if !self.keys_touched.iter().all(|key| table(*key).is_some()) {
            self.list_shared(&base, keys);
            return self.multiscalar.sum(self.kernels, &self.sum_points, &self.sum_scalars);
        }
        let scalars = &mut self.key_scalars;
        let under_keys = self.keys_touched.drain(..).filter_map(|key| {
            let scalar = core::mem::take(&mut scalars[key as usize]);
            Some((scalar, table(key)?))
        });
        let parts = core::iter::once((base, Table::base())).chain(under_keys);
        sum_of(self.kernels, parts)
    }

    /// Adds up what `scalars` says of each residue, by its place in the range: `s` and `k`, weighted
    /// somehow. Returns the base point's scalar; those of the keys stand at the keys touched.
    fn gather(
        &mut self,
        range: Range<usize>,
        scalars: impl Fn(usize, &Residue) -> [Scalar; 2],
    ) -> Scalar {
        let mut base = Scalar::ZERO;
        for (nth, residue) in self.residues[range].iter().enumerate() {
            let [s, k] = scalars(nth, residue);
            base -= s;
            let scalar = &mut self.key_scalars[residue.term.key as usize];
            if *scalar == Scalar::ZERO {
                self.keys_touched.push(residue.term.key);
            }
            *scalar -= k;
        }
        base
    }

    /// Lists the points that residues share, the base point and the keys, with their scalars.
    fn list_shared(&mut self, base: &Scalar, keys: &[PreparedKey]) {
        self.sum_points.clear();
        self.sum_points.extend_from_slice(base_halves());
        self.sum_scalars.clear();
        self.sum_scalars.extend(halves(base));
        for key in self.keys_touched.drain(..) {
            // A scalar that returned to zero in between was noted twice; the second is zero now.
            let scalar = core::mem::take(&mut self.key_scalars[key as usize]);
            self.sum_points.extend_from_slice(keys[key as usize].halves());
            self.sum_scalars.extend(halves(&scalar));
        }
    }

    /// Names the bad signatures of a group whose `sum` does not vanish.
    ///
    /// `table` is the table of a key, where it has one.
    pub(super) fn name_bad<'t>(
        &mut self,
        group: Range<usize>,
        sum: Extended,
        keys: &[PreparedKey],
        table: impl Fn(u32) -> Option<&'t Table>,
        verdicts: &mut [bool],
        counters: &mut VerifyCounters,
    ) {
        if let Some(bad) = self.lone(group.clone(), &sum, keys, &table, counters) {
            self.accept(group.start..bad, verdicts);
            return self.accept(bad + 1..group.end, verdicts);
        }
        let budget = BUDGET_GROUPS * group.len();
        self.split(group, sum, &mut Bisection { keys, verdicts, counters, budget });
    }

    /// Splits a range whose sum does not vanish. Its depth is the logarithm of the group's size.
    fn split(&mut self, range: Range<usize>, sum: Extended, to: &mut Bisection<'_>) {
        assert!(!range.is_empty(), "an empty sum vanishes");
        if range.len() <= SINGLES_MAX + 1 {
            return self.check_each(range, to);
        }
        let half = range.len() / 2;
        let Some(budget) = to.budget.checked_sub(half + SUM_OVERHEAD_TERMS) else {
            return self.check_each(range, to);
        };
        to.budget = budget;
        to.counters.bisections += 1;
        to.counters.equations += 1;
        let middle = range.start + half;
        let left = self.sum(range.start..middle, to.keys);
        self.settle(middle..range.end, sum.add(&left.negated()), to);
        self.settle(range.start..middle, left, to);
    }

    fn settle(&mut self, range: Range<usize>, sum: Extended, to: &mut Bisection<'_>) {
        if sum.vanishes() {
            self.accept(range, to.verdicts);
        } else {
            self.split(range, sum, to);
        }
    }

    /// Checks each residue of the range by itself.
    fn check_each(&self, range: Range<usize>, to: &mut Bisection<'_>) {
        to.counters.singles += range.len() as u64;
        for Residue { term, .. } in &self.residues[range] {
            let key = &to.keys[term.key as usize];
            let valid = holds(&term.s, &term.k, &term.commitment, key);
            to.verdicts[term.position as usize] = valid;
        }
    }
}

/// The lower and the upper 128 bits of a scalar.
fn halves(scalar: &Scalar) -> [u128; 2] {
    let (low, high) = (scalar.as_bytes().first_chunk(), scalar.as_bytes().last_chunk());
    [low, high].map(|half| u128::from_le_bytes(*half.expect("a scalar has two halves")))
}

/// The base point and its `2^128`-fold.
fn base_halves() -> &'static [Niels; 2] {
    static BASE: OnceLock<[Niels; 2]> = OnceLock::new();
    BASE.get_or_init(|| {
        let halves = halves_of(ED25519_BASEPOINT_COMPRESSED.as_bytes());
        halves.expect("the base point is a point").map(|half| half.negated())
    })
}
