//! Ctrl-C: the first ends the measurement and keeps what there is, the second ends the program.

use core::time::Duration;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use quorumark_chain::miner::Stop;

use crate::exit::Exit;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What comes sooner after the first is the same press: programs that start others, such as
/// `timeout`, hand a signal to the process and to its group.
const SECOND_PRESS_AFTER: Duration = Duration::from_millis(250);

/// Listens from now on. Called once, by commands that take long.
///
/// # Errors
/// When the system refuses the handler.
pub(crate) fn listen() -> anyhow::Result<&'static AtomicBool> {
    let stop = stop().clone();
    let mut pressed: Option<Instant> = None;
    ctrlc::set_handler(move || {
        INTERRUPTED.store(true, Ordering::Relaxed);
        stop.stop();
        let first = *pressed.get_or_insert_with(Instant::now);
        if first.elapsed() >= SECOND_PRESS_AFTER {
            std::process::exit(Exit::Interrupted as i32);
        }
    })
    .context("Ctrl-C cannot be listened to")?;
    Ok(&INTERRUPTED)
}

/// Whether Ctrl-C was pressed since [`listen`].
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The same for searches of the chain crate.
pub(crate) fn stop() -> &'static Stop {
    static STOP: OnceLock<Stop> = OnceLock::new();
    STOP.get_or_init(Stop::new)
}
