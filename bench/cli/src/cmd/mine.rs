//! `mine`: the nonce of a block header, or of a puzzle, on all threads.

use std::ops::Range;

use clap::{ArgGroup, Args};
use quorumark_chain::miner::{Miner, MinerError, Outcome, Statistics, THREADS_MAX};
use quorumark_chain::puzzle::{DIFFICULTY_MAX, NONCE_END, Puzzle};
use quorumark_chain::{Header, hex};
use quorumark_harness::environment::cores;
use quorumark_report::units;
use serde_json::{Map, Value, json};

use crate::args::{whole, whole_within};
use crate::exit::{self, Exit};
use crate::interrupt;
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// Nonces of a header that are searched between two progress lines: about a second on two cores.
const HEADER_SLICE: u64 = 1 << 26;
/// The same of a puzzle, whose attempts cost more.
const PUZZLE_SLICE: u64 = 1 << 23;

/// Arguments of `mine`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("work").required(true).args(["header", "puzzle"])))]
#[command(after_help = "\
Examples:
  quorumark mine --puzzle hello --difficulty 5
  quorumark mine --puzzle hello --difficulty 5 --start-nonce 1000000 --threads 2 --json

The answer is the lowest nonce from --start-nonce on, whatever the number of threads.
A header's own nonce is ignored. When no nonce is left, the exit code is 1.
A header is hashed by the kernel that pow/miner measures, from the state after its first 64 bytes.
A puzzle's digests are of text and decimal digits of any length, made one by one by a general
hasher: its rate is another path's, and says nothing about the miner's.")]
pub(crate) struct MineArgs {
    /// An 80-byte block header as 160 hex digits, searched for a nonce that meets its target.
    #[arg(long, value_name = "HEX", allow_hyphen_values = true)]
    header: Option<String>,
    /// Text: find a nonce so that SHA-256 of text and decimal nonce begins with zeros.
    #[arg(long, value_name = "TEXT", requires = "difficulty", allow_hyphen_values = true)]
    puzzle: Option<String>,
    /// Leading hex zeros that the puzzle's digest must have.
    #[arg(long, value_name = "ZEROS", value_parser = zeros)]
    #[arg(conflicts_with = "header", allow_negative_numbers = true)]
    difficulty: Option<u32>,
    /// Threads that search [default: one a core].
    #[arg(long, value_name = "N", value_parser = threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// The first nonce tried.
    #[arg(long, value_name = "N", value_parser = whole::<u64>, default_value_t = 0)]
    #[arg(allow_negative_numbers = true)]
    start_nonce: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Reads a difficulty.
fn zeros(text: &str) -> Result<u32, String> {
    let zeros = whole_within(text, 0, u64::from(DIFFICULTY_MAX))?;
    Ok(u32::try_from(zeros).expect("a digest has few digits"))
}

/// Reads a number of threads.
fn threads(text: &str) -> Result<usize, String> {
    let threads = whole_within(text, 1, THREADS_MAX as u64)?;
    Ok(usize::try_from(threads).expect("threads are few"))
}

/// What a search found and cost.
struct Search {
    outcome: Outcome<Found>,
    statistics: Statistics,
}

/// An answer, as it is shown: what was asked for, first.
struct Found {
    nonce: u64,
    hash: String,
    /// What the hash is of.
    preimage: (&'static str, String),
}

/// Searches, and prints what was found.
pub(crate) fn mine(args: &MineArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let threads = args.threads.unwrap_or(cores() as usize);
    let job = Job::of(args)?;
    let miner = start_miner(threads)?;
    interrupt::listen()?;
    exit::say_debug_build();
    let search = job.search(&miner, args.start_nonce, terminal);
    if args.json {
        terminal.print_json(&search.to_json(&miner))?;
    } else {
        terminal.print(&terminal.pairs(&search.pairs(&miner)))?;
    }
    match search.outcome {
        Outcome::Found(_) => Ok(Exit::Done),
        Outcome::Stopped => Ok(Exit::Interrupted),
        Outcome::Exhausted => {
            terminal.note(job.exhausted());
            Ok(Exit::Failed)
        }
    }
}

fn start_miner(threads: usize) -> anyhow::Result<Miner> {
    Miner::new(threads).map_err(|error| match error {
        MinerError::Threads { .. } => {
            Refused::new("--threads", error, format!("choose 1 to {THREADS_MAX}")).into()
        }
        MinerError::Pool(_) => error.into(),
    })
}

/// What is searched.
enum Job {
    Header(Header),
    Puzzle(Puzzle, String),
}

impl Job {
    fn of(args: &MineArgs) -> Result<Job, Refused> {
        match (&args.header, &args.puzzle) {
            (Some(text), _) => {
                let header = parse_header(text)?;
                within("header", args.start_nonce, u64::from(u32::MAX))?;
                Ok(Job::Header(header))
            }
            (None, text) => {
                let text = text.clone().unwrap_or_default();
                let puzzle = Puzzle::new(text.as_bytes(), args.difficulty.unwrap_or_default());
                let puzzle = puzzle.map_err(|error| {
                    Refused::new("--puzzle", error, "give at most 1 MiB of text")
                })?;
                within("puzzle", args.start_nonce, NONCE_END - 1)?;
                Ok(Job::Puzzle(puzzle, text))
            }
        }
    }

