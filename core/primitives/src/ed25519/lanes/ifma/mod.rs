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
use super::{Kernels, Quad, SecretRows, Term};

pub(super) static KERNELS: Kernels = Kernels {
    name: "ifma",
    supported: || is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma"),
    pow_p58: |elements| {
        // SAFETY: needs avx512f and avx512ifma. These kernels are reached through a `Backend` alone,
        // and a `Backend` to them is made only after `supported` found both.
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

#[target_feature(enable = "avx512f,avx512ifma")]
fn add(sums: &mut Quad, others: &Quad) {
    let mut points = Points::load(sums);
    points.add(&Points::load(others));
    points.store(sums);
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn accumulate_secret(sums: &mut Quad, rows: &SecretRows, digits: &[i8; 64]) {
    let mut points = Points::load(sums);
    for (rows, digits) in rows.as_chunks::<4>().0.iter().zip(digits.as_chunks::<4>().0) {
        points.add_secret(rows, digits);
    }
    points.store(sums);
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
