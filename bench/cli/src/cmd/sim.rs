//! `sim`: scenarios of faults in the simulator.

use std::fs::File;
use std::io::BufWriter;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use quorumark_harness::environment::cores;
use quorumark_harness::parameter::suggestion;
use quorumark_harness::{RunError, provenance};
use quorumark_sim::check::Check;
use quorumark_sim::judge::{self, JOBS_MAX, Judged, Setting};
use quorumark_sim::scenario::{Deed, Lie, PHASES, ScenarioError, Template, schema};
use quorumark_sim::trace::LineWriter;
use quorumark_sim::verdict::Verdict;
use serde_json::{Value, json};

use crate::ALLOCATOR_NAME;
use crate::args::{whole, whole_within};
use crate::exit::{self, Exit};
use crate::input;
use crate::interrupt;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// The largest scenario that is read.
const SCENARIO_BYTES_MAX: u64 = 1 << 20;
/// The most seeds of one command.
const SEEDS_MAX: u64 = 1 << 24;

/// Arguments of `sim`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark sim --scenario core/sim/scenarios/leader-isolated-while-prepared.toml --seeds 0..100
  quorumark sim --list-faults

Exit codes: 0 the verdict is as expected; 4 inconclusive; 10 safety and 11 liveness violated;
12 panic; 14 a pass where a violation was expected, or too few operations.
130 interrupted: the seeds that were finished are told.
The first failing seed decides; the last line repeats it.")]
pub(crate) struct SimArgs {
    /// The scenario, as TOML; `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    scenario: Option<PathBuf>,
    /// The seed, instead of the scenario's.
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
    #[arg(conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Every seed from A on and below B.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// Seeds that run at once [default: one a core].
    #[arg(long, value_name = "N", value_parser = jobs, allow_negative_numbers = true)]
    jobs: Option<usize>,
    /// Write the verdict as one JSON document; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the trace of the one seed as JSON lines.
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    trace: Option<PathBuf>,
    /// End each run after so many events, as inconclusive.
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
    max_events: Option<u64>,
    #[command(flatten)]
    lists: Lists,
}

/// What there is to know about scenarios.
#[derive(Debug, Args)]
#[group(id = "list", multiple = false)]
struct Lists {
    /// List faults, behaviours and mutations.
    #[arg(long)]
    list_faults: bool,
    /// List checks.
    #[arg(long)]
    list_checks: bool,
    /// List moments of the protocol.
    #[arg(long)]
    list_phases: bool,
    /// Print the format of scenarios.
    #[arg(long)]
    print_schema: bool,
}

impl Lists {
    fn text(&self) -> Option<String> {
        if self.list_faults {
            let [deeds, lies, operations] =
                [Deed::TERMS, Lie::TERMS, quorumark_sim::scenario::Operation::TERMS]
                    .map(schema::print_terms);
            Some(format!(
                "do = .. in [[event]]\n{deeds}\nbehaviour = .. in [[byzantine]]\n{lies}\n\
                 op = .. of mutate\n{operations}"
            ))
        } else if self.list_checks {
            let line = |check: &Check| format!("{:<16} {:?}\n", check.word(), check.family());
            Some(Check::ALL.iter().map(line).collect())
        } else if self.list_phases {
            Some(schema::print_terms(PHASES))
        } else if self.print_schema {
            Some(schema::print_schema())
        } else {
            None
        }
    }
}

/// Runs a scenario, or lists what scenarios can say.
pub(crate) fn sim(args: &SimArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if let Some(text) = args.lists.text() {
        terminal.print(&text)?;
        return Ok(Exit::Done);
    }
    let path = args.scenario.as_deref().unwrap_or(Path::new("-"));
    let text = input::read_text(path, "a scenario as TOML", SCENARIO_BYTES_MAX)?;
    let template = Template::parse(&text, &input::place(path)).map_err(refusal)?;
    interrupt::listen()?;
    exit::say_debug_build();
    let seeds = match (&args.seeds, args.seed) {
        (Some(seeds), _) => seeds.clone(),
        (None, seed) => {
            let seed = seed.unwrap_or(template.seed());
            seed..seed.saturating_add(1)
        }
    };
    let setting = Setting {
        events_max: args.max_events.unwrap_or(u64::MAX),
        jobs: args.jobs.unwrap_or_else(|| cores() as usize),
        version: env!("CARGO_PKG_VERSION"),
        commit: provenance::capture(ALLOCATOR_NAME, env!("CARGO_PKG_VERSION")).commit,
    };
    let asked = seeds.end - seeds.start;
    let judged = match &args.trace {
        Some(out) => vec![traced(&template, seeds.start, &setting, out)?],
        None => judge::seeds_until(&template, seeds, &setting, interrupt::interrupted)
            .map_err(refusal)?,
    };
    report(&Told { judged: &judged, asked }, args, terminal)
}

/// The runs that there is to tell of.
struct Told<'a> {
    /// From the first seed on; fewer than were asked for after Ctrl-C.
    judged: &'a [Judged],
    /// How many seeds were asked for.
    asked: u64,
}

impl Told<'_> {
    fn interrupted(&self) -> bool {
        (self.judged.len() as u64) < self.asked
    }

    fn as_expected(&self) -> usize {
        self.judged.iter().filter(|one| one.verdict.exit_code() == 0).count()
    }

    /// The first that failed, or else the last.
    fn shown(&self) -> Option<&Judged> {
        let failed = self.judged.iter().find(|one| one.verdict.exit_code() != 0);
        failed.or(self.judged.last())
    }
}

