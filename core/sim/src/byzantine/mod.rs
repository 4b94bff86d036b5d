//! Byzantine replicas: honest engines with their own key, through whose messages a lie goes.
//!
//! A liar can do anything with its own key and nothing with another's: what it changes it seals
//! again, and what it cannot seal it sends with a signature that does not hold.

mod certificates;
mod field;
mod lies;
mod plot;

use bytes::Bytes;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::types::ReplicaId;
use quorumark_primitives::signed::{Sealable, Sealer};
use quorumark_primitives::wire::Encode;

pub(crate) use self::plot::Plot;
use crate::random::Random;
use crate::scenario::{Behaviour, Lie, Mutation, Scenario};

/// The most messages of a kind that a liar remembers.
const MEMORY_MAX: usize = 16;

/// What a Byzantine replica is up to.
#[derive(Debug)]
pub(crate) struct Liar {
    replica: u16,
    lies: Vec<(Behaviour, u64)>,
    /// Mutations and how many messages each may still change.
    mutations: Vec<(Mutation, u64)>,
    random: Random,
    /// Earlier messages of its own, oldest first.
    memory: Vec<Message>,
    /// Which half of its twins it is.
    second_twin: bool,
}

/// What surrounds a liar when it speaks.
pub(crate) struct Scene<'a> {
    pub(crate) now: u64,
    pub(crate) scenario: &'a Scenario,
    pub(crate) sealer: &'a mut Sealer,
    pub(crate) plot: &'a mut Plot,
}

/// A frame that a liar sends.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) to: u16,
    pub(crate) frame: Bytes,
    /// Nanoseconds that it is held back.
    pub(crate) delay: u64,
}

impl Liar {
    pub(crate) fn new(seed: u64, replica: u16) -> Liar {
        Liar {
            replica,
            lies: Vec::new(),
            mutations: Vec::new(),
            random: Random::new(seed, &format!("liar/{replica}")),
            memory: Vec::new(),
            second_twin: false,
        }
    }

    /// A behaviour begins; it lasts until `until`.
    pub(crate) fn begin(&mut self, behaviour: &Behaviour, until: u64) {
        self.lies.push((behaviour.clone(), until));
    }

    /// From now on messages are changed so.
    pub(crate) fn mutate(&mut self, mutation: &Mutation) {
        self.mutations.push((mutation.clone(), mutation.times));
    }

    /// It is the second of two twins.
    pub(crate) fn become_twin(&mut self) {
        self.second_twin = true;
    }

    fn lie(&self, lie: Lie, now: u64) -> Option<&Behaviour> {
        let active = |(behaviour, until): &&(Behaviour, u64)| behaviour.lie == lie && now < *until;
        self.lies.iter().find(active).map(|(behaviour, _)| behaviour)
    }

    /// Whether it does not listen to a replica: each twin listens to one half.
    pub(crate) fn is_deaf_to(&self, from: Option<u16>) -> bool {
        let twin = self.lies.iter().any(|(behaviour, _)| behaviour.lie == Lie::Twin);
        twin && from.is_some_and(|from| !self.talks_to(from))
    }

    /// Whether this twin and a replica talk to each other.
    fn talks_to(&self, other: u16) -> bool {
        (other % 2 == 1) == self.second_twin
    }

    /// Whether it passes over a message.
    pub(crate) fn ignores(&self, message: &Message, now: u64) -> bool {
        match message {
            Message::Request(request) | Message::Read(request) => {
                self.lie(Lie::Censor, now).is_some_and(|lie| request.client().0 == lie.client)
            }
            _ => false,
        }
    }

    /// Whether it answers no client.
    pub(crate) fn keeps_replies(&self, now: u64) -> bool {
        self.lie(Lie::Silent, now).is_some()
    }

    /// The message after the mutations of the scenario, sealed again.
    pub(crate) fn mutated(&mut self, message: Message, scene: &mut Scene<'_>) -> Message {
        let mut changed = message.clone();
        for (mutation, left) in &mut self.mutations {
            if *left == 0 || mutation.message != message.kind() {
                continue;
            }
            let older = self.memory.iter().find(|older| older.kind() == message.kind());
            let (operation, value) = (mutation.operation, mutation.value);
            let change = field::Change { operation, value, older };
            if field::change(&mut changed, &mutation.field, &change, &mut self.random) {
                *left -= 1;
            }
        }
        if changed != message {
            seal(&mut changed, self.replica, scene.sealer);
        }
        self.remember(message);
        changed
    }

    /// Keeps the first messages of each kind, and the last ones.
    fn remember(&mut self, message: Message) {
        let kind = message.kind();
        let known = || self.memory.iter().filter(|known| known.kind() == kind).count();
        if known() >= MEMORY_MAX
            && let Some(second) =
                (0..self.memory.len()).filter(|at| self.memory[*at].kind() == kind).nth(1)
        {
            self.memory.remove(second);
        }
        self.memory.push(message);
    }

    /// What one replica gets of a message.
    pub(crate) fn twist(
        &mut self,
        to: u16,
        message: &Message,
        scene: &mut Scene<'_>,
        sent: &mut Vec<Word>,
    ) {
        let now = scene.now;
        let silent = self.lie(Lie::Silent, now).is_some()
            || self.lie(Lie::SilentTo, now).is_some_and(|lie| lie.targets.contains(&to))
            || (self.is_deaf_to(Some(to)));
        if silent {
            return;
        }
        let mut versions = vec![message.clone()];
        for nth in 0..self.lies.len() {
            let (behaviour, until) = self.lies[nth].clone();
            if now < until {
                self.apply(&behaviour, to, &mut versions, scene, nth);
            }
        }
        let delay = self.lie(Lie::Slow, now).map_or(0, |lie| lies::slowness(lie, scene.scenario));
        for version in versions {
            let frame = version.to_frame();
            sent.push(Word { to, frame, delay });
        }
    }
}

/// Seals a message again, if it still names its sender; otherwise its signature does not hold.
pub(super) fn seal(message: &mut Message, own: u16, sealer: &mut Sealer) {
    if message.sender() == Some(ReplicaId(own)) {
        message.seal(sealer);
    }
}
