//! How many field multiplications a piece of work needs: a backend that computes and counts.

use std::cell::Cell;

use super::{Backend, Kernels, backend};

/// Multiplications of field elements, each in four lanes at once.
///
/// Counted is what the kernels of a backend do. What is done one at a time around them (inversions,
/// encodings, the ends of square roots, the last doublings of a sum) is not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldWork {
    /// Products of two elements.
    pub products: u64,
    /// Squares.
    pub squares: u64,
}

/// The power `(p - 5) / 8`, by the chain of `Fe::pow_p58`.
const POWER: FieldWork = FieldWork { products: 11, squares: 251 };
/// A point in extended coordinates and one that a table or a signature gives.
const SUM_WITH_TERM: u64 = 7;
/// Two points in extended coordinates.
const SUM: u64 = 9;
/// Terms of a lane in `[r]B`: 64 rows, dealt to four lanes.
const SECRET_STEPS: u64 = 16;

static COUNTED: Kernels = Kernels {
    name: "counted",
    supported: || true,
    pow_p58: |elements| {
        elements.chunks(4).for_each(|_| count(POWER));
        (backend().0.pow_p58)(elements);
    },
    accumulate: |sums, steps| {
        count_products(SUM_WITH_TERM * steps.len() as u64);
        (backend().0.accumulate)(sums, steps);
    },
    add: |sums, others| {
        count_products(SUM);
        (backend().0.add)(sums, others);
    },
    accumulate_secret: Some(|sums, rows, digits| {
        count_products(SUM_WITH_TERM * SECRET_STEPS);
        let kernel = backend().0.accumulate_secret;
        kernel.expect("who asked has looked for the kernel")(sums, rows, digits);
    }),
    multiply: |quad, rounds| (backend().0.multiply)(quad, rounds),
    square: |quad, rounds| (backend().0.square)(quad, rounds),
};

thread_local! {
    static WORK: Cell<FieldWork> = const { Cell::new(FieldWork { products: 0, squares: 0 }) };
}

impl FieldWork {
    /// What `work` multiplies on the calling thread with the backend that it is given: the fastest
    /// one of this machine, counted.
    ///
    /// # Panics
    /// When it signs although [`backend`] does not, see [`Backend::signs`].
    pub fn of(work: impl FnOnce(Backend)) -> FieldWork {
        let before = WORK.get();
        work(Backend(&COUNTED));
        let after = WORK.get();
        FieldWork {
            products: after.products - before.products,
            squares: after.squares - before.squares,
        }
    }
}

fn count_products(products: u64) {
    count(FieldWork { products, squares: 0 });
}

fn count(more: FieldWork) {
    let FieldWork { products, squares } = WORK.get();
    WORK.set(FieldWork { products: products + more.products, squares: squares + more.squares });
}

#[cfg(test)]
mod tests {
    use super::super::super::field::{Fe, counter};
    use super::super::{Quad, Term};
    use super::*;

    /// Products and squares of `work`, lane by lane.
    fn multiplied(work: impl FnOnce(&Kernels)) -> (u64, u64) {
        let before = counter::total();
        work(Backend::PORTABLE.kernels());
        let after = counter::total();
        (after.0 - before.0, after.1 - before.1)
    }

    #[test]
    fn each_kernel_multiplies_as_often_as_it_is_counted() {
        let power = multiplied(|kernels| (kernels.pow_p58)(&mut [Fe::D; 4]));
        assert_eq!(power, (4 * POWER.products, 4 * POWER.squares));
        let terms = [[Term::NOTHING; 4]; 3];
        let sum = multiplied(|kernels| (kernels.accumulate)(&mut { Quad::IDENTITY }, &terms));
        assert_eq!(sum, (3 * 4 * SUM_WITH_TERM, 0));
        let sum = multiplied(|kernels| (kernels.add)(&mut { Quad::IDENTITY }, &Quad::IDENTITY));
        assert_eq!(sum, (4 * SUM, 0));
    }

    #[test]
    fn work_is_counted_and_done() {
        let mut fourfold = [Fe::D; 4];
        let work = FieldWork::of(|backend| (backend.kernels().pow_p58)(&mut fourfold));
        assert_eq!(work, POWER);
        assert!(fourfold[3].equals(&Fe::D.pow_p58()));
        assert_eq!(FieldWork::of(|_| ()), FieldWork::default());
    }
}
