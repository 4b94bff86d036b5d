//! Faults: when they begin, what they do, how they end.

use quorumark_application::Application;
use quorumark_consensus::engine::{Input, Recipients};
use quorumark_consensus::pbft::{Message, Pbft};
use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::wire::Decode;

use super::due::{Due, Sender};
use super::frame::Frame;
use super::node::{self, Disk, Told};
use super::replica::kind_of;
use super::{World, engine_config};
use crate::byzantine::{Liar, Plot, Scene, Word};
use crate::scenario::{AfterCrash, Behaviour, Event, Fault, Lie, Scenario, When, Who};
use crate::trace::{self, Crashed, DiskLoss, Fact, MessageKind, Moment, Restarted};

/// The events of a scenario, as far as they have come.
#[derive(Debug)]
pub(super) struct Faults {
    /// By event.
    progress: Vec<Progress>,
    /// Events that wait for a moment.
    waiting: usize,
    /// Events whose moment has come, and at which replica.
    due: Vec<(usize, ReplicaId)>,
    /// What equivocators agreed on.
    pub(super) plot: Plot,
    /// GST is reached.
    calm: bool,
}

/// How far an event has come.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Moments of its kind seen.
    seen: u64,
    begun: bool,
    /// Links that it cut.
    cuts: Vec<(u16, u16)>,
    /// Whom it concerned.
    replica: Option<u16>,
}

impl Faults {
    pub(super) fn new(scenario: &Scenario) -> Faults {
        let moments = scenario.events.iter().filter(|event| waits(event)).count();
        Faults {
            progress: vec![Progress::default(); scenario.events.len()],
            waiting: moments,
            due: Vec::new(),
            plot: Plot::new(scenario),
            calm: false,
        }
    }

    /// Whether an event waits for a moment.
    pub(super) fn waits(&self) -> bool {
        self.waiting > 0
    }
}

fn waits(event: &Event) -> bool {
    matches!(event.when, When::Moment(_))
}

