//! What can be tuned: how the pipeline does its work. What it is asked to do (committee, load,
//! payload, authentication) is the user's to say.

use crate::environment::cores;
use crate::parameter::ParameterSet;
use crate::tune::Tunable;

/// The parameters and their values. Of what decides for itself (`auto`) the other choice is
/// offered:
/// the same twice would be measured twice.
pub(super) fn of(parameters: &ParameterSet) -> Vec<Tunable> {
    let replicas = parameters.count("replicas");
    let shared = replicas > quorumark_pipeline::cores().len();
    let stages = if shared { "separate" } else { "merged" };
    let pinned = replicas >= 2 * quorumark_pipeline::cores().len();
    let pin = if pinned { "none" } else { "by-replica" };
    // A path that decides by another rule is none to choose, however fast.
    vec![
        Tunable::log2("batch_size_max", 16, 1024),
        Tunable::values("batch_linger", &["0s", "250us", "500us", "1ms", "2ms", "4ms"]),
        Tunable::log2("verify_batch_max", 16, 1024),
        Tunable::integers("verify_threads", 1, u64::from(cores()).min(16)),
        Tunable::values("verify", &["batch", "single"]),
        Tunable::log2("window", 64, 1024),
        Tunable::log2("queue_capacity_batches", 4, 256),
        Tunable::log2("inbox_capacity_batches", 128, 4096),
        Tunable::values("stages", &["auto", stages]),
        Tunable::values("pin", &["auto", pin]),
    ]
}
