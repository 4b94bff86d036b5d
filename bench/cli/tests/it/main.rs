//! The command line as a user meets it, and the shape of the workspace.

#![allow(clippy::unwrap_used)] // the functions beside the tests as well

mod arrows;
mod check;
mod compare;
mod config;
#[cfg(unix)]
mod guides;
mod merkle;
mod mine;
mod predict;
mod profile;
mod program;
mod readme;
mod refusals;
mod run;
mod schema;
mod sim;
mod slo;
mod surface;
mod sweep;
mod tune;
