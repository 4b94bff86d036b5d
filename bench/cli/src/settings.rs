//! The configuration of a run: flag, then `QUORUMARK_*`, then file, then default.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use quorumark_harness::parameter::suggestion;
use quorumark_harness::{Origin, ParameterSet, Scenario, Spec, scenario};

use crate::config_file::{ConfigFile, DEFAULT_FILE};
use crate::refused::Refused;

/// How our variables begin.
const PREFIX: &str = "QUORUMARK_";
/// Variables with that beginning that are no parameters: of this program's own flags, and of the
/// benchmarks beside it.
const OTHER_VARIABLES: [&str; 4] =
    ["QUORUMARK_COLOR", "QUORUMARK_CONFIG", "QUORUMARK_OUT", "QUORUMARK_BENCH"];

/// Flags that set parameters.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct SettingArgs {
    /// Replicas, short for --set replicas=N.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    replicas: Option<String>,
    /// Set any parameter of the scenario; `quorumark list SCENARIO` names them. Repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Open loop: requests per second offered, such as 20k.
    #[arg(long, value_name = "RATE", allow_hyphen_values = true, conflicts_with = "concurrency")]
    rate: Option<String>,
    /// Closed loop: requests in flight.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    concurrency: Option<String>,
    /// Length of one measured trial, such as 10s; at least 1ms. A stock crate that is timed beside
    /// has its share of it.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    duration: Option<String>,
    /// Load before the first trial that is not recorded, such as 2s.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    warmup: Option<String>,
    /// Trials; figures are medians over them.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    repeat: Option<String>,
    /// Seeds workload, keys and arrivals: the same seed, the same input.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    seed: Option<String>,
    /// Read parameters from this file instead of ./quorumark.toml.
    #[arg(long, value_name = "FILE", env = "QUORUMARK_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
}

impl SettingArgs {
    /// The parameters of `chosen`, each from the strongest place that sets it.
    ///
    /// # Errors
    /// [`Refused`] or [`quorumark_harness::ParameterError`] for the first name or value that is
    /// wrong, wherever it stands.
    pub(crate) fn resolve(&self, chosen: &dyn Scenario) -> anyhow::Result<ParameterSet> {
        let spec = chosen.spec();
        let specs: Vec<Spec> = scenario::all().iter().map(|known| known.spec()).collect();
        let mut parameters = ParameterSet::new(spec.parameters);
        if let Some(file) = self.config_file() {
            ConfigFile::read(&file, &specs)?.apply(spec.name, &mut parameters)?;
        }
        set_from_environment(env::vars_os(), &specs, &mut parameters)?;
        for (flag, value) in self.flags() {
            if let Some(value) = value {
                let name = flag.trim_start_matches('-');
                parameters.set(name, value, Origin::Flag(flag.to_owned()))?;
            }
        }
        for assignment in &self.set {
            self.refuse_twice(assignment)?;
            parameters.assign(assignment, Origin::Flag("--set".to_owned()))?;
        }
        chosen.check(&parameters)?;
        Ok(parameters)
    }

