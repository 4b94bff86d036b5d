//! `doctor`: can figures of this machine be trusted?

use clap::Args;
use quorumark_harness::doctor::{self, Finding, SPIN};
use quorumark_report::table::Table;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::terminal::Terminal;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: figures can be trusted; 4: they cannot, for the reason shown."
)]
pub(crate) struct DoctorArgs {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Looks at the machine, and prints what was found.
pub(crate) fn doctor(args: &DoctorArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let findings = doctor::examine(crate::ALLOCATOR_NAME, SPIN);
    let trusted = doctor::trusted(&findings);
    if args.json {
        let findings: Vec<Value> = findings.iter().map(to_json).collect();
        terminal.print_json(&json!({ "trusted": trusted, "findings": findings }))?;
    } else {
        terminal.print(&text(&findings, trusted, terminal))?;
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

fn text(findings: &[Finding], trusted: bool, terminal: &Terminal) -> String {
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
    let (verdict, meaning) = match trusted {
        true => ("trusted", "figures of this machine stand, within what is said above"),
        false => ("not trusted", "measure again when what is marked bad is mended"),
    };
    text.push_str(&format!("{}: {meaning}\n", terminal.bold(verdict)));
    text
}
