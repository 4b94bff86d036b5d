//! Several records as one: the table of a sweep, and runs that are the samples of one record.

use quorumark_report::merged::merged;
use quorumark_report::sweep::{Axis, Row, Table};
use quorumark_report::terminal::Style;
use quorumark_report::{Check, Record, Verdict};

use crate::golden;

fn two_points() -> [Record; 2] {
    let mut second = golden();
    second.verdict = Verdict::Void;
    second.verdict_reason = Some("sent 90 % of 1,000, \"too few\"".to_owned());
    second.metrics.set("throughput_tx_per_s", None);
    [golden(), second]
}

fn table(records: &[Record; 2]) -> Table<'_> {
    let [first, second] = records;
    let row = |value, record| Row { values: vec![value, "mac"], record };
    let axes = [("rate", "per second"), ("auth", "")];
    Table {
        scenario: "pbft/pipeline",
        axes: axes.map(|(name, unit)| Axis { name, unit }).to_vec(),
        rows: vec![row("1k", first), row("2,k", second)],
        reproduce: "quorumark sweep pbft/pipeline --param rate=1k,2k --param auth=mac".to_owned(),
    }
}

#[test]
fn a_sweep_is_a_row_a_point_that_begins_with_what_was_set() {
    let records = two_points();
    let text = table(&records).text(Style::default());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].trim_start().starts_with("rate  auth"), "{text}");
    assert!(lines[0].ends_with("verdict") && lines[2].ends_with("void"), "{text}");
    assert!(text.contains("void, rate=2,k auth=mac: sent 90 %"), "{text}");
    let markdown = table(&records).markdown();
    assert!(markdown.starts_with("| rate | auth | result |"), "{markdown}");
    let none = Table { rows: Vec::new(), ..table(&records) };
    assert_eq!(none.text(Style::default()), "");
}

#[test]
fn rfc_4180_a_cell_with_a_comma_is_quoted_and_figures_are_not_rounded() {
    let records = two_points();
    let csv = table(&records).csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("rate,auth,verdict,"), "{csv}");
    assert!(lines[2].starts_with("\"2,k\",mac,void,"), "{csv}");
    let cpu = records[0].metrics.get("cpu_us_per_tx").unwrap().to_string();
    assert!(lines[1].split(',').any(|cell| cell == cpu), "{csv}");
}

#[test]
fn a_sweep_is_one_document_for_programs() {
    let records = two_points();
    let json = table(&records).json();
    assert_eq!(json["points"][1]["settings"]["rate"], "2,k");
    assert_eq!(json["points"][1]["verdict"], "void");
    assert_eq!(json["points"][0]["metrics"]["cpu_us_per_tx"].as_f64(), {
        records[0].metrics.get("cpu_us_per_tx")
    });
}

#[test]
fn runs_of_processes_of_their_own_become_samples_of_one_record() {
    let run = |cpu: f64, violated: u64| {
        let mut record = golden();
        record.samples.truncate(1);
        record.samples[0].metrics.set("cpu_us_per_tx", cpu);
        record.metrics.set("cpu_us_per_tx", cpu);
        record.verdict = if violated > 0 { Verdict::Fail } else { Verdict::Ok };
        let check = Check { evaluated: 10, violated, first_violation: None };
        record.oracle = [("agreement".to_owned(), check)].into_iter().collect();
        record
    };
    let whole = merged(&[run(50.0, 0), run(70.0, 0), run(60.0, 0)]).unwrap();
    let cpu: Vec<_> = whole.samples.iter().map(|s| s.metrics.get("cpu_us_per_tx")).collect();
    assert_eq!(cpu, [Some(50.0), Some(70.0), Some(60.0)]);
    assert_eq!(whole.samples.iter().map(|s| s.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(whole.metrics.get("cpu_us_per_tx"), Some(60.0));
    assert_eq!((whole.verdict, whole.oracle["agreement"].evaluated), (Verdict::Ok, 30));
    assert_eq!(whole.config["repeat"], 3);
    let unsafe_one = merged(&[run(50.0, 0), run(70.0, 1)]).unwrap();
    assert_eq!((unsafe_one.verdict, unsafe_one.oracle["agreement"].violated), (Verdict::Fail, 1));
    assert_eq!(merged(&[]), None);
}
