//! `slo`: the highest offered rate that holds an objective.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use quorumark_harness::scenario::Control;
use quorumark_harness::slo::{Found, Ladder, Objective, Reading};
use quorumark_harness::tune::{self, FRONT, Live};
use quorumark_harness::{Origin, ParameterSet, RunError, Scenario, run_arguments, scenario};
use quorumark_report::units;
use serde_json::{Value, json};

use super::brief::{Spans, unsafe_trial};
use super::report::write;
use super::tune::duration;
use crate::exit::{self, Exit};
use crate::interrupt;
use crate::out::{OutFolder, default_path};
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;

/// What stands below the flags of `slo`.
const AFTER_HELP: &str = "\
Rates are offered in an open loop, whatever waits, and p99 counts from when a request was meant to
be sent. The rate that is told was confirmed: its upper bound of p99 (95 %) is within the objective.
A rate that was not offered or not served does not hold. METHODOLOGY.md tells how it decides.

Examples:
  quorumark slo pbft/pipeline --p99 20ms
  quorumark slo pbft/pipeline --p99 5ms --budget 1m --set transport=tcp

Exit codes: 0 a rate holds; 4 the machine, or the budget, left it open; 5 even the lowest rate does not
hold; 10 a trial was unsafe; 130 interrupted, what is known so far is told.";

/// The parameter that is searched.
const RATE: &str = "rate";
/// The file that holds every trial, inside the command's folder.
pub(super) const SLO_FILE: &str = "slo.json";
/// How long a trial is.
const SPANS: Spans = Spans {
    count: 100,
    range: (Duration::from_millis(100), Duration::from_secs(5)),
    warmup_part: 4,
};
/// Requests of one trial: p99 is told from a thousand on.
const REQUESTS: f64 = 1_200.0;
/// The share of what a closed loop reaches that is offered first.
const FIRST_SHARE: f64 = 0.5;

/// Arguments of `slo`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct SloArgs {
    /// What to measure, such as pbft/pipeline.
    scenario: String,
    /// The 99th percentile of the response time that has to be kept, such as 5ms.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    p99: String,
    /// The lowest rate that is offered.
    #[arg(long, value_name = "RATE", default_value = "100", allow_hyphen_values = true)]
    rate_min: String,
    /// How long it may take.
    #[arg(long, value_name = "TIME", default_value = "2m", allow_hyphen_values = true)]
    budget: String,
    /// Folder for the record [default: a new one under quorumark-runs].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print what was found as one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// Searches, keeps a record, prints what was found.
pub(crate) fn slo(args: &SloArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let scenario = scenario::find(&args.scenario)?;
    let mut shared = args.settings.resolve(scenario)?;
    let (mut objective, span) = objective(args, scenario, &mut shared)?;
    let folder = match &args.out {
        Some(out) => OutFolder::named(out)?,
        None => OutFolder::numbered(&default_path(&format!("slo-{}", args.scenario)))?,
    };
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    let progress = ProgressLine::new(terminal, scenario.spec().name);
    let loads = progress.loads();
    let control = Control { interrupt, progress: &loads };
    let mut trials = Trials { scenario, shared: &shared, span, control, count: 0 };
    progress.doing("what the system can do, in a closed loop");
    let started = Instant::now();
    objective.rate_first = match trials.capacity()? {
        Ok(reached) => (reached * FIRST_SHARE).max(objective.rate_min),
        Err(violation) => return Ok(unsafe_trial(&violation)),
    };
    let taken = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    objective.budget_ns = objective.budget_ns.saturating_sub(taken);
    let mut ladder = Ladder::new(objective);
    while let Some(rate) = ladder.next_rate().filter(|_| !interrupt::interrupted()) {
        progress.doing(&format!("offering {}/s", units::count(rate)));
        let began = Instant::now();
        match trials.at(rate) {
            Ok(Ok(reading)) => ladder.tell(reading, began.elapsed()),
            Ok(Err(violation)) => return Ok(unsafe_trial(&violation)),
            Err(_) if interrupt::interrupted() => break,
            Err(error) => return Err(error.into()),
        }
    }
    drop(progress);
    let reproduce = reproduce(args, scenario, &shared);
    let document = document(args, &ladder, &objective, &reproduce);
    write(&folder.path().join(SLO_FILE), &format!("{document:#}\n"))?;
    let printed = match args.json {
        true => terminal.print_json(&document),
        false => terminal.print(&text(args, &ladder, terminal, &reproduce)),
    };
    terminal.note(&format!("record: {}", folder.path().join(SLO_FILE).display()));
    printed?;
    Ok(match ladder.found() {
        _ if interrupt::interrupted() => Exit::Interrupted,
        Found::Holds { .. } => Exit::Done,
        Found::Unmet => Exit::Unmet,
        Found::Open => Exit::Inconclusive,
    })
}

