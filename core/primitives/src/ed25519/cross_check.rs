//! Our field and points held against long arithmetic and against curve25519-dalek.
//!
//! How many random cases a test takes is set by `QUORUMARK_CROSS_CHECKS`, 2000 if it is not set;
//! the nightly takes a million of each. The first draws are edge values.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::traits::{Identity, VartimeMultiscalarMul};
use curve25519_dalek::{Scalar, constants};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::field::Fe;
use super::lanes::{Backend, Quad, Term};
use super::multiscalar::Multiscalar;
use super::point::{Affine, Extended, Niels, decompress, to_affine};

fn cases() -> usize {
    let set = std::env::var("QUORUMARK_CROSS_CHECKS").ok();
    set.map_or(2000, |count| count.parse().expect("QUORUMARK_CROSS_CHECKS is a number"))
}

/// A number of 256 bits, the lowest word first.
type Long = [u64; 4];

const P: Long = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

/// 0, 1, 2, p - 1, p, p + 1, 2^255 - 1, and the limbs' borders.
fn edges() -> Vec<Long> {
    let near_p = |low: u64| [low, u64::MAX, u64::MAX, u64::MAX >> 1];
    let mut edges = vec![[0; 4], [1, 0, 0, 0], [2, 0, 0, 0], [19, 0, 0, 0]];
    edges.extend([18, 19, 17, 0, 37].map(|below| near_p(u64::MAX - below)));
    for bit in [25, 26, 51, 76, 77, 102, 127, 128, 153, 204, 229, 230, 254] {
        let mut power = [0; 4];
        power[bit / 64] = 1 << (bit % 64);
        edges.push(power);
        edges.push(sum_long(&power, &near_p(u64::MAX - 19))); // the power minus one
    }
    edges
}

fn less(a: &Long, b: &Long) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// `a - p`, or `a` when it is below.
fn residue(a: Long) -> Long {
    if less(&a, &P) {
        return a;
    }
    let mut borrow = false;
    core::array::from_fn(|i| {
        let (word, first) = a[i].overflowing_sub(P[i]);
        let (word, second) = word.overflowing_sub(u64::from(borrow));
        borrow = first || second;
        word
    })
}

/// `a + b` modulo `p`, of values below `2^255`.
fn sum_long(a: &Long, b: &Long) -> Long {
    let (a, b) = (residue(*a), residue(*b));
    let mut carry = false;
    residue(core::array::from_fn(|i| {
        let (word, first) = a[i].overflowing_add(b[i]);
        let (word, second) = word.overflowing_add(u64::from(carry));
        carry = first || second;
        word
    }))
}

/// `a b` modulo `p`, by doubling and adding.
fn product_long(a: &Long, b: &Long) -> Long {
    (0..256).rev().fold([0; 4], |sum, bit| {
        let double = sum_long(&sum, &sum);
        if b[bit / 64] >> (bit % 64) & 1 == 1 { sum_long(&double, a) } else { double }
    })
}

fn encoding(a: &Long) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(a) {
        *chunk = word.to_le_bytes();
    }
    bytes
}

fn random_long(rng: &mut ChaCha8Rng) -> Long {
    let mut words: Long = rng.random();
    words[3] >>= 1;
    words
}

