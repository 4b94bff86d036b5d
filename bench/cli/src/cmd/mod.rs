//! The commands, one file each.

pub(crate) mod baseline;
mod brief;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod decode;
pub(crate) mod doctor;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod merkle;
pub(crate) mod mine;
pub(crate) mod predict;
pub(crate) mod profile;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod sim;
pub(crate) mod slo;
pub(crate) mod sweep;
pub(crate) mod tour;
pub(crate) mod tune;
pub(crate) mod verify;

use crate::args::{Command, Invocation};
use crate::exit::Exit;
use crate::terminal::Terminal;

/// Does what was asked for.
///
/// # Errors
/// Whatever the command says; [`crate::exit`] gives it a line and a code.
pub(crate) fn dispatch(invocation: Invocation) -> anyhow::Result<Exit> {
    let cli = match invocation {
        Invocation::Command(cli) => *cli,
        // clap writes help to standard output, and heeds NO_COLOR there.
        Invocation::Help(help) => {
            help.print()?;
            return Ok(Exit::Done);
        }
    };
    let terminal = Terminal::new(&cli.terminal);
    match cli.command {
        None => tour::tour(&cli.tour, &terminal),
        Some(Command::Run(args)) => run::run(&args, &terminal),
        Some(Command::Compare(args)) => compare::compare(&args, &terminal),
        Some(Command::Sweep(args)) => sweep::sweep(&args, &terminal),
        Some(Command::Slo(args)) => slo::slo(&args, &terminal),
        Some(Command::Tune(args)) => tune::tune(&args, &terminal),
        Some(Command::Baseline(args)) => baseline::baseline(&args, &terminal),
        Some(Command::Profile(args)) => profile::profile(&args, &terminal),
        Some(Command::Calibrate(args)) => calibrate::calibrate(&args, &terminal),
        Some(Command::Predict(args)) => predict::predict(&args, &terminal),
        Some(Command::List(args)) => list::list(&args, &terminal),
        Some(Command::Doctor(args)) => doctor::doctor(&args, &terminal),
        Some(Command::Verify(args)) => verify::verify(&args, &terminal),
        Some(Command::Mine(args)) => mine::mine(&args, &terminal),
        Some(Command::Merkle(args)) => merkle::merkle(&args, &terminal),
        Some(Command::Check(args)) => check::check(&args, &terminal),
        Some(Command::Report(args)) => report::report(&args, &terminal),
        Some(Command::Sim(args)) => sim::sim(&args, &terminal),
        Some(Command::Decode(args)) => decode::decode(&args, &terminal),
        Some(Command::Config(args)) => config::config(&args, &terminal),
        Some(Command::Schema(args)) => schema::schema(&args, &terminal),
        Some(Command::Man(args)) => man::man(&args, &terminal),
        Some(Command::Completions(args)) => completions::completions(&args, &terminal),
    }
}
