//! Records as files: `record.json`, and the time series in `samples.jsonl`.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::error::Category;
use thiserror::Error;

use crate::record::SCHEMA_VERSION;
use crate::{Point, Record};

/// The name of the file that holds the record, inside a run's directory.
pub const RECORD_FILE: &str = "record.json";

/// The name of the file that holds the time series, inside a run's directory.
pub const SERIES_FILE: &str = "samples.jsonl";

/// The name of the file that holds the picture of a sampled run, inside its directory.
pub const FLAMEGRAPH_FILE: &str = "flamegraph.svg";

/// The name of the file that holds the stacks of a sampled run, inside its directory.
pub const FOLDED_FILE: &str = "stacks.folded";

/// The largest file that is read: 64 MiB. Records are tens of kilobytes.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why a record or a time series could not be read or written. Its one line holds the cause, which
/// is therefore no `source` that an error chain would print again.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The file could not be read.
    #[error(
        "{path}: cannot be read: {}; name a run's folder or its {RECORD_FILE}",
        system_words(.cause)
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file or its directory could not be written.
    #[error(
        "{path}: cannot be written: {}; choose another folder with --out",
        system_words(.cause)
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file is too large to be what it claims.
    #[error("{path}: has {bytes} bytes, at most {FILE_BYTES_MAX} are read; is it a record?")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The bytes are no text.
    #[error("{path}: is not a record (it is no text); name a run's folder or its {RECORD_FILE}")]
    Bytes {
        /// The file.
        path: PathBuf,
    },
    /// The text is not JSON, or not JSON of the right shape.
    #[error(
        "{path}: is not a record ({}); name a run's folder or its {RECORD_FILE}",
        json_words(.cause)
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where, and what was expected.
        cause: serde_json::Error,
    },
    /// The record was written under another schema.
    #[error(
        "{path}: has schema_version {found}, this build reads {SCHEMA_VERSION}; \
         read it with the version of the tool that wrote it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
    },
    /// A line of a time series is not a point.
    #[error("{path}:{line}: is not a point of a time series ({cause}); delete the line")]
    Point {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected.
        cause: serde_json::Error,
    },
    /// A line of sampled stacks is none.
    #[error("{path}:{line}: is not a stack and its count, such as `a;b 3`; delete the line")]
    Stack {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// What the system said of a file, without Rust's error number, as part of a sentence.
pub fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// What is wrong with a text that was to be JSON of some shape, and where.
fn json_words(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Syntax => format!("it is no JSON from line {line} column {column} on"),
        Category::Eof if line <= 1 && column == 0 => "it is empty".to_owned(),
        Category::Eof => format!("its JSON breaks off at line {line} column {column}"),
        Category::Data | Category::Io => error.to_string(),
    }
}

/// All that is read before the version is known.
#[derive(Deserialize)]
struct Head {
    schema_version: u64,
}

impl Record {
    /// Reads a record from `path`: a `record.json`, or the directory that holds one.
    ///
    /// # Errors
    /// [`RecordError`], which names the file.
    pub fn read(path: &Path) -> Result<Record, RecordError> {
        let path = if path.is_dir() { path.join(RECORD_FILE) } else { path.to_owned() };
        let text = read_bounded(&path)?;
        Record::from_json(&text, &path)
    }

    /// Reads a record from JSON text; `path` is only named in errors.
    ///
    /// # Errors
    /// [`RecordError::Version`] for another schema version, [`RecordError::Shape`] for what is not
    /// a record. Fields that are not known are ignored.
    pub fn from_json(text: &str, path: &Path) -> Result<Record, RecordError> {
        let shape = |cause| RecordError::Shape { path: path.to_owned(), cause };
        let head: Head = serde_json::from_str(text).map_err(shape)?;
        if head.schema_version != u64::from(SCHEMA_VERSION) {
            return Err(RecordError::Version { path: path.to_owned(), found: head.schema_version });
        }
        serde_json::from_str(text).map_err(shape)
    }

    /// The record as indented JSON with a final newline. Every number is finite or `null`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("a record has text keys only, and writing to memory does not fail");
        text.push('\n');
        text
    }

    /// Writes `record.json` into `dir`, which is made when it is missing, and returns its path.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write(&self, dir: &Path) -> Result<PathBuf, RecordError> {
        let path = dir.join(RECORD_FILE);
        fs::create_dir_all(dir)
            .and_then(|()| fs::write(&path, self.to_json()))
            .map_err(|cause| RecordError::Write { path: path.clone(), cause })?;
        Ok(path)
    }
}

/// The folders one below `dir` that hold a record, by name.
///
/// # Errors
/// What the system says when `dir` cannot be listed.
pub fn runs_below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let folders = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let mut runs: Vec<PathBuf> =
        folders.filter(|folder| folder.join(RECORD_FILE).exists()).collect();
    runs.sort();
    Ok(runs)
}

/// Writes `samples.jsonl` into `dir`, one point a line, and returns its path.
///
/// # Errors
/// [`RecordError::Write`].
pub fn write_series(dir: &Path, points: &[Point]) -> Result<PathBuf, RecordError> {
    let path = dir.join(SERIES_FILE);
    fs::create_dir_all(dir)
        .and_then(|()| write_lines(&path, points))
        .map_err(|cause| RecordError::Write { path: path.clone(), cause })?;
    Ok(path)
}

/// Reads the time series beside the record at `path` (a directory or a file in it); empty when the
/// run kept none.
///
/// # Errors
/// [`RecordError`], which names the file and the line.
pub fn read_series(path: &Path) -> Result<Vec<Point>, RecordError> {
    let path = run_folder(path).join(SERIES_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read_bounded(&path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|cause| RecordError::Point {
                path: path.clone(),
                line: index + 1,
                cause,
            })
        })
        .collect()
}

fn write_lines(path: &Path, points: &[Point]) -> io::Result<()> {
    let mut out = BufWriter::new(fs::File::create(path)?);
    for point in points {
        serde_json::to_writer(&mut out, point)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// The folder that holds the record at `path`, which may be the folder itself.
pub(crate) fn run_folder(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) }
}

/// The text of a file of at most [`FILE_BYTES_MAX`].
pub(crate) fn read_bounded(path: &Path) -> Result<String, RecordError> {
    let read = |cause: io::Error| match cause.kind() {
        io::ErrorKind::InvalidData => RecordError::Bytes { path: path.to_owned() },
        _ => RecordError::Read { path: path.to_owned(), cause },
    };
    let bytes = fs::metadata(path).map_err(read)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(RecordError::TooLarge { path: path.to_owned(), bytes });
    }
    fs::read_to_string(path).map_err(read)
}
