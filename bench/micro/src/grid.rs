//! Which ids are measured: one table for all suites.
//!
//! A [`Row`] is an operation and its axes; its ids are the product of the axes' values. Each axis
//! has the values of the quick grid, and more for the full one, so the quick grid is a part of the
//! full one by construction. What belongs to the machine (SHA-256 paths, threads) is asked of it.

use std::thread;

use quorumark_primitives::sha256::Path;
use thiserror::Error;

use crate::Id;

/// The most ids in the quick grid, so that a plain `cargo bench` stays a matter of minutes.
pub const QUICK_IDS_MAX: usize = 90;

/// The variable that asks for the whole grid.
pub const EXTENT_VARIABLE: &str = "QUORUMARK_BENCH";

/// How much of the grid is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// At most [`QUICK_IDS_MAX`] ids, the ones to look at after each change.
    Quick,
    /// Every id.
    Full,
}

/// A value of [`EXTENT_VARIABLE`] that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{EXTENT_VARIABLE}={value:?}: set it to quick or full, or leave it unset for quick")]
pub struct ExtentError {
    /// The value found.
    value: String,
}

impl Extent {
    /// The extent that a value of [`EXTENT_VARIABLE`] asks for; none, or an empty one, is quick.
    ///
    /// # Errors
    /// [`ExtentError`] for anything but `quick` and `full`.
    pub fn parse(value: Option<&str>) -> Result<Extent, ExtentError> {
        match value {
            None | Some("" | "quick") => Ok(Extent::Quick),
            Some("full") => Ok(Extent::Full),
            Some(value) => Err(ExtentError { value: value.to_owned() }),
        }
    }
}

/// An operation and its axes. Several rows may belong to one operation; they stand together.
#[derive(Debug)]
pub struct Row {
    /// What is measured, as `area::operation`.
    pub operation: &'static str,
    /// Its parameters, in the order in which ids name them.
    axes: &'static [Axis],
}

#[derive(Debug)]
struct Axis {
    key: &'static str,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// Numbers of the quick grid, and those that the full grid adds.
    Numbers(&'static [u64], &'static [u64]),
    /// Names of the quick grid, and those that the full grid adds.
    Names(&'static [&'static str], &'static [&'static str]),
    /// The SHA-256 paths of this machine: its own choice and the portable one, or all.
    Paths,
    /// The SHA-256 path that the machine takes, or all.
    OwnPath,
    /// One and two threads, and in the full grid the powers of two up to the machine's cores.
    Threads,
}

const fn row(operation: &'static str, axes: &'static [Axis]) -> Row {
    Row { operation, axes }
}

const fn numbers(key: &'static str, quick: &'static [u64], more: &'static [u64]) -> Axis {
    Axis { key, values: Values::Numbers(quick, more) }
}

/// Names of both grids.
const fn names(key: &'static str, all: &'static [&'static str]) -> Axis {
    some_names(key, all, &[])
}

const fn some_names(
    key: &'static str,
    quick: &'static [&'static str],
    more: &'static [&'static str],
) -> Axis {
    Axis { key, values: Values::Names(quick, more) }
}

const fn machine(key: &'static str, values: Values) -> Axis {
    Axis { key, values }
}

const PATHS: Axis = machine("path", Values::Paths);
const OWN_PATH: Axis = machine("path", Values::OwnPath);
const THREADS: Axis = machine("threads", Values::Threads);
const RULES: Axis = names("rule", &["bitcoin", "rfc6962", "blake3"]);
const VERIFIERS: Axis = names("path", &["own", "dalek"]);

