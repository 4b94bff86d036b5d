//! One kernel, so many times, and nothing else: what an emulator counts the instructions of.
//!
//! Timings of a shared machine move by half; the number of instructions does not. It says nothing
//! of how long they take, and valgrind knows no SHA unit, so the portable paths are counted: a
//! second line that shows at once when code has grown. Two are not ours there: signing and single
//! verification are curve25519-dalek's, with AVX2. `.ci/nightly counts` runs each kernel for two
//! numbers of rounds under callgrind; their difference is free of start and set-up.
//!
//! Without arguments: the kernels, each with the operations of a round. With a kernel and a number
//! of rounds: runs them. Exit code 2 when asked for anything else.

use std::env;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;

use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::{
    Backend, BatchVerifier, PublicKey, SecretKey, Signature, TABLE_BATCHES, VerifyMethod,
};
use quorumark_primitives::mac::MacKey;
use quorumark_primitives::merkle::{Rule, root_with};
use quorumark_primitives::sha256::{Path, Scan, sha256d_64_with};

/// A kernel: its name, the operations of a round, and what runs so many rounds.
type Kernel = (&'static str, usize, fn(usize));

const KERNELS: &[Kernel] = &[
    ("sha256d_64", HASHES, sha256d),
    ("pow_scan", HASHES, scan),
    ("merkle_node", HASHES - 1, merkle),
    ("mac_64", 1, mac),
    ("ed25519_single", 16, |rounds| verify(rounds, VerifyMethod::Single, 16, 4)),
    ("ed25519_tables_16", 16, |rounds| verify(rounds, VerifyMethod::Auto, 16, 4)),
    ("ed25519_equation_256_from_4", 256, |rounds| verify(rounds, VerifyMethod::Equation, 256, 4)),
    ("ed25519_sign", 1, sign),
];

/// Hashes, nonces and leaves of a round.
const HASHES: usize = 256;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => list(),
        [name, rounds] => {
            let kernel = KERNELS.iter().find(|(known, ..)| *known == name);
            let Some(((.., run), rounds)) = kernel.zip(rounds.parse().ok()) else {
                return refused();
            };
            run(rounds);
            ExitCode::SUCCESS
        }
        _ => refused(),
    }
}

fn list() -> ExitCode {
    let lines: String = KERNELS.iter().map(|(name, ops, _)| format!("{name} {ops}\n")).collect();
    match io::stdout().write_all(lines.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn refused() -> ExitCode {
    // Who reads neither stream learns it from the exit code.
    let _ = writeln!(io::stderr(), "error: usage: counts [KERNEL ROUNDS]; counts alone lists them");
    ExitCode::from(2)
}

fn sha256d(rounds: usize) {
    let messages = [[7; 64]; HASHES];
    let mut out = [Digest::ZERO; HASHES];
    for _ in 0..rounds {
        sha256d_64_with(Path::PORTABLE, black_box(&messages), &mut out);
        black_box(&out);
    }
}

fn scan(rounds: usize) {
    let scan = Scan::new(&[7; 80]);
    let mut hits = Vec::new();
    for _ in 0..rounds {
        black_box(&scan).scan_with(Path::PORTABLE, 0, HASHES as u64, 0, &mut hits);
    }
    assert!(hits.len() <= rounds, "a nonce in 2^32 is a hit");
}

fn merkle(rounds: usize) {
    let leaves = [Digest([7; 32]); HASHES];
    for _ in 0..rounds {
        black_box(root_with(Path::PORTABLE, Rule::Bitcoin, black_box(&leaves)));
    }
}

fn mac(rounds: usize) {
    let key = MacKey::new([7; 32]);
    for _ in 0..rounds {
        black_box(key.tag(&[black_box(&[7; 64])]));
    }
}

fn sign(rounds: usize) {
    let secret = SecretKey::from_seed(&[7; 32]);
    for _ in 0..rounds {
        black_box(secret.sign_with(Backend::PORTABLE, black_box(&[7; 64])));
    }
}

/// Verifies `size` signatures of `signers` in each round, by a verifier whose keys have their
/// tables where the method builds some.
fn verify(rounds: usize, method: VerifyMethod, size: usize, signers: usize) {
    let signed = signed(size, signers);
    let mut verifier =
        BatchVerifier::new([7; 32]).with_backend(Backend::PORTABLE).with_method(method);
    let mut verdicts = Vec::new();
    for _ in 0..TABLE_BATCHES as usize + rounds {
        for (key, message, signature) in black_box(&signed) {
            verifier.queue(key, &[message], signature);
        }
        verifier.verify(&mut verdicts);
        assert!(verdicts.iter().all(|verdict| *verdict), "an honest signature was refused");
    }
}

fn signed(count: usize, signers: usize) -> Vec<(PublicKey, [u8; 64], Signature)> {
    let secrets: Vec<SecretKey> =
        (0..signers).map(|nth| SecretKey::from_seed(&[nth as u8 + 1; 32])).collect();
    let sign = |nth: usize| {
        let (secret, message) = (&secrets[nth % signers], [nth as u8; 64]);
        (secret.public(), message, secret.sign(&message))
    };
    (0..count).map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_runs_and_checks_its_own_answers() {
        for (name, operations, run) in KERNELS {
            assert!(*operations > 0, "{name}");
            run(1);
        }
    }
}
