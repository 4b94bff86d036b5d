//! Numbers as people read them: three significant digits and a unit taken from the metric's name.

/// What stands where a value does not exist.
pub const ABSENT: &str = "n/a";

const COUNT_SCALES: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
const TIME_SCALES: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];
const BYTE_SCALES: [(f64, &str); 5] = [
    (1_099_511_627_776.0, "TiB"),
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1024.0, "KiB"),
    (1.0, "B"),
];

/// A value that would round to a thousand is shown in the next larger unit.
const ROUNDS_TO_ONE: f64 = 0.9995;

/// Three significant digits: `1.23`, `12.3`, `123`, `1230`; none after the point for whole numbers.
pub fn digits(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 || size >= 99.95 {
        format!("{value:.0}")
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else if size >= 0.01 {
        format!("{value:.2}")
    } else {
        format!("{value:.2e}")
    }
}

/// A count with a decimal prefix: `27.1k`, `10.2M`; below a thousand as [`digits`].
pub fn count(value: f64) -> String {
    match scale(value, &COUNT_SCALES) {
        Some((factor, prefix)) => format!("{}{prefix}", scaled(value / factor)),
        None => digits(value),
    }
}

/// A whole number with its thousands parted by commas: `81,420`.
pub fn thousands(value: f64) -> String {
    let plain = format!("{:.0}", value.abs());
    let mut parted = String::with_capacity(plain.len() + plain.len() / 3 + 1);
    if value <= -0.5 {
        parted.push('-');
    }
    for (place, digit) in plain.chars().enumerate() {
        if place > 0 && (plain.len() - place).is_multiple_of(3) && digit.is_ascii_digit() {
            parted.push(',');
        }
        parted.push(digit);
    }
    parted
}

/// Nanoseconds in the unit that fits: `870 ns`, `8.70 us`, `20.8 ms`, `3.00 s`.
pub fn duration_ns(ns: f64) -> String {
    match scale(ns, &TIME_SCALES) {
        Some((factor, unit)) => format!("{} {unit}", scaled(ns / factor)),
        None => format!("{} ns", digits(ns)),
    }
}

/// Bytes in the binary unit that fits: `512 B`, `185 MiB`.
pub fn bytes(value: f64) -> String {
    match scale(value, &BYTE_SCALES) {
        Some((factor, unit)) if *factor > 1.0 => format!("{} {unit}", scaled(value / factor)),
        _ => format!("{} B", digits(value)),
    }
}

/// A share of one as a percentage: `64.6 %`.
pub fn share(value: f64) -> String {
    format!("{} %", digits((value * 1000.0).round() / 10.0))
}

/// A metric's value in the unit that its name ends in; [`ABSENT`] when there is none.
///
/// `throughput_tx_per_s` 27140.5 is `27.1k tx/s`, `response_time_ns_p99` 20800000 is `20.8 ms`,
/// `cpu_us_per_tx` 72.4 is `72.4 us/tx`, `limit_share` 0.646 is `64.6 %`.
pub fn metric(name: &str, value: Option<f64>) -> String {
    let Some(value) = value else { return ABSENT.to_owned() };
    let (amount, per) = match name.split_once("_per_") {
        Some((amount, per)) => (amount, Some(per)),
        None => (name, None),
    };
    let per = per.map(|per| format!("/{}", per.replace('_', "-"))).unwrap_or_default();
    match unit(amount) {
        Unit::Time(factor) => duration_ns(value * factor) + &per,
        Unit::Share => share(value),
        Unit::Bytes => bytes(value) + &per,
        Unit::Count if per.is_empty() && value.fract() == 0.0 => thousands(value),
        Unit::Count if per == "/s" || per == "/cpu-s" => {
            let counted = amount.rsplit('_').next().unwrap_or(amount);
            format!("{} {counted}{per}", count(value))
        }
        Unit::Count => count(value) + &per,
    }
}

/// Whether a metric only counts things: neither a rate, nor a time, nor a share of a limit.
///
/// Counts are all that a run without a result may show.
pub fn is_count(name: &str) -> bool {
    let counted = matches!(unit(name), Unit::Count | Unit::Bytes);
    (counted && !name.contains("_per_")) || name == "cpu_share"
}

/// Whether a metric is a span of time that lies on a latency axis, in nanoseconds.
pub fn is_latency_ns(name: &str) -> bool {
    !name.contains("_per_") && name.split('_').any(|word| word == "ns")
}

/// Whether a metric is read off the wall clock, so that whoever takes the CPU changes it.
pub fn is_wall_clock(name: &str) -> bool {
    let of_threads = ["wall_scaling", "wall_limit_share"].contains(&name);
    of_threads || name.ends_with("_per_s") || is_latency_ns(name)
}

enum Unit {
    /// Nanoseconds in one unit.
    Time(f64),
    Share,
    Bytes,
    Count,
}

/// The last word of `name` that is a unit: a statistic (`_p99`, `_max`) may follow it.
fn unit(name: &str) -> Unit {
    let word = |word: &str| match word {
        "ns" => Some(Unit::Time(1.0)),
        "us" => Some(Unit::Time(1e3)),
        "ms" => Some(Unit::Time(1e6)),
        "s" => Some(Unit::Time(1e9)),
        "share" => Some(Unit::Share),
        "bytes" => Some(Unit::Bytes),
        _ => None,
    };
    name.rsplit('_').take(2).find_map(word).unwrap_or(Unit::Count)
}

fn scale(
    value: f64,
    scales: &'static [(f64, &'static str)],
) -> Option<&'static (f64, &'static str)> {
    scales.iter().find(|(factor, _)| value.abs() >= factor * ROUNDS_TO_ONE)
}

