//! The key-value store: the state machine that the YCSB and the fixed-size workloads run on.
//!
//! Keys are 64-bit numbers, values byte strings. The state is a fixed number of pages; a key
//! belongs to the page that its mixed bits name. The state root is the Merkle root (RFC 6962) over
//! the pages in order and a last leaf that binds limits and permissions. It is a function of what
//! the store holds alone, not of how that came about.

mod lent;
mod operation;
mod outcome;
mod page;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_consensus::parts::{PART_BYTES_MAX, StateRoot};
use quorumark_consensus::types::{ClientId, Seq};
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{self, Rule, leaf_hash};
use quorumark_primitives::prefetch::prefetch;
use quorumark_primitives::wire::{Encode, FRAME_BYTES_MAX};

use self::lent::Frames;
pub use self::operation::{Operation, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MIN, VALUE_BYTES_MAX};
pub use self::outcome::Outcome;
use self::page::{Given, Held, Page, is_short};
use crate::history::{History, Undo};
use crate::pages::{PAGES_MAX, PageTree};
use crate::permissions::Permissions;
use crate::{Application, NotKept, RestoreError, Settling};

/// The most keys of one page. Eight are the mean of a full store, and mixed keys reach 64 with a
/// probability below 1e-30; only keys picked to meet in one page do, and they fill that page alone.
pub const PAGE_KEYS_MAX: usize = 64;
/// The most that [`Limits::keys_max`] can be.
pub const KEYS_MAX: usize = PAGE_KEYS_MEAN * PAGES_MAX;

/// Keys a page, when the store is full. With fewer, the inner nodes above them cost at a checkpoint
/// what the smaller pages save, and the tree takes more memory.
const PAGE_KEYS_MEAN: usize = 8;

/// How many operations before its own the memory of what a key has is asked for, that of the keys of its
/// page as many before that, and that of the operation itself as many before that: each takes about as long
/// as one or two operations, and most of what a write does in a store that is larger than a core's caches is
/// to wait for them.
const LOOK_AHEAD: usize = 4;

/// What a page takes in a part beside its keys: its length and the number of keys.
const PAGE_BYTES: usize = 8;
/// What a key takes in a page beside its value: itself and the value's length.
const KEY_BYTES: usize = 12;

// State transfer sends pages whole.
const _: () = assert!(PAGE_KEYS_MAX * (KEY_BYTES + VALUE_BYTES_MAX) < FRAME_BYTES_MAX);

/// How much a store holds. Equal at all replicas: the state root binds it.
///
/// What does not fit is answered with [`Outcome::Full`] and changes nothing; what is there can
/// still be read, and overwritten with values that fit. Nor does anything fit that would make a
/// part of the state larger than [`PART_BYTES_MAX`], so that every state can be transferred; keys
/// that are not picked to meet in one part come to that with 16 GiB of values, or more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most keys, 1 to [`KEYS_MAX`]; default 2^20. A page that is full ([`PAGE_KEYS_MAX`])
    /// takes no new key even below it. A store takes 14 to 28 bytes for each key that it could
    /// hold, and about 100 beside the value for each that it holds.
    pub keys_max: usize,
    /// The most bytes of all values together; default 256 MiB.
    pub value_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { keys_max: 1 << 20, value_bytes_max: 256 << 20 }
    }
}

impl Limits {
    /// How many pages a store with these limits has: a power of two.
    pub fn pages(self) -> usize {
        self.keys_max.div_ceil(PAGE_KEYS_MEAN).next_power_of_two()
    }
}

/// What a key had before a write.
#[derive(Debug)]
struct Write {
    page: u32,
    key: u64,
    /// `None`: it was not there.
    before: Option<Held>,
}

impl Undo for Write {
    fn written_before(&self) -> u64 {
        self.before.as_ref().map_or(0, |held| held.written)
    }
}

/// Where a key is looked for.
#[derive(Debug, Clone, Copy, Default)]
struct Spot {
    key: u64,
    page: usize,
    /// Where it stood in the page when it was looked for last, if it did: keys before it may have come
    /// since.
    at: usize,
}

/// An operation on the way to its turn.
#[derive(Clone, Copy)]
struct Step<'a> {
    client: ClientId,
    operation: &'a [u8],
    spot: Spot,
}

