//! Header-chain validation, one header after the other, in constant memory.
//!
//! The rules, in the order in which they are checked (cheap ones first, so that a reason names the
//! field at fault and only what is left unexplained is called missing work):
//! 1. the link: `previous` is the hash of the header before;
//! 2. the bits are exactly what the retarget rule asks for at this height (Bitcoin Core
//!    `GetNextWorkRequired`, with testnet's 20-minute exception where the network has it);
//! 3. the time is above the median of the last 11 and at most two hours ahead of `now`;
//! 4. the hash meets the target.
//!
//! The rules for `version` (BIP 34, 65, 66) speak of a block's content and are not checked here.

use thiserror::Error;

use crate::header::Header;
use crate::id::BlockHash;
use crate::params::{BLOCK_SPACING_S, Params, RETARGET_INTERVAL};
use crate::target::{CompactTarget, Target, TargetError, Work};

/// Headers whose median time the next header must be above.
pub const MEDIAN_TIME_SPAN: usize = 11;
/// Seconds that a header's time may be ahead of the clock: two hours.
pub const FUTURE_TIME_MAX_S: u64 = 2 * 60 * 60;
/// The largest height that a chain may start from or reach.
pub const HEIGHT_MAX: u32 = 1 << 31;

/// Why a header does not extend a chain. Each says at which height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// The header at height 0 is not the network's.
    #[error("header 0: hash {found}, {network} begins with {expected}")]
    Genesis {
        /// The network's name.
        network: &'static str,
        /// Hash of the header found.
        found: BlockHash,
        /// Hash of the network's own.
        expected: BlockHash,
    },
    /// The header does not name the one before.
    #[error("header {height}: previous {found}, the header before has hash {expected}")]
    Previous {
        /// Height of the header.
        height: u32,
        /// The hash that it names.
        found: BlockHash,
        /// The hash of the header before.
        expected: BlockHash,
    },
    /// The bits are not the ones that the retarget rule gives.
    #[error("header {height}: bits {found}, the retarget rule asks for {expected}")]
    Bits {
        /// Height of the header.
        height: u32,
        /// The bits found.
        found: CompactTarget,
        /// The bits that the rule gives.
        expected: CompactTarget,
    },
    /// The bits are no target of this network.
    #[error("header {height}: {source}")]
    Target {
        /// Height of the header.
        height: u32,
        /// What is wrong with the bits.
        source: TargetError,
    },
    /// The time is not above the median of the headers before.
    #[error("header {height}: time {found}, must be above {median}, the median of the last 11")]
    TimeTooOld {
        /// Height of the header.
        height: u32,
        /// Its time, in Unix seconds.
        found: u32,
        /// The median, in Unix seconds.
        median: u32,
    },
    /// The time is more than two hours ahead of the clock.
    #[error("header {height}: time {found}, may be at most {latest}, two hours from now")]
    TimeTooNew {
        /// Height of the header.
        height: u32,
        /// Its time, in Unix seconds.
        found: u32,
        /// The latest time allowed, in Unix seconds.
        latest: u64,
    },
    /// The hash is above the target.
    #[error(
        "header {height}: hash {hash} does not meet target {target}: \
         version, Merkle root, time or nonce is not what was mined"
    )]
    ProofOfWork {
        /// Height of the header.
        height: u32,
        /// The header's hash.
        hash: BlockHash,
        /// What it had to meet.
        target: Target,
    },
    /// The chain is as high as a chain may be.
    #[error("header {height}: a chain ends at height {HEIGHT_MAX}")]
    TooHigh {
        /// Height that the header would have.
        height: u32,
    },
}

/// Why known headers cannot be the start of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnchorError {
    /// There is no header.
    #[error("an anchor needs at least one known header")]
    Empty,
    /// The height is above [`HEIGHT_MAX`], or there are more headers than heights.
    #[error("{count} known headers cannot end at height {height}")]
    Height {
        /// Height of the last header.
        height: u32,
        /// Known headers.
        count: usize,
    },
    /// The known headers are not a chain.
    #[error("known header {index} does not name the hash of the one before")]
    Link {
        /// Index of the header.
        index: usize,
    },
    /// The last header's bits are no target of this network.
    #[error("the last known header: {0}")]
    Target(#[from] TargetError),
}

