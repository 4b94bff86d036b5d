//! One step of PBFT: what a backup's engine spends on one message of each phase, by committee size.
//!
//! Timed: `Engine::handle` for every message of the phase in 64 sequence numbers, as verified
//! messages; a fresh engine that has heard the phases before, its inputs, and the release of its
//! outputs are outside. Throughput is in messages. No signature is checked or made: see
//! `signature::` for those.

use criterion::Throughput;
use quorumark_consensus::{Engine, Output};
use quorumark_micro::Id;
use quorumark_micro::fixtures::agreement::{Agreement, Phase, SLOTS, Step};

use crate::suite::{Bench, Routine};

pub(crate) const ROUTINES: &[Routine] = &[
    ("pbft::pre_prepare", |id, bench| step(id, bench, Phase::PrePrepare)),
    ("pbft::prepare", |id, bench| step(id, bench, Phase::Prepare)),
    ("pbft::commit", |id, bench| step(id, bench, Phase::Commit)),
];

fn step(id: &Id, bench: Bench<'_, '_>, phase: Phase) {
    let (n, batch_size) = (id.number("n"), id.number("batch_size"));
    let fixture = || {
        let agreement = Agreement::new(n, batch_size);
        check(&mut agreement.before(phase), phase, batch_size);
        agreement
    };
    let work = Throughput::Elements(Agreement::messages(n, phase));
    let before = |agreement: &Agreement| agreement.before(phase);
    bench.measure_each(work, fixture, before, |_, mut step| {
        step.run();
        step
    });
}

/// Every slot takes one step further, and nothing was refused.
fn check(step: &mut Step, phase: Phase, batch_size: usize) {
    step.run();
    let expected = |output: &Output<_>| match (phase, output) {
        (Phase::PrePrepare | Phase::Prepare, Output::Say { .. }) => true,
        (Phase::Commit, Output::Execute(execution)) => execution.fresh.len() == batch_size,
        _ => false,
    };
    let outputs = step.out.drain().filter(expected).count() as u64;
    assert_eq!(outputs, SLOTS, "one output for each slot");
    let counters = step.engine.counters();
    assert_eq!(counters.messages_improper + counters.messages_out_of_reach, 0);
}
