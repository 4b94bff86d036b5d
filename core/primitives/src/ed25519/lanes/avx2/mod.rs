//! The kernels with AVX2.
//!
//! `unsafe` is needed for two things: to call code that needs AVX2, which was detected before a
//! `Backend` to it could be made, and to read and write memory as registers.

mod element;
mod point;

use std::is_x86_feature_detected;

use self::element::Element;
use self::point::Points;
use super::super::field::Fe;
use super::{Coordinate, Kernels, Quad, Term, put, take};

pub(super) static KERNELS: Kernels = Kernels {
    name: "avx2",
    supported: || is_x86_feature_detected!("avx2"),
    pow_p58: |elements| {
        // SAFETY: needs avx2. These kernels are reached through a `Backend` alone, and a `Backend`
        // to them is made only after `supported` found it.
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
};

#[target_feature(enable = "avx2")]
fn pow_p58(elements: &mut [Fe; 4]) {
    let mut lanes: Coordinate = [[0; 4]; 10];
    for (lane, element) in elements.iter().enumerate() {
        put(&mut lanes, lane, *element);
    }
    Element::load(&lanes).pow_p58().store(&mut lanes);
    for (lane, element) in elements.iter_mut().enumerate() {
        *element = take(&lanes, lane);
    }
}

#[target_feature(enable = "avx2")]
fn accumulate(sums: &mut Quad, steps: &[[Term<'_>; 4]]) {
    let mut points = Points::load(sums);
    for step in steps {
        points.add_terms(step);
    }
    points.store(sums);
}

#[target_feature(enable = "avx2")]
fn add(sums: &mut Quad, others: &Quad) {
    let mut points = Points::load(sums);
    points.add(&Points::load(others));
    points.store(sums);
}
