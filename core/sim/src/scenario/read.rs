//! From the tree of a file to a scenario.

mod event;
mod table;

use std::time::Duration;

use self::table::Table;
use super::schema;
use super::source::Node;
use super::swarm::{self, Swarm};
use super::{Byzantine, Expect, Network, Scenario, ScenarioError, Settings, Workload};
use crate::check::{Check, CheckSet};
use crate::random::Random;
use crate::verdict::Outcome;

const SECOND: u64 = 1_000_000_000;

type Read<T> = Result<T, ScenarioError>;

/// Reads the resolved tree of a file.
pub(super) fn scenario(tree: &Node, file: &str, seed: u64) -> Read<Scenario> {
    let top = Table::open(tree, file, &schema::TOP)?;
    let version = top.whole("schema", 1, 1)?;
    if version.is_none() {
        let problem = "the file does not say its version";
        return Err(top.place().wrong(problem, "write schema = 1"));
    }
    top.choice("protocol", &["pbft"])?;
    let duration = top.duration("duration")?.unwrap_or(60 * SECOND);
    let mut random = Random::new(seed, "scenario/bounds");
    let mut scenario = Scenario {
        name: top.text("name")?.unwrap_or(file).to_owned(),
        replicas: top.whole("replicas", 1, 256)?.unwrap_or(4) as u16,
        seed,
        seed_given: top.whole("seed", 0, i64::MAX as u64)?.unwrap_or(0),
        duration,
        gst: top.duration("gst")?.unwrap_or(0),
        gst_given: top.has("gst"),
        real_crypto: top.choice("crypto", &["stand-in", "real"])? == Some("real"),
        allow_too_many_faults: top.flag("allow_too_many_faults")?.unwrap_or(false),
        config: settings(&top)?,
        workload: workload(&top)?,
        network: network(&top, &mut random)?,
        fsync: disk(&top)?,
        byzantine: byzantine(&top, duration)?,
        events: event::events(&top)?,
        expect: expect(&top)?,
    };
    if let Some(swarm) = swarm(&top)? {
        swarm.fill(&mut scenario, &|name| is_given(&top, name));
    } else if !scenario.gst_given {
        scenario.gst = usual_gst(&scenario);
    }
    Ok(scenario)
}

fn swarm(top: &Table<'_>) -> Read<Option<Swarm>> {
    if !top.has("swarm") {
        return Ok(None);
    }
    let table = top.table("swarm", &schema::SWARM)?;
    let kinds = match table.text_or_texts("faults")? {
        None => vec!["all".to_owned()],
        Some(kinds) => kinds,
    };
    let known = || swarm::KINDS.iter().copied().chain(["all"]);
    if let Some(other) = kinds.iter().find(|kind| !known().any(|name| name == *kind)) {
        return Err(table.unknown("faults", other, "kind of fault", known().collect()));
    }
    let real_crypto_share = table.probability("real_crypto_share")?.unwrap_or(0);
    Ok(Some(Swarm { kinds, real_crypto_share }))
}

/// Whether the file says `section.key`, or `section` at all.
fn is_given(top: &Table<'_>, name: &str) -> bool {
    let (section, key) = name.split_once('.').unwrap_or((name, ""));
    let sections = [
        ("config", &schema::CONFIG),
        ("workload", &schema::WORKLOAD),
        ("network", &schema::NETWORK),
    ];
    match sections.into_iter().find(|(known, _)| *known == section) {
        Some((_, form)) if !key.is_empty() => {
            top.table(section, form).is_ok_and(|table| table.has(key))
        }
        _ => top.has(section),
    }
}

/// GST where the file names none: the start where nothing goes wrong before it has to end; else half
/// of the time.
fn usual_gst(scenario: &Scenario) -> u64 {
    let network = &scenario.network;
    let lossy = [network.loss, network.duplicate, network.corrupt].iter().any(|share| *share > 0);
    let faulty = scenario.events.iter().any(|event| event.fault.ends_at_gst());
    if lossy || faulty { scenario.duration / 2 } else { 0 }
}

fn settings(top: &Table<'_>) -> Read<Settings> {
    let table = top.table("config", &schema::CONFIG)?;
    let whole = |name, default: u64| {
        table.whole(name, 0, i64::MAX as u64).map(|value| value.unwrap_or(default))
    };
    let duration = |name, default: u64| {
        let value = table.duration(name)?.unwrap_or(default);
        Ok::<Duration, ScenarioError>(Duration::from_nanos(value))
    };
    Ok(Settings {
        batch_size_max: whole("batch_size_max", 16)? as usize,
        batch_bytes_max: whole("batch_bytes_max", 4 << 20)? as usize,
        batch_linger: duration("batch_linger", SECOND / 2000)?,
        parallel_batches: whole("parallel_batches", 65_536)?,
        window: whole("window", 64)?,
        checkpoint_interval: whole("checkpoint_interval", 16)?,
        pending_max: whole("pending_max", 32_768)? as usize,
        pending_bytes_max: whole("pending_bytes_max", 64 << 20)? as usize,
        clients_max: whole("clients_max", 65_536)? as usize,
        client_window: whole("client_window", 1024)?,
        status_interval: duration("status_interval", SECOND / 10)?,
        view_timeout: duration("view_timeout", SECOND)?,
        journal: table.flag("journal")?.unwrap_or(true),
        read_only: table.flag("read_only")?.unwrap_or(false),
        tentative: table.flag("tentative")?.unwrap_or(false),
    })
}

