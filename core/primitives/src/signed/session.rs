//! The MAC sessions between clients and replicas.
//!
//! A client and a replica share one key, used in both directions: the prefix that every tag covers
//! names the sender and the kind of message, so none can be reflected.

use super::{Context, Domain, Signer};
use crate::mac::{Authenticator, MacKey, RECEIVERS_MAX, Tag};

/// A replica's keys, one per client.
#[derive(Debug)]
pub struct ReplicaSessions {
    context: Context,
    replica: u16,
    keys: Vec<MacKey>,
}

impl ReplicaSessions {
    /// The keys that `replica` shares with clients `0..clients`, derived from the cluster's seed
    /// (see [`MacKey::of_session`] for what the seed stands for).
    pub fn new(context: Context, seed: &[u8; 32], replica: u16, clients: u32) -> ReplicaSessions {
        let key = |client| MacKey::of_session(seed, context.cluster, client, replica);
        ReplicaSessions { context, replica, keys: (0..clients).map(key).collect() }
    }

    /// The same sessions for a simulation, see [`super::stand_in`].
    #[must_use]
    pub fn stand_in(self) -> ReplicaSessions {
        let keys = self.keys.into_iter().map(MacKey::stand_in).collect();
        ReplicaSessions { keys, ..self }
    }

    /// Whose keys they are.
    pub fn replica(&self) -> u16 {
        self.replica
    }

    /// Whether `tag` is that of a message from `client` to this replica: its entry of the client's
    /// authenticator. `false` too for a client without a session.
    pub fn accepts(&self, client: u32, domain: Domain, message: &[u8], tag: &Tag) -> bool {
        let prefix = self.context.prefix(domain, Signer::Client(client));
        self.key(client).is_some_and(|key| key.accepts(&[&prefix, message], tag))
    }

    /// The tag of a message from this replica to `client`; `None` without a session.
    pub fn tag(&self, client: u32, domain: Domain, message: &[u8]) -> Option<Tag> {
        let prefix = self.context.prefix(domain, Signer::Replica(self.replica));
        self.key(client).map(|key| key.tag(&[&prefix, message]))
    }

    fn key(&self, client: u32) -> Option<&MacKey> {
        self.keys.get(usize::try_from(client).ok()?)
    }
}

/// A client's keys, one per replica.
#[derive(Debug)]
pub struct ClientSessions {
    context: Context,
    client: u32,
    keys: Vec<MacKey>,
}

impl ClientSessions {
    /// The keys that `client` shares with replicas `0..replicas`, derived from the cluster's seed.
    ///
    /// # Panics
    /// When there are more than [`RECEIVERS_MAX`] replicas.
    pub fn new(context: Context, seed: &[u8; 32], client: u32, replicas: u16) -> ClientSessions {
        assert!(usize::from(replicas) <= RECEIVERS_MAX, "{replicas} replicas");
        let key = |replica| MacKey::of_session(seed, context.cluster, client, replica);
        ClientSessions { context, client, keys: (0..replicas).map(key).collect() }
    }

    /// The same sessions for a simulation, see [`super::stand_in`].
    #[must_use]
    pub fn stand_in(self) -> ClientSessions {
        let keys = self.keys.into_iter().map(MacKey::stand_in).collect();
        ClientSessions { keys, ..self }
    }

    /// One tag per replica for a message of this client.
    pub fn authenticate(&self, domain: Domain, message: &[u8]) -> Authenticator {
        let prefix = self.context.prefix(domain, Signer::Client(self.client));
        Authenticator::new(self.keys.iter().map(|key| key.tag(&[&prefix, message])).collect())
    }

    /// Whether `tag` is that of a message from `replica` to this client.
    pub fn accepts(&self, replica: u16, domain: Domain, message: &[u8], tag: &Tag) -> bool {
        let prefix = self.context.prefix(domain, Signer::Replica(replica));
        self.keys.get(usize::from(replica)).is_some_and(|key| key.accepts(&[&prefix, message], tag))
    }
}