impl World<'_> {
    /// Sets what begins at a time.
    pub(super) fn begin_faults(&mut self) {
        let scenario = self.scenario;
        for (nth, event) in scenario.events.iter().enumerate() {
            if let When::At(at) = event.when {
                self.queue.push(at, Due::Begin { event: nth as u32 });
            }
            if let Fault::Mutate(mutation) = &event.fault {
                self.liar(mutation.replica);
            }
        }
        for (nth, liar) in scenario.byzantine.iter().enumerate() {
            self.liar(liar.replica);
            self.queue.push(liar.from, Due::Turn { liar: nth as u32 });
        }
        self.queue.push(scenario.gst, Due::Gst);
    }

    /// A moment of the protocol is reached: the events that wait for it are due.
    pub(super) fn notice(&mut self, moment: Moment) {
        let committee = self.committee;
        for (nth, event) in self.scenario.events.iter().enumerate() {
            let Some(progress) = self.faults.progress.get_mut(nth) else { continue };
            let When::Moment(wanted) = event.when else { continue };
            let who = match wanted.who {
                Who::Any => true,
                Who::Replica(replica) => moment.replica == ReplicaId(replica),
                Who::Primary => moment.replica == committee.primary(moment.view),
            };
            let seq = wanted.seq.is_none_or(|seq| moment.seq == Seq(seq));
            let view = wanted.view.is_none_or(|view| moment.view == View(view));
            if progress.begun || wanted.phase != moment.phase || !who || !seq || !view {
                continue;
            }
            progress.seen += 1;
            if progress.seen == wanted.nth {
                progress.begun = true;
                self.faults.waiting -= 1;
                self.faults.due.push((nth, moment.replica));
            }
        }
    }

    /// Begins the events whose moment came with what just happened.
    pub(super) fn begin_due_moments(&mut self) {
        while let Some((nth, replica)) = self.faults.due.pop() {
            self.begin(nth, Some(replica.0));
        }
    }

    /// An event begins at its time.
    pub(super) fn begin_event(&mut self, nth: usize) {
        self.begin(nth, None);
    }

    fn begin(&mut self, nth: usize, reached: Option<u16>) {
        let event: &Event = &self.scenario.events[nth];
        if self.faults.calm && event.fault.ends_at_gst() {
            return;
        }
        let whom = event.fault.whom().map(|who| self.resolve(who, reached));
        self.faults.progress[nth].replica = whom;
        let replica = whom.or(event.fault.replica()).map(ReplicaId);
        let kind = event.fault.name().into();
        self.tell(Fact::Fault(trace::Fault { kind, replica }));
        if let Some(span) = event.lasts {
            self.queue.push(self.now + span, Due::End { event: nth as u32 });
        }
        match &event.fault {
            Fault::Partition { groups, one_way } => {
                self.partition(nth, groups, *one_way);
            }
            Fault::Heal => self.network.heal(),
            Fault::Isolate(_) => self.isolate(nth, whom),
            Fault::Link { from, to, loss, delay } => {
                self.network.change(*from, *to, Some((*loss, *delay)));
            }
            Fault::Crash { disk, restart_after, .. } => {
                if let Some(replica) = whom {
                    self.crash(replica, *disk);
                    if let Some(span) = restart_after {
                        self.queue.push(self.now + span, Due::Restart { replica });
                    }
                }
            }
            Fault::Restart(replica) => self.restart(*replica),
            Fault::Pause(_) => self.pause(whom, event.lasts),
            Fault::Clock { offset, drift, .. } => self.change_clock(whom, *offset, *drift),
            Fault::Inject { from, to, bytes } => {
                let from = Sender::Replica(*from);
                let frame = Frame::new(bytes);
                self.queue.push(self.now, Due::Deliver { node: *to, from, frame });
            }
            Fault::Byzantine(replica, behaviour) => {
                let until = event.lasts.map_or(u64::MAX, |span| self.now + span);
                self.begin_lie(*replica, behaviour, until);
            }
            Fault::Mutate(mutation) => self.liar(mutation.replica).mutate(mutation),
        }
    }

    /// An event ends.
    pub(super) fn end_event(&mut self, nth: usize) {
        let event: &Event = &self.scenario.events[nth];
        match &event.fault {
            Fault::Partition { .. } | Fault::Isolate(_) => {
                let cuts = core::mem::take(&mut self.faults.progress[nth].cuts);
                cuts.iter().for_each(|(from, to)| self.network.cut(*from, *to, false));
                if let (Fault::Isolate(_), Some(replica)) =
                    (&event.fault, self.faults.progress[nth].replica)
                {
                    self.network.isolate(replica, false);
                }
            }
            Fault::Link { from, to, .. } => self.network.change(*from, *to, None),
            Fault::Clock { .. } => {
                let whom = self.faults.progress[nth].replica;
                self.change_clock(whom, 0, 0);
            }
            // The others end by themselves, or never.
            _ => {}
        }
    }

    /// GST: network faults, crashes and clock faults of honest replicas end.
    pub(super) fn reach_gst(&mut self) {
        self.faults.calm = true;
        self.network.calm();
        for at in 0..usize::from(self.scenario.replicas) {
            let node = &mut self.nodes[at];
            node.paused_until = node.paused_until.min(self.now);
            if !node.up && !self.faults.plot.is_faulty(at as u16) {
                self.restart(at as u16);
            }
            self.change_clock(Some(at as u16), 0, 0);
        }
    }

    fn resolve(&self, who: Who, reached: Option<u16>) -> u16 {
        match who {
            Who::Replica(replica) => replica,
            Who::Any => reached.unwrap_or(0),
            Who::Primary => {
                let honest = self
                    .nodes
                    .iter()
                    .filter(|node| node.up && !self.faults.plot.is_faulty(node.replica.0));
                let view = honest.map(|node| node.told.view).max().unwrap_or_default();
                self.committee.primary(view).0
            }
        }
    }

    /// The others of a partition: who is in no group is alone.
    fn partition(&mut self, nth: usize, groups: &[Vec<u16>], one_way: bool) {
        let group = |replica: u16| {
            groups.iter().position(|group| group.contains(&replica)).map_or(
                // A group of its own for each that is in none.
                groups.len() + usize::from(replica),
                |group| group,
            )
        };
        let n = self.scenario.replicas;
        let pairs = (0..n).flat_map(|from| (0..n).map(move |to| (from, to)));
        let apart = pairs.filter(|(from, to)| {
            let (from, to) = (group(*from), group(*to));
            from != to && !(one_way && to == 0)
        });
        let cuts: Vec<(u16, u16)> = apart.collect();
        cuts.iter().for_each(|(from, to)| self.network.cut(*from, *to, true));
        self.faults.progress[nth].cuts = cuts;
    }

    fn isolate(&mut self, nth: usize, whom: Option<u16>) {
        let Some(replica) = whom else { return };
        let others = (0..self.scenario.replicas).filter(|other| *other != replica);
        let cuts: Vec<(u16, u16)> =
            others.flat_map(|other| [(replica, other), (other, replica)]).collect();
        cuts.iter().for_each(|(from, to)| self.network.cut(*from, *to, true));
        self.network.isolate(replica, true);
        self.faults.progress[nth].cuts = cuts;
    }

    fn pause(&mut self, whom: Option<u16>, lasts: Option<u64>) {
        let until = self.now.saturating_add(lasts.unwrap_or(u64::MAX)).min(self.scenario.gst);
        if let Some(node) = whom.and_then(|replica| self.nodes.get_mut(usize::from(replica))) {
            node.paused_until = node.paused_until.max(until);
        }
    }

    fn change_clock(&mut self, whom: Option<u16>, offset: u64, drift: i64) {
        let Some(replica) = whom else { return };
        let at = usize::from(replica);
        self.nodes[at].clock.change(self.now, offset, drift);
        if self.nodes[at].up {
            self.arm(at);
        }
    }

    fn crash(&mut self, replica: u16, after: AfterCrash) {
        let node = &mut self.nodes[usize::from(replica)];
        if !node.up {
            return;
        }
        node.up = false;
        node.waiting.clear();
        node.results.clear();
        node.inputs.clear();
        node.timer = None;
        let durable = node.disk.durable;
        let disk = match after {
            AfterCrash::Keep => DiskLoss::Keep,
            AfterCrash::LoseUnsynced => {
                node.disk.records.retain(|(position, _)| *position <= durable);
                DiskLoss::LoseUnsynced
            }
            AfterCrash::LoseAll => {
                node.disk = Disk::default();
                node.lost = true;
                DiskLoss::LoseAll
            }
        };
        node.disk.writing = None;
        node.fetched = 0;
        self.tell(Fact::Crashed(Crashed { replica: ReplicaId(replica), disk }));
    }

    /// A crashed replica starts again with what its disk holds.
    pub(super) fn restart(&mut self, replica: u16) {
        let at = usize::from(replica);
        if self.nodes[at].up {
            return;
        }
        let config = engine_config(self.scenario, replica).expect("the scenario was checked");
        let empty = node::application(self.scenario.workload.keys);
        let node = &mut self.nodes[at];
        // The disk holds the state of the last stable checkpoint: the live one goes back to it.
        let executed = node.disk.stable();
        if executed == Seq(0) || node.application.rollback_to(executed).is_err() {
            assert!(
                executed == Seq(0),
                "the state after {executed} is kept while it may be needed"
            );
            node.application = empty;
        }
        node.engine = Pbft::new(config);
        node.incarnation += 1;
        node.up = true;
        node.executor_free = self.now;
        node.disk.begin_again();
        node.told = Told { stable: executed, ..Told::default() };
        let records: Vec<_> = node.disk.records.iter().map(|(_, record)| record.clone()).collect();
        let fact = Restarted {
            replica: node.replica,
            incarnation: node.incarnation,
            executed,
            records: records.len() as u64,
        };
        self.tell(Fact::Restarted(fact));
        // Whoever runs a replica knows that it took part before; its empty disk does not.
        let lost = self.nodes[at].lost && records.is_empty();
        self.feed(at, if lost { Input::Lost } else { Input::Recovered(records) });
    }
}

