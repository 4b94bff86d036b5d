//! What has to hold between the parts of a scenario.

use std::collections::BTreeSet;

use super::faults::{AfterCrash, Fault, When, Who};
use super::{Place, Scenario, ScenarioError};
use crate::check::Check;
use crate::verdict::Outcome;

/// The one protocol whose engine is there.
const PROTOCOL: &str = "pbft";

/// Refuses what cannot be, and more faulty replicas than the protocol tolerates.
pub(super) fn check(scenario: &Scenario, file: &str) -> Result<(), ScenarioError> {
    let place = Place { file: file.to_owned(), line: 1 };
    engine(scenario).map_err(|problem| place.wrong(problem, "change [config]"))?;
    replicas(scenario)
        .map_err(|problem| place.wrong(problem, "number replicas from 0 below `replicas`"))?;
    late(scenario).map_err(|problem| place.wrong(problem, "choose a later gst"))?;
    let mut chosen = scenario.expect.checks.iter().filter_map(|word| Check::from_word(word));
    if let Some(check) = chosen.find(|check| !check.applies_to(PROTOCOL)) {
        let problem = format!("the check {} does not apply to {PROTOCOL}", check.word());
        return Err(place.wrong(problem, "leave it out of checks"));
    }
    let (faulty, tolerated) = (faulty(scenario).len(), tolerated(scenario));
    let excused = scenario.allow_too_many_faults || scenario.expect.outcome != Outcome::Pass;
    if faulty > tolerated && !excused {
        let n = scenario.replicas;
        let problem =
            format!("{faulty} faulty replicas of {n}, of which the protocol tolerates {tolerated}");
        let remedy = "make fewer faulty, expect a violation, or write allow_too_many_faults = true";
        return Err(place.wrong(problem, remedy));
    }
    Ok(())
}

/// Replicas that count as faulty: liars and those who lose their disk.
pub(super) fn faulty(scenario: &Scenario) -> BTreeSet<u16> {
    let mut faulty: BTreeSet<u16> = scenario.byzantine.iter().map(|liar| liar.replica).collect();
    for event in &scenario.events {
        match &event.fault {
            Fault::Byzantine(replica, _) => {
                faulty.insert(*replica);
            }
            Fault::Mutate(mutation) => {
                faulty.insert(mutation.replica);
            }
            Fault::Inject { from, .. } => {
                faulty.insert(*from);
            }
            Fault::Crash { who: Who::Replica(replica), disk: AfterCrash::LoseAll, .. } => {
                faulty.insert(*replica);
            }
            // Without a journal nothing is remembered, whatever the disk keeps.
            Fault::Crash { who: Who::Replica(replica), .. } if !scenario.config.journal => {
                faulty.insert(*replica);
            }
            _ => {}
        }
    }
    faulty
}

fn tolerated(scenario: &Scenario) -> usize {
    (usize::from(scenario.replicas) - 1) / 3
}

/// Network faults, crashes and clock faults begin before GST, which ends them.
fn late(scenario: &Scenario) -> Result<(), String> {
    let late = scenario.events.iter().find(|event| {
        matches!(event.when, When::At(at) if at >= scenario.gst) && event.fault.ends_at_gst()
    });
    match late {
        Some(event) => Err(format!("{} begins at gst or after it", event.fault.name())),
        None => Ok(()),
    }
}

fn engine(scenario: &Scenario) -> Result<(), String> {
    crate::world::engine_config(scenario, 0).map(|_| ())
}

/// Every replica and client that the scenario names is there, and no group is impossible.
fn replicas(scenario: &Scenario) -> Result<(), String> {
    let n = scenario.replicas;
    let known = |replica: u16| match replica < n {
        true => Ok(()),
        false => Err(format!("replica {replica} of {n}")),
    };
    for liar in &scenario.byzantine {
        known(liar.replica)?;
        liar.behaviour.targets.iter().try_for_each(|target| known(*target))?;
    }
    for event in &scenario.events {
        match &event.fault {
            Fault::Partition { groups, .. } => {
                let mut seen = BTreeSet::new();
                for replica in groups.iter().flatten() {
                    known(*replica)?;
                    if !seen.insert(*replica) {
                        return Err(format!("replica {replica} is in two groups of a partition"));
                    }
                }
            }
            Fault::Isolate(who)
            | Fault::Crash { who, .. }
            | Fault::Pause(who)
            | Fault::Clock { who, .. } => {
                if let Who::Replica(replica) = who {
                    known(*replica)?;
                }
            }
            Fault::Link { from, to, .. } | Fault::Inject { from, to, .. } => {
                known(*from)?;
                known(*to)?;
            }
            Fault::Restart(replica) | Fault::Byzantine(replica, _) => known(*replica)?,
            Fault::Mutate(mutation) => known(mutation.replica)?,
            Fault::Heal => {}
        }
        if let When::Moment(moment) = event.when
            && let Who::Replica(replica) = moment.who
        {
            known(replica)?;
        }
    }
    Ok(())
}
