//! The command that repeats a run.

use crate::parameter::{Origin, ParameterSet};

/// Parameters that are flags of their own; all others go through `--set`.
const FLAGS: [&str; 7] =
    ["replicas", "rate", "concurrency", "duration", "warmup", "repeat", "seed"];

/// The arguments of `quorumark run` that measure `scenario` with everything that was set or differs
/// from its default, and the seed.
pub fn arguments(scenario: &str, parameters: &ParameterSet) -> Vec<String> {
    let mut arguments = vec!["run".to_owned(), scenario.to_owned()];
    for setting in parameters.iter() {
        let name = setting.parameter.name;
        let set = setting.origin != Origin::Default || setting.value != setting.parameter.default;
        match (FLAGS.contains(&name), set || name == "seed") {
            (_, false) => {}
            (true, true) => arguments.extend([format!("--{name}"), setting.value.to_string()]),
            (false, true) => {
                arguments.extend(["--set".to_owned(), format!("{name}={}", setting.value)]);
            }
        }
    }
    arguments
}

/// [`arguments`] as one line, the program's name first.
pub(crate) fn command(scenario: &str, parameters: &ParameterSet) -> String {
    format!("quorumark {}", arguments(scenario, parameters).join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::Parameter;

    #[test]
    fn what_was_set_is_repeated_and_the_seed_always() {
        let mut set = ParameterSet::new(vec![
            Parameter::integer("replicas", "replicas", 1..=31, 4, ""),
            Parameter::choice("auth", ["signature", "mac"], ""),
            Parameter::size("payload", 1..=4096, 512, ""),
            Parameter::integer("seed", "", 0..=u64::MAX, 42, ""),
        ]);
        assert_eq!(command("a/b", &set), "quorumark run a/b --seed 42");
        set.set("replicas", "7", Origin::Flag("--replicas".to_owned())).unwrap();
        set.set("auth", "mac", Origin::File("quorumark.toml".to_owned())).unwrap();
        assert_eq!(command("a/b", &set), "quorumark run a/b --replicas 7 --set auth=mac --seed 42");
    }
}
