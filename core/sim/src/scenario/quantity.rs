//! Quantities as people write them: `40ms`, `1Gbit/s`, `0.05`.

use crate::random::CERTAIN;

/// Units of time and their nanoseconds.
const TIME: [(&str, u64); 5] =
    [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("min", 60_000_000_000)];
/// Units of bandwidth and their bits per second.
const BANDWIDTH: [(&str, u64); 4] =
    [("bit/s", 1), ("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000)];

/// Nanoseconds of a duration such as `40ms` or `1.5s`.
pub(super) fn duration(text: &str) -> Option<u64> {
    with_unit(text, &TIME)
}

/// Bits per second of a bandwidth such as `1Gbit/s`.
pub(super) fn bandwidth(text: &str) -> Option<u64> {
    with_unit(text, &BANDWIDTH)
}

/// The threshold out of [`CERTAIN`] of a probability between 0 and 1.
pub(super) fn probability(value: f64) -> Option<u32> {
    // Rounding to the nearest integer is the same on every machine (IEEE 754).
    (0.0..=1.0).contains(&value).then(|| (value * f64::from(CERTAIN)).round() as u32)
}

/// A whole number and up to nine decimals before a unit, without floating point.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if decimals.len() > 9 {
        return None;
    }
    let whole: u64 = whole.replace('_', "").parse().ok()?;
    let padded: u64 = format!("{decimals:0<9}").parse().ok()?;
    let part = u128::from(padded) * u128::from(*factor) / 1_000_000_000;
    whole.checked_mul(*factor)?.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_bandwidths_are_read_exactly() {
        let durations = [
            ("40ms", Some(40_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("250us", Some(250_000)),
            ("7ns", Some(7)),
            ("2min", Some(120_000_000_000)),
            ("0s", Some(0)),
            ("40", None),
            ("ms", None),
            ("-1s", None),
            ("1parsec", None),
            ("99999999999999999999s", None),
        ];
        for (text, expected) in durations {
            assert_eq!(duration(text), expected, "{text}");
        }
        assert_eq!(bandwidth("1Gbit/s"), Some(1_000_000_000));
        assert_eq!(bandwidth("2.5Mbit/s"), Some(2_500_000));
    }

    #[test]
    fn probabilities_lie_between_nothing_and_certain() {
        assert_eq!(probability(0.0), Some(0));
        assert_eq!(probability(1.0), Some(CERTAIN));
        assert_eq!(probability(0.5), Some(CERTAIN / 2));
        assert_eq!(probability(1.1), None);
        assert_eq!(probability(f64::NAN), None);
    }
}
