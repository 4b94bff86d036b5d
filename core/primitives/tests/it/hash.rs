//! The hash functions against published vectors, and every kernel path against the `sha2` crate.

use proptest::prelude::*;
use quorumark_primitives::hash::{self, blake3, blake3_keyed, sha256, sha256d};
use quorumark_primitives::sha256::{
    self as kernels, Path, Scan, sha256_each_with, sha256_with, sha256d_64_with, sha256d_header,
    sha256d_pairs_with, tagged_pairs_with,
};
use quorumark_primitives::{Digest, check::Check};
use sha2::Digest as _;

/// Bitcoin's first header, without its nonce; the nonce is [`GENESIS_NONCE`].
const GENESIS: &str = "0100000000000000000000000000000000000000000000000000000000000000\
    000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d";
const GENESIS_NONCE: u32 = 2_083_236_893;

fn genesis(nonce: u32) -> [u8; 80] {
    let mut header = [0; 80];
    for (i, byte) in header[..76].iter_mut().enumerate() {
        *byte = u8::from_str_radix(&GENESIS[2 * i..2 * i + 2], 16).unwrap();
    }
    header[76..].copy_from_slice(&nonce.to_le_bytes());
    header
}

/// SHA-256 by the `sha2` crate alone.
fn reference(message: &[u8]) -> Digest {
    Digest(sha2::Sha256::digest(message).into())
}

fn reference_double(message: &[u8]) -> Digest {
    reference(&reference(message).0)
}

