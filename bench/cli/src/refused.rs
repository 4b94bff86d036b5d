//! What the user has to mend: bad usage, configuration or input.

use core::fmt::{self, Display};
use std::error::Error;

/// One sentence: where, what is wrong, how to mend it. Ends the program with exit code 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(String);

impl Refused {
    /// `place: problem; remedy`.
    pub(crate) fn new(place: impl Display, problem: impl Display, remedy: impl Display) -> Refused {
        Refused(format!("{place}: {problem}; {remedy}"))
    }

    /// A sentence that already says all three.
    pub(crate) fn sentence(sentence: impl Into<String>) -> Refused {
        Refused(sentence.into())
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}
