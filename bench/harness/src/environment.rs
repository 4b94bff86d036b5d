//! The machine, and what else it is doing. What the system does not tell is `None`.
//!
//! Sources: `/proc` and `/sys` of Linux. On another system most of it stays unknown, and says so.

use std::fs;
use std::path::Path;
use std::thread;

use quorumark_report::Environment;

/// What is read when a run begins, to be held against its end.
#[derive(Debug, Clone, Default)]
pub struct Before {
    load_average_1m: Option<f64>,
    pressure_cpu_some_avg10: Option<f64>,
    ticks: Option<Ticks>,
}

/// CPU time of the machine since its start, in the kernel's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    total: u64,
    steal: u64,
}

impl Before {
    /// Reads load, pressure and stolen time now, and starts the count of peak memory afresh where
    /// the kernel allows it.
    pub fn now() -> Before {
        // 5 resets the peak (proc(5), clear_refs); without the right to, the peak is the process's.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Before {
            load_average_1m: load_average(),
            pressure_cpu_some_avg10: pressure(),
            ticks: Ticks::now(),
        }
    }
}

impl Ticks {
    /// Reads the machine's CPU times.
    pub fn now() -> Option<Ticks> {
        Ticks::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The share of CPU time since `self` that a hypervisor took, 0 to 1.
    pub fn steal_share_since(&self) -> Option<f64> {
        self.steal_share_until(&Ticks::now()?)
    }

    fn parse(text: &str) -> Option<Ticks> {
        let fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
        // user nice system idle iowait irq softirq steal; guest time is part of user.
        let ticks: Vec<u64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
        Some(Ticks { total: ticks.iter().sum(), steal: *ticks.get(7)? })
    }

    fn steal_share_until(&self, later: &Ticks) -> Option<f64> {
        let total = later.total.checked_sub(self.total).filter(|total| *total > 0)?;
        Some(later.steal.checked_sub(self.steal)? as f64 / total as f64)
    }
}

/// The environment of the run that began at `before`.
pub fn capture(before: &Before) -> Environment {
    let read = |path: &str| {
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let steal = before.ticks.and_then(|ticks| ticks.steal_share_since());
    Environment {
        hostname: read("/proc/sys/kernel/hostname"),
        cpu_model: cpu_field("model name"),
        cores: cores(),
        memory_bytes: memory_bytes(),
        kernel: read("/proc/sys/kernel/osrelease").map(|release| format!("Linux {release}")),
        load_average_1m: before.load_average_1m,
        pressure_cpu_some_avg10: before.pressure_cpu_some_avg10,
        steal_share: steal,
        governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        container: container(),
    }
}

/// Logical cores that this process may use, at least 1.
pub fn cores() -> u32 {
    thread::available_parallelism()
        .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// Memory of the machine in bytes.
pub fn memory_bytes() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemTotal:")
}

/// Memory that a new program could have, in bytes.
pub fn memory_available_bytes() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemAvailable:")
}

/// Most memory that this process held since [`Before::now`], in bytes.
pub fn peak_rss_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

/// Share of the last ten seconds in which some thread waited for a core, 0 to 1.
pub fn pressure() -> Option<f64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let percent: f64 = some.split("avg10=").nth(1)?.split(' ').next()?.parse().ok()?;
    Some(percent / 100.0)
}

/// Load average over one minute, in runnable threads.
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn kilobytes(path: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

fn cpu_field(name: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn container() -> Vec<String> {
    let mut signs = Vec::new();
    if Path::new("/.dockerenv").exists() {
        signs.push("docker".to_owned());
    }
    if Path::new("/run/.containerenv").exists() {
        signs.push("podman".to_owned());
    }
    let flags = cpu_field("flags").unwrap_or_default();
    if flags.split(' ').any(|flag| flag == "hypervisor") {
        let product = fs::read_to_string("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
        signs.push(format!("hypervisor {}", product.trim()).trim().to_owned());
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_all_time() {
        let before = Ticks::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3").unwrap();
        let after = Ticks::parse("cpu  180 0 50 800 50 0 0 20 0 0\n").unwrap();
        assert_eq!(before.steal_share_until(&after), Some(0.2));
        assert_eq!(before.steal_share_until(&before), None);
        assert!(Ticks::parse("cpu  1 2 3").is_none() && Ticks::parse("").is_none());
    }

    #[test]
    fn the_machine_at_hand_is_described() {
        let environment = capture(&Before::now());
        assert!(environment.cores >= 1);
        if cfg!(target_os = "linux") {
            assert!(environment.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
            assert!(environment.kernel.is_some() && environment.hostname.is_some());
            assert!(peak_rss_bytes().is_some_and(|bytes| bytes > 1 << 16));
            assert!(memory_available_bytes() <= memory_bytes());
        }
    }
}
