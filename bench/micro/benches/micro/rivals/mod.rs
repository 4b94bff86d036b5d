//! Ours beside the crates that people would use otherwise, and the ratio.
//!
//! Criterion measures one case after another, and on a shared machine the same work costs up to half
//! as much again from one second to the next. So a contest runs all its contenders in turn, round
//! after round, and compares within a round: the ratio is the median of the rounds' ratios, with the
//! range of the middle half. Times are CPU time of the thread: the median of the rounds, and the best.
//! The rounds of a contest are spread over the whole run, a few in each of several passes through all
//! contests: a neighbour that stays for some seconds then slows a part of each, not all of one.
//!
//! Cycles are the best round's time over the best time of a cycle, which a chain of dependent
//! operations in the same rounds gives. A goal for a ratio is held against the median; one for
//! cycles against the best round, since a neighbour can only add to it.
//!
//! Every contender gets the same messages, keys and signatures, parsed as its interface wants them,
//! and its answer is compared with ours before it is timed. Its version is that of the lock file.
//! ed25519-dalek, ring and aws-lc-rs accept by another rule than ZIP-215; on honest signatures all
//! agree.

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod hashes;
mod signatures;
mod trees;

use std::env;
use std::fmt;
use std::hint::black_box;
use std::io::{self, Write};
use std::mem;
use std::time::{Duration, Instant};

use quorumark_harness::clock::{Cost, Scope};
use quorumark_harness::{environment, provenance};
use quorumark_micro::lock;
use quorumark_report::stats::median;
use quorumark_report::units::thousands;

/// How often all contests are gone through.
const PASSES: usize = 9;
/// Rounds of a contest in a pass.
const ROUNDS: usize = 5;
/// Time that a contest may take in a pass; rounds that no longer fit are left out, but for one.
const CONTEST_MAX: Duration = Duration::from_millis(500);
/// Operations of the chain that tells what a cycle takes.
const CHAIN: u32 = 1 << 21;
/// What the names of all contests begin with.
const AREA: &str = "rivals::";
/// Criterion's options that no value follows.
const FLAGS: &[&str] = &[
    "--bench",
    "--discard-baseline",
    "--exact",
    "--ignored",
    "--nocapture",
    "--noplot",
    "--quick",
    "--quiet",
    "--verbose",
    "-n",
    "-v",
];

/// What a contest is held against.
#[derive(Clone, Copy)]
enum Goal {
    /// At most so many cycles for one of what is counted.
    Cycles(f64),
    /// Our cost is at most this share of that contender's.
    Share(&'static str, f64),
}

/// Cycles of a microsecond on the machine that the goals were set on: 3.24 GHz.
const MICROSECOND: f64 = 3240.0;

/// One piece of work and who does it; the first is ours.
struct Contest {
    name: &'static str,
    /// What is counted, and what one of them takes is shown in: `us`, `ns`.
    unit: Unit,
    /// How many of what is counted one run does.
    items: usize,
    goals: &'static [Goal],
    contenders: Vec<Contender>,
}

struct Contender {
    name: &'static str,
    /// Untimed, before each run.
    prepare: Box<dyn FnMut()>,
    run: Box<dyn FnMut()>,
}

#[derive(Clone, Copy)]
enum Unit {
    Microseconds,
    Nanoseconds,
}

impl Contender {
    fn new(name: &'static str, run: impl FnMut() + 'static) -> Contender {
        Contender::prepared(name, || (), run)
    }

    fn prepared(
        name: &'static str,
        prepare: impl FnMut() + 'static,
        run: impl FnMut() + 'static,
    ) -> Contender {
        Contender { name, prepare: Box::new(prepare), run: Box::new(run) }
    }

