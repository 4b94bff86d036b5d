//! Bytes that nobody meant to be blocks or headers: one sentence each, never a panic.

use proptest::prelude::*;
use quorumark_chain::block::{BLOCK_BYTES_MAX, Block, BlockError, frames};
use quorumark_chain::{CompactTarget, Header, HeaderChain, Params};

use crate::data;

#[test]
fn a_block_cut_short_anywhere_is_refused() {
    let bytes = data::bytes("block169482.dat");
    for length in (0..bytes.len()).step_by(53) {
        let refused = Block::parse(&bytes[..length]).unwrap_err();
        assert!(!refused.to_string().contains('\n'), "{refused}");
        assert!(Block::from_file(&bytes[..length]).is_err());
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(Block::parse(&longer), Err(BlockError::Trailing { count: 1 })));
}

#[test]
fn a_block_above_the_bound_is_refused_before_it_is_read() {
    let huge = vec![0; BLOCK_BYTES_MAX + 1];
    assert!(matches!(Block::parse(&huge), Err(BlockError::TooLarge { .. })));
    let huge = vec![b'0'; 3 * BLOCK_BYTES_MAX];
    assert!(matches!(Block::from_file(&huge), Err(BlockError::TooLarge { .. })));
}

#[test]
fn a_number_of_transactions_that_cannot_be_there_is_refused_before_anything_is_allocated() {
    let mut bytes = vec![0; 80];
    assert!(matches!(Block::parse(&bytes), Err(BlockError::Truncated { found: 80 })));
    bytes.push(0);
    assert!(matches!(Block::parse(&bytes), Err(BlockError::Count { found: 0, .. })));
    bytes.pop();
    bytes.extend([0xff; 9]);
    bytes.extend([0; 60]);
    assert!(matches!(Block::parse(&bytes), Err(BlockError::Count { found: u64::MAX, .. })));
}

#[test]
fn each_malformed_text_says_where() {
    let mut text = data::bytes("block_13b8a.hex");
    text[100] = b'g';
    let refused = Block::from_file(&text).unwrap_err();
    assert_eq!(refused.to_string(), "the block's hex is broken: character 101 is no hex digit");
    let odd = data::bytes("block_13b8a.hex").trim_ascii()[1..].to_vec();
    assert!(matches!(Block::from_file(&odd), Err(BlockError::Hex(_))));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Block::parse(&bytes).map(|block| block.check());
        let _ = Block::from_file(&bytes);
        let _ = Header::parse(&bytes);
        let _ = frames(&bytes, &Params::mainnet()).count();
    }

    #[test]
    fn random_changes_of_a_block_never_panic(
        changes in proptest::collection::vec((0usize..18_678, any::<u8>()), 1..8),
        length in 0usize..18_678,
    ) {
        let mut bytes = data::bytes("block169482.dat");
        changes.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        let _ = Block::parse(&bytes).map(|block| block.check());
        let _ = Block::parse(&bytes[..length]);
    }

    #[test]
    fn random_texts_never_panic(text in "\\PC{0,200}|[0-9a-f]{0,400}") {
        let _ = text.parse::<Header>();
        let _ = text.parse::<CompactTarget>();
        let _ = text.parse::<quorumark_chain::BlockHash>();
        let _ = Block::from_file(text.as_bytes());
    }

    #[test]
    fn random_headers_never_panic_and_never_extend_a_chain(
        bytes in proptest::array::uniform32(any::<u8>()),
        bits in any::<u32>(),
        now in any::<u64>(),
    ) {
        let mut chain = HeaderChain::new(Params::testnet3());
        chain.push(&Params::testnet3().genesis, u64::from(u32::MAX)).unwrap();
        let mut encoded = [0; 80];
        encoded[36..68].copy_from_slice(&bytes);
        let mut header = Header::decode(&encoded);
        header.previous = Params::testnet3().genesis.block_hash();
        header.bits = CompactTarget(bits);
        prop_assert!(chain.push(&header, now).is_err());
        if let Ok(target) = CompactTarget(bits).target() {
            let _ = (target.work(), target.compact(), target.difficulty());
        }
        let _ = Params::mainnet().retarget(CompactTarget(bits), bits, bits.rotate_left(7));
    }
}
