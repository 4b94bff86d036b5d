//! The gate: what a signature binds, and what passes.

use std::sync::Arc;

use quorumark_primitives::ed25519::{PublicKey, SecretKey, Signature};
use quorumark_primitives::mac::Authenticator;
use quorumark_primitives::signed::{
    Claimed, Claims, ClientAuth, ClientSessions, Context, Domain, KeyDirectory, ProtocolId,
    Refusal, ReplicaSessions, Sealable, Sealer, Signed, Signer, Statement, Verified, Verifier,
    VerifyPath,
};
use quorumark_primitives::wire::{Decode, Encode};

const CONTEXT: Context = Context { cluster: 9, protocol: ProtocolId(1) };
const REPLICAS: u16 = 4;
const CLIENTS: u32 = 6;
const SEED: [u8; 32] = [42; 32];

/// A vote of a replica in domain `D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ballot<const D: u8> {
    replica: u16,
    view: u64,
}

type Prepare = Ballot<{ Domain::Prepare as u8 }>;
type Commit = Ballot<{ Domain::Commit as u8 }>;

impl<const D: u8> Encode for Ballot<D> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.replica.encode(out);
        self.view.encode(out);
    }
}

impl<const D: u8> Statement for Ballot<D> {
    const DOMAIN: Domain =
        if D == Domain::Prepare as u8 { Domain::Prepare } else { Domain::Commit };
    fn signer(&self) -> Signer {
        Signer::Replica(self.replica)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    client: u32,
    number: u64,
}

impl Encode for Order {
    fn encode(&self, out: &mut Vec<u8>) {
        self.client.encode(out);
        self.number.encode(out);
    }
}

impl Statement for Order {
    const DOMAIN: Domain = Domain::Request;
    fn signer(&self) -> Signer {
        Signer::Client(self.client)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    Signature(Signature),
    Mac(Authenticator),
    None,
}

/// A vote that carries votes of others and requests, as certificates and pre-prepares do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bundle {
    own: Signed<Prepare>,
    nested: Vec<Signed<Commit>>,
    orders: Vec<(Order, Proof)>,
    forgives: bool,
    forgiven: Vec<usize>,
    broken: bool,
}

impl Claimed for Bundle {
    fn claims(&self, sink: &mut Claims<'_>) {
        sink.signed(&self.own);
        self.nested.iter().for_each(|vote| sink.signed(vote));
        for (order, proof) in &self.orders {
            match proof {
                Proof::Signature(signature) => sink.statement(order, signature),
                Proof::Mac(authenticator) => {
                    let tag = |replica| authenticator.tag(replica).copied();
                    sink.mac(order.client, &order.number.to_le_bytes(), tag);
                }
                Proof::None => sink.unauthenticated(),
            }
        }
        if self.broken {
            sink.refuse("the digest does not match");
        }
    }

