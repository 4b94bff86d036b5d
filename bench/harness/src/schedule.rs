//! What the kernel's scheduler knows about the process's threads: time on a core, and time spent
//! waiting for one.
//!
//! Source: `/proc/<pid>/task/<tid>/schedstat` (Linux, Documentation/scheduler/sched-stats.rst): the
//! nanoseconds that the thread ran, and those that it was runnable and waited. A thread that sleeps
//! counts in neither, so the share of the two is right for a pipeline of idle stages too.

use std::collections::BTreeMap;
use std::fs;

/// Waits below this are the scheduler's own granularity, and no contention.
const WANTED_NS_MIN: u64 = 100_000;

/// The times of all threads at one moment.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    threads: BTreeMap<u32, Times>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Times {
    ran_ns: u64,
    waited_ns: u64,
}

/// What the threads did between two moments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all threads.
    pub ran_ns: u64,
    /// Time that threads were runnable and waited for a core.
    pub waited_ns: u64,
    /// CPU time of the thread that used most.
    pub largest_ran_ns: u64,
}

impl Schedule {
    /// Reads the times of every thread of this process. `None` where the kernel does not tell.
    pub fn now() -> Option<Schedule> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/task").ok()?.flatten() {
            // A thread may end while the directory is read.
            let times = fs::read_to_string(entry.path().join("schedstat"));
            let times = times.ok().as_deref().and_then(parse);
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            threads.extend(id.zip(times));
        }
        (!threads.is_empty()).then_some(Schedule { threads })
    }

    /// What happened since `self` was read. Threads that have ended since are not counted.
    pub fn usage_since(&self) -> Option<Usage> {
        let now = Schedule::now()?;
        let mut usage = Usage::default();
        for (id, times) in &now.threads {
            let before = self.threads.get(id).copied().unwrap_or_default();
            let ran_ns = times.ran_ns.saturating_sub(before.ran_ns);
            usage.ran_ns += ran_ns;
            usage.waited_ns += times.waited_ns.saturating_sub(before.waited_ns);
            usage.largest_ran_ns = usage.largest_ran_ns.max(ran_ns);
        }
        Some(usage)
    }

    /// CPU time got over CPU time wanted since `self` was read, 0 to 1.
    pub fn cpu_share_since(&self) -> Option<f64> {
        self.usage_since()?.cpu_share()
    }
}

impl Usage {
    /// CPU time got over CPU time wanted, 0 to 1; `None` when hardly any was wanted.
    pub fn cpu_share(&self) -> Option<f64> {
        let wanted = self.ran_ns + self.waited_ns;
        (wanted >= WANTED_NS_MIN).then(|| self.ran_ns as f64 / wanted as f64)
    }
}

fn parse(line: &str) -> Option<Times> {
    let mut fields = line.split_ascii_whitespace().map(str::parse);
    Some(Times { ran_ns: fields.next()?.ok()?, waited_ns: fields.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_what_was_got_of_what_was_wanted() {
        let usage = Usage { ran_ns: 3_000_000, waited_ns: 1_000_000, largest_ran_ns: 3_000_000 };
        assert_eq!(usage.cpu_share(), Some(0.75));
        assert_eq!(Usage::default().cpu_share(), None);
    }

    #[test]
    fn a_schedstat_line_is_read_and_another_is_not() {
        let times = parse("12 34 5\n").unwrap();
        assert_eq!((times.ran_ns, times.waited_ns), (12, 34));
        assert!(parse("12").is_none() && parse("a b c").is_none());
    }

    #[test]
    fn the_test_s_own_threads_are_seen() {
        let Some(before) = Schedule::now() else { return };
        let usage = before.usage_since().unwrap();
        assert!(usage.ran_ns >= usage.largest_ran_ns);
    }
}
