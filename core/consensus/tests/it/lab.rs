//! A committee on one thread under virtual time, with real signatures, encoded messages and a
//! network that delays, loses and repeats by a seed.

mod checks;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorumark_consensus::pbft::{CheckedConfig, Config, Message, Pbft};
use quorumark_consensus::{
    ClientId, Committee, Engine, Executed, Execution, Input, Instant, Outbox, Output, Position,
    Recipients, ReplicaId, Reply, Seq, SignedRequest, StateAnswer, StateWork, Timestamp, View,
};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::sha256;
use quorumark_primitives::signed::{ClientAuth, Verifier};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::cells::{Cells, Shape, result_of};
use crate::disk::{Disk, Held};
pub(crate) use crate::network::Network;
use crate::network::{Loss, Twist};
pub(crate) use crate::one::{CLIENTS, Keys, One, judge, receive, run_batch};

/// One replica of a lab, with a state machine that hashes everything it executes.
struct Member {
    engine: Pbft,
    verifier: Verifier,
    state: Cells,
    /// Executed batches, in order.
    ledger: BTreeMap<Seq, Entry>,
    /// Checkpoints at which it took over a state.
    restored: BTreeSet<Seq>,
    disk: Disk,
    /// Whether its disk lost everything once.
    lost: bool,
    /// How often it was restarted: what an earlier life began ends with it.
    life: u32,
    silent: bool,
    cut_off: bool,
}

/// An executed batch: its digest, the requests run.
type Entry = (Digest, Vec<(ClientId, Timestamp)>);

enum Event {
    Arrive(ReplicaId, Message),
    /// At a life of a replica: its state machine did something, or its disk.
    Executed(ReplicaId, u32, Executed),
    Answered(ReplicaId, u32, StateAnswer),
    Synced(ReplicaId, u32, Position),
}

/// A committee and its network.
pub(crate) struct Lab {
    pub keys: Keys,
    pub now: Instant,
    members: Vec<Member>,
    network: Network,
    events: BTreeMap<(Instant, u64), Event>,
    scheduled: u64,
    random: SmallRng,
    /// Replies by request, then by replica.
    pub replies: BTreeMap<(ClientId, Timestamp), BTreeMap<ReplicaId, Vec<Reply>>>,
    pub asked: Vec<SignedRequest>,
    /// A running hash over every output of every engine.
    pub trace: Digest,
    /// What the network loses besides what it draws.
    pub lose: Loss,
    /// How much longer what a replica sends takes.
    pub slow: BTreeMap<ReplicaId, Duration>,
    /// Replicas for which tests speak; nobody else may be accused.
    pub faulty: BTreeSet<usize>,
    /// Replicas that were accused.
    pub accused: BTreeSet<usize>,
    /// The last commit that each replica said for each sequence number.
    said_commits: BTreeMap<(ReplicaId, Seq), Digest>,
    /// What a faulty replica says in place of what it should; it signs that too.
    pub twist: Twist,
    /// How long a disk takes, in microseconds.
    pub sync_us: (u64, u64),
    /// Every vote that was sent: by whom, of what kind, view and sequence number, for what.
    pub votes: BTreeMap<(ReplicaId, &'static str, View, Seq), Digest>,
    /// Votes that contradict an earlier one of the same replica.
    pub contradictions: Vec<String>,
    shape: Shape,
    settings: Box<dyn Fn(&mut Config)>,
}

impl Lab {
    pub(crate) fn new(
        n: usize,
        seed: u64,
        network: Network,
        set: impl Fn(&mut Config) + 'static,
    ) -> Lab {
        Lab::with_state(n, seed, network, Shape::SMALL, set)
    }