    /// CPU time of one run, in nanoseconds.
    fn timed(&mut self) -> f64 {
        (self.prepare)();
        let mut cost = Cost::default();
        cost.add(Scope::Thread, || (self.run)());
        cost.cpu.as_nanos() as f64
    }
}

/// Holds the contests that the command line asks for and prints them as Markdown: all without a
/// filter; with `--test` each contender runs once, and twice with its warm-up.
///
/// # Errors
/// When standard output is gone.
pub(crate) fn hold() -> io::Result<()> {
    let Some(asked) = Asked::read(env::args().skip(1)) else { return Ok(()) };
    let all = signatures::CONTESTS.iter().chain(hashes::CONTESTS).chain(trees::CONTESTS);
    let wanted = all.filter(|(name, _)| asked.wants(name));
    let mut contests: Vec<Contest> = wanted.map(|(name, make)| make(name)).collect();
    if contests.is_empty() {
        return Ok(());
    }
    let mut measured: Vec<Rounds> = contests.iter().map(Rounds::none).collect();
    for _ in 0..asked.passes {
        for (contest, rounds) in contests.iter_mut().zip(&mut measured) {
            contest.pass(asked.rounds, rounds);
        }
    }
    let mut out = io::stdout().lock();
    head(&mut out)?;
    for (contest, rounds) in contests.iter().zip(&measured) {
        contest.print(rounds, &mut out)?;
    }
    Ok(())
}

/// What criterion's command line asks of the contests.
struct Asked {
    /// Parts of names; none means all.
    filters: Vec<String>,
    passes: usize,
    /// Of a contest, in each pass.
    rounds: usize,
}

impl Asked {
    /// `None` where criterion only lists, compares what is stored, or profiles.
    fn read(words: impl Iterator<Item = String>) -> Option<Asked> {
        let mut asked = Asked { filters: Vec::new(), passes: PASSES, rounds: ROUNDS };
        let mut value = false;
        for word in words {
            match word.as_str() {
                "--list" | "--profile-time" | "--load-baseline" => return None,
                "--test" => (asked.passes, asked.rounds) = (1, 1),
                option if option.starts_with('-') => {
                    value = !option.contains('=') && !FLAGS.contains(&option);
                    continue;
                }
                _ if value => {}
                filter => asked.filters.push(filter.to_owned()),
            }
            value = false;
        }
        Some(asked)
    }

    fn wants(&self, name: &str) -> bool {
        let id = format!("{AREA}{name}");
        self.filters.is_empty() || self.filters.iter().any(|filter| id.contains(filter.as_str()))
    }
}

/// A contest's name, and what sets it up.
type Row = (&'static str, fn(&'static str) -> Contest);

fn head(out: &mut impl Write) -> io::Result<()> {
    let machine = environment::capture(&environment::Before::now());
    let build = provenance::capture("system", env!("CARGO_PKG_VERSION"));
    let paths: Vec<String> =
        build.simd.iter().map(|(kernel, path)| format!("{kernel} {path}")).collect();
    let commit =
        build.commit.map_or_else(|| "an unknown commit".to_owned(), |id| id[..12].to_owned());
    let changed = if build.dirty == Some(true) { " with changes" } else { "" };
    let processor = machine.cpu_model.unwrap_or_else(|| "an unknown processor".to_owned());
    writeln!(out, "\n{processor}; {}; {commit}{changed}.", paths.join(", "))?;
    writeln!(
        out,
        "CPU time of one thread, median (and best) of up to {} rounds; cycles of the best.\n",
        PASSES * ROUNDS
    )?;
    writeln!(
        out,
        "| work | ours | cycles | beside | theirs | ours / theirs (middle half) | goal |"
    )?;
    writeln!(out, "|---|---:|---:|---|---:|---:|---|")
}

/// What was measured of a contest.
struct Rounds {
    /// What each contender took, round by round, in nanoseconds.
    took: Vec<Vec<f64>>,
    /// What a cycle took at best, in nanoseconds.
    cycle_ns: f64,
}

impl Rounds {
    fn none(contest: &Contest) -> Rounds {
        Rounds { took: vec![Vec::new(); contest.contenders.len()], cycle_ns: f64::INFINITY }
    }
}

impl Contest {
    /// Adds the rounds of a pass, after one to warm up.
    fn pass(&mut self, most: usize, rounds: &mut Rounds) {
        for contender in &mut self.contenders {
            contender.timed();
        }
        let started = Instant::now();
        for round in 0..most {
            if round > 0 && started.elapsed() > CONTEST_MAX {
                break;
            }
            for (contender, took) in self.contenders.iter_mut().zip(&mut rounds.took) {
                took.push(contender.timed());
            }
            rounds.cycle_ns = rounds.cycle_ns.min(cycle());
        }
    }

