//! aws-lc-rs, which takes minutes to build: with the feature `aws-lc` alone.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use quorumark_micro::fixtures::signatures::SignedMessage;

use super::signatures::Sign;

/// Verifies all of them, one by one.
pub(super) fn verify(messages: &[SignedMessage]) -> impl FnMut() + use<> {
    let keys: Vec<_> =
        messages.iter().map(|one| UnparsedPublicKey::new(&ED25519, one.key.0)).collect();
    let messages = messages.to_vec();
    move || {
        for (key, one) in keys.iter().zip(&messages) {
            key.verify(&one.message, &one.signature.0).expect("an honest signature");
        }
    }
}

/// Signs with the key of `seed`.
pub(super) fn sign(seed: &[u8; 32]) -> Sign {
    let key = Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed of 32 bytes");
    Box::new(move |text| key.sign(text).as_ref().try_into().expect("a signature of 64 bytes"))
}
