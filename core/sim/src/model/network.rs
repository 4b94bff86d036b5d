//! How long a flush is under way.

use core::time::Duration;

use crate::random::Random;
use crate::world::wan;

/// Where replicas and clients are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regions {
    /// In one process: a flush is there as soon as it is sent, and all share the cores.
    Local,
    /// Each on a machine of its own in one room.
    Lan,
    /// Each on a machine of its own in one of five regions of a public cloud, in turn.
    Wan5,
    /// Each on a machine of its own, and each message takes exactly so long.
    Fixed(Duration),
}

/// One way within a room, in nanoseconds: 50 us, half of a round trip of 0.1 ms.
const LAN: u64 = 50_000;

impl Regions {
    /// Where delays come from, as a page tells it.
    pub fn source(self) -> &'static str {
        match self {
            Regions::Local => "one process: no delay",
            Regions::Lan => "assumed: 50 us one way",
            Regions::Wan5 => {
                "half of the round trips between AWS regions N. Virginia, Oregon, Ireland, Tokyo and \
                 Sao Paulo in \"Latency Between AWS Global Regions\" (2017, \
                 acomputerscientistlearnsaws.blogspot.com/2017/04/aws-regions.html), up to a \
                 twentieth longer"
            }
            Regions::Fixed(_) => "as asked for",
        }
    }

    /// How many there are.
    pub(super) fn count(self) -> usize {
        if self == Regions::Wan5 { wan::REGIONS.len() } else { 1 }
    }

    fn one_way(self, from: usize, to: usize) -> [u64; 2] {
        match self {
            Regions::Local => [0, 0],
            Regions::Lan => [LAN, LAN],
            Regions::Wan5 => wan::one_way(from, to),
            Regions::Fixed(delay) => [delay.as_nanos() as u64; 2],
        }
    }
}

/// The ways between replicas and clients.
#[derive(Debug)]
pub(super) struct Network {
    regions: Regions,
    /// Bits a second that leave one machine; `None` for any number.
    bandwidth: Option<u64>,
    random: Random,
    /// By replica: when what it sent before has left.
    free_at: Vec<u64>,
    /// When the last flush arrived, by `from * replicas + to`: none overtakes another.
    last: Vec<u64>,
}

impl Network {
    pub(super) fn new(
        regions: Regions,
        bandwidth: Option<u64>,
        replicas: usize,
        seed: u64,
    ) -> Network {
        let bandwidth = bandwidth.filter(|_| regions != Regions::Local);
        Network {
            regions,
            bandwidth,
            random: Random::new(seed, "model network"),
            free_at: vec![0; replicas],
            last: vec![0; replicas * replicas],
        }
    }

    /// When `bytes` bytes that one replica sends another are there.
    pub(super) fn between(&mut self, now: u64, from: usize, to: usize, bytes: usize) -> u64 {
        let leaves = self.leaves(now, from, bytes);
        let regions = self.regions.count();
        let arrives = self.arrives(leaves, from % regions, to % regions);
        let replicas = self.free_at.len();
        let last = &mut self.last[from * replicas + to];
        *last = arrives.max(*last);
        *last
    }

    /// When `bytes` bytes of a replica are with the clients of a region.
    pub(super) fn replies(&mut self, now: u64, from: usize, to: usize, bytes: usize) -> u64 {
        let leaves = self.leaves(now, from, bytes);
        self.arrives(leaves, from % self.regions.count(), to)
    }

    /// When what clients of a region send is at a replica: each has a machine of its own, so nothing
    /// waits for another's bytes.
    pub(super) fn requests(&mut self, now: u64, from: usize, to: usize) -> u64 {
        self.arrives(now, from, to % self.regions.count())
    }

    fn leaves(&mut self, now: u64, from: usize, bytes: usize) -> u64 {
        let Some(bandwidth) = self.bandwidth else { return now };
        let span = (bytes as u128 * 8 * 1_000_000_000 / u128::from(bandwidth.max(1))) as u64;
        let free_at = &mut self.free_at[from];
        *free_at = now.max(*free_at) + span;
        *free_at
    }

    fn arrives(&mut self, leaves: u64, from: usize, to: usize) -> u64 {
        let [low, high] = self.regions.one_way(from, to);
        leaves + self.random.between(low, high)
    }
}