    /// A flag that was given, if any.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let of_flags = self.flags().into_iter().find(|(_, value)| value.is_some());
        let of_flags = of_flags.map(|(flag, _)| flag);
        of_flags.or_else(|| (!self.set.is_empty()).then_some("--set"))
    }

    /// The flag that sets the parameter `name`, if one does.
    pub(crate) fn flag_that_sets(&self, name: &str) -> Option<&'static str> {
        let own = |(flag, value): &(&str, &Option<String>)| {
            flag.trim_start_matches('-') == name && value.is_some()
        };
        let by_set = |assignment: &String| {
            assignment.split_once('=').is_some_and(|(set, _)| set.trim() == name)
        };
        let own = self.flags().into_iter().find(own).map(|(flag, _)| flag);
        own.or_else(|| self.set.iter().any(by_set).then_some("--set"))
    }

    /// Checks that the file and the environment name nothing that no scenario has.
    ///
    /// # Errors
    /// [`Refused`] for the first name that does not exist.
    pub(crate) fn check_names(&self) -> anyhow::Result<()> {
        let specs: Vec<Spec> = scenario::all().iter().map(|known| known.spec()).collect();
        if let Some(file) = self.config_file() {
            ConfigFile::read(&file, &specs)?;
        }
        set_from_environment(env::vars_os(), &specs, &mut ParameterSet::new(Vec::new()))
    }

    /// One parameter by a flag of its own and by `--set` as well: neither can be meant to win.
    fn refuse_twice(&self, assignment: &str) -> Result<(), Refused> {
        let name = assignment.split_once('=').map_or("", |(name, _)| name.trim());
        let given = |(flag, value): &(&str, &Option<String>)| {
            flag.trim_start_matches('-') == name && value.is_some()
        };
        match self.flags().into_iter().find(given) {
            Some((flag, _)) => {
                let problem = format!("is set by {flag} and by --set");
                Err(Refused::new(name, problem, "keep one of them"))
            }
            None => Ok(()),
        }
    }

    /// The file that is read, if any.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        let default = || Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into());
        self.config.clone().or_else(default)
    }

    fn flags(&self) -> [(&'static str, &Option<String>); 7] {
        [
            ("--replicas", &self.replicas),
            ("--rate", &self.rate),
            ("--concurrency", &self.concurrency),
            ("--duration", &self.duration),
            ("--warmup", &self.warmup),
            ("--repeat", &self.repeat),
            ("--seed", &self.seed),
        ]
    }
}

/// Sets what variables of the environment say. One that no scenario knows is refused, one of
/// another scenario is left alone.
fn set_from_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    specs: &[Spec],
    parameters: &mut ParameterSet,
) -> anyhow::Result<()> {
    let all = specs.iter().flat_map(|spec| &spec.parameters);
    let known: Vec<String> = all.map(|parameter| parameter.environment_name()).collect();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if OTHER_VARIABLES.contains(&name) {
            continue;
        }
        if !known.iter().any(|variable| variable == name) {
            let names = known.iter().map(String::as_str).chain(OTHER_VARIABLES);
            let remedy = match suggestion(name, names) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    "unset it, or name a parameter that `quorumark list SCENARIO` shows".to_owned()
                }
            };
            return Err(Refused::new(name, "no parameter has this variable", remedy).into());
        }
        let parameter = name[PREFIX.len()..].to_lowercase();
        if parameters.contains(&parameter) {
            let value = value.to_string_lossy();
            parameters.set(&parameter, &value, Origin::Environment(name.to_owned()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorumark_harness::Parameter;

    fn set(variables: &[(&str, &str)]) -> Result<u64, String> {
        let parameters = vec![Parameter::integer("replicas", "", 4..=31, 4, "")];
        let spec = Spec { name: "a/b", description: "", parameters, metrics: &[] };
        let mut parameters = ParameterSet::new(spec.parameters.clone());
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        set_from_environment(variables, &[spec], &mut parameters)
            .map(|()| parameters.integer("replicas"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_sets_its_parameter_and_a_misspelt_one_is_refused() {
        assert_eq!(set(&[("QUORUMARK_REPLICAS", "7"), ("REPLICAS", "9")]), Ok(7));
        assert_eq!(set(&[("QUORUMARK_OUT", "d"), ("QUORUMARK_BENCH", "full")]), Ok(4));
        let refused = set(&[("QUORUMARK_REPLICA", "7")]).unwrap_err();
        assert!(refused.ends_with("did you mean QUORUMARK_REPLICAS?"), "{refused}");
        let refused = set(&[("QUORUMARK_REPLICAS", "x")]).unwrap_err();
        assert!(refused.starts_with("replicas=x (QUORUMARK_REPLICAS): "), "{refused}");
    }
}
