//! Random numbers that are the same on every machine, in every build, forever.
//!
//! The generator is xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number
//! generators", TOMS 2021), seeded by BLAKE3 over the run's seed and a name. Each purpose has a
//! stream of its own, so that one more draw for the network moves nothing in the workload.
//! Probabilities are integers out of [`CERTAIN`], made once when a scenario is read; no floating
//! point decides anything afterwards.

use quorumark_primitives::hash::blake3;

/// A probability of one. What happens with probability `p` has the threshold `p * CERTAIN`.
pub const CERTAIN: u32 = 1 << 24;

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of this name in the run of this seed.
    pub fn new(seed: u64, name: &str) -> Random {
        let mut message = seed.to_le_bytes().to_vec();
        message.extend_from_slice(name.as_bytes());
        let digest = blake3(&message).0;
        let mut state = [0; 4];
        for (word, bytes) in state.iter_mut().zip(digest.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        }
        // All zeros is the one state that the generator never leaves.
        state[0] |= u64::from(state == [0; 4]);
        Random { state }
    }

    /// Sixty-four random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (mut c, mut d) = (c ^ a, d ^ b);
        let (b, a) = (b ^ c, a ^ d);
        c ^= self.state[1] << 17;
        d = d.rotate_left(45);
        self.state = [a, b, c, d];
        result
    }

    /// A number below `bound`, by multiplication (Lemire, TOMACS 2019) without the rejection: the
    /// bias is below `bound / 2^64`.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing lies below 0");
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` when they are in the wrong order.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.checked_sub(low) {
            None | Some(0) => low,
            Some(u64::MAX) => self.bits(),
            Some(span) => low + self.below(span + 1),
        }
    }

    /// Whether something happens that has this threshold out of [`CERTAIN`]. Nothing is drawn for
    /// what never or always happens.
    pub fn happens(&mut self, threshold: u32) -> bool {
        match threshold {
            0 => false,
            CERTAIN.. => true,
            _ => self.bits() >> 40 < u64::from(threshold),
        }
    }

    /// One of `items`; `None` when there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        match items.len() {
            0 => None,
            count => items.get(self.below(count as u64) as usize),
        }
    }

    /// A waiting time whose mean is `mean` and whose distribution is exponential, in integers:
    /// `-ln(u) = ln 2 * -log2(u)`, with `log2` interpolated linearly between powers of two. The
    /// error is below nine hundredths of `mean`, and the mean is six parts in a hundred high.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let bits = self.bits() | 1;
        let zeros = u64::from(bits.leading_zeros());
        // The sixteen bits behind the leading one: where u lies between two powers of two.
        let part = ((bits << zeros) << 1) >> 48;
        let log2 = (zeros << 16) + ((1 << 16) - part);
        // ln 2 is 45426 / 2^16.
        ((u128::from(mean) * u128::from(log2) * 45_426) >> 32).min(u128::from(u64::MAX)) as u64
    }

    /// Brings `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_given_by_seed_and_name_alone() {
        let draw = |seed, name| Random::new(seed, name).bits();
        assert_eq!(draw(1, "network"), draw(1, "network"));
        assert_ne!(draw(1, "network"), draw(2, "network"));
        assert_ne!(draw(1, "network"), draw(1, "workload"));
    }

    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        // The first outputs from the state 1, 2, 3, 4, as the authors' C code gives them.
        let mut random = Random { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_reach_them() {
        let mut random = Random::new(7, "test");
        let drawn: Vec<u64> = (0..1000).map(|_| random.between(3, 6)).collect();
        assert!((3..=6).all(|value| drawn.contains(&value)));
        assert!(drawn.iter().all(|value| (3..=6).contains(value)));
        assert!(!random.happens(0) && random.happens(CERTAIN));
        let hits = (0..10_000).filter(|_| random.happens(CERTAIN / 4)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
    }

    #[test]
    fn waiting_times_have_their_mean() {
        let mut random = Random::new(7, "test");
        let sum: u64 = (0..20_000).map(|_| random.exponential(1_000_000)).sum();
        let mean = sum / 20_000;
        assert!((980_000..1_120_000).contains(&mean), "{mean}");
    }
}
