//! The swarm: what a scenario leaves open is drawn for each seed, from these ranges.
//!
//! | what | from |
//! |---|---|
//! | replicas | 4 in six of ten seeds, else 5, 6, 7 or 10; 4 where the file names replicas |
//! | duration, gst | 60 s; 15 s to 25 s |
//! | view timeout | 300 ms to 2 s |
//! | checkpoint interval K, window | 4 to 32; 2 to 4 times K |
//! | batches | 1, 4, 16 or 64 requests; linger 0 to 5 ms |
//! | status interval | 50 ms to 300 ms |
//! | clients, operations, keys | 1 to 8, 300 to 600, 1 to 32 |
//! | rate | 20 to 100 per second; one seed in four is a closed loop |
//! | delay | from 0.1 to 5 ms to 6 to 60 ms; a tail in up to 2 of 100 |
//! | loss, copies, changes | up to 15, 20 and 2 of 100; in one seed of three none of them |
//! | reordering | in four of five seeds |
//! | partition, isolation, link, pause, clock, crash | one to six of these before GST, for 0.5 to 5 s |
//! | liars | in two of three seeds 1 to f of them, with any behaviour |
//!
//! A kind of fault that `faults` does not list stays away.

use std::time::Duration;

use super::faults::{AfterCrash, Behaviour, Byzantine, Event, Fault, When, Who};
use super::terms::Lie;
use super::{Network, Scenario, Settings, Workload};
use crate::random::{CERTAIN, Random};

const MS: u64 = 1_000_000;

/// Kinds of faults that a swarm draws.
pub(super) const KINDS: [&str; 5] = ["network", "partition", "crash", "clock", "byzantine"];

/// What the file itself says, by `section.key` or `section`.
pub(super) type Given<'a> = &'a dyn Fn(&str) -> bool;

/// What `[swarm]` says.
#[derive(Debug)]
pub(super) struct Swarm {
    /// Which of [`KINDS`].
    pub(super) kinds: Vec<String>,
    /// How many seeds use real signatures.
    pub(super) real_crypto_share: u32,
}

impl Swarm {
    /// Draws what is not given.
    pub(super) fn fill(&self, scenario: &mut Scenario, given: Given<'_>) {
        let mut random = Random::new(scenario.seed, "swarm");
        let names = given("event") || given("byzantine");
        if !given("replicas") && !names {
            scenario.replicas = match random.below(10) {
                0..6 => 4,
                6 => 5,
                7 => 6,
                8 => 7,
                _ => 10,
            };
        }
        if !given("crypto") {
            scenario.real_crypto = random.happens(self.real_crypto_share);
        }
        if !given("duration") {
            scenario.duration = 60_000 * MS;
        }
        if !scenario.gst_given {
            let latest = (scenario.duration / 2).max(1);
            scenario.gst = random.between(15_000 * MS, 25_000 * MS).min(latest);
        }
        settings(&mut scenario.config, given, &mut random);
        workload(&mut scenario.workload, given, &mut random);
        network(&mut scenario.network, given, self.has("network"), &mut random);
        if !given("byzantine") && self.has("byzantine") {
            liars(scenario, &mut random);
        }
        if !given("event") {
            self.events(scenario, &mut random);
        }
        let ends = scenario.gst_given || scenario.gst <= scenario.duration;
        debug_assert!(ends, "a swarm draws a gst within the run");
    }

    fn has(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| known == kind || known == "all")
    }

    fn events(&self, scenario: &mut Scenario, random: &mut Random) {
        let last = scenario.gst.saturating_sub(5_000 * MS).max(2);
        for nth in 0..random.between(1, 6) {
            let at = random.between(1, last);
            let lasts = Some(random.between(500 * MS, 5_000 * MS));
            let replica = random.below(u64::from(scenario.replicas)) as u16;
            // Most seeds lose their primary at least once.
            let kind = if nth == 0 && random.below(3) > 0 { 1 } else { random.below(8) };
            let fault = match kind {
                0 if self.has("partition") => partition(scenario.replicas, random),
                1 | 2 if self.has("partition") => Fault::Isolate(Who::Primary),
                3 if self.has("partition") => Fault::Isolate(Who::Replica(replica)),
                4 if self.has("network") => {
                    let to = random.below(u64::from(scenario.replicas)) as u16;
                    let loss = random.between(0, u64::from(CERTAIN)) as u32;
                    Fault::Link { from: replica, to, loss, delay: None }
                }
                5 if self.has("crash") => Fault::Pause(Who::Replica(replica)),
                6 if self.has("clock") => Fault::Clock {
                    who: Who::Replica(replica),
                    offset: random.between(0, 500 * MS),
                    drift: random.between(0, 400_000) as i64 - 200_000,
                },
                7 if self.has("crash") => Fault::Crash {
                    who: Who::Replica(replica),
                    disk: match random.below(3) {
                        0 => AfterCrash::Keep,
                        _ => AfterCrash::LoseUnsynced,
                    },
                    restart_after: Some(random.between(10 * MS, 4_000 * MS)),
                },
                _ => continue,
            };
            scenario.events.push(Event { when: When::At(at), fault, lasts });
        }
    }
}

