//! What can be set, checked once.

use core::time::Duration;

use quorumark_primitives::wire::FRAME_BYTES_MAX;
use thiserror::Error;

use super::view_message::new_view_bytes_max;
use crate::client_table::Limits;
use crate::committee::Committee;
use crate::range::{OutOfRange, check_ranges};
use crate::request::BATCH_REQUESTS_MAX;
use crate::types::ReplicaId;

/// The widest window.
pub(super) const WINDOW_MAX: u64 = 65_536;

/// The settings of a replica; every replica of a cluster has the same but `replica`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The members.
    pub committee: Committee,
    /// Which member this is.
    pub replica: ReplicaId,
    /// The most requests in a batch; a fuller batch costs fewer messages a request and waits
    /// longer. Default 128.
    pub batch_size_max: usize,
    /// The most bytes in a batch. Default 4 MiB.
    pub batch_bytes_max: usize,
    /// How long the oldest waiting request waits for company. Default 500 us.
    pub batch_linger: Duration,
    /// W (TOCS'02 5.1.4): batches under way from which on only a full one is proposed; what waits
    /// meanwhile is the next batch. 1 proposes little load soon and much load in large batches, but
    /// where a primary is slow its delay comes twice. Default as many as a window may hold.
    pub parallel_batches: u64,
    /// L: sequence numbers between the low and the high watermark (PBFT 4.2). A new-view of a whole
    /// window has to fit one frame, so large committees have narrow windows. Default 128, or what
    /// fits: 26 for 100 replicas.
    pub window: u64,
    /// K: sequence numbers between checkpoints; at most half the window, so that agreement goes on
    /// while a checkpoint becomes stable. Default half the window.
    pub checkpoint_interval: u64,
    /// Requests that may wait to be ordered; above it they are refused and the client sends again.
    /// Default 32,768.
    pub pending_max: usize,
    /// Bytes of requests that may wait to be ordered. Default 64 MiB.
    pub pending_bytes_max: usize,
    /// Clients that the exactly-once table may hold. Default 65,536.
    pub clients_max: usize,
    /// Timestamps a client's window holds, where their replies are not too long (see
    /// [`crate::client_table`]), and requests of one client that may wait to be executed. Default
    /// 1,024.
    pub client_window: u64,
    /// How long a replica waits for what is next before it says what it lacks. It doubles up to
    /// sixteen times while nothing comes. Shorter repairs sooner, and repeats more where threads wait
    /// for a core. Default 100 ms.
    pub status_interval: Duration,
    /// How long a backup waits for the oldest request that it knows of to be executed, before it
    /// leaves the view (PBFT 4.4). It doubles with each view in which nothing is executed. Above the
    /// longest response time under load, else load itself changes the view. Default 5 s.
    pub view_timeout: Duration,
    /// Whether clients send each request to every replica at once. Then a backup does not relay a new
    /// one to the primary, which checks every copy that it gets: it relays what the client repeats,
    /// and what has waited for a quarter of the timeout. Default off.
    pub clients_send_to_all: bool,
    /// Whether the replica keeps a journal ([`crate::engine::Output::Persist`]), so that it can be
    /// restarted. Without one, a replica that stops counts among the faulty ones. Default off.
    pub journal: bool,
    /// Whether requests that only read are answered without being ordered (OSDI'99 5.1): two
    /// message delays instead of five. Every client must then take every result, of writes too, at
    /// a quorum of equal replies, or a read may miss a write that was answered. Default off.
    pub read_only: bool,
    /// Whether a batch is executed as soon as it is prepared, while all before it is committed
    /// (OSDI'99 5.1): four message delays to a result instead of five, at an undo of one batch where
    /// a view is left. The application must be able to go back, and every client must take a
    /// tentative result at a quorum of equal replies of one view. Default off.
    pub tentative: bool,
}

/// Settings that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The replica is no member.
    #[error("replica {replica} is not in a committee of {n}: choose 0 to {}", n - 1)]
    NotAMember {
        /// The replica named.
        replica: ReplicaId,
        /// The committee's size.
        n: usize,
    },
    /// A number is outside its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
    /// A new-view would not fit a frame.
    #[error(
        "window = {window} with {n} replicas: a new-view of a whole window has to fit one frame, \
         choose at most {fits}"
    )]
    NewViewTooLarge {
        /// L.
        window: u64,
        /// The committee's size.
        n: usize,
        /// The widest window that fits.
        fits: u64,
    },
    /// The checkpoint interval does not fit the window.
    #[error(
        "checkpoint_interval = {interval} with window = {window}: \
         the window must hold at least two checkpoints, choose at most {}", window / 2
    )]
    CheckpointInterval {
        /// K.
        interval: u64,
        /// L.
        window: u64,
    },
}

