//! The kernels without vector instructions: lane after lane.

use super::super::field::Fe;
use super::{Kernels, Quad, Term};

pub(super) static KERNELS: Kernels =
    Kernels { name: "portable", supported: || true, pow_p58, accumulate, add };

fn pow_p58(elements: &mut [Fe; 4]) {
    *elements = elements.map(|element| element.pow_p58());
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