    fn search(&self, miner: &Miner, start: u64, terminal: &Terminal) -> Search {
        match self {
            Job::Header(header) => {
                let nonces = start..1 << 32;
                sliced(nonces, HEADER_SLICE, terminal, |part| {
                    let (first, last) = (part.start as u32, (part.end - 1) as u32);
                    let target = header.bits.target().expect("the header's target was checked");
                    let mined = miner.mine_for(header, target, first..=last, interrupt::stop());
                    (
                        converted(mined.outcome, |solved| found_header(header, solved.nonce)),
                        mined.statistics,
                    )
                })
            }
            Job::Puzzle(puzzle, text) => sliced(start..NONCE_END, PUZZLE_SLICE, terminal, |part| {
                let mined = puzzle.solve(miner, part, interrupt::stop());
                let found = |solution: quorumark_chain::puzzle::Solution| Found {
                    nonce: solution.nonce,
                    hash: solution.digest.to_string(),
                    preimage: ("text", format!("{text}{}", solution.nonce)),
                };
                (converted(mined.outcome, found), mined.statistics)
            }),
        }
    }

    fn exhausted(&self) -> &'static str {
        match self {
            Job::Header(_) => {
                "no nonce is left: change the header's time or its Merkle root, and search again"
            }
            Job::Puzzle(..) => "no nonce is left: ask for fewer zeros",
        }
    }
}

fn parse_header(text: &str) -> Result<Header, Refused> {
    let remedy = "give the 80 bytes of a block header, as block explorers show them";
    let header: Header = text.parse().map_err(|error| Refused::new("--header", error, remedy))?;
    match header.bits.target() {
        Ok(_) => Ok(header),
        Err(error) => Err(Refused::new("--header", error, "look at bytes 73 to 76, the bits")),
    }
}

fn within(of: &str, start: u64, last: u64) -> Result<(), Refused> {
    if start <= last {
        return Ok(());
    }
    let problem = format!("{start} is above the last nonce of a {of}");
    Err(Refused::new("--start-nonce", problem, format!("choose 0 to {last}")))
}

fn found_header(header: &Header, nonce: u32) -> Found {
    let solved = Header { nonce, ..*header };
    Found {
        nonce: u64::from(nonce),
        hash: solved.block_hash().to_string(),
        preimage: ("header", hex::encode(&solved.encode())),
    }
}

fn converted<T, U>(outcome: Outcome<T>, convert: impl FnOnce(T) -> U) -> Outcome<U> {
    match outcome {
        Outcome::Found(answer) => Outcome::Found(convert(answer)),
        Outcome::Exhausted => Outcome::Exhausted,
        Outcome::Stopped => Outcome::Stopped,
    }
}

/// Searches slice after slice, so that progress can be told between them. The first slice with an
/// answer has the lowest one.
fn sliced(
    nonces: Range<u64>,
    slice: u64,
    terminal: &Terminal,
    mut search: impl FnMut(Range<u64>) -> (Outcome<Found>, Statistics),
) -> Search {
    assert!(slice > 0, "a slice has nonces");
    let progress = ProgressLine::new(terminal, "mine");
    let mut all = Search { outcome: Outcome::Exhausted, statistics: Statistics::default() };
    let mut start = nonces.start;
    while start < nonces.end {
        let end = nonces.end.min(start.saturating_add(slice));
        let (outcome, statistics) = search(start..end);
        all.statistics.add(&statistics);
        progress.show(&all.cost());
        if !matches!(outcome, Outcome::Exhausted) {
            all.outcome = outcome;
            break;
        }
        start = end;
    }
    all
}

impl Search {
    fn hashes_per_s(&self) -> Option<f64> {
        Some(self.statistics.hashes_per_s()).filter(|rate| *rate > 0.0)
    }

