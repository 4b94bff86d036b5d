//! Signatures: 64-byte messages under keys seen before.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use ed25519_dalek::{Signer, SigningKey, Verifier, VerifyingKey, verify_batch};
use ed25519_zebra::{VerificationKey, VerificationKeyBytes, batch};
use quorumark_micro::fixtures::random;
use quorumark_micro::fixtures::signatures::{SignedMessage, secret, seed, signed, spoil, verify};
use quorumark_primitives::ed25519::{BatchVerifier, PreparedKey, TABLE_BATCHES, verify_single};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};

use super::{Contender, Contest, Goal, MICROSECOND, Row, Unit};

pub(super) const CONTESTS: &[Row] = &[
    ("verify one, known key", one_known_key),
    ("batch of one, unknown key", batch_of_one),
    ("batch of 16, distinct known keys", |name| {
        batches(name, 16, 16, &[Goal::Cycles(9.0 * MICROSECOND)])
    }),
    ("batch of 256 from 4 keys", |name| {
        batches(
            name,
            256,
            4,
            &[Goal::Cycles(8.5 * MICROSECOND), Goal::Share("ed25519-dalek verify_batch", 0.55)],
        )
    }),
    ("batch of 256, distinct keys", |name| {
        batches(name, 256, 256, &[Goal::Cycles(13.5 * MICROSECOND)])
    }),
    ("batch of 256 from 4 keys, one bad", |name| bad_ones(name, 1, ONE_BAD)),
    ("the first such batch after good ones", first_bad),
    ("the same with four bad, time after time", |name| bad_ones(name, 4, &[])),
    ("sign", sign),
];

/// What one bad signature in a batch may cost.
const ONE_BAD: &[Goal] = &[Goal::Share("ours, a good batch", 1.3)];

/// Signs a message.
pub(super) type Sign = Box<dyn Fn(&[u8]) -> [u8; 64]>;

/// Bytes of a message.
const MESSAGE: usize = 64;
/// Good batches after which a verifier no longer expects a bad one.
const CALM: usize = 65;

/// This project's verifier, which has seen the keys, and a batch for it.
struct Own {
    verifier: BatchVerifier,
    messages: Vec<SignedMessage>,
    verdicts: Vec<bool>,
}

impl Own {
    fn new(messages: Vec<SignedMessage>) -> Own {
        let mut own = Own { verifier: BatchVerifier::new([9; 32]), messages, verdicts: Vec::new() };
        // So often that the keys have earned their tables.
        for _ in 0..=TABLE_BATCHES {
            own.accepted();
        }
        own
    }

    /// How many it accepts.
    fn accepted(&mut self) -> usize {
        verify(&mut self.verifier, black_box(&self.messages), &mut self.verdicts);
        self.verdicts.iter().filter(|verdict| **verdict).count()
    }
}

/// A batch as ed25519-dalek takes it.
struct Dalek {
    messages: Vec<Vec<u8>>,
    keys: Vec<VerifyingKey>,
    signatures: Vec<ed25519_dalek::Signature>,
}

impl Dalek {
    fn new(batch: &[SignedMessage]) -> Dalek {
        let key = |one: &SignedMessage| VerifyingKey::from_bytes(&one.key.0);
        let keys: Result<_, _> = batch.iter().map(key).collect();
        let signature =
            |one: &SignedMessage| ed25519_dalek::Signature::from_bytes(&one.signature.0);
        Dalek {
            keys: keys.expect("an honest key decompresses"),
            signatures: batch.iter().map(signature).collect(),
            messages: batch.iter().map(|one| one.message.clone()).collect(),
        }
    }

    fn one_by_one(&self) -> usize {
        let parts = self.keys.iter().zip(&self.messages).zip(&self.signatures);
        parts.filter(|((key, message), signature)| key.verify(message, signature).is_ok()).count()
    }

    fn together(&self) -> bool {
        let messages: Vec<&[u8]> = self.messages.iter().map(Vec::as_slice).collect();
        verify_batch(black_box(&messages), &self.signatures, &self.keys).is_ok()
    }
}

/// A batch as ed25519-zebra takes it.
struct Zebra(Vec<(VerificationKeyBytes, VerificationKey, ed25519_zebra::Signature, Vec<u8>)>);

