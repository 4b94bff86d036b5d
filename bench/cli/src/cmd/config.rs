//! `config`: what a run would use, and where each value comes from.

use std::env;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, Subcommand};
use quorumark_harness::parameter::Setting;
use quorumark_harness::{Origin, RUNS_DIRECTORY, scenario};
use quorumark_report::table::Table;
use serde_json::{Value, json};

use crate::args::Cli;
use crate::exit::Exit;
use crate::refused::Refused;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;

/// What stands below the flags of `config show`.
const AFTER_HELP: &str = "\
Examples:
  quorumark config show pbft/pipeline --origin
  quorumark config show pbft/pipeline --origin --replicas 7 --set auth=mac
  quorumark config show

The first of these counts: a flag, a variable (QUORUMARK_ and the parameter's name in capitals), the
scenario's table in quorumark.toml, a line of that file for all scenarios, the default.
Names that do not exist are refused wherever they stand.";

/// Arguments of `config`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = false)]
#[command(after_help = "Examples:\n  quorumark config show merkle/root --origin")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
enum Action {
    /// Show every setting that a run would use
    Show(ShowArgs),
}

/// Arguments of `config show`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
struct ShowArgs {
    /// The scenario that would be run; without one, the tool's own settings alone.
    scenario: Option<String>,
    #[command(flatten)]
    settings: SettingArgs,
    /// Folder for the record, as `run` takes it.
    #[arg(long, value_name = "DIR", env = "QUORUMARK_OUT", hide_env = true)]
    out: Option<PathBuf>,
    /// Tell of each value where it comes from.
    #[arg(long)]
    origin: bool,
    /// Print one JSON document, origins included.
    #[arg(long)]
    json: bool,
}

/// One setting as it is shown.
#[derive(Clone)]
struct Shown {
    name: String,
    value: Value,
    text: String,
    unit: &'static str,
    origin: Origin,
}

/// Shows the settings.
pub(crate) fn config(args: &ConfigArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let Action::Show(args) = &args.action;
    let parameters = match &args.scenario {
        Some(name) => {
            let set = args.settings.resolve(scenario::find(name)?)?;
            set.iter().map(parameter).collect()
        }
        None => {
            if let Some(flag) = args.settings.first_given() {
                let remedy = "name one, such as `config show pbft/pipeline`";
                return Err(Refused::new(flag, "sets a parameter of a scenario", remedy).into());
            }
            args.settings.check_names()?;
            Vec::new()
        }
    };
    let own = own(args)?;
    if args.json {
        terminal.print_json(&json!({
            "scenario": args.scenario,
            "parameters": parameters.iter().map(to_json).collect::<Vec<_>>(),
            "tool": own.iter().map(to_json).collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::Done);
    }
    let table = table(&[parameters, own].concat(), args.origin);
    terminal.print(&(table.to_text(terminal.style().width).join("\n") + "\n"))?;
    Ok(Exit::Done)
}

fn parameter(setting: &Setting) -> Shown {
    Shown {
        name: setting.parameter.name.to_owned(),
        value: setting.value.to_json(),
        text: setting.value.to_string(),
        unit: setting.parameter.unit,
        origin: setting.origin.clone(),
    }
}

/// The settings of the tool that are no parameters: whatever is run, they are the same.
fn own(args: &ShowArgs) -> anyhow::Result<Vec<Shown>> {
    let mut matches = Cli::command().try_get_matches_from(env::args_os())?;
    while let Some((_, inner)) = matches.remove_subcommand() {
        matches = inner;
    }
    let file = args.settings.config_file();
    let out = args.out.as_ref().map(|out| out.display().to_string());
    let color: Option<String> = matches
        .get_raw("color")
        .and_then(|mut given| given.next())
        .map(|word| word.to_string_lossy().into_owned());
    let text = |name: &str, value: Option<String>, missing: &str| Shown {
        name: name.to_owned(),
        text: value.clone().unwrap_or_else(|| missing.to_owned()),
        value: value.into(),
        unit: "",
        origin: origin(&matches, name),
    };
    Ok(vec![
        text("config", file.map(|file| file.display().to_string()), "none"),
        text("out", out, &format!("a new folder under {RUNS_DIRECTORY}")),
        text("color", color, "auto"),
    ])
}

/// Where clap found the value of a flag that has a variable too.
fn origin(matches: &ArgMatches, name: &str) -> Origin {
    match matches.value_source(name) {
        Some(ValueSource::CommandLine) => Origin::Flag(format!("--{name}")),
        Some(ValueSource::EnvVariable) => {
            Origin::Environment(format!("QUORUMARK_{}", name.to_uppercase()))
        }
        _ => Origin::Default,
    }
}

fn table(settings: &[Shown], origins: bool) -> Table {
    let titles: &[&str] =
        if origins { &["setting", "value", "unit", "from"] } else { &["setting", "value", "unit"] };
    let mut table = Table::new(titles, &[]);
    for shown in settings {
        // Sizes, times and shares carry their unit.
        let unit = if ["bytes", "time", "share"].contains(&shown.unit) { "" } else { shown.unit };
        let cells = [shown.name.clone(), shown.text.clone(), unit.to_owned()];
        table.push(cells.into_iter().chain(origins.then(|| shown.origin.to_string())));
    }
    table
}

fn to_json(shown: &Shown) -> Value {
    let (kind, place) = match &shown.origin {
        Origin::Default => ("default", None),
        Origin::File(place) => ("file", Some(place)),
        Origin::Environment(name) => ("environment", Some(name)),
        Origin::Flag(flag) => ("flag", Some(flag)),
    };
    json!({
        "name": shown.name,
        "value": shown.value,
        "unit": shown.unit,
        "origin": { "kind": kind, "place": place },
    })
}