    /// A lab whose state machines have this shape.
    pub(crate) fn with_state(
        n: usize,
        seed: u64,
        network: Network,
        shape: Shape,
        set: impl Fn(&mut Config) + 'static,
    ) -> Lab {
        let committee = Committee::new(n).unwrap();
        let keys = Keys::new(n);
        let members = committee.members().map(|replica| {
            let mut config = Config::new(committee, replica);
            set(&mut config);
            let config: CheckedConfig = config.check().unwrap();
            Member {
                engine: Pbft::new(config),
                verifier: keys.verifier(ClientAuth::Signature),
                state: Cells::new(shape),
                ledger: BTreeMap::new(),
                restored: BTreeSet::new(),
                disk: Disk::default(),
                lost: false,
                life: 0,
                silent: false,
                cut_off: false,
            }
        });
        Lab {
            now: Instant::START,
            members: members.collect(),
            network,
            events: BTreeMap::new(),
            scheduled: 0,
            random: SmallRng::seed_from_u64(seed),
            replies: BTreeMap::new(),
            asked: Vec::new(),
            trace: Digest::ZERO,
            lose: Box::new(|_, _, _| false),
            slow: BTreeMap::new(),
            faulty: BTreeSet::new(),
            accused: BTreeSet::new(),
            said_commits: BTreeMap::new(),
            twist: Box::new(|_, _| None),
            sync_us: (0, 3_000),
            votes: BTreeMap::new(),
            contradictions: Vec::new(),
            shape,
            keys,
            settings: Box::new(set),
        }
    }

    pub(crate) fn engine(&self, replica: usize) -> &Pbft {
        &self.members[replica].engine
    }

    pub(crate) fn silence(&mut self, replica: usize) {
        self.members[replica].silent = true;
    }

    /// From now on nothing reaches the replica, and nothing leaves it, until it is reconnected.
    pub(crate) fn cut_off(&mut self, replica: usize) {
        self.members[replica].cut_off = true;
    }

    /// The replica stops: nothing leaves it and nothing reaches it any more.
    pub(crate) fn stop(&mut self, replica: usize) {
        self.silence(replica);
        self.cut_off(replica);
    }

    /// A faulty replica, whose own engine is silent, says this to one replica or to all.
    pub(crate) fn lie(&mut self, to: Option<usize>, message: Message) {
        let sealed = self.keys.seal(message).into_inner();
        let from = usize::from(sealed.sender().expect("a replica says it").0);
        self.faulty.insert(from);
        for replica in (0..self.members.len()).filter(|id| *id != from) {
            if to.is_none_or(|to| to == replica) {
                self.transmit(ReplicaId(replica as u16), &sealed);
            }
        }
    }

    /// The replicas that run.
    pub(crate) fn live(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.members.len()).filter(|id| !self.members[*id].silent)
    }

    /// What a replica was prepared for: the digests that it said it would commit.
    pub(crate) fn prepared_digests(&self, replica: usize) -> BTreeMap<Seq, Digest> {
        let replica = ReplicaId(replica as u16);
        let own = self.said_commits.range((replica, Seq(0))..=(replica, Seq(u64::MAX)));
        own.map(|((_, seq), digest)| (*seq, *digest)).collect()
    }

    /// The batch that a replica executed at `seq`.
    pub(crate) fn executed_at(&self, replica: usize, seq: u64) -> Option<Digest> {
        self.members[replica].ledger.get(&Seq(seq)).map(|(digest, _)| *digest)
    }

    pub(crate) fn reconnect(&mut self, replica: usize) {
        self.members[replica].cut_off = false;
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.scheduled += 1;
        self.events.insert((self.now + after, self.scheduled), event);
    }

    /// A message is on its way to a replica.
    pub(crate) fn transmit(&mut self, to: ReplicaId, message: &Message) {
        self.transmit_late(to, message, Duration::ZERO);
    }

    fn transmit_late(&mut self, to: ReplicaId, message: &Message, late: Duration) {
        if self.members[usize::from(to.0)].cut_off {
            return;
        }
        let copies = 1 + u32::from(self.random.random_bool(self.network.duplicate));
        for _ in 0..copies {
            if !self.random.random_bool(self.network.loss) {
                let (low, high) = self.network.delay_us;
                let delay = Duration::from_micros(self.random.random_range(low..=high));
                self.schedule(late + delay, Event::Arrive(to, message.clone()));
            }
        }
    }

    /// A client sends a new request to one replica.
    pub(crate) fn ask(&mut self, client: u32, timestamp: u64, to: u16) -> SignedRequest {
        let operation = format!("{client}/{timestamp}");
        let request = self.keys.request(client, timestamp, operation.as_bytes());
        self.asked.push(request.clone());
        self.transmit_request(ReplicaId(to), &request);
        request
    }

    /// A client sends a request to one replica, again.
    pub(crate) fn ask_one(&mut self, request: &SignedRequest, to: u16) {
        self.transmit_request(ReplicaId(to), request);
    }

