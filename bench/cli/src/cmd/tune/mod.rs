//! `tune`: the settings that do best what is asked for.

mod goal;
mod show;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use quorumark_harness::environment::cores;
use quorumark_harness::scenario::Control;
use quorumark_harness::sweep::Axis;
use quorumark_harness::tune::{
    Ask, Dimension, FRONT, Header, JOURNAL_FILE, JOURNAL_VERSION, Journal, Live, Plan,
    SUMMARY_FILE, Search, Setup, Space, Stage, Summary, measure,
};
use quorumark_harness::{Origin, ParameterSet, RunError, Scenario, run_arguments, scenario};
use quorumark_report::units;

use super::brief::{Spans, unsafe_trial};
use super::report::write;
use crate::exit::{self, Exit};
use crate::interrupt;
use crate::out::{OutFolder, default_path};
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;
pub(super) use goal::duration;
pub(super) use show::{changed, sentence, word};

/// What stands below the flags of `tune`.
const AFTER_HELP: &str = "\
Setups spread over the space are measured shortly and halved, the best is refined beside its
neighbours, and what is found is held against the defaults in turn, on fresh seeds: the gain is told
with its interval, or that the defaults are within noise. All of it fits --budget.

The folder of --out holds tuned.toml (for `run --config`), tune.json (every point, the front of
throughput against p99, the confirmed gain) and the journal. The same command with the same --out
goes on where it was interrupted. METHODOLOGY.md tells how it decides.

Examples:
  quorumark tune pbft/pipeline --maximize throughput --subject-to 'p99<=20ms' --budget 3m
  quorumark tune pbft/pipeline --minimize cpu_us_per_tx --param 'batch_size_max=16..1024*2'
  quorumark tune pow/miner --maximize hashes_per_s --budget 30s --out tuned

Exit codes: 0 done, also when the budget is spent or the defaults are best; 4 no measurement counts;
5 nothing keeps the limits; 10 a setup was unsafe; 130 interrupted, the best so far is written.";

/// The file that `run --config` takes.
const TUNED_FILE: &str = "tuned.toml";

/// How long the longest measurement is. Its warm-up is half as long: a cluster's memory grows for two
/// windows, which takes a second here, and until then a run is dearer than it stays.
const SPANS: Spans =
    Spans { count: 120, range: (Duration::from_millis(4), Duration::from_secs(5)), warmup_part: 2 };

/// Arguments of `tune`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TuneArgs {
    /// What to tune, such as pbft/pipeline.
    scenario: String,
    /// The figure to make as large as it gets, such as throughput.
    #[arg(long, value_name = "METRIC", required_unless_present = "minimize")]
    #[arg(conflicts_with = "minimize")]
    maximize: Option<String>,
    /// The figure to make as small as it gets, such as cpu_us_per_tx.
    #[arg(long, value_name = "METRIC")]
    minimize: Option<String>,
    /// A limit to be kept, such as p99<=20ms. Repeatable.
    #[arg(long, value_name = "METRIC<=VALUE")]
    subject_to: Vec<String>,
    /// How long it may take, the confirmation included.
    #[arg(long, value_name = "TIME", default_value = "3m", allow_hyphen_values = true)]
    budget: String,
    /// A parameter and the values to choose from, instead of those that the scenario offers.
    /// Repeatable.
    #[arg(long, value_name = "NAME=VALUES")]
    param: Vec<String>,
    /// Folder for what is found; one that was begun is gone on with [default: a new one under
    /// quorumark-runs].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print what was found as one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// Searches, writes what was found, prints it.