#[test]
fn field_arithmetic_is_that_of_long_arithmetic() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let edges = edges();
    let pairs = edges.iter().flat_map(|a| edges.iter().map(|b| (*a, *b)));
    let random = (0..cases()).map(|_| (random_long(&mut rng), random_long(&mut rng)));
    for (a, b) in pairs.chain(random) {
        let (x, y) = (Fe::from_bytes(&encoding(&a)), Fe::from_bytes(&encoding(&b)));
        assert_eq!(x.to_bytes(), encoding(&residue(a)), "{a:x?}");
        assert_eq!(x.mul(&y).to_bytes(), encoding(&product_long(&a, &b)), "{a:x?} {b:x?}");
        assert_eq!(x.square().to_bytes(), encoding(&product_long(&a, &a)), "{a:x?}");
        assert_eq!(x.add(&y).to_bytes(), encoding(&sum_long(&a, &b)), "{a:x?} {b:x?}");
        assert!(x.sub(&y).add(&y).reduced().equals(&x), "{a:x?} {b:x?}");
        assert!(x.add(&x.negated()).is_zero(), "{a:x?}");
        assert_eq!(x.equals(&y), residue(a) == residue(b), "{a:x?} {b:x?}");
    }
    for a in edges {
        let x = Fe::from_bytes(&encoding(&a));
        let one = if x.is_zero() { Fe::ZERO } else { Fe::ONE };
        assert!(x.mul(&x.inverted()).equals(&one), "{a:x?}");
        assert!(x.mul(&x.inverted_public()).equals(&one), "{a:x?}");
    }
}

#[test]
fn the_constants_are_those_of_the_curve() {
    let fraction = Fe([121_666, 0, 0, 0, 0]).mul(&Fe::D).add(&Fe([121_665, 0, 0, 0, 0]));
    assert!(fraction.is_zero());
    assert!(Fe::D.add(&Fe::D).equals(&Fe::D2));
    assert!(Fe::SQRT_MINUS_ONE.square().add(&Fe::ONE).is_zero());
}

#[test]
fn every_backend_raises_to_the_power_of_a_square_root() {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    let mut values = edges();
    values.extend((0..cases()).map(|_| random_long(&mut rng)));
    let mut elements: Vec<Fe> =
        values.iter().map(|value| Fe::from_bytes(&encoding(value))).collect();
    // No limb of what is called reduced is larger, and none of a sum of two such.
    elements.extend([1, 2].map(|sum| Fe([sum * ((1 << 51) + (1 << 15) - 1); 5])));
    // Thirteen fill lanes of four and of eight, and leave some empty.
    for elements in elements.chunks(13) {
        let bytes = |elements: &[Fe]| elements.iter().map(|fe| fe.to_bytes()).collect::<Vec<_>>();
        let powers: Vec<Fe> = elements.iter().map(Fe::pow_p58).collect();
        for backend in Backend::available() {
            let mut found = elements.to_vec();
            (backend.kernels().pow_p58)(&mut found);
            assert_eq!(bytes(&found), bytes(&powers), "{backend}: {elements:x?}");
        }
    }
    let two = Fe::ONE.add(&Fe::ONE);
    let slow = two.squared_times(252).mul(&two.square().mul(&two).inverted());
    assert!(two.pow_p58().equals(&slow), "2^(2^252 - 3)");
}

/// Encodings: of points with and without a small-order component, canonical or not, and random
/// bytes, of which half decompress.
fn random_encoding(rng: &mut ChaCha8Rng, nth: usize) -> [u8; 32] {
    let edges = edges();
    if nth < 2 * edges.len() {
        let mut bytes = encoding(&edges[nth / 2]);
        bytes[31] |= (nth as u8 & 1) << 7;
        return bytes;
    }
    match nth % 8 {
        0 => EIGHT_TORSION[rng.random_range(0..8)].compress().0,
        1 | 2 => (random_point(rng) + EIGHT_TORSION[rng.random_range(0..8)]).compress().0,
        3 => encoding(&residue(random_long(rng))),
        _ => rng.random(),
    }
}

fn random_point(rng: &mut ChaCha8Rng) -> EdwardsPoint {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order(bytes))
}

/// A random point of any order, ours and theirs.
fn random_pair(rng: &mut ChaCha8Rng, nth: usize) -> (Affine, EdwardsPoint) {
    loop {
        let later = nth + 8 * rng.random_range(0..64usize);
        let bytes = random_encoding(rng, later);
        if let Some(theirs) = CompressedEdwardsY(bytes).decompress() {
            let [ours] = decompress(&[&bytes], Backend::PORTABLE.kernels().pow_p58);
            return (ours.expect("both decompress"), theirs);
        }
    }
}

