//! The five stages of a replica. Each is one loop: take what is there, work, hand on.

mod egress;
mod execute;
mod ingress;
mod order;
mod recall;
mod verify;

pub(crate) use egress::{ClientLink, Egress, Outgoing};
pub(crate) use execute::{Execute, Outcome, Task};
pub(crate) use ingress::Ingress;
pub(crate) use order::{Inputs, Order};
pub(crate) use recall::Recall;
pub(crate) use verify::Verify;

use quorumark_consensus::types::Instant;

/// The one clock of a cluster: nanoseconds since its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(std::time::Instant::now())
    }

    pub(crate) fn now(&self) -> Instant {
        Instant(self.0.elapsed().as_nanos() as u64)
    }
}