/// Lies.
impl World<'_> {
    /// The liar that a replica is from now on.
    fn liar(&mut self, replica: u16) -> &mut Liar {
        let seed = self.scenario.seed;
        let node = &mut self.nodes[usize::from(replica)];
        node.liar.get_or_insert_with(|| Box::new(Liar::new(seed, replica)))
    }

    /// A behaviour of `[[byzantine]]` begins.
    pub(super) fn turn_liar(&mut self, nth: usize) {
        let liar = &self.scenario.byzantine[nth];
        let (replica, kind) = (ReplicaId(liar.replica), liar.behaviour.lie.name().into());
        self.tell(Fact::Fault(trace::Fault { kind, replica: Some(replica) }));
        self.begin_lie(liar.replica, &liar.behaviour, liar.until);
    }

    fn begin_lie(&mut self, replica: u16, behaviour: &Behaviour, until: u64) {
        self.liar(replica).begin(behaviour, until);
        if behaviour.lie == Lie::Twin && self.twins_of(replica).is_empty() {
            let mut twin = self.node(replica, 1 << 16);
            let mut liar = Liar::new(self.scenario.seed, replica);
            liar.begin(behaviour, until);
            liar.become_twin();
            twin.liar = Some(Box::new(liar));
            self.nodes.push(twin);
            self.arm(self.nodes.len() - 1);
        }
    }

    /// What a liar has to say goes out, or something else, or nothing.
    pub(super) fn lie(&mut self, at: usize, to: Recipients, message: Message, kind: MessageKind) {
        let own = self.nodes[at].replica.0;
        let recipients = match to {
            Recipients::One(replica) => replica.0..replica.0 + 1,
            Recipients::Others => 0..self.scenario.replicas,
        };
        let mut sent = Vec::new();
        {
            let node = &mut self.nodes[at];
            let Some(liar) = &mut node.liar else { return };
            let mut scene = Scene {
                now: self.now,
                scenario: self.scenario,
                sealer: &mut node.sealer,
                plot: &mut self.faults.plot,
            };
            let message = liar.mutated(message, &mut scene);
            for recipient in recipients.filter(|recipient| *recipient != own) {
                liar.twist(recipient, &message, &mut scene, &mut sent);
            }
        }
        for Word { to, frame, delay } in sent {
            let frame = Frame::new(&frame);
            if delay > 0 {
                let due = Due::Late { node: at as u16, to, frame };
                self.queue.push(self.now + delay, due);
            } else {
                self.send(Sender::Replica(own), to, &frame, kind);
            }
        }
    }

    /// What a liar held back is sent.
    pub(super) fn late(&mut self, at: usize, to: u16, frame: Frame) {
        let own = self.nodes[at].replica.0;
        let kind = Message::from_slice(frame.bytes()).map_or(MessageKind::Other, |it| kind_of(&it));
        self.send(Sender::Replica(own), to, &frame, kind);
    }
}
