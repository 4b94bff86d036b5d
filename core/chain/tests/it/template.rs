//! The extra nonce: new Merkle roots through the coinbase alone.

use quorumark_chain::block::Block;
use quorumark_chain::miner::{Miner, Outcome, Stop};
use quorumark_chain::template::{Template, TemplateError};
use quorumark_chain::{CompactTarget, Header, MerkleRoot};
use quorumark_primitives::hash::sha256d;
use quorumark_primitives::merkle::{self, Rule};

use crate::data;

fn block() -> Block {
    Block::parse(&data::bytes("block169482.dat")).unwrap()
}

/// A template of the block with another target.
fn template(bits: u32) -> Template {
    let mut block = block();
    block.header.bits = CompactTarget(bits);
    Template::of_block(&block).unwrap()
}

#[test]
fn the_original_extra_nonce_gives_the_original_header() {
    for name in ["block413567.raw", "block169482.dat", "block_13b8a.hex"] {
        let block = Block::from_file(&data::bytes(name)).unwrap();
        let template = Template::of_block(&block).unwrap();
        let script = script(&block);
        let original = script.iter().rev().take(4).fold(0, |n, byte| n << 8 | u64::from(*byte));
        let candidate = template.candidate(original);
        assert_eq!(candidate.header, block.header, "{name}");
        assert_eq!(candidate.coinbase, block.coinbase(), "{name}");
    }
}

/// The input script of a block's coinbase.
fn script(block: &Block) -> &[u8] {
    let length = usize::from(block.coinbase()[41]);
    &block.coinbase()[42..42 + length]
}

#[test]
fn the_root_through_the_cached_hashes_is_the_root_of_the_whole_tree() {
    let (block, template) = (block(), template(0x207f_ffff));
    for extra_nonce in [0, 1, 77, 0xffff_ffff] {
        let candidate = template.candidate(extra_nonce);
        let mut leaves: Vec<_> = block.txids.iter().map(|txid| txid.0).collect();
        leaves[0] = sha256d(&candidate.coinbase);
        let root = MerkleRoot(merkle::root(Rule::Bitcoin, &leaves));
        assert_eq!(candidate.header.merkle_root, root);
    }
}

#[test]
fn a_block_with_one_transaction_has_its_coinbase_as_root() {
    let block = block();
    let coinbase = block.coinbase().to_vec();
    let template = Template::new(block.header, coinbase, 42..44, &[]).unwrap();
    assert_eq!(template.extra_nonce_max(), 0xffff);
    let candidate = template.candidate(5);
    assert_eq!(candidate.header.merkle_root.0, sha256d(&candidate.coinbase));
    assert_eq!(candidate.coinbase[42..44], [5, 0]);
}

#[test]
fn the_extra_nonce_goes_on_where_the_nonces_end() {
    // One hash in 4096, and 256 nonces to each extra nonce: about 16 of them are used up.
    let template = template(0x1f0f_ffff);
    let mine = |threads| {
        let miner = Miner::new(threads).unwrap();
        miner.mine_block(&template, 0..=u64::MAX, 0..=255, &Stop::new()).unwrap()
    };
    let mined = mine(1);
    let solved = mined.outcome.clone().found().unwrap();
    assert_eq!(solved.header.meets_own_target(), Ok(true));
    assert_eq!(solved.header.block_hash(), solved.hash);
    let candidate = template.candidate(solved.extra_nonce);
    assert_eq!(solved.coinbase, candidate.coinbase);
    assert_eq!(solved.header, Header { nonce: solved.header.nonce, ..candidate.header });
    assert!(mined.statistics.hashes() > 256 * solved.extra_nonce);
    for threads in [2, 4] {
        assert_eq!(mine(threads).outcome, mined.outcome);
    }
}

#[test]
fn a_bounded_number_of_extra_nonces_is_exhausted_and_a_stop_is_heard() {
    let template = template(0x1d00_ffff);
    let miner = Miner::new(2).unwrap();
    let mined = miner.mine_block(&template, 3..=6, 0..=999, &Stop::new()).unwrap();
    assert_eq!((mined.outcome, mined.statistics.hashes()), (Outcome::Exhausted, 4000));
    let stop = Stop::new();
    stop.stop();
    let mined = miner.mine_block(&template, 0..=6, 0..=999, &stop).unwrap();
    assert_eq!(mined.outcome, Outcome::Stopped);
}

#[test]
fn an_extra_nonce_outside_the_script_is_refused() {
    let block = block();
    let script_end = 42 + script(&block).len();
    for range in [41..45, 42..42, 42..51, script_end - 3..script_end + 1, 0..4] {
        let refused = Template::new(block.header, block.coinbase().to_vec(), range, &[]);
        assert!(matches!(refused, Err(TemplateError::ExtraNonce { .. })));
    }
    let payment = block.transactions().nth(1).unwrap().to_vec();
    let refused = Template::new(block.header, payment, 42..44, &[]);
    assert!(matches!(refused, Err(TemplateError::NotCoinbase)));
    let refused = Template::new(block.header, vec![0; 9], 42..44, &[]);
    assert!(matches!(refused, Err(TemplateError::Transaction(_))));
}
