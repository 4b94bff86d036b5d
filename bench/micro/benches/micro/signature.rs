//! Signatures and MACs.
//!
//! Timed: `sign`, from a message to the signature under an expanded key. `verify`, one signature
//! under a key that is already decompressed. `batch_verify`, from messages, keys and signatures as
//! bytes to the verdicts, hashing included, by a verifier that has seen the keys before. `bisect`,
//! the same with some signatures spoiled and named. `attack`, what a share of invalid signatures
//! (per 1024) makes a batch cost by each of our paths. `mac_tag`, one tag of a message.
//!
//! The path `dalek` is ed25519-dalek's, with its keys decompressed and its signatures parsed
//! beforehand. It decides by another rule (see `primitives::ed25519`) and is a yardstick only.

use std::hint::black_box;

use criterion::Throughput;
use ed25519_dalek::{Signature, Verifier, VerifyingKey, verify_batch};
use quorumark_micro::Id;
use quorumark_micro::fixtures::message;
use quorumark_micro::fixtures::signatures::{SignedMessage, secret, signed, spoil, verify};
use quorumark_primitives::ed25519::{
    BatchVerifier, PreparedKey, TABLE_BATCHES, VerifyMethod, verify_single,
};
use quorumark_primitives::mac::MacKey;

use crate::suite::{Bench, Routine};

pub(crate) const ROUTINES: &[Routine] = &[
    ("signature::mac_tag", mac_tag),
    ("signature::sign", sign),
    ("signature::verify", verify_one),
    ("signature::batch_verify", batch_verify),
    ("signature::bisect", bisect),
    ("signature::attack", attack),
];

const ONE: Throughput = Throughput::Elements(1);

fn mac_tag(id: &Id, bench: Bench<'_, '_>) {
    let fixture = || {
        let (key, message) = (MacKey::new([7; 32]), message(id.number("message")));
        assert!(key.accepts(&[&message], &key.tag(&[&message])), "a tag is refused");
        (key, message)
    };
    bench.measure(ONE, fixture, |(key, message)| key.tag(&[black_box(message)]));
}

fn sign(id: &Id, bench: Bench<'_, '_>) {
    let fixture = || {
        let (secret, message) = (secret(0), message(id.number("message")));
        let key = PreparedKey::new(&secret.public()).expect("an honest key decompresses");
        assert!(verify_single(&key, &[&message], &secret.sign(&message)), "a signature is refused");
        (secret, message)
    };
    bench.measure(ONE, fixture, |(secret, message)| secret.sign(black_box(message)));
}

fn verify_one(id: &Id, bench: Bench<'_, '_>) {
    let one = || signed(1, 1, id.number("message")).remove(0);
    match id.text("path") {
        "own" => {
            let fixture = || {
                let one = one();
                let key = PreparedKey::new(&one.key).expect("an honest key decompresses");
                assert!(verify_single(&key, &[&one.message], &one.signature));
                (key, one)
            };
            bench.measure(ONE, fixture, |(key, one)| {
                verify_single(key, &[black_box(&one.message)], &one.signature)
            });
        }
        _ => {
            let fixture = || {
                let dalek = Dalek::new(vec![one()]);
                assert!(dalek.verify_first());
                dalek
            };
            bench.measure(ONE, fixture, |dalek| dalek.verify_first());
        }
    }
}

fn batch_verify(id: &Id, bench: Bench<'_, '_>) {
    let size = id.number("size");
    let signers = if id.text("signers") == "distinct" { size } else { id.number("signers") };
    let work = Throughput::Elements(size as u64);
    let messages = || signed(size, signers, id.number("message"));
    match id.text("path") {
        "own" => {
            let fixture = || Own::new(messages(), &[]);
            bench.measure(work, fixture, Own::verify);
        }
        _ => {
            let fixture = || {
                let dalek = Dalek::new(messages());
                assert!(dalek.verify_batch(), "dalek refuses a good batch");
                dalek
            };
            bench.measure(work, fixture, |dalek| dalek.verify_batch());
        }
    }
}

fn bisect(id: &Id, bench: Bench<'_, '_>) {
    let size = id.number("size");
    let fixture = || {
        let mut messages = signed(size, id.number("signers"), 64);
        let spoiled = spoil(&mut messages, id.number("invalid"));
        Own::new(messages, &spoiled)
    };
    bench.measure(Throughput::Elements(size as u64), fixture, Own::verify);
}

fn attack(id: &Id, bench: Bench<'_, '_>) {
    let size = id.number("size");
    let invalid = size * id.number("invalid_per_1024") / 1024;
    let method = match id.text("path") {
        "equation" => VerifyMethod::Equation,
        "single" => VerifyMethod::Single,
        _ => VerifyMethod::Auto,
    };
    let fixture = || {
        let mut messages = signed(size, id.number("signers"), 64);
        let spoiled = if invalid == 0 { Vec::new() } else { spoil(&mut messages, invalid) };
        Own::with_method(method, messages, &spoiled)
    };
    bench.measure(Throughput::Elements(size as u64), fixture, Own::verify);
}

/// A batch and this project's verifier, which has verified it before.
struct Own {
    verifier: BatchVerifier,
    messages: Vec<SignedMessage>,
    verdicts: Vec<bool>,
}

impl Own {
    fn new(messages: Vec<SignedMessage>, spoiled: &[usize]) -> Own {
        Own::with_method(VerifyMethod::default(), messages, spoiled)
    }

    fn with_method(method: VerifyMethod, messages: Vec<SignedMessage>, spoiled: &[usize]) -> Own {
        let verifier = BatchVerifier::new([9; 32]).with_method(method);
        let mut own = Own { verifier, messages, verdicts: Vec::new() };
        // So often that the keys have earned their tables.
        (0..=TABLE_BATCHES).for_each(|_| own.verify());
        for (place, verdict) in own.verdicts.iter().enumerate() {
            assert_eq!(*verdict, !spoiled.contains(&place), "the verdict on signature {place}");
        }
        own
    }

    fn verify(&mut self) {
        verify(&mut self.verifier, black_box(&self.messages), &mut self.verdicts);
    }
}

/// A batch as ed25519-dalek takes it.
struct Dalek {
    messages: Vec<Vec<u8>>,
    keys: Vec<VerifyingKey>,
    signatures: Vec<Signature>,
}

impl Dalek {
    fn new(batch: Vec<SignedMessage>) -> Dalek {
        let key = |one: &SignedMessage| VerifyingKey::from_bytes(&one.key.0);
        let keys: Result<_, _> = batch.iter().map(key).collect();
        Dalek {
            keys: keys.expect("an honest key decompresses"),
            signatures: batch.iter().map(|one| Signature::from_bytes(&one.signature.0)).collect(),
            messages: batch.into_iter().map(|one| one.message).collect(),
        }
    }

    fn verify_first(&self) -> bool {
        self.keys[0].verify(black_box(&self.messages[0]), &self.signatures[0]).is_ok()
    }

    fn verify_batch(&self) -> bool {
        let messages: Vec<&[u8]> = self.messages.iter().map(Vec::as_slice).collect();
        verify_batch(black_box(&messages), &self.signatures, &self.keys).is_ok()
    }
}
