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
use super::{Coordinate, Kernels, Quad, SecretRows, Term, put, take};

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

#[target_feature(enable = "avx2")]
fn pow_p58(elements: &mut [Fe]) {
    for elements in elements.chunks_mut(4) {
        let mut lanes: Coordinate = [[0; 4]; 10];
        for (lane, element) in elements.iter().enumerate() {
            put(&mut lanes, lane, *element);
        }
        Element::load(&lanes).pow_p58().store(&mut lanes);
        for (lane, element) in elements.iter_mut().enumerate() {
            *element = take(&lanes, lane);
        }
    }
}

#[target_feature(enable = "avx2")]
fn accumulate(sums: &mut Quad, steps: &[[Term<'_>; 4]]) {
    let mut points = Points::load(sums);
    for (nth, step) in steps.iter().enumerate() {
        if let Some(next) = steps.get(nth + 1) {
            point::prefetch(next);
        }
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

#[target_feature(enable = "avx2")]
fn accumulate_secret(sums: &mut Quad, rows: &SecretRows, digits: &[i8; 64]) {
    let mut points = Points::load(sums);
    for (rows, digits) in rows.as_chunks::<4>().0.iter().zip(digits.as_chunks::<4>().0) {
        points.add_secret(rows, digits);
    }
    points.store(sums);
}

#[target_feature(enable = "avx2")]
fn multiply(quad: &mut Quad, rounds: u32) {
    let mut elements = quad.0.each_ref().map(|lanes| Element::load(lanes));
    let right = elements[0];
    for _ in 0..rounds {
        for element in &mut elements {
            *element = element.times(&right);
        }
    }
    for (lanes, element) in quad.0.iter_mut().zip(elements) {
        element.store(lanes);
    }
}

#[target_feature(enable = "avx2")]
fn square(quad: &mut Quad, rounds: u32) {
    let mut elements = quad.0.each_ref().map(|lanes| Element::load(lanes));
    for _ in 0..rounds {
        for element in &mut elements {
            *element = element.squared();
        }
    }
    for (lanes, element) in quad.0.iter_mut().zip(elements) {
        element.store(lanes);
    }
}