/// [`digits`] with the places kept: `3.00`, so that columns of one unit line up.
fn scaled(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_the_unit_that_fits() {
        let cases = [(870.0, "870 ns"), (8_700.0, "8.70 us"), (20.8e6, "20.8 ms"), (3e9, "3.00 s")];
        for (ns, text) in cases {
            assert_eq!(duration_ns(ns), text);
        }
        assert_eq!([count(27_140.5), count(10.24e6), count(999.0)], ["27.1k", "10.2M", "999"]);
        assert_eq!([bytes(512.0), bytes(194_510_848.0)], ["512 B", "186 MiB"]);
        assert_eq!([share(0.646), share(1.0), share(0.5)], ["64.6 %", "100 %", "50 %"]);
    }

    #[test]
    fn rounding_moves_to_the_next_unit() {
        assert_eq!([duration_ns(999_700.0), count(999_999.0)], ["1.00 ms", "1.00M"]);
        assert_eq!([duration_ns(0.0), count(0.0), bytes(0.0)], ["0 ns", "0", "0 B"]);
    }

    #[test]
    fn thousands_are_parted() {
        let shown = [0.0, 12.0, 999.0, 1000.0, 81_420.0, 1e6, -1234.0].map(thousands);
        assert_eq!(shown, ["0", "12", "999", "1,000", "81,420", "1,000,000", "-1,234"]);
    }

    #[test]
    fn a_metric_takes_its_unit_from_its_name() {
        let cases = [
            ("throughput_tx_per_s", 27_140.5, "27.1k tx/s"),
            ("response_time_ns_p99", 20.8e6, "20.8 ms"),
            ("service_time_ns_max", 47.6e6, "47.6 ms"),
            ("cpu_us_per_tx", 72.4, "72.4 us/tx"),
            ("cpu_ns_per_hash", 98.2, "98.2 ns/hash"),
            ("leaves_per_cpu_s", 6.3e6, "6.30M leaves/cpu-s"),
            ("hashes_per_s", 21e6, "21.0M hashes/s"),
            ("limit_share", 0.646, "64.6 %"),
            ("peak_rss_bytes", 1024.0, "1.00 KiB"),
            ("bytes_per_tx", 3140.2, "3.07 KiB/tx"),
            ("bytes_per_s", 2e9, "1.86 GiB/s"),
            ("completed", 81_420.0, "81,420"),
            ("signatures_verified_per_tx", 4.02, "4.02/tx"),
        ];
        for (name, value, text) in cases {
            assert_eq!(metric(name, Some(value)), text, "{name}");
        }
        assert_eq!(metric("limit_share", None), ABSENT);
    }

    #[test]
    fn counts_are_told_from_figures_that_claim_a_speed() {
        for name in ["intended", "sent", "dropped", "view_changes", "peak_rss_bytes", "cpu_share"] {
            assert!(is_count(name), "{name}");
        }
        let speeds =
            ["throughput_tx_per_s", "response_time_ns_p99", "limit_share", "cpu_us_per_tx"];
        for name in speeds {
            assert!(!is_count(name), "{name}");
        }
    }
}
