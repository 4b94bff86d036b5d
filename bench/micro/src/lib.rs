//! What the criterion suites measure, and on what: the grid of ids and the seeded fixtures.
//!
//! The suites themselves are in `benches/micro`, and so are criterion and pprof, as
//! dev-dependencies. Every id is `area::operation/key=value ...` and comes from one table,
//! [`grid::ROWS`]; a suite cannot run what is not in it, so the quick grid's size is a test here.
//!
//! ```text
//! cargo bench -p quorumark-micro                             the quick grid, some minutes
//! cargo bench -p quorumark-micro -- merkle::root             what matches a regular expression
//! cargo bench -p quorumark-micro -- --profile-time 5 pow::   flamegraphs, under target/criterion
//! QUORUMARK_BENCH=full cargo bench -p quorumark-micro        every id
//! ```

#![forbid(unsafe_code)]

pub mod fixtures;
pub mod grid;
pub mod id;
pub mod lock;

pub use grid::Extent;
pub use id::Id;
