//! Ctrl-C: the first ends the measurement and keeps what there is, the second ends the program.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use quorumark_chain::miner::Stop;

use crate::exit::Exit;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Listens from now on. Called once, by commands that take long.
///
/// # Errors
/// When the system refuses the handler.
pub(crate) fn listen() -> anyhow::Result<&'static AtomicBool> {
    let stop = stop().clone();
    ctrlc::set_handler(move || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
        stop.stop();
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