impl<'a> Step<'a> {
    /// An operation in the distance: asks for its memory.
    #[inline]
    fn new(client: ClientId, operation: &'a [u8]) -> Step<'a> {
        operation.first().into_iter().for_each(prefetch);
        Step { client, operation, spot: Spot::default() }
    }
}

/// A replicated key-value store.
#[derive(Debug)]
pub struct KvStore {
    limits: Limits,
    permissions: Permissions,
    pages: Vec<Page>,
    tree: PageTree,
    /// The leaf that binds limits and permissions, and its hash.
    rules: (Bytes, Digest),
    history: History<Write>,
    frames: Frames,
    keys: usize,
    value_bytes: u64,
    /// By part, the bytes of its keys and values, as a part has them.
    part_bytes: Vec<u64>,
    /// The most of these.
    part_bytes_max: u64,
    /// A part is 2 to the power of this pages.
    part_level: u32,
    executed: Seq,
    /// The checkpoint whose root is under way.
    begun: Option<Seq>,
    /// A checkpoint that was begun and is kept, and whose root was not told yet.
    ended: Option<(Seq, StateRoot)>,
}

impl KvStore {
    /// An empty store.
    ///
    /// # Panics
    /// When `limits` allow no key, or more than [`KEYS_MAX`].
    pub fn new(limits: Limits, permissions: Permissions) -> KvStore {
        let Limits { keys_max, value_bytes_max } = limits;
        assert!((1..=KEYS_MAX).contains(&keys_max), "a store of {keys_max} keys");
        let count = limits.pages();
        let mut rules = b"quorumark/key-value".to_vec();
        (keys_max as u64).encode(&mut rules);
        value_bytes_max.encode(&mut rules);
        permissions.encode(&mut rules);
        let mut empty = Vec::new();
        Page::default().encode(&Frames::default(), &mut empty);
        let cut = snapshot::cut_of(count);
        KvStore {
            part_bytes: vec![0; cut.parts() as usize],
            part_level: cut.level(),
            part_bytes_max: PART_BYTES_MAX - (PAGE_BYTES << cut.level()) as u64,
            limits,
            permissions,
            pages: std::iter::repeat_with(Page::default).take(count).collect(),
            tree: PageTree::new(count, &empty),
            rules: (Bytes::from(rules.clone()), leaf_hash(Rule::Rfc6962, &rules)),
            history: History::new(Seq(0)),
            frames: Frames::default(),
            keys: 0,
            value_bytes: 0,
            executed: Seq(0),
            begun: None,
            ended: None,
        }
    }

    /// How many keys have a value.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// The bytes of all values together.
    pub fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// The value of `key`, for inspection; clients read with [`Operation::Get`].
    pub fn get(&self, key: u64) -> Option<&[u8]> {
        self.value(self.spot_of(key))
    }

    fn page_of(&self, key: u64) -> usize {
        // The number of pages is a power of two.
        mix(key) as usize & (self.pages.len() - 1)
    }

    /// Where to look for a key.
    fn spot_of(&self, key: u64) -> Spot {
        Spot { key, page: self.page_of(key), at: 0 }
    }

    /// An operation whose turn comes in a while: asks for the memory of the keys of its page.
    #[inline]
    fn sight(&self, step: &mut Step<'_>) {
        // What is too short for a key is no operation, and is not looked for in earnest.
        step.spot = self.spot_of(Operation::key_of(step.operation).unwrap_or(0));
        self.pages[step.spot.page].prefetch_keys();
    }

    /// Its turn comes soon: looks for the key, and asks for the memory of what that has.
    #[inline]
    fn approach(&self, step: &mut Step<'_>) {
        let page = &self.pages[step.spot.page];
        if let Ok(at) = page.find(step.spot.key) {
            step.spot.at = at;
            page.prefetch_held(at);
        }
    }

