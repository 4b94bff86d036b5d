//! The two streams, as the user wants them: colour, width, silence.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anyhow::Context;
use clap::{Args, ValueEnum};
use quorumark_harness::streams::stdout_was_closed;
use quorumark_report::terminal::Style;

use crate::exit::say;

/// Columns of a stream that is no terminal: wide enough that no name is cut.
const UNLIMITED_COLUMNS: usize = 500;
/// Columns of a terminal that does not tell.
const USUAL_COLUMNS: usize = 100;

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct TerminalArgs {
    /// Say nothing on standard error but errors.
    #[arg(long, short, global = true, help_heading = "Output")]
    quiet: bool,
    /// Draw no progress line; what begins is said in lines, as where there is no terminal.
    #[arg(long, global = true, help_heading = "Output")]
    no_progress: bool,
    /// Whether to use colour; `auto` heeds NO_COLOR and CLICOLOR_FORCE.
    #[arg(long, global = true, help_heading = "Output", value_name = "WHEN")]
    #[arg(env = "QUORUMARK_COLOR", hide_env = true, default_value = "auto")]
    color: Color,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// Where output goes, and in what dress.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    style: Style,
    quiet: bool,
    progress: bool,
}

impl Terminal {
    /// As the flags, the environment and the streams have it.
    pub(crate) fn new(args: &TerminalArgs) -> Terminal {
        let on_terminal = io::stdout().is_terminal();
        let colour = match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => automatic_colour(|name| env::var(name).ok(), on_terminal),
        };
        let width = if on_terminal { columns(io::stdout()) } else { UNLIMITED_COLUMNS };
        let can_draw = io::stderr().is_terminal() && !is_dumb(|name| env::var(name).ok());
        Terminal {
            style: Style { width, colour },
            quiet: args.quiet,
            progress: can_draw && !args.quiet && !args.no_progress,
        }
    }

    /// How records are laid out.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Whether a progress line may be drawn.
    pub(crate) fn progress(&self) -> bool {
        self.progress
    }

    /// Whether remarks are said.
    pub(crate) fn talks(&self) -> bool {
        !self.quiet
    }

    /// Data: to standard output, at once.
    ///
    /// # Errors
    /// One that says which stream it was, with the system's cause below.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        let written = match stdout_was_closed() {
            true => Err(io::Error::other("it is closed")),
            false => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
        };
        written.context("standard output cannot be written")
    }

    /// The one JSON document of a command.
    ///
    /// # Errors
    /// As [`Terminal::print`].
    pub(crate) fn print_json(&self, document: &serde_json::Value) -> anyhow::Result<()> {
        self.print(&format!("{document:#}\n"))
    }

    /// A remark beside the data: to standard error, unless silence was asked for.
    pub(crate) fn note(&self, line: &str) {
        if self.talks() {
            say(line);
        }
    }

    /// `text` in bold, where colour is on.
    pub(crate) fn bold(&self, text: &str) -> String {
        if self.style.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Names and values, aligned, one pair a line.
    pub(crate) fn pairs<V: AsRef<str>>(&self, pairs: &[(&str, V)]) -> String {
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let line = |(name, value): &(&str, V)| {
            let padding = " ".repeat(width - name.len());
            format!("{}{padding}  {}\n", self.bold(name), value.as_ref())
        };
        pairs.iter().map(line).collect()
    }
}

/// Columns of the terminal that a stream goes to.
pub(crate) fn columns(stream: impl AsFd) -> usize {
    let size = terminal_size::terminal_size_of(stream);
    let columns = size.map(|(columns, _)| usize::from(columns.0));
    // Some that were never shown say 0.
    columns.filter(|columns| *columns > 0).unwrap_or(USUAL_COLUMNS)
}

/// NO_COLOR (no-color.org), then CLICOLOR_FORCE (bixense.com/clicolors), then the stream.
fn automatic_colour(variable: impl Fn(&str) -> Option<String>, on_terminal: bool) -> bool {
    if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return false;
    }
    let forced = variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    forced || (on_terminal && !is_dumb(variable))
}

fn is_dumb(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("TERM").is_some_and(|kind| kind == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(variables: &[(&str, &str)], on_terminal: bool) -> bool {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        automatic_colour(|name| find(name).map(|(_, value)| (*value).to_owned()), on_terminal)
    }

    #[test]
    fn colour_follows_the_stream_unless_the_environment_says_otherwise() {
        assert!(colour(&[], true) && !colour(&[], false));
        assert!(!colour(&[("NO_COLOR", "1")], true) && colour(&[("NO_COLOR", "")], true));
        assert!(colour(&[("CLICOLOR_FORCE", "1")], false));
        assert!(!colour(&[("CLICOLOR_FORCE", "0")], false));
        assert!(!colour(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
        assert!(!colour(&[("TERM", "dumb")], true));
    }
}
