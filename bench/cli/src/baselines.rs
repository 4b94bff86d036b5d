//! Records that have a name: `quorumark-baselines/NAME/record.json` below the working directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use quorumark_harness::parameter::suggestion;
use quorumark_report::compare::noise::NOISE_FILE;
use quorumark_report::store;

use crate::refused::Refused;

/// The folder of all baselines, and of what was learned about noise.
pub(crate) const BASELINES_DIRECTORY: &str = "quorumark-baselines";

/// The longest name.
const NAME_BYTES_MAX: usize = 64;

/// Where noise floors are kept.
pub(crate) fn noise_file() -> PathBuf {
    Path::new(BASELINES_DIRECTORY).join(NOISE_FILE)
}

/// The folder that the baseline `name` has or would have.
///
/// # Errors
/// [`Refused`] for what is no name: it could lead anywhere.
pub(crate) fn folder(name: &str) -> Result<PathBuf, Refused> {
    let letter = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    let plain = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(letter);
    if plain && !name.starts_with(['.', '-']) {
        return Ok(Path::new(BASELINES_DIRECTORY).join(name));
    }
    let remedy = "use at most 64 letters, digits, dots, dashes and underscores, a letter first";
    Err(Refused::new(name, "is no name of a baseline", remedy))
}

/// The names of all baselines, sorted.
///
/// # Errors
/// What the system says, but for a folder that is not there: then there are none.
pub(crate) fn names() -> io::Result<Vec<String>> {
    let folders = match store::runs_below(Path::new(BASELINES_DIRECTORY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folders => folders?,
    };
    let name = |folder: &PathBuf| Some(folder.file_name()?.to_str()?.to_owned());
    Ok(folders.iter().filter_map(name).collect())
}

/// The folder of the baseline `name`, which exists.
///
/// # Errors
/// [`Refused`], with the name that was probably meant or with all.
pub(crate) fn find(name: &str) -> Result<PathBuf, Refused> {
    let names = names().unwrap_or_default();
    if names.iter().any(|known| known == name) {
        return folder(name);
    }
    let remedy = match suggestion(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => {
            "name a run's folder, or `quorumark baseline save` one".to_owned()
        }
        None => format!("baselines are {}", names.join(", ")),
    };
    Err(Refused::new(name, "is neither a file nor a baseline", remedy))
}

/// Removes the baseline at `folder`.
///
/// # Errors
/// What the system says.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        assert_eq!(folder("main-1.2").unwrap(), Path::new("quorumark-baselines/main-1.2"));
        for name in ["", "..", "../x", "a/b", "a b", ".hidden", "--x", &"x".repeat(65)] {
            assert!(folder(name).is_err(), "{name}");
        }
    }
}
