//! Fixed tables: the multiples of one point that spare all its doublings.
//!
//! A scalar is written in signed digits of `w` bits, and the table holds, for each place, the
//! point's multiples by every digit. A product is then one addition for each place. With `[S]B`
//! from one table and `[k](-A)` from another, the commitment that a signature must have is a sum of
//! table entries; it is compared as bytes, so `R` is not decompressed.

use std::sync::OnceLock;

use curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED;

use super::lanes::{Kernels, Quad, SecretRows, Term, backend};
use super::point::{Affine, Extended, Niels, decompress, to_affine};

/// Bits of a scalar below the group order.
const SCALAR_BITS: u32 = 253;
/// Bits of a digit of a key's table.
pub(super) const KEY_WIDTH: u32 = 6;
/// Bits of a digit of the base point's table, of which there is one for all: 512 KiB.
pub(super) const BASE_WIDTH: u32 = 8;

/// The multiples of one point.
#[derive(Debug)]
pub(super) struct Table {
    width: u32,
    entries: Vec<Niels>,
}

impl Table {
    /// Computes all entries: about half a millisecond for a key.
    pub(super) fn new(kernels: &Kernels, point: &Extended, width: u32) -> Table {
        let mut base = *point;
        let bases: Vec<Extended> = (0..places(width))
            .map(|_| {
                let here = base;
                base = (0..width).fold(base, |point, _| point.doubled());
                here
            })
            .collect();
        let (mut products, mut affine) = (Vec::new(), Vec::new());
        to_affine(&bases, &mut products, &mut affine);
        let bases: Vec<Niels> = affine.iter().map(Affine::niels).collect();
        let multiples = multiples(kernels, &bases, 1 << (width - 1));
        to_affine(&multiples, &mut products, &mut affine);
        let entries = affine.iter().map(Affine::niels).collect();
        Table { width, entries }
    }

    /// The table of the base point.
    pub(super) fn base() -> &'static Table {
        static BASE: OnceLock<Table> = OnceLock::new();
        BASE.get_or_init(|| Table::of_base(BASE_WIDTH))
    }

    /// A new table of the base point.
    pub(super) fn of_base(width: u32) -> Table {
        let kernels = backend().kernels();
        let encoding = ED25519_BASEPOINT_COMPRESSED.as_bytes();
        let [base] = decompress(&[encoding], kernels.pow_p58);
        Table::new(kernels, &base.expect("the base point is a point").extended(), width)
    }

    /// The rows of a table whose digits have four bits.
    ///
    /// # Panics
    /// When they have not.
    pub(super) fn rows_of_eight(&self) -> &SecretRows {
        let rows = self.entries.as_chunks().0.try_into();
        rows.expect("four bits are 64 rows of eight")
    }

    /// Bytes that a table with digits of `width` bits takes.
    pub(super) const fn bytes(width: u32) -> usize {
        (places(width) << (width - 1)) * size_of::<Niels>()
    }

    /// The terms that add up to the point times a scalar, which is below the group order.
    pub(super) fn terms<'a>(&'a self, scalar: &[u8; 32]) -> impl Iterator<Item = Term<'a>> {
        let multiples = 1 << (self.width - 1);
        digits(scalar, self.width).zip(self.entries.chunks_exact(multiples)).map(|(digit, row)| {
            match (digit.unsigned_abs() as usize).checked_sub(1) {
                Some(nth) => Term { point: &row[nth], negative: digit < 0 },
                None => Term::NOTHING,
            }
        })
    }
}

/// The first `count` multiples of each point, point by point. Four points are worked on at a time.
fn multiples(kernels: &Kernels, points: &[Niels], count: usize) -> Vec<Extended> {
    let mut multiples = vec![Extended::IDENTITY; points.len() * count];
    for (points, rows) in points.chunks(4).zip(multiples.chunks_mut(4 * count)) {
        let mut sums = Quad::IDENTITY;
        let term = |lane: usize| match points.get(lane) {
            Some(point) => Term { point, negative: false },
            None => Term::NOTHING,
        };
        let step = core::array::from_fn(term);
        for nth in 0..count {
            (kernels.accumulate)(&mut sums, &[step]);
            for (lane, row) in rows.chunks_mut(count).enumerate() {
                row[nth] = sums.lane(lane);
            }
        }
    }
    multiples
}

/// Digits of `width` bits in a scalar.
pub(super) const fn places(width: u32) -> usize {
    SCALAR_BITS.div_ceil(width) as usize
}

/// The signed digits of a scalar, the lowest first: each from `-2^(width-1) + 1` to `2^(width-1)`.
fn digits(scalar: &[u8; 32], width: u32) -> impl Iterator<Item = i32> {
    let words = scalar.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    let mut words: [u64; 5] = core::array::from_fn({
        let mut words = words;
        move |_| words.next().unwrap_or(0)
    });
    assert!(words[3] >> (SCALAR_BITS - 192) == 0, "a scalar is below the group order");
    words[4] = 0;
    let mut carry = 0;
    (0..places(width) as u32).map(move |place| {
        let (word, bit) = ((place * width / 64) as usize, place * width % 64);
        let both = u128::from(words[word]) | u128::from(words[word + 1]) << 64;
        let digit = ((both >> bit) as i32 & ((1 << width) - 1)) + carry;
        carry = i32::from(digit > 1 << (width - 1));
        digit - (carry << width)
    })
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::Scalar;

    use super::*;

    #[test]
    fn the_digits_of_a_scalar_add_up_to_it() {
        let top = Scalar::ZERO - Scalar::ONE;
        let scalars = [Scalar::ZERO, Scalar::ONE, top, top - Scalar::from(u128::MAX), -top - top];
        for (width, scalar) in (2..=8).flat_map(|width| scalars.map(|scalar| (width, scalar))) {
            let digits: Vec<i32> = digits(scalar.as_bytes(), width).collect();
            let sum = digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
                let magnitude = Scalar::from(digit.unsigned_abs());
                let digit = if *digit < 0 { -magnitude } else { magnitude };
                sum * Scalar::from(1u64 << width) + digit
            });
            assert_eq!(sum, scalar, "width {width}");
            assert!(digits.iter().all(|digit| digit.unsigned_abs() <= 1 << (width - 1)));
        }
    }

    #[test]
    fn a_table_has_the_bytes_that_its_width_says() {
        let table = Table::base();
        assert_eq!(table.entries.len() * size_of::<Niels>(), Table::bytes(BASE_WIDTH));
        assert_eq!(Table::bytes(BASE_WIDTH), 512 * 1024);
        assert_eq!(Table::bytes(KEY_WIDTH), 172 * 1024);
    }
}
