//! CPU clocks: the time that a thread, or all threads of the process, spent on a core.

#![allow(unsafe_code)] // `clock_gettime` and `getrusage` are C functions; their calls are below.

use core::time::Duration;
use std::time::Instant;

/// CPU time of the calling thread so far. Costs a system call, about 0.2 us.
pub fn thread_cpu() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Time on the system's monotonic clock, which all its processes share.
pub fn monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// CPU time of all threads of the process so far, those that have ended included.
pub fn process_cpu() -> Duration {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// How often the calling thread lost its core to another one so far, though it had work left; always 0
/// where the kernel does not tell of threads. Costs a system call.
#[cfg(target_os = "linux")]
pub fn interruptions() -> u64 {
    let mut usage = core::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is as large as a rusage and outlives the call, which keeps no reference.
    let status = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    assert_eq!(status, 0, "the kernel accounts for threads, as Linux does since 2.6.26");
    // SAFETY: zeroes are a valid rusage, and the call wrote one over them.
    unsafe { usage.assume_init() }.ru_nivcsw as u64
}

/// As on Linux, where the kernel does not tell: no interruption is seen.
#[cfg(not(target_os = "linux"))]
pub fn interruptions() -> u64 {
    0
}

/// Wall-clock and CPU time that something took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Time that went by.
    pub wall: Duration,
    /// Time on a core.
    pub cpu: Duration,
}

/// Which threads' CPU time is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The calling thread: all the work is done on it.
    Thread,
    /// The process: the work is spread over a pool.
    Process,
}

impl Cost {
    /// Runs `work` and adds what it took.
    pub fn add<T>(&mut self, scope: Scope, work: impl FnOnce() -> T) -> T {
        let cpu = scope.now();
        let wall = Instant::now();
        let answer = work();
        self.wall += wall.elapsed();
        self.cpu += scope.now().saturating_sub(cpu);
        answer
    }
}

impl Scope {
    fn now(self) -> Duration {
        match self {
            Scope::Thread => thread_cpu(),
            Scope::Process => process_cpu(),
        }
    }
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call, which writes it and keeps no
    // reference.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(status, 0, "the kernel has the CPU clocks that POSIX.1-2001 asks for");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_cpu_time_and_no_more_of_the_thread_than_of_the_process() {
        let process = process_cpu();
        let mut cost = Cost::default();
        let sum = cost.add(Scope::Thread, || (0..100_000u64).fold(0, |a, b| a ^ b.wrapping_mul(a)));
        assert!(core::hint::black_box(sum) < u64::MAX);
        assert!(cost.cpu > Duration::ZERO);
        assert!(process_cpu() - process >= cost.cpu);
    }
}