    /// `2,083,236,894 hashes in 58 s, 36 MH/s`.
    fn cost(&self) -> String {
        let hashes = units::thousands(self.statistics.hashes() as f64);
        let elapsed = units::duration_ns(self.statistics.elapsed.as_nanos() as f64);
        let rate = units::metric("hashes_per_s", self.hashes_per_s());
        format!("{hashes} hashes in {elapsed}, {rate}")
    }

    /// `14.1M hashes/s, 14.0M hashes/s`: the rate of each thread.
    fn by_thread(&self) -> String {
        let rates = self.statistics.hashes_per_s_by_thread();
        let shown = rates.iter().map(|rate| units::metric("hashes_per_s", Some(*rate)));
        shown.collect::<Vec<_>>().join(", ")
    }

    fn pairs(&self, miner: &Miner) -> Vec<(&'static str, String)> {
        let mut pairs = match &self.outcome {
            Outcome::Found(found) => vec![
                ("nonce", found.nonce.to_string()),
                ("hash", found.hash.clone()),
                (found.preimage.0, found.preimage.1.clone()),
            ],
            Outcome::Exhausted => vec![("nonce", "none".to_owned())],
            Outcome::Stopped => vec![("nonce", "interrupted before one was found".to_owned())],
        };
        let threads = miner.threads();
        let plural = if threads == 1 { "" } else { "s" };
        pairs.push(("tried", format!("{}, {threads} thread{plural}", self.cost())));
        if threads > 1 {
            pairs.push(("each", self.by_thread()));
        }
        pairs
    }

    fn to_json(&self, miner: &Miner) -> Value {
        let mut document = Map::new();
        let outcome = match &self.outcome {
            Outcome::Found(found) => {
                document.insert("nonce".to_owned(), json!(found.nonce));
                document.insert("hash".to_owned(), json!(found.hash));
                document.insert(found.preimage.0.to_owned(), json!(found.preimage.1));
                "found"
            }
            Outcome::Exhausted => "exhausted",
            Outcome::Stopped => "interrupted",
        };
        let cost = [
            ("outcome", json!(outcome)),
            ("hashes", json!(self.statistics.hashes())),
            ("elapsed_ns", json!(self.statistics.elapsed.as_nanos() as u64)),
            ("hashes_per_s", json!(self.hashes_per_s())),
            ("hashes_per_s_by_thread", json!(self.statistics.hashes_per_s_by_thread())),
            ("threads", json!(miner.threads())),
            ("sha256_path", json!(miner.path().to_string())),
        ];
        document.extend(cost.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(document)
    }
}
