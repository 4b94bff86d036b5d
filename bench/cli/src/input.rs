//! Files that the user names: read whole, up to a bound, refused in one sentence.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The system's words, as messages about files that the user named hold them.
pub(crate) use quorumark_report::store::system_words;

use crate::refused::Refused;

/// What a path of `-` means.
const STANDARD_INPUT: &str = "-";

/// The bytes of the file at `path`, or of standard input for `-`; at most `bytes_max`.
pub(crate) fn read(path: &Path, what: &str, bytes_max: u64) -> Result<Vec<u8>, Refused> {
    let bytes = if is_standard_input(path) {
        read_bounded(io::stdin().lock(), bytes_max)
    } else {
        open(path).and_then(|file| read_bounded(file, bytes_max))
    };
    let bytes = bytes.map_err(|error| cannot_be_read(path, what, &error))?;
    let place = place(path);
    if bytes.len() as u64 > bytes_max {
        let problem = format!("has more than {bytes_max} bytes, the most that is read");
        return Err(Refused::new(&place, problem, format!("name a file with {what}")));
    }
    if bytes.is_empty() {
        return Err(Refused::new(&place, "is empty", format!("name a file with {what}")));
    }
    Ok(bytes)
}

/// [`read`], as text.
pub(crate) fn read_text(path: &Path, what: &str, bytes_max: u64) -> Result<String, Refused> {
    let bytes = read(path, what, bytes_max)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        let problem = format!("is no text: byte {at} is not UTF-8");
        Refused::new(place(path), problem, format!("name a file with {what}"))
    })
}

/// The file at `path`, or standard input for `-`, to be read line by line. It may be empty.
pub(crate) fn open_lines(path: &Path, what: &str) -> Result<Box<dyn BufRead>, Refused> {
    if is_standard_input(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = open(path).map_err(|error| cannot_be_read(path, what, &error))?;
    Ok(Box::new(BufReader::new(file)))
}

/// What is said of a file that the system does not give.
pub(crate) fn cannot_be_read(path: &Path, what: &str, error: &io::Error) -> Refused {
    let problem = format!("cannot be read: {}", system_words(error));
    Refused::new(place(path), problem, format!("name a file with {what}"))
}

/// How messages name the path.
pub(crate) fn place(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// One byte more than allowed is read, so that the caller sees the excess.
fn read_bounded(reader: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
