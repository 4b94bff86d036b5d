//! Real blocks: form, Merkle root, inclusion proofs.

use std::io::Read;
use std::sync::OnceLock;

use quorumark_chain::block::{Block, BlockError, frames};
use quorumark_chain::headers::HeaderChain;
use quorumark_chain::{Header, Params};
use quorumark_primitives::Digest;

use crate::data;

fn block(name: &str) -> Block {
    Block::from_file(&data::bytes(name)).unwrap()
}

fn block413567() -> &'static Block {
    static BLOCK: OnceLock<Block> = OnceLock::new();
    BLOCK.get_or_init(|| block("block413567.raw"))
}

/// The frames of mainnet blocks 1 to 255.
fn first_blocks() -> Vec<u8> {
    let compressed = data::bytes("btcd_blocks1-256.bz2");
    let mut raw = Vec::new();
    bzip2::read::BzDecoder::new(compressed.as_slice()).read_to_end(&mut raw).unwrap();
    raw
}

#[test]
fn the_merkle_root_of_each_block_is_the_header_s() {
    for (name, transactions, hash) in [
        (
            "block413567.raw",
            1557,
            "0000000000000000025aff8be8a55df8f89c77296db6198f272d6577325d4069",
        ),
        ("block169482.dat", 14, "0000000000000756935f1ee9d5987857b604046f846d3df56d024cdb5f368665"),
        ("block_13b8a.hex", 9, "0000000000013b8ab2cd513b0261a14096412195a72a0c4827d229dcc7e0f7af"),
    ] {
        let block = block(name);
        assert_eq!(block.txids.len(), transactions, "{name}");
        assert_eq!(block.merkle_root().unwrap(), block.header.merkle_root, "{name}");
        assert_eq!(block.hash().to_string(), hash);
        block.check().unwrap();
    }
}

#[test]
fn the_transactions_are_the_block_s_own_bytes() {
    let block = block413567();
    assert_eq!(block.transactions().len(), 1557);
    assert_eq!(block.transactions().next(), Some(block.coinbase()));
    let body: usize = block.transactions().map(<[u8]>::len).sum();
    // The header, the number of transactions in three bytes, the transactions.
    assert_eq!(block.bytes().len(), 80 + 3 + body);
    assert_eq!(block.bytes(), data::bytes("block413567.raw"));
}

#[test]
fn a_proof_for_each_kind_of_place_in_block_413567_has_11_hashes_and_verifies() {
    let block = block413567();
    let root = block.header.merkle_root.0;
    for index in [0, 1, 778, 1023, 1024, 1555, 1556] {
        let txid = block.txids[index];
        let proof = block.proof(txid).unwrap();
        assert_eq!(proof.path.len(), 11);
        assert_eq!(proof.verify(&txid.0, &root), Ok(()));
    }
    assert!(block.proof(quorumark_chain::Txid::default()).is_none());
}

#[test]
fn a_proof_with_one_bit_changed_does_not_verify() {
    let block = block413567();
    let (txid, root) = (block.txids[778], block.header.merkle_root.0);
    let proof = block.proof(txid).unwrap();
    let flip = |digest: &Digest, bit: usize| {
        let mut changed = *digest;
        changed.0[bit / 8] ^= 1 << (bit % 8);
        changed
    };
    for bit in 0..256 {
        assert!(proof.verify(&flip(&txid.0, bit), &root).is_err());
        assert!(proof.verify(&txid.0, &flip(&root, bit)).is_err());
        for level in 0..proof.path.len() {
            let mut changed = proof.clone();
            changed.path[level] = flip(&changed.path[level], bit);
            assert!(changed.verify(&txid.0, &root).is_err());
        }
    }
}

#[test]
fn a_block_with_one_byte_changed_is_refused() {
    let bytes = data::bytes("block169482.dat");
    for at in (0..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        let refused = Block::parse(&changed).and_then(|block| block.check());
        assert!(refused.is_err(), "byte {at}");
    }
    let mut changed = bytes.clone();
    changed[40] ^= 1;
    let refused = Block::parse(&changed).unwrap().check();
    assert!(matches!(refused, Err(BlockError::MerkleRoot { .. })));
    changed[40] ^= 1;
    changed[76] ^= 1;
    let refused = Block::parse(&changed).unwrap().check();
    assert!(matches!(refused, Err(BlockError::ProofOfWork { .. })));
}

#[test]
fn the_255_framed_blocks_validate_and_their_headers_are_mainnet_s() {
    let raw = first_blocks();
    let blocks: Vec<Block> = frames(&raw, &Params::mainnet())
        .map(|bytes| Block::parse(bytes.unwrap()).unwrap())
        .collect();
    assert_eq!(blocks.len(), 255);
    assert_eq!(blocks.iter().map(|block| block.txids.len()).sum::<usize>(), 262);
    let real = &data::mainnet_headers()[1..];
    for (block, header) in blocks.iter().zip(real) {
        assert_eq!(block.header, *header);
        block.check().unwrap();
    }
}

#[test]
fn the_151_regtest_blocks_validate_as_blocks_and_as_a_chain() {
    let text = data::text("floresta_regtest_blocks.txt");
    let mut headers: Vec<Header> = Vec::new();
    for line in text.lines() {
        let block = Block::from_file(line.as_bytes()).unwrap();
        block.check().unwrap();
        headers.push(block.header);
    }
    assert_eq!(headers.len(), 151);
    let mut chain = HeaderChain::new(Params::regtest());
    chain.extend(&headers, u64::from(u32::MAX)).unwrap();
}

#[test]
fn a_file_may_be_raw_or_framed_or_the_hex_of_either() {
    let raw = data::bytes("block169482.dat");
    let mut framed = Params::mainnet().magic.to_vec();
    framed.extend((raw.len() as u32).to_le_bytes());
    framed.extend(&raw);
    let hex = |bytes: &[u8]| format!("{}\n", quorumark_chain::hex::encode(bytes)).into_bytes();
    let wrapped = hex(&raw).chunks(60).collect::<Vec<_>>().join(&b'\n');
    for content in [raw.clone(), framed.clone(), hex(&raw), hex(&framed), wrapped] {
        assert_eq!(Block::from_file(&content).unwrap().bytes(), raw);
    }
    framed.push(0);
    assert!(matches!(Block::from_file(&framed), Err(BlockError::Trailing { count: 1 })));
    framed.truncate(framed.len() - 2);
    assert!(matches!(Block::from_file(&framed), Err(BlockError::Frame { offset: 0, .. })));
}

/// CVE-2012-2459: two transactions more and the same root.
#[test]
fn repeated_transactions_at_the_end_are_noticed() {
    let raw = data::bytes("block169482.dat");
    let block = Block::parse(&raw).unwrap();
    assert_eq!(block.txids.len(), 14);
    let mut mutated = raw.clone();
    mutated[80] = 16;
    for transaction in block.transactions().skip(12) {
        mutated.extend(transaction);
    }
    let mutated = Block::parse(&mutated).unwrap();
    assert!(matches!(mutated.check(), Err(BlockError::Mutated)));
}

#[test]
fn only_the_first_transaction_is_a_coinbase() {
    let raw = data::bytes("block169482.dat");
    let block = Block::parse(&raw).unwrap();
    let mut two = raw.clone();
    two[80] = 15;
    two.extend(block.coinbase());
    assert!(matches!(Block::parse(&two), Err(BlockError::Coinbase { index: 14 })));
    let mut none = raw[..80].to_vec();
    none.push(1);
    none.extend(block.transactions().nth(1).unwrap());
    assert!(matches!(Block::parse(&none), Err(BlockError::Coinbase { index: 0 })));
}
