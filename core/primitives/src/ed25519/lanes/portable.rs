//! The kernels without vector instructions: lane after lane.

use super::super::field::Fe;
use super::{Kernels, Quad, Term, put, take};

pub(super) static KERNELS: Kernels = Kernels {
    name: "portable",
    supported: || true,
    pow_p58,
    accumulate,
    add,
    accumulate_secret: None,
    multiply,
    square,
};

fn pow_p58(elements: &mut [Fe]) {
    elements.iter_mut().for_each(|element| *element = element.pow_p58());
}

fn accumulate(sums: &mut Quad, steps: &[[Term<'_>; 4]]) {
    let mut points = [0, 1, 2, 3].map(|lane| sums.lane(lane));
    for step in steps {
        for (point, term) in points.iter_mut().zip(step) {
            *point = point.add_niels(term.point, term.negative);
        }
    }
    *sums = Quad::new(points.each_ref());
}

fn add(sums: &mut Quad, others: &Quad) {
    let points = [0, 1, 2, 3].map(|lane| sums.lane(lane).add(&others.lane(lane)));
    *sums = Quad::new(points.each_ref());
}

fn multiply(quad: &mut Quad, rounds: u32) {
    let mut elements = elements(quad);
    let right = elements[0];
    for _ in 0..rounds {
        for element in &mut elements {
            *element = element.mul(&right);
        }
    }
    store(quad, &elements);
}

fn square(quad: &mut Quad, rounds: u32) {
    let mut elements = elements(quad);
    for _ in 0..rounds {
        for element in &mut elements {
            *element = element.square();
        }
    }
    store(quad, &elements);
}

/// The sixteen elements of a quad.
fn elements(quad: &Quad) -> [Fe; 16] {
    core::array::from_fn(|i| take(&quad.0[i / 4], i % 4))
}

fn store(quad: &mut Quad, elements: &[Fe; 16]) {
    for (i, element) in elements.iter().enumerate() {
        put(&mut quad.0[i / 4], i % 4, *element);
    }
}
