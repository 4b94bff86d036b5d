//! How fast the core is in this moment.
//!
//! On a shared machine the neighbours of a core take part of its units, not its clock: a chain of
//! dependent multiplications costs the same at every moment, independent ones up to half as much
//! again, and that changes from second to second. A floor measured before a run and a run after it
//! are then measured on two machines. So a fixed piece of work of the kind that dominates both is
//! timed beside each: the floor is known in units of it ([`crate::floor::RelativeFloor`]), and what
//! a unit cost while the run lasted turns that into time.

pub mod control;

use core::time::Duration;
use std::io;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use quorumark_primitives::ed25519::{BatchVerifier, VerifyMethod};

use crate::clock::{Cost, Scope, interruptions};
use crate::fixture::{self, SignedMessage};
use crate::scenario::verifier;

/// Signatures of the piece of work, in one equation: 0.2 ms on Zen 3. Few, so that a slow
/// moment's look is seldom interrupted and left out.
const SIGNATURES: usize = 16;
/// The most pieces of one look, one after the other.
const PIECES_MAX: usize = 12;
/// Of these count at most so many, the last ones.
const COUNTED_MAX: usize = 4;
/// Pieces that come before those that count: code and data are back in the caches then.
const WARM_UP: usize = 2;
/// Looks at most, one after the other, for one that nothing interrupts.
const TRIES: usize = 4;
/// Keys that they are under, in turn.
const SIGNERS: usize = 4;
/// Bytes of a message.
const MESSAGE_BYTES: usize = 64;
/// Time between two looks at the pace of a run: they cost it up to 4 % of two cores.
const INTERVAL: Duration = Duration::from_millis(40);
/// The fewest looks that tell the pace of a run.
const LOOKS_MIN: usize = 4;
/// One look in so many, the dearest, does not count: a neighbour or the hypervisor cut in.
const DEAREST: usize = 20;
/// Keeps these messages apart from those of the floor and of the run.
const STREAM: u64 = 0xface;

/// The piece of work, ready to be timed.
pub struct Pace {
    verifier: BatchVerifier,
    signed: Vec<SignedMessage>,
}

impl Pace {
    /// Signs what is to be verified.
    pub fn new(seed: u64) -> Pace {
        let random = &mut fixture::random(seed, STREAM);
        let signers = fixture::signers(random, SIGNERS);
        Pace {
            verifier: verifier(seed).with_method(VerifyMethod::Equation),
            signed: fixture::signed_messages(random, &signers, SIGNATURES, MESSAGE_BYTES),
        }
    }

    /// What the piece of work costs now. `None` when a valid signature was refused.
    ///
    /// A thread that comes out of a sleep finds cold caches and a core that slept too, and one that is
    /// interrupted finds them spoilt; neither says how fast the core is. So the piece is repeated,
    /// and the last ones before an interruption count.
    pub fn look(&mut self) -> Option<Look> {
        let before = interruptions();
        let mut pieces = [0.0; PIECES_MAX];
        for nth in 0..PIECES_MAX {
            let mut cost = Cost::default();
            if !cost.add(Scope::Thread, || self.verify()) {
                return None;
            }
            pieces[nth] = cost.cpu.as_nanos() as f64 / 1e3;
            if interruptions() != before {
                let whole = &pieces[..nth];
                return Some(look_of(whole).unwrap_or(Look { us: pieces[nth], warm: false }));
            }
        }
        look_of(&pieces)
    }

    /// As [`Pace::look`], again while something interrupts it, a few times.
    pub fn warm_look(&mut self) -> Option<f64> {
        let mut look = self.look()?;
        for _ in 1..TRIES {
            if look.warm {
                break;
            }
            look = self.look()?;
        }
        Some(look.us)
    }

    fn verify(&mut self) -> bool {
        for one in &self.signed {
            self.verifier.queue(&one.key, &[&one.message], &one.signature);
        }
        let mut verdicts = Vec::with_capacity(self.signed.len());
        self.verifier.verify(&mut verdicts);
        verdicts.len() == self.signed.len() && verdicts.iter().all(|verdict| *verdict)
    }
}

/// What the piece of work cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Microseconds of the calling thread's CPU time.
    pub us: f64,
    /// Whether it was done as often as it takes to be warm before something interrupted it.
    pub warm: bool,
}

