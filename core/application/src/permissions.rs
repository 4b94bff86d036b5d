//! Which client may ask for what.

use std::collections::BTreeMap;

use quorumark_consensus::types::ClientId;
use quorumark_primitives::wire::Encode;

/// The most clients that a table can name.
pub const CLIENTS_MAX: usize = 1 << 16;

/// A set of operation kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowed(u8);

impl Allowed {
    /// No operation at all.
    pub const NONE: Allowed = Allowed(0);
    /// Reading a key.
    pub const GET: Allowed = Allowed(1);
    /// Writing a key.
    pub const PUT: Allowed = Allowed(1 << 1);
    /// Comparing and swapping a key. A set of its own, since it tells whether a guess is right.
    pub const COMPARE_AND_SWAP: Allowed = Allowed(1 << 2);
    /// Appending a transaction to the ledger.
    pub const APPEND: Allowed = Allowed(1 << 3);
    /// Every operation.
    pub const ALL: Allowed = Allowed(0b1111);

    /// What is in this set or in `other`.
    #[must_use]
    pub const fn and(self, other: Allowed) -> Allowed {
        Allowed(self.0 | other.0)
    }

    /// Whether everything in `needed` is in this set.
    pub const fn covers(self, needed: Allowed) -> bool {
        self.0 & needed.0 == needed.0
    }
}

/// What each client may do: access control on top of the signature that names the client.
///
/// It is fixed when the state machine is made and equal at all replicas: the state root binds it,
/// so replicas that were given different tables differ at the first checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permissions {
    others: Allowed,
    by_client: BTreeMap<ClientId, Allowed>,
}

impl Default for Permissions {
    fn default() -> Self {
        Permissions::new(Allowed::ALL)
    }
}

impl Permissions {
    /// A table by which every client may do what `others` says.
    pub const fn new(others: Allowed) -> Permissions {
        Permissions { others, by_client: BTreeMap::new() }
    }

    /// The same table, with `client` allowed exactly this.
    ///
    /// # Panics
    /// When the table names [`CLIENTS_MAX`] clients already.
    #[must_use]
    pub fn with(mut self, client: ClientId, allowed: Allowed) -> Permissions {
        let room = self.by_client.len() < CLIENTS_MAX || self.by_client.contains_key(&client);
        assert!(room, "a permissions table names at most {CLIENTS_MAX} clients");
        self.by_client.insert(client, allowed);
        self
    }

    /// Whether `client` may do all that `needed` says.
    pub fn allow(&self, client: ClientId, needed: Allowed) -> bool {
        // The map is empty in most runs, and this stands on the hot path.
        let allowed = match self.by_client.is_empty() {
            true => self.others,
            false => self.by_client.get(&client).copied().unwrap_or(self.others),
        };
        allowed.covers(needed)
    }
}

impl Encode for Permissions {
    /// The default, the count as `u32`, then each client and its set, by rising client.
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.others.0);
        (self.by_client.len() as u32).encode(out);
        for (client, allowed) in &self.by_client {
            client.encode(out);
            out.push(allowed.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_client_has_exactly_its_own_set_and_the_others_the_default() {
        let reader = ClientId(7);
        let permissions =
            Permissions::new(Allowed::GET.and(Allowed::PUT)).with(reader, Allowed::GET);
        assert!(permissions.allow(reader, Allowed::GET));
        assert!(!permissions.allow(reader, Allowed::PUT));
        assert!(!permissions.allow(reader, Allowed::GET.and(Allowed::PUT)));
        assert!(permissions.allow(ClientId(8), Allowed::GET.and(Allowed::PUT)));
        assert!(!permissions.allow(ClientId(8), Allowed::COMPARE_AND_SWAP));
        assert!(Permissions::default().allow(reader, Allowed::ALL));
    }

    #[test]
    fn the_encoding_does_not_depend_on_the_order_in_which_clients_were_named() {
        let table = Permissions::default();
        let rising = table.clone().with(ClientId(1), Allowed::NONE).with(ClientId(2), Allowed::GET);
        let falling =
            table.clone().with(ClientId(2), Allowed::GET).with(ClientId(1), Allowed::NONE);
        assert_eq!(rising.to_frame(), falling.to_frame());
        assert_ne!(rising.to_frame(), table.to_frame());
    }
}
