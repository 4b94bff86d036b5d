//! `list`: what can be run.

use clap::Args;
use quorumark_harness::scenario::{self, COMMON_METRICS, MetricSpec};
use quorumark_harness::tune::Tunable;
use quorumark_harness::{Parameter, ParameterSet, Scenario, Spec};
use quorumark_report::table::Table;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::terminal::Terminal;

/// The most values of a parameter that are shown one by one.
const VALUES_SHOWN: usize = 6;

/// Arguments of `list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark list                    every scenario
  quorumark list pbft/pipeline      one's parameters, what `tune` searches of them, and its figures
  quorumark list --json")]
pub(crate) struct ListArgs {
    /// Show this scenario's parameters, and what it measures.
    scenario: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Names every scenario, or shows one with its parameters and figures. As JSON it is everything.
pub(crate) fn list(args: &ListArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let scenarios: Vec<&'static dyn Scenario> = match &args.scenario {
        Some(name) => vec![scenario::find(name)?],
        None => scenario::all(),
    };
    if args.json {
        let all: Result<Vec<Value>, _> = scenarios.iter().map(|one| to_json(*one)).collect();
        terminal.print_json(&json!({ "scenarios": all? }))?;
        return Ok(Exit::Done);
    }
    let text = match (&args.scenario, scenarios.as_slice()) {
        (Some(_), [one]) => {
            let (spec, tunables) = (one.spec(), tunables(*one)?);
            section(&spec, terminal)
                + &tuned(&spec, &tunables, terminal)
                + &metrics(&spec, terminal)
        }
        _ => names(&scenarios.iter().map(|one| one.spec()).collect::<Vec<_>>(), terminal),
    };
    terminal.print(&text)?;
    Ok(Exit::Done)
}

/// What `tune` searches by itself under the defaults.
fn tunables(scenario: &dyn Scenario) -> anyhow::Result<Vec<Tunable>> {
    Ok(scenario.tunables(&ParameterSet::new(scenario.spec().parameters))?)
}

/// The parameters that `tune` searches by itself, between which values, and what each does.
fn tuned(spec: &Spec, tunables: &[Tunable], terminal: &Terminal) -> String {
    if tunables.is_empty() {
        return "`tune` searches nothing of it by itself; name parameters with --param.\n\n"
            .to_owned();
    }
    let mut table = Table::new(&["searched by tune", "values", "effect"], &[]);
    for tunable in tunables {
        table.push([tunable.name, &range(&tunable.values), effect(spec, tunable)]);
    }
    format!("{}\n", indented(&table, terminal))
}

fn effect(spec: &Spec, tunable: &Tunable) -> &'static str {
    let found = spec.parameters.iter().find(|parameter| parameter.name == tunable.name);
    found.map_or("", |parameter| parameter.effect)
}

/// `16, 32 .. 1024`; all of them where they are few.
fn range(values: &[String]) -> String {
    match values {
        [first, second, _, .., last] if values.len() > VALUES_SHOWN => {
            format!("{first}, {second} .. {last}")
        }
        few => few.join(", "),
    }
}

fn names(specs: &[Spec], terminal: &Terminal) -> String {
    let mut table = Table::new(&["scenario", "what is timed"], &[]);
    specs.iter().for_each(|spec| table.push([spec.name, spec.description]));
    let lines = table.to_text(terminal.style().width);
    let more = "Parameters, defaults and figures of one: quorumark list SCENARIO\n";
    format!("{}\n\n{more}", lines.join("\n"))
}

fn section(spec: &Spec, terminal: &Terminal) -> String {
    let width = terminal.style().width;
    let fits = |table: &Table| table.to_text(usize::MAX).iter().all(|l| l.chars().count() < width);
    let table = Some(one_line_each(spec)).filter(fits).unwrap_or_else(|| two_lines_each(spec));
    let table = indented(&table, terminal);
    let set = "Set a parameter with --set NAME=VALUE, or by its variable QUORUMARK_NAME.";
    format!("{}: {}\n{table}\n{set}\n\n", terminal.bold(spec.name), spec.description)
}

fn one_line_each(spec: &Spec) -> Table {
    let mut table = Table::new(&["parameter", "default", "allowed", "effect"], &[]);
    for parameter in &spec.parameters {
        let Parameter { name, default, effect, .. } = parameter;
        table.push([*name, &default.to_string(), &allowed(parameter), effect]);
    }
    table
}

/// For a narrow terminal, which would cut a long line.
fn two_lines_each(spec: &Spec) -> Table {
    let mut table = Table::new(&["parameter", "default", "effect, and what is allowed"], &[]);
    for parameter in &spec.parameters {
        table.push([parameter.name, &parameter.default.to_string(), parameter.effect]);
        table.push(["", "", &allowed(parameter)]);
    }
    table
}

/// The range with its unit, where the values do not carry one.
fn allowed(parameter: &Parameter) -> String {
    match (parameter.allowed(), parameter.unit_beside_values()) {
        (allowed, "") => allowed,
        (allowed, unit) => format!("{allowed} {unit}"),
    }
}

fn metrics(spec: &Spec, terminal: &Terminal) -> String {
    let mut table = Table::new(&["figure", "meaning"], &[]);
    for metric in all_metrics(spec) {
        table.push([metric.name, metric.meaning]);
    }
    indented(&table, terminal)
}

fn all_metrics(spec: &Spec) -> impl Iterator<Item = &MetricSpec> {
    spec.metrics.iter().chain(&COMMON_METRICS)
}

fn indented(table: &Table, terminal: &Terminal) -> String {
    let lines = table.to_text(terminal.style().width.saturating_sub(2));
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

fn to_json(scenario: &dyn Scenario) -> anyhow::Result<Value> {
    let (spec, tunables) = (scenario.spec(), tunables(scenario)?);
    let parameter = |parameter: &Parameter| {
        json!({
            "name": parameter.name,
            "default": parameter.default.to_json(),
            "allowed": parameter.allowed(),
            "kind": parameter.kind.as_str(),
            "unit": parameter.unit,
            "effect": parameter.effect,
            "environment": parameter.environment_name(),
        })
    };
    let metric = |metric: &MetricSpec| json!({ "name": metric.name, "meaning": metric.meaning });
    let tunable = |tunable: &Tunable| {
        let effect = effect(&spec, tunable);
        json!({ "name": tunable.name, "values": tunable.values, "effect": effect })
    };
    Ok(json!({
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "tunables": tunables.iter().map(tunable).collect::<Vec<_>>(),
        "metrics": all_metrics(&spec).map(metric).collect::<Vec<_>>(),
    }))
}
