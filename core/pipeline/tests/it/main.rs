//! Claims about live clusters: real threads, real signatures, real frames.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.
#![allow(clippy::single_range_in_vec_init)] // One port, of one range of clients.

mod allocations;
mod apart;
#[path = "../../../primitives/tests/it/counting.rs"]
mod counting;
mod driver;
mod faults;
mod normal;
mod stop;
mod stop_one;
mod tentative;
