//! Values from text, and back.

use core::time::Duration;

use super::{Kind, Parameter, Value, suggestion};

/// What is wrong with a text, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) problem: &'static str,
    pub(super) remedy: String,
}

const DECIMAL: [(&str, u64); 3] = [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];

const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of time in nanoseconds. Those of one letter come last, as suffixes of the others.
const TIMES: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

impl Parameter {
    /// The value that `text` stands for.
    pub(super) fn parse(&self, text: &str) -> Result<Value, Malformed> {
        let text = text.trim();
        match &self.kind {
            Kind::Integer { min, max } => {
                let number = whole(text).ok_or_else(|| {
                    self.misread(text, &DECIMAL, "is not a whole number", "64, 20k or 2^20")
                });
                self.within(Value::Integer, number?, *min, *max)
            }
            Kind::Size { min, max } => {
                let bytes = scaled(text, &SIZES, Some(1)).ok_or_else(|| {
                    self.misread(text, &SIZES, "is not a size", "512B, 4KiB or 1MiB")
                });
                self.within(Value::Size, bytes?, *min, *max)
            }
            Kind::Duration { min, max } => {
                let ns = scaled(text, &TIMES, None).ok_or_else(|| {
                    let problem = "is not a duration with a unit";
                    self.misread(text, &TIMES, problem, "10s, 500us or 2m")
                });
                self.within(Value::Duration, Duration::from_nanos(ns?), *min, *max)
            }
            Kind::Rate { max } => {
                let rate = rate(text).ok_or_else(|| {
                    self.misread(text, &DECIMAL, "is not a rate", "2000, 20k or 1.5M")
                });
                self.within(Value::Rate, rate?, 0.0, *max)
            }
            Kind::Share => {
                let share = share(text)
                    .ok_or_else(|| self.misread(text, &[("%", 1)], "is not a share", "0.01 or 1%"));
                self.within(Value::Share, share?, 0.0, 1.0)
            }
            Kind::Choice(words) => self.choose(words, text),
            Kind::Flag => match text {
                "true" | "on" | "yes" => Ok(Value::Flag(true)),
                "false" | "off" | "no" => Ok(Value::Flag(false)),
                _ => Err(no("is not a flag", "true or false")),
            },
        }
    }

    fn within<T: PartialOrd>(
        &self,
        value: fn(T) -> Value,
        found: T,
        min: T,
        max: T,
    ) -> Result<Value, Malformed> {
        if found >= min && found <= max {
            return Ok(value(found));
        }
        let remedy = format!("choose {}", self.allowed());
        Err(Malformed { problem: "is out of range", remedy })
    }

    /// What is wrong with a text that is no value: a number below 0 or beyond what can be counted
    /// is told as such, with the range; anything else with examples.
    fn misread(
        &self,
        text: &str,
        units: &[(&str, u64)],
        problem: &'static str,
        examples: &str,
    ) -> Malformed {
        let (below, number) = match text.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, text),
        };
        let problem = match magnitude(number, units) {
            Some(size) if below && size > 0.0 => "is below 0",
            Some(size) if !below && size >= COUNTED_MAX => "is too large",
            _ => return no(problem, examples),
        };
        Malformed { problem, remedy: format!("choose {}", self.allowed()) }
    }

    fn choose(&self, words: &[&'static str], text: &str) -> Result<Value, Malformed> {
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Ok(Value::Choice(word));
        }
        let remedy = match suggestion(text, words.iter().copied()) {
            Some(near) => format!("did you mean {near}? allowed: {}", self.allowed()),
            None => format!("choose one of {}", self.allowed()),
        };
        Err(Malformed { problem: "is not one of the choices", remedy })
    }
}

fn no(problem: &'static str, examples: &str) -> Malformed {
    Malformed { problem, remedy: format!("write {examples}") }
}

/// The first number that a count does not hold: 2^64.
const COUNTED_MAX: f64 = 18_446_744_073_709_551_616.0;

