//! Replicas in processes of their own (`processes=per-replica`).
//!
//! The run starts its own program once for each replica ([`replica_process`]), and talks with it over a
//! socket that the child finds as its standard input: settings, seed and places go in, executions and
//! counts come out. Nothing of this stands on a command line, and nobody else can join.
//!
//! ```text
//! run                      replica
//! Setup        ->          takes a seat (a port that the system chooses)
//!              <- Seated
//! Meet(seats)  ->          dials the others, is dialled by them and by the clients' port
//!              <- Met
//!              <- Executed ... as it executes: what the oracle reads
//! Look         ->
//!              <- Seen     counts and clocks up to now
//! Stop         ->          stops its threads, ships what is left
//!              <- Stopped, or Failed in one line
//! ```
//!
//! Invariant: no process is left behind. A child ends when the socket closes, whatever it does; on
//! Linux the kernel kills it when the thread that started it ends. The run waits for each child for a
//! bounded time, then kills it, and waits for it in any case.
//!
//! Every queue on the way is bounded: a run that takes no executions holds up the replica's execution,
//! as the oracle does that watches replicas of its own process.

mod frames;
mod message;
mod orphan;
mod replica;
mod run;

pub use self::replica::{ARGUMENT, ReplicaProcessError, replica_process};
pub(crate) use self::run::{Ended, Processes, REPLICAS_MAX, Started};
