//! Who has which key.

use super::Signer;
use crate::ed25519::PublicKey;

/// The most replicas of a committee.
pub const REPLICAS_MAX: usize = crate::mac::RECEIVERS_MAX;

/// The most clients of a cluster; a key takes 32 bytes, so this is 32 MiB.
pub const CLIENTS_MAX: usize = 1 << 20;

/// The public keys of a cluster, by replica and client id. Several clients may share a key.
#[derive(Debug, Clone)]
pub struct KeyDirectory {
    replicas: Vec<PublicKey>,
    clients: Vec<PublicKey>,
}

impl KeyDirectory {
    /// A directory in which ids are positions.
    ///
    /// # Panics
    /// When there are more than [`REPLICAS_MAX`] replicas or [`CLIENTS_MAX`] clients.
    pub fn new(replicas: Vec<PublicKey>, clients: Vec<PublicKey>) -> KeyDirectory {
        assert!(replicas.len() <= REPLICAS_MAX, "{} replicas", replicas.len());
        assert!(clients.len() <= CLIENTS_MAX, "{} clients", clients.len());
        KeyDirectory { replicas, clients }
    }

    /// The key of a signer, if the cluster knows it.
    pub fn key(&self, signer: Signer) -> Option<&PublicKey> {
        match signer {
            Signer::Replica(id) => self.replicas.get(usize::from(id)),
            Signer::Client(id) => self.clients.get(usize::try_from(id).ok()?),
        }
    }

    /// Replicas.
    pub fn replicas(&self) -> usize {
        self.replicas.len()
    }

    /// Clients.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }
}
