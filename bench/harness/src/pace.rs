//! How fast the core is in this moment.
//!
//! On a shared machine the neighbours of a core take part of its units, not its clock: a chain of
//! dependent multiplications costs the same at every moment, independent ones up to half as much
//! again, and that changes from second to second. A floor measured before a run and a run after it
//! are then measured on two machines. So a fixed piece of work of the kind that dominates both is
//! timed beside each: the floor is known in units of it ([`crate::floor::RelativeFloor`]), and what
//! a unit cost while the run lasted turns that into time.

use core::time::Duration;
use std::io;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use quorumark_primitives::ed25519::{BatchVerifier, VerifyMethod};

use crate::clock::{Cost, Scope};
use crate::fixture::{self, SignedMessage};
use crate::scenario::verifier;

/// Signatures of the piece of work, in one equation: 0.5 ms on Zen 3.
const SIGNATURES: usize = 64;
/// Of these, verified beforehand and untimed: code and constants are back in the caches then.
const WARM_UP: usize = 8;
/// Keys that they are under, in turn.
const SIGNERS: usize = 4;
/// Bytes of a message.
const MESSAGE_BYTES: usize = 64;
/// Time between two looks at the pace of a run: they cost it 1 % of two cores.
const INTERVAL: Duration = Duration::from_millis(40);
/// The fewest looks that tell the pace of a run.
const LOOKS_MIN: usize = 4;
/// One look in so many, the dearest, does not count: it was interrupted.
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

    /// What the piece of work costs now, in microseconds of the calling thread's CPU time. `None`
    /// when a valid signature was refused.
    pub fn look(&mut self) -> Option<f64> {
        let mut cost = Cost::default();
        let warm = self.verify(WARM_UP);
        let accepted = cost.add(Scope::Thread, || self.verify(SIGNATURES));
        (warm && accepted).then_some(cost.cpu.as_nanos() as f64 / 1e3)
    }

    fn verify(&mut self, count: usize) -> bool {
        for one in &self.signed[..count] {
            self.verifier.queue(&one.key, &[&one.message], &one.signature);
        }
        let mut verdicts = Vec::with_capacity(count);
        self.verifier.verify(&mut verdicts);
        verdicts.len() == count && verdicts.iter().all(|verdict| *verdict)
    }
}

/// The pace of a run, watched by a thread of its own: its CPU time is in no figure.
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
            let mut looks = Vec::new();
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                looks.extend(pace.look());
            }
            looks
        };
        let thread = Builder::new().name("pace".to_owned()).spawn(watch)?;
        Ok(PaceThread { stop, thread })
    }

    /// Stops looking. What a look cost on average, in microseconds, without the dearest twentieth:
    /// those were interrupted, and a dearer pace would flatter the run. `None` after a run too short
    /// to tell.
    ///
    /// # Panics
    /// When the thread panicked.
    pub fn finish(self) -> Option<f64> {
        drop(self.stop);
        mean(self.thread.join().expect("looking at the pace does not panic"))
    }
}

fn mean(mut looks: Vec<f64>) -> Option<f64> {
    if looks.len() < LOOKS_MIN {
        return None;
    }
    looks.sort_by(f64::total_cmp);
    looks.truncate(looks.len() - looks.len().div_ceil(DEAREST));
    Some(looks.iter().sum::<f64>() / looks.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_work_that_took_cpu_time() {
        let mut pace = Pace::new(42);
        assert!(pace.look().unwrap() > 0.0);
        pace.signed[40].message[0] ^= 1;
        assert_eq!(pace.look(), None, "what was refused is no measure");
    }

    #[test]
    fn the_dearest_twentieth_of_the_looks_does_not_count() {
        assert_eq!(mean(vec![100.0, 1.0, 2.0, 3.0]), Some(2.0));
        let mut looks = vec![5.0; 38];
        looks.extend([1000.0, 2000.0]);
        assert_eq!(mean(looks), Some(5.0));
        assert_eq!(mean(vec![1.0; 3]), None, "three looks tell nothing");
    }

    #[test]
    fn a_thread_that_is_stopped_at_once_has_seen_no_pace() {
        assert_eq!(PaceThread::start(1).unwrap().finish(), None);
    }
}
