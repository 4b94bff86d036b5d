//! One parameter that is swept: `batch_size_max=1,8,64`, `verify_threads=1..N`.

use serde::{Deserialize, Serialize};

use super::SweepError;
use crate::parameter::{Kind, Origin, ParameterSet};

/// The most values of one parameter, and the most points of a sweep.
pub const POINTS_MAX: usize = 10_000;

/// A parameter and the values that it takes, as they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// The parameter.
    pub name: String,
    /// Its values, each once.
    pub values: Vec<String>,
}

impl Axis {
    /// Reads `name=value,value,..` and `name=first..last`, both ends included, where `N` stands for
    /// `cores`; `first..last*2` multiplies where the other counts. Each value is one of the
    /// parameter in `parameters`.
    ///
    /// # Errors
    /// [`SweepError`], with what was probably meant.
    pub fn parse(text: &str, parameters: &ParameterSet, cores: u32) -> Result<Axis, SweepError> {
        let origin = || Origin::Flag("--param".to_owned());
        let mut probe = parameters.clone();
        let Some((name, list)) = text.split_once('=') else {
            // The error that a setting without a value gets.
            probe.assign(text, origin())?;
            unreachable!("an assignment has an equals sign");
        };
        let name = name.trim();
        let whole = probe.contains(name)
            && matches!(probe.setting(name).parameter.kind, Kind::Integer { .. });
        let mut values: Vec<String> = Vec::new();
        for part in list.split(',').map(str::trim) {
            let parts = match part.split_once("..").filter(|_| whole) {
                Some((first, last)) => {
                    Range { part, first, last }.values(name, &mut probe, cores)?
                }
                None => vec![part.to_owned()],
            };
            for part in parts {
                probe.set(name, &part, origin())?;
                let value = probe.setting(name).value.to_string();
                if values.contains(&value) {
                    return Err(SweepError::Twice { name: name.to_owned(), value });
                }
                values.push(value);
            }
        }
        Ok(Axis { name: name.to_owned(), values })
    }
}

/// `first..last` by ones, `first..last*factor` by multiples.
struct Range<'a> {
    /// All of it.
    part: &'a str,
    first: &'a str,
    last: &'a str,
}

impl Range<'_> {
    /// The numbers in it; its ends are values of the parameter `name`.
    fn values(
        &self,
        name: &str,
        probe: &mut ParameterSet,
        cores: u32,
    ) -> Result<Vec<String>, SweepError> {
        let malformed = || SweepError::Range { text: self.part.to_owned() };
        let (last, factor) = match self.last.split_once('*') {
            Some((last, factor)) => {
                (last, Some(factor.trim().parse::<u64>().map_err(|_| malformed())?))
            }
            None => (self.last, None),
        };
        let mut end = |text: &str| match text.trim() {
            "N" => Ok(u64::from(cores)),
            text => {
                probe.set(name, text, Origin::Flag("--param".to_owned()))?;
                Ok::<_, SweepError>(probe.integer(name))
            }
        };
        let (first, last) = (end(self.first)?, end(last)?);
        let grows = factor.is_none_or(|factor| factor >= 2 && first >= 1);
        if first > last || !grows {
            return Err(malformed());
        }
        let next = |value: &u64| match factor {
            Some(factor) => value.checked_mul(factor),
            None => value.checked_add(1),
        };
        let values = core::iter::successors(Some(first), next).take_while(|value| *value <= last);
        let values: Vec<String> = values.take(POINTS_MAX + 1).map(|n| n.to_string()).collect();
        if values.len() > POINTS_MAX {
            return Err(SweepError::TooMany { points: format!("{} alone has more", self.part) });
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::Parameter;

    fn values(text: &str) -> Result<Vec<String>, String> {
        let parameters = ParameterSet::new(vec![
            Parameter::integer("threads", "threads", 1..=64, 1, ""),
            Parameter::size("payload", 16..=4096, 512, ""),
            Parameter::choice("auth", ["signature", "mac"], ""),
        ]);
        let axis = Axis::parse(text, &parameters, 4);
        axis.map(|axis| axis.values).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_listed_or_counted_or_multiplied() {
        let cases = [
            ("threads=1,2, 8", vec!["1", "2", "8"]),
            ("threads=1..N", vec!["1", "2", "3", "4"]),
            ("threads=1..2^6*4", vec!["1", "4", "16", "64"]),
            ("threads=1..3,2^5", vec!["1", "2", "3", "32"]),
            ("payload=16,1KiB", vec!["16B", "1KiB"]),
            ("auth=mac,signature", vec!["mac", "signature"]),
        ];
        for (text, expected) in cases {
            assert_eq!(values(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_values_is_refused_in_one_sentence() {
        let cases = [
            ("thread=1,2", "thread (--param): no such parameter; did you mean threads?"),
            ("threads=1,65", "threads=65 (--param): is out of range; choose 1 to 64"),
            ("threads=0..8", "threads=0 (--param): is out of range; choose 1 to 64"),
            ("threads", "\"threads\" (--param): is not a setting; write name=value"),
            ("threads=4..1", "4..1: is no range; write first..last, such as 1..8 or 1..1024*2"),
            ("threads=1..8*1", "1..8*1: is no range; write first..last, such as 1..8 or 1..1024*2"),
            ("payload=512,512B", "payload: has the value 512B twice; leave one out"),
        ];
        for (text, expected) in cases {
            assert_eq!(values(text).unwrap_err(), expected);
        }
    }
}
