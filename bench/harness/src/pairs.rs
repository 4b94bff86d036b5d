//! Two configurations of one scenario, measured in turn: what the machine does from minute to
//! minute then lies on both alike.

use std::time::SystemTime;

use rand_chacha::rand_core::Rng;

use crate::assemble::{Trial, Trials};
use crate::environment::Before;
use crate::fixture;
use crate::parameter::ParameterSet;
use crate::progress::Phase;
use crate::scenario::{Control, Scenario, Session};
use crate::trial::{self, Host, Run, RunError};

/// The stream of a run's seed that orders its pairs; workloads draw from small numbers.
const ORDER_STREAM: u64 = 0x0070_6169_7273;

/// Which of a pair is measured first, pair by pair: A or B by a coin from `seed`, and the other way
/// round in the next, so that whatever drifts at a steady rate cancels over every two pairs.
pub fn a_is_first(pairs: u32, seed: u64) -> Vec<bool> {
    let mut random = fixture::random(seed, ORDER_STREAM);
    let mut order = Vec::new();
    while order.len() < pairs as usize {
        let first = random.next_u32().is_multiple_of(2);
        order.extend([first, !first]);
    }
    order.truncate(pairs as usize);
    order
}

/// Measures `a` and `b`, sets of the scenario's own table, trial by trial in turn, as many pairs as
/// `repeat` of `a` says. Sample i of one run and sample i of the other are a pair. An interruption
/// keeps the pairs that are whole.
///
/// # Errors
/// As [`trial::run`].
pub fn run(
    scenario: &dyn Scenario,
    a: &ParameterSet,
    b: &ParameterSet,
    host: Host<'_>,
) -> Result<[Run; 2], RunError> {
    for parameters in [a, b] {
        scenario.check(parameters)?;
    }
    let control = Control { interrupt: host.interrupt, progress: host.progress };
    let before = Before::now();
    let mut sides = [Side::ready(scenario, a, &control)?, Side::ready(scenario, b, &control)?];
    let pairs = u32::try_from(a.integer("repeat")).unwrap_or(u32::MAX);
    for (pair, a_first) in (0..).zip(a_is_first(pairs, a.integer("seed"))) {
        let order = if a_first { [0, 1] } else { [1, 0] };
        if !measure(&mut sides, order, (pair, pairs), &control)? {
            break;
        }
    }
    if !control.interrupted() {
        host.progress.phase(Phase::Check(scenario.conclusion()));
    }
    let [a, b] = sides;
    Ok([a.conclude(&before, &control, &host)?, b.conclude(&before, &control, &host)?])
}

/// One of the two, made ready.
struct Side<'a> {
    parameters: &'a ParameterSet,
    session: Box<dyn Session>,
    trials: Trials,
}

impl<'a> Side<'a> {
    fn ready(
        scenario: &dyn Scenario,
        parameters: &'a ParameterSet,
        control: &Control<'_>,
    ) -> Result<Side<'a>, RunError> {
        control.progress.phase(Phase::Prepare(scenario.preparation()));
        let mut session = scenario.prepare(parameters)?;
        let trials = Trials::begin(scenario.spec(), SystemTime::now());
        trial::warm_up(session.as_mut(), parameters, control)?;
        Ok(Side { parameters, session, trials })
    }

    fn conclude(
        mut self,
        before: &Before,
        control: &Control<'_>,
        host: &Host<'_>,
    ) -> Result<Run, RunError> {
        self.trials.interrupted = control.interrupted();
        trial::conclude(self.session, self.trials, before, self.parameters, host)
    }
}

/// One pair, of so many; `false` when it was interrupted, and then neither of its trials counts.
fn measure(
    sides: &mut [Side<'_>; 2],
    order: [usize; 2],
    (pair, pairs): (u32, u32),
    control: &Control<'_>,
) -> Result<bool, RunError> {
    let mut measured: [Option<Trial>; 2] = [None, None];
    for (place, side) in (0..).zip(order) {
        let of = pairs.saturating_mul(2);
        control.progress.phase(Phase::Trial { index: pair.saturating_mul(2) + place, of });
        let Side { session, parameters, .. } = &mut sides[side];
        let outcome = match control.interrupted() {
            true => Err(RunError::Interrupted),
            false => trial::one(session.as_mut(), parameters, control),
        };
        match outcome {
            Ok((trial, cpu_share)) if !control.interrupted() => {
                measured[side] = Some(Trial { measured: trial, cpu_share, cut: false });
            }
            Ok(_) | Err(RunError::Interrupted) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    for (side, trial) in sides.iter_mut().zip(measured) {
        side.trials.push(trial.expect("both sides of a whole pair were measured"));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_first_in_one_of_two_pairs_and_the_seed_decides_in_which() {
        let order = a_is_first(20, 42);
        assert!(order.chunks(2).all(|two| two[0] != two[1]), "{order:?}");
        assert_eq!(order, a_is_first(20, 42));
        assert_ne!(order, a_is_first(20, 43));
        assert_eq!(a_is_first(3, 1).len(), 3);
        let firsts: Vec<bool> = order.chunks(2).map(|two| two[0]).collect();
        assert!(firsts.contains(&true) && firsts.contains(&false), "{firsts:?}");
    }
}
