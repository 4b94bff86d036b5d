//! What a thread does that has no input: it looks again for a while, then it parks.
//!
//! A parked thread costs nothing, and its next input some microseconds more: the one who sends wakes
//! it. One that looks finds its input at once, and takes the core meanwhile from whoever has work. So
//! between two looks it offers its core to the others, and looks for a bounded time.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

/// Looks at what may come, between two offers of the core.
const LOOKS_TOGETHER: usize = 16;

/// How a thread waits for input.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Idle {
    spin: Duration,
}

impl Idle {
    /// Looks for `spin` before it parks; zero: parks at once.
    pub(crate) fn new(spin: Duration) -> Idle {
        Idle { spin }
    }

    /// Looks until `look` finds something; `None` when it is time to park.
    pub(crate) fn look<T>(self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        if self.spin.is_zero() {
            return None;
        }
        let begun = Instant::now();
        while begun.elapsed() < self.spin {
            for _ in 0..LOOKS_TOGETHER {
                if let Some(found) = look() {
                    return Some(found);
                }
                hint::spin_loop();
            }
            thread::yield_now();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_spin_nothing_is_looked_at_and_with_one_it_ends() {
        let mut looks = 0;
        let mut look = |found_at| {
            looks += 1;
            (looks == found_at).then_some(looks)
        };
        assert_eq!(Idle::default().look(|| look(1)), None);
        assert_eq!(Idle::new(Duration::from_secs(60)).look(|| look(40)), Some(40));
        assert_eq!(Idle::new(Duration::from_millis(1)).look(|| look(0)), None);
        assert!(looks > 40, "{looks}");
    }
}
