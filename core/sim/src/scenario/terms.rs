//! The words of a scenario: faults, behaviours, mutations, phases. Each is one enum with its names.

use super::schema::Term;

/// Declares an enum whose variants have names in scenario files.
macro_rules! terms {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $about:literal])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $about])* $variant,)*
        }

        impl $name {
            /// Every one, in the order of the list.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Names and meanings.
            pub const TERMS: &'static [Term] = &[
                $(Term { name: $text, about: concat!($($about,)*).trim_ascii_start() },)*
            ];

            /// As scenario files write it.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }

            /// The one of this name.
            pub fn named(name: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|term| term.name() == name)
            }
        }
    };
}

terms! {
    /// What an event does.
    Deed {
        /// The groups hear only themselves; clients reach everybody.
        Partition = "partition",
        /// Every partition, isolation and link change ends.
        Heal = "heal",
        /// A replica hears nobody and nobody hears it, clients included.
        Isolate = "isolate",
        /// One link gets its own loss and delay.
        Link = "link",
        /// A replica loses its memory and stops.
        Crash = "crash",
        /// A crashed replica starts again from its disk.
        Restart = "restart",
        /// A replica does nothing for a while; what arrives waits.
        Pause = "pause",
        /// A replica's clock jumps or drifts.
        Clock = "clock",
        /// Bytes arrive as if a replica had sent them.
        Inject = "inject",
        /// A replica becomes Byzantine.
        Byzantine = "byzantine",
        /// Messages that a Byzantine replica sends are changed, and sealed again with its key.
        Mutate = "mutate",
    }
}

terms! {
    /// What a Byzantine replica does. All of them may lie with their own key only.
    Lie {
        /// Sends nothing.
        Silent = "silent",
        /// Sends nothing to some replicas.
        SilentTo = "silent-to",
        /// Says one thing to one half and another to the other half; several do so in concert.
        Equivocate = "equivocate",
        /// Sends no prepare, commit and checkpoint.
        WithholdVotes = "withhold-votes",
        /// Votes for digests that nobody proposed.
        WrongDigest = "wrong-digest",
        /// Proposes to as few as can prepare, and keeps the bodies from the others.
        UnknownDigest = "unknown-digest",
        /// Shows in each view-change what it had in its first one.
        StaleViewChange = "stale-view-change",
        /// Leaves prepared certificates out of its view-changes, and so out of its new-views.
        OmitPrepared = "omit-prepared",
        /// Opens its views with null batches in the place of what was prepared.
        NullPrepared = "null-prepared",
        /// Votes for states that nobody reached.
        FakeCheckpoint = "fake-checkpoint",
        /// Answers those who fetch the state with changed bytes.
        PoisonState = "poison-state",
        /// Shows certificates with forged, repeated or too few signers.
        ForgeCertificate = "forge-certificate",
        /// Never orders the requests of one client.
        Censor = "censor",
        /// Sends everything late, by a share of the view timeout.
        Slow = "slow",
        /// Votes and proposes far ahead of everybody.
        FutureSpam = "future-spam",
        /// Sends everything many times.
        Flood = "flood",
        /// Runs twice with one key, each half talking to one half of the others.
        Twin = "twin",
        /// Changes messages at random, within a budget (`ByzzFuzz`, OOPSLA 2023).
        Byzz = "byzz",
    }
}

terms! {
    /// What a mutation does to a field.
    Operation {
        /// Takes the element out of its list, or makes the field empty.
        Remove = "remove",
        /// Puts the element a second time into its list.
        Duplicate = "duplicate",
        /// Adds one to a number.
        Increment = "increment",
        /// Takes one from a number.
        Decrement = "decrement",
        /// Puts in the field's place what an earlier message of the kind had there.
        ReplayOlder = "replay-older",
        /// Flips one bit of a number, digest or signature.
        FlipBit = "flip-bit",
        /// Sets a number to `value`.
        Set = "set",
    }
}

/// Moments of PBFT that an event can wait for; [`crate::trace::Phase`] knows each by its name.
pub const PHASES: &[Term] = &[
    Term { name: "pre-prepared", about: "It accepted a proposal, or made one." },
    Term { name: "prepared", about: "A quorum agreed within the view: it said its commit." },
    Term { name: "committed", about: "It committed, in order." },
    Term { name: "executed", about: "It executed." },
    Term { name: "checkpoint-stable", about: "A checkpoint became stable." },
    Term { name: "view-change-sent", about: "It left its view." },
    Term { name: "new-view-sent", about: "As the new primary it opened a view." },
    Term { name: "view-entered", about: "It takes part in a view." },
    Term { name: "state-transfer-started", about: "It began to fetch the state." },
    Term { name: "state-transfer-finished", about: "It has the state." },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Phase;

    #[test]
    fn the_trace_knows_every_phase() {
        assert!(PHASES.iter().all(|term| Phase::from_word(term.name).is_some()));
    }

    #[test]
    fn every_name_leads_to_its_term() {
        assert!(Deed::ALL.iter().all(|deed| Deed::named(deed.name()) == Some(*deed)));
        assert!(Lie::ALL.iter().all(|lie| Lie::named(lie.name()) == Some(*lie)));
        assert!(Operation::TERMS.iter().all(|term| Operation::named(term.name).is_some()));
    }
}