/// Settings that were checked; the only ones a replica takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedConfig(Config);

impl Config {
    /// The defaults for one member.
    pub fn new(committee: Committee, replica: ReplicaId) -> Config {
        let window = WINDOW.min(window_that_fits(committee));
        Config {
            committee,
            replica,
            batch_size_max: 128,
            batch_bytes_max: 4 << 20,
            batch_linger: Duration::from_micros(500),
            parallel_batches: WINDOW_MAX,
            window,
            checkpoint_interval: window / 2,
            pending_max: 32_768,
            pending_bytes_max: 64 << 20,
            clients_max: 65_536,
            client_window: 1024,
            status_interval: Duration::from_millis(100),
            view_timeout: Duration::from_secs(5),
            clients_send_to_all: false,
            journal: false,
            read_only: false,
            tentative: false,
        }
    }

    /// Checks each value and the rules between them.
    ///
    /// # Errors
    /// [`ConfigError`], which says the value and what to choose.
    pub fn check(self) -> Result<CheckedConfig, ConfigError> {
        if !self.committee.contains(self.replica) {
            let n = self.committee.n();
            return Err(ConfigError::NotAMember { replica: self.replica, n });
        }
        let millis = self.status_interval.as_millis().min(u128::from(u64::MAX)) as u64;
        let patience = self.view_timeout.as_millis().min(u128::from(u64::MAX)) as u64;
        let linger = self.batch_linger.as_millis().min(u128::from(u64::MAX)) as u64;
        check_ranges([
            ("batch_size_max", self.batch_size_max as u64, 1, BATCH_REQUESTS_MAX as u64),
            ("batch_bytes_max", self.batch_bytes_max as u64, 1 << 10, 6 << 20),
            ("batch_linger in ms", linger, 0, 10_000),
            ("parallel_batches", self.parallel_batches, 1, WINDOW_MAX),
            ("window", self.window, 2, WINDOW_MAX),
            ("checkpoint_interval", self.checkpoint_interval, 1, 32_768),
            ("pending_max", self.pending_max as u64, 1, 1 << 24),
            ("pending_bytes_max", self.pending_bytes_max as u64, 2 << 20, 1 << 32),
            ("clients_max", self.clients_max as u64, 1, 1 << 24),
            ("client_window", self.client_window, 1, 1 << 20),
            ("status_interval in ms", millis, 1, 60_000),
            ("view_timeout in ms", patience, 1, 600_000),
        ])?;
        let fits = window_that_fits(self.committee);
        if self.window > fits {
            let (window, n) = (self.window, self.committee.n());
            return Err(ConfigError::NewViewTooLarge { window, n, fits });
        }
        if self.checkpoint_interval * 2 > self.window {
            let (interval, window) = (self.checkpoint_interval, self.window);
            return Err(ConfigError::CheckpointInterval { interval, window });
        }
        Ok(CheckedConfig(self))
    }
}

impl CheckedConfig {
    /// How much the client table holds.
    pub(super) fn table_limits(&self) -> Limits {
        Limits::new(self.clients_max, self.client_window)
    }
}

/// The default window, where it fits.
const WINDOW: u64 = 64;

/// The widest window whose largest new-view fits one frame.
fn window_that_fits(committee: Committee) -> u64 {
    let fixed = new_view_bytes_max(committee, 0);
    let each = new_view_bytes_max(committee, 1) - fixed;
    (FRAME_BYTES_MAX as u64).saturating_sub(fixed) / each
}

impl core::ops::Deref for CheckedConfig {
    type Target = Config;
    fn deref(&self) -> &Config {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new(Committee::new(4).unwrap(), ReplicaId(0))
    }

    #[test]
    fn the_defaults_hold_for_every_committee() {
        for n in [1, 4, 7, 256] {
            assert!(Config::new(Committee::new(n).unwrap(), ReplicaId(0)).check().is_ok());
        }
    }

    #[test]
    fn each_bad_setting_says_what_to_choose() {
        let mut bad = config();
        bad.checkpoint_interval = 200;
        assert!(bad.check().unwrap_err().to_string().contains("choose at most 32"));
        let mut bad = Config::new(Committee::new(100).unwrap(), ReplicaId(0));
        bad.window = 128;
        assert!(bad.check().unwrap_err().to_string().contains("choose at most 26"));
        let mut bad = config();
        bad.batch_size_max = 0;
        assert!(bad.check().unwrap_err().to_string().contains("batch_size_max = 0: choose 1 to"));
        let mut bad = config();
        bad.replica = ReplicaId(4);
        assert!(bad.check().unwrap_err().to_string().contains("choose 0 to 3"));
    }
}