/// Every operation that is measured.
pub const ROWS: &[Row] = &[
    row("hash::sha256", &[numbers("size", &[64, 1024, 1 << 20], &[80, 256, 4096, 1 << 16])]),
    row("hash::sha256d", &[numbers("size", &[80, 1024], &[64, 256, 4096, 1 << 16, 1 << 20])]),
    row("hash::blake3", &[numbers("size", &[64, 1024, 1 << 20], &[80, 256, 4096, 1 << 16])]),
    row("hash::sha256d_64", &[numbers("messages", &[1024], &[1, 4, 64, 1 << 16]), PATHS]),
    row("hash::tagged_pairs", &[numbers("pairs", &[1024], &[1, 4, 64, 1 << 16]), PATHS]),
    row("signature::mac_tag", &[numbers("message", &[64, 512], &[16, 4096])]),
    row("signature::sign", &[numbers("message", &[64, 512], &[16, 4096])]),
    row("signature::verify", &[numbers("message", &[64], &[16, 512, 4096]), VERIFIERS]),
    row(
        "signature::batch_verify",
        &[
            numbers("size", &[1, 16, 64, 256], &[2, 4, 8, 32, 128, 512, 1024]),
            names("signers", &["distinct"]),
            numbers("message", &[64], &[512]),
            VERIFIERS,
        ],
    ),
    row(
        "signature::batch_verify",
        &[
            numbers("size", &[16, 64, 256], &[32, 128, 512, 1024]),
            numbers("signers", &[4], &[1, 16]),
            numbers("message", &[64], &[512]),
            VERIFIERS,
        ],
    ),
    row(
        "signature::bisect",
        &[
            numbers("size", &[256], &[64, 1024]),
            numbers("signers", &[4], &[16]),
            numbers("invalid", &[1], &[4, 16]),
        ],
    ),
    row(
        "signature::attack",
        &[
            numbers("size", &[1024], &[256]),
            numbers("signers", &[4], &[256]),
            numbers("invalid_per_1024", &[], &[0, 1, 10, 102, 512]),
            names("path", &["auto", "equation", "single"]),
        ],
    ),
    row(
        "merkle::root",
        &[
            numbers("leaves", &[1024, 1 << 16], &[16, 1 << 13]),
            RULES,
            numbers("threads", &[1], &[]),
        ],
    ),
    row(
        "merkle::root",
        &[numbers("leaves", &[1 << 20], &[1 << 18]), names("rule", &["bitcoin"]), THREADS],
    ),
    row(
        "merkle::build",
        &[numbers("leaves", &[1 << 16], &[1024, 1 << 20]), names("rule", &["bitcoin"]), THREADS],
    ),
    row("merkle::proof", &[numbers("leaves", &[1 << 16], &[16, 1024, 1 << 20]), RULES]),
    row("merkle::verify", &[numbers("leaves", &[1 << 16], &[16, 1024, 1 << 20]), RULES]),
    row("pow::scan", &[numbers("nonces", &[1 << 13], &[]), PATHS]),
    row("pow::mine", &[numbers("nonces", &[1 << 17], &[]), THREADS, OWN_PATH]),
    row("wire::encode", &[SMALL_MESSAGES]),
    row("wire::encode", &[LARGE_MESSAGES]),
    row("wire::encode", &[PRE_PREPARE, BATCHES]),
    row("wire::decode", &[SMALL_MESSAGES]),
    row("wire::decode", &[LARGE_MESSAGES]),
    row("wire::decode", &[PRE_PREPARE, BATCHES]),
    row("pbft::pre_prepare", &[REPLICAS, numbers("batch_size", &[64], &[1, 512])]),
    row("pbft::prepare", &[REPLICAS, numbers("batch_size", &[64], &[1])]),
    row("pbft::commit", &[REPLICAS, numbers("batch_size", &[64], &[1, 512])]),
    row(
        "view_change::handle",
        &[
            numbers("n", &[4], &[7, 31]),
            numbers("window", &[128], &[]),
            numbers("prepared", &[64], &[0, 1, 128]),
        ],
    ),
    row(
        "checkpoint::client_table",
        &[numbers("clients", &[64], &[4, 1024]), numbers("replies", &[1024], &[64])],
    ),
    row("transfer::restore", &[numbers("clients", &[64], &[4, 1024])]),
    row(
        "pipeline::hand_over",
        &[
            numbers("batch_size", &[1, 8, 64, 512], &[2, 16, 128]),
            numbers("capacity", &[16], &[1, 4, 64]),
        ],
    ),
    row(
        "pipeline::commit",
        &[numbers("n", &[4], &[7]), numbers("batch_size", &[8, 128], &[1, 32, 512]), THREADS],
    ),
];

/// Of messages that share a shape, one is enough to look at after each change.
const SMALL_MESSAGES: Axis = some_names(
    "message",
    &["request", "prepare", "status", "reply"],
    &["commit", "checkpoint", "fetch", "read", "stable", "fetch-state"],
);
const LARGE_MESSAGES: Axis =
    some_names("message", &["view-change", "new-view"], &["state-manifest", "state-slice"]);
