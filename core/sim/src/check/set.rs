//! Which checks there are, and which a scenario asks for.

/// What a violation of a check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Something bad happened.
    Safety,
    /// Something good did not happen in time.
    Liveness,
    /// Something grew beyond its declared cap; judged like safety, because it may never happen.
    Resources,
}

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident: $family:ident, $word:literal;)*) => {
        /// A property that checkers decide.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Check {
            $($(#[$doc])* $variant,)*
        }

        impl Check {
            /// Every check.
            pub const ALL: &'static [Check] = &[$(Check::$variant,)*];

            /// As scenarios and verdicts spell it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Check::$variant => $word,)*
                }
            }

            /// What its violation means.
            pub fn family(self) -> Family {
                match self {
                    $(Check::$variant => Family::$family,)*
                }
            }
        }
    };
}

checks! {
    /// One digest per sequence number, and one per view of it.
    Agreement: Safety, "agreement";
    /// Ledgers are prefixes of each other.
    Prefix: Safety, "prefix";
    /// Each commit is backed by a quorum of distinct valid signers.
    Certificate: Safety, "certificate";
    /// No replica votes for two things where it may vote for one, across restarts too.
    NoDoubleVote: Safety, "no-double-vote";
    /// What was acknowledged never vanishes.
    Durability: Safety, "durability";
    /// Nothing is executed twice.
    ExactlyOnce: Safety, "exactly-once";
    /// Only what a client signed is executed.
    Validity: Safety, "validity";
    /// Equal states at equal sequence numbers, stable ones by a quorum of equal digests.
    State: Safety, "state";
    /// HotStuff's rules of certificates and locks.
    QcTree: Safety, "qc-tree";
    /// One store, doing one thing at a time, could have answered so.
    Linearizable: Safety, "linearizable";
    /// Requests are answered within the bound.
    Progress: Liveness, "progress";
    /// Replicas that lag reach the stable checkpoint within the bound.
    CatchUp: Liveness, "catch-up";
    /// Everything stays under its declared cap.
    Bounds: Resources, "bounds";
}

impl Check {
    /// Whether a protocol has what the check is about. PBFT has no tree of certificates and no lock:
    /// its rules are those of agreement, certificate and no-double-vote.
    pub fn applies_to(self, protocol: &str) -> bool {
        self != Check::QcTree || protocol.starts_with("hotstuff")
    }

    /// The check that is spelled so.
    pub fn from_word(word: &str) -> Option<Check> {
        Check::ALL.iter().find(|check| check.word() == word).copied()
    }
}

/// A set of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckSet(u16);

impl CheckSet {
    /// Every check.
    pub fn all() -> CheckSet {
        Check::ALL.iter().fold(CheckSet::default(), |set, check| set.with(*check))
    }

    /// The checks of these words, of which `all` stands for every one.
    ///
    /// # Errors
    /// The first word that names no check.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<CheckSet, &'a str> {
        words.into_iter().try_fold(CheckSet::default(), |set, word| match word {
            "all" => Ok(CheckSet::all()),
            word => Check::from_word(word).map(|check| set.with(check)).ok_or(word),
        })
    }

    /// The set and this check.
    #[must_use]
    pub fn with(self, check: Check) -> CheckSet {
        CheckSet(self.0 | 1 << check as u8)
    }

    /// The set without this check.
    #[must_use]
    pub fn without(self, check: Check) -> CheckSet {
        CheckSet(self.0 & !(1 << check as u8))
    }

    /// Whether the check is in the set.
    pub fn contains(self, check: Check) -> bool {
        self.0 & 1 << check as u8 != 0
    }

    /// Whether there is nothing to check.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
