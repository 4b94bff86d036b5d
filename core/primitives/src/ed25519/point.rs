//! Points of the curve `-x^2 + y^2 = 1 + d x^2 y^2` and their addition, one at a time.
//!
//! The formulas are those of Hisil, Wong, Carter and Dawson, "Twisted Edwards Curves Revisited"
//! (2008), sections 3.1 and 3.2, for `a = -1`. They are complete: they hold for all points of the
//! curve, those of small order and equal ones too, so no case is told apart.

use super::field::Fe;

/// A point `(x / z, y / z)` with `t = x y / z`. Every coordinate is reduced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extended {
    pub(super) x: Fe,
    pub(super) y: Fe,
    pub(super) z: Fe,
    pub(super) t: Fe,
}

/// A point in affine coordinates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub(super) x: Fe,
    pub(super) y: Fe,
}

/// An affine point as an addition wants it: `y + x`, `y - x` and `2 d x y`.
///
/// Each is five words. A word holds a limb of 51 bits as two of 26 and 25: the even one in its
/// lower half, the odd one in its upper half, which is how four lanes load them. Two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Niels(pub(super) [u64; 16]);

impl Extended {
    pub(super) const IDENTITY: Extended =
        Extended { x: Fe::ZERO, y: Fe::ONE, z: Fe::ONE, t: Fe::ZERO };

    pub(super) fn add(&self, other: &Extended) -> Extended {
        let a = self.y.sub(&self.x).mul(&other.y.sub(&other.x));
        let b = self.y.add(&self.x).mul(&other.y.add(&other.x));
        let c = self.t.mul(&Fe::D2).mul(&other.t);
        let d = self.z.mul(&other.z);
        completed(&a, &b, &c, &d.add(&d))
    }

    pub(super) fn add_niels(&self, other: &Niels, negative: bool) -> Extended {
        let [plus, minus, xy2d] = other.unpacked();
        let (plus, minus) = if negative { (minus, plus) } else { (plus, minus) };
        let a = self.y.sub(&self.x).mul(&minus);
        let b = self.y.add(&self.x).mul(&plus);
        let c = self.t.mul(&xy2d);
        let c = if negative { c.negated() } else { c };
        completed(&a, &b, &c, &self.z.add(&self.z))
    }

    pub(super) fn doubled(&self) -> Extended {
        let (xx, yy, zz) = (self.x.square(), self.y.square(), self.z.square());
        let sum = yy.add(&xx);
        let difference = yy.sub(&xx).reduced();
        let e = self.x.add(&self.y).square().sub(&sum);
        let f = zz.add(&zz).sub(&difference);
        Extended { x: e.mul(&f), y: sum.mul(&difference), z: difference.mul(&f), t: e.mul(&sum) }
    }

    pub(super) fn negated(&self) -> Extended {
        Extended { x: self.x.negated(), t: self.t.negated(), ..*self }
    }

    /// The point times the cofactor 8, which brings its small-order component to zero.
    pub(super) fn eightfold(&self) -> Extended {
        self.doubled().doubled().doubled()
    }

    /// Whether the point is zero but for its small-order component.
    pub(super) fn vanishes(&self) -> bool {
        let eightfold = self.eightfold();
        eightfold.x.is_zero() && eightfold.y.equals(&eightfold.z)
    }

    /// Whether the two stand for one point.
    pub(super) fn equals(&self, other: &Extended) -> bool {
        self.x.mul(&other.z).equals(&other.x.mul(&self.z))
            && self.y.mul(&other.z).equals(&other.y.mul(&self.z))
    }
}

/// The sum from the four products of an addition.
#[inline]
fn completed(a: &Fe, b: &Fe, c: &Fe, d: &Fe) -> Extended {
    let (e, f, g, h) = (b.sub(a), d.sub(c), d.add(c), b.add(a));
    Extended { x: e.mul(&f), y: g.mul(&h), z: f.mul(&g), t: e.mul(&h) }
}

impl Affine {
    pub(super) fn extended(&self) -> Extended {
        Extended { x: self.x, y: self.y, z: Fe::ONE, t: self.x.mul(&self.y) }
    }

    pub(super) fn niels(&self) -> Niels {
        let xy2d = self.x.mul(&self.y).mul(&Fe::D2);
        Niels::packed([self.y.add(&self.x), self.y.sub(&self.x), xy2d])
    }

    /// The encoding of RFC 8032, 5.1.2: `y`, and the lowest bit of `x` on top.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = self.y.to_bytes();
        bytes[31] |= self.x.to_bytes()[0] << 7;
        bytes
    }
}