    #[inline]
    fn apply(&mut self, Step { client, operation, spot }: Step<'_>) -> Bytes {
        let Ok(operation) = Operation::parse(operation) else {
            return Outcome::Malformed.to_result();
        };
        if !self.permissions.allow(client, operation.needs()) {
            return Outcome::Forbidden.to_result();
        }
        match operation {
            Operation::Get { .. } => self.read(spot),
            Operation::Put { value, .. } => self.write(spot, value).to_result(),
            Operation::CompareAndSwap { expected, value, .. } => match self.value(spot) == expected
            {
                true => self.write(spot, value).to_result(),
                false => Outcome::Mismatch.to_result(),
            },
            Operation::Update { offset, patch, .. } => self.patch(spot, offset, patch).to_result(),
            Operation::ReadModifyWrite { offset, patch, .. } => {
                let before = self.read(spot);
                match self.patch(spot, offset, patch) {
                    Outcome::Done => before,
                    refused => refused.to_result(),
                }
            }
        }
    }

    fn value(&self, spot: Spot) -> Option<&[u8]> {
        let page = &self.pages[spot.page];
        page.find_from(spot.at, spot.key).ok().map(|at| page.value(at, &self.frames))
    }

    /// Reads a value; one that is lent is copied for it, once, so that equal reads share one result.
    fn read(&mut self, spot: Spot) -> Bytes {
        let page = &mut self.pages[spot.page];
        match page.find_from(spot.at, spot.key) {
            Ok(at) => page.result(at, &self.frames),
            Err(_) => Outcome::Absent.to_result(),
        }
    }

    fn write(&mut self, spot: Spot, value: &[u8]) -> Outcome<'static> {
        let Spot { key, page: nth, .. } = spot;
        let page = &mut self.pages[nth];
        let place = page.find_from(spot.at, key);
        let old_len = place.map_or(0, |at| page.value_len(at));
        let value_bytes = self.value_bytes - old_len as u64 + value.len() as u64;
        let no_slot =
            place.is_err() && (self.keys == self.limits.keys_max || page.len() == PAGE_KEYS_MAX);
        let part = &mut self.part_bytes[nth >> self.part_level];
        let key_bytes = place.map_or(KEY_BYTES, |_| 0);
        let part_bytes = *part - old_len as u64 + (key_bytes + value.len()) as u64;
        let no_room = value_bytes > self.limits.value_bytes_max || part_bytes > self.part_bytes_max;
        if no_slot || no_room {
            return Outcome::Full;
        }
        *part = part_bytes;
        self.tree.keep(nth, |out| content(page, &self.frames, out));
        let lent = if is_short(value) { None } else { self.frames.lend(value) };
        let given = Given { value, lent, stamp: self.history.stamp() };
        let before = match place {
            Ok(at) => Some(page.replace(at, given)),
            Err(at) => {
                page.insert(at, key, given);
                self.keys += 1;
                None
            }
        };
        self.value_bytes = value_bytes;
        self.wrote(nth, key, before, old_len);
        Outcome::Done
    }

    fn patch(&mut self, spot: Spot, offset: u32, patch: &[u8]) -> Outcome<'static> {
        let Spot { key, page: nth, .. } = spot;
        let page = &mut self.pages[nth];
        let Ok(at) = page.find_from(spot.at, key) else {
            return Outcome::Absent;
        };
        if offset as usize + patch.len() > page.value_len(at) {
            return Outcome::OutOfRange;
        }
        self.tree.keep(nth, |out| content(page, &self.frames, out));
        let stamp = self.history.stamp();
        let before = page.patch(at, offset as usize, patch, stamp, &self.frames);
        let length = before.len();
        self.wrote(nth, key, Some(before), length);
        Outcome::Done
    }

    /// Does a part of what the checkpoint that was begun still needs.
    fn go_on(&mut self) {
        let Some(seq) = self.begun else { return };
        let content = |nth: usize, out: &mut Vec<u8>| {
            content(&mut self.pages[nth], &self.frames, out);
        };
        if let Some(pages) = self.tree.step(content) {
            self.begun = None;
            self.history.keep(seq, self.cut_digests());
            self.frames.drop_to(seq);
            let state = StateRoot { root: self.root_of(pages), leaves: self.leaves() };
            self.ended = Some((seq, state));
        }
    }

    /// Does all of it, before anything that needs the tree or changes pages otherwise than by a write.
    fn end_begun(&mut self) {
        while self.begun.is_some() {
            self.go_on();
        }
    }

    /// RFC 6962 splits 2^k + 1 leaves into the first 2^k and the last one.
    fn root_of(&self, pages: Digest) -> Digest {
        merkle::root(Rule::Rfc6962, &[pages, self.rules.1])
    }

    /// Notes that a key of a page was written, and what it had before.
    fn wrote(&mut self, nth: usize, key: u64, before: Option<Held>, bytes: usize) {
        self.tree.mark(nth);
        // What the same batch wrote before is undone with its first write.
        if before.as_ref().is_none_or(|held| held.written != self.history.stamp()) {
            self.history.note(Write { page: nth as u32, key, before }, bytes);
        }
    }
}

