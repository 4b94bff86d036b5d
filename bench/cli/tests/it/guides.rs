//! Every command of the guides: run here with less to do, or read by the program's own parser
//! (`src/guides.rs` does that with all of them). A command that no rule covers fails, and so does a
//! rule that covers none.
//!
//! What is shortened is stated here and nowhere hidden: times by [`SHORT`], and where a debug build
//! would take seconds for each run, the pipeline by a hash by [`LESS`].

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::compare::stored;
use crate::program::{Ended, Program, text};

#[path = "guides/blocks.rs"]
mod blocks;

use blocks::{Block, GUIDES, blocks};

/// Values of flags, wherever a command has them.
const SHORT: [(&str, &str); 3] =
    [("--duration", "2ms"), ("--budget", "1500ms"), ("--warmup", "0s")];

/// What a command that names no such flag takes: variables, as any user could set them.
const VARIABLES: [(&str, &str); 3] =
    [("QUORUMARK_DURATION", "2ms"), ("QUORUMARK_WARMUP", "0s"), ("QUORUMARK_REPEAT", "2")];

/// Words, and what stands in their place.
const LESS: [(&str, &str); 10] = [
    ("pbft/pipeline", "hash/sha256d"),
    ("--param batch_size_max=16,64,256", "--param size=64B,1KiB"),
    ("--param batch_size_max=1,8,64,512", "--param size=64B,1KiB"),
    ("--param verify_threads=1..N", "--param seed=1..2"),
    ("--param payload=16B,512B,4KiB", "--param seed=1..4"),
    (
        "--maximize throughput --subject-to 'p99<=20ms'",
        "--minimize cpu_ns_per_hash --param size=64B,1KiB",
    ),
    ("--a batch_size_max=256", "--a size=64B"),
    ("--b batch_size_max=8", "--b size=1KiB"),
    ("--metric cpu", "--metric cpu_ns_per_hash"),
    ("--difficulty 5", "--difficulty 3"),
];

/// What becomes of a command.
enum Rule {
    /// It is run, and ends with one of these.
    Run(&'static [i32]),
    /// It is parsed alone; why.
    Parsed(&'static str),
    /// It is no command of ours; where it is run.
    Elsewhere(&'static str),
}

use Rule::{Elsewhere, Parsed, Run};

/// Busy machines make measurements inconclusive.
const MEASURED: Rule = Run(&[0, 4]);
const DONE: Rule = Run(&[0]);

/// By what a command begins with; the first that fits counts.
const RULES: &[(&str, Rule)] = &[
    ("cargo run --release ", Elsewhere("the main job of the gate")),
    ("cargo run --profile profiling", Elsewhere("the same with symbols")),
    ("cargo test", Elsewhere("the gate")),
    ("cargo build --release", Elsewhere("the gate")),
    ("cargo bench", Elsewhere("the gate runs each suite in test mode")),
    ("QUORUMARK_BENCH=full cargo bench", Elsewhere("the nightly job")),
    ("export PATH", Elsewhere("the test has the program on its path")),
    ("quorumark run pbft/pipeline --duration 5s --out quorumark-runs/first", MEASURED),
    ("quorumark run pbft/pipeline --config tuned/tuned.toml", Run(&[0, 2, 4])),
    ("quorumark run signature/batch-verify", MEASURED),
    ("quorumark run ", Parsed("a debug build takes many seconds; tests/it/run.rs has its like")),
    ("quorumark doctor --limits", Parsed("takes seconds; tests/it/surface.rs runs it")),
    ("quorumark doctor --pace", Parsed("takes seconds")),
    ("quorumark doctor", MEASURED),
    ("quorumark list", DONE),
    ("quorumark verify", DONE),
    ("quorumark merkle", DONE),
    ("quorumark mine", DONE),
    ("quorumark check --help", DONE),
    ("quorumark config show", DONE),
    ("quorumark man", DONE),
    ("quorumark profile", Parsed("needs perf; tests/it/profile.rs runs it where there is one")),
    ("quorumark sim", Parsed("a hundred runs; tests/it/sim.rs has its like")),
    ("quorumark sweep pbft/pipeline --rate-ladder", Parsed("a kernel has no rate to offer")),
    ("quorumark sweep --merge", Parsed("the shards are measured and merged below")),
    ("quorumark sweep", MEASURED),
    ("quorumark tune", Run(&[0, 4])),
    ("quorumark slo", Parsed("a kernel has no rate to offer; tests/it/slo.rs runs it")),
    ("quorumark report slo", Parsed("tests/it/slo.rs runs it")),
    ("quorumark report quorumark-runs --export", MEASURED),
    ("quorumark report", DONE),
    ("quorumark baseline save main quorumark-runs/before", Parsed("the tutorial saves another")),
    ("quorumark baseline save", DONE),
    ("quorumark calibrate", Parsed("takes long; tests/it/calibrate.rs of the harness is shorter")),
    (
        "quorumark predict",
        Parsed("needs calibrated costs; tests/it/predict.rs runs it with others"),
    ),
    ("quorumark compare \"$@\"", Parsed("the script is run whole, below")),
    ("quorumark compare", MEASURED),
];

/// The rule of a command, and that it was used.
fn rule<'a>(command: &str, used: &RefCell<Vec<&'a str>>, rules: &'a [(&'a str, Rule)]) -> &'a Rule {
    let found = rules.iter().find(|(begin, _)| command.starts_with(begin.trim_end()));
    let (begin, rule) = found.unwrap_or_else(|| panic!("no rule covers: {command}"));
    used.borrow_mut().push(begin);
    rule
}