#[test]
fn fips180_4_examples() {
    let long = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnop\
        jklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    let million = "a".repeat(1_000_000);
    let vectors = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
        (long, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"),
        (&million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ];
    for (message, expected) in vectors {
        assert_eq!(sha256(message.as_bytes()).to_string(), expected);
    }
}

#[test]
fn blake3_official_vectors() {
    let key = b"whats the Elvish word for friend";
    let vectors = [
        (
            0,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
        ),
        (
            1,
            "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
            "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
        ),
        (
            1024,
            "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
            "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
        ),
        (
            1025,
            "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
            "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
        ),
        (
            5121,
            "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff",
            "6ccf1c34753e7a044db80798ecd0782a8f76f33563accaddbfbb2e0ea4b2d024",
        ),
    ];
    for (size, plain, keyed) in vectors {
        let message: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        assert_eq!(blake3(&message).to_string(), plain);
        assert_eq!(blake3_keyed(key, &message).to_string(), keyed);
    }
}

#[test]
fn every_self_check_passes_on_this_machine() {
    let checks: Vec<Check> = [hash::self_check(), kernels::self_check()].concat();
    assert!(checks.len() > 4);
    for check in checks {
        assert!(check.passed, "{}", check.name);
    }
}

#[test]
fn the_scan_finds_the_genesis_nonce_wherever_it_stands_in_the_range() {
    let scan = Scan::new(&genesis(0));
    for path in Path::available() {
        for before in 0..9 {
            for after in 0..9 {
                let mut hits = Vec::new();
                scan.scan_with(
                    path,
                    GENESIS_NONCE - before,
                    u64::from(before + after),
                    0,
                    &mut hits,
                );
                let expected: &[u32] = if after > 0 { &[GENESIS_NONCE] } else { &[] };
                assert_eq!(hits, expected, "{path}");
            }
        }
    }
    assert_eq!(
        sha256d_header(&genesis(GENESIS_NONCE)).to_string(),
        "6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000"
    );
}

#[test]
fn a_scan_may_end_at_the_last_nonce_and_not_beyond() {
    let scan = Scan::new(&genesis(0));
    let mut hits = Vec::new();
    scan.scan(u32::MAX, 1, u32::MAX, &mut hits);
    assert_eq!(hits, [u32::MAX]);
    scan.scan(u32::MAX, 0, u32::MAX, &mut hits);
    assert_eq!(hits.len(), 1);
    let beyond = std::panic::catch_unwind(|| scan.scan(u32::MAX, 2, 0, &mut Vec::new()));
    assert!(beyond.is_err());
}

#[test]
fn fips_180_4_5_1_1_every_length_from_0_to_300_is_padded_alike_on_every_path() {
    let whole: Vec<u8> = (0..300u32).map(|i| (i * i % 251) as u8).collect();
    let input: Vec<&[u8]> = (0..=300).map(|length| &whole[..length]).collect();
    let expected: Vec<Digest> = input.iter().map(|message| reference(message)).collect();
    for path in Path::available() {
        let mut out = vec![Digest::ZERO; input.len()];
        sha256_each_with(path, &input, &mut out);
        assert_eq!(out, expected, "{path}");
        for (message, digest) in input.iter().zip(&expected) {
            assert_eq!(sha256_with(path, message), *digest, "{path}");
        }
    }
}

#[test]
fn messages_of_one_length_are_hashed_as_they_are_each_alone_also_with_others_behind_them() {
    let whole: Vec<u8> = (0..4000u32).map(|i| (i * i % 251) as u8).collect();
    for length in (0..=200).chain([512, 1023]) {
        // Two groups and a half of one length at most, then one that is longer.
        let mut input: Vec<&[u8]> = (0..40).map(|i| &whole[i * 61..][..length]).collect();
        input.push(&whole[..length + 1]);
        let expected: Vec<Digest> = input.iter().map(|message| reference(message)).collect();
        for path in Path::available() {
            for count in [15, 16, 17, 31, 32, 33, 41] {
                let mut out = vec![Digest::ZERO; count];
                sha256_each_with(path, &input[41 - count..], &mut out);
                assert_eq!(out, expected[41 - count..], "{path}, {count} of {length} bytes");
            }
        }
    }
}

#[test]
fn any_number_of_messages_from_0_to_40_is_hashed_to_the_last() {
    // The shorter ones end first, in turns, so that lanes are given up in every order.
    let whole = [0x5a; 300];
    let input: Vec<&[u8]> = (0..40).map(|i| &whole[..(i * 67 + 13) % 300]).collect();
    for path in Path::available() {
        for count in 0..=40 {
            let mut out = vec![Digest::ZERO; count];
            sha256_each_with(path, &input[..count], &mut out);
            assert!(input.iter().zip(&out).all(|(message, digest)| reference(message) == *digest));
        }
    }
}

#[test]
fn as_many_double_hashes_as_fill_every_path_and_one_more_or_fewer_are_those_of_the_reference() {
    let input: Vec<[u8; 64]> = (0..130u8).map(|i| [i; 64]).collect();
    let expected: Vec<Digest> = input.iter().map(|m| reference_double(m)).collect();
    for path in Path::available() {
        for count in 60..=input.len() {
            let mut out = vec![Digest::ZERO; count];
            sha256d_64_with(path, &input[..count], &mut out);
            assert!(out == expected[..count], "{path}, {count} messages");
        }
    }
}

#[test]
fn one_digest_for_each_message_is_demanded() {
    let hash = || sha256_each_with(Path::PORTABLE, &[b"one", b"two"], &mut [Digest::ZERO]);
    assert!(std::panic::catch_unwind(hash).is_err());
}

fn messages() -> impl Strategy<Value = Vec<[u8; 64]>> {
    let message = || proptest::array::uniform::<_, 64>(any::<u8>());
    // Few, and so many that every path takes them as it takes thousands.
    prop_oneof![
        3 => proptest::collection::vec(message(), 0..=40),
        1 => proptest::collection::vec(message(), 60..=140),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_path_hashes_64_bytes_as_the_reference(messages in messages(), tag in any::<u8>()) {
        let halves = |m: &[u8; 64]| {
            let halves = m.as_chunks::<32>().0;
            [Digest(halves[0]), Digest(halves[1])]
        };
        let pairs: Vec<[Digest; 2]> = messages.iter().map(halves).collect();
        let double: Vec<Digest> = messages.iter().map(|m| reference_double(m)).collect();
        let tagged: Vec<Digest> =
            messages.iter().map(|m| reference(&[&[tag], &m[..]].concat())).collect();
        for path in Path::available() {
            let mut out = vec![Digest::ZERO; messages.len()];
            sha256d_64_with(path, &messages, &mut out);
            prop_assert_eq!(&out, &double);
            sha256d_pairs_with(path, &pairs, &mut out);
            prop_assert_eq!(&out, &double);
            tagged_pairs_with(path, tag, &pairs, &mut out);
            prop_assert_eq!(&out, &tagged);
        }
    }

    #[test]
    fn every_path_scans_as_the_reference(
        header in proptest::array::uniform::<_, 80>(any::<u8>()),
        start in any::<u32>(),
        count in 0u32..=40,
        top_word_max in any::<u32>(),
    ) {
        let first = start.min(u32::MAX - count);
        let is_hit = |nonce: &u32| {
            let mut header = header;
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            let hash = reference_double(&header).0;
            u32::from_le_bytes([hash[28], hash[29], hash[30], hash[31]]) <= top_word_max
        };
        let expected: Vec<u32> = (first..first + count).filter(is_hit).collect();
        for path in Path::available() {
            let mut hits = Vec::new();
            Scan::new(&header).scan_with(path, first, count.into(), top_word_max, &mut hits);
            prop_assert_eq!(&hits, &expected);
        }
    }

    #[test]
    fn every_path_hashes_messages_of_any_length_as_the_reference(
        messages in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..=300),
            0..=40,
        ),
    ) {
        let input: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let expected: Vec<Digest> = input.iter().map(|message| reference(message)).collect();
        for path in Path::available() {
            let mut out = vec![Digest::ZERO; input.len()];
            sha256_each_with(path, &input, &mut out);
            prop_assert_eq!(&out, &expected);
        }
    }

    #[test]
    fn the_one_message_functions_agree_with_the_reference(
        message in proptest::collection::vec(any::<u8>(), 0..=300),
    ) {
        prop_assert_eq!(sha256(&message), reference(&message));
        prop_assert_eq!(sha256d(&message), reference_double(&message));
    }
}
