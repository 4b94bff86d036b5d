//! Zipfian ranks, and YCSB's way of scattering them over the records.
//!
//! The generator is that of Gray, Sundaresan, Englert, Baclawski and Weinberger, "Quickly
//! generating billion-record synthetic databases" (SIGMOD 1994, section 3.2), as YCSB uses it.

/// YCSB's skew (`ZipfianGenerator.ZIPFIAN_CONSTANT`).
pub const THETA: f64 = 0.99;

/// Ranks that YCSB draws from before it scatters them (`ScrambledZipfianGenerator.ITEM_COUNT`).
const SCRAMBLED_ITEMS: u64 = 10_000_000_000;
/// The sum of `1 / i^0.99` over these items, which YCSB keeps as a constant too.
const SCRAMBLED_ZETA: f64 = 26.469_028_201_783_02;

/// Draws ranks `0..items`, rank `i` with a probability proportional to `1 / (i + 1)^theta`.
#[derive(Debug, Clone, Copy)]
pub struct Zipfian {
    items: f64,
    theta: f64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

impl Zipfian {
    /// A generator over `items` ranks; it sums `items` terms.
    ///
    /// # Panics
    /// When `items` is below 2.
    pub fn new(items: u64, theta: f64) -> Zipfian {
        Zipfian::with_zeta(items, theta, zeta(items, theta))
    }

    fn with_zeta(items: u64, theta: f64, zeta_items: f64) -> Zipfian {
        assert!(items >= 2, "a distribution over {items} items");
        let count = items as f64;
        let rest = 1.0 - (2.0 / count).powf(1.0 - theta);
        let eta = rest / (1.0 - zeta(2, theta) / zeta_items);
        Zipfian { items: count, theta, alpha: 1.0 / (1.0 - theta), zeta: zeta_items, eta }
    }

    /// The rank that a uniform `draw` from `[0, 1)` stands for.
    pub fn rank(&self, draw: f64) -> u64 {
        debug_assert!((0.0..1.0).contains(&draw), "a draw of {draw}");
        let scaled = draw * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(self.theta) {
            return 1;
        }
        let rank = self.items * (self.eta * draw - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.items as u64 - 1)
    }
}

/// YCSB's `ScrambledZipfianGenerator`: the popular ranks lie anywhere among the records.
#[derive(Debug, Clone, Copy)]
pub struct Scrambled {
    ranks: Zipfian,
    records: u64,
}

impl Scrambled {
    /// A generator over `records` records with YCSB's skew.
    ///
    /// # Panics
    /// When there are no records.
    pub fn new(records: u64) -> Scrambled {
        assert!(records > 0, "a choice among no records");
        Scrambled { ranks: Zipfian::with_zeta(SCRAMBLED_ITEMS, THETA, SCRAMBLED_ZETA), records }
    }

    /// The record that a uniform `draw` from `[0, 1)` stands for.
    pub fn record(&self, draw: f64) -> u64 {
        fnv1a(self.ranks.rank(draw)) % self.records
    }
}

/// 64-bit FNV-1a over the eight bytes, lowest first, without the sign: YCSB's `Utils.fnvhash64`.
pub fn fnv1a(value: u64) -> u64 {
    let hash = value.to_le_bytes().iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash as i64).unsigned_abs()
}

fn zeta(items: u64, theta: f64) -> f64 {
    (1..=items).map(|i| (i as f64).powf(-theta)).sum()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::workload::uniform;

    #[test]
    fn ranks_are_drawn_as_often_as_the_law_says() {
        let zipfian = Zipfian::new(100, THETA);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut drawn = [0u32; 100];
        for _ in 0..200_000 {
            drawn[zipfian.rank(uniform(&mut random)) as usize] += 1;
        }
        // The first two ranks are exact, the others approximated by a continuous law.
        for (rank, allowed) in [(0, 0.03), (1, 0.03), (10, 0.2), (50, 0.2)] {
            let expected = 200_000.0 / ((rank + 1) as f64).powf(THETA) / zeta(100, THETA);
            let off = f64::from(drawn[rank]) / expected - 1.0;
            assert!(off.abs() < allowed, "rank {rank}: {} for {expected:.0}", drawn[rank]);
        }
    }

    #[test]
    fn ycsb_s_constant_is_the_sum_that_it_stands_for() {
        let (head, items) = (1_000_000u64, SCRAMBLED_ITEMS as f64);
        let exponent = 1.0 - THETA;
        // Euler and Maclaurin: the tail is the integral, and half of the terms at its ends.
        let tail = (items.powf(exponent) - (head as f64).powf(exponent)) / exponent
            + (items.powf(-THETA) - (head as f64).powf(-THETA)) / 2.0;
        assert!((zeta(head, THETA) + tail - SCRAMBLED_ZETA).abs() < 1e-6);
    }

    #[test]
    fn the_popular_records_are_scattered_and_have_their_share() {
        let scrambled = Scrambled::new(1000);
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let mut drawn = vec![0u32; 1000];
        for _ in 0..100_000 {
            drawn[scrambled.record(uniform(&mut random)) as usize] += 1;
        }
        let hottest = fnv1a(0) % 1000;
        let share = f64::from(drawn[hottest as usize]) / 100_000.0;
        // 1 / zeta for rank 0, and the record's part of all the other ranks.
        assert!((0.035..0.045).contains(&share), "{share}");
        assert!(drawn.iter().all(|count| *count > 0), "every record is reached");
    }
}
