//! What can still happen in a world.

use super::frame::Frame;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Due {
    /// A frame reaches a replica.
    Deliver {
        /// The node it reaches.
        node: u16,
        /// Who sent it.
        from: Sender,
        /// What.
        frame: Frame,
    },
    /// A reply reaches a client.
    Reply {
        /// The client.
        client: u32,
        /// The replica that sent it.
        from: u16,
        /// What.
        frame: Frame,
    },
    /// A node's timer may be due.
    Timer { node: u16 },
    /// The oldest batch that a node executes is done.
    Executed { node: u16, incarnation: u32 },
    /// A node's journal is durable as far as its oldest write.
    Durable { node: u16, incarnation: u32 },
    /// A client submits its next operation.
    Submit { client: u32 },
    /// A client waits too long for an answer.
    Retry { client: u32, timestamp: u64 },
    /// An event of the scenario begins.
    Begin { event: u32 },
    /// An event of the scenario ends.
    End { event: u32 },
    /// A crashed replica starts again.
    Restart { replica: u16 },
    /// The behaviours of a replica begin or end.
    Turn { liar: u32 },
    /// Network faults, crashes and clock faults end.
    Gst,
    /// A Byzantine replica sends something that it held back, or made up.
    Late { node: u16, to: u16, frame: Frame },
}

/// Who sent a frame to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Replica(u16),
    Client(u32),
}
