//! `completions`: a script that teaches a shell our commands.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark completions bash      into ~/.local/share/bash-completion/completions/quorumark
  quorumark completions zsh       into a folder of $fpath, as _quorumark
  quorumark completions fish      into ~/.config/fish/completions/quorumark.fish")]
pub(crate) struct CompletionArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub(crate) fn completions(args: &CompletionArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "quorumark", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
