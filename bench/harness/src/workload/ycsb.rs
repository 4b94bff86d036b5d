//! YCSB's core workloads, from its own files.
//!
//! Cooper, Silberstein, Tam, Ramakrishnan and Sears, "Benchmarking cloud serving systems with
//! YCSB" (SoCC 2010). The four files are those of the project, byte for byte. A record is one value
//! of `fieldcount` fields of `fieldlength` bytes; a read answers the whole record, an update writes
//! one field, a read-modify-write does both in one atomic step. Scans have no counterpart in the
//! store, and a file with any is refused.

use bytes::Bytes;
use quorumark_application::kv::Operation;
use quorumark_primitives::wire::Encode;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use thiserror::Error;

use super::uniform;
use super::zipfian::{Scrambled, fnv1a};

/// The most records of a workload; a file with more is run with this many. With YCSB's default of
/// 1000 bytes a record they take 10 MB at each replica.
pub const RECORDS_MAX: u64 = 10_000;

/// Operations drawn before the run; request `i` takes the `i`-th, and they repeat.
const DRAWN_OPERATIONS: usize = 1 << 16;

const WORKLOAD_A: &str = include_str!("../../../../core/testdata/ycsb/workloada");
const WORKLOAD_B: &str = include_str!("../../../../core/testdata/ycsb/workloadb");
const WORKLOAD_C: &str = include_str!("../../../../core/testdata/ycsb/workloadc");
const WORKLOAD_F: &str = include_str!("../../../../core/testdata/ycsb/workloadf");

/// How requests choose their records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Each record is as likely as any other.
    Uniform,
    /// YCSB's scrambled Zipfian.
    Zipfian,
}

/// A workload file, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Ycsb {
    /// Records that are there when the run begins.
    pub records: u64,
    /// Share of reads.
    pub reads: f64,
    /// Share of updates of one field.
    pub updates: f64,
    /// Share of inserts of new records.
    pub inserts: f64,
    /// Share of read-modify-writes of one field.
    pub read_modify_writes: f64,
    /// How records are chosen.
    pub distribution: Distribution,
    /// Fields of a record; the YCSB default is 10.
    pub field_count: u32,
    /// Bytes of a field; the YCSB default is 100.
    pub field_bytes: u32,
}

/// A workload file that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum YcsbError {
    /// A value is no number, or not one that makes sense.
    #[error("{key}={value}: not a value of it")]
    Value {
        /// The property.
        key: String,
        /// What stands there.
        value: String,
    },
    /// The file asks for what the store does not have.
    #[error("{0} is not supported by the key-value store")]
    Unsupported(String),
    /// The shares of the operations do not make a whole.
    #[error("the shares of the operations sum to {0}, not to 1")]
    Shares(String),
}

impl Ycsb {
    /// The core workload `letter`: a, b, c or f; `None` for another letter.
    pub fn core(letter: char) -> Option<Ycsb> {
        let file = match letter {
            'a' => WORKLOAD_A,
            'b' => WORKLOAD_B,
            'c' => WORKLOAD_C,
            'f' => WORKLOAD_F,
            _ => return None,
        };
        Some(Ycsb::parse(file).expect("the files are embedded, and a test reads each"))
    }

    /// Reads a workload file: `key=value` lines, `#` before comments. What is not set has the
    /// default of YCSB's `CoreWorkload`; properties that do not matter here are passed over.
    ///
    /// # Errors
    /// [`YcsbError`] for what cannot be run as written.
    pub fn parse(file: &str) -> Result<Ycsb, YcsbError> {
        let mut workload = Ycsb {
            records: 1000,
            reads: 0.95,
            updates: 0.05,
            inserts: 0.0,
            read_modify_writes: 0.0,
            distribution: Distribution::Uniform,
            field_count: 10,
            field_bytes: 100,
        };
        let lines = file.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        for (key, value) in lines.filter_map(|line| line.split_once('=')) {
            workload.set(key.trim(), value.trim())?;
        }
        workload.records = workload.records.clamp(2, RECORDS_MAX);
        let sum = workload.reads + workload.updates + workload.inserts;
        let sum = sum + workload.read_modify_writes;
        if (sum - 1.0).abs() > 1e-6 {
            return Err(YcsbError::Shares(sum.to_string()));
        }
        Ok(workload)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), YcsbError> {
        match key {
            "recordcount" => self.records = number(key, value)?,
            "readproportion" => self.reads = number(key, value)?,
            "updateproportion" => self.updates = number(key, value)?,
            "insertproportion" => self.inserts = number(key, value)?,
            "readmodifywriteproportion" => self.read_modify_writes = number(key, value)?,
            "fieldcount" => self.field_count = number(key, value)?,
            "fieldlength" => self.field_bytes = number(key, value)?,
            "scanproportion" if number::<f64>(key, value)? > 0.0 => {
                return Err(YcsbError::Unsupported(format!("{key}={value}")));
            }
            "requestdistribution" => {
                self.distribution = match value {
                    "uniform" => Distribution::Uniform,
                    "zipfian" => Distribution::Zipfian,
                    _ => return Err(YcsbError::Unsupported(format!("{key}={value}"))),
                };
            }
            _ => (),
        }
        Ok(())
    }