/// Roughly what a number of one of `units` comes to, however large.
fn magnitude(text: &str, units: &[(&str, u64)]) -> Option<f64> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if let Some((base, exponent)) = plain.split_once('^') {
        return Some(decimal(base)?.powf(decimal(exponent)?));
    }
    let with_unit = units.iter().find_map(|(unit, scale)| Some((plain.strip_suffix(unit)?, scale)));
    let (number, scale) = with_unit.unwrap_or((&plain, &1));
    Some(decimal(number.trim_end())? * *scale as f64)
}

/// `64`, `1_000`, `20k`, `2^20`.
fn whole(text: &str) -> Option<u64> {
    if let Some((base, exponent)) = text.split_once('^') {
        return digits(base)?.checked_pow(u32::try_from(digits(exponent)?).ok()?);
    }
    scaled(text, &DECIMAL, Some(1))
}

/// A decimal number of one of `units`, exactly; `bare` is the unit of a number without one.
fn scaled(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let with_unit = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)));
    let (number, scale) = match with_unit {
        Some((number, scale)) => (number.trim_end(), scale),
        None => (text, bare?),
    };
    match number.split_once('.') {
        None => digits(number)?.checked_mul(scale),
        Some((whole, fraction)) => {
            let parts = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            let part = digits(fraction)?.checked_mul(scale)?;
            let exact = part.is_multiple_of(parts).then_some(part / parts)?;
            digits(whole)?.checked_mul(scale)?.checked_add(exact)
        }
    }
}

/// A number of decimal digits, which `_` may part.
fn digits(text: &str) -> Option<u64> {
    let framed = text.starts_with('_') || text.ends_with('_');
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let only_digits = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    (only_digits && !framed).then_some(plain)?.parse().ok()
}

fn rate(text: &str) -> Option<f64> {
    let text = text.strip_suffix("/s").unwrap_or(text);
    let with_unit =
        DECIMAL.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
    let (number, scale) = with_unit.unwrap_or((text, &1));
    Some(decimal(number)? * *scale as f64)
}

fn share(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => Some(decimal(percent)? / 100.0),
        None => decimal(text),
    }
}

/// A finite number without sign or exponent: `0.01`. What Rust also takes (`inf`, `1e9`) is none.
fn decimal(text: &str) -> Option<f64> {
    let allowed = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    (!text.is_empty() && text.bytes().all(allowed)).then_some(text)?.parse().ok()
}

pub(super) fn size_text(bytes: u64) -> String {
    let binary = SIZES[..3].iter().find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale));
    let (unit, scale) = binary.unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / scale)
}

pub(super) fn duration_text(duration: Duration) -> String {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let fits = |(_, scale): &&(&str, u64)| ns.is_multiple_of(*scale);
    // Minutes and hours are left out: `90s` is read faster than it is divided.
    let units = [TIMES[5], TIMES[2], TIMES[1], TIMES[0]];
    let (unit, scale) = units.iter().find(fits).unwrap_or(&TIMES[0]);
    format!("{}{unit}", ns / scale)
}

