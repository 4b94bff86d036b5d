//! Sampled stacks: how often a profiler found a program where, and pictures of it.
//!
//! A stack is kept folded, as Brendan Gregg's FlameGraph tools read and write it: its frames from
//! the outermost to the innermost, parted by semicolons, a blank, and how often it was seen. The two
//! outermost frames are a stage and a thread of it.

mod breakdown;
mod svg;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub use breakdown::{BREAKDOWN_NOTE, breakdown, hottest};
pub(crate) use svg::inline;
pub use svg::svg;

use crate::RecordError;
use crate::store::{FILE_BYTES_MAX, FLAMEGRAPH_FILE, FOLDED_FILE, read_bounded, run_folder};

/// The most frames of one stack that are kept: the innermost of a deeper one are cut off.
pub const FRAMES_MAX: usize = 128;

/// Frames that the kernel ran end so.
pub const KERNEL_MARK: &str = "_[k]";

/// Stacks, and how often each was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded(BTreeMap<String, u64>);

impl Folded {
    /// Nothing was seen.
    pub fn new() -> Folded {
        Folded::default()
    }

    /// Adds a stack that was seen `count` times: its frames, the outermost first. One without
    /// frames is left out.
    pub fn add<F: AsRef<str>>(&mut self, frames: impl IntoIterator<Item = F>, count: u64) {
        let frames = frames.into_iter().take(FRAMES_MAX);
        let stack: Vec<String> = frames.map(|frame| plain(frame.as_ref())).collect();
        if !stack.is_empty() && count > 0 {
            let seen = self.0.entry(stack.join(";")).or_default();
            *seen = seen.saturating_add(count);
        }
    }

    /// Reads the folded form. Empty lines are passed over.
    ///
    /// # Errors
    /// The number of the first line, from 1, that does not end in a count.
    pub fn parse(text: &str) -> Result<Folded, usize> {
        let mut folded = Folded::new();
        for (line, number) in
            text.lines().zip(1_usize..).filter(|(line, _)| !line.trim().is_empty())
        {
            let (stack, count) = line.trim_end().rsplit_once(' ').ok_or(number)?;
            let count = count.parse().map_err(|_| number)?;
            folded.add(stack.split(';').filter(|frame| !frame.is_empty()), count);
        }
        Ok(folded)
    }

    /// The folded form, one stack a line, sorted.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|(stack, count)| format!("{stack} {count}\n")).collect()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Samples, over all stacks.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The stacks, the outermost frame first, and how often each was seen.
    pub fn iter(&self) -> impl Iterator<Item = (impl Iterator<Item = &str>, u64)> {
        self.0.iter().map(|(stack, count)| (stack.split(';'), *count))
    }

    /// Writes the stacks and their picture into `dir`, a run's folder, and returns the paths of the
    /// picture and the stacks. `title` stands above the picture.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write(&self, dir: &Path, title: &str) -> Result<[PathBuf; 2], RecordError> {
        let files = [(FLAMEGRAPH_FILE, svg(self, title)), (FOLDED_FILE, self.to_text())];
        let mut paths = files.each_ref().map(|(name, _)| dir.join(name)).into_iter();
        let paths: [PathBuf; 2] = core::array::from_fn(|_| paths.next().unwrap_or_default());
        for (path, (_, text)) in paths.iter().zip(&files) {
            fs::write(path, text)
                .map_err(|cause| RecordError::Write { path: path.clone(), cause })?;
        }
        Ok(paths)
    }

    /// Reads the stacks beside the record at `path` (a run's folder or a file in it); nothing when
    /// the run was not sampled.
    ///
    /// # Errors
    /// [`RecordError`], which names the file and the line.
    pub fn read(path: &Path) -> Result<Option<Folded>, RecordError> {
        let path = run_folder(path).join(FOLDED_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = read_bounded(&path)?;
        debug_assert!(text.len() as u64 <= FILE_BYTES_MAX, "what is read is bounded");
        Folded::parse(&text).map(Some).map_err(|line| RecordError::Stack { path, line })
    }
}

/// As much of the name as `letters` allow; the end of a path tells more than its beginning.
fn shortened(name: &str, letters: usize) -> String {
    let all = name.chars().count();
    match letters {
        _ if all <= letters => name.to_owned(),
        0..=2 => String::new(),
        _ => core::iter::once('…').chain(name.chars().skip(all + 1 - letters)).collect(),
    }
}

/// A frame that can end neither its stack nor its line.
fn plain(frame: &str) -> String {
    let frame = frame.trim();
    let frame = if frame.is_empty() { "[unknown]" } else { frame };
    frame
        .chars()
        .map(|c| {
            if c == ';' {
                ':'
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_folded_is_read_back() {
        let mut folded = Folded::new();
        folded.add(["verify", "r0-verify-0", "main::<[u8; 32]>", "inner f"], 2);
        folded.add(["verify", "r0-verify-0"], 1);
        folded.add(["verify", "r0-verify-0"], 2);
        folded.add(core::iter::empty::<&str>(), 9);
        let text = "verify;r0-verify-0 3\nverify;r0-verify-0;main::<[u8: 32]>;inner f 2\n";
        assert_eq!(folded.to_text(), text);
        assert_eq!(Folded::parse(text), Ok(folded.clone()));
        assert_eq!(folded.total(), 5);
    }

    #[test]
    fn a_name_without_room_keeps_its_end() {
        assert_eq!(shortened("a::b::verify", 100), "a::b::verify");
        assert_eq!(shortened("a::b::verify", 8), "…:verify");
        assert_eq!(shortened("a::b::verify", 2), "");
    }

    #[test]
    fn a_line_without_a_count_is_named() {
        assert_eq!(Folded::parse("a;b 1\n\nc;d\n"), Err(3));
        assert_eq!(Folded::parse("a;b x\n"), Err(1));
        assert_eq!(Folded::parse("\n"), Ok(Folded::new()));
    }

    #[test]
    fn a_stack_without_an_end_is_cut() {
        let mut folded = Folded::new();
        folded.add(core::iter::repeat_n("again", 10 * FRAMES_MAX), 1);
        assert_eq!(folded.iter().next().map(|(frames, _)| frames.count()), Some(FRAMES_MAX));
    }
}
