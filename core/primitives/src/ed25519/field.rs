//! The field of integers modulo `p = 2^255 - 19`, in five limbs of 51 bits.
//!
//! A value is `sum l_i 2^(51 i)`, not unique: limbs may exceed 51 bits for a while. Products and
//! [`Fe::reduced`] leave limbs below `2^51 + 2^15`; sums and differences of such values stay below
//! `2^54`, which is what a product accepts. Nothing here branches or indexes by a value, so the
//! arithmetic is fit for secrets; [`Fe::is_zero`] and [`Fe::equals`] are, and what a caller does
//! with their answer is his affair.

const MASK: u64 = (1 << 51) - 1;

/// Four times `p`, limb by limb: what a difference adds, so that no limb goes below zero.
const FOUR_P: [u64; 5] =
    [(1 << 53) - 76, (1 << 53) - 4, (1 << 53) - 4, (1 << 53) - 4, (1 << 53) - 4];

/// A field element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fe(pub(super) [u64; 5]);

impl Fe {
    pub(super) const ZERO: Fe = Fe([0; 5]);
    pub(super) const ONE: Fe = Fe([1, 0, 0, 0, 0]);
    /// The curve's `d = -121665/121666` (RFC 8032, 5.1).
    pub(super) const D: Fe =
        Fe([0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff]);
    /// `2 d`.
    pub(super) const D2: Fe =
        Fe([0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff]);
    /// The square root of -1 that is `2^((p-1)/4)` (RFC 8032, 5.1.3).
    pub(super) const SQRT_MINUS_ONE: Fe =
        Fe([0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d]);

