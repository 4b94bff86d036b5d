//! A committee on one thread under virtual time, with real signatures, encoded messages and a
//! network that delays, loses and repeats by a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::pbft::{CheckedConfig, Config, Message, PROTOCOL, Pbft};
use quorumark_consensus::{
    Batch, ClientId, ClientProof, Committee, Engine, Executed, Execution, Input, Instant, Outbox,
    Output, Recipients, ReplicaId, Reply, Request, Seq, SignedRequest, Timestamp,
};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::SecretKey;
use quorumark_primitives::hash::sha256;
use quorumark_primitives::signed::{
    ClientAuth, ClientSessions, Context, Domain, KeyDirectory, Refusal, ReplicaSessions, Sealer,
    Signer, Verified, Verifier,
};
use quorumark_primitives::wire::{Decode, Encode};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Clients that have keys in every lab.
pub(crate) const CLIENTS: u32 = 4;

const CONTEXT: Context = Context { cluster: 7, protocol: PROTOCOL };
/// What the MAC keys of clients and replicas are derived from.
const SESSION_SEED: [u8; 32] = [1; 32];

/// Keys of replicas and clients, the same in every lab of one size.
pub(crate) struct Keys {
    directory: Arc<KeyDirectory>,
    clients: Vec<Sealer>,
    sealers: Vec<Sealer>,
}

impl Keys {
    pub(crate) fn new(n: usize) -> Keys {
        let secret = |kind: u8, id: usize| {
            let mut seed = [kind; 32];
            seed[1] = id as u8;
            SecretKey::from_seed(&seed)
        };
        let replicas = (0..n).map(|id| secret(1, id)).collect::<Vec<_>>();
        let clients = (0..CLIENTS as usize).map(|id| secret(2, id)).collect::<Vec<_>>();
        let directory = KeyDirectory::new(
            replicas.iter().map(SecretKey::public).collect(),
            clients.iter().map(SecretKey::public).collect(),
        );
        let sealers = replicas.into_iter().enumerate();
        let clients = clients.into_iter().enumerate();
        Keys {
            directory: Arc::new(directory),
            sealers: sealers
                .map(|(id, key)| Sealer::new(CONTEXT, Signer::Replica(id as u16), key))
                .collect(),
            clients: clients
                .map(|(id, key)| Sealer::new(CONTEXT, Signer::Client(id as u32), key))
                .collect(),
        }
    }

    /// Seals a message with the key of whoever it names.
    pub(crate) fn seal(&mut self, message: Message) -> Verified<Message> {
        let sender = message.sender().expect("a replica's message");
        self.sealers[usize::from(sender.0)].seal_own(message)
    }

    /// A signed request of one of the lab's clients.
    pub(crate) fn request(
        &mut self,
        client: u32,
        timestamp: u64,
        operation: &[u8],
    ) -> SignedRequest {
        let request = Request {
            client: ClientId(client),
            timestamp: Timestamp(timestamp),
            operation: Bytes::copy_from_slice(operation),
        };
        let statement = quorumark_consensus::request::RequestStatement {
            client: request.client,
            digest: request.digest(),
        };
        let signature = self.clients[client as usize].sign(&statement);
        SignedRequest::new(request, ClientProof::Signature(signature))
    }

    /// A request of client 0 with a good MAC for each of `n` replicas.
    pub(crate) fn mac_request(&self, timestamp: u64, n: u16) -> SignedRequest {
        let (client, timestamp) = (ClientId(0), Timestamp(timestamp));
        let request = Request { client, timestamp, operation: Bytes::from_static(b"op") };
        let sessions = ClientSessions::new(CONTEXT, &SESSION_SEED, client.0, n);
        let authenticator = sessions.authenticate(Domain::Request, &request.digest().0);
        SignedRequest::new(request, ClientProof::Mac(authenticator))
    }

    pub(crate) fn verifier(&self, auth: ClientAuth) -> Verifier {
        Verifier::new(CONTEXT, Arc::clone(&self.directory), auth, [3; 32])
    }

    /// How replica `replica` checks the MACs of clients.
    pub(crate) fn macs(&self, replica: u16) -> ClientAuth {
        ClientAuth::Mac(Arc::new(ReplicaSessions::new(CONTEXT, &SESSION_SEED, replica, CLIENTS)))
    }
}

/// A message that passes through bytes and the verifier, as every received one does.
pub(crate) fn receive(verifier: &mut Verifier, message: &Message) -> Option<Verified<Message>> {
    judge(verifier, message).ok()
}

