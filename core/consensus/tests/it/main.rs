//! Claims about the engines, each named after the rule that it holds the code to.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod across_views;
mod agreement;
mod bounds;
mod cells;
mod checkpoints;
mod cluster;
mod disk;
mod failover;
mod gate;
mod lab;
mod network;
mod new_view;
mod one;
mod reads;
mod recovery;
mod rejoin;
mod repair;
mod requests;
mod state;
mod tentative;
mod transfer;
mod view_change;
mod views;
mod wire;
