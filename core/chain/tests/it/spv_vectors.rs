//! The vectors of summa-tx/bitcoin-spv: retargets, header chains good and bad, targets.

use quorumark_chain::headers::{Anchor, HeaderError};
use quorumark_chain::{BlockHash, CompactTarget, Header, HeaderChain, Params, Target, U256, Work};
use quorumark_primitives::Digest;
use serde::Deserialize;

use crate::data;

const NOW: u64 = 1_767_225_600;

#[derive(Deserialize)]
struct Vectors {
    #[serde(rename = "retargetAlgorithm")]
    retargets: Vec<Retarget>,
    #[serde(rename = "validateHeaderChain")]
    good_chains: Vec<GoodChain>,
    #[serde(rename = "validateHeaderChainError")]
    bad_chains: Vec<BadChain>,
    #[serde(rename = "validateHeaderWork")]
    work: Vec<Case<HashAndTarget>>,
    #[serde(rename = "validateHeaderPrevHash")]
    links: Vec<Case<HeaderAndHash>>,
    #[serde(rename = "extractTarget")]
    targets: Vec<TargetCase>,
}

/// First and last header of an interval, first header of the next, and its difficulty.
#[derive(Deserialize)]
struct Retarget {
    input: [Listed; 3],
    output: u64,
}

#[derive(Deserialize)]
struct GoodChain {
    input: String,
    output: u64,
}

#[derive(Deserialize)]
struct BadChain {
    comment: String,
    input: String,
}

#[derive(Deserialize)]
struct Case<T> {
    input: T,
    output: bool,
}

#[derive(Deserialize)]
struct HashAndTarget {
    digest: String,
    target: String,
}

#[derive(Deserialize)]
struct HeaderAndHash {
    header: String,
    #[serde(rename = "prevHash")]
    previous: String,
}

#[derive(Deserialize)]
struct TargetCase {
    input: String,
    output: String,
}

#[derive(Deserialize)]
struct Listed {
    hex: String,
    height: u32,
}

#[derive(Deserialize)]
struct RetargetChain {
    #[serde(rename = "oldPeriodStart")]
    interval_first: Listed,
    genesis: Listed,
    chain: Vec<Listed>,
}

fn vectors() -> Vectors {
    data::json("spv_testVectors.json")
}

fn header(hex: &str) -> Header {
    Header::parse(&data::hex(hex)).unwrap()
}

fn block_hash(hex: &str) -> BlockHash {
    BlockHash(Digest(data::hex(hex).try_into().unwrap()))
}

/// An anchor of one header whose height within its interval does not matter.
fn after(header: &Header, height: u32, interval_first_time: u32) -> HeaderChain {
    let anchor = Anchor { height, headers: &[*header], interval_first_time, work: Work::ZERO };
    HeaderChain::anchored(Params::mainnet(), &anchor).unwrap()
}

#[test]
fn the_nine_retarget_vectors_agree() {
    let retargets = vectors().retargets;
    assert_eq!(retargets.len(), 9);
    for retarget in retargets {
        let [first, last, next] = retarget.input.map(|listed| header(&listed.hex));
        let bits = Params::mainnet().retarget(last.bits, first.time, last.time).unwrap();
        assert_eq!(bits, next.bits);
        assert_eq!(bits.target().unwrap().difficulty().floor() as u64, retarget.output);
    }
}

