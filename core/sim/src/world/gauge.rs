//! How full the bounded things of a replica are, for the trace.

use super::World;
use crate::trace::{Fact, Gauge};

impl World<'_> {
    /// Tells of each bounded thing that is fuller than it was told to be before. Looked at where a
    /// replica says a checkpoint, just before it lets go what lies below, and where it enters a view.
    pub(super) fn tell_fills(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let replica = node.replica;
        for (nth, fill) in node.engine.fuller_than(&node.told.peaks) {
            self.nodes[at].told.peaks[nth] = fill.value;
            let gauge =
                Gauge { replica, bound: fill.bound.into(), value: fill.value, cap: fill.cap };
            self.tell(Fact::Gauge(gauge));
        }
    }
}
