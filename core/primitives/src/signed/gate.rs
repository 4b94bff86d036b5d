//! The verifier: claims in, verdicts out.

use std::collections::HashMap;
use std::sync::Arc;

use ed25519_dalek::{Signature as DalekSignature, Verifier as _, VerifyingKey};

use super::{
    Claimed, Context, Domain, KeyDirectory, Refusal, ReplicaSessions, Signed, Signer, Statement,
    Verified, stand_in,
};
use crate::ed25519::{
    BatchVerifier, KEY_CACHE_CAPACITY, PublicKey, QUEUE_SIGNATURES_MAX, Signature, VerifyCounters,
    VerifyMethod,
};
use crate::mac::Tag;
use crate::wire::FRAME_BYTES_MAX;

/// The most claims of one value: as many signatures as its frame has room for.
pub const CLAIMS_MAX: usize = FRAME_BYTES_MAX / 64;

/// Signatures queued at which the verifier stops to collect and verifies.
const QUEUE_SIGNATURES_FLUSH: usize = 16_384;

// One value may still be listed below the flush, so no input can overrun the queue.
const _: () = assert!(QUEUE_SIGNATURES_FLUSH + CLAIMS_MAX <= QUEUE_SIGNATURES_MAX);

/// How clients authenticate their requests in this cluster.
#[derive(Debug, Clone, Default)]
pub enum ClientAuth {
    /// By signature: every replica can check every request.
    #[default]
    Signature,
    /// By MAC: each replica can check its own entry, with these keys.
    Mac(Arc<ReplicaSessions>),
    /// Not at all. Not BFT; for comparison with systems that check nothing.
    None,
}

/// By which path signatures are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyPath {
    /// All signatures of a batch together: few under keys that are seen often by tables, many and
    /// the rest by one equation. See [`VerifyMethod::Auto`].
    #[default]
    Batch,
    /// One equation for many signatures, and no tables; the verdicts are the same.
    Equation,
    /// Each signature by itself; the verdicts are the same.
    Single,
    /// ed25519-dalek's `verify`, for comparison only: it decides by another rule, and replicas that
    /// use it together with others can be split.
    DalekSingle,
    /// Stand-in signatures of a simulation, see [`super::stand_in`]. No measured run takes it.
    StandIn,
}

/// Exact counts of a gate's work since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateCounters {
    /// Of the signatures.
    pub signatures: VerifyCounters,
    /// MACs checked.
    pub macs_verified: u64,
    /// Of these, refused ones.
    pub macs_invalid: u64,
    /// Values that passed.
    pub accepted: u64,
    /// Values that did not.
    pub refused: u64,
}

impl GateCounters {
    /// Adds the counts of another gate.
    pub fn merge(&mut self, other: &GateCounters) {
        self.signatures.merge(&other.signatures);
        self.macs_verified += other.macs_verified;
        self.macs_invalid += other.macs_invalid;
        self.accepted += other.accepted;
        self.refused += other.refused;
    }
}

/// Turns received values into verified ones. One per verifying thread.
#[derive(Debug)]
pub struct Verifier {
    context: Context,
    directory: Arc<KeyDirectory>,
    client_auth: ClientAuth,
    path: VerifyPath,
    batch: BatchVerifier,
    yardstick: Yardstick,
    message: Vec<u8>,
    notes: Vec<Note>,
    macs_missed: Vec<usize>,
    verdicts: Vec<bool>,
    counters: GateCounters,
}

/// What the claims of one value came to, before the signatures are known.
#[derive(Debug, Clone, Copy, Default)]
struct Note {
    refusal: Option<Refusal>,
    /// Where the signatures of the value end in the queue.
    signatures_end: usize,
    /// Where its MACs that did not match end in their list.
    macs_missed_end: usize,
}

impl Verifier {
    /// A verifier for one cluster. `seed` is that of the batch weights: secret and of its own for
    /// each verifier where somebody attacks, fixed where runs have to repeat.
    pub fn new(
        context: Context,
        directory: Arc<KeyDirectory>,
        client_auth: ClientAuth,
        seed: [u8; 32],
    ) -> Verifier {
        Verifier {
            context,
            directory,
            client_auth,
            path: VerifyPath::default(),
            batch: BatchVerifier::new(seed),
            yardstick: Yardstick::default(),
            message: Vec::new(),
            notes: Vec::new(),
            macs_missed: Vec::new(),
            verdicts: Vec::new(),
            counters: GateCounters::default(),
        }
    }

