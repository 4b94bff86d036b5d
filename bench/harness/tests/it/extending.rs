//! The examples of `bench/EXTENDING.md`: compiled, run, and held against its text.

#![allow(clippy::unwrap_used)] // An example shows what is done, and stops at what it did not expect.

use std::time::{self, Duration};

use bytes::Bytes;
use quorumark_application::Application;
use quorumark_consensus::engine::{Input, Outbox};
use quorumark_consensus::pbft::{self, Counters, Message, Pbft};
use quorumark_consensus::{
    ClientId, Engine, Instant, ReplicaId, Request, Seq, SignedRequest, Timestamp,
};
use quorumark_harness::clock;
use quorumark_harness::scenario::{Closing, Control, Measured, MetricSpec, Session, note};
use quorumark_harness::{
    Host, Origin, Parameter, ParameterSet, RunError, Scenario, Spec, run, scenario,
};
use quorumark_pipeline::port::open_replies;
use quorumark_pipeline::{Cluster, ClusterConfig, ClusterKeys, Protocol};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::sha256;
use quorumark_primitives::wire::Encode;
use quorumark_report::{Metrics, Verdict};

const GUIDE: &str = include_str!("../../../EXTENDING.md");
const THIS: &str = include_str!("extending.rs");

// [a scenario]
/// Sorts `count` numbers: what a scenario needs, and no more.
struct Sort;

const METRICS: &[MetricSpec] = &[
    MetricSpec { name: "numbers_per_s", meaning: "numbers sorted per second of wall-clock time" },
    MetricSpec { name: "cpu_ns_per_number", meaning: "CPU time of one number" },
];

impl Scenario for Sort {
    fn spec(&self) -> Spec {
        let effect = "numbers of one pass";
        let mut parameters =
            vec![Parameter::integer("count", "numbers", 1..=1 << 20, 4096, effect)];
        let (duration, warmup) = (Duration::from_millis(500), Duration::from_millis(100));
        parameters.extend(scenario::run_parameters(duration, warmup, 5));
        let description = "sorting numbers that a seed made";
        Spec { name: "sort/numbers", description, parameters, metrics: METRICS }
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        let seed = parameters.integer("seed");
        let number = |nth: u64| (seed ^ nth).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let numbers = (0..parameters.integer("count")).map(number).collect();
        Ok(Box::new(Sorting { numbers, sorted: Vec::new() }))
    }
}

struct Sorting {
    numbers: Vec<u64>,
    sorted: Vec<u64>,
}

impl Session for Sorting {
    fn trial(&mut self, span: Duration, control: &Control<'_>) -> Result<Measured, RunError> {
        let (started, mut sorted, mut cpu) = (time::Instant::now(), 0, Duration::ZERO);
        while sorted == 0 || (started.elapsed() < span && !control.interrupted()) {
            self.sorted.clone_from(&self.numbers); // not measured as CPU time
            let before = clock::thread_cpu();
            self.sorted.sort_unstable();
            cpu += clock::thread_cpu() - before;
            sorted += self.sorted.len();
        }
        let mut measured = Measured { span: started.elapsed(), ..Measured::default() };
        let per_s = sorted as f64 / measured.span.as_secs_f64();
        measured.metrics.set("numbers_per_s", per_s);
        measured.metrics.set("cpu_ns_per_number", cpu.as_nanos() as f64 / sorted as f64);
        Ok(measured)
    }

    fn finish(&mut self, _: &mut Metrics) -> Result<Closing, RunError> {
        let mut closing = Closing::default();
        let wrong = (!self.sorted.is_sorted()).then(|| "two numbers are swapped".to_owned());
        note(&mut closing.oracle, "order", wrong);
        Ok(closing)
    }
}
// [end]

#[test]
fn a_scenario_of_one_s_own_is_run_like_any_other() {
    let mut parameters = ParameterSet::new(Sort.spec().parameters);
    for setting in ["duration=1ms", "warmup=0s", "repeat=2"] {
        parameters.assign(setting, Origin::Flag("--set".to_owned())).unwrap();
    }
    let record = run(&Sort, &parameters, Host::quiet()).unwrap().record;
    assert!(record.verdict != Verdict::Fail && record.samples.len() == 2, "{record:?}");
    assert!(record.metrics.get("cpu_ns_per_number") > Some(0.0));
    assert_eq!((record.oracle["order"].evaluated, record.oracle["order"].violated), (1, 0));
}