pub(super) fn rate_text(rate: f64) -> String {
    let multiple_of = |unit: f64| rate >= unit && (rate % unit) == 0.0;
    if rate >= 1e6 && multiple_of(1e5) {
        format!("{}M", rate / 1e6)
    } else if multiple_of(1e3) {
        format!("{}k", rate / 1e3)
    } else {
        format!("{rate}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second() -> Duration {
        Duration::from_secs(1)
    }

    fn parsed(parameter: &Parameter, text: &str) -> String {
        match parameter.parse(text) {
            Ok(value) => value.to_string(),
            Err(malformed) => format!("{}; {}", malformed.problem, malformed.remedy),
        }
    }

    #[test]
    fn good_texts_are_read_and_printed_in_one_form() {
        let integer = Parameter::integer("n", "", 0..=1 << 40, 1, "");
        let size = Parameter::size("s", 0..=1 << 40, 1, "");
        let duration = Parameter::duration("d", Duration::ZERO..=9999 * second(), second(), "");
        let rate = Parameter::rate("r", 1e9, 0.0, "");
        let share = Parameter::share("p", 0.0, "");
        let flag = Parameter::flag("f", false, "");
        let cases = [
            (&integer, "64", "64"),
            (&integer, " 1_000 ", "1000"),
            (&integer, "20k", "20000"),
            (&integer, "1.5k", "1500"),
            (&integer, "2^20", "1048576"),
            (&size, "512B", "512B"),
            (&size, "512", "512B"),
            (&size, "4KiB", "4KiB"),
            (&size, "4096", "4KiB"),
            (&size, "1.5MiB", "1536KiB"),
            (&size, "64kB", "64000B"),
            (&size, "0", "0B"),
            (&duration, "10s", "10s"),
            (&duration, "500us", "500us"),
            (&duration, "1.5s", "1500ms"),
            (&duration, "2m", "120s"),
            (&duration, "0s", "0s"),
            (&rate, "20k", "20k"),
            (&rate, "2000/s", "2k"),
            (&rate, "1.5M", "1.5M"),
            (&rate, "100000k", "100M"),
            (&rate, "1234k", "1234k"),
            (&rate, "0.5", "0.5"),
            (&share, "0.01", "0.01"),
            (&share, "1%", "0.01"),
            (&flag, "on", "true"),
            (&flag, "no", "false"),
        ];
        for (parameter, text, expected) in cases {
            assert_eq!(parsed(parameter, text), expected, "{text}");
            assert_eq!(parsed(parameter, expected), expected, "{expected} survives");
        }
    }

    #[test]
    fn bad_texts_are_refused_with_a_remedy() {
        let integer = Parameter::integer("n", "", 1..=64, 1, "");
        let size = Parameter::size("s", 16..=1 << 20, 512, "");
        let duration = Parameter::duration("d", second()..=9 * second(), second(), "");
        let rate = Parameter::rate("r", 1e6, 0.0, "");
        let share = Parameter::share("p", 0.0, "");
        let choice = Parameter::choice("c", ["memory", "tcp"], "");
        let flag = Parameter::flag("f", false, "");
        let number = "is not a whole number; write 64, 20k or 2^20";
        let bytes = "is not a size; write 512B, 4KiB or 1MiB";
        let time = "is not a duration with a unit; write 10s, 500us or 2m";
        let cases = [
            (&integer, "", number),
            (&integer, "-1", "is below 0; choose 1 to 64"),
            (&integer, "-many", number),
            (&integer, "99999999999999999999", "is too large; choose 1 to 64"),
            (&integer, "+1", number),
            (&integer, "1.5", number),
            (&integer, "_1", number),
            (&integer, "2^99", "is too large; choose 1 to 64"),
            (&integer, "1e3", number),
            (&integer, "0", "is out of range; choose 1 to 64"),
            (&integer, "65", "is out of range; choose 1 to 64"),
            (&size, "512Q", bytes),
            (&size, "B", bytes),
            (&size, "0.3B", bytes),
            (&size, "99999999999GiB", "is too large; choose 16B to 1MiB"),
            (&size, "-4KiB", "is below 0; choose 16B to 1MiB"),
            (&size, "8B", "is out of range; choose 16B to 1MiB"),
            (&duration, "10", time),
            (&duration, "s", time),
            (&duration, "ten s", time),
            (&duration, "-1s", "is below 0; choose 1s to 9s"),
            (&duration, "10s", "is out of range; choose 1s to 9s"),
            (&rate, "inf", "is not a rate; write 2000, 20k or 1.5M"),
            (&rate, "1.2.3", "is not a rate; write 2000, 20k or 1.5M"),
            (&rate, "-2k", "is below 0; choose 0 to 1M"),
            (&share, "-1%", "is below 0; choose 0 to 1"),
            (&rate, "2M", "is out of range; choose 0 to 1M"),
            (&share, "NaN", "is not a share; write 0.01 or 1%"),
            (&share, "1.1", "is out of range; choose 0 to 1"),
            (&choice, "tpc", "is not one of the choices; did you mean tcp? allowed: memory, tcp"),
            (&choice, "quic", "is not one of the choices; choose one of memory, tcp"),
            (&flag, "2", "is not a flag; write true or false"),
        ];
        for (parameter, text, expected) in cases {
            assert_eq!(parsed(parameter, text), expected, "{text:?}");
        }
    }
}
