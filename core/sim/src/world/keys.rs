//! The keys of a simulated cluster, all derived from its seed. Each part is handed its own alone.

use std::sync::Arc;

use quorumark_consensus::pbft::PROTOCOL;
use quorumark_primitives::ed25519::SecretKey;
use quorumark_primitives::hash::{blake3, blake3_keyed};
use quorumark_primitives::signed::stand_in::StandInKey;
use quorumark_primitives::signed::{
    ClientAuth, ClientSessions, Context, KeyDirectory, ReplicaSessions, Sealer, Signer, Verifier,
    VerifyPath,
};

/// The cluster that every simulated signature binds.
const CLUSTER: u64 = 0x51_4d;

/// Everybody's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    context: Context,
    secret: [u8; 32],
    real: bool,
    replicas: u16,
    clients: u32,
    directory: Arc<KeyDirectory>,
}

impl Keys {
    /// The keys of one run.
    pub(crate) fn new(seed: u64, real: bool, replicas: u16, clients: u32) -> Keys {
        let secret = blake3(&[b"quorumark/sim/keys".as_slice(), &seed.to_le_bytes()].concat()).0;
        let context = Context { cluster: CLUSTER, protocol: PROTOCOL };
        let public = |signer| match real {
            true => real_key(&secret, signer).public(),
            false => StandInKey::new(context, &secret, signer).entry(),
        };
        let directory = KeyDirectory::new(
            (0..replicas).map(|id| public(Signer::Replica(id))).collect(),
            (0..clients).map(|id| public(Signer::Client(id))).collect(),
        );
        Keys { context, secret, real, replicas, clients, directory: Arc::new(directory) }
    }

    /// What every signature binds.
    pub(crate) fn context(&self) -> Context {
        self.context
    }

    /// Everybody's public keys.
    pub(crate) fn directory(&self) -> &Arc<KeyDirectory> {
        &self.directory
    }

    /// What one replica or client signs with.
    pub(crate) fn sealer(&self, signer: Signer) -> Sealer {
        match self.real {
            true => Sealer::new(self.context, signer, real_key(&self.secret, signer)),
            false => Sealer::stand_in(self.context, signer, &self.secret),
        }
    }

    /// A verifier of this cluster's signatures.
    pub(crate) fn verifier(&self) -> Verifier {
        // A public seed of the batch weights: runs repeat.
        let directory = Arc::clone(&self.directory);
        let verifier = Verifier::new(self.context, directory, ClientAuth::Signature, self.secret);
        match self.real {
            true => verifier,
            false => verifier.with_path(VerifyPath::StandIn),
        }
    }

    /// The MAC keys that a replica shares with the clients.
    pub(super) fn of_replica(&self, replica: u16) -> ReplicaSessions {
        let sessions = ReplicaSessions::new(self.context, &self.secret, replica, self.clients);
        if self.real { sessions } else { sessions.stand_in() }
    }

    /// The MAC keys that a client shares with the replicas.
    pub(super) fn of_client(&self, client: u32) -> ClientSessions {
        let sessions = ClientSessions::new(self.context, &self.secret, client, self.replicas);
        if self.real { sessions } else { sessions.stand_in() }
    }
}

fn real_key(secret: &[u8; 32], signer: Signer) -> SecretKey {
    let (kind, id) = match signer {
        Signer::Replica(id) => (0u8, u32::from(id)),
        Signer::Client(id) => (1, id),
    };
    SecretKey::from_seed(&blake3_keyed(secret, &[&[kind][..], &id.to_le_bytes()].concat()).0)
}
