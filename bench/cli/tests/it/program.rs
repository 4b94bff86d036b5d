//! The binary, run in a folder of its own with an environment of its own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Variables that would change what the binary does.
const FOREIGN_VARIABLES: [&str; 3] = ["NO_COLOR", "CLICOLOR_FORCE", "TERM"];

/// A working folder, from which the binary is run.
pub(crate) struct Program {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn new() -> Program {
        Program { folder: TempDir::new().unwrap(), variables: Vec::new() }
    }

    /// Puts a file into the folder.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Program {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Program {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.started(env!("CARGO_BIN_EXE_quorumark"), arguments)
    }

    /// A script for the shell, not yet started; what is added are its arguments.
    pub(crate) fn shell(&self, script: &str) -> Command {
        self.started("sh", &["-c", script, "script"])
    }

    fn started(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        let ours = std::env::vars().filter(|(name, _)| name.starts_with("QUORUMARK_"));
        ours.for_each(|(name, _)| {
            command.env_remove(name);
        });
        FOREIGN_VARIABLES.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// Runs to the end with `input` on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ended {
        let mut command = self.command(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_ref()).unwrap();
        Ended::of(child.wait_with_output().unwrap())
    }

    /// Presses Ctrl-C as soon as the program listens to it, which only a debug build announces.
    #[cfg(all(unix, debug_assertions))]
    pub(crate) fn run_interrupted(&self, arguments: &[&str]) -> Ended {
        use std::io::{BufRead, BufReader, Read};

        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        stderr.read_line(&mut said).unwrap();
        assert!(said.contains("DEBUG BUILD"), "{said}");
        let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        stderr.read_to_string(&mut said).unwrap();
        let ended = Ended::of(child.wait_with_output().unwrap());
        Ended { stderr: said, ..ended }
    }
}

impl Ended {
    pub(crate) fn of(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Exit code 0, or the test ends with all that was said.
    pub(crate) fn done(self) -> Ended {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Standard output as exactly one JSON document.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What stands on standard output behind `name`.
    pub(crate) fn value(&self, name: &str) -> &str {
        let line = self.stdout.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {self:?}")).trim()
    }
}

/// A real block of the test data.
pub(crate) fn block(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/testdata/bitcoin").join(name)
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
