//! What a run is, told by its first event.

use std::borrow::Cow;

use quorumark_consensus::types::{ClientId, Instant, ReplicaId};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::{Context, ProtocolId};
use serde_json::{Map, Value};

use super::field::{Field, FieldError, Fields, record};
use super::name::names;

names! {
    /// Which signatures a run has.
    Crypto {
        /// Unforgeable by construction, fast, of worth in the simulator alone.
        StandIn = 1, "stand-in";
        /// ed25519.
        Real = 2, "real";
    }
}

names! {
    /// How clients authenticate their requests.
    Auth {
        /// By signature.
        Signature = 1, "signature";
        /// By one MAC a replica.
        Mac = 2, "mac";
        /// Not at all; not BFT.
        None = 3, "none";
    }
}

record! {
    /// What a run is. Everything that checkers need to know and no event tells.
    Header {
        /// `pbft`, `hotstuff-basic`, `hotstuff-chained` or `hotstuff-2`.
        protocol: Cow<'static, str>,
        /// The cluster that signatures bind.
        cluster: u64,
        /// The protocol that signatures bind.
        protocol_id: u8,
        /// Replicas, n.
        replicas: u16,
        /// Replicas that are faulty at any time of the run: Byzantine, twins, total loss, lying
        /// disks. All others are honest, also when they crash. Rising.
        faulty: Vec<ReplicaId>,
        /// Clients.
        clients: u32,
        /// Clients that lie. All others are honest. Rising.
        faulty_clients: Vec<ClientId>,
        /// The seed of everything drawn.
        seed: u64,
        /// SHA-256 of the scenario's file.
        scenario: Digest,
        /// Which signatures.
        crypto: Crypto,
        /// How clients authenticate requests.
        auth: Auth,
        /// The end of simulated time, in nanoseconds.
        duration: Instant,
        /// From here on network faults, and crashes and clock faults of honest replicas, have ended.
        gst: Instant,
        /// How long after GST, or after its submission if that is later, a request of an honest
        /// client may wait for its answer, and a lagging replica for the stable checkpoint; in
        /// nanoseconds.
        liveness_bound: Instant,
        /// L: sequence numbers between the watermarks (PBFT 4.2); of other protocols, how far apart
        /// heights may be that a replica votes for.
        window: u64,
        /// K: sequence numbers between checkpoints (PBFT 4.3); 0 without checkpoints.
        checkpoint_interval: u64,
    }
}

impl Header {
    /// What every signature of the run binds.
    pub fn context(&self) -> Context {
        Context { cluster: self.cluster, protocol: ProtocolId(self.protocol_id) }
    }

    /// Whether a replica is honest throughout.
    pub fn is_honest(&self, replica: ReplicaId) -> bool {
        replica.0 < self.replicas && self.faulty.binary_search(&replica).is_err()
    }

    /// Whether a client is honest throughout.
    pub fn is_honest_client(&self, client: ClientId) -> bool {
        self.faulty_clients.binary_search(&client).is_err()
    }
}