    /// The value of the lower 255 bits, little-endian. Values of `p` and above are taken as they
    /// are: they stand for their residue.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Fe {
        let word = |i: usize| u64::from_le_bytes(bytes.as_chunks::<8>().0[i]);
        let (a, b, c, d) = (word(0), word(1), word(2), word(3));
        Fe([
            a & MASK,
            (a >> 51 | b << 13) & MASK,
            (b >> 38 | c << 26) & MASK,
            (c >> 25 | d << 39) & MASK,
            (d >> 12) & MASK,
        ])
    }

    /// The canonical encoding: below `p`, the highest bit clear.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut l = self.reduced().reduced().0;
        // The quotient by p: 1 when the value plus 19 reaches 2^255.
        let q = l.iter().fold(19, |carry, limb| (limb + carry) >> 51);
        l[0] += 19 * q;
        for i in 0..4 {
            l[i + 1] += l[i] >> 51;
            l[i] &= MASK;
        }
        l[4] &= MASK;
        let words = [
            l[0] | l[1] << 51,
            l[1] >> 13 | l[2] << 38,
            l[2] >> 26 | l[3] << 25,
            l[3] >> 39 | l[4] << 12,
        ];
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    /// The same value with every limb below `2^51 + 2^15`.
    #[inline]
    pub(super) fn reduced(self) -> Fe {
        let l = self.0;
        let carry = l.map(|limb| limb >> 51);
        Fe([
            (l[0] & MASK) + carry[4] * 19,
            (l[1] & MASK) + carry[0],
            (l[2] & MASK) + carry[1],
            (l[3] & MASK) + carry[2],
            (l[4] & MASK) + carry[3],
        ])
    }

    #[inline]
    pub(super) fn add(&self, other: &Fe) -> Fe {
        Fe(core::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    /// The difference. `other` is reduced or the sum of at most three reduced values.
    #[inline]
    pub(super) fn sub(&self, other: &Fe) -> Fe {
        Fe(core::array::from_fn(|i| self.0[i] + FOUR_P[i] - other.0[i]))
    }

    #[inline]
    pub(super) fn negated(&self) -> Fe {
        Fe::ZERO.sub(self).reduced()
    }

    #[inline]
    pub(super) fn mul(&self, other: &Fe) -> Fe {
        #[cfg(test)]
        counter::count(|work| work.0 += 1);
        let (a, b) = (&self.0, &other.0);
        // 2^255 = 19: what reaches limb 5 comes back at limb 0, nineteen times.
        let w = b.map(|limb| 19 * limb);
        carried([
            m(a[0], b[0]) + m(a[1], w[4]) + m(a[2], w[3]) + m(a[3], w[2]) + m(a[4], w[1]),
            m(a[0], b[1]) + m(a[1], b[0]) + m(a[2], w[4]) + m(a[3], w[3]) + m(a[4], w[2]),
            m(a[0], b[2]) + m(a[1], b[1]) + m(a[2], b[0]) + m(a[3], w[4]) + m(a[4], w[3]),
            m(a[0], b[3]) + m(a[1], b[2]) + m(a[2], b[1]) + m(a[3], b[0]) + m(a[4], w[4]),
            m(a[0], b[4]) + m(a[1], b[3]) + m(a[2], b[2]) + m(a[3], b[1]) + m(a[4], b[0]),
        ])
    }

    #[inline]
    pub(super) fn square(&self) -> Fe {
        #[cfg(test)]
        counter::count(|work| work.1 += 1);
        let a = &self.0;
        let (d0, d1, d2) = (2 * a[0], 2 * a[1], 2 * a[2]);
        let (w3, w4) = (19 * a[3], 19 * a[4]);
        carried([
            m(a[0], a[0]) + m(d1, w4) + m(d2, w3),
            m(d0, a[1]) + m(d2, w4) + m(a[3], w3),
            m(d0, a[2]) + m(a[1], a[1]) + m(2 * a[3], w4),
            m(d0, a[3]) + m(d1, a[2]) + m(a[4], w4),
            m(d0, a[4]) + m(d1, a[3]) + m(a[2], a[2]),
        ])
    }

    /// The `2^count`-th power.
    #[inline]
    pub(super) fn squared_times(&self, count: u32) -> Fe {
        (0..count).fold(*self, |value, _| value.square())
    }

    /// The power `p - 2`: the inverse, and zero for zero. What [`super::inverse`] is held against.
    #[cfg(test)]
    pub(super) fn inverted_by_power(&self) -> Fe {
        let (x11, x250) = self.x11_and_x250();
        x250.squared_times(5).mul(&x11)
    }

    /// The power `(p - 5) / 8 = 2^252 - 3`, which a square root needs (RFC 8032, 5.1.3).
    pub(super) fn pow_p58(&self) -> Fe {
        self.x11_and_x250().1.squared_times(2).mul(self)
    }

    /// The powers 11 and `2^250 - 1`, by the addition chain that everybody uses.
    fn x11_and_x250(&self) -> (Fe, Fe) {
        let x2 = self.square();
        let x9 = x2.squared_times(2).mul(self);
        let x11 = x9.mul(&x2);
        let x_5 = x11.square().mul(&x9); // 2^5 - 1
        let x_10 = x_5.squared_times(5).mul(&x_5);
        let x_20 = x_10.squared_times(10).mul(&x_10);
        let x_40 = x_20.squared_times(20).mul(&x_20);
        let x_50 = x_40.squared_times(10).mul(&x_10);
        let x_100 = x_50.squared_times(50).mul(&x_50);
        let x_200 = x_100.squared_times(100).mul(&x_100);
        (x11, x_200.squared_times(50).mul(&x_50))
    }

    /// Whether the value is a multiple of `p`.
    pub(super) fn is_zero(self) -> bool {
        self.to_bytes().iter().fold(0, |all, byte| all | byte) == 0
    }

    /// Whether two reduced values are the same residue.
    pub(super) fn equals(&self, other: &Fe) -> bool {
        self.sub(other).is_zero()
    }
}

#[inline]
fn m(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// Brings five columns of products back to limbs. Each column is below `2^115`.
#[inline]
fn carried(mut c: [u128; 5]) -> Fe {
    let mut l = [0; 5];
    for i in 0..4 {
        c[i + 1] += c[i] >> 51;
        l[i] = c[i] as u64 & MASK;
    }
    l[4] = c[4] as u64 & MASK;
    l[0] += (c[4] >> 51) as u64 * 19;
    l[1] += l[0] >> 51;
    l[0] &= MASK;
    Fe(l)
}

/// What a test's thread has multiplied and squared: the counts of `lanes::counted` are held
/// against it.
#[cfg(test)]
pub(super) mod counter {
    use std::cell::Cell;

    thread_local! {
        static WORK: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    }

    pub(super) fn count(add: impl FnOnce(&mut (u64, u64))) {
        let mut work = WORK.get();
        add(&mut work);
        WORK.set(work);
    }

    /// Products and squares so far.
    pub(in super::super) fn total() -> (u64, u64) {
        WORK.get()
    }
}
