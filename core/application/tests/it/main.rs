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

/// Executes one batch of a client's operations.
fn execute_as(
    application: &mut impl Application,
    seq: u64,
    client: ClientId,
    operations: &[Bytes],
) -> Vec<Bytes> {
    let mut results = Vec::new();
    let operations = operations.iter().map(|operation| (client, &operation[..]));
    application.execute(Seq(seq), operations, &mut results);
    results
}
