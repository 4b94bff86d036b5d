//! Links: how long a message takes, and whether it arrives.
//!
//! A link is the pair of its ends; replicas and clients are ends. Faults end with [`Network::heal`],
//! or when the event that began them ends, and at GST.

use super::frame::Frame;
use super::wan;
use crate::random::Random;
use crate::scenario;
use crate::trace::DropCause;

/// The network of one run.
#[derive(Debug)]
pub(super) struct Network {
    settings: scenario::Network,
    random: Random,
    replicas: usize,
    /// Links between replicas, `from * replicas + to`.
    links: Vec<Link>,
    /// By replica: how many events cut it off from clients too.
    isolated: Vec<u32>,
    /// Whether the faults of the network have ended.
    calm: bool,
}

/// A link between two replicas.
#[derive(Debug, Clone, Default)]
struct Link {
    /// How many events cut it.
    cuts: u32,
    /// Loss and delay of its own.
    own: Option<(u32, Option<[u64; 2]>)>,
    /// When its bandwidth is free again.
    free_at: u64,
    /// When the last message arrived: none later arrives earlier, unless reordering is on.
    last: u64,
}

/// When the copies of a message arrive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// Not at all.
    Dropped(DropCause),
    /// Once, and perhaps a second time.
    Arrives(u64, Option<u64>),
}

/// An end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Replica(u16),
    Client(u32),
}

impl Network {
    pub(super) fn new(settings: &scenario::Network, replicas: u16, seed: u64) -> Network {
        let replicas = usize::from(replicas);
        Network {
            settings: settings.clone(),
            random: Random::new(seed, "network"),
            replicas,
            links: vec![Link::default(); replicas * replicas],
            isolated: vec![0; replicas],
            calm: false,
        }
    }

    /// Sends `bytes` bytes from one end to the other.
    pub(super) fn pass(&mut self, now: u64, from: End, to: End, bytes: usize) -> Passage {
        if [from, to].into_iter().any(|end| self.is_isolated(end, from, to)) {
            return Passage::Dropped(DropCause::Partition);
        }
        let place = self.place(from, to);
        let (mut loss, mut delay) = (self.settings.loss, self.delay_of(from, to));
        if let Some(link) = place.and_then(|place| self.links.get(place)) {
            if link.cuts > 0 {
                return Passage::Dropped(DropCause::Partition);
            }
            if let Some((own_loss, own_delay)) = link.own {
                (loss, delay) = (own_loss, own_delay.unwrap_or(delay));
            }
        }
        if !self.calm && self.random.happens(loss) {
            return Passage::Dropped(DropCause::Loss);
        }
        let arrives = self.arrival(now, place, delay, bytes);
        debug_assert!(arrives >= now, "nothing arrives before it was sent");
        let twice = !self.calm && self.random.happens(self.settings.duplicate);
        let again = twice.then(|| self.arrival(now, place, delay, bytes));
        Passage::Arrives(arrives, again)
    }

    /// The frame with flipped bits, if the link corrupts it.
    pub(super) fn corrupted(&mut self, frame: &Frame) -> Option<Frame> {
        if self.calm || frame.bytes().is_empty() || !self.random.happens(self.settings.corrupt) {
            return None;
        }
        let mut changed = frame.bytes().to_vec();
        for _ in 0..=self.random.below(3) {
            let bit = self.random.below(8 * changed.len() as u64) as usize;
            changed[bit / 8] ^= 1 << (bit % 8);
        }
        Some(Frame::new(&changed))
    }

    /// Cuts, or with `cut` false joins again, the link from one replica to another.
    pub(super) fn cut(&mut self, from: u16, to: u16, cut: bool) {
        let place = usize::from(from) * self.replicas + usize::from(to);
        debug_assert!(place < self.links.len(), "a link joins two replicas");
        let Some(link) = self.links.get_mut(place) else { return };
        link.cuts = if cut { link.cuts + 1 } else { link.cuts.saturating_sub(1) };
    }

    /// Cuts a replica off from clients too, or joins it again.
    pub(super) fn isolate(&mut self, replica: u16, cut: bool) {
        let Some(cuts) = self.isolated.get_mut(usize::from(replica)) else { return };
        *cuts = if cut { *cuts + 1 } else { cuts.saturating_sub(1) };
    }

    /// Gives a link its own loss and delay, or takes them away.
    pub(super) fn change(&mut self, from: u16, to: u16, own: Option<(u32, Option<[u64; 2]>)>) {
        let place = usize::from(from) * self.replicas + usize::from(to);
        if let Some(link) = self.links.get_mut(place) {
            link.own = own;
        }
    }

    /// Ends every cut and change.
    pub(super) fn heal(&mut self) {
        for link in &mut self.links {
            (link.cuts, link.own) = (0, None);
        }
        self.isolated.fill(0);
    }

    /// Ends every fault for good: GST is reached.
    pub(super) fn calm(&mut self) {
        self.heal();
        self.calm = true;
    }

    fn is_isolated(&self, end: End, from: End, to: End) -> bool {
        let End::Replica(id) = end else { return false };
        // A replica still hears itself, and cuts between replicas are in the links.
        from != to && self.isolated.get(usize::from(id)).is_some_and(|cuts| *cuts > 0)
    }

    fn place(&self, from: End, to: End) -> Option<usize> {
        match (from, to) {
            (End::Replica(from), End::Replica(to)) => {
                Some(usize::from(from) * self.replicas + usize::from(to))
            }
            _ => None,
        }
    }

    fn delay_of(&self, from: End, to: End) -> [u64; 2] {
        if !self.settings.wan5 {
            return self.settings.delay;
        }
        let region = |end| match end {
            End::Replica(id) => usize::from(id) % wan::REGIONS.len(),
            End::Client(id) => id as usize % wan::REGIONS.len(),
        };
        wan::one_way(region(from), region(to))
    }

    fn arrival(&mut self, now: u64, place: Option<usize>, delay: [u64; 2], bytes: usize) -> u64 {
        let [low, high] = delay;
        let mut takes = self.random.between(low, high);
        if self.random.happens(self.settings.delay_tail) {
            takes += self.random.exponential(high.max(1));
        }
        let Some(link) = place.and_then(|place| self.links.get_mut(place)) else {
            return now + takes;
        };
        let mut leaves = now;
        if let Some(rate) = self.settings.bandwidth {
            let span = (bytes as u128 * 8 * 1_000_000_000 / u128::from(rate)) as u64;
            link.free_at = link.free_at.max(now) + span;
            leaves = link.free_at;
        }
        let mut arrives = leaves + takes;
        if !self.settings.reorder {
            arrives = arrives.max(link.last);
            link.last = arrives;
        }
        arrives
    }
}
