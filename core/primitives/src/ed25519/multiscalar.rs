//! Sums `sum [a_i] P_i` with scalars of 128 bits, by Pippenger's buckets in four lanes.
//!
//! Each scalar is written in signed digits of `c` bits. Within one window, all points with the same
//! digit, sign apart, go to one bucket; the buckets of a window are added up weighted by their
//! digit; and the windows are joined by `c` doublings each. See Bernstein, Doumen, Lange and
//! Oosterwijk, "Faster batch forgery identification" (2012), section 4.
//!
//! The lanes are used twice. A bucket is the sum of a list of points, and four lists are summed
//! side by side: those of four windows are sorted by length, so that lists of like length meet and
//! lanes seldom idle. Then the four windows are weighted side by side, one in each lane.
//!
//! Longer scalars come as two of 128 bits, the second for the point times `2^128`: that halves the
//! doublings, which few terms cannot share, and costs one more term.

use super::lanes::{Kernels, Quad, Term};
use super::point::{Extended, Niels};

/// Bits of a scalar.
const SCALAR_BITS: u32 = 128;
/// The widest digits.
const WIDTH_MAX: u32 = 8;
/// Windows that are worked on together: one for each lane.
const LANES: usize = 4;
/// Steps that are handed to the kernel at once.
const STEPS: usize = 32;

/// The buffers of such sums.
#[derive(Debug, Default)]
pub(super) struct Multiscalar {
    /// The digits of all scalars, window by window.
    digits: Vec<i16>,
    /// The points of four windows, list by list: an index, doubled, plus one when it is subtracted.
    members: Vec<u32>,
    lists: Vec<List>,
    /// The buckets of four windows, the lowest digit first.
    buckets: Vec<Quad>,
    /// The sum of each window.
    windows: Vec<Extended>,
}

/// The points of one bucket.
#[derive(Debug, Clone, Copy, Default)]
struct List {
    start: u32,
    length: u32,
    lane: u8,
    bucket: u8,
}

impl Multiscalar {
    /// `sum [scalars_i] points_i`.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub(super) fn sum(
        &mut self,
        kernels: &Kernels,
        points: &[Niels],
        scalars: &[u128],
    ) -> Extended {
        assert_eq!(points.len(), scalars.len(), "a scalar for each point");
        let width = width(points.len());
        self.recode(scalars, width);
        self.windows.clear();
        let count = windows(width);
        for first in (0..count).step_by(LANES) {
            let group = LANES.min(count - first);
            self.sort(first..first + group, points.len(), width);
            self.fill(kernels, points, 1 << (width - 1));
            let sums = self.weighted(kernels);
            self.windows.extend((0..group).map(|lane| sums.lane(lane)));
        }
        let mut sum = Extended::IDENTITY;
        for window in self.windows.iter().rev() {
            sum = (0..width).fold(sum, |sum, _| sum.doubled()).add(window);
        }
        sum
    }

    /// Writes every scalar in signed digits, each at most half of `2^width`.
    fn recode(&mut self, scalars: &[u128], width: u32) {
        self.digits.clear();
        self.digits.resize(windows(width) * scalars.len(), 0);
        let base = 1i16 << width;
        for (nth, scalar) in scalars.iter().enumerate() {
            let mut carry = 0;
            for (window, row) in self.digits.chunks_exact_mut(scalars.len()).enumerate() {
                let rest = scalar.checked_shr(window as u32 * width).unwrap_or(0);
                let digit = (rest as i16 & (base - 1)) + carry;
                carry = i16::from(digit > base / 2);
                row[nth] = digit - carry * base;
            }
            assert_eq!(carry, 0, "the last window has room for the carry");
        }
    }

    /// Lists the points of each bucket of up to four windows, the longest list first.
    fn sort(&mut self, group: core::ops::Range<usize>, points: usize, width: u32) {
        let buckets = 1 << (width - 1);
        self.lists.clear();
        self.members.clear();
        for (lane, window) in group.enumerate() {
            let digits = &self.digits[window * points..][..points];
            let first_list = self.lists.len();
            let list =
                |bucket| List { lane: lane as u8, bucket: bucket as u8, start: 0, length: 0 };
            self.lists.extend((0..buckets).map(list));
            let lists = &mut self.lists[first_list..];
            for digit in digits.iter().filter(|digit| **digit != 0) {
                lists[usize::from(digit.unsigned_abs()) - 1].length += 1;
            }
            let mut start = self.members.len() as u32;
            for list in lists.iter_mut() {
                list.start = start;
                start += list.length;
                list.length = 0;
            }
            self.members.resize(start as usize, 0);
            for (nth, digit) in digits.iter().enumerate().filter(|(_, digit)| **digit != 0) {
                let list = &mut lists[usize::from(digit.unsigned_abs()) - 1];
                let place = (list.start + list.length) as usize;
                self.members[place] = 2 * nth as u32 + u32::from(*digit < 0);
                list.length += 1;
            }
        }
        self.lists.sort_unstable_by_key(|list| core::cmp::Reverse(list.length));
    }

    /// Sums up every list into its bucket.
    fn fill(&mut self, kernels: &Kernels, points: &[Niels], buckets: usize) {
        self.buckets.clear();
        self.buckets.resize(buckets, Quad::IDENTITY);
        let mut steps = [[Term::NOTHING; LANES]; STEPS];
        for four in self.lists.chunks(LANES) {
            let longest = four.first().map_or(0, |list| list.length as usize);
            let mut sums = Quad::IDENTITY;
            for start in (0..longest).step_by(STEPS) {
                let steps = &mut steps[..STEPS.min(longest - start)];
                for (nth, step) in steps.iter_mut().enumerate() {
                    *step = [Term::NOTHING; LANES];
                    for (term, list) in step.iter_mut().zip(four) {
                        if start + nth < list.length as usize {
                            let member = self.members[list.start as usize + start + nth];
                            let point = &points[member as usize / 2];
                            *term = Term { point, negative: member % 2 == 1 };
                        }
                    }
                }
                (kernels.accumulate)(&mut sums, steps);
            }
            for (from, list) in four.iter().enumerate().filter(|(_, list)| list.length > 0) {
                self.buckets[list.bucket as usize].copy_lane(list.lane as usize, &sums, from);
            }
        }
    }

    /// The sum of all buckets, each times its digit: the sum of all sums from the top.
    fn weighted(&self, kernels: &Kernels) -> Quad {
        let mut running = Quad::IDENTITY;
        let mut sums = Quad::IDENTITY;
        for bucket in self.buckets.iter().rev() {
            (kernels.add)(&mut running, bucket);
            (kernels.add)(&mut sums, &running);
        }
        sums
    }
}

/// Windows of that many bits in a scalar, and room for the last carry.
fn windows(width: u32) -> usize {
    (SCALAR_BITS / width + 1) as usize
}

/// The digits' width that costs least for a number of points, in field multiplications: seven for
/// each point in each window, and twice nine for each bucket.
fn width(points: usize) -> u32 {
    let cost = |width: u32| {
        let windows = windows(width).next_multiple_of(LANES);
        windows * (7 * points + 18 * (1 << (width - 1)))
    };
    (2..=WIDTH_MAX).min_by_key(|width| cost(*width)).unwrap_or(WIDTH_MAX)
}
