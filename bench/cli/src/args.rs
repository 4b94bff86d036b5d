//! The command line, taken apart; what is wrong with it, on one line.

use std::env;
use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use quorumark_harness::parameter::suggestion;
use quorumark_harness::scenario;

use crate::cmd::{
    baseline, calibrate, check, compare, completions, config, decode, doctor, list, man, merkle,
    mine, predict, profile, report, run, schema, sim, slo, sweep, tour, tune, verify,
};
use crate::refused::Refused;
use crate::terminal::TerminalArgs;

const AFTER_HELP: &str = "\
Examples:
  quorumark                                    the tour
  quorumark run pbft/pipeline --replicas 7     one scenario
  quorumark merkle root --block FILE           a block's Merkle root, held against its header
  quorumark mine --puzzle hello --difficulty 5

Exit codes:
  0    done; the verdict is as expected
  1    runtime error, or nothing was found
  2    bad usage, configuration or input file
  3    a regression, with --fail-on-regression
  4    inconclusive: the machine was busy, the load was not offered, or nothing was checked
  5    the objective of slo or tune cannot be met
  6    a known-answer check failed
  10   safety violated
  11   liveness violated
  12   panic
  13   a proof or bytes were rejected
  14   a pass where a violation was expected, or too few operations
  130  interrupted; what was measured so far is kept";

/// Measures and tunes the hot paths of blockchain consensus on the machine in front of you.
///
/// Without a command: the tour, a table of everything in less than 40 seconds. Data goes to
/// standard output, everything else to standard error. Each parameter can be set by flag, by
/// variable (QUORUMARK_ and its name in capitals) and in quorumark.toml; the first of these counts.
#[derive(Debug, Parser)]
#[command(name = "quorumark", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) terminal: TerminalArgs,
    #[command(flatten)]
    pub(crate) tour: tour::TourArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure one scenario and leave a record
    Run(run::RunArgs),
    /// Measure one scenario at every combination of some parameters' values
    Sweep(sweep::SweepArgs),
    /// Find the highest offered rate that holds a response time
    Slo(slo::SloArgs),
    /// Find the settings that do best what is asked for, within a budget of time
    Tune(tune::TuneArgs),
    /// Hold two records, settings or builds against each other, and give a verdict
    Compare(compare::CompareArgs),
    /// Records that have a name, for `compare`
    Baseline(baseline::BaselineArgs),
    /// Run one scenario once and show where its CPU time goes
    Profile(profile::ProfileArgs),
    /// Measure what each step costs on this machine, for `predict`
    Calibrate(calibrate::CalibrateArgs),
    /// Predict throughput and latency of a committee from the costs of its steps
    Predict(predict::PredictArgs),
    /// Show what can be run; of one scenario its parameters, defaults and figures
    List(list::ListArgs),
    /// Check whether figures of this machine can be trusted
    Doctor(doctor::DoctorArgs),
    /// Check the known answers of every kernel
    Verify(verify::VerifyArgs),
    /// Find the nonce of a block header, or of a puzzle
    Mine(mine::MineArgs),
    /// Merkle roots and inclusion proofs
    Merkle(merkle::MerkleArgs),
    /// Run a scenario of faults in the simulator, and judge it
    Sim(sim::SimArgs),
    /// Decode one hostile input from standard input
    Decode(decode::DecodeArgs),
    /// Check whether a history of key-value clients is linearizable
    Check(check::CheckArgs),
    /// List or render records: a table, an HTML page, Markdown, CSV; or export them
    Report(report::ReportArgs),
    /// Show what a run would use, and where each value comes from
    Config(config::ConfigArgs),
    /// Print the JSON schema of a record, or of another document
    Schema(schema::SchemaArgs),
    /// Print or write manual pages
    Man(man::ManArgs),
    /// Print a shell's completion script
    Completions(completions::CompletionArgs),
}

/// What clap made of the command line.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// A command, or the tour.
    Command(Box<Cli>),
    /// Help or version, for standard output.
    Help(clap::Error),
}

/// The process's command line.
///
/// # Errors
/// [`Refused`], on one line.
pub(crate) fn parse() -> Result<Invocation, Refused> {
    let words: Vec<OsString> = env::args_os().collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => {
            let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if shown { Ok(Invocation::Help(error)) } else { Err(refused(&error, &words)) };
        }
    };
    match (&cli.command, cli.tour.first_given()) {
        (Some(_), Some(flag)) => {
            let problem = "stands before the command and belongs to the tour";
            Err(Refused::new(flag, problem, "write it after the command"))
        }
        _ => Ok(Invocation::Command(Box::new(cli))),
    }
}

/// clap's error about `words`, on one line.
fn refused(error: &clap::Error, words: &[OsString]) -> Refused {
    let (command, name) = command_named(words);
    let asked = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    if error.kind() == ErrorKind::InvalidSubcommand {
        return unknown_command(&asked(ContextKind::InvalidSubcommand), &command);
    }
    let flag = asked(ContextKind::InvalidArg);
    let measures = ["run", "sweep", "compare", "tune", "slo"];
    let measures = name.strip_prefix("quorumark ").is_some_and(|name| measures.contains(&name));
    if error.kind() == ErrorKind::UnknownArgument && measures && is_parameter(&flag) {
        let remedy = format!("write --set {}=VALUE", flag.trim_start_matches('-'));
        return Refused::new(flag, "is a parameter and no flag", remedy);
    }
    Refused::sentence(format!("{}; see `{name} --help`", one_line(error)))
}

