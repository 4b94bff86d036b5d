//! The verdict on a run: what its checks come to, its JSON, its exit code.

use std::time::Duration;

use quorumark_primitives::Digest;
use serde_json::{Map, Value, json};

use crate::check::{Check, Exhibit, Family, Report, Violation};
use crate::trace::EndCause;

/// The version of the JSON below.
pub const SCHEMA: u32 = 1;

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was asked for held, and something was checked.
    Pass,
    /// A safety property was violated, or something grew beyond its cap.
    SafetyViolation,
    /// A liveness property was violated, and no safety property.
    LivenessViolation,
    /// Something panicked.
    Panic,
    /// Nobody knows.
    Inconclusive(Doubt),
}

/// Why a run is inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// `--max-events` was spent first.
    EventsSpent,
    /// The trace has no end.
    Unfinished,
    /// The run ended before GST.
    GstNeverReached,
    /// No check came to decide anything.
    NothingChecked,
}

/// What a scenario expects of its runs: `verdict` and `min_operations` under `[expect]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// [`Outcome::Pass`] or one of the violations.
    pub outcome: Outcome,
    /// Operations that must have been answered to clients.
    pub operations_min: u64,
}

/// What a verdict tells of its run beside what its trace says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The scenario's name.
    pub name: String,
    /// The scenario's file, as it was given on the command line.
    pub scenario: String,
    /// SHA-256 of that file.
    pub scenario_sha256: Digest,
    /// The seed of the run.
    pub seed: u64,
    /// The version of the tool.
    pub version: &'static str,
    /// The commit that it was built from, if it is known.
    pub commit: Option<String>,
    /// The hash of the trace.
    pub trace_hash: Digest,
    /// How long the run took.
    pub wall: Duration,
}

/// A run, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What became of it.
    pub outcome: Outcome,
    /// What was expected.
    pub expected: Expectation,
    /// What was checked and found.
    pub report: Report,
    /// Which run it was.
    pub about: About,
}

impl Outcome {
    /// As scenarios and verdicts spell it.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::SafetyViolation => "safety-violation",
            Outcome::LivenessViolation => "liveness-violation",
            Outcome::Panic => "panic",
            Outcome::Inconclusive(_) => "inconclusive",
        }
    }

    /// The outcome of a report. A panic outweighs everything, a violation outweighs every doubt,
    /// safety outweighs liveness.
    pub fn of(report: &Report) -> Outcome {
        let families: Vec<Family> = report.violated().map(Check::family).collect();
        let summary = &report.summary;
        if summary.panic.is_some() || summary.cause == Some(EndCause::Panic) {
            Outcome::Panic
        } else if families.iter().any(|family| *family != Family::Liveness) {
            Outcome::SafetyViolation
        } else if families.contains(&Family::Liveness) {
            Outcome::LivenessViolation
        } else {
            doubt(report).map_or(Outcome::Pass, Outcome::Inconclusive)
        }
    }
}

impl Doubt {
    /// The reason, in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Doubt::EventsSpent => "--max-events was spent before the run was over; raise it",
            Doubt::Unfinished => "the trace has no end",
            Doubt::GstNeverReached => "the run ended before gst; let duration reach beyond it",
            Doubt::NothingChecked => "no check came to decide anything; submit operations",
        }
    }
}

impl Verdict {
    /// Judges a run.
    pub fn new(report: Report, expected: Expectation, about: About) -> Verdict {
        Verdict { outcome: Outcome::of(&report), expected, report, about }
    }

    /// The exit code: 0 as expected, 4 inconclusive, 10 safety violated, 11 liveness violated, 12
    /// panic, 14 a pass where a violation was expected, or too few operations answered.
    pub fn exit_code(&self) -> u8 {
        let enough = self.report.summary.answered >= self.expected.operations_min;
        match self.outcome {
            Outcome::Panic => 12,
            Outcome::Inconclusive(_) => 4,
            outcome if outcome == self.expected.outcome => match enough {
                true => 0,
                false => 14,
            },
            Outcome::SafetyViolation => 10,
            Outcome::LivenessViolation => 11,
            Outcome::Pass => 14,
        }
    }

    /// The violation that decided: the earliest of the family that the outcome names.
    pub fn first_violation(&self) -> Option<&Violation> {
        let liveness = self.outcome == Outcome::LivenessViolation;
        let found = self.report.checks.iter().filter_map(|(check, findings)| {
            let decides = (check.family() == Family::Liveness) == liveness;
            findings.first.as_ref().filter(|_| decides)
        });
        found.min_by_key(|violation| violation.line).or(self.report.first.as_ref())
    }

    /// The command that repeats the run.
    pub fn reproduce(&self) -> String {
        let file = &self.about.scenario;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "./_-+=:@%".contains(letter);
        let file = match !file.is_empty() && file.chars().all(plain) {
            true => file.clone(),
            false => format!("'{}'", file.replace('\'', r"'\''")),
        };
        format!("quorumark sim --scenario {file} --seed {}", self.about.seed)
    }

