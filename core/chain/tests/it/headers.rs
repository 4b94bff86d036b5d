//! Header chains of mainnet and testnet3, whole and with one field changed.

use quorumark_chain::headers::{Anchor, HeaderError};
use quorumark_chain::params::RETARGET_INTERVAL;
use quorumark_chain::{
    BlockHash, CompactTarget, Header, HeaderChain, MerkleRoot, Params, U256, Work,
};

use crate::data;

/// A clock later than every header in the files: 2026-01-01.
const NOW: u64 = 1_767_225_600;

/// The chain of the real headers below `height`.
fn chain_below(height: usize) -> HeaderChain {
    let mut chain = HeaderChain::new(Params::mainnet());
    chain.extend(&data::mainnet_headers()[..height], NOW).unwrap();
    chain
}

#[test]
fn the_first_10237_headers_of_mainnet_validate_across_five_retargets() {
    let headers = data::mainnet_headers();
    assert_eq!(headers.len(), 10_237);
    let chain = chain_below(headers.len());
    assert_eq!(chain.next_height(), 10_237);
    // All of them have the easiest target.
    let each = Work(U256::from(0x1_0001_0001));
    assert_eq!(chain.work(), std::iter::repeat_n(each, headers.len()).sum());
    assert_eq!(headers.len() / RETARGET_INTERVAL as usize, 5);
}

#[test]
fn validation_goes_on_from_any_anchor() {
    let headers = data::mainnet_headers();
    for last in [0, 1, 10, 11, 2015, 2016, 2017, 4031] {
        let whole = chain_below(last + 1);
        let anchor = Anchor {
            height: last as u32,
            headers: &headers[last.saturating_sub(10)..=last],
            interval_first_time: headers[last / 2016 * 2016].time,
            work: whole.work(),
        };
        let mut chain = HeaderChain::anchored(Params::mainnet(), &anchor).unwrap();
        assert_eq!(chain.median_time_past(), whole.median_time_past(), "anchor {last}");
        chain.extend(&headers[last + 1..4100], NOW).unwrap();
        assert_eq!(chain.tip(), chain_below(4100).tip(), "anchor {last}");
    }
}

/// What a header with one field changed is refused with, at the given height.
fn refusal(height: usize, change: impl Fn(&mut Header)) -> HeaderError {
    let mut chain = chain_below(height);
    let before = chain.tip().copied();
    let mut header = data::mainnet_headers()[height];
    change(&mut header);
    let refused = chain.push(&header, NOW).unwrap_err();
    assert_eq!(chain.tip().copied(), before, "a refused header changes nothing");
    chain.push(&data::mainnet_headers()[height], NOW).unwrap();
    refused
}

#[test]
fn a_header_with_one_field_changed_is_refused_with_the_reason() {
    for height in [1, 12, 2016, 5000, 10_236] {
        let at = height as u32;
        let previous = refusal(height, |h| h.previous = BlockHash::default());
        assert!(matches!(previous, HeaderError::Previous { height, .. } if height == at));

        let bits = refusal(height, |h| h.bits = CompactTarget(0x1d00_fffe));
        assert_eq!(
            bits.to_string(),
            format!("header {at}: bits 1d00fffe, the retarget rule asks for 1d00ffff")
        );

        let early = refusal(height, |h| h.time = data::mainnet_headers()[0].time);
        assert!(matches!(early, HeaderError::TimeTooOld { height, .. } if height == at));
        let late = refusal(height, |h| h.time = u32::MAX);
        assert!(matches!(late, HeaderError::TimeTooNew { height, .. } if height == at));

        let changes: [fn(&mut Header); 4] = [
            |h| h.version += 1,
            |h| h.merkle_root = MerkleRoot::default(),
            |h| h.time += 1,
            |h| h.nonce ^= 1,
        ];
        for change in changes {
            let unmined = refusal(height, change);
            assert!(matches!(unmined, HeaderError::ProofOfWork { height, .. } if height == at));
        }
    }
}

#[test]
fn every_single_bit_of_a_header_counts() {
    let chain = chain_below(2016);
    let encoded = data::mainnet_headers()[2016].encode();
    for bit in 0..640 {
        let mut changed = encoded;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(chain.clone().push(&Header::decode(&changed), NOW).is_err(), "bit {bit}");
    }
}

#[test]
fn a_chain_begins_with_its_network_s_genesis() {
    let mut chain = HeaderChain::new(Params::testnet3());
    let refused = chain.push(&Params::mainnet().genesis, NOW).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "header 0: hash 000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f, \
         testnet3 begins with 000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943"
    );
}

#[test]
fn a_header_may_be_two_hours_ahead_of_the_clock_and_no_second_more() {
    let header = data::mainnet_headers()[100];
    let two_hours_before = u64::from(header.time) - 7200;
    assert!(chain_below(100).push(&header, two_hours_before).is_ok());
    let refused = chain_below(100).push(&header, two_hours_before - 1).unwrap_err();
    assert_eq!(
        refused,
        HeaderError::TimeTooNew {
            height: 100,
            found: header.time,
            latest: u64::from(header.time) - 1
        }
    );
}

#[test]
fn testnet3_and_its_low_difficulty_fork_validate() {
    let text = data::text("blockheader_testnet3.hex");
    let (fork, main): (Vec<&str>, Vec<&str>) =
        text.split_whitespace().partition(|line| line.starts_with("fork:"));
    assert_eq!((main.len(), fork.len()), (546, 2));
    for lines in [main, fork] {
        let mut chain = HeaderChain::new(Params::testnet3());
        chain.push(&Params::testnet3().genesis, NOW).unwrap();
        for line in &lines {
            let header = line.trim_start_matches("fork:").parse().unwrap();
            chain.push(&header, NOW).unwrap();
        }
        assert_eq!(chain.next_height() as usize, lines.len() + 1);
    }
}

/// Bitcoin Core `GetNextWorkRequired`: the exception of a late block does not outlive it.
#[test]
fn testnet_s_twenty_minute_exception_leaves_the_interval_s_bits_alone() {
    let params = Params::testnet3();
    let hard = Header { bits: CompactTarget(0x1c05_a3f4), time: 1_400_000_000, ..params.genesis };
    let easy =
        Header { previous: hard.block_hash(), time: hard.time + 1201, bits: params.limit, ..hard };
    let anchored = |headers: &[Header]| {
        let anchor = Anchor {
            height: 3000 + headers.len() as u32,
            headers,
            interval_first_time: hard.time,
            work: Work::ZERO,
        };
        HeaderChain::anchored(params, &anchor).unwrap()
    };
    let after_hard = anchored(&[hard]);
    assert_eq!(after_hard.required_bits(hard.time + 1200), Ok(hard.bits));
    assert_eq!(after_hard.required_bits(hard.time + 1201), Ok(params.limit));
    let after_easy = anchored(&[hard, easy]);
    assert_eq!(after_easy.required_bits(easy.time + 1), Ok(hard.bits));
    assert_eq!(after_easy.required_bits(easy.time + 1201), Ok(params.limit));
}
