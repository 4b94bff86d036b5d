//! What a run was found to be, and the exit code that says so.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Below this share of the CPU the machine was another's: not even CPU times are trusted, because
/// every resumed thread begins with cold caches. One competitor as busy as the run leaves it a half.
pub const CPU_SHARE_CONCLUSIVE_MIN: f64 = 0.4;

/// What a run was found to be.
///
/// The order is from best to worst, so that the verdict of several runs is their maximum: a run
/// that broke safety outweighs one that measured nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The figures stand.
    Ok,
    /// The system did what was asked, but the machine was too busy for the figures to stand.
    Inconclusive,
    /// The load that was asked for was not offered or not served, or nothing was checked: there is
    /// no result.
    Void,
    /// The oracle found a violation of safety. No figure of the run may be quoted.
    Fail,
}

impl Verdict {
    /// The exit code of the process: 0 ok, 4 inconclusive or void, 10 safety violated.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Ok => 0,
            Verdict::Inconclusive | Verdict::Void => 4,
            Verdict::Fail => 10,
        }
    }

    /// Whether a throughput of the run may be called reached.
    pub fn has_result(self) -> bool {
        matches!(self, Verdict::Ok | Verdict::Inconclusive)
    }

    /// The verdict of several runs: the worst; [`Verdict::Void`] for none, as nothing was checked.
    pub fn of_all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Void)
    }

    /// The word that the record and every rendering use.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Void => "void",
            Verdict::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_that_are_documented() {
        let codes = [Verdict::Ok, Verdict::Fail, Verdict::Inconclusive, Verdict::Void]
            .map(Verdict::exit_code);
        assert_eq!(codes, [0, 10, 4, 4]);
    }

    #[test]
    fn a_violation_outweighs_every_other_verdict() {
        let all = [Verdict::Fail, Verdict::Void, Verdict::Inconclusive, Verdict::Ok];
        assert_eq!(Verdict::of_all(all), Verdict::Fail);
        assert_eq!(Verdict::of_all([Verdict::Ok, Verdict::Inconclusive]), Verdict::Inconclusive);
        assert_eq!(Verdict::of_all([]), Verdict::Void);
    }

    #[test]
    fn the_word_shown_is_the_word_recorded() {
        for verdict in [Verdict::Ok, Verdict::Inconclusive, Verdict::Void, Verdict::Fail] {
            let recorded = serde_json::to_value(verdict).unwrap();
            assert_eq!(recorded, verdict.as_str());
        }
    }
}
