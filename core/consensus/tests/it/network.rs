//! How the lab's network treats messages.

use quorumark_consensus::ReplicaId;
use quorumark_consensus::pbft::Message;

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

/// Says whether a message from one replica to another is lost.
pub(crate) type Loss = Box<dyn FnMut(ReplicaId, ReplicaId, &Message) -> bool>;
/// Says what a replica sends in place of a message.
pub(crate) type Twist = Box<dyn FnMut(ReplicaId, &Message) -> Option<Message>>;
