//! Names of measurements.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// The name of one measurement: `area::operation/key=value key=value`.
///
/// Prints and parses as that text; there is at least one parameter, and no key appears twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id {
    /// What is measured, as `area::operation`.
    operation: String,
    /// The parameters in the order of their grid row.
    parameters: Vec<(String, String)>,
}

/// A text that is no [`Id`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no id: expected area::operation/key=value, found {fault}")]
pub struct IdError {
    /// The text.
    text: String,
    /// What is wrong with it.
    fault: &'static str,
}

impl Id {
    /// The id of an operation with these parameters.
    ///
    /// # Errors
    /// [`IdError`] when its text would not parse back to it.
    pub fn new(operation: &str, parameters: &[(&str, &str)]) -> Result<Id, IdError> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let id = Id {
            operation: operation.to_owned(),
            parameters: parameters.iter().map(owned).collect(),
        };
        match id.fault() {
            None => Ok(id),
            Some(fault) => Err(IdError { text: id.to_string(), fault }),
        }
    }

    /// What is measured, as `area::operation`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The part of the text after the slash: `key=value key=value`.
    pub fn parameters(&self) -> String {
        let pairs = self.parameters.iter().map(|(key, value)| format!("{key}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    }

    /// The value of a parameter, if the id has it.
    pub fn value(&self, key: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that every id of the operation has.
    ///
    /// # Panics
    /// When the id lacks it: suite and grid row do not fit.
    pub fn text(&self, key: &str) -> &str {
        self.value(key).unwrap_or_else(|| panic!("{self} has no parameter {key}"))
    }

    /// The value of a parameter that is a number in every id of the operation.
    ///
    /// # Panics
    /// When the id lacks it, or it is no number: suite and grid row do not fit.
    pub fn number(&self, key: &str) -> usize {
        self.text(key).parse().unwrap_or_else(|_| panic!("{key} in {self} is no number"))
    }

    /// What keeps the text from being parsed back to the same id.
    fn fault(&self) -> Option<&'static str> {
        let word = |text: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !text.is_empty() && text.chars().all(allowed)
        };
        match self.operation.split_once("::") {
            Some((area, name)) if word(area) && word(name) => {}
            _ => return Some("an operation without an area"),
        }
        if self.parameters.is_empty() {
            return Some("no parameter");
        }
        if !self.parameters.iter().all(|(key, value)| word(key) && word(value)) {
            return Some("a key or value that is not one word");
        }
        let keys = self.parameters.iter().map(|(key, _)| key);
        let repeated =
            keys.clone().enumerate().any(|(i, key)| keys.clone().take(i).any(|k| k == key));
        repeated.then_some("a repeated key")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.operation, self.parameters())
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Id, IdError> {
        let error = |fault| IdError { text: text.to_owned(), fault };
        let (operation, rest) = text.split_once('/').ok_or_else(|| error("no slash"))?;
        let pairs = rest.split(' ').map(|pair| pair.split_once('='));
        let pairs: Option<Vec<(&str, &str)>> = pairs.collect();
        Id::new(operation, &pairs.ok_or_else(|| error("a parameter without a value"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_parses_to_itself() {
        let text = "signature::batch_verify/size=64 signers=distinct";
        let id: Id = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.operation(), "signature::batch_verify");
        assert_eq!((id.number("size"), id.text("signers")), (64, "distinct"));
        assert_eq!(id.value("message"), None);
    }

    #[test]
    fn a_text_that_is_no_id_is_refused_with_what_is_wrong() {
        for (text, fault) in [
            ("hash::sha256", "no slash"),
            ("hash/size=1", "an operation without an area"),
            ("hash::/size=1", "an operation without an area"),
            ("hash::sha256/", "a parameter without a value"),
            ("hash::sha256/size", "a parameter without a value"),
            ("hash::sha256/size=", "a key or value that is not one word"),
            ("hash::sha256/size=1/2", "a key or value that is not one word"),
            ("hash::sha256/size=1 size=2", "a repeated key"),
        ] {
            let error = text.parse::<Id>().unwrap_err();
            assert!(error.to_string().ends_with(fault), "{error}");
        }
        assert!(Id::new("hash::sha256", &[]).is_err());
    }
}