/// What is looked for, the first rate aside, and how long a trial is.
fn objective(
    args: &SloArgs,
    scenario: &dyn Scenario,
    shared: &mut ParameterSet,
) -> anyhow::Result<(Objective, Duration)> {
    let name = scenario.spec().name;
    if !shared.contains(RATE) {
        let problem = format!("{name} has no {RATE}");
        return Err(Refused::new("slo", problem, "name a pipeline, such as pbft/pipeline").into());
    }
    for (parameter, remedy) in [
        (RATE, "leave it out, or start at another one with --rate-min"),
        ("repeat", "leave it out, or raise --budget"),
    ] {
        if let Some(flag) = args.settings.flag_that_sets(parameter) {
            let problem = format!("sets {parameter}, which is searched");
            return Err(Refused::new(flag, problem, remedy).into());
        }
    }
    let mut probe = shared.clone();
    probe.set(RATE, &args.rate_min, Origin::Flag("--rate-min".to_owned()))?;
    let rate_min = probe.rate(RATE);
    if rate_min <= 0.0 {
        let remedy = "choose one above 0, such as 100";
        return Err(Refused::new("--rate-min", "is no rate", remedy).into());
    }
    let p99_ns = duration("--p99", &args.p99)?.as_nanos() as f64;
    let budget = duration("--budget", &args.budget)?;
    let span = SPANS.of(budget, &args.settings, shared)?;
    let budget_ns = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
    Ok((Objective { p99_ns, rate_min, rate_first: rate_min, budget_ns }, span))
}

/// Trials of one scenario, each with a seed of its own.
struct Trials<'a> {
    scenario: &'static dyn Scenario,
    shared: &'a ParameterSet,
    span: Duration,
    control: Control<'a>,
    count: u64,
}

impl Trials<'_> {
    /// What a closed loop reaches a second; 0 where that was disturbed. A violation is the inner
    /// error.
    fn capacity(&mut self) -> Result<Result<f64, String>, RunError> {
        let reading = self.measure(0.0, self.span)?;
        Ok(reading.map(|reading| match reading {
            tune::Reading::Figures(metrics) => metrics.get(FRONT[0]).unwrap_or(0.0),
            _ => 0.0,
        }))
    }

    /// One trial of an open loop.
    fn at(&mut self, rate: f64) -> Result<Result<Reading, String>, RunError> {
        let enough = Duration::from_secs_f64(REQUESTS / rate);
        let reading = self.measure(rate, self.span.max(enough))?;
        Ok(reading.map(|reading| match reading {
            tune::Reading::Figures(metrics) => {
                metrics.get(FRONT[1]).map_or(Reading::Disturbed, Reading::P99Ns)
            }
            tune::Reading::Refused(_) => Reading::Void,
            tune::Reading::Disturbed(_) => Reading::Disturbed,
        }))
    }

    fn measure(
        &mut self,
        rate: f64,
        span: Duration,
    ) -> Result<Result<tune::Reading, String>, RunError> {
        let mut parameters = self.shared.clone();
        let text = quorumark_harness::parameter::Value::Rate(rate).to_string();
        parameters.set(RATE, &text, Origin::Flag("--rate".to_owned()))?;
        let seed = parameters.integer("seed").wrapping_add(self.count);
        self.count += 1;
        let kept = FRONT.map(str::to_owned);
        let of = (span, seed);
        Ok(match tune::measure(self.scenario, &parameters, of, &kept, &self.control)? {
            Live::Sample(sample) => Ok(sample.reading),
            Live::Unsafe(violation) => Err(violation),
        })
    }
}

fn sentence(args: &SloArgs, found: Found) -> String {
    let time = |ns: f64| units::duration_ns(ns);
    match found {
        Found::Holds { rate, p99_ns_bound, failed_rate } => {
            let next = match failed_rate {
                Some(failed) => format!("{}/s did not", units::count(failed)),
                None => "no rate that was offered did not".to_owned(),
            };
            let (rate, bound) = (units::count(rate), time(p99_ns_bound));
            format!("{rate}/s holds p99 <= {}: p99 is at most {bound} (95 %); {next}", args.p99)
        }
        Found::Unmet => format!("even {}/s does not hold p99 <= {}", args.rate_min, args.p99),
        Found::Open => {
            "no rate could be confirmed: the machine was disturbed, or --budget spent".to_owned()
        }
    }
}

fn text(args: &SloArgs, ladder: &Ladder, terminal: &Terminal, reproduce: &str) -> String {
    let trials: usize = ladder.steps().iter().map(|step| step.readings.len()).sum();
    let spent = units::duration_ns(ladder.spent().as_nanos() as f64);
    format!(
        "{}: {}\n{trials} trials at {} rates in {spent}\nreproduce: {reproduce}\n",
        terminal.bold(&args.scenario),
        sentence(args, ladder.found()),
        ladder.steps().len()
    )
}

fn document(args: &SloArgs, ladder: &Ladder, objective: &Objective, reproduce: &str) -> Value {
    json!({
        "schema_version": 1,
        "scenario": args.scenario,
        "objective": objective,
        "result": ladder.found(),
        "sentence": sentence(args, ladder.found()),
        "steps": ladder.steps(),
        "spent_ns": u64::try_from(ladder.spent().as_nanos()).unwrap_or(u64::MAX),
        "interrupted": interrupt::interrupted(),
        "reproduce": reproduce,
    })
}

fn reproduce(args: &SloArgs, scenario: &dyn Scenario, shared: &ParameterSet) -> String {
    let shared = run_arguments(scenario.spec().name, shared);
    let (p99, rate_min, budget) = (&args.p99, &args.rate_min, &args.budget);
    let shared = shared[1..].join(" ");
    format!("quorumark slo {shared} --p99 {p99} --rate-min {rate_min} --budget {budget}")
}
