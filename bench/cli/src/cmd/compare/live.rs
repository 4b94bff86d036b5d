//! Two settings, or two builds, of one scenario, measured now and in turn.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quorumark_harness::{Origin, ParameterSet, Scenario, pairs, run_arguments, scenario};
use quorumark_report::compare::noise::{Kind, NoiseFloors};
use quorumark_report::compare::{Request, Side, judge};
use quorumark_report::{Record, Verdict, units};

use super::{
    COMPARISON_FILE, CompareArgs, builds, judged, learn, metric, request, show, side_folder,
};
use crate::cmd::run::host;
use crate::exit::{self, Exit};
use crate::interrupt;
use crate::out::{OutFolder, default_path};
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Parameters that both sides must have alike: of them the pairs are made.
const COMMON: [&str; 1] = ["repeat"];

/// What is measured.
pub(super) struct Plan {
    pub(super) scenario: &'static dyn Scenario,
    /// What both sides have in common; the pairs are counted and ordered by it.
    pub(super) shared: ParameterSet,
    pub(super) sides: [Planned; 2],
}

/// One side.
pub(super) struct Planned {
    pub(super) label: String,
    pub(super) parameters: ParameterSet,
    /// Another build.
    pub(super) binary: Option<PathBuf>,
}

/// Measures `scenario` on both sides and compares.
pub(super) fn compare(
    args: &CompareArgs,
    scenario: &str,
    floors: NoiseFloors,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let plan = plan(args, scenario)?;
    // What is wrong with a name is told before anything is measured.
    let known = metric::of_spec(&plan.scenario.spec());
    metric::resolve(&args.metric, &known)?;
    args.threshold()?;
    let folder = match &args.out {
        Some(out) => OutFolder::named(out)?,
        None => {
            OutFolder::numbered(&default_path(&format!("compare-{}", plan.scenario.spec().name)))?
        }
    };
    let interrupt = interrupt::listen()?;
    exit::say_debug_build();
    terminal.note(&announcement(&plan));
    let progress = ProgressLine::or_lines(terminal, plan.scenario.spec().name);
    let records = match plan.sides.iter().any(|side| side.binary.is_some()) {
        true => builds::run(&plan, folder.path(), &progress)?,
        false => {
            let [a, b] = &plan.sides;
            let host = host(interrupt, &progress);
            let runs = pairs::run(plan.scenario, &a.parameters, &b.parameters, host)?;
            for (run, side) in runs.iter().zip(["a", "b"]) {
                run.write(&side_folder(folder.path(), side))?;
            }
            runs.map(|run| run.record)
        }
    };
    drop(progress);
    let exit = conclude(args, &plan, &records, floors, folder.path(), terminal)?;
    let failed = records.iter().any(|record| record.verdict == Verdict::Fail);
    Ok(if interrupt::interrupted() && !failed { Exit::Interrupted } else { exit })
}

/// Judges the records, keeps and prints what was found.
fn conclude(
    args: &CompareArgs,
    plan: &Plan,
    records: &[Record; 2],
    floors: NoiseFloors,
    folder: &Path,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let [a, b] = records;
    let kind = Kind::of(a, true);
    let known = metric::of_record(a);
    let one_program = plan.sides[0].binary == plan.sides[1].binary;
    let request = Request {
        interleaved: true,
        one_program,
        reproduce: reproduce(args, plan),
        ..request(args, &known, &floors, &kind)?
    };
    let labels = &plan.sides.each_ref().map(|side| side.label.as_str());
    let [a, b] = [(labels[0], a), (labels[1], b)].map(|(label, record)| Side { label, record });
    let found = match judged(a, b, &request)? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    let file = folder.join(COMPARISON_FILE);
    super::super::report::write(&file, &format!("{}\n", serde_json::to_string_pretty(&found)?))?;
    let exit = show(args, &found, records.each_ref(), terminal);
    terminal.note(&format!("records and comparison: {}", folder.display()));
    let exit = exit?;
    learn(floors, &found, &kind, terminal)?;
    Ok(exit)
}

fn plan(args: &CompareArgs, name: &str) -> anyhow::Result<Plan> {
    let scenario = scenario::find(name).map_err(|error| {
        let is_record = Path::new(name).exists();
        match is_record {
            true => {
                Refused::new(name, "is one record, and two are compared", "name the other").into()
            }
            false => anyhow::Error::from(error),
        }
    })?;
    let mut shared = args.settings.resolve(scenario)?;
    // Fewer pairs show nothing, so that is what is measured when nothing is said.
    shared.set("repeat", &judge::PAIRS_MIN.to_string(), Origin::Default)?;
    let side = |flag: &str, own: &[String], binary: Option<&Path>| {
        let mut parameters = shared.clone();
        for assignment in own {
            let name = assignment.split_once('=').map_or("", |(name, _)| name.trim());
            if COMMON.contains(&name) {
                let remedy = format!("write --{name} once for both");
                return Err(Refused::new(name, format!("is set by {flag} alone"), remedy).into());
            }
            parameters.assign(assignment, Origin::Flag(flag.to_owned()))?;
        }
        scenario.check(&parameters)?;
        let label = label(own, binary);
        let binary = binary.map(builds::program).transpose()?;
        Ok::<_, anyhow::Error>(Planned { label, parameters, binary })
    };
    let sides = [
        side("--a", &args.a, args.a_binary.as_deref())?,
        side("--b", &args.b, args.b_binary.as_deref())?,
    ];
    Ok(Plan { scenario, shared, sides })
}

/// What a side is called: what it alone has.
fn label(own: &[String], binary: Option<&Path>) -> String {
    let mut words: Vec<String> = binary.iter().map(|path| path.display().to_string()).collect();
    words.extend(own.iter().cloned());
    if words.is_empty() { "as both are set".to_owned() } else { words.join(" ") }
}

/// How long it will take at least.
fn announcement(plan: &Plan) -> String {
    let pairs = plan.shared.integer("repeat");
    let span = |side: &Planned| side.parameters.duration("duration");
    let measured: Duration = plan.sides.iter().map(span).sum();
    let whole = measured.as_nanos() as f64 * pairs as f64;
    format!(
        "{pairs} pairs of trials in turn, {} and what each trial takes to prepare; \
         shorter with --duration",
        units::duration_ns(whole)
    )
}

/// The command that repeats the comparison.
fn reproduce(args: &CompareArgs, plan: &Plan) -> String {
    let shared = run_arguments(plan.scenario.spec().name, &plan.shared);
    let mut command = format!("quorumark compare {}", shared[1..].join(" "));
    for (flag, own) in [("--a", &args.a), ("--b", &args.b)] {
        own.iter().for_each(|assignment| command.push_str(&format!(" {flag} {assignment}")));
    }
    for (flag, binary) in [("--a-binary", &args.a_binary), ("--b-binary", &args.b_binary)] {
        let binary = binary.as_ref().map(|path| format!(" {flag} {}", path.display()));
        command.push_str(&binary.unwrap_or_default());
    }
    command + &args.judging()
}