/// Headers that are trusted beforehand, from which a chain goes on.
#[derive(Debug, Clone, Copy)]
pub struct Anchor<'a> {
    /// Height of the last of `headers`.
    pub height: u32,
    /// Known headers, oldest first, at least one. With 11 or more the median-time rule holds from
    /// the first new header on; with fewer it cannot be evaluated until 11 are known.
    pub headers: &'a [Header],
    /// Time of the first header of the retarget interval that `height` lies in, in Unix seconds;
    /// at a multiple of 2016 the time of the last known header itself.
    pub interval_first_time: u32,
    /// Work of the whole chain up to and with `height`.
    pub work: Work,
}

/// The last header of a chain and what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Height of the header.
    pub height: u32,
    /// Hash of the header.
    pub hash: BlockHash,
    /// The header itself.
    pub header: Header,
    /// Work of the chain up to and with this header.
    pub work: Work,
}

/// A chain of valid headers, of which only what the next header is judged by is kept.
#[derive(Debug, Clone)]
pub struct HeaderChain {
    params: Params,
    tip: Option<Tip>,
    /// Work of one block with the tip's bits.
    block_work: Work,
    /// Time of the first header of the tip's retarget interval.
    interval_first_time: u32,
    /// Bits of the interval's last header that did not use testnet's exception.
    interval_bits: CompactTarget,
    times: RecentTimes,
}

impl HeaderChain {
    /// An empty chain: the first header pushed must be the network's genesis.
    pub fn new(params: Params) -> HeaderChain {
        HeaderChain {
            params,
            tip: None,
            block_work: Work::ZERO,
            interval_first_time: 0,
            interval_bits: params.limit,
            times: RecentTimes::from_genesis(),
        }
    }

    /// A chain that goes on from known headers. They are trusted: only their links are checked.
    ///
    /// On a network with testnet's exception the known headers should reach back to one that did
    /// not use it; otherwise the interval's bits are taken to be the limit.
    ///
    /// # Errors
    /// [`AnchorError`] when the headers cannot be what the anchor says.
    pub fn anchored(params: Params, anchor: &Anchor<'_>) -> Result<HeaderChain, AnchorError> {
        let Anchor { height, headers, interval_first_time, work } = *anchor;
        let last = headers.last().ok_or(AnchorError::Empty)?;
        if height > HEIGHT_MAX || headers.len() > height as usize + 1 {
            return Err(AnchorError::Height { height, count: headers.len() });
        }
        if let Some(broken) = headers.windows(2).position(|p| p[1].previous != p[0].block_hash()) {
            return Err(AnchorError::Link { index: broken + 1 });
        }
        let block_work = params.target(last.bits)?.work();
        let mut chain = HeaderChain { block_work, ..HeaderChain::new(params) };
        let first_height = height - (headers.len() as u32 - 1);
        if first_height > 0 {
            chain.times = RecentTimes::from_anchor();
        }
        for (known, header) in (first_height..).zip(headers) {
            chain.remember(known, header);
        }
        chain.interval_first_time = interval_first_time;
        chain.tip = Some(Tip { height, hash: last.block_hash(), header: *last, work });
        Ok(chain)
    }

    /// The last header, or `None` before the genesis.
    pub fn tip(&self) -> Option<&Tip> {
        self.tip.as_ref()
    }

    /// Work of all headers.
    pub fn work(&self) -> Work {
        self.tip.map_or(Work::ZERO, |tip| tip.work)
    }

    /// The height that the next header will have.
    pub fn next_height(&self) -> u32 {
        self.tip.map_or(0, |tip| tip.height + 1)
    }