/// The same, with the reason of a refusal.
pub(crate) fn judge(
    verifier: &mut Verifier,
    message: &Message,
) -> Result<Verified<Message>, Refusal> {
    let decoded = Message::from_frame(&message.to_frame()).expect("what was encoded decodes");
    assert_eq!(&decoded, message, "decode(encode(x)) = x");
    let mut judged = None;
    verifier.verify(&mut vec![decoded], |verdict| judged = Some(verdict));
    judged.expect("one value, one verdict").map_err(|(_, refusal)| refusal)
}

/// One engine, driven by hand: for rules that need a message at a time.
pub(crate) struct One {
    pub engine: Pbft,
    pub keys: Keys,
    pub committee: Committee,
    pub now: Instant,
    out: Outbox<Message>,
}

impl One {
    pub(crate) fn new(n: usize, replica: u16, set: impl FnOnce(&mut Config)) -> One {
        let committee = Committee::new(n).unwrap();
        let mut config = Config::new(committee, ReplicaId(replica));
        config.status_interval = Duration::from_secs(3);
        set(&mut config);
        let engine = Pbft::new(config.check().unwrap());
        let (keys, out) = (Keys::new(n), Outbox::new());
        One { engine, keys, committee, now: Instant(1), out }
    }

    pub(crate) fn input(&mut self, input: Input<Message>) -> Vec<Output<Message>> {
        self.engine.handle(self.now, input, &mut self.out);
        self.out.drain().collect()
    }

    /// A message of another replica arrives.
    pub(crate) fn hear(&mut self, message: Message) -> Vec<Output<Message>> {
        let sealed = self.keys.seal(message);
        self.input(Input::Message(sealed))
    }

    /// A request arrives from its client.
    pub(crate) fn ask(&mut self, client: u32, timestamp: u64) -> Vec<Output<Message>> {
        let request = self.keys.request(client, timestamp, b"op");
        self.receive(&Message::Request(request))
    }

    /// A message that is signed arrives through the gate, which must let it pass.
    pub(crate) fn receive(&mut self, message: &Message) -> Vec<Output<Message>> {
        let mut verifier = self.keys.verifier(ClientAuth::Signature);
        let verified = receive(&mut verifier, message).expect("every claim holds");
        self.input(Input::Message(verified))
    }

    /// Gives back everything the engine says, sealed, until it says nothing more; returns all.
    pub(crate) fn settle(&mut self, outputs: Vec<Output<Message>>) -> Vec<Output<Message>> {
        let mut all = Vec::new();
        let mut queue = outputs;
        while !queue.is_empty() {
            let mut next = Vec::new();
            for output in queue {
                if let Output::Say { message, .. } = &output {
                    next.extend(self.hear(message.clone()));
                }
                all.push(output);
            }
            queue = next;
        }
        all
    }
}

/// What the lab's state machine answers to a request.
fn result_of(request: &Request) -> Bytes {
    Bytes::copy_from_slice(&request.digest().0[..8])
}

/// One replica of a lab, with a state machine that hashes everything it executes.
struct Member {
    engine: Pbft,
    verifier: Verifier,
    state: Digest,
    /// Executed batches, in order.
    ledger: Vec<Entry>,
    silent: bool,
    cut_off: bool,
}

/// An executed batch: its place, its digest, the requests run.
type Entry = (Seq, Digest, Vec<(ClientId, Timestamp)>);

enum Event {
    Arrive(ReplicaId, Message),
    Executed(ReplicaId, Executed),
}

/// How the network treats a message.
#[derive(Clone, Copy)]
pub(crate) struct Network {
    pub delay_us: (u64, u64),
    pub loss: f64,
    pub duplicate: f64,
}

impl Network {
    pub(crate) const GOOD: Network = Network { delay_us: (100, 2_000), loss: 0.0, duplicate: 0.0 };
    pub(crate) const BAD: Network = Network { delay_us: (100, 9_000), loss: 0.1, duplicate: 0.1 };
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
}

/// Says whether a message from one replica to another is lost.
type Loss = Box<dyn FnMut(ReplicaId, ReplicaId, &Message) -> bool>;

