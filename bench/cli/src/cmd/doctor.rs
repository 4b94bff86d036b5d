//! `doctor`: can figures of this machine be trusted?

use clap::Args;
use quorumark_harness::doctor::{self, Finding, Judgement, SPIN};
use quorumark_harness::limits::{self, Limit, Limits, ROUNDS, Share, Spread};
use quorumark_harness::pace::control::{Compared, Control, control};
use quorumark_report::table::Table;
use quorumark_report::units;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::terminal::Terminal;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark doctor
  quorumark doctor --limits --json

Exit code 0: figures can be trusted; 4: they cannot, for the reason shown.")]
pub(crate) struct DoctorArgs {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Measure what this core can do, and how near each kernel comes to it
    #[arg(long)]
    limits: bool,
    /// Measure whether the probe of a run's pace is fair on this machine; takes half a minute
    #[arg(long)]
    pace: bool,
}

/// Looks at the machine, and prints what was found.
pub(crate) fn doctor(args: &DoctorArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let findings = doctor::examine(crate::ALLOCATOR_NAME, SPIN);
    let trusted = doctor::trusted(&findings);
    let limits = args.limits.then(|| limits::measure(ROUNDS));
    let pace = args.pace.then(control);
    if args.json {
        let findings: Vec<Value> = findings.iter().map(to_json).collect();
        let mut document = json!({ "trusted": trusted, "findings": findings });
        if let Some(limits) = &limits {
            document["limits"] = limits_to_json(limits);
        }
        if let Some(pace) = &pace {
            document["pace"] = pace_to_json(pace);
        }
        terminal.print_json(&document)?;
    } else {
        let limits = limits.map(|limits| limits_text(&limits, terminal)).unwrap_or_default();
        let pace = pace.as_ref().map(pace_text).unwrap_or_default();
        terminal.print(&(limits + &pace + &text(&findings, terminal)))?;
    }
    Ok(if trusted { Exit::Done } else { Exit::Inconclusive })
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "what": finding.what,
        "value": finding.value,
        "judgement": finding.judgement.as_str(),
        "remedy": finding.remedy,
    })
}

fn text(findings: &[Finding], terminal: &Terminal) -> String {
    let mut table = Table::new(&["", "what", "found"], &[]);
    for finding in findings {
        table.push([finding.judgement.as_str(), finding.what, finding.value.as_str()]);
    }
    let mut text = table.to_text(terminal.style().width).join("\n");
    text.push_str("\n\n");
    for finding in findings {
        if let Some(remedy) = finding.remedy {
            let judgement = finding.judgement.as_str();
            text.push_str(&format!("{judgement}, {}: {remedy}\n", finding.what));
        }
    }
    let (verdict, meaning) = conclusion(findings);
    text.push_str(&format!("{}: {meaning}\n", terminal.bold(verdict)));
    text
}

/// What the worst finding makes of the machine, and what that means for its figures.
fn conclusion(findings: &[Finding]) -> (&'static str, &'static str) {
    match findings.iter().map(|finding| finding.judgement).max() {
        Some(Judgement::Bad) => ("not trusted", "measure again when what is marked bad is mended"),
        Some(Judgement::Warn) => {
            ("trusted with reservations", "figures stand, but for those that a warning names")
        }
        Some(Judgement::Ok) | None => ("trusted", "figures of this machine stand"),
    }
}

fn limits_to_json(limits: &Limits) -> Value {
    let kernel = |kernel: &Share| {
        json!({
            "name": kernel.name,
            "unit": format!("ns/{}", kernel.item),
            "path": kernel.path,
            "cost": spread_to_json(Some(kernel.cost), limits),
            "floor": spread_to_json(kernel.floor, limits),
            "floor_of": kernel.floor_of,
            "limit_share": kernel.share,
        })
    };
    let limit = |limit: &Limit| {
        json!({
            "name": limit.name,
            "unit": "ns",
            "how": limit.how,
            "path": limit.path,
            "cost": spread_to_json(limit.cost, limits),
        })
    };
    json!({
        "rounds": limits.rounds,
        "clock_ghz": limits.clock_ghz,
        "limits": limits.limits.iter().map(limit).collect::<Vec<_>>(),
        "kernels": limits.kernels.iter().map(kernel).collect::<Vec<_>>(),
    })
}

