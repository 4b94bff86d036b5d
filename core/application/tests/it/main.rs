//! The state machines seen from outside: as an execute stage drives them and clients see them.

#![allow(clippy::unwrap_used, reason = "functions that prepare a test may fail where it fails")]

mod kv;
mod kv_model;
mod ledger;
mod run;
mod snapshots;

use bytes::Bytes;
use quorumark_application::Application;
use quorumark_consensus::types::{ClientId, Seq};

/// The client that asks where a test does not care who does.
const CLIENT: ClientId = ClientId(1);

/// Executes one batch of [`CLIENT`]'s operations.
fn execute(application: &mut impl Application, seq: u64, operations: &[Bytes]) -> Vec<Bytes> {
    execute_as(application, seq, CLIENT, operations)
}

/// Executes one batch of a client's operations, which lie in one frame, as they mostly do.
fn execute_as(
    application: &mut impl Application,
    seq: u64,
    client: ClientId,
    operations: &[Bytes],
) -> Vec<Bytes> {
    let mut results = Vec::new();
    let frame = Bytes::from(operations.concat());
    let mut rest = &frame[..];
    let operations = operations.iter().map(|operation| {
        let (operation, after) = rest.split_at(operation.len());
        rest = after;
        (client, operation)
    });
    application.execute(Seq(seq), &frame, operations, &mut results);
    results
}

/// As [`execute`], where each operation lies by itself.
fn execute_apart(application: &mut impl Application, seq: u64, operations: &[Bytes]) -> Vec<Bytes> {
    let mut results = Vec::new();
    let operations = operations.iter().map(|operation| (CLIENT, &operation[..]));
    application.execute(Seq(seq), &Bytes::new(), operations, &mut results);
    results
}
