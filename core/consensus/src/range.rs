//! Numbers of a configuration and the ranges that they must lie in.

use thiserror::Error;

/// A setting whose value is outside its range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} = {value}: choose {min} to {max}")]
pub struct OutOfRange {
    /// The setting, with its unit where it has one.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// The least allowed.
    pub min: u64,
    /// The most allowed.
    pub max: u64,
}

/// Checks settings, each given as its name, its value, the least and the most allowed.
///
/// # Errors
/// The first that is outside its range.
pub fn check_ranges(
    settings: impl IntoIterator<Item = (&'static str, u64, u64, u64)>,
) -> Result<(), OutOfRange> {
    for (name, value, min, max) in settings {
        debug_assert!(min <= max, "{name} has no value that may be chosen");
        if !(min..=max).contains(&value) {
            return Err(OutOfRange { name, value, min, max });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_outside_its_range_is_the_error_and_the_ends_are_inside() {
        assert_eq!(check_ranges([("least", 1, 1, 9), ("most", 9, 1, 9)]), Ok(()));
        let error = check_ranges([("fine", 5, 1, 9), ("low", 0, 1, 9), ("high", 10, 1, 9)]);
        assert_eq!(error.unwrap_err().to_string(), "low = 0: choose 1 to 9");
        assert!(check_ranges([("high", 10, 1, 9)]).is_err());
    }
}