fn workload(top: &Table<'_>) -> Read<Workload> {
    let table = top.table("workload", &schema::WORKLOAD)?;
    let mut mix = [50, 40, 10];
    if table.has("mix") {
        let weights = table.table("mix", &schema::MIX)?;
        for (weight, name) in mix.iter_mut().zip(["get", "put", "cas"]) {
            *weight = weights.whole(name, 0, 1 << 20)?.unwrap_or(0);
        }
        if mix == [0; 3] {
            let problem = "every weight of the mix is 0";
            return Err(weights.place().wrong(problem, "write mix = { get = 50, put = 50 }"));
        }
    }
    Ok(Workload {
        clients: table.whole("clients", 1, 1024)?.unwrap_or(4) as u32,
        operations: table.whole("operations", 0, 1 << 40)?.unwrap_or(400),
        keys: table.whole("keys", 1, 1 << 16)?.unwrap_or(8),
        mix,
        interval: table.rate("rate")?,
        retransmit: table.duration("retransmit")?.unwrap_or(2 * SECOND / 5).max(1),
        to_all: table.choice("send_to", &["primary", "all"])? == Some("all"),
    })
}

fn network(top: &Table<'_>, random: &mut Random) -> Read<Network> {
    let table = top.table("network", &schema::NETWORK)?;
    let mut share = |name| {
        let [low, high] = table.probabilities(name)?.unwrap_or([0, 0]);
        Ok::<u32, ScenarioError>(random.between(u64::from(low), u64::from(high)) as u32)
    };
    let (loss, duplicate, corrupt) = (share("loss")?, share("duplicate")?, share("corrupt")?);
    let wan5 = table.choice("regions", &["wan5"])?.is_some();
    if wan5 && table.has("delay") {
        let problem = "delay and regions both say how long a message takes";
        return Err(table.place().wrong(problem, "leave one of them out"));
    }
    Ok(Network {
        delay: table.durations("delay")?.unwrap_or([SECOND / 1000, SECOND / 100]),
        delay_tail: table.probability("delay_tail")?.unwrap_or(0),
        loss,
        duplicate,
        corrupt,
        reorder: table.flag("reorder")?.unwrap_or(true),
        bandwidth: table.bandwidth("bandwidth")?,
        wan5,
    })
}

fn disk(top: &Table<'_>) -> Read<[u64; 2]> {
    let table = top.table("disk", &schema::DISK)?;
    for name in ["lost_fsync", "torn_write", "bit_rot"] {
        if table.probability(name)?.is_some_and(|share| share > 0) {
            let problem = format!("{name} above 0: disk faults are not there yet");
            return Err(table.place_of(name).wrong(problem, "write 0.0 or leave it out"));
        }
    }
    Ok(table.durations("fsync")?.unwrap_or([SECOND / 10_000, SECOND / 1000]))
}

fn byzantine(top: &Table<'_>, duration: u64) -> Read<Vec<Byzantine>> {
    let tables = top.tables("byzantine", &schema::BYZANTINE)?;
    let read = |table: &Table<'_>| {
        Ok(Byzantine {
            replica: table.replica("replica")?,
            behaviour: event::behaviour(table)?,
            from: table.duration("from")?.unwrap_or(0),
            until: table.duration("until")?.unwrap_or(duration),
        })
    };
    tables.iter().map(read).collect()
}

fn expect(top: &Table<'_>) -> Read<Expect> {
    let table = top.table("expect", &schema::EXPECT)?;
    let verdicts = ["pass", "safety-violation", "liveness-violation"];
    let outcome = match table.choice("verdict", &verdicts)? {
        Some("safety-violation") => Outcome::SafetyViolation,
        Some("liveness-violation") => Outcome::LivenessViolation,
        _ => Outcome::Pass,
    };
    let checks = table.texts("checks")?.unwrap_or_else(|| vec!["all".to_owned()]);
    if let Err(word) = CheckSet::from_words(checks.iter().map(String::as_str)) {
        let all = Check::ALL.iter().map(|check| check.word());
        return Err(table.unknown("checks", word, "check", all.chain(["all"]).collect()));
    }
    Ok(Expect {
        outcome,
        min_operations: table.whole("min_operations", 0, 1 << 40)?.unwrap_or(0),
        liveness_bound: table.duration("liveness_bound")?.unwrap_or(30 * SECOND),
        checks,
    })
}
