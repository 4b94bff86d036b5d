//! Named threads that note who they are and what they died of.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::metrics::{Manner, Meter, Stopwatch};

/// A running thread of the cluster.
#[derive(Debug)]
pub(crate) struct Thread {
    name: String,
    handle: JoinHandle<()>,
}

impl Thread {
    /// Starts `body` on a thread with these stages and of this manner, on one core when one is given.
    pub(crate) fn spawn(
        name: String,
        stages: &[Arc<Meter>],
        core: Option<usize>,
        manner: Manner,
        body: impl FnOnce(&mut Stopwatch) + Send + 'static,
    ) -> io::Result<Thread> {
        let stages = stages.to_vec();
        let handle = Builder::new().name(name.clone()).spawn(move || {
            // They share what the kernel says of their thread.
            let Some(meter) = stages.first() else { return };
            meter.adopt();
            if let Some(id) = core {
                core_affinity::set_for_current(core_affinity::CoreId { id });
            }
            body(&mut Stopwatch::new(&stages).in_manner(manner));
            meter.retire();
        })?;
        Ok(Thread { name, handle })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The thread's name and the panic's message.
    pub(crate) fn join(self) -> Result<(), (String, String)> {
        self.handle.join().map_err(|payload| (self.name, message(&*payload)))
    }
}

/// The sentence of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it panicked without a message".to_owned())
}