impl Application for KvStore {
    fn execute<'a>(
        &mut self,
        seq: Seq,
        frame: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    ) {
        assert!(seq > self.executed, "{seq} after {}", self.executed);
        self.frames.open(seq, frame);
        self.history.begin(self.executed, seq);
        let mut operations = operations.fuse();
        let mut next = || operations.next().map(|(client, operation)| Step::new(client, operation));
        let mut ahead: VecDeque<Step<'_>> = (0..3 * LOOK_AHEAD).map_while(|_| next()).collect();
        ahead.iter_mut().take(2 * LOOK_AHEAD).for_each(|step| self.sight(step));
        while let Some(step) = ahead.pop_front() {
            ahead.extend(next());
            if let Some(step) = ahead.get_mut(2 * LOOK_AHEAD - 1) {
                self.sight(step);
            }
            if let Some(step) = ahead.get_mut(LOOK_AHEAD - 1) {
                self.approach(step);
            }
            results.push(self.apply(step));
        }
        self.frames.close();
        self.executed = seq;
        assert!(self.keys <= self.limits.keys_max, "{} keys", self.keys);
        assert!(self.value_bytes <= self.limits.value_bytes_max, "{} bytes", self.value_bytes);
    }

    fn query(&mut self, client: ClientId, operation: &[u8]) -> Option<Bytes> {
        let Ok(operation @ Operation::Get { key }) = Operation::parse(operation) else {
            return None;
        };
        let allowed = self.permissions.allow(client, operation.needs());
        Some(if allowed { self.read(self.spot_of(key)) } else { Outcome::Forbidden.to_result() })
    }

    fn root(&mut self) -> Digest {
        self.end_begun();
        let pages = self.tree.root(|nth, out| content(&mut self.pages[nth], &self.frames, out));
        self.root_of(pages)
    }

    fn checkpoint(&mut self, seq: Seq) -> StateRoot {
        let root = self.root();
        self.history.mark(seq);
        self.history.keep(seq, self.cut_digests());
        self.frames.drop_to(seq);
        StateRoot { root, leaves: self.leaves() }
    }

    fn begin_checkpoint(&mut self, seq: Seq) -> Option<StateRoot> {
        assert!(self.begun.is_none() && self.ended.is_none(), "a root is told before the next");
        self.tree.freeze();
        self.history.mark(seq);
        self.begun = Some(seq);
        None
    }

    fn settle(&mut self) -> Settling {
        if self.begun.is_none() && self.ended.is_none() {
            return Settling::Nothing;
        }
        self.go_on();
        match self.ended.take() {
            Some((seq, state)) => Settling::Done { seq, state },
            None => Settling::More,
        }
    }

    fn part_digests(&mut self, at: Option<Seq>) -> Option<(u64, Vec<Digest>)> {
        let digests = match at {
            Some(seq) => self.history.parts(seq)?.to_vec(),
            None => {
                self.root();
                self.cut_digests()
            }
        };
        Some((self.leaves(), digests))
    }

    fn part(&self, seq: Seq, nth: u32) -> Option<Bytes> {
        self.part_at(seq, nth)
    }

    fn retain(&mut self, from: Seq, leased: Option<Seq>) {
        self.history.retain(from, leased);
    }

    fn rollback_to(&mut self, seq: Seq) -> Result<(), NotKept> {
        self.undo_to(seq)
    }

    fn restore(
        &mut self,
        seq: Seq,
        state: StateRoot,
        parts: &[(u32, Bytes)],
    ) -> Result<(), RestoreError> {
        self.take_over(seq, state, parts)
    }
}

/// The content of a page, for its leaf. Its values are copied: what is kept of it is kept for long.
fn content(page: &mut Page, frames: &Frames, out: &mut Vec<u8>) {
    page.own(frames);
    page.encode(frames, out);
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): spreads keys that follow a
/// pattern evenly over the pages. One to one, and the same on every replica.
fn mix(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}