    /// The same verifier by another path.
    pub fn with_path(self, path: VerifyPath) -> Verifier {
        let method = match path {
            VerifyPath::Batch | VerifyPath::DalekSingle | VerifyPath::StandIn => VerifyMethod::Auto,
            VerifyPath::Equation => VerifyMethod::Equation,
            VerifyPath::Single => VerifyMethod::Single,
        };
        Verifier { path, batch: self.batch.with_method(method), ..self }
    }

    /// Bytes that the tables of often seen keys take now.
    pub fn table_bytes(&self) -> usize {
        self.batch.table_bytes()
    }

    /// Counts since the start.
    pub fn counters(&self) -> GateCounters {
        let mut counters = self.counters;
        counters.signatures.merge(&self.batch.counters());
        counters.signatures.merge(&self.yardstick.counters);
        counters
    }

    /// Checks every claim of every value, all signatures in one batch, and empties `items`.
    /// `verdict` gets each value once, in order: verified, or with the reason why not.
    ///
    /// Values with very many signatures are spread over several batches, so that the queue stays
    /// bounded; no verdict depends on it.
    pub fn verify<T: Claimed>(
        &mut self,
        items: &mut Vec<T>,
        mut verdict: impl FnMut(Result<Verified<T>, (T, Refusal)>),
    ) {
        while !items.is_empty() {
            let count = self.collect(items);
            self.batch.verify(&mut self.verdicts);
            let mut before = Note::default();
            for (nth, mut item) in items.drain(..count).enumerate() {
                let note = self.notes[nth];
                verdict(match self.judge(&mut item, before, note) {
                    None => Ok(Verified(item)),
                    Some(refusal) => Err((item, refusal)),
                });
                before = note;
            }
        }
    }

    /// Checks every claim of one value, as [`Verifier::verify`] does of many.
    ///
    /// # Errors
    /// Why it is not verified.
    pub fn verify_one<T: Claimed>(&mut self, mut item: T) -> Result<Verified<T>, Refusal> {
        self.macs_missed.clear();
        let note = self.list(&item);
        self.verdicts.clear();
        if !self.batch.is_empty() {
            self.batch.verify(&mut self.verdicts);
        }
        match self.judge(&mut item, Note::default(), note) {
            None => Ok(Verified(item)),
            Some(refusal) => Err(refusal),
        }
    }

    /// Lists the claims of the first values, as many as one queue takes; returns how many.
    fn collect<T: Claimed>(&mut self, items: &[T]) -> usize {
        self.notes.clear();
        self.macs_missed.clear();
        for item in items {
            let note = self.list(item);
            self.notes.push(note);
            if self.batch.len() >= QUEUE_SIGNATURES_FLUSH {
                break;
            }
        }
        self.notes.len()
    }

    /// Lists the claims of one value behind those that are listed.
    fn list<T: Claimed>(&mut self, item: &T) -> Note {
        let (first_signature, missed) = (self.batch.len(), self.macs_missed.len());
        let mut claims = Claims { first_signature, macs: 0, checked: 0, refusal: None, gate: self };
        item.claims(&mut claims);
        let Claims { macs, refusal, .. } = claims;
        if refusal.is_some() {
            self.batch.truncate(first_signature);
        }
        let (signatures_end, macs_missed_end) = (self.batch.len(), self.macs_missed.len());
        self.counters.macs_verified += macs as u64;
        self.counters.macs_invalid += (macs_missed_end - missed) as u64;
        Note { refusal, signatures_end, macs_missed_end }
    }

    /// The verdict on one value, whose claims lie between the ends of `before` and of `note`: why it
    /// is refused, if it is.
    fn judge<T: Claimed>(&mut self, item: &mut T, before: Note, note: Note) -> Option<Refusal> {
        let signatures = &self.verdicts[before.signatures_end..note.signatures_end];
        let missed = &self.macs_missed[before.macs_missed_end..note.macs_missed_end];
        let refusal = if note.refusal.is_some() {
            note.refusal
        } else if signatures.contains(&false) {
            Some(Refusal::Signature)
        } else if missed.iter().all(|nth| item.forgive_mac(*nth)) {
            None
        } else {
            Some(Refusal::Mac)
        };
        match refusal {
            None => self.counters.accepted += 1,
            Some(_) => self.counters.refused += 1,
        }
        refusal
    }
}

