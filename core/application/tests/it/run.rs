//! The step from a committed batch to its results.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quorumark_application::kv::{KvStore, Limits, Operation, Outcome};
use quorumark_application::{Application, Ledger, Permissions, Receipt, run};
use quorumark_consensus::engine::Execution;
use quorumark_consensus::parts::StateRoot;
use quorumark_consensus::request::{Batch, ClientProof, Request, SignedRequest};
use quorumark_consensus::types::{ClientId, Seq, Timestamp, View};
use quorumark_primitives::Digest;
use quorumark_primitives::wire::{Decode, Encode};

fn execution(seq: u64, operations: Vec<Bytes>, fresh: Vec<u32>, checkpoint: bool) -> Execution {
    let request = |(nth, operation)| {
        let (client, timestamp) = (ClientId(nth as u32 % 3), Timestamp(seq));
        SignedRequest::new(Request { client, timestamp, operation }, ClientProof::None)
    };
    let requests = operations.into_iter().enumerate().map(request).collect();
    Execution {
        seq: Seq(seq),
        view: View(0),
        batch: Arc::new(Batch::new(requests)),
        fresh,
        checkpoint,
        tentative: false,
        certificate: Arc::new([]),
    }
}

/// Notes what it is given, and answers each operation with itself.
#[derive(Default)]
struct Recorder(Vec<(Seq, ClientId, Bytes)>);

impl Application for Recorder {
    fn execute<'a>(
        &mut self,
        seq: Seq,
        _: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    ) {
        for (client, operation) in operations {
            let operation = Bytes::copy_from_slice(operation);
            self.0.push((seq, client, operation.clone()));
            results.push(operation);
        }
    }

    fn root(&mut self) -> Digest {
        Digest([7; 32])
    }
}

proptest! {
    #[test]
    fn exactly_the_fresh_requests_run_in_order_each_for_its_client(
        is_fresh in prop::collection::vec(any::<bool>(), 0..40),
    ) {
        let operations: Vec<Bytes> =
            (0..is_fresh.len()).map(|nth| Bytes::from(vec![nth as u8])).collect();
        let fresh: Vec<u32> =
            (0..is_fresh.len() as u32).filter(|&nth| is_fresh[nth as usize]).collect();
        let mut recorder = Recorder::default();
        let execution = execution(5, operations.clone(), fresh.clone(), false);
        let executed = run(&mut recorder, &execution);
        let expected: Vec<_> = fresh
            .iter()
            .map(|&nth| (Seq(5), ClientId(nth % 3), operations[nth as usize].clone()))
            .collect();
        prop_assert!(executed.results.iter().eq(expected.iter().map(|(_, _, bytes)| bytes)));
        prop_assert_eq!(recorder.0, expected);
        prop_assert_eq!(executed.seq, Seq(5));
    }
}

#[test]
fn the_root_is_taken_where_the_engine_wants_one() {
    let root = |checkpoint| {
        let execution = execution(1, vec![], vec![], checkpoint);
        run(&mut Recorder::default(), &execution).state_root
    };
    assert_eq!(root(false), None);
    assert_eq!(root(true), Some(StateRoot { root: Digest([7; 32]), leaves: 1 }));
}

#[test]
fn a_repeat_changes_no_store_and_no_ledger() {
    let put = |value| Operation::Put { key: 1, value }.to_frame();
    let batch = vec![put(b"first"), put(b"repeat"), Operation::Get { key: 1 }.to_frame()];
    let execution = execution(1, batch, vec![0, 2], true);

    let mut store = KvStore::new(Limits::default(), Permissions::default());
    let executed = run(&mut store, &execution);
    let read = Outcome::parse(&executed.results[1]).unwrap();
    assert_eq!(read, Outcome::Value(b"first"));
    assert_eq!(executed.state_root.unwrap().root, store.root());

    let mut ledger = Ledger::new(Permissions::default());
    let executed = run(&mut ledger, &execution);
    let receipts = executed.results.iter().map(|result| Receipt::from_frame(result).unwrap());
    assert!(receipts.eq([0, 1].map(|index| Receipt::Included { height: 1, index })));
}

#[test]
fn an_application_can_move_to_the_execute_stage() {
    fn movable(_: impl Application + 'static) {}
    movable(Ledger::new(Permissions::default()));
    movable(KvStore::new(Limits::default(), Permissions::default()));
}