fn spread_to_json(spread: Option<Spread>, limits: &Limits) -> Value {
    spread.map_or(Value::Null, |spread| {
        json!({
            "median": spread.median_ns,
            "min": spread.min_ns,
            "min_cycles": limits.clock_ghz.map(|ghz| spread.min_ns * ghz),
        })
    })
}

/// Two tables: what the core can do, and what the kernels make of it.
fn limits_text(limits: &Limits, terminal: &Terminal) -> String {
    let width = terminal.style().width;
    let mut core = Table::new(&["limit", "path"], &["median", "least", "cycles"]);
    for limit in &limits.limits {
        let [median, least, cycles] = cells(limit.cost, limits);
        core.push([limit.name.to_owned(), limit.path.to_owned(), median, least, cycles]);
    }
    let numbers = ["median", "least", "cycles", "floor", "of limit"];
    let mut kernels = Table::new(&["kernel", "per", "path"], &numbers);
    for kernel in &limits.kernels {
        let [median, least, cycles] = cells(Some(kernel.cost), limits);
        let [floor, ..] = cells(kernel.floor, limits);
        let share = kernel.share.map_or_else(|| NOT_KNOWN.to_owned(), units::share);
        let texts = [kernel.name, kernel.item, kernel.path].map(str::to_owned);
        kernels.push(texts.into_iter().chain([median, least, cycles, floor, share]));
    }
    let mut lines = core.to_text(width);
    lines.push(String::new());
    let how = |limit: &Limit| format!("{}: {}", limit.name, limit.how);
    lines.extend(limits.limits.iter().map(how));
    lines.push(String::new());
    lines.extend(kernels.to_text(width));
    lines.push(String::new());
    for kernel in limits.kernels.iter().filter(|kernel| !kernel.floor_of.is_empty()) {
        lines.push(format!("floor of {}: {}", kernel.name, kernel.floor_of));
    }
    let clock =
        limits.clock_ghz.map_or_else(|| "unknown".to_owned(), |ghz| format!("{ghz:.2} GHz"));
    lines.push(format!("{} rounds, CPU time; clock {clock}\n\n", limits.rounds));
    lines.join("\n")
}

fn pace_to_json(pace: &Control) -> Value {
    let compared = |compared: &Option<Compared>| {
        compared.map_or(Value::Null, |compared| {
            json!({
                "watching_us": compared.watching_us,
                "working_us": compared.working_us,
                "factor": compared.factor(),
            })
        })
    };
    json!({
        "alone": compared(&pace.alone),
        "saturated": pace.saturated.iter().map(compared).collect::<Vec<_>>(),
    })
}

/// A line for each comparison, and what they mean.
fn pace_text(pace: &Control) -> String {
    let line = |when: &str, compared: &Option<Compared>| match compared {
        Some(compared) => format!(
            "{when}: a look takes {:.0} us to who watches, {:.0} us to who works: {:.3}\n",
            compared.watching_us,
            compared.working_us,
            compared.factor()
        ),
        None => format!("{when}: nothing was seen\n"),
    };
    let mut text = line("idle machine", &pace.alone);
    text.extend(pace.saturated.iter().map(|compared| line("every core busy", compared)));
    text.push_str("by that factor limit_share of signed runs is too high; below 1, too low\n\n");
    text
}

/// What stands where this machine has no such instructions, or nothing is known of the path.
const NOT_KNOWN: &str = "n/a";

/// Median and least in nanoseconds, and the least in cycles.
fn cells(spread: Option<Spread>, limits: &Limits) -> [String; 3] {
    let Some(spread) = spread else { return [NOT_KNOWN; 3].map(str::to_owned) };
    let cycles = limits.clock_ghz.map(|ghz| units::digits(spread.min_ns * ghz));
    [
        units::duration_ns(spread.median_ns),
        units::duration_ns(spread.min_ns),
        cycles.unwrap_or_else(|| NOT_KNOWN.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_warnings_is_not_trusted_without_reserve() {
        let finding = |judgement| {
            let remedy = (judgement > Judgement::Ok).then_some("mend it");
            Finding { what: "cores", value: "1".to_owned(), judgement, remedy }
        };
        let concluded = |judgements: &[Judgement]| {
            let findings: Vec<Finding> = judgements.iter().copied().map(finding).collect();
            conclusion(&findings).0
        };
        assert_eq!(concluded(&[Judgement::Ok]), "trusted");
        assert_eq!(concluded(&[Judgement::Ok, Judgement::Warn]), "trusted with reservations");
        assert_eq!(concluded(&[Judgement::Bad, Judgement::Warn]), "not trusted");
    }
}
