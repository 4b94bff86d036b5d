//! The README, held against the program and the files beside it.

use std::path::Path;

use crate::program::Program;

const README: &str = include_str!("../../../../README.md");

/// The lines of the README's blocks of commands that begin with the program's name.
fn commands() -> Vec<Vec<&'static str>> {
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).filter(|line| line.starts_with("quorumark "));
    let command = |line: &'static str| line.split(" #").next().unwrap_or(line);
    lines.map(|line| command(line).split_whitespace().skip(1).collect()).collect()
}

#[test]
fn every_command_of_the_readme_exists() {
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for words in commands {
        let word = words.first().copied().unwrap_or_default();
        let ended = Program::new().run(&[word, "--help"]).done();
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            let of_a_command_below = word == "merkle" || *flag == "--help";
            assert!(of_a_command_below || ended.stdout.contains(flag), "{words:?}: {flag}");
        }
    }
}

#[test]
fn every_file_that_a_command_of_the_readme_reads_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for words in commands() {
        let reads = |pair: &&[&str]| ["--block", "--scenario", "--history"].contains(&pair[0]);
        for pair in words.windows(2).filter(reads) {
            assert!(root.join(pair[1]).exists(), "{words:?}: there is no {}", pair[1]);
        }
    }
}

#[test]
fn the_readme_says_what_the_configuration_file_does() {
    assert!(README.contains("`quorumark.toml`") && README.contains("QUORUMARK_"));
}

/// The first character outside quotes that a shell takes for itself.
fn for_the_shell(command: &str) -> Option<char> {
    let mut quote = None;
    command.chars().find(|&at| {
        match quote {
            None if at == '\'' || at == '"' => quote = Some(at),
            Some(open) if open == at => quote = None,
            _ => return quote.is_none() && "<>|&;*?$`(){}".contains(at),
        }
        false
    })
}

#[test]
fn what_is_meant_for_the_program_is_quoted_from_the_shell() {
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or(line));
    for line in lines.filter(|line| line.starts_with("quorumark ")) {
        assert_eq!(for_the_shell(line), None, "{line}");
    }
    for command in ["run", "sweep", "slo", "tune", "compare", "baseline", "sim", "report"] {
        let help = Program::new().run(&[command, "--help"]).done().stdout;
        let examples = help.lines().map(str::trim).filter(|line| line.starts_with("quorumark "));
        // What an example is for may stand behind it.
        for line in examples.map(|line| line.split("   ").next().unwrap_or(line)) {
            assert_eq!(for_the_shell(line), None, "{line}");
        }
    }
    assert_eq!(for_the_shell("quorumark tune --subject-to p99<=20ms"), Some('<'));
}
