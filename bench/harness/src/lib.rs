//! Workloads, load, recorders, trials, environment, warnings: how things are measured.
//!
//! Invariant: nothing here is measured. The harness prepares inputs before the timed span, checks
//! answers after it, and leaves a [`quorumark_report::Record`] behind; it neither prints nor parses
//! arguments. `unsafe` is confined to `clock`, which reads the CPU clocks, `allocations`, which
//! counts what the allocator is asked for, `streams`, which looks at a stream before `main`, `pages`, which
//! asks the kernel for small ones, and `processes`, which asks it that no process be left behind.
//!
//! The way in: [`scenario::find`] names what can be run, [`parameter::ParameterSet`] holds the
//! configuration, [`run`] measures, [`Run::write`] leaves the files.

#![deny(unsafe_code)]

pub mod allocations;
pub mod calibrate;
pub mod clock;
pub mod contention;
pub mod date;
pub mod doctor;
pub mod environment;
pub mod fixture;
pub mod floor;
pub mod latency;
pub mod limits;
pub mod load;
pub mod oracle;
pub mod pace;
pub mod pairs;
pub mod parameter;
pub mod prediction;
pub mod processes;
pub mod profile;
pub mod progress;
pub mod provenance;
pub mod scenario;
pub mod schedule;
pub mod slo;
pub mod streams;
pub mod sweep;
pub mod trial;
pub mod tune;
pub mod verify;
pub mod workload;

mod assemble;
mod folder;
mod judge;
mod pages;
mod reproduce;

pub use assemble::CPU_SHARE_UNDISTURBED_MIN;
pub use folder::{LATENCY_FILE, RUNS_DIRECTORY, default_directory};
pub use judge::littles_law;
pub use parameter::{Origin, Parameter, ParameterError, ParameterSet};
pub use progress::{Phase, Progress};
pub use reproduce::arguments as run_arguments;
pub use scenario::{Scenario, Spec};
pub use trial::{Host, LatencyInterval, Run, RunError, run};
