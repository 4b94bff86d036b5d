//! The constants of SHA-256 and the message schedules that are known before any message is.
//!
//! All of it is computed by the compiler from FIPS 180-4 4.2.2, 5.3.3 and 6.2.2.

/// Four 32-bit words on a 16-byte boundary: one vector register as it lies in memory.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct Quad(pub(super) [u32; 4]);

/// The initial hash value, `a` to `h` (FIPS 180-4 5.3.3).
pub(crate) const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The round constants (FIPS 180-4 4.2.2).
#[rustfmt::skip]
pub(super) const ROUND: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The words 8 to 15 of a block that ends a 32-byte message: a digest that is hashed again.
pub(super) const PADDING_32: [u32; 8] = [0x8000_0000, 0, 0, 0, 0, 0, 0, 256];

/// The whole block that ends a 64-byte message.
const PADDING_64: [u32; 16] = [0x8000_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 512];

/// Round constants, four at a time.
pub(super) static ROUND_QUADS: [Quad; 16] = quads(&ROUND);

/// Round constants plus the schedule of [`PADDING_64`]: the second block of every 64-byte message
/// needs no schedule of its own.
pub(super) const ROUND_PADDING_64: [u32; 64] = sum(&ROUND, &schedule(&PADDING_64));

/// [`ROUND_PADDING_64`], four at a time.
pub(super) static ROUND_PADDING_64_QUADS: [Quad; 16] = quads(&ROUND_PADDING_64);

/// The function sigma 0 of the message schedule (FIPS 180-4 4.6).
pub(super) const fn sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

/// The function sigma 1 of the message schedule (FIPS 180-4 4.7).
pub(super) const fn sigma1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ (x >> 10)
}

/// The message schedule of one block (FIPS 180-4 6.2.2, step 1).
pub(super) const fn schedule(block: &[u32; 16]) -> [u32; 64] {
    let mut w = [0; 64];
    let mut t = 0;
    while t < 64 {
        w[t] = if t < 16 {
            block[t]
        } else {
            sigma1(w[t - 2])
                .wrapping_add(w[t - 7])
                .wrapping_add(sigma0(w[t - 15]))
                .wrapping_add(w[t - 16])
        };
        t += 1;
    }
    w
}

/// The sum of each two words.
pub(super) const fn sum(x: &[u32; 64], y: &[u32; 64]) -> [u32; 64] {
    let mut z = [0; 64];
    let mut t = 0;
    while t < 64 {
        z[t] = x[t].wrapping_add(y[t]);
        t += 1;
    }
    z
}

const fn quads(words: &[u32; 64]) -> [Quad; 16] {
    let mut quads = [Quad([0; 4]); 16];
    let mut t = 0;
    while t < 64 {
        quads[t / 4].0[t % 4] = words[t];
        t += 1;
    }
    quads
}