fn compressed(point: &Extended) -> [u8; 32] {
    let mut affine = Vec::new();
    to_affine(&[*point], &mut Vec::new(), &mut affine);
    affine[0].to_bytes()
}

#[test]
fn zip_215_every_backend_decompresses_what_dalek_decompresses() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    for first in (0..cases()).step_by(8) {
        let eight: [_; 8] = core::array::from_fn(|i| random_encoding(&mut rng, first + i));
        for backend in Backend::available() {
            let some = eight.each_ref();
            let some = &some[..1 + first / 8 % 8];
            let ours: [_; 8] = decompress(some, backend.kernels().pow_p58);
            assert!(ours[some.len()..].iter().all(Option::is_none));
            for (bytes, ours) in some.iter().zip(ours) {
                let theirs = CompressedEdwardsY(**bytes).decompress();
                let theirs = theirs.map(|point| point.compress().0);
                assert_eq!(ours.map(Affine::to_bytes), theirs, "{backend}: {bytes:x?}");
            }
        }
    }
}

#[test]
fn every_backend_adds_points_as_dalek_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    for first in (0..cases()).step_by(4) {
        let start = [0, 1, 2, 3].map(|i| random_pair(&mut rng, first + i));
        let other = [0, 1, 2, 3].map(|i| random_pair(&mut rng, first + i));
        let negative: [bool; 4] = rng.random();
        let niels = other.each_ref().map(|(ours, _)| ours.niels());
        let step = [0, 1, 2, 3].map(|i| Term { point: &niels[i], negative: negative[i] });
        let points = start.each_ref().map(|(ours, _)| ours.extended());
        let others = other.each_ref().map(|(ours, _)| ours.extended());
        for backend in Backend::available() {
            let mut sums = Quad::new(points.each_ref());
            (backend.kernels().accumulate)(&mut sums, &[step, step]);
            (backend.kernels().add)(&mut sums, &Quad::new(others.each_ref()));
            for (lane, negative) in negative.into_iter().enumerate() {
                let (theirs, term) = (start[lane].1, other[lane].1);
                let expected = if negative { theirs - term } else { theirs + term + term + term };
                assert_eq!(compressed(&sums.lane(lane)), expected.compress().0, "{backend}");
            }
        }
        let total = Quad::new(points.each_ref()).sum();
        let expected: EdwardsPoint = start.iter().map(|(_, theirs)| *theirs).sum();
        assert_eq!(compressed(&total), expected.compress().0);
        assert_eq!(compressed(&points[0].doubled()), (start[0].1 + start[0].1).compress().0);
        let small = start[0].1.is_small_order();
        assert_eq!(points[0].vanishes(), small, "only small orders vanish");
    }
}

/// Limbs at the borders of what reduced elements have: points seldom have such, and no two backends
/// cut them alike.
fn border_limb(rng: &mut ChaCha8Rng) -> u64 {
    let most = (1 << 51) + (1 << 15) - 1;
    let limbs = [0, 1, (1 << 26) - 1, 1 << 26, (1 << 51) - 20, (1 << 51) - 1, 1 << 51, most];
    limbs[rng.random_range(0..limbs.len())]
}

/// The lower 26 bits of a limb, and what is above them.
fn halves(limb: u64) -> [u64; 2] {
    [limb & ((1 << 26) - 1), limb >> 26]
}

fn border_quad(rng: &mut ChaCha8Rng) -> Quad {
    let mut quad = Quad::IDENTITY;
    for coordinate in &mut quad.0 {
        for [even, odd] in coordinate.as_chunks_mut::<2>().0 {
            for (even, odd) in even.iter_mut().zip(odd) {
                [*even, *odd] = halves(border_limb(rng));
            }
        }
    }
    quad
}

fn border_niels(rng: &mut ChaCha8Rng) -> Niels {
    let words: [u64; 15] = core::array::from_fn(|_| {
        let [low, high] = halves(border_limb(rng));
        low | high << 32
    });
    let mut niels = Niels([0; 16]);
    niels.0[..15].copy_from_slice(&words);
    niels
}

