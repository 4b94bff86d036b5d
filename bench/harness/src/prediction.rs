//! What a cluster comes to by the model: at saturation, and at half of it.

pub mod check;

use core::time::Duration;

use quorumark_sim::model::costs::Costs;
use quorumark_sim::model::{ModelError, Outcome, Pace, Regions, Settings, predict};

use crate::scenario::CONCURRENCY;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// n.
    pub replicas: usize,
    /// Where they are.
    pub regions: Regions,
    /// Cores that all share, where they are on one machine.
    pub cores: usize,
    /// Bits a second that leave a machine, where each has one; `None` for any number.
    pub bandwidth: Option<u64>,
    /// Requests a second in place of half of the saturation.
    pub rate: Option<f64>,
    /// Whether the threads that watch a live run share the cores.
    pub watched: bool,
    /// Of all that is drawn.
    pub seed: u64,
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// At saturation.
    pub saturated: Outcome,
    /// Requests in flight at saturation.
    pub concurrency: usize,
    /// At [`Prediction::rate`].
    pub half: Outcome,
    /// Half of the saturation, or the rate asked for; requests a second.
    pub rate: f64,
}

/// The fewest and the most that are tried where links delay.
const CONCURRENCY_APART: usize = 1024;
const CONCURRENCY_MAX: usize = 16_384;
/// Four times as many in flight must give so much more, else they saturate.
const GAIN_MIN: f64 = 1.05;

/// Predicts what is asked.
///
/// On one machine saturation is what the closed loop of a default run comes to; elsewhere the number
/// in flight is raised until it gains nothing.
///
/// # Errors
/// [`ModelError`].
pub fn prediction(ask: &Ask, costs: &Costs) -> Result<Prediction, ModelError> {
    let local = ask.regions == Regions::Local;
    let mut concurrency = if local { CONCURRENCY as usize } else { CONCURRENCY_APART };
    let mut saturated = predict(&settings(ask, costs, Pace::Closed(concurrency)), costs)?;
    while !local && concurrency < CONCURRENCY_MAX {
        let more = predict(&settings(ask, costs, Pace::Closed(4 * concurrency)), costs)?;
        let gain = more.throughput_tx_per_s / saturated.throughput_tx_per_s.max(1.0);
        if gain < GAIN_MIN {
            break;
        }
        (saturated, concurrency) = (more, 4 * concurrency);
    }
    let rate = ask.rate.unwrap_or(saturated.throughput_tx_per_s / 2.0).max(1.0);
    let half = predict(&settings(ask, costs, Pace::Open(rate)), costs)?;
    Ok(Prediction { saturated, concurrency, half, rate })
}

fn settings(ask: &Ask, costs: &Costs, pace: Pace) -> Settings {
    let defaults = Settings::new(ask.replicas, ask.regions, ask.cores);
    // Some tens of results one after the other, however long each takes.
    let (warmup, span) = match ask.regions {
        Regions::Local => (defaults.warmup, Duration::from_secs(3)),
        _ => (Duration::from_secs(2), Duration::from_secs(4)),
    };
    Settings {
        bandwidth: ask.bandwidth,
        payload: costs.payload,
        pace,
        watched: ask.watched,
        seed: ask.seed,
        warmup,
        span,
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_has_as_many_in_flight_as_a_default_run() {
        let Pace::Closed(requests) = Settings::new(4, Regions::Local, 2).pace else { panic!() };
        assert_eq!(requests as u64, CONCURRENCY);
    }
}
