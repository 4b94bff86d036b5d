//! What the backends with vector instructions share: which kernel calls what, written once for each
//! set of instructions, since a function is compiled for one set.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::Term;

/// Defines `KERNELS` of a module that has `Points`, and functions `pow_p58`, `multiply` and `square`,
/// all of which need the instructions that are named; and that allows itself `unsafe`.
macro_rules! kernels {
    ($name:literal, needs $features:literal, found by $supported:expr) => {
        pub(super) static KERNELS: Kernels = Kernels {
            name: $name,
            supported: || $supported,
            pow_p58: |elements| {
                // SAFETY: needs the instructions named. These kernels are reached through a `Backend`
                // alone, and a `Backend` to them is made only after `supported` found them.
                unsafe { pow_p58(elements) }
            },
            accumulate: |sums, steps| {
                // SAFETY: as above.
                unsafe { accumulate(sums, steps) }
            },
            add: |sums, others| {
                // SAFETY: as above.
                unsafe { add(sums, others) }
            },
            accumulate_secret: Some(|sums, rows, digits| {
                // SAFETY: as above.
                unsafe { accumulate_secret(sums, rows, digits) }
            }),
            multiply: |quad, rounds| {
                // SAFETY: as above.
                unsafe { multiply(quad, rounds) }
            },
            square: |quad, rounds| {
                // SAFETY: as above.
                unsafe { square(quad, rounds) }
            },
        };

        #[target_feature(enable = $features)]
        fn accumulate(sums: &mut Quad, steps: &[[Term<'_>; 4]]) {
            let mut points = Points::load(sums);
            for (nth, step) in steps.iter().enumerate() {
                if let Some(next) = steps.get(nth + 1) {
                    vector::prefetch(next);
                }
                points.add_terms(step);
            }
            points.store(sums);
        }

        #[target_feature(enable = $features)]
        fn add(sums: &mut Quad, others: &Quad) {
            let mut points = Points::load(sums);
            points.add(&Points::load(others));
            points.store(sums);
        }

        #[target_feature(enable = $features)]
        fn accumulate_secret(sums: &mut Quad, rows: &SecretRows, digits: &[i8; 64]) {
            let mut points = Points::load(sums);
            for (rows, digits) in rows.as_chunks::<4>().0.iter().zip(digits.as_chunks::<4>().0) {
                points.add_secret(rows, digits);
            }
            points.store(sums);
        }
    };
}
pub(super) use kernels;

/// Defines the power `(p - 5) / 8` of an element that can be multiplied and squared, by the same chain
/// as `Fe::pow_p58`.
macro_rules! power {
    (needs $features:literal) => {
        #[target_feature(enable = $features)]
        fn squared_times(&self, count: u32) -> Element {
            let mut value = *self;
            for _ in 0..count {
                value = value.squared();
            }
            value
        }

        /// The power `(p - 5) / 8`.
        #[target_feature(enable = $features)]
        pub(super) fn pow_p58(&self) -> Element {
            let x2 = self.squared_times(1);
            let x9 = x2.squared_times(2).times(self);
            let x11 = x9.times(&x2);
            let x_5 = x11.squared_times(1).times(&x9);
            let x_10 = x_5.squared_times(5).times(&x_5);
            let x_20 = x_10.squared_times(10).times(&x_10);
            let x_40 = x_20.squared_times(20).times(&x_20);
            let x_50 = x_40.squared_times(10).times(&x_10);
            let x_100 = x_50.squared_times(50).times(&x_50);
            let x_200 = x_100.squared_times(100).times(&x_100);
            let x_250 = x_200.squared_times(50).times(&x_50);
            x_250.squared_times(2).times(self)
        }
    };
}
pub(super) use power;

/// Asks for the points of a later step, which in a table are seldom in the nearest cache.
#[inline]
pub(super) fn prefetch(terms: &[Term<'_>; 4]) {
    for term in terms {
        for line in term.point.0.as_chunks::<8>().0 {
            // SAFETY: a hint reads nothing, and every processor of this kind knows it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
        }
    }
}
