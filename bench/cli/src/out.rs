//! Folders that records go to. Nothing that stands there is overwritten.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use quorumark_harness::{RUNS_DIRECTORY, date};
use quorumark_report::store;

use crate::input;
use crate::refused::Refused;

/// What to do about a folder that is not for one run.
const OWN_FOLDER: &str = "choose a folder of its own with --out, such as one below it";
/// What to do about a folder that is taken.
const ANOTHER: &str = "choose another with --out, or move it away";

/// Where `what` keeps its record when nobody says: under [`RUNS_DIRECTORY`], with the time in front.
/// `what` may be a scenario's name.
pub(crate) fn default_path(what: &str) -> PathBuf {
    let stamp = date::file_stamp(SystemTime::now());
    Path::new(RUNS_DIRECTORY).join(format!("{stamp}-{}", what.replace('/', "-")))
}

/// A folder for one run, or for one tour. Drop removes what was made for it and stayed empty: what
/// ends before anything was measured leaves nothing behind.
#[derive(Debug)]
pub(crate) struct OutFolder {
    path: PathBuf,
    /// Folders that did not exist before, the deepest first.
    made: Vec<PathBuf>,
}

impl OutFolder {
    /// The folder that was named, made where it is missing: what is wrong with it is told before
    /// anything is measured.
    ///
    /// # Errors
    /// [`Refused`] for one that holds a record, folders with records, or those of all runs, and for
    /// one that cannot be made.
    pub(crate) fn named(path: &Path) -> Result<OutFolder, Refused> {
        let refused = |problem, remedy| Err(Refused::new(path.display(), problem, remedy));
        if path.file_name().is_some_and(|name| name == RUNS_DIRECTORY) {
            return refused("is the folder of all runs", OWN_FOLDER);
        }
        if path.join(store::RECORD_FILE).exists() {
            return refused("holds the record of an earlier run", ANOTHER);
        }
        // A record beside folders of other runs would hide them from `report`.
        if store::runs_below(path).is_ok_and(|runs| !runs.is_empty()) {
            return refused("holds folders of other runs", OWN_FOLDER);
        }
        OutFolder::made(path.to_owned(), |path| fs::create_dir_all(path))
    }

    /// `path`, or the first of `path-2`, `path-3`, .. that nobody has: two runs may begin within
    /// one second.
    ///
    /// # Errors
    /// [`Refused`] when it cannot be made.
    pub(crate) fn numbered(path: &Path) -> Result<OutFolder, Refused> {
        let make = |path: &Path| {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::create_dir(path)
        };
        let mut candidate = path.to_owned();
        for number in 2_u32.. {
            if !candidate.exists() {
                return OutFolder::made(candidate, make);
            }
            candidate = PathBuf::from(format!("{}-{number}", path.display()));
        }
        unreachable!("there are fewer folders than numbers")
    }

    fn made(path: PathBuf, make: impl Fn(&Path) -> io::Result<()>) -> Result<OutFolder, Refused> {
        let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let made = path.ancestors().take_while(missing).map(Path::to_owned).collect();
        match make(&path) {
            Ok(()) => Ok(OutFolder { path, made }),
            Err(error) => {
                let problem = format!("cannot be made a folder: {}", input::system_words(&error));
                Err(Refused::new(path.display(), problem, "choose another with --out"))
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OutFolder {
    fn drop(&mut self) {
        for folder in &self.made {
            // The system refuses what is not empty: exactly that is wanted.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_stays_empty_is_gone_and_one_that_is_filled_stays() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        drop(OutFolder::named(&deep).unwrap());
        assert!(!dir.path().join("a").exists());
        let folder = OutFolder::named(&deep).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        drop(folder);
        assert!(deep.join("file").exists());
    }

    #[test]
    fn a_folder_that_existed_stays_though_it_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        drop(OutFolder::named(dir.path()).unwrap());
        assert!(dir.path().exists());
    }

    #[test]
    fn two_runs_within_one_second_have_a_folder_each() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("runs/now");
        let folders = [0; 3].map(|_| OutFolder::numbered(&base).unwrap());
        let names = folders.each_ref().map(|folder| folder.path().to_owned());
        let expected = ["runs/now", "runs/now-2", "runs/now-3"].map(|name| dir.path().join(name));
        assert_eq!(names, expected);
    }
}
