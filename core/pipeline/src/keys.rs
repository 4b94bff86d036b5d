//! The keys of a cluster, all derived from its seed, so that a run can be repeated.

use std::sync::Arc;

use quorumark_consensus::request::{ClientProof, Request, RequestStatement};
use quorumark_consensus::types::ClientId;
use quorumark_primitives::ed25519::SecretKey;
use quorumark_primitives::hash::blake3_keyed;
use quorumark_primitives::signed::{
    ClientSessions, Context, Domain, KeyDirectory, ProtocolId, ReplicaSessions, Sealer, Signer,
};

use crate::config::{Checked, ClientAuthKind, ClusterConfig};

/// Every key of a cluster: a benchmark's set-up, in which one process plays every part. Each part is
/// handed its own keys alone.
#[derive(Debug, Clone)]
pub struct ClusterKeys {
    context: Context,
    root: [u8; 32],
    replicas: u16,
    clients: u32,
    signers: u32,
    auth: ClientAuthKind,
    directory: Arc<KeyDirectory>,
}

impl ClusterKeys {
    /// The keys of the cluster that `config` describes, for one protocol.
    pub fn new(config: &Checked<ClusterConfig>, protocol: ProtocolId) -> ClusterKeys {
        let mut root = [0; 32];
        root[..8].copy_from_slice(&config.seed.to_le_bytes());
        root[8..16].copy_from_slice(&config.cluster.to_le_bytes());
        let replicas = config.replicas as u16;
        let public = |kind, id| secret(&root, kind, id).public();
        let signers: Vec<_> = (0..config.signers).map(|id| public(b"client", id)).collect();
        let clients = (0..config.clients).map(|id| signers[(id % config.signers) as usize]);
        let directory = KeyDirectory::new(
            (0..u32::from(replicas)).map(|id| public(b"replica", id)).collect(),
            clients.collect(),
        );
        ClusterKeys {
            context: Context { cluster: config.cluster, protocol },
            root,
            replicas,
            clients: config.clients,
            signers: config.signers,
            auth: config.client_auth,
            directory: Arc::new(directory),
        }
    }

    /// Everybody's public keys.
    pub fn directory(&self) -> &Arc<KeyDirectory> {
        &self.directory
    }

    /// What every signature of the cluster binds.
    pub fn context(&self) -> Context {
        self.context
    }

    /// What replica `id` signs with.
    pub(crate) fn sealer(&self, id: u16) -> Sealer {
        let key = secret(&self.root, b"replica", u32::from(id));
        Sealer::new(self.context, Signer::Replica(id), key)
    }

    /// The MAC keys that replica `id` shares with the clients.
    pub(crate) fn sessions(&self, id: u16) -> Arc<ReplicaSessions> {
        Arc::new(ReplicaSessions::new(self.context, &self.root, id, self.clients))
    }

    /// The seed of the batch weights of one verifying thread.
    pub(crate) fn weights(&self, replica: u16, thread: usize) -> [u8; 32] {
        let id = (u32::from(replica) << 16) | thread as u32;
        blake3_keyed(&self.root, &[b"weights".as_slice(), &id.to_le_bytes()].concat()).0
    }

    /// The keys of one client.
    ///
    /// # Panics
    /// When the cluster has no such client.
    pub fn client(&self, id: ClientId) -> ClientKeys {
        assert!(id.0 < self.clients, "client {id} of {}", self.clients);
        let key = secret(&self.root, b"client", id.0 % self.signers);
        ClientKeys {
            id,
            auth: self.auth,
            sealer: Sealer::new(self.context, Signer::Client(id.0), key),
            sessions: ClientSessions::new(self.context, &self.root, id.0, self.replicas),
        }
    }
}

fn secret(root: &[u8; 32], kind: &[u8], id: u32) -> SecretKey {
    SecretKey::from_seed(&blake3_keyed(root, &[kind, &id.to_le_bytes()].concat()).0)
}

/// What one client holds: its signing key, and a MAC key for each replica.
#[derive(Debug)]
pub struct ClientKeys {
    id: ClientId,
    auth: ClientAuthKind,
    sealer: Sealer,
    sessions: ClientSessions,
}

impl ClientKeys {
    /// Whose keys they are.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// The proof that a request is this client's, as the cluster wants it.
    ///
    /// # Panics
    /// When the request names another client.
    pub fn prove(&mut self, request: &Request) -> ClientProof {
        assert_eq!(request.client, self.id, "a client proves its own requests");
        let digest = request.digest();
        match self.auth {
            ClientAuthKind::Signature => {
                let statement = RequestStatement { client: self.id, digest };
                ClientProof::Signature(self.sealer.sign(&statement))
            }
            ClientAuthKind::Mac => {
                ClientProof::Mac(self.sessions.authenticate(Domain::Request, &digest.0))
            }
            ClientAuthKind::None => ClientProof::None,
        }
    }

    pub(crate) fn sessions(&self) -> &ClientSessions {
        &self.sessions
    }
}
