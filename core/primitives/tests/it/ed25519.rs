//! The published edge cases, singly and in random batches.

use quorumark_primitives::ed25519::{
    Backend, BatchVerifier, PreparedKey, PublicKey, SecretKey, Signature, backend, verify_single,
};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SPECCHECK: &str = include_str!("../../../testdata/ed25519/cases.json");
const CCTV: &str = include_str!("../../../testdata/ed25519/cctv_VALIDATIONVECTORS.json");
const ZIP215: &str = include_str!("../../../testdata/ed25519/voi_zip215.json");
const SIGN_INPUT: &str = include_str!("../../../testdata/ed25519/sign_input_TESTVECTORS.txt");

/// How often every case takes part in a random batch, at the least.
const COMPOSITIONS: usize = 400;
/// The most signatures of a random batch.
const COMPOSITION_SIZE_MAX: usize = 64;

struct Case {
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
}

impl Case {
    fn single(&self) -> bool {
        PreparedKey::new(&self.key)
            .is_some_and(|key| verify_single(&key, &[&self.message], &self.signature))
    }

    fn queue(&self, verifier: &mut BatchVerifier) {
        verifier.queue(&self.key, &[&self.message], &self.signature);
    }

    fn dalek(&self) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature.0);
        ed25519_dalek::VerifyingKey::from_bytes(&self.key.0).is_ok_and(|key| {
            ed25519_dalek::Verifier::verify(&key, &self.message, &signature).is_ok()
        })
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().unwrap()
}

fn case(key: &str, message: Vec<u8>, signature: &str) -> Case {
    Case { key: PublicKey(array(key)), message, signature: Signature(array(signature)) }
}

fn speccheck() -> Vec<Case> {
    #[derive(serde::Deserialize)]
    struct Row {
        message: String,
        pub_key: String,
        signature: String,
    }
    let rows: Vec<Row> = serde_json::from_str(SPECCHECK).unwrap();
    rows.iter().map(|row| case(&row.pub_key, bytes(&row.message), &row.signature)).collect()
}

/// The cases, each with its flags.
fn cctv() -> Vec<(Case, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Row {
        key: String,
        sig: String,
        msg: String,
        flags: Option<Vec<String>>,
    }
    let rows: Vec<Row> = serde_json::from_str(CCTV).unwrap();
    rows.into_iter()
        .map(|row| (case(&row.key, row.msg.into(), &row.sig), row.flags.unwrap_or_default()))
        .collect()
}

fn zip215() -> Vec<Case> {
    let rows: Vec<(String, String)> = serde_json::from_str(ZIP215).unwrap();
    rows.iter().map(|(key, signature)| case(key, b"Zcash".to_vec(), signature)).collect()
}

fn every_case() -> Vec<Case> {
    let cctv = cctv().into_iter().map(|(case, _)| case);
    speccheck().into_iter().chain(zip215()).chain(cctv).collect()
}

fn verdicts(cases: &[Case], single: impl Fn(&Case) -> bool) -> Vec<bool> {
    cases.iter().map(single).collect()
}

fn count(verdicts: &[bool]) -> usize {
    verdicts.iter().filter(|valid| **valid).count()
}

#[test]
fn the_speccheck_cases_get_their_zip_215_verdicts() {
    let expected = [true, true, true, true, true, true, false, false, false, true, true, true];
    assert_eq!(verdicts(&speccheck(), Case::single), expected);
}

#[test]
fn all_196_zip_215_pairs_are_valid() {
    assert_eq!(zip215().len(), 196);
    assert!(zip215().iter().all(Case::single));
}

#[test]
fn of_the_914_cctv_cases_826_are_valid() {
    let cases = cctv();
    assert_eq!(cases.len(), 914);
    for (case, flags) in &cases {
        let has = |flag: &str| flags.iter().any(|f| f == flag);
        // A challenge over another encoding of R or A is another challenge, unless A has small
        // order: then every challenge leads to zero.
        let expected = !has("reencoded_k") || has("low_order_A");
        assert_eq!(case.single(), expected, "flags {flags:?}");
    }
    assert_eq!(cases.iter().filter(|(case, _)| case.single()).count(), 826);
}

#[test]
fn the_yardstick_decides_by_another_rule() {
    let expected = [true, true, true, true, false, false, false, false, false, false, false, true];
    assert_eq!(verdicts(&speccheck(), Case::dalek), expected);
    assert_eq!(count(&verdicts(&zip215(), Case::dalek)), 12);
    assert_eq!(cctv().iter().filter(|(case, _)| case.dalek()).count(), 208);
}

