//! SHA-256 of messages of any length: many side by side, or one long one.

use super::constants::INITIAL;
use super::path::{Kernels, LANES_MAX, Run};
use super::portable::digest;
use crate::Digest;

/// What every message has before it.
#[derive(Clone, Copy)]
pub(super) struct Start {
    /// The state after it.
    pub(super) state: [u32; 8],
    /// Its bytes: whole blocks.
    pub(super) length: u64,
}

impl Start {
    pub(super) const EMPTY: Start = Start { state: INITIAL, length: 0 };
}

/// SHA-256 of each message behind the start. Whole groups of one length at the front go to `alike`, where a
/// kernel has it; from the first other group on, none does.
pub(super) fn each(kernels: &Kernels, start: Start, messages: &[&[u8]], out: &mut [Digest]) {
    let mut done = 0;
    if let Some(alike) = kernels.alike {
        for group in messages.chunks_exact(kernels.lanes) {
            if group.iter().any(|message| message.len() != group[0].len()) {
                break;
            }
            alike(start, group, &mut out[done..done + kernels.lanes]);
            done += kernels.lanes;
        }
    }
    of_any_length(kernels, start, &messages[done..], &mut out[done..]);
}

/// As many are under way as the kernel has lanes; where one ends, the next begins, so that lengths may
/// differ and no lane waits for another.
fn of_any_length(kernels: &Kernels, start: Start, messages: &[&[u8]], out: &mut [Digest]) {
    let mut waiting = messages.iter().zip(out);
    let mut states = [start.state; LANES_MAX];
    let mut lanes: [Option<Lane<'_, '_>>; LANES_MAX] = [const { None }; LANES_MAX];
    let mut active = 0;
    while active < kernels.lanes
        && let Some((message, out)) = waiting.next()
    {
        lanes[active] = Some(Lane::new(start.length, message, out));
        active += 1;
    }
    while active > 0 {
        // Until the next one comes to the end of its whole blocks, or of all.
        let ahead = lanes[..active].iter().flatten().map(|lane| lane.ahead().len()).min();
        let length = ahead.unwrap_or_default();
        let mut runs: [Run<'_>; LANES_MAX] = [&[]; LANES_MAX];
        for (run, lane) in runs.iter_mut().zip(lanes[..active].iter().flatten()) {
            *run = &lane.ahead()[..length];
        }
        (kernels.runs)(&mut states[..active], &runs[..active]);
        // From the last on: a lane that is given up takes over the last one, which is done with.
        for n in (0..active).rev() {
            let Some(lane) = &mut lanes[n] else { unreachable!("the first lanes are the active") };
            lane.done += length;
            if lane.done < lane.whole.len() + lane.ending {
                continue;
            }
            *lane.out = digest(states[n]);
            states[n] = start.state;
            lanes[n] = waiting.next().map(|(message, out)| Lane::new(start.length, message, out));
            if lanes[n].is_none() {
                active -= 1;
                lanes.swap(n, active);
                states.swap(n, active);
            }
        }
    }
}

/// SHA-256 of one message, block after block.
pub(super) fn one(kernels: &Kernels, message: &[u8]) -> Digest {
    let mut out = Digest::ZERO;
    let lane = Lane::new(0, message, &mut out);
    let mut state = INITIAL;
    (kernels.long)(&mut state, lane.whole);
    (kernels.long)(&mut state, &lane.last[..lane.ending]);
    digest(state)
}

/// A message under way.
struct Lane<'m, 'o> {
    /// The message's whole blocks.
    whole: Run<'m>,
    /// What is left of it, and the padding (FIPS 180-4 5.1.1).
    last: [[u8; 64]; 2],
    /// How many blocks of `last` there are: 1 or 2.
    ending: usize,
    /// Blocks that are compressed.
    done: usize,
    out: &'o mut Digest,
}

impl<'m, 'o> Lane<'m, 'o> {
    /// A message behind `before` bytes, whole blocks, that its digest counts.
    fn new(before: u64, message: &'m [u8], out: &'o mut Digest) -> Lane<'m, 'o> {
        let (whole, rest) = message.as_chunks::<64>();
        let mut last = [[0; 64]; 2];
        last[0][..rest.len()].copy_from_slice(rest);
        last[0][rest.len()] = 0x80;
        // The bit length takes the last eight bytes.
        let ending = if rest.len() < 64 - 8 { 1 } else { 2 };
        last[ending - 1][56..]
            .copy_from_slice(&((before + message.len() as u64) * 8).to_be_bytes());
        Lane { whole, last, ending, done: 0, out }
    }

    /// The blocks that come next and lie together: at least one.
    fn ahead(&self) -> Run<'_> {
        let whole = &self.whole[self.done.min(self.whole.len())..];
        if whole.is_empty() { &self.last[self.done - self.whole.len()..self.ending] } else { whole }
    }
}
