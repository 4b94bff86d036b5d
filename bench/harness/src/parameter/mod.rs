//! Parameters: what can be set, to what, and what it does.
//!
//! A scenario declares a table of [`Parameter`]s; a [`ParameterSet`] holds one value for each, with
//! the place that it came from. Everything that changes a run is a parameter, the length of a
//! trial and the seed included, so that the configuration in a record is complete.

mod parse;
mod set;
mod suggest;

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use thiserror::Error;

pub use set::{Origin, ParameterSet, Setting};
pub use suggest::suggestion;

/// One thing that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The name, as in `--set name=value`: lower case, most significant word first.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The unit of its values, such as `leaves`, `bytes` or `per second`; empty where there is none.
    pub unit: &'static str,
    /// What holds when nothing is set.
    pub default: Value,
    /// One line: what a change of it does.
    pub effect: &'static str,
}

/// The values that a parameter takes. Ranges include both ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A whole number: `64`, `20k`, `2^20`.
    Integer {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A number of bytes: `512B`, `4KiB`.
    Size {
        /// Smallest value in bytes.
        min: u64,
        /// Largest value in bytes.
        max: u64,
    },
    /// A length of time: `10s`, `500us`.
    Duration {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// A number per second: `20k`, `1.5M`.
    Rate {
        /// Largest value, per second; the smallest is 0.
        max: f64,
    },
    /// A part of a whole, 0 to 1: `0.01`, `1%`.
    Share,
    /// One of some words.
    Choice(Vec<&'static str>),
    /// `true` or `false`.
    Flag,
}

/// A value of a parameter. Prints in the form that parses to it again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(u64),
    /// Bytes.
    Size(u64),
    /// A length of time.
    Duration(Duration),
    /// Per second.
    Rate(f64),
    /// 0 to 1.
    Share(f64),
    /// One of the parameter's words.
    Choice(&'static str),
    /// On or off.
    Flag(bool),
}

/// Why a parameter cannot be set. Prints as one sentence: where, what, how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// The text is not a value of the parameter.
    #[error("{name}={text} ({origin}): {problem}; {remedy}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What was given.
        text: String,
        /// Where it was given.
        origin: Origin,
        /// What is wrong with it.
        problem: &'static str,
        /// What would be right.
        remedy: String,
    },
    /// No parameter has the name.
    #[error("{name} ({origin}): no such parameter; {remedy}")]
    Unknown {
        /// The name given.
        name: String,
        /// Where it was given.
        origin: Origin,
        /// The name that was probably meant, or all of them.
        remedy: String,
    },
    /// The text is not of the form `name=value`.
    #[error("{text:?} ({origin}): is not a setting; write name=value")]
    Form {
        /// What was given.
        text: String,
        /// Where it was given.
        origin: Origin,
    },
    /// Two values do not go together.
    #[error("{names}: {problem}; {remedy}")]
    Conflict {
        /// The parameters, with their values.
        names: String,
        /// Why not.
        problem: String,
        /// What would be right.
        remedy: String,
    },
}