    fn forgive_mac(&mut self, nth: usize) -> bool {
        self.forgiven.push(nth);
        self.forgives
    }
}

impl Sealable for Bundle {
    fn seal(&mut self, sealer: &mut Sealer) {
        sealer.seal(&mut self.own);
    }
}

fn secret(signer: Signer) -> SecretKey {
    let mut seed = [0; 32];
    match signer {
        Signer::Replica(id) => seed[..2].copy_from_slice(&id.to_le_bytes()),
        // Two clients share each key.
        Signer::Client(id) => seed[4..8].copy_from_slice(&(id / 2 + 1).to_le_bytes()),
    }
    SecretKey::from_seed(&seed)
}

fn sealer(context: Context, signer: Signer) -> Sealer {
    Sealer::new(context, signer, secret(signer))
}

fn directory() -> Arc<KeyDirectory> {
    let key = |signer| -> PublicKey { secret(signer).public() };
    Arc::new(KeyDirectory::new(
        (0..REPLICAS).map(|id| key(Signer::Replica(id))).collect(),
        (0..CLIENTS).map(|id| key(Signer::Client(id))).collect(),
    ))
}

fn verifier_in(context: Context, auth: ClientAuth) -> Verifier {
    Verifier::new(context, directory(), auth, [5; 32])
}

fn verifier() -> Verifier {
    verifier_in(CONTEXT, ClientAuth::Signature)
}

fn signed<const D: u8>(replica: u16, view: u64) -> Signed<Ballot<D>>
where
    Ballot<D>: Statement,
{
    let mut vote = Signed::blank(Ballot { replica, view });
    sealer(CONTEXT, Signer::Replica(replica)).seal(&mut vote);
    vote
}

fn bundle(replica: u16, view: u64) -> Bundle {
    let order = Order { client: u32::from(replica), number: view };
    let signature = sealer(CONTEXT, order.signer()).sign(&order);
    Bundle {
        own: signed(replica, view),
        nested: (0..REPLICAS).map(|other| signed(other, view)).collect(),
        orders: vec![(order, Proof::Signature(signature))],
        forgives: false,
        forgiven: Vec::new(),
        broken: false,
    }
}

fn verify(verifier: &mut Verifier, bundle: Bundle) -> Result<Verified<Bundle>, Refusal> {
    let mut verdict = None;
    verifier.verify(&mut vec![bundle], |outcome| {
        assert!(verdict.is_none(), "one verdict for one value");
        verdict = Some(outcome.map_err(|(_, refusal)| refusal));
    });
    verdict.unwrap()
}

/// The bundles' refusals, in order; `None` where it passed.
fn refusals(verifier: &mut Verifier, mut bundles: Vec<Bundle>) -> Vec<Option<Refusal>> {
    let mut refusals = Vec::new();
    verifier.verify(&mut bundles, |outcome| refusals.push(outcome.err().map(|(_, why)| why)));
    assert!(bundles.is_empty());
    refusals
}

#[test]
fn what_was_sealed_passes_and_comes_back_from_its_encoding() {
    let bundle = bundle(1, 7);
    let passed = verify(&mut verifier(), bundle.clone()).unwrap();
    assert_eq!(*passed.get(), bundle);
    assert_eq!(passed.own.body.view, 7);
    let frame = bundle.own.signature.to_frame();
    assert_eq!(Signature::from_frame(&frame), Ok(bundle.own.signature));
}

#[test]
fn a_signature_cannot_be_moved_to_another_domain() {
    let mut moved = bundle(1, 7);
    let commit: Signed<Commit> = signed(1, 7);
    assert_ne!(moved.own.signature, commit.signature);
    moved.own.signature = commit.signature;
    assert_eq!(verify(&mut verifier(), moved).unwrap_err(), Refusal::Signature);
}

#[test]
fn a_signature_cannot_be_moved_to_another_cluster_or_protocol() {
    let others =
        [Context { cluster: 10, ..CONTEXT }, Context { protocol: ProtocolId(2), ..CONTEXT }];
    for other in others {
        let mut verifier = verifier_in(other, ClientAuth::Signature);
        assert_eq!(verify(&mut verifier, bundle(1, 7)).unwrap_err(), Refusal::Signature);
    }
}

#[test]
fn a_signature_cannot_be_moved_to_another_signer() {
    let mut moved = bundle(1, 7);
    moved.own.body.replica = 2;
    assert_eq!(verify(&mut verifier(), moved).unwrap_err(), Refusal::Signature);
    // Clients 2 and 3 share a key, so only the signed identity tells them apart.
    let mut moved = bundle(2, 7);
    assert_eq!(directory().key(Signer::Client(2)), directory().key(Signer::Client(3)));
    moved.orders[0].0.client = 3;
    assert_eq!(verify(&mut verifier(), moved).unwrap_err(), Refusal::Signature);
}

#[test]
fn every_prefix_is_distinct() {
    let mut prefixes = Vec::new();
    for cluster in [1, 1 << 32] {
        for protocol in [1, 2] {
            let context = Context { cluster, protocol: ProtocolId(protocol) };
            for domain in [Domain::Request, Domain::Prepare, Domain::Fetch] {
                for signer in [Signer::Replica(1), Signer::Client(1), Signer::Client(256)] {
                    prefixes.push(context.prefix(domain, signer));
                }
            }
        }
    }
    let all = prefixes.len();
    prefixes.sort_unstable();
    prefixes.dedup();
    assert_eq!(prefixes.len(), all);
}

#[test]
fn an_unknown_signer_is_refused_by_name() {
    let mut stranger = bundle(1, 7);
    stranger.own.body.replica = REPLICAS;
    let why = verify(&mut verifier(), stranger).unwrap_err();
    assert_eq!(why, Refusal::UnknownSigner(Signer::Replica(REPLICAS)));
}

#[test]
fn one_bad_nested_signature_refuses_its_value_and_no_other() {
    for path in [VerifyPath::Batch, VerifyPath::Single, VerifyPath::DalekSingle] {
        let mut verifier = verifier().with_path(path);
        let mut bundles: Vec<Bundle> = (0..12).map(|i| bundle(i % REPLICAS, 7)).collect();
        bundles[3].nested[2].signature.0[40] ^= 1;
        bundles[8].orders[0].1 = Proof::Signature(Signature::BLANK);
        let refusals = refusals(&mut verifier, bundles);
        for (i, refusal) in refusals.iter().enumerate() {
            let expected = [3, 8].contains(&i).then_some(Refusal::Signature);
            assert_eq!(*refusal, expected, "value {i} by {path:?}");
        }
        let counters = verifier.counters();
        assert_eq!((counters.accepted, counters.refused), (10, 2));
        assert_eq!(counters.signatures.signatures_invalid, 2, "by {path:?}");
        // The yardstick stops at a value's first bad signature; client and nested ones followed.
        let skipped = if path == VerifyPath::DalekSingle { 2 } else { 0 };
        assert_eq!(counters.signatures.signatures_verified, 12 * 6 - skipped, "by {path:?}");
    }
}

#[test]
fn a_structural_refusal_costs_no_signature_and_harms_no_neighbour() {
    let mut verifier = verifier();
    let mut bundles: Vec<Bundle> = (0..3).map(|i| bundle(i, 7)).collect();
    bundles[1].broken = true;
    let found = refusals(&mut verifier, bundles);
    assert_eq!(found, [None, Some(Refusal::Structure("the digest does not match")), None]);
    assert_eq!(verifier.counters().signatures.signatures_verified, 2 * 6);
}

#[test]
fn a_request_authenticated_in_another_way_is_refused() {
    let sessions = || Arc::new(ReplicaSessions::new(CONTEXT, &SEED, 0, CLIENTS));
    let authenticator = ClientSessions::new(CONTEXT, &SEED, 1, REPLICAS)
        .authenticate(Domain::Request, &7u64.to_le_bytes());
    let proofs = [
        (ClientAuth::Signature, bundle(1, 7).orders[0].1.clone()),
        (ClientAuth::Mac(sessions()), Proof::Mac(authenticator)),
        (ClientAuth::None, Proof::None),
    ];
    for i in 0..proofs.len() {
        for (j, (_, proof)) in proofs.clone().into_iter().enumerate() {
            let mut bundle = bundle(1, 7);
            bundle.orders[0].1 = proof;
            let outcome = verify(&mut verifier_in(CONTEXT, proofs[i].0.clone()), bundle);
            let expected = (i != j).then_some(Refusal::ClientAuth);
            assert_eq!(outcome.err(), expected, "auth {i}, proof {j}");
        }
    }
}

#[test]
fn the_value_decides_what_a_bad_mac_means() {
    let sessions = Arc::new(ReplicaSessions::new(CONTEXT, &SEED, 2, CLIENTS));
    let mut bundle = bundle(1, 7);
    bundle.orders.clear();
    for client in 0..3 {
        let mut authenticator = ClientSessions::new(CONTEXT, &SEED, client, REPLICAS)
            .authenticate(Domain::Request, &7u64.to_le_bytes());
        // Client 1 spoils the entry of replica 2, the others those of replica 3.
        let spoiled = if client == 1 { 2 } else { 3 };
        authenticator.tag_mut(spoiled).unwrap().0[0] ^= 1;
        bundle.orders.push((Order { client, number: 7 }, Proof::Mac(authenticator)));
    }
    let mut verifier = verifier_in(CONTEXT, ClientAuth::Mac(sessions));
    assert_eq!(verify(&mut verifier, bundle.clone()).unwrap_err(), Refusal::Mac);
    bundle.forgives = true;
    let kept = verify(&mut verifier, bundle).unwrap();
    assert_eq!(kept.forgiven, [1], "the second MAC of the value");
    assert_eq!((verifier.counters().macs_verified, verifier.counters().macs_invalid), (6, 2));
}

#[test]
fn a_reply_is_authentic_to_its_client_and_cannot_be_reflected() {
    let replica = ReplicaSessions::new(CONTEXT, &SEED, 2, CLIENTS);
    let client = ClientSessions::new(CONTEXT, &SEED, 1, REPLICAS);
    let tag = replica.tag(1, Domain::Reply, b"result").unwrap();
    assert!(client.accepts(2, Domain::Reply, b"result", &tag));
    assert!(!client.accepts(1, Domain::Reply, b"result", &tag));
    assert!(!client.accepts(2, Domain::Request, b"result", &tag));
    let request = client.authenticate(Domain::Reply, b"result");
    assert_ne!(request.tag(2), Some(&tag), "the direction is part of the tag");
    assert!(replica.tag(CLIENTS, Domain::Reply, b"result").is_none());
}

#[test]
fn an_own_value_is_verified_by_being_sealed() {
    let mut own = bundle(1, 7);
    own.own = Signed::blank(own.own.body);
    let sealed = sealer(CONTEXT, Signer::Replica(1)).seal_own(own);
    assert_eq!(sealed.own, signed(1, 7));
    assert!(verify(&mut verifier(), sealed.into_inner()).is_ok());
}

#[test]
#[should_panic(expected = "a statement is sealed by its own signer")]
fn nobody_seals_for_another() {
    sealer(CONTEXT, Signer::Replica(2)).seal_own(bundle(1, 7));
}

#[test]
#[should_panic(expected = "an own value carries an own signature")]
fn a_value_that_signs_nothing_is_not_sealed() {
    struct Nothing;
    impl Sealable for Nothing {
        fn seal(&mut self, _: &mut Sealer) {}
    }
    sealer(CONTEXT, Signer::Replica(2)).seal_own(Nothing);
}
