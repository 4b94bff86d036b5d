//! What a driver may look at from outside, for its trace and its checks. None of it changes anything.

use alloc::vec::Vec;

use super::certificate::CheckpointCertificate;
use super::replica::Pbft;

/// How full one of a replica's bounded things is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// What it is.
    pub bound: &'static str,
    /// How much it holds, in the unit of its cap.
    pub value: u64,
    /// How much it may hold.
    pub cap: u64,
}

/// How many bounded things a replica tells of.
pub const FILLS: usize = 8;

impl Pbft {
    /// Which of its bounded things are fuller than they were at their fullest, by `peaks`: the log in
    /// slots, and how far it reaches above the stable checkpoint; requests that wait and their bytes;
    /// clients of the table; what the fullest place for messages of later views holds; VIEW-CHANGEs.
    /// Each with its place in `peaks`.
    pub fn fuller_than(&self, peaks: &[u64; FILLS]) -> Vec<(usize, Fill)> {
        let config = &self.config;
        let fill =
            |bound, value: usize, cap: usize| Fill { bound, value: value as u64, cap: cap as u64 };
        let window = config.window as usize;
        let ahead = self.log.last_heard().0.saturating_sub(self.log.low().0) as usize;
        let (early, early_bytes) = self.early.fullest();
        let log_peak = peaks.first().map_or(0, |peak| *peak as usize);
        let fills: [Fill; FILLS] = [
            // A window below the stable checkpoint for peers, one above it, one for what is early.
            fill("log", self.log.touched_beyond(log_peak), 3 * window),
            fill("log-ahead", ahead, 2 * window),
            fill("requests", self.batcher.len(), config.pending_max),
            fill("request-bytes", self.batcher.bytes(), config.pending_bytes_max),
            fill("clients", self.clients.len(), config.clients_max),
            fill("early", early, self.early.messages_max()),
            fill("early-bytes", early_bytes, self.early.bytes_max()),
            fill("view-changes", self.view_changes.len(), config.committee.n()),
        ];
        let places = fills.into_iter().enumerate().zip(peaks);
        places.filter(|((_, fill), peak)| fill.value > **peak).map(|(fill, _)| fill).collect()
    }

    /// The certificate of the last stable checkpoint (PBFT 4.3); without votes at the start.
    pub fn stable_proof(&self) -> CheckpointCertificate {
        self.checkpoints.proof(self.log.low())
    }
}