/// Where a value lists its claims. Each is looked up and queued, or checked, as it is listed.
#[derive(Debug)]
pub struct Claims<'a> {
    gate: &'a mut Verifier,
    first_signature: usize,
    macs: usize,
    /// Signatures that were checked as they were listed.
    checked: usize,
    refusal: Option<Refusal>,
}

impl Claims<'_> {
    /// Claims that a statement is signed by the signer it names.
    pub fn signed<B: Statement>(&mut self, signed: &Signed<B>) {
        self.statement(&signed.body, &signed.signature);
    }

    /// As [`Claims::signed`], for certificates that keep one body and many signatures.
    pub fn statement<B: Statement>(&mut self, body: &B, signature: &Signature) {
        let signer = body.signer();
        let by_client = matches!(signer, Signer::Client(_));
        if by_client && !matches!(self.gate.client_auth, ClientAuth::Signature) {
            return self.note(Refusal::ClientAuth);
        }
        if self.refusal.is_some() || self.is_full() {
            return;
        }
        let gate = &mut *self.gate;
        let Some(key) = gate.directory.key(signer) else {
            return self.note(Refusal::UnknownSigner(signer));
        };
        let prefix = gate.context.prefix(B::DOMAIN, signer);
        gate.message.clear();
        if gate.path == VerifyPath::StandIn {
            gate.message.extend_from_slice(&prefix);
        }
        body.encode(&mut gate.message);
        let accepted = match gate.path {
            VerifyPath::Batch | VerifyPath::Equation | VerifyPath::Single => {
                gate.batch.queue(key, &[&prefix, &gate.message], signature);
                return;
            }
            VerifyPath::DalekSingle => {
                gate.yardstick.accepts(key, &prefix, &mut gate.message, signature)
            }
            VerifyPath::StandIn => stand_in::accepts(key, &gate.message, signature),
        };
        self.checked += 1;
        if !accepted {
            self.note(Refusal::Signature);
        }
    }

    /// Claims that a request's authenticator matches: `message` is what the client MACed under
    /// [`Domain::Request`], and `tag` finds a replica's entry. Only this replica's can be checked here;
    /// when it is not there or does not match, the value decides by [`Claimed::forgive_mac`].
    pub fn mac(&mut self, client: u32, message: &[u8], tag: impl FnOnce(u16) -> Option<Tag>) {
        if self.is_full() {
            return;
        }
        let ClientAuth::Mac(sessions) = &self.gate.client_auth else {
            return self.note(Refusal::ClientAuth);
        };
        let tag = tag(sessions.replica());
        if !tag.is_some_and(|tag| sessions.accepts(client, Domain::Request, message, &tag)) {
            self.gate.macs_missed.push(self.macs);
        }
        self.macs += 1;
    }

    /// Claims nothing: the request is not authenticated, which one setting allows.
    pub fn unauthenticated(&mut self) {
        if !matches!(self.gate.client_auth, ClientAuth::None) {
            self.note(Refusal::ClientAuth);
        }
    }

    /// Refuses the value for what no signature can mend, such as a digest that does not match.
    pub fn refuse(&mut self, reason: &'static str) {
        self.note(Refusal::Structure(reason));
    }

    /// The first reason stays: it is what is reported.
    fn note(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    fn is_full(&mut self) -> bool {
        let queued = self.gate.batch.len() - self.first_signature;
        let full = queued + self.macs + self.checked >= CLAIMS_MAX;
        if full {
            self.note(Refusal::TooManyClaims);
        }
        full
    }
}

/// ed25519-dalek's single verification with its keys kept, as anyone using it would keep them.
#[derive(Debug, Default)]
struct Yardstick {
    keys: HashMap<PublicKey, Option<VerifyingKey>>,
    counters: VerifyCounters,
}

impl Yardstick {
    fn accepts(
        &mut self,
        key: &PublicKey,
        prefix: &[u8],
        message: &mut Vec<u8>,
        signature: &Signature,
    ) -> bool {
        message.splice(..0, prefix.iter().copied());
        // As in `KeyCache`: when full, all keys go.
        if self.keys.len() >= KEY_CACHE_CAPACITY && !self.keys.contains_key(key) {
            self.keys.clear();
        }
        let prepared =
            self.keys.entry(*key).or_insert_with(|| VerifyingKey::from_bytes(&key.0).ok());
        let valid = prepared.is_some_and(|key| {
            key.verify(message, &DalekSignature::from_bytes(&signature.0)).is_ok()
        });
        self.counters.signatures_verified += 1;
        self.counters.signatures_invalid += u64::from(!valid);
        self.counters.singles += 1;
        valid
    }
}
