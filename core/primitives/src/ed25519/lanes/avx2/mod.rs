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
use super::vector::{self, kernels};
use super::{Coordinate, Kernels, Quad, SecretRows, Term, put, take};

kernels!("avx2", needs "avx2", found by is_x86_feature_detected!("avx2"));

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
