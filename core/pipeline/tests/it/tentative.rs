//! What is executed before it is committed, in the counts of a replica.

use crossbeam_channel::{Receiver, unbounded};
use quorumark_application::kv::Operation;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::{ClientId, ReplicaId, Request, SignedRequest, Timestamp};
use quorumark_pipeline::{ByHand, ClusterConfig, ClusterKeys, CommitEvent, Protocol};
use quorumark_primitives::wire::Encode;

use crate::driver::store;

const REPLICAS: usize = 4;

fn told(events: &Receiver<Vec<CommitEvent>>) -> u64 {
    events.try_iter().flatten().map(|event| event.executed.len() as u64).sum()
}

/// OSDI'99 5.1: a tentative execution "may abort". Whoever waits until a replica has executed what
/// clients took on the word of a quorum would else stop it before it is committed anywhere.
#[test]
fn osdi99_5_1_a_tentative_execution_counts_when_it_is_committed() {
    let mut config = ClusterConfig::new(REPLICAS).unwrap();
    (config.engine.tentative, config.engine.batch_size_max) = (true, 1);
    let config = config.check().unwrap();
    let keys = ClusterKeys::new(&config, Message::ID);
    let (senders, events): (Vec<_>, Vec<_>) = (0..REPLICAS).map(|_| unbounded()).unzip();
    let observer = |replica: ReplicaId| Some(senders[usize::from(replica.0)].clone());
    let (mut hand, ports) =
        ByHand::pbft(&config, &keys, &[0..config.clients], observer, store).unwrap();

    let client = ClientId(0);
    let operation = Operation::put_of_size(7, 64);
    let request = Request { client, timestamp: Timestamp(1), operation };
    let proof = keys.client(client).prove(&request);
    let frame = Message::Request(SignedRequest::new(request, proof)).to_frame();
    ports[0].send(ReplicaId(0), vec![frame]).unwrap();

    let mut counted = [0; REPLICAS];
    let mut at_once = 0;
    loop {
        let mut worked = false;
        for replica in 0..REPLICAS {
            let Some(turn) = hand.replicas[replica].turn() else { continue };
            worked = true;
            counted[replica] += turn.executed;
            assert_eq!(turn.executed, told(&events[replica]), "r{replica}: counted, and committed");
            // Replies leave in the turn that executes.
            at_once += u64::from(ports[0].try_recv().unwrap().is_some() && turn.executed == 0);
        }
        if !worked {
            break;
        }
    }
    assert_eq!(counted, [1; REPLICAS]);
    assert!(at_once > 0, "somebody answered before it was committed");
}
