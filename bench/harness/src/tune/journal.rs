//! What a search asked and was told, line by line, so that it goes on where it ended.
//!
//! The first line is what is searched, for what, and with which budget. Before each measurement
//! stands a line with what was asked, after it one with what was told; each is written at once and
//! in one piece. A last line that was torn off is left out, and an asking without an answer is
//! asked again: [`Journal::replay`] leads the search through everything that was told, and since it
//! decides by nothing else, to where it was.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use quorumark_report::store::{FILE_BYTES_MAX, system_words};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ask::{Ask, Plan, Sample, Stage};
use super::goal::Goal;
use super::search::Search;
use super::space::{Dimension, Space};

/// The version of the journal's lines.
pub const JOURNAL_VERSION: u32 = 1;

/// The name of the journal, inside a tuning's folder.
pub const JOURNAL_FILE: &str = "tune.jsonl";

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`JOURNAL_VERSION`] of the writer.
    pub schema_version: u32,
    /// The scenario.
    pub scenario: String,
    /// The arguments of `quorumark run` that all measurements have in common.
    pub shared: Vec<String>,
    /// What is chosen.
    pub dimensions: Vec<Dimension>,
    /// What is asked for.
    pub goal: Goal,
    /// How much may be spent.
    pub plan: Plan,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Plan(Header),
    Asked(Asked),
    Told(Told),
}

/// A measurement that began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    number: u32,
    stage: Stage,
    span_ns: u64,
    seed: u64,
    settings: IndexMap<String, String>,
}

/// A measurement that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    number: u32,
    #[serde(flatten)]
    sample: Sample,
}

/// Why a journal cannot be used. One sentence that says how to mend it.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The system refused.
    #[error("{path}: {}; choose another --out", system_words(.cause))]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It is not a journal.
    #[error("{path}:{line}: is no line of a tuning's journal; choose another --out")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It is of another search.
    #[error(
        "{path}: holds another tuning: it differs in {difference}; give the command that began it, \
         or another --out"
    )]
    Different {
        /// The file.
        path: PathBuf,
        /// In what.
        difference: &'static str,
    },
}

/// A journal that is written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// What was told before it was opened, in order.
    told: Vec<(Asked, Sample)>,
}

impl Journal {
    /// The journal at `path`: a new one, or the one that is there, where it is of the same search.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path, header: &Header) -> Result<Journal, JournalError> {
        let system = |cause| JournalError::System { path: path.to_owned(), cause };
        let text = match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(system(error)),
            Ok(file) if file.len() > FILE_BYTES_MAX => {
                return Err(system(io::Error::other("is too large")));
            }
            Ok(_) => std::fs::read_to_string(path).map_err(system)?,
        };
        // What follows the last end of a line was torn off while it was written.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let told = match whole {
            0 => Vec::new(),
            _ => read(path, &text[..whole], header)?,
        };
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let mut file = opened.map_err(system)?;
        let cut = file.set_len(whole as u64);
        cut.and_then(|()| io::Seek::seek(&mut file, io::SeekFrom::End(0))).map_err(system)?;
        let mut journal = Journal { path: path.to_owned(), file, told };
        if whole == 0 {
            journal.write(&Line::Plan(header.clone()))?;
        }
        Ok(journal)
    }

    /// Leads `search`, which has measured nothing, to where the journal ends, and tells how many
    /// measurements that were.
    ///
    /// # Errors
    /// [`JournalError::Different`] where the search asks for something else than it did then.
    pub fn replay(&mut self, search: &mut Search) -> Result<usize, JournalError> {
        let told = core::mem::take(&mut self.told);
        let count = told.len();
        for (asked, sample) in told {
            let asks = search.next_ask().map(|ask| Asked::of(search.space(), &ask));
            if asks.as_ref() != Some(&asked) {
                let path = self.path.clone();
                let difference = "the version of the program that began it";
                return Err(JournalError::Different { path, difference });
            }
            search.tell(sample);
        }
        Ok(count)
    }

    /// A measurement begins.
    ///
    /// # Errors
    /// [`JournalError::System`].
    pub fn asked(&mut self, space: &Space, ask: &Ask) -> Result<(), JournalError> {
        self.write(&Line::Asked(Asked::of(space, ask)))
    }

    /// The measurement ended.
    ///
    /// # Errors
    /// [`JournalError::System`].
    pub fn told(&mut self, ask: &Ask, sample: &Sample) -> Result<(), JournalError> {
        self.write(&Line::Told(Told { number: ask.number, sample: sample.clone() }))
    }

    fn write(&mut self, line: &Line) -> Result<(), JournalError> {
        let text = serde_json::to_string(line)
            .expect("lines have text keys only, and writing to memory does not fail");
        let written = self.file.write_all((text + "\n").as_bytes());
        written.map_err(|cause| JournalError::System { path: self.path.clone(), cause })
    }
}

impl Asked {
    fn of(space: &Space, ask: &Ask) -> Asked {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Asked {
            number: ask.number,
            stage: ask.stage,
            span_ns: u64::try_from(ask.span.as_nanos()).unwrap_or(u64::MAX),
            seed: ask.seed,
            settings: space.settings(&ask.setup).map(pair).collect(),
        }
    }
}

impl Header {
    /// In what the two differ; `None` where they are of one search.
    fn difference(&self, other: &Header) -> Option<&'static str> {
        let same = [
            (self.schema_version == other.schema_version, "the version of the journal"),
            (self.scenario == other.scenario, "the scenario"),
            (self.dimensions == other.dimensions, "what is tuned"),
            (self.shared == other.shared, "what all measurements have in common"),
            (self.goal == other.goal, "what is asked for"),
            (self.plan.budget_ns == other.plan.budget_ns, "the budget"),
            (self.plan == other.plan, "the seed or the length of a measurement"),
        ];
        same.into_iter().find_map(|(same, what)| (!same).then_some(what))
    }
}

/// What was told, of the whole lines of a journal.
fn read(path: &Path, text: &str, header: &Header) -> Result<Vec<(Asked, Sample)>, JournalError> {
    let mut told: Vec<(Asked, Sample)> = Vec::new();
    let mut open: Option<Asked> = None;
    for (number, text) in (1..).zip(text.lines()) {
        let shape = || JournalError::Shape { path: path.to_owned(), line: number };
        match serde_json::from_str(text).map_err(|_| shape())? {
            Line::Plan(begun) if number == 1 => {
                if let Some(difference) = begun.difference(header) {
                    return Err(JournalError::Different { path: path.to_owned(), difference });
                }
            }
            Line::Asked(asked) if number > 1 => open = Some(asked),
            Line::Told(answer) if number > 1 => {
                let asked = open.take().filter(|asked| asked.number == answer.number);
                told.push((asked.ok_or_else(shape)?, answer.sample));
            }
            _ => return Err(shape()),
        }
    }
    Ok(told)
}
