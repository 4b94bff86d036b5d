//! What can be tuned: how the pipeline does its work. What it is asked to do (committee, load,
//! payload, authentication) is the user's to say.

use quorumark_pipeline::{Pinning, Stages};

use super::settings::Settings;
use crate::environment::cores;
use crate::parameter::{Origin, ParameterError, ParameterSet};
use crate::tune::Tunable;

/// The parameters and their values. Of what decides for itself (`auto`) the other choice is
/// offered: the same twice would be measured twice.
///
/// # Errors
/// As [`Settings::read`].
pub(super) fn of(parameters: &ParameterSet) -> Result<Vec<Tunable>, ParameterError> {
    let mut undecided = parameters.clone();
    for name in ["stages", "pin"] {
        // As a flag: it outweighs wherever the present value came from.
        undecided.set(name, "auto", Origin::Flag(name.to_owned()))?;
    }
    let chosen = Settings::read(&undecided)?.cluster;
    // Merged stages have one verifying thread: no other choice is left where more are asked for.
    let stages = match chosen.stages {
        Stages::Merged => vec!["auto", "separate"],
        Stages::Separate if chosen.verify_threads > 1 => vec!["auto"],
        Stages::Separate => vec!["auto", "merged"],
    };
    let pin = match chosen.pinning {
        Pinning::ByReplica(_) => "none",
        Pinning::None => "by-replica",
    };
    // A path that decides by another rule is none to choose, however fast.
    Ok(vec![
        Tunable::log2("batch_size_max", 16, 1024),
        Tunable::values("batch_linger", &["0s", "250us", "500us", "1ms", "2ms", "4ms"]),
        Tunable::log2("parallel_batches", 1, 64),
        Tunable::log2("verify_batch_max", 16, 1024),
        Tunable::integers("verify_threads", 1, u64::from(cores()).min(16)),
        Tunable::values("verify", &["batch", "single"]),
        Tunable::log2("window", 64, 1024),
        Tunable::log2("queue_capacity_batches", 4, 256),
        Tunable::log2("inbox_capacity_batches", 128, 4096),
        Tunable::values("stages", &stages),
        Tunable::values("pin", &["auto", pin]),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::settings;
    use super::*;

    fn offered(assignments: &[(&str, &str)], name: &str) -> Vec<String> {
        let mut parameters = ParameterSet::new(settings::parameters());
        for (name, value) in assignments {
            parameters.set(name, value, Origin::Flag("--set".to_owned())).unwrap();
        }
        let tunables = of(&parameters).unwrap();
        tunables.into_iter().find(|tunable| tunable.name == name).unwrap().values
    }

    /// So many replicas that they share cores, whatever the machine.
    fn crowd() -> String {
        (2 * quorumark_pipeline::cores().len()).max(4).to_string()
    }

    #[test]
    fn what_auto_comes_to_is_not_offered_beside_it() {
        let crowd = crowd();
        let crowded = [("replicas", crowd.as_str())];
        assert_eq!(offered(&crowded, "stages"), ["auto", "separate"]);
        assert_eq!(offered(&crowded, "pin"), ["auto", "none"]);
        let lonely = [("replicas", "1")];
        assert_eq!(offered(&lonely, "stages"), ["auto", "merged"]);
    }

    #[test]
    fn several_verifying_threads_leave_no_other_choice_of_stages() {
        let crowd = crowd();
        let crowded = [("replicas", crowd.as_str()), ("verify_threads", "2")];
        assert_eq!(offered(&crowded, "stages"), ["auto"]);
        assert_eq!(offered(&[crowded[0], ("stages", "separate")], "stages"), ["auto", "separate"]);
    }
}
