//! `compare`: two records, two settings or two builds held against each other, and a verdict.

mod builds;
mod live;
pub(super) mod metric;
mod subject;

use std::path::{Path, PathBuf};

use clap::Args;
use quorumark_harness::{Origin, Parameter, ParameterSet};
use quorumark_report::compare::judge::{Finding, Limits, THRESHOLD_DEFAULT};
use quorumark_report::compare::noise::{Kind, NoiseFloors};
use quorumark_report::compare::{self, Comparison, Incomparable, Request, Side};
use quorumark_report::document::Compared;
use quorumark_report::{Document, Record, Verdict, html};

use crate::baselines;
use crate::exit::{self, Exit};
use crate::refused::Refused;
use crate::settings::SettingArgs;
use crate::terminal::Terminal;

/// The file that holds a comparison that was measured, beside the folders of its two records.
pub(super) const COMPARISON_FILE: &str = "comparison.json";

/// What stands below the flags of `compare`.
const AFTER_HELP: &str = "\
Two settings or two builds are measured in turn, pair by pair, so that what the machine does from
minute to minute is in both; --repeat is the number of pairs. Records were measured one after the
other: that is judged by another test, and sees less. Ten pairs, or ten samples a side (`run
--repeat 10`), are the least.

A change counts when its 95 % interval leaves out zero, the test says that chance alone makes it in
less than 5 %, and it exceeds both --threshold and what equal sides differ by on this machine. The
latter is learned: from the samples of each comparison, and from A/A comparisons, which leave it in
quorumark-baselines. Exact counters are compared exactly. METHODOLOGY.md says more.

Examples:
  quorumark compare pbft/pipeline --a batch_size_max=256 --b batch_size_max=8 --duration 2s
  quorumark compare pbft/pipeline --duration 2s                A/A: learn this machine's noise
  quorumark compare hash/sha256d --a-binary old/quorumark      the build in front of you against old
  quorumark compare quorumark-runs/monday quorumark-runs/tuesday --metric throughput,p99
  quorumark compare target/criterion/G/ID/base target/criterion/G/ID/new     what criterion saved
  quorumark compare main quorumark-runs/mine --fail-on-regression      main: `baseline save main ..`
  quorumark compare main quorumark-runs/mine --html comparison.html    a page with every sample

