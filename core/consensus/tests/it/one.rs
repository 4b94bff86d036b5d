//! The keys of a committee, and one engine driven by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorumark_consensus::pbft::{Config, Message, PROTOCOL, Pbft};
use quorumark_consensus::{
    ClientId, ClientProof, Committee, Engine, Executed, Execution, Input, Instant, Outbox, Output,
    ReplicaId, Request, SignedRequest, StateRoot, Timestamp,
};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::SecretKey;
use quorumark_primitives::hash::sha256;
use quorumark_primitives::signed::{
    ClientAuth, ClientSessions, Context, Domain, KeyDirectory, Refusal, ReplicaSessions, Sealer,
    Signer, Verified, Verifier,
};
use quorumark_primitives::wire::{Decode, Encode};

use crate::cells::result_of;

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
        self.sealers[usize::from(sender.0)].seal_own_frame(message, &mut Vec::new()).0
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

/// Executes a batch on the lab's state machine.
pub(crate) fn run_batch(state: &mut Digest, execution: &Execution) -> Executed {
    let requests = execution.fresh.iter().map(|place| execution.batch.request(*place).unwrap());
    let results = requests
        .map(|request| {
            *state = sha256(&[state.0, request.digest().0].concat());
            result_of(&request.request())
        })
        .collect();
    let state_root = execution.checkpoint.then_some(StateRoot { root: *state, leaves: 1 });
    Executed { seq: execution.seq, results, state_root }
}