// [an application]
/// Adds up what clients send: a replicated state machine of one number.
#[derive(Default)]
struct Sum(u64);

impl Application for Sum {
    fn execute<'a>(
        &mut self,
        _: Seq,
        _: &Bytes,
        operations: impl Iterator<Item = (ClientId, &'a [u8])>,
        results: &mut Vec<Bytes>,
    ) {
        for (_, operation) in operations {
            // Nothing that a client sends may make it panic: what is no number adds nothing.
            let number = <[u8; 8]>::try_from(operation).map_or(0, u64::from_le_bytes);
            self.0 = self.0.wrapping_add(number);
            results.push(Bytes::copy_from_slice(&self.0.to_le_bytes()));
        }
    }

    fn root(&mut self) -> Digest {
        sha256(&self.0.to_le_bytes())
    }
}
// [end]

// [an engine]
/// PBFT with something of one's own around it. An engine from scratch has its own messages, for
/// which it implements `Protocol` too.
struct Wrapped {
    inner: Pbft,
    inputs: u64,
}

impl Engine for Wrapped {
    type Message = Message;
    type Counters = Counters;

    fn handle(&mut self, now: Instant, input: Input<Message>, out: &mut Outbox<Message>) {
        self.inputs += 1;
        self.inner.handle(now, input, out);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.inner.next_timeout()
    }

    fn counters(&self) -> Counters {
        assert!(self.inputs > 0, "a replica that ran was told something");
        self.inner.counters()
    }
}
// [end]

#[test]
fn an_engine_and_an_application_of_one_s_own_run_under_the_pipeline() {
    // [embedding]
    let config = ClusterConfig::new(4).unwrap().check().unwrap();
    let keys = ClusterKeys::new(&config, Message::ID);
    let engine = |replica| {
        let settings = pbft::Config { replica, ..config.engine.clone() };
        Wrapped { inner: Pbft::new(settings.check().unwrap()), inputs: 0 }
    };
    let sum = |_| Sum::default();
    let one = 0..1;
    let ports = std::slice::from_ref(&one);
    let (cluster, ports) = Cluster::start(&config, &keys, ports, None, engine, sum).unwrap();

    let mut client = keys.client(ClientId(0));
    let operation = Bytes::copy_from_slice(&20_u64.to_le_bytes());
    let request = Request { client: client.id(), timestamp: Timestamp(1), operation };
    let proof = client.prove(&request);
    let frame = Message::Request(SignedRequest::new(request, proof)).to_frame();
    ports[0].send(ReplicaId(0), vec![frame]).unwrap();

    // A result counts once f + 1 replicas, here two, have answered alike.
    let (mut answers, deadline) = (Vec::new(), time::Instant::now() + Duration::from_secs(60));
    while answers.len() < 2 && time::Instant::now() < deadline {
        let frames = ports[0].recv_timeout(Duration::from_millis(20)).unwrap();
        for frame in frames.iter().flatten() {
            open_replies(frame, |_| Some(&client), |reply| answers.push(reply.result_bytes()))
                .unwrap();
        }
    }
    let report = cluster.stop().unwrap();
    // [end]
    assert!(answers.len() >= 2, "{report:?}");
    assert!(answers.iter().all(|answer| answer.as_ref() == 20_u64.to_le_bytes()), "{answers:?}");
    assert_eq!(report.replicas.len(), 4);
}

/// What stands here between `[name]` and `[end]`, without its indentation.
fn example(name: &str) -> String {
    let begin = THIS.find(&format!("// [{name}]\n")).unwrap();
    let inner = THIS[begin..].split_once('\n').unwrap().1;
    let inner = inner.split("// [end]").next().unwrap().trim_end();
    let indented = inner.lines().filter(|line| !line.is_empty());
    let indent = indented.map(|line| line.len() - line.trim_start().len()).min().unwrap();
    let lines = inner.lines().map(|line| line.get(indent..).unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_guide_shows_what_is_compiled_here() {
    for name in ["a scenario", "an application", "an engine", "embedding"] {
        let block = format!("```rust\n{}\n```", example(name));
        assert!(GUIDE.contains(&block), "{name} of EXTENDING.md differs; it should be\n{block}");
    }
}