#[test]
fn every_backend_adds_limbs_at_the_borders_as_portable_code_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(27);
    // The formulas are polynomials: they agree beyond the curve, coordinate for coordinate.
    let residues = |quad: &Quad| {
        [0, 1, 2, 3].map(|lane| {
            let Extended { x, y, z, t } = quad.lane(lane);
            [x, y, z, t].map(Fe::to_bytes)
        })
    };
    for _ in 0..cases() {
        let (start, other) = (border_quad(&mut rng), border_quad(&mut rng));
        let niels = [(); 4].map(|()| border_niels(&mut rng));
        let negative: [bool; 4] = rng.random();
        let step = [0, 1, 2, 3].map(|i| Term { point: &niels[i], negative: negative[i] });
        let sums = |backend: Backend| {
            let (mut with_terms, mut with_points) = (start, start);
            (backend.kernels().accumulate)(&mut with_terms, &[step]);
            (backend.kernels().add)(&mut with_points, &other);
            [residues(&with_terms), residues(&with_points)]
        };
        let expected = sums(Backend::PORTABLE);
        for backend in Backend::available() {
            assert_eq!(sums(backend), expected, "{backend}: {start:x?} {other:x?} {step:x?}");
        }
    }
}

#[test]
fn negated_terms_are_the_negated_points() {
    let mut rng = ChaCha8Rng::seed_from_u64(25);
    for nth in 0..100 {
        let (ours, theirs) = random_pair(&mut rng, nth);
        let negated: Niels = ours.niels().negated();
        let sum = Extended::IDENTITY.add_niels(&negated, false);
        assert_eq!(compressed(&sum), (-theirs).compress().0);
        assert_eq!(compressed(&ours.extended().negated()), (-theirs).compress().0);
    }
}

#[test]
fn every_backend_sums_multiples_as_dalek_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(26);
    let sizes = [1, 2, 3, 5, 17, 64, 200, 700];
    for size in (0..cases().isqrt() / 6).map(|nth| sizes[nth % sizes.len()]) {
        let pairs: Vec<_> = (0..size).map(|nth| random_pair(&mut rng, nth)).collect();
        let edges = [0, 1, 2, 1 << 127, u128::MAX, u128::MAX >> 1, 0x8888 << 112];
        let scalars: Vec<u128> =
            (0..size)
                .map(|_| {
                    if rng.random_ratio(1, 8) {
                        edges[rng.random_range(0..7)]
                    } else {
                        rng.random()
                    }
                })
                .collect();
        let points: Vec<Niels> = pairs.iter().map(|(ours, _)| ours.niels()).collect();
        let expected = EdwardsPoint::vartime_multiscalar_mul(
            scalars.iter().map(|scalar| Scalar::from(*scalar)),
            pairs.iter().map(|(_, theirs)| theirs),
        );
        for backend in Backend::available() {
            let sum = Multiscalar::default().sum(backend.kernels(), &points, &scalars);
            assert_eq!(compressed(&sum), expected.compress().0, "{backend}, {size} terms");
        }
    }
    let nothing = Multiscalar::default().sum(Backend::PORTABLE.kernels(), &[], &[]);
    assert_eq!(compressed(&nothing), EdwardsPoint::identity().compress().0);
}

#[test]
fn the_halves_of_a_point_are_itself_and_its_2_128_fold_negated() {
    let halves = super::prepared::halves_of(constants::ED25519_BASEPOINT_COMPRESSED.as_bytes());
    let expected = [Scalar::ONE, Scalar::from(u128::MAX) + Scalar::ONE];
    for (half, scalar) in halves.expect("the base point is a point").iter().zip(expected) {
        let sum = Extended::IDENTITY.add_niels(half, true);
        assert_eq!(compressed(&sum), (scalar * ED25519_BASEPOINT_POINT).compress().0);
    }
}
