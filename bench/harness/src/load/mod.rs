//! The load generator: closed and open loops of clients, on one thread.
//!
//! It sends a [`crate::workload::Plan`]'s requests to the primary or to all, sends again to all after
//! a timeout, follows the view that accepted replies tell to the primary of that view, and accepts a result at f + 1 equal authentic replies (PBFT 4.1), or at a quorum where reads are not ordered or executions tentative (OSDI'99 5.1). *Response time* counts
//! from when a request was meant to be sent, *service time* from when it was. It takes what replies
//! are there, sends what is due in one go, and parks when there is neither.

mod arrivals;
mod flights;
mod gauge;
mod generator;
mod pool;
mod port;
mod record;
mod requests;

use core::time::Duration;

use quorumark_consensus::Committee;

pub use self::arrivals::{Arrivals, Law};
pub use self::flights::SPREAD_MAX;
pub use self::gauge::Gauge;
pub use self::generator::{FLUSH_FRAMES_MAX, Generator};
pub use self::pool::{POOL_BYTES_MAX, Pool};
pub use self::port::{ClusterPort, Port};
pub use self::record::{LoadReport, SLICE};
pub use self::requests::Requests;
use crate::oracle::Window;

/// When requests are sent.
#[derive(Debug, Clone)]
pub enum Loop {
    /// As soon as fewer than this many wait for their result.
    Closed(usize),
    /// When their time has come, whatever waits.
    Open(Arrivals),
}

/// The settings of a trial's load.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    /// The replicas.
    pub committee: Committee,
    /// When requests are sent.
    pub pace: Loop,
    /// The measured span; load begins at once, and ends with it.
    pub window: Window,
    /// How long a client waits for its result before it sends to all replicas.
    pub retransmit_timeout: Duration,
    /// How long after the span the last results are waited for.
    pub drain_max: Duration,
    /// Whether each request goes to every replica at once, instead of to the primary alone until its
    /// result is overdue. The primary's inbox is what holds the load back; another replica that is
    /// full is passed over.
    pub client_to_all: bool,
    /// Whether what only reads is first asked of all replicas without being ordered. A result, of a
    /// write too, is then accepted at a quorum of equal replies, not at f + 1.
    pub read_only: bool,
    /// Timestamps of one client that replicas keep apart: older ones may no longer be answered.
    pub client_window: u64,
}
