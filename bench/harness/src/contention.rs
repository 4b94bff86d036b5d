//! How much CPU time other processes took from this one.
//!
//! A pipeline has more threads than the machine has cores, so its threads wait for each other, and
//! the time that they wait says nothing about other processes. What others took is at most what our
//! threads waited, and at most what others ran: the smaller of the two is counted as lost.

use std::fs;

use crate::clock;
use crate::schedule::Schedule;

/// Length of the ticks in `/proc/stat`: `USER_HZ` is 100 in Linux's interface to programs.
const TICK_NS: u64 = 10_000_000;

/// What ran on the machine up to one moment.
#[derive(Debug, Clone)]
pub struct Contention {
    schedule: Option<Schedule>,
    machine_busy_ns: Option<u64>,
    process_ns: u64,
}

impl Contention {
    /// Reads the clocks.
    pub fn now() -> Contention {
        Contention {
            schedule: Schedule::now(),
            machine_busy_ns: fs::read_to_string("/proc/stat").ok().as_deref().and_then(busy_ns),
            process_ns: clock::process_cpu().as_nanos() as u64,
        }
    }

    /// CPU time got over CPU time got or lost since `self` was read, 0 to 1, of this process and of
    /// others that ran and waited meanwhile for so many nanoseconds. `None` where the kernel does not
    /// tell. Threads have to be alive to be counted.
    pub fn cpu_share_since(&self, ran_elsewhere: u64, waited_elsewhere: u64) -> Option<f64> {
        let now = Contention::now();
        let ran = now.process_ns.saturating_sub(self.process_ns) + ran_elsewhere;
        let waited = self.schedule.as_ref()?.usage_since()?.waited_ns + waited_elsewhere;
        let busy = now.machine_busy_ns?.saturating_sub(self.machine_busy_ns?);
        (ran > 0).then(|| share(ran, waited, busy))
    }
}

fn share(ran: u64, waited: u64, machine_busy: u64) -> f64 {
    let lost = machine_busy.saturating_sub(ran).min(waited);
    ran as f64 / (ran + lost) as f64
}

/// Time that all cores were busy or stolen, from the first line of `/proc/stat` (proc_stat(5)).
fn busy_ns(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = fields.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are within user and nice.
    let busy = [0, 1, 2, 5, 6, 7].iter().map(|nth| ticks.get(*nth).copied().unwrap_or(0));
    (ticks.len() >= 4).then(|| busy.sum::<u64>() * TICK_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_wait_for_each_other_lose_nothing_to_others() {
        assert!((share(100, 500, 100) - 1.0).abs() < 1e-9);
        assert!((share(100, 0, 300) - 1.0).abs() < 1e-9);
        assert!((share(100, 500, 200) - 0.5).abs() < 1e-9);
        assert!((share(100, 25, 300) - 0.8).abs() < 1e-9);
    }

    #[test]
    fn a_line_of_proc_stat_is_read_without_idle_time() {
        assert_eq!(busy_ns("cpu  10 1 2 1000 50 3 4 5 7 7\ncpu0 1\n"), Some(25 * TICK_NS));
        assert_eq!(busy_ns("intr 1 2 3"), None);
    }
}
