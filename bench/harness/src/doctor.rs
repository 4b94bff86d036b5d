//! Whether figures of this machine can be trusted, finding by finding.

use core::hint::black_box;
use core::time::Duration;
use std::fs;
use std::thread;
use std::time::Instant;

use crate::clock::thread_cpu;
use crate::environment::{self, Ticks};
use crate::provenance::{self, DEBUG_BUILD};

/// How long each core is kept busy to see whether it can be had: long enough for other threads to
/// come by, short enough not to be waited for.
pub const SPIN: Duration = Duration::from_millis(200);

/// Share of the CPU that a quiet machine gives.
const CPU_SHARE_OK_MIN: f64 = 0.95;
/// Below this share wall-clock figures say nothing.
const CPU_SHARE_WARN_MIN: f64 = 0.75;
/// A step of the clock that is small beside a batch.
const TIMER_STEP_OK_MAX: Duration = Duration::from_micros(1);
/// The cost of reading the clock that may be paid per request.
const TIMER_COST_OK_MAX: Duration = Duration::from_nanos(200);
/// Memory that every scenario at its defaults fits in.
const MEMORY_OK_MIN: u64 = 1 << 30;
/// Reads of the clock that its step and cost are taken from.
const CLOCK_READS: u32 = 20_000;

/// What a finding means for figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// Nothing speaks against them.
    Ok,
    /// Some figures suffer; the remedy says what to do.
    Warn,
    /// They are not to be trusted.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What was found.
    pub value: String,
    /// What it means.
    pub judgement: Judgement,
    /// What to do about it; `None` when it is ok.
    pub remedy: Option<&'static str>,
}

impl Judgement {
    /// The word shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Judgement::Ok => "ok",
            Judgement::Warn => "warn",
            Judgement::Bad => "bad",
        }
    }
}

/// Whether figures of this machine can be trusted: nothing is bad.
pub fn trusted(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.judgement < Judgement::Bad)
}

/// Looks at everything. `allocator` is the program's; each core is busy for `spin` once, see
/// [`SPIN`].
pub fn examine(allocator: &str, spin: Duration) -> Vec<Finding> {
    let mut findings = vec![build(DEBUG_BUILD), cores(environment::cores())];
    findings.extend(simd());
    findings.extend([timer(), clocksource(), pinning()]);
    findings.extend(contention(spin));
    findings.extend([memory(), huge_pages(), governor(), allocator_in_use(allocator)]);
    assert!(findings.iter().all(|f| f.remedy.is_none() == (f.judgement == Judgement::Ok)));
    findings
}

/// A finding that is ok, or else judged and mended as said.
fn finding(
    what: &'static str,
    value: impl Into<String>,
    judgement: Judgement,
    remedy: &'static str,
) -> Finding {
    let remedy = (judgement > Judgement::Ok).then_some(remedy);
    Finding { what, value: value.into(), judgement, remedy }
}

/// [`Judgement::Ok`] when `holds`, `otherwise` when not.
fn judge(holds: bool, otherwise: Judgement) -> Judgement {
    if holds { Judgement::Ok } else { otherwise }
}

fn build(debug: bool) -> Finding {
    let value = if debug { "DEBUG BUILD: figures are worthless" } else { "optimised" };
    finding("build", value, judge(!debug, Judgement::Bad), "build with cargo build --release")
}

fn cores(count: u32) -> Finding {
    let judgement = judge(count >= 2, Judgement::Warn);
    let remedy = "give it a second core: load and replicas share this one";
    finding("cores", count.to_string(), judgement, remedy)
}

fn simd() -> Vec<Finding> {
    let slow = ["portable", "serial"];
    let judged = |(kernel, path): (String, String)| {
        let what = match kernel.as_str() {
            "sha256" => "SIMD path of SHA-256",
            "sha256_each" => "the same, side by side",
            "ed25519" => "SIMD path of ed25519",
            _ => "SIMD path of BLAKE3",
        };
        let fast = !slow.iter().any(|slow| path.contains(slow));
        let remedy = "use a processor with SHA-NI and AVX2 to compare with published figures";
        finding(what, path, judge(fast, Judgement::Warn), remedy)
    };
    provenance::simd().into_iter().map(judged).collect()
}

fn timer() -> Finding {
    let (step, cost) = clock_step_and_cost();
    let good = step <= TIMER_STEP_OK_MAX && cost <= TIMER_COST_OK_MAX;
    let value = format!("steps of {} ns, {} ns a read", step.as_nanos(), cost.as_nanos());
    let remedy = "quote means over long spans, not single latencies";
    finding("timer", value, judge(good, Judgement::Warn), remedy)
}

/// The smallest step of the monotonic clock that was seen, and what a read costs.
fn clock_step_and_cost() -> (Duration, Duration) {
    let began = Instant::now();
    let (mut last, mut step) = (began, Duration::MAX);
    for _ in 0..CLOCK_READS {
        let now = Instant::now();
        if now > last {
            step = step.min(now - last);
        }
        last = now;
    }
    (step, began.elapsed() / CLOCK_READS)
}

fn clocksource() -> Finding {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = fs::read_to_string(path).map(|text| text.trim().to_owned());
    let slow = ["hpet", "acpi_pm", "jiffies"];
    let judgement = judge(!source.as_deref().is_ok_and(|s| slow.contains(&s)), Judgement::Warn);
    let remedy = "boot with clocksource=tsc: each read of this clock is a slow device access";
    finding("clock source", source.unwrap_or_else(|_| "unknown".to_owned()), judgement, remedy)
}