impl Niels {
    pub(super) const IDENTITY: Niels = Niels([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

    fn packed(parts: [Fe; 3]) -> Niels {
        let mut words = [0; 16];
        for (five, part) in words.chunks_exact_mut(5).zip(parts) {
            for (word, limb) in five.iter_mut().zip(part.reduced().0) {
                *word = limb & HALF_MASK | limb >> HALF_BITS << 32;
            }
        }
        Niels(words)
    }

    pub(super) fn negated(&self) -> Niels {
        let [plus, minus, xy2d] = self.unpacked();
        Niels::packed([minus, plus, xy2d.negated()])
    }

    /// `y + x`, `y - x` and `2 d x y`.
    fn unpacked(&self) -> [Fe; 3] {
        let limb = |word: u64| (word & HALF_MASK) + (word >> 32 << HALF_BITS);
        core::array::from_fn(|part| Fe(core::array::from_fn(|i| limb(self.0[5 * part + i]))))
    }
}

/// Bits of the even one of the two halves of a limb.
pub(super) const HALF_BITS: u32 = 26;
const HALF_MASK: u64 = (1 << HALF_BITS) - 1;

/// Brings points to affine coordinates with one inversion for all of them (Montgomery's trick).
/// `products` is a buffer; `out` is overwritten.
pub(super) fn to_affine(points: &[Extended], products: &mut Vec<Fe>, out: &mut Vec<Affine>) {
    products.clear();
    out.clear();
    let mut product = Fe::ONE;
    for point in points {
        products.push(product);
        product = product.mul(&point.z);
    }
    let mut inverse = product.inverted_public();
    for (point, before) in points.iter().zip(&*products).rev() {
        let z_inverse = inverse.mul(before);
        inverse = inverse.mul(&point.z);
        out.push(Affine { x: point.x.mul(&z_inverse), y: point.y.mul(&z_inverse) });
    }
    out.reverse();
}

/// Decompresses up to `N` encodings (RFC 8032, 5.1.3), best eight at a time, by ZIP-215's rule: a `y`
/// of `p` or above stands for its residue, and `x = 0` takes either sign bit. `pow_p58` raises
/// elements to the power `(p - 5) / 8`: most of the work. `None` beyond the last encoding.
pub(super) fn decompress<const N: usize>(
    encodings: &[&[u8; 32]],
    pow_p58: fn(&mut [Fe]),
) -> [Option<Affine>; N] {
    assert!(encodings.len() <= N, "{} encodings, of {N} at most", encodings.len());
    let mut powers = [Fe::ZERO; N];
    let mut squares = [XSquared { y: Fe::ZERO, u: Fe::ZERO, v: Fe::ZERO, v3: Fe::ZERO }; N];
    for (nth, encoding) in encodings.iter().enumerate() {
        let square = XSquared::of(Fe::from_bytes(encoding));
        powers[nth] = square.v3.square().mul(&square.v).mul(&square.u);
        squares[nth] = square;
    }
    pow_p58(&mut powers[..encodings.len()]);
    core::array::from_fn(|nth| {
        let XSquared { y, u, v, v3 } = squares[nth];
        let sign = encodings.get(nth)?[31] >> 7;
        let x = square_root(powers[nth].mul(&v3).mul(&u), &u, &v)?;
        let odd = x.to_bytes()[0] & 1;
        Some(Affine { x: if odd == sign { x } else { x.negated() }, y })
    })
}

/// The square of the `x` that belongs to a `y`, as the fraction `u / v`.
#[derive(Clone, Copy)]
struct XSquared {
    y: Fe,
    u: Fe,
    v: Fe,
    /// The third power of `v`.
    v3: Fe,
}

impl XSquared {
    fn of(y: Fe) -> XSquared {
        let yy = y.square();
        let v = yy.mul(&Fe::D).add(&Fe::ONE);
        XSquared { y, u: yy.sub(&Fe::ONE).reduced(), v, v3: v.square().mul(&v) }
    }
}

/// The square root of `u / v`, when there is one, from the candidate `(u / v)^((p + 3) / 8)`.
fn square_root(candidate: Fe, u: &Fe, v: &Fe) -> Option<Fe> {
    let square = candidate.square().mul(v);
    if square.equals(u) {
        Some(candidate)
    } else if square.add(u).is_zero() {
        Some(candidate.mul(&Fe::SQRT_MINUS_ONE))
    } else {
        None
    }
}