pub(crate) fn tune(args: &TuneArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let scenario = scenario::find(&args.scenario)?;
    let mut shared = args.settings.resolve(scenario)?;
    let goal = goal::read(args, &scenario.spec())?;
    let plan = plan(args, &mut shared)?;
    let dimensions = dimensions(args, scenario, &shared)?;
    let space = space(scenario, &shared, dimensions.clone())?;
    let header = Header {
        schema_version: JOURNAL_VERSION,
        scenario: scenario.spec().name.to_owned(),
        shared: run_arguments(scenario.spec().name, &shared),
        dimensions,
        goal: goal.clone(),
        plan: plan.clone(),
    };
    let folder = folder(args, &header)?;
    let mut journal = Journal::open(&folder.path().join(JOURNAL_FILE), &header)?;
    let mut search = Search::new(space, goal, plan);
    let replayed = journal.replay(&mut search)?;
    if replayed > 0 {
        terminal.note(&format!("goes on after {replayed} measurements of the journal"));
    }
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let tuning = Tuning { scenario, shared: &shared, interrupt, terminal };
    let violation = tuning.run(&mut search, &mut journal)?;
    let reproduce = reproduce(args, &header);
    let summary = Summary::of(&search, header, reproduce, interrupt::interrupted());
    let toml = show::tuned(&summary, &shared);
    let kept = keep(folder.path(), &summary, toml.as_deref());
    let printed = match args.json {
        true => terminal.print_json(&serde_json::to_value(&summary)?),
        false => terminal.print(&show::text(&summary, terminal)),
    };
    terminal.note(&told_where(folder.path(), toml.is_some()));
    kept?;
    printed?;
    if let Some(violation) = violation {
        return Ok(unsafe_trial(&violation));
    }
    Ok(show::exit_of(&summary))
}

/// What measures for a search.
struct Tuning<'a> {
    scenario: &'static dyn Scenario,
    shared: &'a ParameterSet,
    interrupt: &'a AtomicBool,
    terminal: &'a Terminal,
}