    /// The verdict in one sentence.
    pub fn sentence(&self) -> String {
        let found = match (self.outcome, self.first_violation()) {
            (Outcome::Inconclusive(doubt), _) => format!("inconclusive: {}", doubt.sentence()),
            (Outcome::Panic, _) => {
                let said = self.report.summary.panic.as_deref().unwrap_or("no message");
                format!("panic: {said}")
            }
            (Outcome::Pass, _) | (_, None) => self.outcome.word().to_owned(),
            (outcome, Some(first)) => {
                let ms = first.at.0 / 1_000_000;
                let (word, check) = (outcome.word(), first.check.word());
                format!("{word}: {check} at {ms} ms, line {}: {}", first.line, first.what)
            }
        };
        let (answered, least) = (self.report.summary.answered, self.expected.operations_min);
        let outcome = self.expected.outcome;
        match self.exit_code() {
            14 if self.outcome != outcome => format!("{found}, expected {}", outcome.word()),
            14 => format!("{found}, but {answered} operations answered, expected {least}"),
            0 if outcome != Outcome::Pass => format!("as expected: {found}"),
            _ => found,
        }
    }

    /// The verdict as JSON, as the simulator's interface describes it.
    pub fn json(&self) -> Value {
        let (about, summary) = (&self.about, &self.report.summary);
        let checks = self.report.checks.iter().map(|(check, found)| {
            let (evaluated, violated, skipped) = (found.evaluated, found.violated, found.skipped);
            let counts = json!({"evaluated": evaluated, "violated": violated, "skipped": skipped});
            (check.word().to_owned(), counts)
        });
        let peaks = summary
            .peaks
            .iter()
            .map(|(bound, peak)| (bound.clone(), json!({"value": peak.value, "cap": peak.cap})));
        let ledgers = summary.ledgers.iter().map(|head| {
            let chain = head.chain.map(|chain| chain.to_string());
            json!({"replica": head.replica.0, "seq": head.seq.0, "chain": chain})
        });
        let faults = summary.faults.iter().map(|(kind, count)| (kind.clone(), json!(count)));
        let reason = match self.outcome {
            Outcome::Inconclusive(doubt) => Some(doubt.sentence().to_owned()),
            Outcome::Panic => summary.panic.clone(),
            _ => None,
        };
        json!({
            "schema": SCHEMA,
            "version": about.version,
            "commit": about.commit,
            "name": about.name,
            "scenario_sha256": about.scenario_sha256.to_string(),
            "seed": about.seed,
            "verdict": self.outcome.word(),
            "expected": self.expected.outcome.word(),
            "min_operations": self.expected.operations_min,
            "exit_code": self.exit_code(),
            "reason": reason,
            "first_violation": self.first_violation().map(violation),
            "checks": Value::Object(checks.collect()),
            "faults": Value::Object(faults.collect::<Map<_, _>>()),
            "operations_submitted": summary.submitted,
            "operations_answered": summary.answered,
            "commits": summary.commits,
            "views": summary.views,
            "transfers": summary.transfers,
            "restarts": summary.restarts,
            "equivocations": summary.equivocations,
            "messages": summary.messages,
            "events": summary.events,
            "simulated_ns": summary.simulated.0,
            "wall_ns": u64::try_from(about.wall.as_nanos()).unwrap_or(u64::MAX),
            "peaks": Value::Object(peaks.collect()),
            "ledgers": ledgers.collect::<Vec<_>>(),
            "trace_hash": about.trace_hash.to_string(),
            "reproduce": self.reproduce(),
        })
    }
}

/// Why a report without violations is no pass.
fn doubt(report: &Report) -> Option<Doubt> {
    let summary = &report.summary;
    // Full queues say nothing about consensus, unless they are all that was asked for.
    let about_runs = |check: &Check| check.family() != Family::Resources;
    let only_resources = !report.checks.iter().any(|(check, _)| about_runs(check));
    let decided = report
        .checks
        .iter()
        .any(|(check, findings)| findings.evaluated > 0 && (only_resources || about_runs(check)));
    match summary.cause {
        None => Some(Doubt::Unfinished),
        Some(EndCause::EventsSpent) => Some(Doubt::EventsSpent),
        Some(_) if !summary.gst_reached => Some(Doubt::GstNeverReached),
        Some(_) if !decided => Some(Doubt::NothingChecked),
        Some(_) => None,
    }
}

fn violation(violation: &Violation) -> Value {
    let exhibit = |exhibit: &Exhibit| json!({"line": exhibit.line, "at_ns": exhibit.at.0, "fact": exhibit.fact.json()});
    json!({
        "check": violation.check.word(),
        "at_ns": violation.at.0,
        "line": violation.line,
        "replicas": violation.replicas.iter().map(|replica| replica.0).collect::<Vec<_>>(),
        "what": violation.what,
        "evidence": violation.evidence.iter().map(exhibit).collect::<Vec<_>>(),
        "notes": violation.notes,
    })
}