    /// The median of the last 11 times, in Unix seconds: what the next header's time must be above.
    /// `None` before the genesis and as long as an anchored chain knows fewer than 11 times.
    pub fn median_time_past(&self) -> Option<u32> {
        self.times.median()
    }

    /// The bits that the next header must have if its time is `time` (Unix seconds; it matters only
    /// on networks with testnet's 20-minute exception).
    ///
    /// Source: Bitcoin Core `GetNextWorkRequired`.
    ///
    /// # Errors
    /// [`TargetError`] when the tip's bits are no target of the network, which an accepted header's
    /// always are.
    pub fn required_bits(&self, time: u32) -> Result<CompactTarget, TargetError> {
        let Some(tip) = self.tip else {
            return Ok(self.params.genesis.bits);
        };
        let last = tip.header;
        if (tip.height + 1).is_multiple_of(RETARGET_INTERVAL) {
            return self.params.retarget(last.bits, self.interval_first_time, last.time);
        }
        if !self.params.allows_minimum_difficulty {
            return Ok(last.bits);
        }
        let late = u64::from(time) > u64::from(last.time) + 2 * u64::from(BLOCK_SPACING_S);
        Ok(if late { self.params.limit } else { self.interval_bits })
    }

    /// Appends a header, or leaves the chain as it is. `now` is the clock, in Unix seconds.
    ///
    /// # Errors
    /// [`HeaderError`]: the first rule that the header breaks.
    pub fn push(&mut self, header: &Header, now: u64) -> Result<BlockHash, HeaderError> {
        let height = self.next_height();
        if height > HEIGHT_MAX {
            return Err(HeaderError::TooHigh { height });
        }
        let hash = header.block_hash();
        match self.tip {
            None => self.check_genesis(hash)?,
            Some(tip) => self.check_link_and_bits(height, &tip, header)?,
        }
        self.check_time(height, header.time, now)?;
        let target = self
            .params
            .target(header.bits)
            .map_err(|source| HeaderError::Target { height, source })?;
        if !target.meets(hash) {
            return Err(HeaderError::ProofOfWork { height, hash, target });
        }
        self.accept(height, hash, header, target);
        Ok(hash)
    }

    /// Appends headers up to the first bad one. `now` as in [`HeaderChain::push`].
    ///
    /// # Errors
    /// [`HeaderError`] of the first bad header; those before it stay in the chain.
    pub fn extend(&mut self, headers: &[Header], now: u64) -> Result<(), HeaderError> {
        headers.iter().try_for_each(|header| self.push(header, now).map(drop))
    }

    fn check_genesis(&self, found: BlockHash) -> Result<(), HeaderError> {
        let expected = self.params.genesis.block_hash();
        if found != expected {
            return Err(HeaderError::Genesis { network: self.params.name, found, expected });
        }
        Ok(())
    }

    fn check_link_and_bits(
        &self,
        height: u32,
        tip: &Tip,
        header: &Header,
    ) -> Result<(), HeaderError> {
        assert!(height == tip.height + 1, "a header is judged by the one right before it");
        if header.previous != tip.hash {
            let (found, expected) = (header.previous, tip.hash);
            return Err(HeaderError::Previous { height, found, expected });
        }
        let expected = self
            .required_bits(header.time)
            .map_err(|source| HeaderError::Target { height, source })?;
        if header.bits != expected {
            return Err(HeaderError::Bits { height, found: header.bits, expected });
        }
        Ok(())
    }

    fn check_time(&self, height: u32, found: u32, now: u64) -> Result<(), HeaderError> {
        if let Some(median) = self.median_time_past().filter(|median| found <= *median) {
            return Err(HeaderError::TimeTooOld { height, found, median });
        }
        let latest = now.saturating_add(FUTURE_TIME_MAX_S);
        if u64::from(found) > latest {
            return Err(HeaderError::TimeTooNew { height, found, latest });
        }
        Ok(())
    }