const PRE_PREPARE: Axis = some_names("message", &["pre-prepare"], &["body", "committed"]);
const BATCHES: Axis = numbers("batch_size", &[64], &[1, 8, 512]);
const REPLICAS: Axis = numbers("n", &[4, 7, 16, 31], &[10, 64]);

impl Row {
    /// The row's ids.
    pub fn ids(&self, extent: Extent) -> Vec<Id> {
        let mut combinations: Vec<Vec<(&str, String)>> = vec![Vec::new()];
        for axis in self.axes {
            let values = axis.values(extent);
            let extended = combinations.iter().flat_map(|combination| {
                values.iter().map(|value| {
                    let mut longer = combination.clone();
                    longer.push((axis.key, value.clone()));
                    longer
                })
            });
            combinations = extended.collect();
        }
        let id = |combination: Vec<(&str, String)>| {
            let pairs: Vec<_> = combination.iter().map(|(key, value)| (*key, &**value)).collect();
            Id::new(self.operation, &pairs).unwrap_or_else(|error| panic!("{error}"))
        };
        combinations.into_iter().map(id).collect()
    }
}

impl Axis {
    fn values(&self, extent: Extent) -> Vec<String> {
        let full = extent == Extent::Full;
        match self.values {
            Values::Numbers(quick, more) => {
                let mut numbers = quick.to_vec();
                numbers.extend(more.iter().filter(|_| full));
                numbers.sort_unstable();
                numbers.iter().map(u64::to_string).collect()
            }
            Values::Names(quick, more) => {
                let more = more.iter().filter(|_| full);
                quick.iter().chain(more).map(|name| (*name).to_owned()).collect()
            }
            Values::Paths => paths(|place, last| full || place == 0 || place == last),
            Values::OwnPath => paths(|place, _| full || place == 0),
            Values::Threads => threads(full),
        }
    }
}

/// The names of the machine's paths, its own choice first; the portable one is the last.
fn paths(wanted: impl Fn(usize, usize) -> bool) -> Vec<String> {
    let all: Vec<Path> = Path::available().collect();
    let wanted = |place: &usize| wanted(*place, all.len() - 1);
    (0..all.len()).filter(wanted).map(|place| all[place].to_string()).collect()
}

fn threads(full: bool) -> Vec<String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let powers = (0..).map(|power| 1usize << power);
    let wanted = |threads: &usize| *threads <= 2 || full && *threads <= cores;
    powers.take_while(wanted).map(|threads| threads.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ids(extent: Extent) -> Vec<Id> {
        ROWS.iter().flat_map(|row| row.ids(extent)).collect()
    }

    #[test]
    fn the_quick_grid_is_small_and_a_part_of_the_full_one() {
        let (quick, full) = (ids(Extent::Quick), ids(Extent::Full));
        assert!(quick.len() <= QUICK_IDS_MAX, "{} ids", quick.len());
        let full: HashSet<&Id> = full.iter().collect();
        assert!(quick.iter().all(|id| full.contains(id)));
        assert!(full.len() > 2 * quick.len(), "{} ids in the full grid", full.len());
    }

    #[test]
    fn every_id_is_its_own_and_parses() {
        let full = ids(Extent::Full);
        assert_eq!(full.iter().collect::<HashSet<_>>().len(), full.len());
        for id in &full {
            assert_eq!(id.to_string().parse().as_ref(), Ok(id));
        }
    }

    #[test]
    fn no_id_is_cut_in_a_folder_s_name_or_a_title() {
        // Criterion cuts a folder's name after 64 characters, and a title after 100.
        for id in ids(Extent::Full) {
            assert!(id.parameters().len() <= 64 && id.to_string().len() <= 100, "{id}");
        }
    }

    #[test]
    fn rows_of_one_operation_stand_together() {
        let mut seen = HashSet::new();
        for rows in ROWS.chunk_by(|one, next| one.operation == next.operation) {
            assert!(seen.insert(rows[0].operation), "{} stands twice", rows[0].operation);
        }
    }

    #[test]
    fn an_unknown_extent_is_refused_with_what_to_set() {
        assert_eq!(Extent::parse(None), Ok(Extent::Quick));
        assert_eq!(Extent::parse(Some("full")), Ok(Extent::Full));
        let error = Extent::parse(Some("all")).unwrap_err();
        assert!(error.to_string().contains("quick or full"), "{error}");
    }
}
