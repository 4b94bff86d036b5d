//! What goes wrong in a scenario, and when.

use super::terms::{Deed, Operation};
use crate::trace::Phase;

/// A replica, or the one that is it at the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// This one.
    Replica(u16),
    /// The primary of the highest view that an honest replica is in.
    Primary,
    /// Any replica; for moments, and in an event at a moment the replica that reached it.
    Any,
}

/// When an event happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this time, in nanoseconds.
    At(u64),
    /// When the protocol reaches this moment.
    Moment(Moment),
}

/// A moment of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// At whom.
    pub who: Who,
    /// What it reaches.
    pub phase: Phase,
    /// Of which sequence number, if it matters.
    pub seq: Option<u64>,
    /// In which view, if it matters.
    pub view: Option<u64>,
    /// The how-manieth such moment, from 1.
    pub nth: u64,
}

/// Something that happens once.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub when: When,
    /// What.
    pub fault: Fault,
    /// How long, in nanoseconds; `None`: until it is healed.
    pub lasts: Option<u64>,
}

/// What is left of a disk after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCrash {
    /// Everything that was written.
    Keep,
    /// What was durable.
    LoseUnsynced,
    /// Nothing: the replica counts as faulty.
    LoseAll,
}

/// What an event does.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Groups that hear only themselves.
    Partition {
        /// The groups; who is in none is alone.
        groups: Vec<Vec<u16>>,
        /// Whether the first group still hears the others.
        one_way: bool,
    },
    /// The network is whole again.
    Heal,
    /// A replica is cut off.
    Isolate(Who),
    /// One link is changed.
    Link {
        /// The sender.
        from: u16,
        /// The receiver.
        to: u16,
        /// Its loss.
        loss: u32,
        /// Its delay, if it has its own.
        delay: Option<[u64; 2]>,
    },
    /// A replica stops and forgets.
    Crash {
        /// Which.
        who: Who,
        /// What its disk keeps.
        disk: AfterCrash,
        /// After how many nanoseconds it starts again.
        restart_after: Option<u64>,
    },
    /// A replica starts again.
    Restart(u16),
    /// A replica does nothing for a while.
    Pause(Who),
    /// A replica's clock goes wrong.
    Clock {
        /// Whose.
        who: Who,
        /// Nanoseconds that it jumps ahead.
        offset: u64,
        /// Parts per million by which it is fast.
        drift: i64,
    },
    /// A frame appears.
    Inject {
        /// As if from.
        from: u16,
        /// To whom.
        to: u16,
        /// What.
        bytes: Vec<u8>,
    },
    /// A replica begins to lie.
    Byzantine(u16, Behaviour),
    /// Messages of a Byzantine replica are changed.
    Mutate(Mutation),
}

/// A lie with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Which.
    pub lie: super::Lie,
    /// To whom, of `silent-to`.
    pub targets: Vec<u16>,
    /// Whose requests, of `censor`.
    pub client: u32,
    /// The share of the view timeout, of `slow`.
    pub share: u32,
    /// How many messages for one, of `flood` and `future-spam`.
    pub factor: u64,
    /// How many changes, of `byzz`.
    pub budget: u64,
}

/// A replica that lies for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Byzantine {
    /// Who.
    pub replica: u16,
    /// How.
    pub behaviour: Behaviour,
    /// From when, in nanoseconds.
    pub from: u64,
    /// Until when.
    pub until: u64,
}

/// A change of some messages of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// Whose.
    pub replica: u16,
    /// Of which kind.
    pub message: String,
    /// Which field.
    pub field: String,
    /// What is done.
    pub operation: Operation,
    /// What `set` sets.
    pub value: u64,
    /// How many messages.
    pub times: u64,
}

impl Fault {
    /// As scenario files name it; a lie by its behaviour.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Partition { .. } => Deed::Partition.name(),
            Fault::Heal => Deed::Heal.name(),
            Fault::Isolate(_) => Deed::Isolate.name(),
            Fault::Link { .. } => Deed::Link.name(),
            Fault::Crash { .. } => Deed::Crash.name(),
            Fault::Restart(_) => Deed::Restart.name(),
            Fault::Pause(_) => Deed::Pause.name(),
            Fault::Clock { .. } => Deed::Clock.name(),
            Fault::Inject { .. } => Deed::Inject.name(),
            Fault::Byzantine(_, behaviour) => behaviour.lie.name(),
            Fault::Mutate(_) => Deed::Mutate.name(),
        }
    }

    /// Whom it concerns, where that is known when it happens.
    pub fn whom(&self) -> Option<Who> {
        match self {
            Fault::Isolate(who)
            | Fault::Crash { who, .. }
            | Fault::Pause(who)
            | Fault::Clock { who, .. } => Some(*who),
            _ => None,
        }
    }

    /// The one replica that it names, if it names one.
    pub fn replica(&self) -> Option<u16> {
        match self {
            Fault::Restart(replica) | Fault::Byzantine(replica, _) => Some(*replica),
            Fault::Mutate(mutation) => Some(mutation.replica),
            Fault::Inject { from, .. } => Some(*from),
            _ => None,
        }
    }

    /// Whether it does not begin after GST: network, crash and clock faults.
    pub fn ends_at_gst(&self) -> bool {
        matches!(
            self,
            Fault::Partition { .. }
                | Fault::Isolate(_)
                | Fault::Link { .. }
                | Fault::Crash { .. }
                | Fault::Pause(_)
                | Fault::Clock { .. }
        )
    }
}
