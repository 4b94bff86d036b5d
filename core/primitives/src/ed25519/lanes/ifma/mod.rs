//! The kernels with AVX-512 and its multiplication of 52 bits (AVX512_IFMA): Intel's since Ice Lake,
//! AMD's since Zen 4.
//!
//! `unsafe` is needed for two things: to call code that needs these instructions, which were detected
//! before a `Backend` to it could be made, and to read and write memory as registers.

mod element;
mod point;

use std::is_x86_feature_detected;

use self::element::Element;
use self::point::Points;
use super::super::field::Fe;
use super::vector::{self, kernels};
use super::{Kernels, Quad, SecretRows, Term};

kernels!(
    "ifma",
    needs "avx512f,avx512ifma",
    found by is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
);

#[target_feature(enable = "avx512f,avx512ifma")]
fn pow_p58(elements: &mut [Fe]) {
    for elements in elements.chunks_mut(8) {
        let mut eight = [Fe::ZERO; 8];
        eight[..elements.len()].copy_from_slice(elements);
        Element::gathered(&eight).pow_p58().scatter(&mut eight);
        elements.copy_from_slice(&eight[..elements.len()]);
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply(quad: &mut Quad, rounds: u32) {
    let mut pairs = load_pairs(quad);
    let right = pairs[0];
    for _ in 0..rounds {
        for pair in &mut pairs {
            *pair = pair.times(&right);
        }
    }
    store_pairs(quad, &pairs);
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn square(quad: &mut Quad, rounds: u32) {
    let mut pairs = load_pairs(quad);
    for _ in 0..rounds {
        for pair in &mut pairs {
            *pair = pair.squared();
        }
    }
    store_pairs(quad, &pairs);
}

/// The four coordinates, two to a register.
#[target_feature(enable = "avx512f,avx512ifma")]
fn load_pairs(quad: &Quad) -> [Element; 2] {
    let [x, y, z, t] = &quad.0;
    [Element::load(x, y), Element::load(z, t)]
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn store_pairs(quad: &mut Quad, [xy, zt]: &[Element; 2]) {
    let [x, y, z, t] = &mut quad.0;
    xy.store(x, y);
    zt.store(z, t);
}
