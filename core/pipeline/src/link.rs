//! Queues between threads, with the policy of each when it is full.

use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TryRecvError, TrySendError};

use crate::metrics::{Counts, Stopwatch};

/// The frames of one flush to one destination.
pub(crate) type Frames = Vec<Bytes>;

/// The other end of a queue is gone: the cluster stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// Sends, waiting for room; the time without room is counted as blocked.
pub(crate) fn send<T>(queue: &Sender<T>, item: T, watch: &mut Stopwatch) -> Result<(), Closed> {
    match queue.try_send(item) {
        Ok(()) => Ok(()),
        Err(TrySendError::Disconnected(_)) => Err(Closed),
        Err(TrySendError::Full(item)) => {
            watch.worked(0);
            let sent = queue.send(item);
            watch.blocked();
            sent.map_err(|_| Closed)
        }
    }
}

/// Takes what is there or comes next; `None` when nobody sends any more. Only a wait reads the
/// clock.
pub(crate) fn receive<T>(queue: &Receiver<T>, watch: &mut Stopwatch) -> Option<T> {
    match queue.try_recv() {
        Ok(item) => Some(item),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => {
            let looked = watch.look(|| match queue.try_recv() {
                Err(TryRecvError::Empty) => None,
                ended => Some(ended.ok()),
            });
            looked.unwrap_or_else(|| {
                let next = queue.recv();
                watch.waited();
                next.ok()
            })
        }
    }
}

/// The way from one replica to another. A full inbox blocks the sender for at most its patience;
/// then the flush is dropped, and later ones are dropped at once until one fits again.
#[derive(Debug)]
pub(crate) struct PeerLink {
    /// `None` for a peer that was never started: what is sent to it is gone.
    queue: Option<Sender<Frames>>,
    patience: Duration,
    lost_patience: bool,
}

impl PeerLink {
    pub(crate) fn new(queue: Option<Sender<Frames>>, patience: Duration) -> PeerLink {
        PeerLink { queue, patience, lost_patience: false }
    }

    /// Sends or drops; never waits longer than the patience. A peer that is gone is passed over.
    pub(crate) fn send(&mut self, frames: Frames, watch: &mut Stopwatch) {
        let Some(queue) = &self.queue else { return };
        let full = match queue.try_send(frames) {
            Err(TrySendError::Full(frames)) if !self.lost_patience => {
                watch.worked(0);
                let sent = queue.send_timeout(frames, self.patience);
                watch.blocked();
                matches!(sent, Err(SendTimeoutError::Timeout(_)))
            }
            sent => matches!(sent, Err(TrySendError::Full(_))),
        };
        self.lost_patience = full;
        Counts::add(&watch.counts().flushes_dropped, u64::from(full));
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;
    use crate::metrics::{Meter, StageKind, Work};

    #[test]
    fn a_full_peer_costs_the_patience_once_and_is_tried_again_each_time() {
        let meter = Meter::new("test".to_owned(), StageKind::Egress, Work::Replica(0));
        let mut watch = Stopwatch::new(&[meter]);
        let (queue, inbox) = bounded(1);
        let mut link = PeerLink::new(Some(queue), Duration::from_millis(1));
        for _ in 0..4 {
            link.send(vec![Bytes::from_static(b"frame")], &mut watch);
        }
        assert_eq!(watch.counts().snapshot().flushes_dropped, 3);
        assert_eq!(inbox.len(), 1);
        drop(inbox.recv());
        link.send(vec![Bytes::from_static(b"frame")], &mut watch);
        assert_eq!((inbox.len(), watch.counts().snapshot().flushes_dropped), (1, 3));
    }
}