/// The mean of the last pieces that nothing interrupted; `None` before they are warm.
fn look_of(pieces: &[f64]) -> Option<Look> {
    let count = pieces.len().saturating_sub(WARM_UP).min(COUNTED_MAX);
    let counted = &pieces[pieces.len() - count..];
    (count > 0).then(|| Look { us: counted.iter().sum::<f64>() / count as f64, warm: true })
}

/// The pace of a run, watched by a thread of its own on each core in turn: its CPU time is in no
/// figure.
#[derive(Debug)]
pub struct PaceThread {
    stop: Sender<()>,
    thread: JoinHandle<Vec<f64>>,
}

impl PaceThread {
    /// Looks 25 times a second from now on.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(seed: u64) -> io::Result<PaceThread> {
        let (stop, stopped) = bounded::<()>(0);
        let watch = move || {
            let mut pace = Pace::new(seed);
            let cores = core_affinity::get_core_ids().unwrap_or_default();
            let mut turn = cores.iter().cycle();
            let mut looks = Vec::new();
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // Neighbours differ from core to core, and the scheduler would leave it on one.
                if let Some(core) = turn.next() {
                    core_affinity::set_for_current(*core);
                }
                looks.extend(pace.look().filter(|look| look.warm).map(|look| look.us));
            }
            looks
        };
        let thread = Builder::new().name("pace".to_owned()).spawn(watch)?;
        Ok(PaceThread { stop, thread })
    }

    /// Stops looking. What a warm look cost on average over the work, in microseconds, without the
    /// dearest twentieth: a dearer pace would flatter the run. `None` after a run too short to tell.
    ///
    /// # Panics
    /// When the thread panicked.
    pub fn finish(self) -> Option<f64> {
        drop(self.stop);
        mean(self.thread.join().expect("looking at the pace does not panic"))
    }
}

/// The mean over the work done in that time, of looks that came evenly in time: the harmonic one,
/// for a core that is twice as slow does half the work. Over several cores together it is at most
/// the mean of theirs. Without the dearest looks.
fn mean(mut looks: Vec<f64>) -> Option<f64> {
    if looks.len() < LOOKS_MIN {
        return None;
    }
    looks.sort_by(f64::total_cmp);
    looks.truncate(looks.len() - looks.len().div_ceil(DEAREST));
    let work: f64 = looks.iter().map(|us| us.recip()).sum();
    Some(looks.len() as f64 / work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_work_that_took_cpu_time() {
        let mut pace = Pace::new(42);
        assert!(pace.look().unwrap().us > 0.0);
        assert!(pace.warm_look().unwrap() > 0.0);
        pace.signed[10].message[0] ^= 1;
        assert_eq!(pace.look(), None, "what was refused is no measure");
    }

    #[test]
    fn the_last_pieces_count_once_two_came_before_them() {
        let us = |pieces: &[f64]| look_of(pieces).map(|look| look.us);
        assert_eq!(us(&[9.0, 8.0]), None);
        assert_eq!(us(&[9.0, 8.0, 3.0]), Some(3.0));
        assert_eq!(us(&[9.0, 8.0, 3.0, 5.0]), Some(4.0));
        assert_eq!(us(&[9.0, 8.0, 7.0, 1.0, 2.0, 3.0, 4.0]), Some(2.5));
    }

    #[test]
    fn the_dearest_twentieth_of_the_looks_does_not_count() {
        assert_eq!(mean(vec![100.0, 4.0, 4.0, 4.0]), Some(4.0));
        let mut looks = vec![4.0; 38];
        looks.extend([1000.0, 2000.0]);
        assert_eq!(mean(looks), Some(4.0));
        assert_eq!(mean(vec![1.0; 3]), None, "three looks tell nothing");
    }

    #[test]
    fn a_pace_counts_by_the_work_done_at_it() {
        // As long at 2 us as at 6 us: three pieces of four were done at 2 us.
        let mean = mean(vec![2.0, 2.0, 6.0, 6.0, 9.0]).unwrap();
        assert!((mean - 3.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn a_thread_that_is_stopped_at_once_has_seen_no_pace() {
        assert_eq!(PaceThread::start(1).unwrap().finish(), None);
    }
}