impl Zebra {
    fn new(messages: &[SignedMessage]) -> Zebra {
        let part = |one: &SignedMessage| {
            let bytes = VerificationKeyBytes::from(one.key.0);
            let key = VerificationKey::try_from(bytes).expect("an honest key decompresses");
            (bytes, key, ed25519_zebra::Signature::from(one.signature.0), one.message.clone())
        };
        Zebra(messages.iter().map(part).collect())
    }

    fn one_by_one(&self) -> usize {
        self.0
            .iter()
            .filter(|(_, key, signature, text)| key.verify(signature, text).is_ok())
            .count()
    }

    fn together(&self) -> bool {
        let mut verifier = batch::Verifier::new();
        for (key, _, signature, message) in &self.0 {
            verifier.queue((*key, *signature, message));
        }
        verifier.verify(random(11)).is_ok()
    }
}

fn one_known_key(name: &'static str) -> Contest {
    const COUNT: usize = 64;
    let messages = signed(COUNT, 1, MESSAGE);
    let each: Vec<Vec<SignedMessage>> = messages.iter().map(|one| vec![one.clone()]).collect();
    let mut own = Own::new(each[0].clone());
    let ours = move || {
        for one in &each {
            verify(&mut own.verifier, black_box(one), &mut own.verdicts);
            assert_eq!(own.verdicts, [true]);
        }
    };
    let prepared = PreparedKey::new(&messages[0].key).expect("an honest key decompresses");
    let (dalek, zebra) = (Dalek::new(&messages), Zebra::new(&messages));
    let ring: Vec<_> =
        messages.iter().map(|one| UnparsedPublicKey::new(&ED25519, one.key.0)).collect();
    let contenders = vec![
        Contender::new("ours, by a table of the key", ours),
        Contender::new("ed25519-dalek verify", move || assert_eq!(dalek.one_by_one(), COUNT)),
        Contender::new("ed25519-zebra verify", move || assert_eq!(zebra.one_by_one(), COUNT)),
        Contender::new("ring verify", {
            let messages = messages.clone();
            move || {
                for (key, one) in ring.iter().zip(&messages) {
                    key.verify(&one.message, &one.signature.0).expect("an honest signature");
                }
            }
        }),
        #[cfg(feature = "aws-lc")]
        Contender::new("aws-lc-rs verify", super::aws_lc::verify(&messages)),
        Contender::new("ours, without a table", move || {
            for one in &messages {
                assert!(verify_single(&prepared, &[black_box(&one.message)], &one.signature));
            }
        }),
    ];
    Contest {
        name,
        unit: Unit::Microseconds,
        items: COUNT,
        goals: &[Goal::Cycles(11.0 * MICROSECOND)],
        contenders,
    }
}

fn batch_of_one(name: &'static str) -> Contest {
    const COUNT: usize = 64;
    let messages = signed(COUNT, COUNT, MESSAGE);
    let prepared: Vec<PreparedKey> = messages
        .iter()
        .map(|one| PreparedKey::new(&one.key).expect("an honest key decompresses"))
        .collect();
    let dalek: Vec<Dalek> =
        messages.iter().map(|one| Dalek::new(core::slice::from_ref(one))).collect();
    let mut verifier = BatchVerifier::new([9; 32]).with_table_bytes_max(0);
    let mut verdicts = Vec::new();
    let batches = messages.clone();
    let contenders = vec![
        Contender::new("ours", move || {
            for one in &batches {
                verify(&mut verifier, core::slice::from_ref(black_box(one)), &mut verdicts);
                assert_eq!(verdicts, [true]);
            }
        }),
        Contender::new("ours, single", move || {
            for (key, one) in prepared.iter().zip(&messages) {
                assert!(verify_single(key, &[black_box(&one.message)], &one.signature));
            }
        }),
        Contender::new("ed25519-dalek verify_batch", move || {
            assert!(dalek.iter().all(Dalek::together));
        }),
    ];
    // As single, within what a queue and a verdict cost.
    let goals = &[Goal::Share("ours, single", 1.05)];
    Contest { name, unit: Unit::Microseconds, items: COUNT, goals, contenders }
}

