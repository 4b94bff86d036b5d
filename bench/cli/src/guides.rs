//! Every command of the guides is one that the program takes: its words, and its settings.

#[allow(dead_code)] // those who run the commands need more of it
#[path = "../tests/it/guides/blocks.rs"]
mod blocks;

use clap::Parser;
use quorumark_harness::scenario;

use self::blocks::{GUIDES, blocks, kubernetes};
use crate::args::Cli;
use crate::settings::SettingArgs;

/// The flags that set parameters, and nothing else.
#[derive(Parser)]
struct Only {
    #[command(flatten)]
    settings: SettingArgs,
}

/// The words of a command, as a shell parts them; its variables are numbers, its pipes end it.
fn words(command: &str) -> Vec<String> {
    let command = command.split(" || ").next().unwrap_or(command);
    let command = command.replace("$((JOB_COMPLETION_INDEX + 1))", "1");
    let command = command.replace("$SLURM_ARRAY_TASK_ID", "1").replace("\"$@\"", "a b");
    let (mut words, mut quote) = (vec![String::new()], None);
    for character in command.chars() {
        let word = words.last_mut().expect("there is always one");
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (end, Some(begin)) if end == begin => quote = None,
            (' ', None) => words.push(String::new()),
            (other, _) => word.push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The flags of a command that set parameters of its scenario.
fn settings(words: &[String]) -> Vec<String> {
    const FLAGS: [&str; 8] = [
        "--replicas",
        "--rate",
        "--concurrency",
        "--duration",
        "--warmup",
        "--repeat",
        "--seed",
        "--set",
    ];
    let mut settings = Vec::new();
    for pair in words.windows(2) {
        match pair[0].as_str() {
            flag if FLAGS.contains(&flag) => settings.extend_from_slice(pair),
            "--a" | "--b" => settings.extend(["--set".to_owned(), pair[1].clone()]),
            "--param" => {
                let (name, values) = pair[1].split_once('=').expect("a parameter has values");
                // The ends of a range are values too.
                let first = values.split([',', '.']).next().unwrap_or(values);
                settings.extend(["--set".to_owned(), format!("{name}={first}")]);
            }
            _ => {}
        }
    }
    settings
}

fn commands() -> Vec<Vec<String>> {
    let all = GUIDES.iter().flat_map(|(_, guide)| {
        let typed = blocks(guide).into_iter().flat_map(|block| block.commands());
        typed.chain(kubernetes(guide).map(str::to_owned)).collect::<Vec<_>>()
    });
    all.filter(|command| command.starts_with("quorumark ")).map(|c| words(&c)).collect()
}

#[test]
fn every_command_of_the_guides_parses() {
    let all = commands();
    assert!(all.len() > 50, "{}", all.len());
    for words in all {
        let parsed = Cli::try_parse_from(&words);
        let helps = words.iter().any(|word| word == "--help");
        assert!(parsed.is_ok() || helps, "{words:?}: {}", parsed.unwrap_err());
    }
}

#[test]
fn every_setting_in_the_guides_is_one_of_its_scenario() {
    for words in commands() {
        let named = words.iter().find(|word| scenario::find(word).is_ok());
        let Some(scenario) = named else { continue };
        let line = [&["settings".to_owned()], settings(&words).as_slice()].concat();
        let read = Only::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let chosen = scenario::find(scenario).expect("it was found");
        read.settings.resolve(chosen).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}