Exit codes: 0 no regression, or one without --fail-on-regression; 3 regression with it;
4 inconclusive or insufficient; 10 a run was unsafe; 130 interrupted.";

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CompareArgs {
    /// Two records, A the baseline and B the candidate: each a run's folder, its record.json or the
    /// name of a baseline. Or one scenario, measured now.
    #[arg(required = true, num_args = 1..=2, value_name = "WHAT")]
    what: Vec<String>,
    /// Of A alone, set a parameter. Repeatable.
    #[arg(long = "a", value_name = "NAME=VALUE", help_heading = "The two sides")]
    a: Vec<String>,
    /// Of B alone, set a parameter. Repeatable.
    #[arg(long = "b", value_name = "NAME=VALUE", help_heading = "The two sides")]
    b: Vec<String>,
    /// The program that measures A, another build of quorumark [default: this one].
    #[arg(long, value_name = "PATH", help_heading = "The two sides")]
    a_binary: Option<PathBuf>,
    /// The program that measures B [default: this one].
    #[arg(long, value_name = "PATH", help_heading = "The two sides")]
    b_binary: Option<PathBuf>,
    /// Metrics to judge, by name or by its beginning or end, such as throughput or p99
    /// [default: CPU time of an operation, and rate].
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    metric: Vec<String>,
    /// The smallest change that is looked for, such as 5% [default: 3%].
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    threshold: Option<String>,
    /// End with exit code 3 where B is worse than A.
    #[arg(long)]
    fail_on_regression: bool,
    /// Write Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write one HTML page, which opens offline.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Folder for what is measured [default: a new one under quorumark-runs].
    #[arg(long, value_name = "DIR", env = "QUORUMARK_OUT", hide_env = true)]
    out: Option<PathBuf>,
    /// Print the comparison as one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// Compares, measuring first where a scenario is named.
pub(crate) fn compare(args: &CompareArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let floors = NoiseFloors::read(&baselines::noise_file())?;
    match args.what.as_slice() {
        [a, b] => subject::compare(args, a, b, &floors, terminal),
        [scenario, ..] => live::compare(args, scenario, floors, terminal),
        [] => unreachable!("the command line has one or two"),
    }
}

impl CompareArgs {
    fn threshold(&self) -> anyhow::Result<f64> {
        let Some(text) = &self.threshold else { return Ok(THRESHOLD_DEFAULT) };
        let parameter = Parameter::share("threshold", THRESHOLD_DEFAULT, "");
        let mut one = ParameterSet::new(vec![parameter]);
        one.set("threshold", text, Origin::Flag("--threshold".to_owned()))?;
        Ok(one.share("threshold"))
    }

    /// `--metric` and `--threshold` as they are repeated.
    fn judging(&self) -> String {
        let metrics = self.metric.join(",");
        let metric = if metrics.is_empty() { metrics } else { format!(" --metric {metrics}") };
        let threshold = self.threshold.as_ref().map(|share| format!(" --threshold {share}"));
        metric + &threshold.unwrap_or_default()
    }
}

/// How two records are to be judged; `known` are the metrics that there are.
fn request(
    args: &CompareArgs,
    known: &[String],
    floors: &NoiseFloors,
    kind: &Kind,
) -> anyhow::Result<Request> {
    Ok(Request {
        metrics: metric::resolve(&args.metric, known)?,
        limits: Limits { threshold: args.threshold()?, learned: floors.learned(kind) },
        ..Request::default()
    })
}

/// Prints what was found in the two records, and writes the files that were asked for.
fn show(
    args: &CompareArgs,
    found: &Comparison,
    records: [&Record; 2],
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    if let Some(file) = &args.html {
        let compared = Compared { found, records: Some(records) };
        super::report::write(file, &html::page(&[Document::Comparison(compared)]))?;
        terminal.note(&format!("page: {}", file.display()));
    }
    if let Some(file) = &args.markdown {
        super::report::write(file, &compare::markdown(found))?;
        terminal.note(&format!("markdown: {}", file.display()));
    }
    match args.json {
        true => terminal.print_json(&serde_json::to_value(found)?)?,
        false => terminal.print(&compare::text(found, terminal.style()))?,
    }
    Ok(exit_of(found.finding, args.fail_on_regression))
}

fn exit_of(finding: Finding, fail_on_regression: bool) -> Exit {
    match finding {
        Finding::Regressed if fail_on_regression => Exit::Regressed,
        Finding::Inconclusive | Finding::Insufficient => Exit::Inconclusive,
        Finding::Improved | Finding::Regressed | Finding::Unchanged => Exit::Done,
    }
}

/// Keeps what a comparison of equal sides taught.
fn learn(
    mut floors: NoiseFloors,
    found: &Comparison,
    kind: &Kind,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    if floors.learn(found, kind) {
        let file = baselines::noise_file();
        floors.write(&file)?;
        let learned = floors.learned(kind);
        let told = learned.iter().map(|(metric, share)| format!("{metric} {:.1} %", share * 100.0));
        let told: Vec<String> = told.collect();
        terminal.note(&format!("noise learned in {}: {}", file.display(), told.join(", ")));
    }
    Ok(())
}

/// The comparison, or, where a run just measured has no result, its exit code.
fn judged(a: Side<'_>, b: Side<'_>, request: &Request) -> anyhow::Result<Result<Comparison, Exit>> {
    match compare::compare(a, b, request) {
        Ok(found) => Ok(Ok(found)),
        Err(error @ Incomparable::NoResult { verdict: Verdict::Fail | Verdict::Void, .. }) => {
            exit::say(&format!("error: {error}"));
            let unsafe_run = [a, b].iter().any(|side| side.record.verdict == Verdict::Fail);
            Ok(Err(if unsafe_run { Exit::Unsafe } else { Exit::Inconclusive }))
        }
        Err(error) => Err(Refused::sentence(error.to_string()).into()),
    }
}

/// A side's record goes into a folder of its own below that of the comparison.
pub(super) fn side_folder(folder: &Path, side: &str) -> PathBuf {
    folder.join(side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_that_are_documented() {
        let all = [
            Finding::Unchanged,
            Finding::Improved,
            Finding::Regressed,
            Finding::Inconclusive,
            Finding::Insufficient,
        ];
        let codes = |strict| all.map(|finding| exit_of(finding, strict) as u8);
        assert_eq!(codes(false), [0, 0, 0, 4, 4]);
        assert_eq!(codes(true), [0, 0, 3, 4, 4]);
    }
}