    fn transmit_request(&mut self, to: ReplicaId, request: &SignedRequest) {
        let message = Message::Request(request.clone());
        // Clients are no replicas: only the receiver decides whether it is lost.
        if !(self.lose)(to, to, &message) {
            self.transmit(to, &message);
        }
    }

    /// A client sends a request to every replica, as after a timeout.
    pub(crate) fn ask_all(&mut self, request: &SignedRequest) {
        for replica in 0..self.members.len() as u16 {
            self.transmit_request(ReplicaId(replica), request);
        }
    }

    /// A message of another replica arrives at one, now.
    pub(crate) fn tell(&mut self, to: u16, message: Message) {
        let sealed = self.keys.seal(message);
        self.handle(ReplicaId(to), Input::Message(sealed));
    }

    /// Runs for a span of virtual time.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.next_instant().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// One thing happens: the next.
    pub(crate) fn step(&mut self) {
        let Some(at) = self.next_instant() else { return };
        self.now = self.now.max(at);
        match self.events.first_key_value() {
            Some(((due, _), _)) if *due <= self.now => {
                let (_, event) = self.events.pop_first().unwrap();
                self.deliver(event);
            }
            _ => self.time_out(),
        }
    }

    /// Runs until every request asked so far has an answer that a client takes, sending unanswered ones
    /// again to all every 100 ms of virtual time.
    pub(crate) fn run_until_answered(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.run(Duration::from_millis(100));
            let unanswered = self.unanswered();
            if unanswered.is_empty() {
                return;
            }
            unanswered.iter().for_each(|request| self.ask_all(request));
        }
        let stand = |member: &Member| {
            let engine = &member.engine;
            let (view, active, stable) = (engine.view(), engine.is_active(), engine.stable());
            let (executed, awaits) = (engine.executed(), engine.awaited_state());
            format!("{view} {active} {stable} {executed} {awaits:?} {:?}", engine.counters())
        };
        let stands: Vec<String> = self.members.iter().map(stand).collect();
        panic!("{} requests stay unanswered: {stands:#?}", self.unanswered().len());
    }

    pub(crate) fn unanswered(&self) -> Vec<SignedRequest> {
        self.asked.iter().filter(|asked| self.acknowledged_at(asked).is_none()).cloned().collect()
    }

    /// Where a client takes its request to be executed: by f + 1 replies, or a quorum of one view.
    pub(crate) fn acknowledged_at(&self, request: &SignedRequest) -> Option<Seq> {
        let committee = Committee::new(self.members.len()).unwrap();
        let expected = result_of(&request.request());
        let by_replica = self.replies.get(&request.id())?;
        let given = || by_replica.values().flatten().filter(|reply| reply.result == expected);
        given().find_map(|reply| {
            let alike = |counts: &dyn Fn(&Reply) -> bool| {
                let says = |other: &Reply| {
                    (other.seq, &other.result) == (reply.seq, &expected) && counts(other)
                };
                by_replica.values().filter(|replies| replies.iter().any(says)).count()
            };
            let committed = alike(&|other| !other.tentative) >= committee.weak_quorum();
            let one_view = alike(&|other| !other.tentative || other.view == reply.view);
            (committed || one_view >= committee.quorum()).then_some(reply.seq)
        })
    }

    fn next_instant(&self) -> Option<Instant> {
        let timeouts = self.members.iter().filter_map(|member| member.engine.next_timeout());
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        timeouts.chain(event).min()
    }

    fn time_out(&mut self) {
        for replica in 0..self.members.len() {
            let due = self.members[replica].engine.next_timeout();
            if due.is_some_and(|at| at <= self.now) {
                self.handle(ReplicaId(replica as u16), Input::Timeout);
                let next = self.members[replica].engine.next_timeout();
                let (now, engine) = (self.now, &self.members[replica].engine);
                assert!(next.is_none_or(|at| at > now), "always due at {now:?}: {engine:#?}");
            }
        }
    }

    fn deliver(&mut self, event: Event) {
        match event {
            Event::Arrive(to, message) => {
                let verifier = &mut self.members[usize::from(to.0)].verifier;
                if let Some(verified) = receive(verifier, &message) {
                    self.handle(to, Input::Message(verified));
                }
            }
            Event::Executed(at, life, executed) => self.own(at, life, Input::Executed(executed)),
            Event::Answered(at, life, answer) => self.own(at, life, Input::State(answer)),
            Event::Synced(at, life, position) => {
                if self.members[usize::from(at.0)].life == life {
                    for held in self.members[usize::from(at.0)].disk.synced(position) {
                        self.let_out(at, held);
                    }
                }
            }
        }
    }

    fn own(&mut self, replica: ReplicaId, life: u32, input: Input<Message>) {
        if self.members[usize::from(replica.0)].life == life {
            self.handle(replica, input);
        }
    }

    /// Power fails at a replica, and it starts again from what its disk has.
    pub(crate) fn restart(&mut self, replica: usize) {
        let committee = Committee::new(self.members.len()).unwrap();
        let mut config = Config::new(committee, ReplicaId(replica as u16));
        (self.settings)(&mut config);
        let member = &mut self.members[replica];
        let records = member.disk.fail();
        let stable = member.disk.stable();
        member.life += 1;
        member.engine = Pbft::new(config.check().unwrap());
        member.state = member.state.restarted_at(stable);
        member.ledger.split_off(&stable.next());
        let lost = member.lost && records.is_empty();
        let input = if lost { Input::Lost } else { Input::Recovered(records) };
        self.handle(ReplicaId(replica as u16), input);
    }

    /// A replica loses its disk, and starts from nothing.
    pub(crate) fn lose_disk(&mut self, replica: usize) {
        let member = &mut self.members[replica];
        (member.disk, member.state) = (Disk::default(), Cells::new(self.shape));
        member.lost = true;
        self.restart(replica);
    }

    /// Leaves out of a journal what it need no longer hold.
    pub(crate) fn cut_journal(&mut self, replica: usize) {
        self.members[replica].disk.cut();
    }

    pub(crate) fn journal_len(&self, replica: usize) -> usize {
        self.members[replica].disk.len()
    }

    /// The network becomes good.
    pub(crate) fn calm(&mut self) {
        self.network = Network::GOOD;
    }

    /// From now on a replica's disk lets out what still has to wait.
    pub(crate) fn be_hasty(&mut self, replica: usize) {
        self.members[replica].disk.hasty = true;
    }

    fn handle(&mut self, replica: ReplicaId, input: Input<Message>) {
        let mut out = Outbox::new();
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let member = &mut self.members[usize::from(replica.0)];
            member.engine.handle(self.now, input, &mut out);
            for output in out.drain() {
                self.perform(replica, output, &mut inputs);
            }
        }
    }

    fn perform(
        &mut self,
        replica: ReplicaId,
        output: Output<Message>,
        inputs: &mut Vec<Input<Message>>,
    ) {
        self.trace = sha256(&[&self.trace.0[..], format!("{output:?}").as_bytes()].concat());
        match output {
            Output::Persist { position, record } => {
                self.members[usize::from(replica.0)].disk.write(position, record);
                let (low, high) = self.sync_us;
                let delay = Duration::from_micros(self.random.random_range(low..=high));
                let life = self.members[usize::from(replica.0)].life;
                self.schedule(delay, Event::Synced(replica, life, position));
            }
            Output::Say { to, message, after } => {
                let sealed = self.keys.seal(message);
                self.when_durable(replica, after, Held::Send(to, sealed.get().clone()));
                inputs.push(Input::Message(sealed));
            }
            Output::Relay { to, message, after } => {
                self.when_durable(replica, after, Held::Send(to, message));
            }
            Output::Execute(execution) => self.execute(replica, &execution),
            Output::Confirm(execution) => self.note_committed(replica, &execution),
            Output::State(StateWork::Retain { from, leased, after }) => {
                let work = StateWork::Retain { from, leased, after };
                self.when_durable(replica, after, Held::State(work));
            }
            Output::State(work) => self.serve(replica, work),
            Output::Reply { replies, after } => {
                self.when_durable(replica, after, Held::Reply(replies));
            }
            Output::Evidence(evidence) => {
                let accused = usize::from(evidence.replica.0);
                assert!(
                    self.faulty.contains(&accused),
                    "an honest replica is accused: {evidence:?}"
                );
                self.accused.insert(accused);
            }
        }
    }

    fn when_durable(&mut self, replica: ReplicaId, after: Position, held: Held) {
        let disk = &mut self.members[usize::from(replica.0)].disk;
        if let Some(held) = disk.hold(after, held) {
            self.let_out(replica, held);
        }
    }

    fn let_out(&mut self, replica: ReplicaId, held: Held) {
        match held {
            Held::Send(to, message) => self.send(replica, to, &message),
            Held::State(work) => self.serve(replica, work),
            Held::Reply(_) if self.members[usize::from(replica.0)].silent => {}
            Held::Reply(replies) => {
                for reply in replies {
                    let id = (reply.client, reply.timestamp);
                    let by_replica = self.replies.entry(id).or_default();
                    by_replica.entry(replica).or_default().push(reply);
                }
            }
        }
    }

    /// Notes a vote that leaves its replica, and whether it contradicts one that left before.
    fn note_vote(&mut self, from: ReplicaId, message: &Message) {
        let (kind, view, seq, digest) = match message {
            Message::PrePrepare(vote, _) if vote.body.replica == from => {
                ("pre-prepare", vote.body.view, vote.body.seq, vote.body.digest)
            }
            Message::Prepare(vote) => ("prepare", vote.body.view, vote.body.seq, vote.body.digest),
            Message::Commit(vote) => ("commit", vote.body.view, vote.body.seq, vote.body.digest),
            Message::Checkpoint(vote) if vote.body.replica == from => {
                ("checkpoint", View(0), vote.body.seq, vote.body.state)
            }
            _ => return,
        };
        let first = *self.votes.entry((from, kind, view, seq)).or_insert(digest);
        if first != digest {
            self.contradictions.push(format!("{from} contradicts its {kind} of {view} {seq}"));
        }
    }

    fn serve(&mut self, replica: ReplicaId, work: StateWork) {
        let member = &mut self.members[usize::from(replica.0)];
        if let StateWork::Restore { seq, .. } = &work {
            member.restored.insert(*seq);
        }
        let life = member.life;
        if let Some(answer) = member.state.serve(work) {
            let at = self.next_result(replica);
            self.schedule(at, Event::Answered(replica, life, answer));
        }
    }

    fn send(&mut self, from: ReplicaId, to_whom: Recipients, message: &Message) {
        let twisted = (self.twist)(from, message);
        let twisted = twisted.map(|message| self.keys.seal(message).into_inner());
        let message = twisted.as_ref().unwrap_or(message);
        self.note_vote(from, message);
        let sender = &self.members[usize::from(from.0)];
        if sender.silent || sender.cut_off {
            return;
        }
        if let Message::Commit(signed) = message {
            self.said_commits.insert((from, signed.body.seq), signed.body.digest);
        }
        for to in (0..self.members.len() as u16).map(ReplicaId) {
            let addressed = match to_whom {
                Recipients::One(one) => to == one,
                Recipients::Others => to != from,
            };
            if addressed && !(self.lose)(from, to, message) {
                let late = self.slow.get(&from).copied().unwrap_or_default();
                self.transmit_late(to, message, late);
            }
        }
    }

    fn execute(&mut self, replica: ReplicaId, execution: &Execution) {
        let member = &mut self.members[usize::from(replica.0)];
        let (ran, life) = (member.state.execute(execution), member.life);
        if !execution.tentative {
            self.note_committed(replica, execution);
        }
        let at = self.next_result(replica);
        self.schedule(at, Event::Executed(replica, life, ran));
    }

    fn note_committed(&mut self, replica: ReplicaId, execution: &Execution) {
        let id = |place: &u32| execution.batch.request(*place).unwrap().id();
        let ids = execution.fresh.iter().map(id);
        self.members[usize::from(replica.0)]
            .ledger
            .insert(execution.seq, (execution.batch.digest(), ids.collect()));
    }

    /// When the next result of a replica's state machine comes back.
    fn next_result(&mut self, replica: ReplicaId) -> Duration {
        let delay = Duration::from_micros(self.random.random_range(0..500));
        // Results come back in the order handed out: one executor per replica.
        let last = self.events.iter().rev().find_map(|((at, _), event)| match event {
            Event::Executed(there, ..) | Event::Answered(there, ..) if *there == replica => {
                Some(*at)
            }
            _ => None,
        });
        last.map_or(delay, |last| last.since(self.now).max(delay))
    }
}
