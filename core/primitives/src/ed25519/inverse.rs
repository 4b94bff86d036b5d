//! Inverses modulo `p` by division steps, a third to a half of what a power costs.
//!
//! D. J. Bernstein and B.-Y. Yang, "Fast constant-time gcd computation and modular inversion" (TCHES
//! 2019(3)): from `(delta, f, g) = (1/2, p, x)` a step is
//!
//! ```text
//! (1 - delta, g, (g - f) / 2)               where delta > 0 and g is odd
//! (1 + delta, f, (g + (g mod 2) f) / 2)     otherwise
//! ```
//!
//! and 590 of them bring every `x` of 256 bits to `g = 0`, `f = +-1` (P. Wuille's computation for
//! steps that begin at 1/2: libsecp256k1, `doc/safegcd_implementation.md`). Steps see only the low
//! bits of `f` and `g`, so 62 at a time become a matrix of small integers, which is then applied to
//! the whole numbers, and modulo `p` to `d` and `e`, for which `d x = f` and `e x = g` hold.
//!
//! [`Fe::inverted`] takes all 590 in constant time: no branch and no address depends on the value.
//! [`Fe::inverted_public`] skips what it can see to be skipped.

use super::field::Fe;

/// A signed number of five limbs: `sum l_i 2^(62 i)`, all limbs but the last in `0..2^62`.
type Wide = [i64; 5];

/// Bits of a limb, and steps of a matrix.
const BITS: u32 = 62;
const MASK: i64 = (1 << BITS) - 1;
/// `p = 2^255 - 19` without the carries: the limbs between are zero.
const P: (i64, i64) = (-19, 1 << 7);
/// `p` in proper limbs.
const P_WIDE: Wide = [(1 << BITS) - 19, MASK, MASK, MASK, (1 << 7) - 1];
/// The inverse of `p` modulo `2^62`.
const P_INVERSE: i64 = inverse_of_p();
/// Matrices of 59 steps that 590 steps need.
const ROUNDS: u32 = 10;

/// What steps do to `(f, g)`, and to `(d, e)`: 2^62 times the new pair is the matrix times the old.
#[derive(Clone, Copy)]
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl Fe {
    /// The inverse, and zero for zero, in constant time.
    pub(super) fn inverted(&self) -> Fe {
        let (mut f, mut g, mut d, mut e) = (P_WIDE, wide(self), [0; 5], [1, 0, 0, 0, 0]);
        // minus (delta + 1/2)
        let mut zeta = -1;
        for _ in 0..ROUNDS {
            let matrix = steps(&mut zeta, f[0], g[0]);
            (d, e) = matrix.applied_modulo_p(&d, &e);
            (f, g) = matrix.applied(&f, &g);
        }
        narrow(&d, f[4] >> 63)
    }

    /// [`Fe::inverted`] of a value that everybody may know: faster, and in a time that depends on it.
    pub(super) fn inverted_public(&self) -> Fe {
        let (mut f, mut g, mut d, mut e) = (P_WIDE, wide(self), [0; 5], [1, 0, 0, 0, 0]);
        // minus delta, which may as well begin at 1 here
        let mut eta = -1;
        while g != [0; 5] {
            let matrix = steps_public(&mut eta, f[0] as u64, g[0] as u64);
            (d, e) = matrix.applied_modulo_p(&d, &e);
            (f, g) = matrix.applied(&f, &g);
        }
        narrow(&d, f[4] >> 63)
    }
}

/// 59 steps in constant time; the matrix begins at 8 times the identity, so that its scale is 2^62.
fn steps(zeta: &mut i64, f: i64, g: i64) -> Matrix {
    let (mut u, mut v, mut q, mut r) = (8i64, 0i64, 0i64, 8i64);
    let (mut f, mut g) = (f, g);
    for _ in 3..BITS {
        let positive = *zeta >> 63; // all ones where delta > 0
        let odd = -(g & 1);
        let signed = |value: i64| (value ^ positive).wrapping_sub(positive);
        g = g.wrapping_add(signed(f) & odd);
        q = q.wrapping_add(signed(u) & odd);
        r = r.wrapping_add(signed(v) & odd);
        let swapped = positive & odd;
        *zeta = (*zeta ^ swapped) - 1;
        f = f.wrapping_add(g & swapped);
        u = u.wrapping_add(q & swapped);
        v = v.wrapping_add(r & swapped);
        g >>= 1;
        u <<= 1;
        v <<= 1;
    }
    Matrix { u, v, q, r }
}

/// 62 steps; runs of even `g` and up to six odd ones are taken at once.
fn steps_public(eta: &mut i64, f: u64, g: u64) -> Matrix {
    let (mut u, mut v, mut q, mut r) = (1i64, 0i64, 0i64, 1i64);
    let (mut f, mut g) = (f, g);
    let mut left = BITS;
    loop {
        // A bit above what is left, so that no more are counted.
        let even = (g | u64::MAX << left).trailing_zeros();
        g >>= even;
        u <<= even;
        v <<= even;
        *eta -= i64::from(even);
        left -= even;
        if left == 0 {
            return Matrix { u, v, q, r };
        }
        if *eta < 0 {
            *eta = -*eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, -u);
            (v, r) = (r, -v);
        }
        // So many bits of g can go before delta changes its sign again.
        let count = (*eta + 1).min(i64::from(left)).min(6) as u32;
        // f (2 - f^2) is the inverse of f modulo 64, since f^2 = 1 modulo 8.
        let inverse = f.wrapping_mul(2u64.wrapping_sub(f.wrapping_mul(f)));
        let times = g.wrapping_neg().wrapping_mul(inverse) & (u64::MAX >> (64 - count));
        g = g.wrapping_add(f.wrapping_mul(times));
        q += u * times as i64;
        r += v * times as i64;
    }
}

