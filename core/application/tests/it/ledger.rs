//! The ledger: blocks, receipts, permissions, bounds and roots.

use bytes::Bytes;
use proptest::prelude::*;
use quorumark_application::ledger::{HEADERS_MAX, Header};
use quorumark_application::{Allowed, Application, Ledger, Permissions, Receipt};
use quorumark_consensus::types::{ClientId, Seq};
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{Rule, Tree, leaf_hash};
use quorumark_primitives::wire::{Decode, Encode, WireError};

use crate::{CLIENT, execute, execute_as};

fn transactions(range: std::ops::Range<u32>) -> Vec<Bytes> {
    range.map(|nth| Bytes::from(format!("transaction {nth}"))).collect()
}

fn receipt(result: &Bytes) -> Receipt {
    Receipt::from_frame(result).unwrap()
}

#[test]
fn each_batch_becomes_a_block_linked_to_the_one_before() {
    let mut ledger = Ledger::new(Permissions::default());
    for (nth, size) in [1u32, 2, 3, 256, 7].into_iter().enumerate() {
        let height = nth as u64 + 1;
        let results = execute(&mut ledger, height, &transactions(0..size));
        for (index, result) in results.iter().enumerate() {
            assert_eq!(receipt(result), Receipt::Included { height, index: index as u32 });
        }
    }
    let headers: Vec<Header> = ledger.headers().copied().collect();
    assert_eq!(headers[0].previous, Digest::ZERO);
    assert!(headers.windows(2).all(|pair| pair[1].previous == pair[0].digest()));
    assert!(headers.iter().map(|header| header.height).eq(1..=5));
    assert_eq!((ledger.head(), ledger.height()), (headers[4].digest(), 5));
    assert_eq!(ledger.transactions(), 1 + 2 + 3 + 256 + 7);
}

#[test]
fn a_receipt_leads_to_an_inclusion_proof_against_the_blocks_header() {
    let mut ledger = Ledger::new(Permissions::default());
    let block = transactions(0..21);
    let results = execute(&mut ledger, 1, &block);
    let leaves = block.iter().map(|bytes| leaf_hash(Rule::Rfc6962, bytes)).collect();
    let tree = Tree::build(Rule::Rfc6962, leaves);
    let header = *ledger.headers().next().unwrap();
    assert_eq!(header.count, 21);
    for (transaction, result) in block.iter().zip(&results) {
        let Receipt::Included { height: 1, index } = receipt(result) else {
            panic!("{transaction:?} is not in block 1")
        };
        let proof = tree.proof(u64::from(index)).unwrap();
        proof.verify_data(transaction, &header.transactions_root).unwrap();
    }
}

#[test]
fn a_forbidden_transaction_stands_in_no_block() {
    let barred = ClientId(9);
    let permissions = Permissions::default().with(barred, Allowed::GET);
    let mut ledger = Ledger::new(permissions);
    let root = ledger.root();
    let results = execute_as(&mut ledger, 1, barred, &transactions(0..3));
    assert!(results.iter().all(|result| receipt(result) == Receipt::Forbidden));
    assert_eq!((ledger.root(), ledger.height()), (root, 0));

    let mut mixed = Vec::new();
    let batch = transactions(0..2);
    let operations = [(barred, &batch[0][..]), (CLIENT, &batch[1])];
    ledger.execute(Seq(2), &Bytes::new(), operations.into_iter(), &mut mixed);
    let expected = [Receipt::Forbidden, Receipt::Included { height: 1, index: 0 }];
    assert!(mixed.iter().map(receipt).eq(expected));
}

#[test]
fn a_batch_without_transactions_makes_no_block() {
    let mut ledger = Ledger::new(Permissions::default());
    let root = ledger.root();
    assert!(execute(&mut ledger, 1, &[]).is_empty());
    assert_eq!((ledger.height(), ledger.root()), (0, root));
}

#[test]
fn the_root_binds_order_batches_and_permissions() {
    let root = |permissions: Permissions, batches: &[&[u32]]| {
        let mut ledger = Ledger::new(permissions);
        for (nth, batch) in batches.iter().enumerate() {
            let batch: Vec<Bytes> =
                batch.iter().map(|&nth| transactions(nth..nth + 1)[0].clone()).collect();
            execute(&mut ledger, nth as u64 + 1, &batch);
        }
        ledger.root()
    };
    let open = Permissions::default;
    let histories: [&[&[u32]]; 6] =
        [&[], &[&[1, 2, 3]], &[&[1, 3, 2]], &[&[1, 2], &[3]], &[&[1], &[2, 3]], &[&[1, 2, 3, 3]]];
    for (nth, history) in histories.iter().enumerate() {
        assert_eq!(root(open(), history), root(open(), history));
        for other in &histories[..nth] {
            assert_ne!(root(open(), history), root(open(), other), "{history:?} and {other:?}");
        }
    }
    assert_ne!(root(open(), &[&[1]]), root(open().with(ClientId(9), Allowed::NONE), &[&[1]]));
}

#[test]
fn only_the_last_headers_are_kept() {
    let mut ledger = Ledger::new(Permissions::default());
    let transaction = transactions(0..1);
    let blocks = HEADERS_MAX as u64 + 10;
    for seq in 1..=blocks {
        execute(&mut ledger, seq, &transaction);
    }
    let heights: Vec<u64> = ledger.headers().map(|header| header.height).collect();
    assert_eq!(heights.len(), HEADERS_MAX);
    assert!(heights.into_iter().eq(11..=blocks));
    assert_eq!(ledger.transactions(), blocks);
}

#[test]
fn a_receipt_has_one_encoding() {
    for receipt in [Receipt::Forbidden, Receipt::Included { height: u64::MAX, index: 7 }] {
        let frame = receipt.to_frame();
        assert_eq!(Receipt::from_frame(&frame), Ok(receipt));
        let longer = Bytes::from([&frame[..], b"x"].concat());
        assert_eq!(Receipt::from_frame(&longer), Err(WireError::Trailing { count: 1 }));
    }
    let unknown = Receipt::from_frame(&Bytes::from_static(&[2]));
    assert_eq!(unknown, Err(WireError::Tag { tag: 2, of: "receipt" }));
}

proptest! {
    #[test]
    fn replicas_that_execute_the_same_batches_hold_the_same_ledger(
        batches in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..9), 0..9,
        ),
    ) {
        let mut replicas = [(); 2].map(|()| Ledger::new(Permissions::default()));
        for (nth, batch) in batches.into_iter().enumerate() {
            let batch: Vec<Bytes> = batch.into_iter().map(Bytes::from).collect();
            let [one, other] = &mut replicas;
            let seq = nth as u64 + 1;
            prop_assert_eq!(execute(one, seq, &batch), execute(other, seq, &batch));
            prop_assert_eq!(one.root(), other.root());
        }
        prop_assert!(replicas[0].headers().eq(replicas[1].headers()));
    }
}