#[test]
fn each_retarget_vector_with_one_field_changed_is_refused_with_the_reason() {
    let retargets = vectors().retargets;
    // The ninth vector's last header is one of height 66,543, which the next does not link to.
    for retarget in &retargets[..8] {
        let height = retarget.input[2].height;
        let [first, last, next] = retarget.input.each_ref().map(|listed| header(&listed.hex));
        let push = |changed: Header| after(&last, height - 1, first.time).push(&changed, NOW);
        assert_eq!(push(next), Ok(next.block_hash()));

        let bits = push(Header { bits: last.bits, ..next }).unwrap_err();
        let (found, expected) = (last.bits, next.bits);
        assert_eq!(bits, HeaderError::Bits { height, found, expected });
        let previous = push(Header { previous: BlockHash::default(), ..next }).unwrap_err();
        assert!(matches!(previous, HeaderError::Previous { .. }));
        let time = push(Header { time: u32::MAX, ..next }).unwrap_err();
        assert!(matches!(time, HeaderError::TimeTooNew { .. }));
        let unmined = push(Header { nonce: next.nonce ^ 1, ..next }).unwrap_err();
        assert!(matches!(unmined, HeaderError::ProofOfWork { .. }));
    }
}

#[test]
fn the_chain_across_the_retarget_at_height_554400_validates() {
    let file: RetargetChain = data::json("spv_headersWithRetarget.json");
    let first = header(&file.interval_first.hex);
    assert_eq!(file.interval_first.height, 552_384);
    let genesis = header(&file.genesis.hex);
    let headers: Vec<Header> = file.chain.iter().map(|listed| header(&listed.hex)).collect();

    let mut chain = after(&genesis, file.genesis.height, first.time);
    chain.extend(&headers, NOW).unwrap();
    assert_eq!(chain.tip().unwrap().height, file.chain.last().unwrap().height);

    let mut wrong_interval = after(&genesis, file.genesis.height, first.time + 600);
    let refused = wrong_interval.extend(&headers, NOW).unwrap_err();
    let expected = CompactTarget(0x1737_1ef4);
    assert!(
        matches!(refused, HeaderError::Bits { height: 554_400, found, .. } if found == expected)
    );
}

#[test]
fn the_good_chain_validates_and_has_the_published_difficulty() {
    let [good] = vectors().good_chains.try_into().ok().unwrap();
    let headers = Header::parse_many(&data::hex(&good.input)).unwrap();
    let mut chain = after(&headers[0], 1, 0);
    chain.extend(&headers[1..], NOW).unwrap();
    // The vector sums floors of difficulties, over all headers.
    let sum: f64 = headers.iter().map(|h| h.bits.target().unwrap().difficulty().floor()).sum();
    assert_eq!(sum as u64, good.output);
}

#[test]
fn the_bad_chains_are_refused_with_their_reasons() {
    let [bytes, link, work] = vectors().bad_chains.try_into().ok().unwrap();
    assert_eq!(bytes.comment, "Header bytes not multiple of 80");
    assert!(Header::parse_many(&data::hex(&bytes.input)).is_err());

    assert_eq!(link.comment, "Header bytes not a valid chain");
    let headers = Header::parse_many(&data::hex(&link.input)).unwrap();
    let refused = after(&headers[0], 1, 0).extend(&headers[1..], NOW).unwrap_err();
    assert!(matches!(refused, HeaderError::Previous { .. }));

    assert_eq!(work.comment, "Header does not meet its own difficulty target");
    let headers = Header::parse_many(&data::hex(&work.input)).unwrap();
    assert!(headers.iter().any(|header| header.meets_own_target() != Ok(true)));
}

/// The first case is left out: that library holds a hash of zero for an error of its caller.
#[test]
fn hashes_meet_targets_as_published() {
    let cases = vectors().work;
    for case in &cases[1..] {
        let value = U256::from_be_bytes(data::hex(&case.input.target).try_into().unwrap());
        let target = Target::new(value).unwrap();
        assert_eq!(target.meets(block_hash(&case.input.digest)), case.output);
    }
    assert_eq!(cases.len(), 3);
}

#[test]
fn links_and_targets_are_extracted_as_published() {
    for case in vectors().links {
        let linked = header(&case.input.header).previous == block_hash(&case.input.previous);
        assert_eq!(linked, case.output);
    }
    for case in vectors().targets {
        let target = header(&case.input).bits.target().unwrap();
        assert_eq!(format!("0x{target}"), case.output);
    }
}
