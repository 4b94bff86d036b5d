//! The witness commitment (BIP 141), on a block that the `bitcoin` crate builds and commits to.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header as BitcoinHeader, Version as BlockVersion};
use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block as BitcoinBlock, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness,
};
use quorumark_chain::block::{Block, BlockError};
use quorumark_chain::miner::{Miner, Stop};
use quorumark_chain::template::Template;
use quorumark_chain::{Header, Params};

const RESERVED: [u8; 32] = [7; 32];

fn transaction(
    previous: OutPoint,
    script_sig: &[u8],
    witness: &[u8],
    pay: ScriptBuf,
) -> Transaction {
    let input = TxIn {
        previous_output: previous,
        script_sig: ScriptBuf::from_bytes(script_sig.to_vec()),
        sequence: Sequence::MAX,
        witness: Witness::from_slice(&[witness]),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![TxOut { value: Amount::from_sat(1), script_pubkey: pay }],
    }
}

/// A regtest block of a coinbase and two payments with witnesses, mined.
fn block(commit: impl Fn([u8; 32]) -> Vec<u8>) -> Vec<u8> {
    let payment = |seed: u8| {
        let previous = OutPoint::new(Txid::from_byte_array([seed; 32]), 0);
        transaction(previous, &[], &[seed; 64], ScriptBuf::new())
    };
    let coinbase = transaction(OutPoint::null(), &[1; 12], &RESERVED, ScriptBuf::new());
    let header = BitcoinHeader {
        version: BlockVersion::TWO,
        prev_blockhash: bitcoin::BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::all_zeros(),
        time: 1_700_000_000,
        bits: bitcoin::CompactTarget::from_consensus(Params::regtest().limit.0),
        nonce: 0,
    };
    let txdata = vec![coinbase, payment(1), payment(2)];
    let mut block = BitcoinBlock { header, txdata };
    let root = block.witness_root().unwrap();
    let commitment = BitcoinBlock::compute_witness_commitment(&root, &RESERVED);
    let script = ScriptBuf::from_bytes(commit(commitment.to_byte_array()));
    block.txdata[0].output[0].script_pubkey = script;
    block.header.merkle_root = block.compute_merkle_root().unwrap();
    let mut bytes = serialize(&block);
    let header = Header::parse(&bytes[..80]).unwrap();
    let mined = Miner::new(1).unwrap().mine(&header, 0..=u32::MAX, &Stop::new()).unwrap();
    let nonce = mined.outcome.found().unwrap().nonce;
    bytes[76..80].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

fn committed(commitment: [u8; 32]) -> Vec<u8> {
    let mut script = vec![0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
    script.extend(commitment);
    script
}

#[test]
fn a_block_that_commits_to_its_witnesses_is_accepted() {
    let bytes = block(committed);
    let block = Block::parse(&bytes).unwrap();
    block.check().unwrap();
    let reference: BitcoinBlock = bitcoin::consensus::deserialize(&bytes).unwrap();
    for (ours, theirs) in block.txids.iter().zip(&reference.txdata) {
        assert_eq!(ours.0.0, theirs.compute_txid().to_byte_array());
    }
    assert!(block.transactions().zip(&reference.txdata).all(|(ours, tx)| ours == serialize(tx)));
}

#[test]
fn a_wrong_or_missing_commitment_is_refused() {
    for bytes in [
        block(|mut commitment| {
            commitment[0] ^= 1;
            committed(commitment)
        }),
        block(|_| Vec::new()),
    ] {
        let refused = Block::parse(&bytes).unwrap().check();
        assert!(matches!(refused, Err(BlockError::WitnessCommitment)));
    }
}

#[test]
fn a_template_leaves_the_coinbase_s_witness_out() {
    let block = Block::parse(&block(committed)).unwrap();
    let template = Template::of_block(&block).unwrap();
    let candidate = template.candidate(0x0101_0101);
    assert_eq!(candidate.header, block.header);
    assert!(candidate.coinbase.len() < block.coinbase().len());
}
