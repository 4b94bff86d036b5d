//! Claims about the engines, each named after the rule that it holds the code to.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod agreement;
mod bounds;
mod checkpoints;
mod cluster;
mod failover;
mod gate;
mod lab;
mod new_view;
mod repair;
mod requests;
mod state;
mod view_change;
mod views;
mod wire;