impl Matrix {
    /// The new `f` and `g`. The low 62 bits of both products are zero: that is what steps are for.
    fn applied(&self, f: &Wide, g: &Wide) -> (Wide, Wide) {
        (shifted(f, g, self.u, self.v, 0), shifted(f, g, self.q, self.r, 0))
    }

    /// The new `d` and `e`, both above `-2 p` and below `p`, as the old ones: as many times `p` are
    /// added as make the low 62 bits zero, `p` once more for a negative addend.
    fn applied_modulo_p(&self, d: &Wide, e: &Wide) -> (Wide, Wide) {
        (times_of_p(d, e, self.u, self.v), times_of_p(d, e, self.q, self.r))
    }
}

fn times_of_p(d: &Wide, e: &Wide, u: i64, v: i64) -> Wide {
    let (negative_d, negative_e) = (d[4] >> 63, e[4] >> 63);
    let lifted = (u & negative_d).wrapping_add(v & negative_e);
    let low = u.wrapping_mul(d[0]).wrapping_add(v.wrapping_mul(e[0]));
    let times = lifted - (P_INVERSE.wrapping_mul(low).wrapping_add(lifted) & MASK);
    shifted(d, e, u, v, times)
}

/// `(u a + v b + times p) / 2^62`, which is a whole number.
#[inline]
fn shifted(a: &Wide, b: &Wide, u: i64, v: i64, times: i64) -> Wide {
    let product = |x: i64, y: i64| i128::from(x) * i128::from(y);
    let column = |i: usize| product(u, a[i]) + product(v, b[i]);
    let mut sum = column(0) + product(times, P.0);
    debug_assert_eq!(sum as i64 & MASK, 0, "the low bits are gone");
    sum >>= BITS;
    let mut out = [0; 5];
    for i in 1..4 {
        sum += column(i);
        out[i - 1] = sum as i64 & MASK;
        sum >>= BITS;
    }
    sum += column(4) + product(times, P.1);
    out[3] = sum as i64 & MASK;
    out[4] = (sum >> BITS) as i64;
    out
}

/// The residue as proper limbs.
fn wide(value: &Fe) -> Wide {
    let bytes = value.to_bytes();
    let word = |i: usize| u64::from_le_bytes(bytes.as_chunks::<8>().0[i]);
    let (a, b, c, d) = (word(0), word(1), word(2), word(3));
    [a, a >> 62 | b << 2, b >> 60 | c << 4, c >> 58 | d << 6, d >> 56]
        .map(|limb| limb as i64 & MASK)
}

/// `d`, or minus `d` where `negative` is all ones, as a field element.
fn narrow(d: &Wide, negative: i64) -> Fe {
    // From (-2p, p) to (-p, p), to the wanted sign, and to [0, p).
    let lifted = plus_p_where_negative(d);
    let signed = carried(lifted.map(|limb| (limb ^ negative) - negative));
    let [a, b, c, d, e] = plus_p_where_negative(&signed).map(|limb| limb as u64);
    let words = [a | b << 62, b >> 2 | c << 60, c >> 4 | d << 58, d >> 6 | e << 56];
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    Fe::from_bytes(&bytes)
}

fn plus_p_where_negative(value: &Wide) -> Wide {
    let negative = value[4] >> 63;
    carried(core::array::from_fn(|i| value[i] + (P_WIDE[i] & negative)))
}

/// Proper limbs, whatever the signs of the limbs were.
fn carried(mut value: Wide) -> Wide {
    for i in 0..4 {
        value[i + 1] += value[i] >> BITS;
        value[i] &= MASK;
    }
    value
}

/// Newton's iteration: each round doubles the bits that are right, from the three of an odd number.
const fn inverse_of_p() -> i64 {
    let p = P.0; // modulo 2^62
    let mut inverse = p;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2i64.wrapping_sub(p.wrapping_mul(inverse)));
        round += 1;
    }
    inverse & MASK
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(value: &Fe) {
        let expected = value.inverted_by_power().to_bytes();
        assert_eq!(value.inverted().to_bytes(), expected, "{value:?}");
        assert_eq!(value.inverted_public().to_bytes(), expected, "{value:?}");
    }

    #[test]
    fn the_ends_of_the_field_and_what_stands_for_them() {
        let bytes = |low: u8, others: u8, high: u8| {
            let mut bytes = [others; 32];
            (bytes[0], bytes[31]) = (low, high);
            bytes
        };
        let (zero, one, two) = (bytes(0, 0, 0), bytes(1, 0, 0), bytes(2, 0, 0));
        // p - 1, p, p + 1 and 2^255 - 1.
        let top = [0xec, 0xed, 0xee, 0xff].map(|low| bytes(low, 0xff, 0x7f));
        [zero, one, two].iter().chain(&top).for_each(|bytes| holds(&Fe::from_bytes(bytes)));
        assert_eq!(Fe::ZERO.inverted().to_bytes(), [0; 32]);
        (0..255).for_each(|bit| {
            let mut bytes = [0; 32];
            bytes[bit / 8] = 1 << (bit % 8);
            holds(&Fe::from_bytes(&bytes));
            holds(&Fe::from_bytes(&bytes).negated());
        });
    }

    proptest! {
        #[test]
        fn division_steps_and_the_power_give_one_inverse(bytes: [u8; 32]) {
            holds(&Fe::from_bytes(&bytes));
            let difference = Fe::from_bytes(&bytes).sub(&Fe::D);
            prop_assert_eq!(
                difference.inverted_public().to_bytes(),
                difference.inverted_by_power().to_bytes()
            );
        }
    }
}