impl Lab {
    pub(crate) fn new(n: usize, seed: u64, network: Network, set: impl Fn(&mut Config)) -> Lab {
        let committee = Committee::new(n).unwrap();
        let keys = Keys::new(n);
        let members = committee.members().map(|replica| {
            let mut config = Config::new(committee, replica);
            set(&mut config);
            let config: CheckedConfig = config.check().unwrap();
            Member {
                engine: Pbft::new(config),
                verifier: keys.verifier(ClientAuth::Signature),
                state: Digest::ZERO,
                ledger: Vec::new(),
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
            keys,
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
        self.members[replica].ledger.get(seq as usize - 1).map(|(_, digest, _)| *digest)
    }

    pub(crate) fn reconnect(&mut self, replica: usize) {
        self.members[replica].cut_off = false;
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.scheduled += 1;
        self.events.insert((self.now + after, self.scheduled), event);
    }

    fn transmit(&mut self, to: ReplicaId, message: &Message) {
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

    /// Runs for a span of virtual time.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.next_instant().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            match self.events.first_key_value() {
                Some(((due, _), _)) if *due <= self.now => {
                    let (_, event) = self.events.pop_first().unwrap();
                    self.deliver(event);
                }
                _ => self.time_out(),
            }
        }
        self.now = end;
    }

    /// Runs until every request asked so far has f + 1 equal replies, sending unanswered ones
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
        let weak = Committee::new(self.members.len()).unwrap().weak_quorum();
        let answered = |request: &&SignedRequest| {
            let expected = result_of(&request.request);
            self.replies.get(&request.id()).is_none_or(|by_replica| {
                let equal = by_replica
                    .values()
                    .filter(|replies| replies.iter().all(|reply| reply.result == expected));
                equal.count() < weak
            })
        };
        self.asked.iter().filter(answered).cloned().collect()
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
            Event::Executed(at, executed) => self.handle(at, Input::Executed(executed)),
        }
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
            Output::Persist { .. } => {}
            Output::Say { to, message, .. } => {
                let sealed = self.keys.seal(message);
                self.send(replica, to, sealed.get());
                inputs.push(Input::Message(sealed));
            }
            Output::Relay { to, message, .. } => self.send(replica, to, &message),
            Output::Execute(execution) => self.execute(replica, &execution),
            Output::Reply { replies, .. } => {
                if !self.members[usize::from(replica.0)].silent {
                    for reply in replies {
                        let id = (reply.client, reply.timestamp);
                        let by_replica = self.replies.entry(id).or_default();
                        by_replica.entry(replica).or_default().push(reply);
                    }
                }
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

    fn send(&mut self, from: ReplicaId, to_whom: Recipients, message: &Message) {
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
        let ran = run_batch(&mut member.state, execution);
        let ids = execution.fresh.iter().map(|place| request_at(&execution.batch, *place).id());
        member.ledger.push((execution.seq, execution.batch.digest(), ids.collect()));
        let delay = Duration::from_micros(self.random.random_range(0..500));
        // Results come back in the order handed out: one executor per replica.
        let last = self.events.iter().rev().find_map(|((at, _), event)| match event {
            Event::Executed(at_replica, _) if *at_replica == replica => Some(*at),
            _ => None,
        });
        let at = last.map_or(delay, |last| last.since(self.now).max(delay));
        self.schedule(at, Event::Executed(replica, ran));
    }

    /// Every pair of ledgers agrees on their common prefix, has no gap, and ran nothing twice.
    pub(crate) fn check_ledgers(&self) {
        let ledgers = self.members.iter().map(|member| &member.ledger);
        let longest = ledgers.max_by_key(|ledger| ledger.len()).expect("members");
        for member in &self.members {
            let mut ran = BTreeSet::new();
            for (place, (seq, _, ids)) in member.ledger.iter().enumerate() {
                assert_eq!(seq.0, place as u64 + 1, "a gap in the order");
                ids.iter().for_each(|id| assert!(ran.insert(*id), "{id:?} ran twice"));
            }
            assert_eq!(longest[..member.ledger.len()], member.ledger, "ledgers disagree");
        }
    }

    /// Requests run at a replica.
    pub(crate) fn ran(&self, replica: usize) -> usize {
        self.members[replica].ledger.iter().map(|(_, _, ids)| ids.len()).sum()
    }
}

fn request_at(batch: &Batch, place: u32) -> &SignedRequest {
    &batch.requests()[place as usize]
}

/// Executes a batch on the lab's state machine.
pub(crate) fn run_batch(state: &mut Digest, execution: &Execution) -> Executed {
    let requests = execution.fresh.iter().map(|place| request_at(&execution.batch, *place));
    let results = requests
        .map(|request| {
            *state = sha256(&[state.0, request.digest().0].concat());
            result_of(&request.request)
        })
        .collect();
    let state_root = execution.checkpoint.then_some(*state);
    Executed { seq: execution.seq, results, state_root }
}
