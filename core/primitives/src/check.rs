//! The outcome of one known-answer check, for a program that checks before it measures.

/// One kernel held against its reference, or against a published answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked, as `area::operation/key=value`.
    pub name: String,
    /// Whether every answer was the expected one.
    pub passed: bool,
}

impl Check {
    /// The outcome of the check `name`.
    pub fn new(name: impl Into<String>, passed: bool) -> Check {
        Check { name: name.into(), passed }
    }
}
