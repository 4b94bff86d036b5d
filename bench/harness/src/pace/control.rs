//! Whether a look at the pace says the same whatever the thread did before it.
//!
//! The watcher of a run comes out of a sleep, and works beside threads that keep every core busy.
//! Where its looks are dearer than those of a thread at work, the shares of the limit that signed
//! runs state are too high by as much; where they are cheaper, too low.

use core::time::Duration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::{INTERVAL, Pace, PaceThread, mean};
use crate::environment::cores;

/// Looks of each kind, in turn, on a machine with nothing else to do.
const LOOKS: usize = 60;
/// Times that every core is kept busy.
const ROUNDS: u64 = 5;
/// How long each time.
const ROUND: Duration = Duration::from_secs(4);

/// Mean looks of two kinds, in microseconds of CPU time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// As the watcher of a run looks.
    pub watching_us: f64,
    /// As a thread at work would see it.
    pub working_us: f64,
}

impl Compared {
    /// By which factor the shares of signed runs are too high, where runs are like this.
    pub fn factor(&self) -> f64 {
        self.watching_us / self.working_us
    }
}

/// What [`control`] found. `None`: a valid signature was refused, or nothing was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// After a sleep against after work, with nothing else to do.
    pub alone: Option<Compared>,
    /// From a sleep against within the work, while each core is busy with such work.
    pub saturated: Vec<Option<Compared>>,
}

/// Holds looks of a watcher against looks of threads at work. Takes half a minute.
///
/// # Panics
/// When the system has no thread left.
pub fn control() -> Control {
    Control { alone: alone(LOOKS), saturated: (0..ROUNDS).map(|n| saturated(n, ROUND)).collect() }
}

fn alone(looks: usize) -> Option<Compared> {
    let mut pace = Pace::new(1);
    let (mut asleep, mut working) = (Vec::new(), Vec::new());
    for _ in 0..looks {
        thread::sleep(INTERVAL);
        asleep.push(pace.warm_look()?);
        let start = Instant::now();
        while start.elapsed() < INTERVAL {
            pace.look()?;
        }
        working.push(pace.warm_look()?);
    }
    mean(asleep).zip(mean(working)).map(compared)
}

fn saturated(seed: u64, span: Duration) -> Option<Compared> {
    let stop = AtomicBool::new(false);
    let busy = |nth: u32| {
        let mut pace = Pace::new((seed << 32) + u64::from(nth) + 1);
        let mut looks = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            looks.extend(pace.look().filter(|look| look.warm).map(|look| look.us));
        }
        looks
    };
    thread::scope(|scope| {
        let busy = &busy;
        let threads: Vec<_> = (0..cores()).map(|nth| scope.spawn(move || busy(nth))).collect();
        let watcher = PaceThread::start(seed << 32).expect("the system has a thread left");
        thread::sleep(span);
        let watching = watcher.finish();
        stop.store(true, Ordering::Relaxed);
        let looks = threads.into_iter().flat_map(|thread| thread.join().expect("looks end well"));
        watching.zip(by_work(&looks.collect::<Vec<_>>())).map(compared)
    })
}

/// The mean of looks that came one after the other: each stands for as much work.
fn by_work(looks: &[f64]) -> Option<f64> {
    (!looks.is_empty()).then(|| looks.iter().sum::<f64>() / looks.len() as f64)
}

fn compared((watching_us, working_us): (f64, f64)) -> Compared {
    Compared { watching_us, working_us }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_seen_and_a_dearer_watcher_makes_a_factor_above_one() {
        let compared = alone(4).unwrap();
        assert!(compared.watching_us > 0.0 && compared.working_us > 0.0, "{compared:?}");
        let dearer = Compared { watching_us: 300.0, working_us: 200.0 };
        assert!((dearer.factor() - 1.5).abs() < 1e-9);
        // Too short for a watcher to have seen anything.
        assert_eq!(saturated(0, Duration::ZERO), None);
    }
}
