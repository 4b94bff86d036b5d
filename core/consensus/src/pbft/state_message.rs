//! What replicas say to each other to transfer a state (PBFT 4.3; TOCS'02 5.3).
//!
//! Nothing here is believed for its signature: a manifest must hash to a certified digest, a part to
//! its digest in the manifest. The signature says whom to blame when it does not.

use alloc::vec::Vec;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::Sha256;
use quorumark_primitives::signed::{Claims, Domain, Sealer, Signed, Signer, Statement};
use quorumark_primitives::wire::{
    Decode, Encode, Reader, WireError, encode_bytes, encode_sequence,
};

use crate::parts::{Cut, PARTS_MAX, StateRoot};
use crate::types::{ReplicaId, Seq};

/// The most bytes of one slice. A part is asked for slice by slice, so that none fills a link.
pub(super) const SLICE_BYTES_MAX: usize = 256 << 10;

/// One of the two trees that a state digest binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Tree {
    /// The application's state.
    Application = 0,
    /// The client table.
    Clients = 1,
}

/// What a replica asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The list of the parts.
    Manifest,
    /// A slice of a part.
    Slice {
        /// Of which tree.
        tree: Tree,
        /// Which part.
        nth: u32,
        /// Where in the part the slice begins, in bytes.
        offset: u64,
    },
}

/// Asks one peer for a piece of the state at a stable checkpoint. Its encoding has 21 or 34 bytes,
/// which no other statement of its domain has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FetchState {
    /// Rises from each question of a replica to its next, so that none is answered twice.
    pub round: u64,
    /// Who is asked.
    pub peer: ReplicaId,
    /// The checkpoint.
    pub seq: Seq,
    /// What of it.
    pub wanted: Wanted,
    /// Who asks.
    pub replica: ReplicaId,
}

/// What the signature of a manifest or slice binds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateStatement {
    /// The checkpoint.
    pub seq: Seq,
    /// The digest of everything that it says.
    pub digest: Digest,
    /// Who says it.
    pub replica: ReplicaId,
}

/// One tree in a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TreeParts {
    /// How many leaves it has.
    pub leaves: u64,
    /// The digest of each part, in order; at most [`PARTS_MAX`].
    pub digests: Vec<Digest>,
}

impl TreeParts {
    /// The cut and the root; `None` when there are not as many digests as parts.
    pub fn summary(&self) -> Option<(Cut, StateRoot)> {
        let cut = Cut::new(self.leaves)?;
        Some((cut, StateRoot { root: cut.root(&self.digests)?, leaves: self.leaves }))
    }
}

/// The digests of all parts of the state at a stable checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateManifest {
    /// The application's state.
    pub application: TreeParts,
    /// The client table.
    pub clients: TreeParts,
    /// Who says it, of which checkpoint.
    pub signed: Signed<StateStatement>,
}

/// A piece of a part; or, with a total of 0, that the checkpoint is no longer kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateSlice {
    /// Of which tree.
    pub tree: Tree,
    /// Which part.
    pub nth: u32,
    /// Where in the part it begins, in bytes.
    pub offset: u64,
    /// Bytes of the whole part.
    pub total: u64,
    /// At most 256 KiB.
    pub bytes: Bytes,
    /// Who says it, of which checkpoint.
    pub signed: Signed<StateStatement>,
}

impl StateManifest {
    /// One that its replica has still to sign.
    pub fn blank(
        seq: Seq,
        application: TreeParts,
        clients: TreeParts,
        replica: ReplicaId,
    ) -> StateManifest {
        let body = StateStatement { seq, digest: Digest::ZERO, replica };
        let mut manifest = StateManifest { application, clients, signed: Signed::blank(body) };
        manifest.signed.body.digest = manifest.digest();
        manifest
    }

    /// The digest of what it says.
    fn digest(&self) -> Digest {
        let mut content = Vec::new();
        self.application.encode(&mut content);
        self.clients.encode(&mut content);
        digest_of(b"quorumark/state-manifest", &content)
    }

    pub(super) fn claims(&self, sink: &mut Claims<'_>) {
        claim(&self.signed, self.digest(), sink);
    }

    pub(super) fn seal(&mut self, sealer: &mut Sealer) {
        sealer.seal(&mut self.signed);
    }
}

impl StateSlice {
    /// One that its replica has still to sign.
    pub fn blank(
        seq: Seq,
        (tree, nth, offset): (Tree, u32, u64),
        total: u64,
        bytes: Bytes,
        replica: ReplicaId,
    ) -> StateSlice {
        let signed = Signed::blank(StateStatement { seq, digest: Digest::ZERO, replica });
        let mut slice = StateSlice { tree, nth, offset, total, bytes, signed };
        slice.signed.body.digest = slice.digest();
        slice
    }