/// Tried on a thread of its own, so that the caller stays where it may run.
fn pinning() -> Finding {
    let try_all = || {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let pinned = cores.iter().filter(|core| core_affinity::set_for_current(**core)).count();
        (pinned, cores.len())
    };
    let (pinned, cores) = thread::spawn(try_all).join().unwrap_or_default();
    let possible = cores > 0 && pinned == cores;
    let value = format!("possible on {pinned} of {cores} cores");
    let remedy = "allow sched_setaffinity, or leave pinning off";
    finding("pinning", value, judge(possible, Judgement::Warn), remedy)
}

fn contention(spin: Duration) -> Vec<Finding> {
    let ticks = Ticks::now();
    let share = spin_all_cores(spin);
    let judgement = match share {
        share if share >= CPU_SHARE_OK_MIN => Judgement::Ok,
        share if share >= CPU_SHARE_WARN_MIN => Judgement::Warn,
        _ => Judgement::Bad,
    };
    let remedy = "close other work; until then quote CPU times and ratios, not wall-clock figures";
    let mut findings = vec![finding("CPU got of CPU wanted", percent(share), judgement, remedy)];
    if let Some(steal) = ticks.and_then(|ticks| ticks.steal_share_since()) {
        let judgement = judge(steal <= 0.02, Judgement::Warn);
        let remedy = "another virtual machine takes the core: measure at another time or place";
        findings.push(finding("stolen CPU time", percent(steal), judgement, remedy));
    }
    if let Some(pressure) = environment::pressure() {
        let judgement = judge(pressure <= 0.10, Judgement::Warn);
        let remedy = "threads waited for a core in the last ten seconds: close other work";
        findings.push(finding("CPU pressure, 10 s", percent(pressure), judgement, remedy));
    }
    if let Some(load) = environment::load_average() {
        let judgement = judge(load < f64::from(environment::cores()), Judgement::Warn);
        let remedy = "more threads than cores want to run: close other work";
        findings.push(finding("load average, 1 min", format!("{load:.2}"), judgement, remedy));
    }
    findings
}

/// Keeps every core busy for `spin`; the share of that time that the threads were given.
fn spin_all_cores(spin: Duration) -> f64 {
    let one = move || {
        let (began, cpu) = (Instant::now(), thread_cpu());
        let mut sum = 0u64;
        while began.elapsed() < spin {
            (0..1000).for_each(|i| sum = black_box(sum.wrapping_add(i)));
        }
        (thread_cpu() - cpu).as_secs_f64() / began.elapsed().as_secs_f64()
    };
    let count = environment::cores();
    let threads: Vec<_> = (0..count).map(|_| thread::spawn(one)).collect();
    let got: f64 = threads.into_iter().map(|thread| thread.join().unwrap_or(0.0)).sum();
    (got / f64::from(count)).min(1.0)
}

fn memory() -> Finding {
    let available = environment::memory_available_bytes();
    let judgement = match available {
        Some(bytes) if bytes < MEMORY_OK_MIN / 4 => Judgement::Bad,
        Some(bytes) if bytes < MEMORY_OK_MIN => Judgement::Warn,
        _ => Judgement::Ok,
    };
    let mebibytes = |bytes: u64| format!("{} MiB available", bytes >> 20);
    let value = available.map_or_else(|| "unknown".to_owned(), mebibytes);
    finding("memory", value, judgement, "free a gibibyte: swapping falsifies every figure")
}

/// The choice of the kernel stands in brackets: `always [madvise] never`.
fn huge_pages() -> Finding {
    let text = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let text = text.unwrap_or_default();
    let chosen = text.split('[').nth(1).and_then(|rest| rest.split(']').next());
    finding("transparent huge pages", chosen.unwrap_or("unknown"), Judgement::Ok, "")
}

fn governor() -> Finding {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    let governor = fs::read_to_string(path).map(|text| text.trim().to_owned());
    let steady = governor.as_deref().ok().is_none_or(|governor| governor != "powersave");
    let remedy = "set the governor to performance: the clock rises only after the run began";
    let value = governor.unwrap_or_else(|_| "not shown".to_owned());
    finding("frequency governor", value, judge(steady, Judgement::Warn), remedy)
}

fn allocator_in_use(allocator: &str) -> Finding {
    let judgement = judge(allocator != "system", Judgement::Warn);
    let remedy = "build with the default features: published figures are mimalloc's";
    finding("allocator", allocator, judgement, remedy)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_looked_at_and_what_is_not_ok_has_a_remedy() {
        let findings = examine("mimalloc", Duration::from_millis(5));
        let whats: Vec<&str> = findings.iter().map(|finding| finding.what).collect();
        for what in ["build", "cores", "timer", "pinning", "CPU got of CPU wanted", "memory"] {
            assert!(whats.contains(&what), "{what} in {whats:?}");
        }
        let mended = |finding: &Finding| finding.remedy.is_none_or(|remedy| !remedy.is_empty());
        assert!(findings.iter().all(mended), "{findings:?}");
    }

    #[test]
    fn a_debug_build_is_never_trusted() {
        assert!(!trusted(&[build(true)]));
        assert!(trusted(&[build(false), cores(1), allocator_in_use("system")]));
        assert_eq!(cores(1).judgement, Judgement::Warn);
    }

    #[test]
    fn the_clock_moves_forward_in_steps() {
        let (step, cost) = clock_step_and_cost();
        assert!(step > Duration::ZERO && step < Duration::from_secs(1));
        assert!(cost < Duration::from_millis(1));
    }
}