    fn accept(&mut self, height: u32, hash: BlockHash, header: &Header, target: Target) {
        let before = self.work();
        // Within an interval all blocks have the same bits, so the division is done once.
        if self.tip.is_none_or(|tip| tip.header.bits != header.bits) {
            self.block_work = target.work();
        }
        self.remember(height, header);
        let work = before + self.block_work;
        assert!(work > before, "each block adds work");
        self.tip = Some(Tip { height, hash, header: *header, work });
    }

    /// Takes from a header what later ones are judged by.
    fn remember(&mut self, height: u32, header: &Header) {
        let starts_interval = height.is_multiple_of(RETARGET_INTERVAL);
        if starts_interval {
            self.interval_first_time = header.time;
        }
        if starts_interval || header.bits != self.params.limit {
            self.interval_bits = header.bits;
        }
        self.times.push(header.time);
    }
}

/// The times of the last 11 headers.
#[derive(Debug, Clone)]
struct RecentTimes {
    ring: [u32; MEDIAN_TIME_SPAN],
    /// Times pushed so far.
    count: usize,
    /// Fewest times that a median is taken of.
    needed: usize,
}

impl RecentTimes {
    /// At the start of a chain the median is that of all times there are.
    fn from_genesis() -> RecentTimes {
        RecentTimes { ring: [0; MEDIAN_TIME_SPAN], count: 0, needed: 1 }
    }

    /// The median of fewer than 11 known times would be above the true one: valid headers would be
    /// refused.
    fn from_anchor() -> RecentTimes {
        RecentTimes { needed: MEDIAN_TIME_SPAN, ..RecentTimes::from_genesis() }
    }

    fn push(&mut self, time: u32) {
        self.ring[self.count % MEDIAN_TIME_SPAN] = time;
        self.count += 1;
    }

    fn median(&self) -> Option<u32> {
        if self.count < self.needed {
            return None;
        }
        let known = self.count.min(MEDIAN_TIME_SPAN);
        let mut sorted = self.ring;
        sorted[..known].sort_unstable();
        Some(sorted[known / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_upper_of_the_two() {
        let mut times = RecentTimes::from_genesis();
        assert_eq!(times.median(), None);
        for time in [40, 10, 30, 20] {
            times.push(time);
        }
        assert_eq!(times.median(), Some(30));
        (0..7).for_each(|_| times.push(5));
        assert_eq!(times.median(), Some(5));
        (0..4).for_each(|_| times.push(50));
        assert_eq!(times.median(), Some(5));
        (0..2).for_each(|_| times.push(50));
        assert_eq!(times.median(), Some(50));
    }

    #[test]
    fn an_anchor_with_few_headers_asks_for_no_median() {
        let genesis = Params::mainnet().genesis;
        let anchor = Anchor {
            height: 2016,
            headers: &[genesis],
            interval_first_time: genesis.time,
            work: Work::ZERO,
        };
        let chain = HeaderChain::anchored(Params::mainnet(), &anchor).unwrap();
        assert_eq!(chain.median_time_past(), None);
        assert_eq!(chain.next_height(), 2017);
        let at_zero = HeaderChain::anchored(Params::mainnet(), &Anchor { height: 0, ..anchor });
        assert_eq!(at_zero.unwrap().median_time_past(), Some(genesis.time));
    }

    #[test]
    fn impossible_anchors_are_refused() {
        let genesis = Params::mainnet().genesis;
        let two = [genesis, genesis];
        let anchor = Anchor { height: 0, headers: &[], interval_first_time: 0, work: Work::ZERO };
        let refuse = |anchor| HeaderChain::anchored(Params::mainnet(), &anchor).unwrap_err();
        assert_eq!(refuse(anchor), AnchorError::Empty);
        assert!(matches!(
            refuse(Anchor { headers: &two, ..anchor }),
            AnchorError::Height { height: 0, count: 2 }
        ));
        let broken = Anchor { headers: &two, height: 5, ..anchor };
        assert_eq!(refuse(broken), AnchorError::Link { index: 1 });
        let high = Anchor { headers: &two, height: u32::MAX, ..anchor };
        assert!(matches!(refuse(high), AnchorError::Height { .. }));
    }
}