    /// The digest of what it says.
    fn digest(&self) -> Digest {
        let mut content = Vec::with_capacity(32 + self.bytes.len());
        self.encode_content(&mut content);
        digest_of(b"quorumark/state-slice", &content)
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        self.tree.encode(out);
        self.nth.encode(out);
        self.offset.encode(out);
        self.total.encode(out);
        encode_bytes(&self.bytes, out);
    }

    pub(super) fn claims(&self, sink: &mut Claims<'_>) {
        claim(&self.signed, self.digest(), sink);
    }

    pub(super) fn seal(&mut self, sealer: &mut Sealer) {
        sealer.seal(&mut self.signed);
    }
}

fn digest_of(tag: &[u8], content: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(tag);
    hash.update(content);
    hash.finish()
}

/// Before the signature: content that its sender did not sign costs a digest.
fn claim(signed: &Signed<StateStatement>, content: Digest, sink: &mut Claims<'_>) {
    if signed.body.digest != content {
        return sink.refuse("a piece of a state is not what its sender signed");
    }
    sink.signed(signed);
}

impl Statement for FetchState {
    const DOMAIN: Domain = Domain::Fetch;
    fn signer(&self) -> Signer {
        Signer::Replica(self.replica.0)
    }
}

impl Statement for StateStatement {
    const DOMAIN: Domain = Domain::State;
    fn signer(&self) -> Signer {
        Signer::Replica(self.replica.0)
    }
}

impl Encode for Tree {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}

impl Decode for Tree {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            0 => Ok(Tree::Application),
            1 => Ok(Tree::Clients),
            tag => Err(WireError::Tag { tag, of: "tree" }),
        }
    }
}

impl Encode for Wanted {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Wanted::Manifest => out.push(0),
            Wanted::Slice { tree, nth, offset } => {
                out.push(1);
                tree.encode(out);
                nth.encode(out);
                offset.encode(out);
            }
        }
    }
}

impl Decode for Wanted {
    const SIZE_MIN: usize = 1;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::decode(reader)? {
            0 => Ok(Wanted::Manifest),
            1 => Ok(Wanted::Slice {
                tree: Tree::decode(reader)?,
                nth: u32::decode(reader)?,
                offset: u64::decode(reader)?,
            }),
            tag => Err(WireError::Tag { tag, of: "wanted state" }),
        }
    }
}

impl Encode for FetchState {
    fn encode(&self, out: &mut Vec<u8>) {
        self.round.encode(out);
        self.peer.encode(out);
        self.seq.encode(out);
        self.wanted.encode(out);
        self.replica.encode(out);
    }
}

impl Decode for FetchState {
    const SIZE_MIN: usize = 8 + 2 + 8 + 1 + 2;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(FetchState {
            round: u64::decode(reader)?,
            peer: ReplicaId::decode(reader)?,
            seq: Seq::decode(reader)?,
            wanted: Wanted::decode(reader)?,
            replica: ReplicaId::decode(reader)?,
        })
    }
}

impl Encode for StateStatement {
    fn encode(&self, out: &mut Vec<u8>) {
        self.seq.encode(out);
        self.digest.encode(out);
        self.replica.encode(out);
    }
}

impl Decode for StateStatement {
    const SIZE_MIN: usize = 8 + 32 + 2;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(StateStatement {
            seq: Seq::decode(reader)?,
            digest: Digest::decode(reader)?,
            replica: ReplicaId::decode(reader)?,
        })
    }
}

impl Encode for TreeParts {
    fn encode(&self, out: &mut Vec<u8>) {
        self.leaves.encode(out);
        encode_sequence(&self.digests, out);
    }
}

impl Decode for TreeParts {
    const SIZE_MIN: usize = 8 + 4;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(TreeParts {
            leaves: u64::decode(reader)?,
            digests: reader.sequence(PARTS_MAX, "parts of a state")?,
        })
    }
}

impl Encode for StateManifest {
    fn encode(&self, out: &mut Vec<u8>) {
        self.application.encode(out);
        self.clients.encode(out);
        self.signed.encode(out);
    }
}

impl Decode for StateManifest {
    const SIZE_MIN: usize = 2 * TreeParts::SIZE_MIN + Signed::<StateStatement>::SIZE_MIN;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(StateManifest {
            application: TreeParts::decode(reader)?,
            clients: TreeParts::decode(reader)?,
            signed: Signed::decode(reader)?,
        })
    }
}

impl Encode for StateSlice {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_content(out);
        self.signed.encode(out);
    }
}

impl Decode for StateSlice {
    const SIZE_MIN: usize = 1 + 4 + 8 + 8 + 4 + Signed::<StateStatement>::SIZE_MIN;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(StateSlice {
            tree: Tree::decode(reader)?,
            nth: u32::decode(reader)?,
            offset: u64::decode(reader)?,
            total: u64::decode(reader)?,
            bytes: reader.bytes(SLICE_BYTES_MAX, "slice of a state")?,
            signed: Signed::decode(reader)?,
        })
    }
}