impl Tuning<'_> {
    /// Measures whatever the search asks for, until it has no more questions, is interrupted, or
    /// safety was violated, which is then told.
    fn run(&self, search: &mut Search, journal: &mut Journal) -> anyhow::Result<Option<String>> {
        let mut kept: Vec<String> = search.goal().metrics().map(str::to_owned).collect();
        kept.extend([FRONT[0], FRONT[1], "cpu_us_per_tx", "cpu_share"].map(str::to_owned));
        kept.dedup();
        let progress = ProgressLine::new(self.terminal, self.scenario.spec().name);
        // A measurement is over before its phases are read.
        let loads = progress.loads();
        let control = Control { interrupt: self.interrupt, progress: &loads };
        let mut last = None;
        while let Some(ask) = search.next_ask().filter(|_| !control.interrupted()) {
            let stage = stage_words(ask.stage);
            if last.replace(stage) != Some(stage) && !self.terminal.progress() {
                self.terminal.note(stage);
            }
            progress.doing(&line(search, &ask));
            let mut parameters = self.shared.clone();
            for (name, value) in search.space().settings(&ask.setup) {
                parameters.set(name, value, Origin::Flag("--param".to_owned()))?;
            }
            journal.asked(search.space(), &ask)?;
            let of = (ask.span, ask.seed);
            match measure(self.scenario, &parameters, of, &kept, &control) {
                Ok(Live::Sample(sample)) => {
                    journal.told(&ask, &sample)?;
                    search.tell(sample);
                }
                Ok(Live::Unsafe(violation)) => {
                    let settings = search.space().settings(&ask.setup);
                    let settings: Vec<String> =
                        settings.map(|(name, value)| format!("{name}={value}")).collect();
                    return Ok(Some(format!("{violation} ({})", settings.join(" "))));
                }
                Err(RunError::Interrupted) => break,
                Err(_) if control.interrupted() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Reference => "measuring the defaults",
        Stage::Halving { .. } => "halving setups spread over the space",
        Stage::Refinement { .. } => "refining the best",
        Stage::Confirmation { .. } => "confirming on fresh seeds, in turn with the defaults",
    }
}

fn line(search: &Search, ask: &Ask) -> String {
    let spent = units::duration_ns(search.spent().as_nanos() as f64);
    // Few words: behind them comes the load, and a terminal has eighty columns.
    let stage = match ask.stage {
        Stage::Reference => "defaults",
        Stage::Halving { .. } => "halving",
        Stage::Refinement { .. } => "refining",
        Stage::Confirmation { .. } => "confirming",
    };
    format!("{stage}, measurement {}, {spent} spent", ask.number + 1)
}

/// The budget and the longest span; a warm-up that was not asked for is shortened to fit.
fn plan(args: &TuneArgs, shared: &mut ParameterSet) -> anyhow::Result<Plan> {
    if args.settings.flag_that_sets("repeat").is_some() {
        let problem = "has no meaning here: what is close is measured again by itself";
        return Err(Refused::new("--repeat", problem, "leave it out, or raise --budget").into());
    }
    let budget = duration("--budget", &args.budget)?;
    let span = SPANS.of(budget, &args.settings, shared)?;
    if span > budget {
        let problem = "is longer than the budget";
        return Err(Refused::new("--duration", problem, "shorten it, or raise --budget").into());
    }
    let ns = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    Ok(Plan { budget_ns: ns(budget), span_ns: ns(span), seed: shared.integer("seed") })
}

/// What the scenario offers and no flag sets, with the values of --param where it names them.
fn dimensions(
    args: &TuneArgs,
    scenario: &dyn Scenario,
    shared: &ParameterSet,
) -> anyhow::Result<Vec<Dimension>> {
    let mut asked: Vec<Axis> = Vec::new();
    for text in &args.param {
        let axis = Axis::parse(text, shared, cores())?;
        if let Some(flag) = args.settings.flag_that_sets(&axis.name) {
            let problem = format!("is tuned, and set by {flag}");
            return Err(Refused::new(&axis.name, problem, "keep one of them").into());
        }
        if asked.iter().any(|other| other.name == axis.name) {
            let remedy = "write its values in one --param";
            return Err(Refused::new(&axis.name, "stands twice", remedy).into());
        }
        asked.push(axis);
    }
    let mut dimensions = Vec::new();
    for tunable in scenario.tunables(shared)? {
        let own = asked.iter().position(|axis| axis.name == tunable.name);
        let values = own.map(|place| asked.remove(place).values).unwrap_or(tunable.values);
        if args.settings.flag_that_sets(tunable.name).is_none() {
            dimensions.push(Dimension::new(tunable.name, &values, shared)?);
        }
    }
    for axis in asked {
        dimensions.push(Dimension::new(&axis.name, &axis.values, shared)?);
    }
    if dimensions.is_empty() {
        let problem = "nothing of it is tuned by itself";
        return Err(Refused::new(scenario.spec().name, problem, "name a --param").into());
    }
    Ok(dimensions)
}

/// The combinations that the scenario takes.
fn space(
    scenario: &'static dyn Scenario,
    shared: &ParameterSet,
    dimensions: Vec<Dimension>,
) -> anyhow::Result<Space> {
    let (shared, all) = (shared.clone(), dimensions.clone());
    let rule = move |setup: &Setup| {
        let mut parameters = shared.clone();
        let mut pairs = all.iter().zip(&setup.0);
        let origin = || Origin::Flag("--param".to_owned());
        let set = pairs.all(|(d, at)| parameters.set(&d.name, &d.levels[*at], origin()).is_ok());
        set && scenario.check(&parameters).is_ok()
    };
    Ok(Space::new(dimensions, rule)?)
}

/// The folder: one that was begun, or one that holds nothing.
fn folder(args: &TuneArgs, header: &Header) -> anyhow::Result<OutFolder> {
    let Some(out) = &args.out else {
        return Ok(OutFolder::numbered(&default_path(&format!("tune-{}", header.scenario)))?);
    };
    let used = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if used && !out.join(JOURNAL_FILE).exists() {
        let problem = "is not empty and holds no tuning";
        return Err(Refused::new(out.display(), problem, "choose another --out").into());
    }
    Ok(OutFolder::named(out)?)
}

/// Writes what was found; a `tuned.toml` of an earlier end is gone where there is none now.
fn keep(folder: &Path, summary: &Summary, toml: Option<&str>) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(summary)? + "\n";
    write(&folder.join(SUMMARY_FILE), &text)?;
    let tuned = folder.join(TUNED_FILE);
    match toml {
        Some(text) => write(&tuned, text)?,
        None if tuned.exists() => std::fs::remove_file(&tuned)
            .with_context(|| format!("{} cannot be removed", tuned.display()))?,
        None => {}
    }
    Ok(())
}

fn told_where(folder: &Path, tuned: bool) -> String {
    let folder = folder.display();
    match tuned {
        true => format!("written: {folder}/{TUNED_FILE}, {folder}/{SUMMARY_FILE}"),
        false => format!("written: {folder}/{SUMMARY_FILE}; no {TUNED_FILE}"),
    }
}

/// The command that repeats it.
fn reproduce(args: &TuneArgs, header: &Header) -> String {
    let mut command = format!("quorumark tune {}", header.shared[1..].join(" "));
    command.push_str(&goal::arguments(args));
    args.param.iter().for_each(|param| command.push_str(&format!(" --param {param}")));
    command + &format!(" --budget {}", args.budget)
}