/// Deals all cases into batches of random size again and again; each of them also repeats one of
/// its cases. Every verdict has to be that of the case alone; each eighth deal is the portable
/// backend's.
fn random_compositions(seed: u64, deals: usize) {
    let backends = [backend(), Backend::PORTABLE];
    let cases = every_case();
    let expected = verdicts(&cases, Case::single);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let with = |backend| BatchVerifier::new([seed as u8; 32]).with_backend(backend);
    let mut verifiers = backends.map(with);
    let mut found = Vec::new();
    let mut deck: Vec<usize> = (0..cases.len()).collect();
    for deal in 0..deals {
        let verifier = &mut verifiers[usize::from(deal % 8 == 0)];
        deck.shuffle(&mut rng);
        let mut rest = deck.as_slice();
        while !rest.is_empty() {
            let size = rng.random_range(1..COMPOSITION_SIZE_MAX).min(rest.len());
            let (dealt, after) = rest.split_at(size);
            let repeated = dealt[rng.random_range(0..size)];
            let batch = || dealt.iter().copied().chain([repeated]);
            batch().for_each(|i| cases[i].queue(verifier));
            verifier.verify(&mut found);
            for (place, i) in batch().enumerate() {
                assert_eq!(found[place], expected[i], "case {i}, seed {seed}, batch {dealt:?}");
            }
            rest = after;
        }
    }
}

// Four tests that share the compositions, so that they run side by side.
#[test]
fn no_verdict_depends_on_the_batch_1_of_4() {
    random_compositions(1, COMPOSITIONS / 4);
}

#[test]
fn no_verdict_depends_on_the_batch_2_of_4() {
    random_compositions(2, COMPOSITIONS / 4);
}

#[test]
fn no_verdict_depends_on_the_batch_3_of_4() {
    random_compositions(3, COMPOSITIONS / 4);
}

#[test]
fn no_verdict_depends_on_the_batch_4_of_4() {
    random_compositions(4, COMPOSITIONS / 4);
}

#[test]
fn one_batch_of_all_cases_has_the_single_verdicts() {
    let cases = every_case();
    let mut verifier = BatchVerifier::new([7; 32]);
    let mut found = Vec::new();
    cases.iter().for_each(|case| case.queue(&mut verifier));
    verifier.verify(&mut found);
    assert_eq!(found, verdicts(&cases, Case::single));
    cases.iter().for_each(|case| case.queue(&mut verifier));
    verifier.verify_each(&mut found);
    assert_eq!(found, verdicts(&cases, Case::single));
}

#[test]
fn the_128_sign_input_lines_are_signed_byte_for_byte_and_verify() {
    let mut verifier = BatchVerifier::new([0; 32]);
    for line in SIGN_INPUT.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let secret = SecretKey::from_seed(&array(&fields[0][..64]));
        let (key, message) = (PublicKey(array(fields[1])), bytes(fields[2]));
        let signature = Signature(array(&fields[3][..128]));
        assert_eq!(secret.public(), key);
        assert_eq!(secret.sign(&message), signature);
        let case = Case { key, message, signature };
        assert!(case.single());
        case.queue(&mut verifier);
    }
    let mut found = Vec::new();
    verifier.verify(&mut found);
    assert_eq!(found, [true; 128]);
}

#[test]
fn every_flipped_bit_is_found_singly_and_in_its_batch() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let secrets: Vec<SecretKey> = (1..5).map(|i| SecretKey::from_seed(&[i; 32])).collect();
    let mut verifier = BatchVerifier::new([2; 32]);
    let mut found = Vec::new();
    for _ in 0..100 {
        let bad = rng.random_range(0..16);
        let (target, bit) = (rng.random_range(0..3), rng.random_range(0..256usize));
        for i in 0..16 {
            let secret = &secrets[i % secrets.len()];
            let mut message = rng.random::<[u8; 32]>();
            let mut signature = secret.sign(&message);
            let mut key = secret.public();
            if i == bad {
                let flipped = match target {
                    0 => &mut signature.0[..32],
                    1 => &mut signature.0[32..],
                    _ if bit < 128 => &mut key.0[..],
                    _ => &mut message[..],
                };
                flipped[bit / 8] ^= 1 << (bit % 8);
            }
            let case = Case { key, message: message.into(), signature };
            assert_eq!(case.single(), i != bad, "target {target}, bit {bit}");
            case.queue(&mut verifier);
        }
        verifier.verify(&mut found);
        assert!((0..16).all(|i| found[i] == (i != bad)), "target {target}, bit {bit}");
    }
}
