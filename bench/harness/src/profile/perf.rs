//! Linux's `perf` as the sampler: a child that looks at this process by the kernel's software
//! clock, and is told over its standard input when to look.

use core::time::Duration;
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Instant;

use quorumark_report::Folded;

use super::{Backend, FREQUENCY_HZ, ProfileError, Sampling, names, script};

/// How long perf may take to write what it saw.
const END_MAX: Duration = Duration::from_secs(20);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes of what perf has to say that are read.
const SAID_MAX: u64 = 4096;

/// A running `perf record`.
pub(super) struct Perf {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: Scratch,
    /// Every thread that was seen when a span began or ended.
    threads: BTreeMap<u32, String>,
}

impl Perf {
    /// Starts perf and waits until it is ready. It is a process group of its own: Ctrl-C is for this
    /// program, which then ends perf and keeps what it saw.
    pub(super) fn attach() -> Result<Perf, ProfileError> {
        let folder = Scratch::make().map_err(|error| ProfileError::Perf(error.to_string()))?;
        let mut command = Command::new("perf");
        command
            .args(["record", "-q", "-N", "-e", "cpu-clock", "--call-graph", "fp"])
            .args(["-F", &FREQUENCY_HZ.to_string(), "-p", &std::process::id().to_string()])
            // Silent at first; orders on its standard input, answers on its standard output.
            .args(["-D", "-1", "--control", "fd:0,1", "-o"])
            .arg(folder.data())
            .process_group(0);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ProfileError::Perf("there is no program perf".to_owned()),
            _ => ProfileError::Perf(error.to_string()),
        })?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked to be pipes");
        };
        let answers = BufReader::new(answers);
        let mut perf = Perf { child, orders, answers, folder, threads: BTreeMap::new() };
        match perf.order("ping") {
            Ok(()) => Ok(perf),
            Err(_) => Err(ProfileError::Perf(perf.said())),
        }
    }

    /// Gives an order, and waits until it is carried out.
    fn order(&mut self, order: &str) -> Result<(), ProfileError> {
        let done = self.orders.write_all(format!("{order}\n").as_bytes());
        match done.and_then(|()| answered(&mut self.answers)) {
            Ok(()) => Ok(()),
            Err(_) => Err(ProfileError::Lost { backend: Backend::Perf, cause: self.said() }),
        }
    }

    /// Ends perf and returns the first line of what it had to say.
    fn said(&mut self) -> String {
        // It has ended or does not answer; both ways nothing more is wanted of it.
        let _ = self.child.kill();
        let mut text = String::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(SAID_MAX).read_to_string(&mut text);
        }
        let _ = self.child.wait();
        first_line(&text)
    }

    /// Waits until perf has written its file.
    fn ended(&mut self) -> Result<(), ProfileError> {
        let begun = Instant::now();
        while begun.elapsed() < END_MAX {
            match self.child.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => thread::sleep(LOOK),
                Err(_) => break,
            }
        }
        Err(ProfileError::Lost { backend: Backend::Perf, cause: self.said() })
    }
}

impl Sampling for Perf {
    fn resume(&mut self) -> Result<(), ProfileError> {
        self.order("enable")?;
        // Threads end with their trial; perf, silent when they began, has not heard their names. The
        // clients' may be gone when a span ends, others begin after it has begun.
        self.threads.append(&mut names::threads());
        Ok(())
    }

    fn pause(&mut self) -> Result<(), ProfileError> {
        self.threads.append(&mut names::threads());
        self.order("disable")
    }

    fn finish(mut self: Box<Self>) -> Result<Folded, ProfileError> {
        self.order("stop")?;
        self.ended()?;
        let lost = |cause: String| ProfileError::Lost { backend: Backend::Perf, cause };
        let printed = Command::new("perf")
            .args(["script", "-F", "tid,ip,sym", "--no-inline", "-i"])
            .arg(self.folder.data())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut printed = printed.map_err(|error| lost(error.to_string()))?;
        let Some(text) = printed.stdout.take() else { unreachable!("it was asked to be a pipe") };
        let folded = script::stacks(BufReader::new(text), &self.threads);
        let ended = printed.wait().map_err(|error| lost(error.to_string()))?;
        if !ended.success() {
            return Err(lost(format!("`perf script` ended with {ended}")));
        }
        folded.map_err(|error| lost(error.to_string()))
    }
}

impl Drop for Perf {
    fn drop(&mut self) {
        // One that has ended already cannot be killed again; that is no loss.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one answer: `ack`, between whatever perf puts around it.
fn answered(answers: &mut impl Read) -> io::Result<()> {
    let mut last = [0; 4];
    while &last != b"ack\n" {
        last.rotate_left(1);
        answers.read_exact(&mut last[3..])?;
    }
    Ok(())
}

/// The first line that says something.
fn first_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    let said = lines.find(|line| line.chars().any(char::is_alphabetic) && *line != "Error:");
    said.unwrap_or("it ended without a word").trim_end_matches('.').to_owned()
}

/// A folder for perf's file that nobody else can look into; gone with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> io::Result<Scratch> {
        let mut number = 0;
        loop {
            let name = format!("quorumark-profile-{}-{number}", std::process::id());
            let path = env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => {
                    number += 1;
                }
                made => return made.map(|()| Scratch(path)),
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.0.join("perf.data")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is the temporary folder's to clear.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_between_what_stands_around_it() {
        let mut answers = b"\0ack\nnoise ack\n".as_slice();
        assert!(answered(&mut answers).is_ok() && answered(&mut answers).is_ok());
        assert!(answered(&mut answers).is_err(), "nobody answers any more");
    }

    #[test]
    fn of_what_perf_says_the_first_sentence_is_told() {
        let text = "Error:\nAccess to performance monitoring is limited.\nConsider more\n";
        assert_eq!(first_line(text), "Access to performance monitoring is limited");
        assert_eq!(first_line("\n--\n"), "it ended without a word");
    }

    #[test]
    fn a_scratch_folder_is_gone_with_its_owner() {
        let scratch = Scratch::make().unwrap();
        fs::write(scratch.data(), "x").unwrap();
        let path = scratch.0.clone();
        drop(scratch);
        assert!(!path.exists());
    }
}
