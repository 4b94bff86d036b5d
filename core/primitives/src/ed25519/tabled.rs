//! Verification by fixed tables: a verdict for each signature, and no batch that could fail.
//!
//! For a key with a table, `[S]B - [k]A` is a sum of table entries: no doubling, and `R` stays as
//! it is. Four signatures are summed in four lanes; what is left over is summed one by one, its
//! terms dealt to the lanes. All sums are brought to affine form with one inversion, encoded, and
//! compared with the bytes of `R`. Every signature of an honest signer ends there.
//!
//! A sum that is not `R` byte for byte may still differ from it by a point of small order, or `R`
//! may be encoded in another way: then ZIP-215 accepts. So each mismatch gets the whole cofactored
//! check, up to eight square roots at a time: a third more than a good one costs where eight come
//! together. Neighbours pay nothing.

use curve25519_dalek::Scalar;

use super::bisect::Term as Signed;
use super::field::Fe;
use super::lanes::{Kernels, Quad, Term};
use super::point::{Affine, Extended, decompress, to_affine};
use super::table::{BASE_WIDTH, KEY_WIDTH, Table, places};

/// Terms of one signature: the digits of `S` and of `k`, and one more to fill up four lanes.
const TERMS: usize = (places(BASE_WIDTH) + places(KEY_WIDTH)).next_multiple_of(4);

/// The buffers of such checks.
#[derive(Debug, Default)]
pub(super) struct Tabled {
    sums: Vec<Extended>,
    affine: Vec<Affine>,
    products: Vec<Fe>,
    mismatched: Vec<u32>,
}

impl Tabled {
    /// Gives each signature its verdict. `table` is the table of a signature's key.
    pub(super) fn verify<'a>(
        &mut self,
        kernels: &Kernels,
        signed: &[Signed],
        table: impl Fn(&Signed) -> &'a Table,
        verdicts: &mut [bool],
    ) {
        self.sums.clear();
        let (fours, rest) = signed.as_chunks::<4>();
        for four in fours {
            let sums = sum_four(kernels, four.each_ref().map(|one| (one, table(one))));
            self.sums.extend([0, 1, 2, 3].map(|lane| sums.lane(lane)));
        }
        self.sums.extend(rest.iter().map(|one| sum_one(kernels, one, table(one))));
        assert_eq!(self.sums.len(), signed.len(), "one sum for each signature");
        to_affine(&self.sums, &mut self.products, &mut self.affine);
        self.mismatched.clear();
        for (nth, (one, sum)) in signed.iter().zip(&self.affine).enumerate() {
            let equal = sum.to_bytes() == *one.commitment.as_bytes();
            verdicts[one.position as usize] = equal;
            if !equal {
                self.mismatched.push(nth as u32);
            }
        }
        self.decide_mismatched(kernels, signed, verdicts);
    }

    /// Whether `[8](sum - R) = 0`, for the signatures whose sum is not the bytes of `R`.
    fn decide_mismatched(&self, kernels: &Kernels, signed: &[Signed], verdicts: &mut [bool]) {
        for eight in self.mismatched.chunks(8) {
            let mut encodings = [signed[eight[0] as usize].commitment.as_bytes(); 8];
            for (to, nth) in encodings.iter_mut().zip(eight) {
                *to = signed[*nth as usize].commitment.as_bytes();
            }
            let commitments: [_; 8] = decompress(&encodings[..eight.len()], kernels.pow_p58);
            for (nth, commitment) in eight.iter().map(|nth| *nth as usize).zip(commitments) {
                let valid = commitment
                    .is_some_and(|r| self.sums[nth].add(&r.extended().negated()).vanishes());
                verdicts[signed[nth].position as usize] = valid;
            }
        }
    }
}

/// The sums of four signatures, one in each lane.
fn sum_four(kernels: &Kernels, four: [(&Signed, &Table); 4]) -> Quad {
    let mut steps = [[Term::NOTHING; 4]; TERMS];
    for (lane, (one, table)) in four.into_iter().enumerate() {
        for (step, term) in steps.iter_mut().zip(terms(one, table)) {
            step[lane] = term;
        }
    }
    let mut sums = Quad::IDENTITY;
    (kernels.accumulate)(&mut sums, &steps);
    sums
}

/// The sum of one signature, its terms dealt to the four lanes.
fn sum_one(kernels: &Kernels, one: &Signed, table: &Table) -> Extended {
    let mut steps = [[Term::NOTHING; 4]; TERMS / 4];
    for (place, term) in steps.as_flattened_mut().iter_mut().zip(terms(one, table)) {
        *place = term;
    }
    let mut sums = Quad::IDENTITY;
    (kernels.accumulate)(&mut sums, &steps);
    sums.sum()
}

/// The sum of points, each times a scalar, by their tables.
pub(super) fn sum_of<'a>(
    kernels: &Kernels,
    parts: impl Iterator<Item = (Scalar, &'a Table)>,
) -> Extended {
    let mut sums = Quad::IDENTITY;
    for (scalar, table) in parts {
        let mut steps = [[Term::NOTHING; 4]; TERMS / 4];
        let mut count = 0;
        for (place, term) in steps.as_flattened_mut().iter_mut().zip(table.terms(scalar.as_bytes()))
        {
            *place = term;
            count += 1;
        }
        (kernels.accumulate)(&mut sums, &steps[..usize::div_ceil(count, 4)]);
    }
    sums.sum()
}

/// The terms of `[S]B + [k](-A)`.
fn terms<'a>(one: &Signed, table: &'a Table) -> impl Iterator<Item = Term<'a>> {
    Table::base().terms(one.s.as_bytes()).chain(table.terms(one.k.as_bytes()))
}
