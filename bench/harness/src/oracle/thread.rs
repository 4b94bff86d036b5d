//! The oracle on a thread of its own, so that it never holds a replica up.

use core::time::Duration;
use std::io;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::Receiver;
use quorumark_pipeline::CommitEvent;

use super::{Findings, Oracle, Sent};
use crate::clock;

/// CPU time that the oracle took, which is no part of what is measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct OracleTime {
    /// While it watched; in a long trial with the verification of most certificates.
    pub online: Duration,
    /// For the checks after the span.
    pub after: Duration,
}

/// A running oracle.
#[derive(Debug)]
pub struct OracleThread {
    thread: JoinHandle<(Oracle, Duration)>,
}

impl OracleThread {
    /// Starts `oracle` on executions from `events`; it ends when the channel's senders are gone. The
    /// channel is bounded by whoever made it.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(mut oracle: Oracle, events: Receiver<Vec<CommitEvent>>) -> io::Result<Self> {
        let watch = move || {
            for batch in events {
                batch.iter().for_each(|event| oracle.observe(event));
            }
            (oracle, clock::thread_cpu())
        };
        let thread = Builder::new().name("oracle".to_owned()).spawn(watch)?;
        Ok(OracleThread { thread })
    }

    /// Waits until the last execution is seen, then checks what needs the end of the trial, as
    /// [`Oracle::finish`].
    ///
    /// # Panics
    /// When the oracle panicked: nothing is known about the run then.
    pub fn finish(self, sent: &Sent, cut_off: u64) -> (Findings, OracleTime) {
        let (oracle, online) = self.thread.join().expect("the oracle panics on no execution");
        let before = clock::thread_cpu();
        let findings = oracle.finish(sent, cut_off);
        let after = clock::thread_cpu().saturating_sub(before);
        (findings, OracleTime { online, after })
    }
}