/// One seed, with its trace written to a file.
fn traced(template: &Template, seed: u64, setting: &Setting, out: &Path) -> anyhow::Result<Judged> {
    let place = out.display().to_string();
    let cannot = |error: std::io::Error| {
        let problem = format!("cannot be written: {}", input::system_words(&error));
        Refused::new(&place, problem, "choose another with --trace")
    };
    let mut writer = LineWriter::new(BufWriter::new(File::create(out).map_err(cannot)?), true);
    let mut failed = None;
    let judged = judge::one(template, seed, setting, |event| {
        if failed.is_none() {
            failed = writer.write(event).err();
        }
    });
    let judged = judged.map_err(refusal)?;
    failed.map_or(Ok(()), Err).and_then(|()| writer.finish().map(drop)).map_err(cannot)?;
    Ok(judged)
}

/// Tells of the first run that failed, or of the last one.
fn report(told: &Told<'_>, args: &SimArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let Some(shown) = told.shown() else { return Err(RunError::Interrupted.into()) };
    let mut document = shown.verdict.json();
    if args.seeds.is_some() {
        let (run, asked) = (told.judged.len(), told.asked);
        document["seeds"] = json!({
            "asked": asked,
            "run": run,
            "as_expected": told.as_expected(),
            "interrupted": told.interrupted(),
        });
        document["runs"] = told.judged.iter().map(line).collect();
    }
    match &args.json {
        Some(path) if path.as_os_str() == "-" => terminal.print_json(&document)?,
        Some(path) => {
            std::fs::write(path, format!("{document:#}\n")).map_err(|error| {
                let problem = format!("cannot be written: {}", input::system_words(&error));
                Refused::new(path.display(), problem, "choose another with --json")
            })?;
            terminal.print(&text(told, shown, terminal))?;
        }
        None => terminal.print(&text(told, shown, terminal))?,
    }
    let exit = exit_of(&shown.verdict);
    if exit != Exit::Done {
        terminal.note(&format!("reproduce: {}", shown.verdict.reproduce()));
    }
    Ok(if exit == Exit::Done && told.interrupted() { Exit::Interrupted } else { exit })
}

/// One run of many, as JSON.
fn line(judged: &Judged) -> Value {
    let (verdict, summary) = (&judged.verdict, &judged.verdict.report.summary);
    json!({
        "seed": verdict.about.seed,
        "exit_code": verdict.exit_code(),
        "verdict": verdict.outcome.word(),
        "check": verdict.first_violation().map(|first| first.check.word()),
        "operations_answered": summary.answered,
        "views": summary.views,
        "transfers": summary.transfers,
        "trace_hash": verdict.about.trace_hash.to_string(),
    })
}

fn text(told: &Told<'_>, shown: &Judged, terminal: &Terminal) -> String {
    let Verdict { about, report, .. } = &shown.verdict;
    let summary = &report.summary;
    let decided: u64 = report.checks.iter().map(|(_, found)| found.evaluated).sum();
    let seconds = summary.simulated.0 as f64 / 1e9;
    let speed = seconds / about.wall.as_secs_f64().max(1e-9);
    let mut pairs = vec![
        ("scenario", format!("{}, seed {}", about.name, about.seed)),
        ("verdict", shown.verdict.sentence()),
        ("checks", format!("{decided} decisions")),
        ("answered", format!("{} of {} operations", summary.answered, summary.submitted)),
        (
            "protocol",
            format!(
                "{} commits, view {}, {} transfers, {} restarts",
                summary.commits, summary.views, summary.transfers, summary.restarts
            ),
        ),
        (
            "run",
            format!(
                "{} events, {} messages, {seconds:.3} s simulated, {speed:.0} times real time",
                summary.events, summary.messages
            ),
        ),
        ("trace hash", about.trace_hash.to_string()),
    ];
    if told.asked > 1 {
        let (run, well) = (told.judged.len(), told.as_expected());
        let run = match told.interrupted() {
            true => format!("{run} of {} run, then interrupted", told.asked),
            false => format!("{run} run"),
        };
        pairs.insert(0, ("seeds", format!("{run}, {well} as expected")));
    }
    terminal.pairs(&pairs)
}

fn exit_of(verdict: &Verdict) -> Exit {
    let exits = [Exit::Done, Exit::Inconclusive, Exit::Unsafe, Exit::Stuck, Exit::Panicked];
    let code = verdict.exit_code();
    exits.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Exit::Unexpected)
}

/// A scenario error as one line that says what was probably meant.
fn refusal(error: ScenarioError) -> Refused {
    if let ScenarioError::Unknown { place, name, what, known } = &error
        && let Some(near) = suggestion(name, known.iter().copied())
    {
        let place = format!("{}:{}", place.file, place.line);
        let problem = format!("{name}: no such {what}");
        return Refused::new(place, problem, format!("did you mean {near}?"));
    }
    Refused::sentence(error.to_string())
}

/// Reads how many seeds run at once.
fn jobs(text: &str) -> Result<usize, String> {
    let jobs = whole_within(text, 1, JOBS_MAX as u64)?;
    Ok(usize::try_from(jobs).expect("jobs are few"))
}

/// Reads `A..B`.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| {
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        (from < to && to - from <= SEEDS_MAX).then_some(from..to)
    });
    parsed.ok_or_else(|| "not a range of seeds such as 0..100".to_owned())
}