    fn print(&self, rounds: &Rounds, out: &mut impl Write) -> io::Result<()> {
        let [ours, theirs @ ..] = &rounds.took[..] else { return Ok(()) };
        let cycles = best(ours) / self.items as f64 / rounds.cycle_ns;
        let mut first = [self.name.to_owned(), self.shown(ours), grouped(cycles)];
        let mut owed = self.owed(cycles);
        for (contender, took) in self.contenders[1..].iter().zip(theirs) {
            let ratios = Ratios::of(ours, took);
            owed.extend(self.owed_beside(contender.name, ratios.median));
            let beside = lock::with_version(contender.name, lock::LOCK);
            let theirs = self.shown(took);
            let (first, owed) =
                (mem::take(&mut first).join(" | "), mem::take(&mut owed).join(", "));
            writeln!(out, "| {first} | {beside} | {theirs} | {ratios} | {owed} |")?;
        }
        out.flush()
    }

    /// The goal for what ours takes, and whether it is reached.
    fn owed(&self, cycles: f64) -> Vec<String> {
        let most = self.goals.iter().filter_map(|goal| match goal {
            Goal::Cycles(most) => Some(*most),
            Goal::Share(..) => None,
        });
        most.map(|most| format!("<= {} cycles: {}", grouped(most), met(cycles <= most))).collect()
    }

    /// The goal beside one contender, and whether it is reached.
    fn owed_beside(&self, beside: &str, ratio: f64) -> Option<String> {
        self.goals.iter().find_map(|goal| match *goal {
            Goal::Share(name, most) if name == beside => {
                Some(format!("ratio <= {most:.3}: {}", met(ratio <= most)))
            }
            _ => None,
        })
    }

    /// What one of what is counted costs, when a run took `ns`.
    fn cost(&self, ns: f64) -> f64 {
        ns / self.items as f64 / self.unit.ns()
    }

    fn shown(&self, rounds: &[f64]) -> String {
        let middle = median(rounds.iter().copied()).unwrap_or(f64::NAN);
        let (middle, least) = (self.cost(middle), self.cost(best(rounds)));
        let unit = self.unit.name();
        if least < 1000.0 {
            format!("{middle:.2} {unit} (best {least:.2})")
        } else {
            format!("{middle:.0} {unit} (best {least:.0})")
        }
    }
}

/// What a cycle takes now, in nanoseconds: an addition and an exclusive or take one each, and a chain
/// of them depends on the clock alone, whoever shares the core.
fn cycle() -> f64 {
    let mut cost = Cost::default();
    let (mut state, addend, mask) = black_box((1u64, 0x9e37_79b9, 0x5555));
    cost.add(Scope::Thread, || {
        for _ in 0..CHAIN / 2 {
            state = state.wrapping_add(addend) ^ mask;
        }
        black_box(state);
    });
    cost.cpu.as_nanos() as f64 / f64::from(CHAIN)
}

fn met(reached: bool) -> &'static str {
    if reached { "met" } else { "missed" }
}

/// Cycles as people read them: `35,640`, `106.9`.
fn grouped(cycles: f64) -> String {
    if cycles < 1000.0 { format!("{cycles:.1}") } else { thousands(cycles.round()) }
}

fn best(rounds: &[f64]) -> f64 {
    rounds.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Ours over theirs, round by round.
struct Ratios {
    median: f64,
    /// The ends of the middle half.
    half: (f64, f64),
}

impl Ratios {
    fn of(ours: &[f64], theirs: &[f64]) -> Ratios {
        let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |quarters: usize| ratios[(ratios.len() - 1) * quarters / 4];
        Ratios { half: (at(1), at(3)), median: at(2) }
    }
}

impl fmt::Display for Ratios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 10.0 { 3 } else { 1 };
        let (low, high) = self.half;
        write!(f, "{:.digits$} ({low:.digits$} to {high:.digits$})", self.median)
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Microseconds => "us",
            Unit::Nanoseconds => "ns",
        }
    }

    fn ns(self) -> f64 {
        match self {
            Unit::Microseconds => 1e3,
            Unit::Nanoseconds => 1.0,
        }
    }
}