    /// Bytes of one record.
    pub fn record_bytes(&self) -> usize {
        (self.field_count * self.field_bytes) as usize
    }

    /// The operations that write every record once: YCSB's load phase.
    pub fn load_phase(&self, seed: u64) -> Vec<Bytes> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..self.records).map(|record| self.put(record, &mut random)).collect()
    }

    /// Operations in the file's mix, drawn from `seed`; the same seed gives the same ones.
    pub fn operations(&self, seed: u64) -> Vec<Bytes> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let popular = Scrambled::new(self.records);
        let mut inserted = self.records;
        let draw = |_| {
            let which = uniform(&mut random);
            if which >= 1.0 - self.inserts {
                inserted += 1;
                return self.put(inserted - 1, &mut random);
            }
            let chosen = uniform(&mut random);
            let record = match self.distribution {
                Distribution::Zipfian => popular.record(chosen),
                Distribution::Uniform => (chosen * self.records as f64) as u64,
            };
            self.touch(record, which, &mut random)
        };
        (0..DRAWN_OPERATIONS).map(draw).collect()
    }

    /// A read, update or read-modify-write of a record, by where `which` falls.
    fn touch(&self, record: u64, which: f64, random: &mut ChaCha8Rng) -> Bytes {
        let key = fnv1a(record);
        if which < self.reads {
            return Operation::Get { key }.to_frame();
        }
        let field = random.next_u32() % self.field_count;
        let patch = bytes(random, self.field_bytes as usize);
        let (offset, patch) = (field * self.field_bytes, patch.as_slice());
        match which < self.reads + self.updates {
            true => Operation::Update { key, offset, patch }.to_frame(),
            false => Operation::ReadModifyWrite { key, offset, patch }.to_frame(),
        }
    }

    fn put(&self, record: u64, random: &mut ChaCha8Rng) -> Bytes {
        let value = bytes(random, self.record_bytes());
        Operation::Put { key: fnv1a(record), value: &value }.to_frame()
    }
}

fn number<T: std::str::FromStr + PartialOrd + Default>(
    key: &str,
    value: &str,
) -> Result<T, YcsbError> {
    let refused = || YcsbError::Value { key: key.to_owned(), value: value.to_owned() };
    value.parse().ok().filter(|number| *number >= T::default()).ok_or_else(refused)
}

fn bytes(random: &mut ChaCha8Rng, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    random.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of get, put, update and read-modify-write among the operations.
    fn shares(workload: &Ycsb) -> [f64; 4] {
        let operations = workload.operations(7);
        let mut counts = [0u32; 4];
        for operation in &operations {
            match Operation::parse(operation).unwrap() {
                Operation::Get { .. } => counts[0] += 1,
                Operation::Put { .. } => counts[1] += 1,
                Operation::Update { .. } => counts[2] += 1,
                Operation::ReadModifyWrite { .. } => counts[3] += 1,
                Operation::CompareAndSwap { .. } => panic!("YCSB has no compare-and-swap"),
            }
        }
        counts.map(|count| f64::from(count) / operations.len() as f64)
    }

    #[test]
    fn each_file_gives_the_mix_that_it_states() {
        for (letter, expected) in [
            ('a', [0.5, 0.0, 0.5, 0.0]),
            ('b', [0.95, 0.0, 0.05, 0.0]),
            ('c', [1.0, 0.0, 0.0, 0.0]),
            ('f', [0.5, 0.0, 0.0, 0.5]),
        ] {
            let workload = Ycsb::core(letter).unwrap();
            assert_eq!((workload.records, workload.distribution), (1000, Distribution::Zipfian));
            for (found, expected) in shares(&workload).into_iter().zip(expected) {
                assert!((found - expected).abs() < 0.01, "{letter}: {found} for {expected}");
            }
        }
        assert_eq!(Ycsb::core('d'), None);
    }

    #[test]
    fn inserts_write_records_that_were_not_loaded() {
        let file = "readproportion=0.5\nupdateproportion=0\ninsertproportion=0.5\nrecordcount=10";
        let workload = Ycsb::parse(file).unwrap();
        assert!((shares(&workload)[1] - 0.5).abs() < 0.01);
        let loaded: Vec<u64> = (0..10).map(fnv1a).collect();
        for operation in workload.operations(3) {
            if let Operation::Put { key, value } = Operation::parse(&operation).unwrap() {
                assert!(!loaded.contains(&key) && value.len() == 1000);
            }
        }
    }

    #[test]
    fn what_cannot_be_run_as_written_is_refused() {
        for bad in [
            "scanproportion=0.5",
            "requestdistribution=latest",
            "recordcount=many",
            "readproportion=-1",
            "readproportion=0.5",
        ] {
            assert!(Ycsb::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Ycsb::parse("recordcount=99999999").unwrap().records, RECORDS_MAX);
    }
}
