//! Allocations of a transaction in steady state, by stage: those of a batch are counted for small
//! batches and for large ones, and what the larger ones cost more is what its transactions cost.

use std::time::Duration;

use bytes::Bytes;
use quorumark_application::kv::{KvStore, Operation};
use quorumark_consensus::pbft::Message;
use quorumark_consensus::{ClientId, ReplicaId, Request, SignedRequest, Timestamp};
use quorumark_pipeline::{
    ByHand, ClientAuthKind, ClientKeys, ClientPort, ClusterConfig, ClusterKeys, Protocol,
};
use quorumark_primitives::wire::Encode;

use crate::counting::allocations;
use crate::driver::store;

const REPLICAS: usize = 4;
const CLIENTS: u32 = 4;
/// Batches between two checkpoints.
const INTERVAL: u64 = 32;
/// Batches before those that are counted, the last of them a few after a checkpoint: buffers grow,
/// and tables of keys are made.
const BEFORE: u64 = 2 * INTERVAL + 4;
/// Batches that are counted where no checkpoint is to be among them.
const BETWEEN: u64 = INTERVAL - 8;
/// Transactions in one.
const SMALL: u64 = 32;
const LARGE: u64 = 96;

/// What is counted, by replica: ingress and verify; order in turns that execute nothing, which is
/// all of it up to the last commit that a batch needs; and order in those that do.
#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    ingress: u64,
    verify: u64,
    order: u64,
    order_and_answer: u64,
}

/// Replicas in turn on this thread, and clients that ask for one batch after the other.
struct Lab {
    hand: ByHand<KvStore>,
    port: ClientPort,
    keys: Vec<ClientKeys>,
    batch: u64,
    sent: u64,
    counted: [Counted; REPLICAS],
}

impl Lab {
    fn new(auth: ClientAuthKind, batch: u64) -> Lab {
        let mut config = ClusterConfig::new(REPLICAS).unwrap();
        (config.clients, config.client_auth) = (CLIENTS, auth);
        config.engine.batch_size_max = batch as usize;
        config.engine.batch_linger = Duration::from_secs(10);
        config.engine.checkpoint_interval = INTERVAL;
        // Who waits on a busy machine asks with a status, which is no batch's.
        config.engine.status_interval = Duration::from_secs(60);
        let config = config.check().unwrap();
        let keys = ClusterKeys::new(&config, Message::ID);
        let (hand, ports) = ByHand::pbft(&config, &keys, &[0..CLIENTS], |_| None, store).unwrap();
        let port = ports.into_iter().next().unwrap();
        let keys = (0..CLIENTS).map(|id| keys.client(ClientId(id))).collect();
        Lab { hand, port, keys, batch, sent: 0, counted: Default::default() }
    }

    /// A request as TCP hands it on: a frame in memory of its own.
    fn frame(&mut self) -> Bytes {
        let client = ClientId((self.sent % u64::from(CLIENTS)) as u32);
        let timestamp = Timestamp(self.sent / u64::from(CLIENTS) + 1);
        // The same keys again and again: the application's pages are there.
        let operation = Operation::put_of_size(self.sent % 64, 64);
        let request = Request { client, timestamp, operation };
        let proof = self.keys[client.0 as usize].prove(&request);
        self.sent += 1;
        let frame = Message::Request(SignedRequest::new(request, proof)).to_frame();
        Bytes::from(frame.to_vec().into_boxed_slice())
    }

    /// Batches from request to reply.
    fn run(&mut self, batches: u64) {
        for _ in 0..batches {
            let frames = (0..self.batch).map(|_| self.frame()).collect();
            self.port.send(ReplicaId(0), frames).unwrap();
            while (0..REPLICAS).filter(|replica| self.turns(*replica)).count() > 0 {}
            assert!(self.port.try_recv().unwrap().is_some(), "each batch is answered at once");
            while self.port.try_recv().unwrap().is_some() {}
        }
    }

    /// All that a replica has to do; whether that was anything.
    fn turns(&mut self, replica: usize) -> bool {
        let mut worked = false;
        while let Some((turn, risen)) = self.hand.replicas[replica].turn_counted(allocations) {
            let [ingress, verify, order, ..] = risen;
            let counted = &mut self.counted[replica];
            counted.ingress += ingress;
            counted.verify += verify;
            match turn.executed {
                0 => counted.order += order,
                _ => counted.order_and_answer += order,
            }
            worked = true;
        }
        worked
    }

    /// Allocations of so many batches in steady state.
    fn steady(auth: ClientAuthKind, batch: u64, batches: u64) -> [Counted; REPLICAS] {
        let mut lab = Lab::new(auth, batch);
        lab.run(BEFORE);
        lab.counted = Default::default();
        lab.run(batches);
        lab.counted
    }
}

/// What the transactions cost at each replica by which so many large batches have more than as many
/// small ones; and how many transactions these are.
fn of_more(auth: ClientAuthKind, batches: u64, of: fn(&Counted) -> u64) -> ([u64; REPLICAS], u64) {
    let count = |batch| Lab::steady(auth, batch, batches).map(|counted| of(&counted));
    let (small, large) = (count(SMALL), count(LARGE));
    let more = std::array::from_fn(|replica| large[replica].checked_sub(small[replica]).unwrap());
    (more, batches * (LARGE - SMALL))
}

const EACH: [ClientAuthKind; 3] =
    [ClientAuthKind::Signature, ClientAuthKind::Mac, ClientAuthKind::None];

/// The primary gets requests one by one: each is a view of its own frame, which it keeps beyond the
/// flush that brought it. Backups get the batch, whose bytes and requests lie together.
#[test]
fn a_transaction_is_received_and_decoded_without_an_allocation() {
    for auth in EACH {
        let of = |counted: &Counted| counted.ingress;
        assert_eq!(of_more(auth, BETWEEN, of).0, [0; REPLICAS], "{auth:?}");
    }
}

#[test]
fn a_transaction_is_verified_and_ordered_without_an_allocation() {
    for auth in EACH {
        let of = |counted: &Counted| counted.verify + counted.order;
        assert_eq!(of_more(auth, BETWEEN, of).0, [0; REPLICAS], "{auth:?}");
    }
}

/// What the exactly-once table keeps of an answer: a page for 64 of a client's, and from a checkpoint
/// on its encoding, for which memory grows.
#[test]
fn what_is_kept_of_an_answer_costs_less_than_a_quarter_of_an_allocation() {
    let of = |counted: &Counted| counted.order + counted.order_and_answer;
    let (kept, transactions) = of_more(ClientAuthKind::None, 2 * INTERVAL, of);
    assert!(kept.iter().all(|kept| 4 * kept < transactions), "{kept:?} of {transactions}");
}
