//! `man`: manual pages, made from the same text as `--help`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use quorumark_harness::parameter::suggestion;

use crate::args::Cli;
use crate::exit::Exit;
use crate::input;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark man                          the page of quorumark
  quorumark man merkle root              the page of one command; read it by `| man -l -`
  quorumark man --out share/man/man1     every page, into a folder that is made when it is missing")]
pub(crate) struct ManArgs {
    /// The command, such as `run` or `merkle root` [default: quorumark itself].
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints one page, or writes all of them.
pub(crate) fn man(args: &ManArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let root = named(Cli::command());
    match &args.out {
        None => terminal.print(&String::from_utf8_lossy(&page(find(root, &args.command)?)?))?,
        Some(folder) => {
            let mut count = 0;
            fs::create_dir_all(folder).map_err(|error| cannot_be_written(folder, &error))?;
            write_all(&root, folder, &mut count)?;
            terminal.note(&format!("{count} pages: {}", folder.display()));
        }
    }
    Ok(Exit::Done)
}

/// Names every command below as it is typed, `quorumark merkle root`, and as its page is called,
/// `quorumark-merkle-root`.
fn named(command: Command) -> Command {
    let above = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    command.disable_help_subcommand(true).mut_subcommands(|inner| {
        let typed = format!("{above} {}", inner.get_name());
        named(inner.display_name(typed.replace(' ', "-")).bin_name(typed))
    })
}

fn find(root: Command, words: &[String]) -> Result<Command, Refused> {
    words.iter().try_fold(root, |command, word| {
        let names = || command.get_subcommands().map(Command::get_name);
        command.find_subcommand(word).cloned().ok_or_else(|| {
            let remedy = match suggestion(word, names()) {
                Some(near) => format!("did you mean {near}?"),
                None => "`quorumark --help` names them".to_owned(),
            };
            Refused::new(word, "no such command", remedy)
        })
    })
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).manual("quorumark").render(&mut page)?;
    Ok(page)
}

fn write_all(command: &Command, folder: &Path, count: &mut usize) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = folder.join(format!("{name}.1"));
    fs::write(&path, page(command.clone())?).map_err(|error| cannot_be_written(&path, &error))?;
    *count += 1;
    command.get_subcommands().try_for_each(|inner| write_all(inner, folder, count))
}

fn cannot_be_written(path: &Path, error: &std::io::Error) -> Refused {
    let problem = format!("cannot be written: {}", input::system_words(error));
    Refused::new(path.display(), problem, "choose another with --out")
}