/// The command that `words` lead to, and its name, such as `quorumark merkle root`.
fn command_named(words: &[OsString]) -> (clap::Command, String) {
    let (mut command, mut name) = (Cli::command(), "quorumark".to_owned());
    for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(inner) = command.find_subcommand(word).cloned() {
            (command, name) = (inner, format!("{name} {word}"));
        }
    }
    (command, name)
}

/// A command that does not exist: what was probably meant, or all that there are.
fn unknown_command(asked: &str, parent: &clap::Command) -> Refused {
    let names = || parent.get_subcommands().map(clap::Command::get_name);
    let remedy = match suggestion(asked, names()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Refused::new(asked, "no such command", remedy)
}

/// Whether some scenario has a parameter of the flag's name.
fn is_parameter(flag: &str) -> bool {
    let name = flag.trim_start_matches('-');
    let specs = scenario::all().into_iter().map(|scenario| scenario.spec());
    specs.flat_map(|spec| spec.parameters).any(|parameter| parameter.name == name)
}

/// clap's message without its usage block: the problem, and what was probably meant.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let told = text.lines().map(str::trim).take_while(|line| {
        !line.starts_with("Usage:") && !line.starts_with("For more information")
    });
    let mut sentence = String::new();
    // That an unknown flag could be a value behind `--` helps nobody: no command takes such.
    for line in told.filter(|line| !line.is_empty() && !line.starts_with("tip: to pass")) {
        let line = line.strip_prefix("error: ").unwrap_or(line);
        let joint = match sentence.chars().last() {
            None => "",
            // A line that ends in a colon is the head of a list.
            Some(':') => " ",
            Some(_) if line.starts_with('[') => " ",
            Some(_) if line.starts_with('<') || line.starts_with('-') => ", ",
            Some(_) => "; ",
        };
        sentence.push_str(joint);
        sentence.push_str(line);
    }
    sentence
}

/// Reads a whole number given by flag.
pub(crate) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let most = u64::MAX >> (u64::BITS - 8 * size_of::<T>().min(8) as u32);
    whole_within(text, 0, most).map(|number| {
        T::try_from(number).unwrap_or_else(|_| unreachable!("{most} is the type's largest number"))
    })
}

/// Reads a whole number from `least` to `most`, given by flag.
pub(crate) fn whole_within(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let range = || format!("choose {least} to {most}");
    match text.parse() {
        Ok(number) if number < least => Err(format!("below {least}, {}", range())),
        Ok(number) if number <= most => Ok(number),
        _ if text.strip_prefix('-').is_some_and(digits) => Err(format!("below 0, {}", range())),
        _ if digits(text) => Err(format!("too large, {}", range())),
        _ => Err("not a whole number, such as 4".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[&str]) -> String {
        let words = ["quorumark"].iter().chain(arguments).map(OsString::from);
        let words: Vec<OsString> = words.collect();
        refused(&Cli::try_parse_from(&words).unwrap_err(), &words).to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Every command below `command`, with the words that lead to it.
    fn commands(command: &clap::Command, words: &[String]) -> Vec<(Vec<String>, clap::Command)> {
        let mut all = vec![(words.to_vec(), command.clone())];
        for inner in command.get_subcommands() {
            let words = [words, &[inner.get_name().to_owned()]].concat();
            all.extend(commands(inner, &words));
        }
        all
    }

    /// The lines below `Examples:`, each without what is said of it behind three blanks.
    fn examples(help: &str) -> Vec<&str> {
        let below = help.split("Examples:\n").nth(1).unwrap_or_default();
        let lines = below.lines().take_while(|line| line.starts_with("  "));
        lines.filter_map(|line| line.trim().split("   ").next()).collect()
    }

    #[test]
    fn every_command_s_help_has_examples_whose_arguments_parse() {
        let all = commands(&Cli::command(), &["quorumark".to_owned()]);
        assert!(all.len() > 18, "the walk goes below the first commands");
        for (words, command) in all {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = examples(&help);
            assert!(!examples.is_empty(), "{words:?} has no example in its help");
            for example in examples {
                let given: Vec<&str> = example.split(' ').collect();
                let own = given.iter().zip(&words).filter(|(given, word)| *given == word).count();
                assert_eq!(own, words.len(), "{example} is no example of {words:?}");
                let parsed = Cli::try_parse_from(&given);
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn a_usage_error_is_one_line_that_names_the_help() {
        let line_of = line(&["merkle", "proof", "--block", "f", "--txx", "1"]);
        assert!(line_of.ends_with("see `quorumark merkle proof --help`"), "{line_of}");
        let line_of = line(&["mine"]);
        assert!(line_of.contains("--header") && line_of.contains("--puzzle"), "{line_of}");
        assert!(!line_of.contains('\n'), "{line_of}");
    }

    #[test]
    fn an_unknown_command_is_answered_with_the_near_one_or_with_all() {
        let cases = [
            (["rnu"].as_slice(), "rnu: no such command; did you mean run?"),
            (&["merkle", "rot"], "rot: no such command; did you mean root?"),
            (&["merkle", "x9"], "x9: no such command; known are root, proof, verify"),
        ];
        for (arguments, expected) in cases {
            assert_eq!(line(arguments), expected);
        }
    }

    #[test]
    fn a_parameter_written_as_a_flag_is_told_how_to_be_set() {
        let expected = "--threads: is a parameter and no flag; write --set threads=VALUE";
        assert_eq!(line(&["run", "pow/miner", "--threads", "1"]), expected);
    }
}
