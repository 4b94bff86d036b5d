//! The five stages of a replica. Each is one loop: take what is there, work, hand on; or one thread
//! does the work of all five (`whole`).

mod egress;
mod execute;
mod ingress;
mod order;
mod recall;
mod verify;
mod whole;

pub(crate) use egress::{ClientLink, Egress, Flush, Outgoing, Writer};
pub(crate) use execute::{Execute, Executor, Outcome, Task};
pub(crate) use ingress::{Decoder, Inbox, Ingress, Side};
pub(crate) use order::{Inputs, Order, Way};
pub(crate) use recall::Recall;
pub(crate) use verify::{Gate, Verify};
pub(crate) use whole::{Means, Pass, Peers, Turns, Whole};

use std::time::Duration;

use quorumark_consensus::types::Instant;

/// The one clock of a cluster: nanoseconds since its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(std::time::Instant::now())
    }

    /// The clock that was started so long ago.
    pub(crate) fn started(elapsed: Duration) -> Clock {
        let now = std::time::Instant::now();
        Clock(now.checked_sub(elapsed).unwrap_or(now))
    }

    pub(crate) fn now(&self) -> Instant {
        Instant(self.0.elapsed().as_nanos() as u64)
    }
}
