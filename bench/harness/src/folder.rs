//! The folder that a run leaves: `record.json`, `samples.jsonl`, `latency.hlog`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use quorumark_report::{Document, Folded, RecordError, document, store};

use crate::Run;
use crate::date;

/// The name of the file that holds the latencies, in HdrHistogram's interval log format.
pub const LATENCY_FILE: &str = "latency.hlog";

/// Where runs go when nothing else is said, below the working directory.
pub const RUNS_DIRECTORY: &str = "quorumark-runs";

/// The folder of a run when none was named: `quorumark-runs/<date>-<scenario>-<seed>`.
pub fn default_directory(run: &Run) -> PathBuf {
    let stamp = date::file_stamp(run.started);
    let scenario = run.record.scenario.replace('/', "-");
    Path::new(RUNS_DIRECTORY).join(format!("{stamp}-{scenario}-{}", run.record.seed))
}

impl Run {
    /// For the renderings, with the stacks that were sampled during it, if it was.
    pub fn document<'a>(&'a self, stacks: Option<&'a Folded>) -> Document<'a> {
        let (record, series) = (&self.record, self.series.as_slice());
        Document::Run(document::Run { record, series, stacks })
    }

    /// Writes the run's files into `directory`, which is made when it is missing, and returns the
    /// path of the record.
    ///
    /// # Errors
    /// [`RecordError::Write`] with the file.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, RecordError> {
        let record = self.record.write(directory)?;
        store::write_series(directory, &self.series)?;
        if !self.latencies.is_empty() {
            let path = directory.join(LATENCY_FILE);
            let written = File::create(&path).and_then(|file| self.write_latencies(file));
            written.map_err(|cause| RecordError::Write { path, cause })?;
        }
        Ok(record)
    }

    /// One interval a trial and kind of latency, tagged with its name. Values are nanoseconds; the
    /// maximum beside each is in milliseconds, as readers of the format expect.
    fn write_latencies(&self, file: File) -> io::Result<()> {
        let mut out = BufWriter::new(file);
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment(&self.record.reproduce)
            .with_start_time(self.started)
            .with_base_time(self.started)
            .with_max_value_divisor(1e6)
            .begin_log_with(&mut out, &mut serializer)?;
        for interval in &self.latencies {
            let histogram = interval.latency.histogram();
            let tag = Tag::new(interval.name);
            log.write_histogram(histogram, interval.start, interval.span, tag).map_err(plain)?;
        }
        out.flush()
    }
}

fn plain<E: core::fmt::Debug>(error: IntervalLogWriterError<E>) -> io::Error {
    match error {
        IntervalLogWriterError::IoError(error) => error,
        other => io::Error::other(format!("a histogram cannot be encoded: {other:?}")),
    }
}