fn partition(replicas: u16, random: &mut Random) -> Fault {
    let mut all: Vec<u16> = (0..replicas).collect();
    random.shuffle(&mut all);
    let rest = all.split_off(1 + random.below(u64::from(replicas.max(2) - 1)) as usize);
    Fault::Partition { groups: vec![all, rest], one_way: random.below(4) == 0 }
}

fn liars(scenario: &mut Scenario, random: &mut Random) {
    let tolerated = (u64::from(scenario.replicas) - 1) / 3;
    if tolerated == 0 || random.below(3) == 0 {
        return;
    }
    let mut all: Vec<u16> = (0..scenario.replicas).collect();
    random.shuffle(&mut all);
    all.truncate(random.between(1, tolerated) as usize);
    for replica in all {
        let lie = random.pick(Lie::ALL).copied().unwrap_or(Lie::Silent);
        let behaviour = Behaviour {
            lie,
            targets: (0..scenario.replicas).filter(|_| random.below(2) == 0).collect(),
            client: random.below(u64::from(scenario.workload.clients)) as u32,
            share: random.between(u64::from(CERTAIN / 4), u64::from(CERTAIN) * 95 / 100) as u32,
            factor: random.between(2, 8),
            budget: random.between(5, 100),
        };
        let from = random.between(0, 5_000 * MS);
        let until = scenario.duration;
        scenario.byzantine.push(Byzantine { replica, behaviour, from, until });
    }
}

fn settings(config: &mut Settings, given: Given<'_>, random: &mut Random) {
    let interval = random.between(4, 32);
    let windows = random.between(2, 4);
    let sizes = [1, 4, 16, 64];
    let size = random.pick(&sizes).copied().unwrap_or(16);
    let linger = random.between(0, 5 * MS);
    let status = random.between(50 * MS, 300 * MS);
    let timeout = random.between(300 * MS, 2_000 * MS);
    let parallel = random.pick(&[1, 3, 65_536]).copied().unwrap_or(65_536);
    if !given("config.parallel_batches") {
        config.parallel_batches = parallel;
    }
    if !given("config.checkpoint_interval") && !given("config.window") {
        (config.checkpoint_interval, config.window) = (interval, windows * interval);
    }
    if !given("config.batch_size_max") {
        config.batch_size_max = size;
    }
    if !given("config.batch_linger") {
        config.batch_linger = Duration::from_nanos(linger);
    }
    if !given("config.status_interval") {
        config.status_interval = Duration::from_nanos(status);
    }
    if !given("config.view_timeout") {
        config.view_timeout = Duration::from_nanos(timeout);
    }
}

fn workload(workload: &mut Workload, given: Given<'_>, random: &mut Random) {
    let (clients, operations) = (random.between(1, 8) as u32, random.between(300, 600));
    let (keys, closed) = (random.between(1, 32), random.below(4) == 0);
    // A mean interval between 10 and 50 ms.
    let interval = random.between(10 * MS, 50 * MS);
    if !given("workload.clients") {
        workload.clients = clients;
    }
    if !given("workload.operations") {
        workload.operations = operations;
    }
    if !given("workload.keys") {
        workload.keys = keys;
    }
    if !given("workload.rate") && !closed {
        workload.interval = Some(interval);
    }
}

fn network(network: &mut Network, given: Given<'_>, faulty: bool, random: &mut Random) {
    let low = random.between(MS / 10, 5 * MS);
    let high = random.between(6 * MS, 60 * MS);
    let faulty = faulty && random.below(3) > 0;
    let mut share = |percent: u64| {
        let share = random.between(0, u64::from(CERTAIN) * percent / 100) as u32;
        if faulty { share } else { 0 }
    };
    let (loss, duplicate, corrupt, tail) = (share(15), share(20), share(2), share(2));
    let reorder = random.below(5) > 0;
    if !given("network.delay") && !given("network.regions") {
        network.delay = [low, high];
    }
    for (name, value, drawn) in [
        ("network.loss", &mut network.loss, loss),
        ("network.duplicate", &mut network.duplicate, duplicate),
        ("network.corrupt", &mut network.corrupt, corrupt),
        ("network.delay_tail", &mut network.delay_tail, tail),
    ] {
        if !given(name) {
            *value = drawn;
        }
    }
    if !given("network.reorder") {
        network.reorder = reorder;
    }
}