fn batches(name: &'static str, size: usize, signers: usize, goals: &'static [Goal]) -> Contest {
    // Small batches several times over, so that a run is long enough to time.
    let times = 256 / size;
    let messages = signed(size, signers, MESSAGE);
    let mut own = Own::new(messages.clone());
    let (dalek, zebra) = (Dalek::new(&messages), Zebra::new(&messages));
    let contenders = vec![
        Contender::new("ours", move || {
            (0..times).for_each(|_| assert_eq!(own.accepted(), size));
        }),
        Contender::new("ed25519-dalek verify_batch", move || {
            assert!((0..times).all(|_| dalek.together()));
        }),
        Contender::new("ed25519-zebra batch", move || {
            assert!((0..times).all(|_| zebra.together()));
        }),
    ];
    Contest { name, unit: Unit::Microseconds, items: size * times, goals, contenders }
}

/// A verifier that gets such a batch every time.
fn bad_ones(name: &'static str, bad: usize, goals: &'static [Goal]) -> Contest {
    let (good, spoiled) = good_and_bad(bad);
    let dalek = Dalek::new(&spoiled);
    let (mut own, mut calm) = (Own::new(spoiled), Own::new(good));
    let rest = 256 - bad;
    let contenders = vec![
        Contender::new("ours, the bad named", move || assert_eq!(own.accepted(), rest)),
        Contender::new("ours, a good batch", move || assert_eq!(calm.accepted(), 256)),
        Contender::new("ed25519-dalek verify_batch, then each", move || {
            assert!(!dalek.together());
            assert_eq!(dalek.one_by_one(), rest);
        }),
    ];
    Contest { name, unit: Unit::Microseconds, items: 256, goals, contenders }
}

/// A verifier that expects none: its equation fails, and it has to find out why.
fn first_bad(name: &'static str) -> Contest {
    let (good, bad) = good_and_bad(1);
    let own = Rc::new(RefCell::new(Own::new(good.clone())));
    let mut calm = Own::new(good.clone());
    let surprised = Rc::clone(&own);
    let contenders = vec![
        Contender::prepared(
            "ours, the bad named",
            move || {
                let own = &mut *own.borrow_mut();
                own.messages.clone_from(&good);
                (0..CALM).for_each(|_| assert_eq!(own.accepted(), 256));
                own.messages.clone_from(&bad);
            },
            move || assert_eq!(surprised.borrow_mut().accepted(), 255),
        ),
        Contender::new("ours, a good batch", move || assert_eq!(calm.accepted(), 256)),
    ];
    Contest { name, unit: Unit::Microseconds, items: 256, goals: ONE_BAD, contenders }
}

fn good_and_bad(bad: usize) -> (Vec<SignedMessage>, Vec<SignedMessage>) {
    let good = signed(256, 4, MESSAGE);
    let mut spoiled = good.clone();
    spoil(&mut spoiled, bad);
    (good, spoiled)
}

fn sign(name: &'static str) -> Contest {
    const COUNT: usize = 64;
    let messages: Vec<Vec<u8>> =
        signed(COUNT, 1, MESSAGE).into_iter().map(|one| one.message).collect();
    let key = secret(0);
    let expected: Vec<[u8; 64]> = messages.iter().map(|text| key.sign(text).0).collect();
    let dalek = SigningKey::from_bytes(&seed(0));
    let zebra = ed25519_zebra::SigningKey::from(seed(0));
    let ring = Ed25519KeyPair::from_seed_unchecked(&seed(0)).expect("a seed of 32 bytes");
    let each = |name, sign: Sign| {
        for (message, expected) in messages.iter().zip(&expected) {
            assert_eq!(sign(message), *expected, "{name} signs otherwise");
        }
        let messages = messages.clone();
        Contender::new(name, move || {
            for message in &messages {
                black_box(sign(black_box(message)));
            }
        })
    };
    let ring_signature = |signature: ring::signature::Signature| {
        <[u8; 64]>::try_from(signature.as_ref()).expect("a signature of 64 bytes")
    };
    let contenders = vec![
        each("ours", Box::new(move |text| key.sign(text).0)),
        each("ed25519-dalek", Box::new(move |text| dalek.sign(text).to_bytes())),
        each("ed25519-zebra", Box::new(move |text| zebra.sign(text).to_bytes())),
        each("ring", Box::new(move |text| ring_signature(ring.sign(text)))),
        #[cfg(feature = "aws-lc")]
        each("aws-lc-rs", super::aws_lc::sign(&seed(0))),
    ];
    Contest {
        name,
        unit: Unit::Microseconds,
        items: COUNT,
        goals: &[Goal::Cycles(10.0 * MICROSECOND)],
        contenders,
    }
}