impl Parameter {
    /// The unit, where values do not carry it as `4KiB` and `10s` do; else empty.
    pub fn unit_beside_values(&self) -> &'static str {
        match self.unit {
            "bytes" | "time" | "share" => "",
            unit => unit,
        }
    }

    /// A whole number of `unit` within `range`.
    pub fn integer(
        name: &'static str,
        unit: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
        effect: &'static str,
    ) -> Parameter {
        let kind = Kind::Integer { min: *range.start(), max: *range.end() };
        Parameter::new(name, unit, kind, Value::Integer(default), effect)
    }

    /// A number of bytes within `range`.
    pub fn size(
        name: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
        effect: &'static str,
    ) -> Parameter {
        let kind = Kind::Size { min: *range.start(), max: *range.end() };
        Parameter::new(name, "bytes", kind, Value::Size(default), effect)
    }

    /// A length of time within `range`.
    pub fn duration(
        name: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
        effect: &'static str,
    ) -> Parameter {
        let kind = Kind::Duration { min: *range.start(), max: *range.end() };
        Parameter::new(name, "time", kind, Value::Duration(default), effect)
    }

    /// A number per second of at most `max`.
    pub fn rate(name: &'static str, max: f64, default: f64, effect: &'static str) -> Parameter {
        Parameter::new(name, "per second", Kind::Rate { max }, Value::Rate(default), effect)
    }

    /// A part of a whole.
    pub fn share(name: &'static str, default: f64, effect: &'static str) -> Parameter {
        Parameter::new(name, "share", Kind::Share, Value::Share(default), effect)
    }

    /// One of `words`; the first is the default.
    ///
    /// # Panics
    /// When there are no words.
    pub fn choice(
        name: &'static str,
        words: impl IntoIterator<Item = &'static str>,
        effect: &'static str,
    ) -> Parameter {
        let words: Vec<&'static str> = words.into_iter().collect();
        assert!(!words.is_empty(), "{name} has something to choose from");
        let default = Value::Choice(words[0]);
        Parameter::new(name, "", Kind::Choice(words), default, effect)
    }

    /// On or off.
    pub fn flag(name: &'static str, default: bool, effect: &'static str) -> Parameter {
        Parameter::new(name, "", Kind::Flag, Value::Flag(default), effect)
    }

    fn new(
        name: &'static str,
        unit: &'static str,
        kind: Kind,
        default: Value,
        effect: &'static str,
    ) -> Parameter {
        let parameter = Parameter { name, kind, unit, default, effect };
        let default = parameter.parse(&default.to_string());
        assert_eq!(default.as_ref(), Ok(&parameter.default), "the default of {name} is allowed");
        parameter
    }

    /// The values that are allowed, in words: `1 to 64`, `memory, tcp`.
    pub fn allowed(&self) -> String {
        match &self.kind {
            Kind::Integer { min, max } => format!("{min} to {max}"),
            Kind::Size { min, max } => format!("{} to {}", Value::Size(*min), Value::Size(*max)),
            Kind::Duration { min, max } => {
                format!("{} to {}", Value::Duration(*min), Value::Duration(*max))
            }
            Kind::Rate { max } => format!("0 to {}", Value::Rate(*max)),
            Kind::Share => "0 to 1".to_owned(),
            Kind::Choice(words) => words.join(", "),
            Kind::Flag => "true, false".to_owned(),
        }
    }

    /// The environment variable that sets it: `QUORUMARK_` and the name in capitals.
    pub fn environment_name(&self) -> String {
        format!("QUORUMARK_{}", self.name.to_uppercase())
    }
}

impl Kind {
    /// One word for it: `integer`, `size`, `duration`, `rate`, `share`, `choice` or `flag`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::Integer { .. } => "integer",
            Kind::Size { .. } => "size",
            Kind::Duration { .. } => "duration",
            Kind::Rate { .. } => "rate",
            Kind::Share => "share",
            Kind::Choice(_) => "choice",
            Kind::Flag => "flag",
        }
    }
}

impl Value {
    /// The value as a record's configuration holds it: numbers and flags as such, sizes, durations
    /// and words as text.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Integer(number) => (*number).into(),
            Value::Rate(number) | Value::Share(number) => json_number(*number),
            Value::Flag(on) => (*on).into(),
            Value::Size(_) | Value::Duration(_) | Value::Choice(_) => self.to_string().into(),
        }
    }
}

/// Whole numbers without a fraction: `20000`, not `20000.0`.
fn json_number(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        (number as i64).into()
    } else {
        number.into()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(number) => write!(f, "{number}"),
            Value::Size(bytes) => f.write_str(&parse::size_text(*bytes)),
            Value::Duration(duration) => f.write_str(&parse::duration_text(*duration)),
            Value::Rate(number) => f.write_str(&parse::rate_text(*number)),
            Value::Share(number) => write!(f, "{number}"),
            Value::Choice(word) => f.write_str(word),
            Value::Flag(on) => write!(f, "{on}"),
        }
    }
}
