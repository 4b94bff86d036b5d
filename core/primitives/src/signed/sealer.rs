//! The way of a replica's own statements: signed here, and verified for having been.

use bytes::Bytes;

use super::stand_in::StandInKey;
use super::{Context, Signed, Signer, Statement, Verified};
use crate::ed25519::{SecretKey, Signature};
use crate::wire::Encode;

/// A value whose blank statements its replica signs before it is sent.
pub trait Sealable {
    /// Signs every statement of the value that is the replica's own, by [`Sealer::seal`].
    fn seal(&mut self, sealer: &mut Sealer);

    /// Bytes of the encoding, where there are many and they are known without encoding: it is then written
    /// into its frame at once. By default they are not.
    fn encoded_bytes(&self) -> Option<usize> {
        None
    }

    /// Told the frame that it was encoded into. What it has in memory of its own, or as views of other
    /// frames, can become views of this one, which then is all that it keeps; by default nothing does.
    fn move_into(&mut self, frame: &Bytes) {
        let _ = frame;
    }
}

/// Signs for one replica or client.
#[derive(Debug)]
pub struct Sealer {
    context: Context,
    signer: Signer,
    hand: Hand,
    message: Vec<u8>,
    signatures: u64,
}

/// With what it signs.
#[derive(Debug)]
enum Hand {
    Ed25519(SecretKey),
    StandIn(StandInKey),
}

impl Sealer {
    /// A sealer that signs as `signer` with `key`.
    pub fn new(context: Context, signer: Signer, key: SecretKey) -> Sealer {
        Sealer { context, signer, hand: Hand::Ed25519(key), message: Vec::new(), signatures: 0 }
    }

    /// A sealer of a simulation, see [`super::stand_in`].
    pub fn stand_in(context: Context, signer: Signer, secret: &[u8; 32]) -> Sealer {
        let hand = Hand::StandIn(StandInKey::new(context, secret, signer));
        Sealer { context, signer, hand, message: Vec::new(), signatures: 0 }
    }

    /// Who it signs as.
    pub fn signer(&self) -> Signer {
        self.signer
    }

    /// Signatures made so far.
    pub fn signatures(&self) -> u64 {
        self.signatures
    }

    /// The signature of a statement.
    ///
    /// # Panics
    /// When the statement names another signer: an engine must not speak for others.
    pub fn sign<B: Statement>(&mut self, body: &B) -> Signature {
        assert_eq!(body.signer(), self.signer, "a statement is sealed by its own signer");
        self.message.clear();
        self.message.extend_from_slice(&self.context.prefix(B::DOMAIN, self.signer));
        body.encode(&mut self.message);
        self.signatures += 1;
        match &self.hand {
            Hand::Ed25519(key) => key.sign(&self.message),
            Hand::StandIn(key) => key.sign(&self.message),
        }
    }

    /// Signs a statement in place.
    ///
    /// # Panics
    /// As [`Sealer::sign`].
    pub fn seal<B: Statement>(&mut self, signed: &mut Signed<B>) {
        signed.signature = self.sign(&signed.body);
    }

    /// Seals a value that this replica's own engine made. It counts as verified: its statements
    /// were signed a moment ago, and what it nests the engine got through the gate.
    ///
    /// # Panics
    /// When sealing signs nothing, because then nothing shows that the value is the replica's own;
    /// and as [`Sealer::sign`].
    pub fn seal_own<T: Sealable>(&mut self, mut value: T) -> Verified<T> {
        let before = self.signatures;
        value.seal(self);
        assert!(self.signatures > before, "an own value carries an own signature");
        Verified(value)
    }

    /// Seals a value as [`Sealer::seal_own`] does, and encodes it: the value, which lives in its frame
    /// from then on ([`Sealable::move_into`]), and the frame. `scratch` is overwritten.
    ///
    /// # Panics
    /// As [`Sealer::seal_own`].
    pub fn seal_own_frame<T: Sealable + Encode>(
        &mut self,
        value: T,
        scratch: &mut Vec<u8>,
    ) -> (Verified<T>, Bytes) {
        let Verified(mut value) = self.seal_own(value);
        let frame = match value.encoded_bytes() {
            Some(bytes) => {
                let mut frame = Vec::with_capacity(bytes);
                value.encode(&mut frame);
                debug_assert_eq!(frame.len(), bytes, "its own account of its encoding");
                Bytes::from(frame)
            }
            // Encoded into a buffer that stays, and copied once into a frame of its exact size.
            None => {
                scratch.clear();
                value.encode(scratch);
                Bytes::copy_from_slice(scratch)
            }
        };
        value.move_into(&frame);
        (Verified(value), frame)
    }
}
