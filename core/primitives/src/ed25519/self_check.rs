//! Known answers that a program checks before it measures.

use super::{BatchVerifier, PreparedKey, PublicKey, SecretKey, Signature, verify_single};
use crate::check::Check;

/// A test vector of RFC 8032, section 7.1.
struct Rfc8032 {
    name: &'static str,
    seed: &'static str,
    public: &'static str,
    message: &'static str,
    signature: &'static str,
}

const RFC_8032: [Rfc8032; 3] = [
    Rfc8032 {
        name: "ed25519::sign/vector=rfc8032-1",
        seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        public: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        message: "",
        signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33b\
                    acc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    },
    Rfc8032 {
        name: "ed25519::sign/vector=rfc8032-2",
        seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        public: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        message: "72",
        signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e1599\
                    6e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    },
    Rfc8032 {
        name: "ed25519::sign/vector=rfc8032-3",
        seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        public: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        message: "af82",
        signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f2\
                    90ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    },
];

/// Signs and verifies the vectors of RFC 8032, singly and in one batch, and holds cases on which
/// libraries disagree against the ZIP-215 verdict. Takes about a millisecond.
pub fn self_check() -> Vec<Check> {
    let mut checks: Vec<Check> =
        RFC_8032.iter().map(|vector| Check::new(vector.name, vector.holds())).collect();
    checks.push(Check::new("ed25519::batch_verify/one_bad=named", batch_names_the_bad_one()));
    checks.push(Check::new("ed25519::verify/r=not_canonical", non_canonical_is_accepted()));
    checks.push(Check::new("ed25519::verify/s=not_canonical", large_s_is_refused()));
    checks
}

impl Rfc8032 {
    fn signature(&self) -> Signature {
        Signature(array(self.signature))
    }

    fn holds(&self) -> bool {
        let secret = SecretKey::from_seed(&array(self.seed));
        let message = bytes(self.message);
        secret.public() == PublicKey(array(self.public))
            && secret.sign(&message) == self.signature()
            && PreparedKey::new(&secret.public())
                .is_some_and(|key| verify_single(&key, &[&message], &self.signature()))
    }
}

fn batch_names_the_bad_one() -> bool {
    let mut verifier = BatchVerifier::new([0; 32]);
    let mut verdicts = Vec::new();
    for vector in &RFC_8032 {
        let key = PublicKey(array(vector.public));
        verifier.queue(&key, &[&bytes(vector.message)], &vector.signature());
        verifier.queue(&key, &[b"another message"], &vector.signature());
    }
    verifier.verify(&mut verdicts);
    verdicts == [true, false, true, false, true, false]
}

/// Key and `R` both encode the identity as `y = p + 1`, which RFC 8032 refuses and ZIP-215 accepts.
fn non_canonical_is_accepted() -> bool {
    let mut identity = [0xff; 32];
    identity[0] = 0xee;
    identity[31] = 0x7f;
    let mut signature = Signature::BLANK;
    signature.0[..32].copy_from_slice(&identity);
    both_paths(&PublicKey(identity), &signature) == [true, true]
}

/// `S = l` solves the equation that `S = 0` solves, but is not canonical.
fn large_s_is_refused() -> bool {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = Signature::BLANK;
    signature.0[..32].copy_from_slice(&identity);
    let canonical = both_paths(&PublicKey(identity), &signature);
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    signature.0[32..].copy_from_slice(&bytes(order));
    let large = both_paths(&PublicKey(identity), &signature);
    canonical == [true, true] && large == [false, false]
}

/// The verdicts of the single path and of a batch of two equal ones.
fn both_paths(key: &PublicKey, signature: &Signature) -> [bool; 2] {
    let single = PreparedKey::new(key).is_some_and(|key| verify_single(&key, &[], signature));
    let mut verifier = BatchVerifier::new([0; 32]);
    let mut verdicts = Vec::new();
    verifier.queue(key, &[], signature);
    verifier.queue(key, &[], signature);
    verifier.verify(&mut verdicts);
    assert_eq!(verdicts.len(), 2, "one verdict per queued signature");
    [single, verdicts[0] && verdicts[1]]
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().expect("the vectors of this file have the lengths of their fields")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("the vectors of this file are hex");
    hex.as_bytes().chunks(2).map(|pair| (digit(pair[0]) << 4 | digit(pair[1])) as u8).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_known_answer_is_given() {
        for check in super::self_check() {
            assert!(check.passed, "{}", check.name);
        }
    }
}