/// A folder in which `quorumark` is on the path, and the test data where the README has it.
fn shell() -> Program {
    let program = VARIABLES
        .iter()
        .fold(Program::new(), |program, (name, value)| program.variable(name, value));
    symlink(env!("CARGO_BIN_EXE_quorumark"), program.path("quorumark")).unwrap();
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core"), program.path("core"))
        .unwrap();
    program
}

/// Runs `script` by the shell, in the program's folder.
fn run(program: &Program, script: &str, arguments: &[&str]) -> Ended {
    let mut command: Command = program.shell(script);
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = program.path("");
    command.args(arguments).env("PATH", format!("{}:{path}", text(&folder)));
    Ended::of(command.output().unwrap())
}

/// The command as it is run here.
fn shortened(command: &str) -> String {
    let less = LESS.iter().fold(command.to_owned(), |text, (from, to)| text.replace(from, to));
    let words: Vec<&str> = less.split(' ').collect();
    let short = |place: usize| {
        let flag = words.get(place.checked_sub(1)?)?;
        SHORT.iter().find(|(name, _)| name == flag).map(|(_, value)| *value)
    };
    let words = words.iter().enumerate().map(|(place, word)| short(place).unwrap_or(word));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_command_of_the_guides_is_run_or_told_why_not() {
    // One folder for all: what one guide measures, the next one shows.
    let (used, program) = (RefCell::new(Vec::new()), shell());
    for (name, guide) in GUIDES {
        for block in blocks(guide).iter().filter(|block| !block.is_script()) {
            for command in block.commands() {
                match rule(&command, &used, RULES) {
                    Run(codes) => {
                        let ended = run(&program, &shortened(&command), &[]);
                        let code = ended.code.unwrap_or(-1);
                        assert!(codes.contains(&code), "{name}: {command}: {ended:?}");
                    }
                    Parsed(why) | Elsewhere(why) => assert!(!why.is_empty()),
                }
            }
        }
    }
    let scripts = GUIDES.iter().flat_map(|(_, guide)| blocks(guide)).filter(Block::is_script);
    for command in scripts.flat_map(|script| script.commands()) {
        if command.starts_with("quorumark ") {
            rule(&command, &used, RULES);
        }
    }
    let unused = RULES.iter().filter(|(begin, _)| !used.borrow().contains(begin));
    let unused: Vec<&str> = unused.map(|(begin, _)| *begin).collect();
    assert!(unused.is_empty(), "rules for what no guide has: {unused:?}");
}

/// The block of a guide that holds `text`.
fn script(text: &str) -> String {
    let all = GUIDES.iter().flat_map(|(_, guide)| blocks(guide));
    let found = all.into_iter().find(|block| block.is_script() && block.text.contains(text));
    found.unwrap_or_else(|| panic!("no script has {text}")).text.to_owned()
}

#[test]
fn the_script_for_a_ci_ends_with_1_where_there_is_a_regression_alone() {
    let program = stored();
    symlink(env!("CARGO_BIN_EXE_quorumark"), program.path("quorumark")).unwrap();
    let script = script("--fail-on-regression");
    for (b, code, said) in [
        ("alike", 0, "no regression"),
        ("slower", 1, "regression: comparison.md says"),
        ("restless", 0, "inconclusive"),
        ("nowhere", 2, "failed, with exit code 2"),
    ] {
        let ended = run(&program, &script, &["steady", b]);
        assert_eq!(ended.code, Some(code), "{b}: {ended:?}");
        assert!(ended.stdout.contains(said), "{b}: {ended:?}");
    }
    let markdown = fs::read_to_string(program.path("comparison.md")).unwrap();
    assert!(markdown.contains("inconclusive") && program.path("comparison.html").exists());
}

#[test]
fn the_shards_of_a_batch_scheduler_and_of_a_cluster_merge_to_one_sweep() {
    let program = shell();
    let slurm = shortened(&script("SLURM_ARRAY_TASK_ID"));
    let job = blocks::kubernetes(GUIDES[1].1).expect("the tutorial has a job");
    let job = shortened(job);
    for shard in 1..=8 {
        let (variable, script) = match shard % 2 {
            0 => (format!("SLURM_ARRAY_TASK_ID={shard}"), &slurm),
            _ => (format!("JOB_COMPLETION_INDEX={}", shard - 1), &job),
        };
        // Inconclusive points have results, so a busy machine does not keep a shard from its end.
        run(&program, &format!("{variable}\n{script}"), &[]).done();
    }
    let typed = blocks(GUIDES[1].1);
    let merge = typed.iter().flat_map(Block::commands).find(|command| command.contains("--merge"));
    let ended = run(&program, &merge.expect("the tutorial merges"), &[]).done();
    let point = |line: &&str| ["64B", "1KiB"].iter().any(|s| line.trim_start().starts_with(s));
    assert_eq!(ended.stdout.lines().filter(point).count(), 8, "{ended:?}");
    assert!(program.path("whole.html").exists());
}
