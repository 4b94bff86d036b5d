//! Terminal and Markdown: what is shown, and what must never be.

use std::path::Path;

use quorumark_report::document::Run;
use quorumark_report::export::{self, Better};
use quorumark_report::row::Row;
use quorumark_report::terminal::{self, Style};
use quorumark_report::{Check, Document, Record, Verdict, Warning, csv, index, markdown, view};

use crate::{golden, made};

/// A record of another scenario with these metrics.
fn record_of(scenario: &str, metrics: &[(&str, f64)]) -> Record {
    let metrics = metrics.iter().map(|&(name, value)| (name, value)).collect();
    let mut record = Record { scenario: scenario.to_owned(), metrics, ..golden() };
    record.config.clear();
    record.warnings.clear();
    record.reproduce = format!("quorumark run {scenario} --seed 42");
    record
}

fn void() -> Record {
    let mut record = golden();
    record.verdict = Verdict::Void;
    record.verdict_reason = Some("sent 61 % of intended; lower --rate".to_owned());
    record
}

fn fail() -> Record {
    let mut record = golden();
    record.verdict = Verdict::Fail;
    let first = Some("replicas 1 and 2 executed different batches at seq 17".to_owned());
    let check = Check { evaluated: 361, violated: 2, first_violation: first };
    record.oracle.insert("agreement".to_owned(), check);
    record
}

#[test]
fn one_record_answers_first_and_ends_with_the_command() {
    let text = terminal::record(&golden(), Style::default());
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("pbft/pipeline replicas=4 "), "{first}");
    assert!(first.ends_with(": 27.1k tx/s, ok"), "{first}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("reproduce: quorumark run pbft/pipeline --replicas 4"), "{last}");
    for part in [
        "response_time_ns_p99",
        "20.8 ms",
        "bottleneck: verify: busy for 83 %",
        "oracle: agreement 361, order 361, exactly-once 81,420",
        "no violation",
        "warning: allocations_per_tx is null",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn tables_stay_within_the_width() {
    for width in [100, 120] {
        let text = terminal::record(&golden(), Style { width, colour: false });
        let table = text.lines().filter(|line| !line.contains(": "));
        for line in table {
            assert!(line.chars().count() <= width, "{line}");
        }
    }
}

#[test]
fn eighty_columns_hold_the_stages_of_a_run_in_which_nothing_was_blocked() {
    let mut record = made::live();
    for stage in &mut record.stages {
        (stage.replica, stage.blocked_ns) = (None, 0);
        (stage.items, stage.batches, stage.threads) = (12_345_678, 345_678, 16);
        (stage.queue_depth_mean, stage.queue_depth_max) = (Some(12.345), Some(1024));
    }
    let text = terminal::record(&record, Style { width: 80, colour: false });
    let (_, stages) = text.split_once("where the time went").expect("the table");
    let lines: Vec<&str> = stages.lines().skip(1).take(3).collect();
    assert!(lines[0].starts_with("stage  ") && lines[2].starts_with("verify"), "{lines:?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert!(!lines[0].contains("replica") && !lines[0].contains("blocked"), "{lines:?}");
    record.stages[1].blocked_ns = 7;
    let text = terminal::record(&record, Style::default());
    assert!(text.contains("blocked"), "{text}");
}

#[test]
fn colour_is_written_on_request_only() {
    assert!(!terminal::record(&golden(), Style::default()).contains('\u{1b}'));
    let coloured = terminal::record(&golden(), Style { width: 100, colour: true });
    assert!(coloured.contains("\u{1b}[1;32mok\u{1b}[0m"));
    assert!(coloured.lines().last().unwrap().starts_with("reproduce: "));
}

#[test]
fn a_run_without_a_result_shows_no_figure_that_could_be_quoted() {
    for record in [void(), fail()] {
        let one = terminal::record(&record, Style::default());
        let many = terminal::records(&[&record], Style::default());
        let pages = [one, many, markdown::record(&record), markdown::records(&[&record])];
        for text in pages {
            for claim in ["27.1k", "tx/s", "20.8 ms", "8.70 ms", "72.4 us", "64.6 %", "busy for"] {
                assert!(!text.contains(claim), "{claim} stands in\n{text}");
            }
            let word = record.verdict.as_str().to_uppercase();
            assert!(text.contains(&word), "{word} is missing in\n{text}");
        }
    }
}

#[test]
fn a_run_without_a_result_says_why_and_keeps_its_counts() {
    let text = terminal::record(&void(), Style::default());
    assert!(text.contains("why: sent 61 % of intended; lower --rate"), "{text}");
    assert!(text.contains("81,420"), "{text}");
    let text = terminal::record(&fail(), Style::default());
    assert!(text.contains("agreement violated 2 times; first: replicas 1 and 2"), "{text}");
    assert!(text.contains("oracle: agreement VIOLATED 2 of 361, order 361"), "{text}");
}

#[test]
fn each_family_of_scenarios_has_its_headline() {
    type Case = (&'static str, &'static [(&'static str, f64)], &'static str, &'static str);
    let cases: [Case; 7] = [
        (
            "pow/miner",
            &[("cpu_ns_per_hash", 95.0), ("hashes_per_s", 21.04e6)],
            "21.0M hashes/s",
            "95.0 ns/hash",
        ),
        (
            "merkle/root",
            &[("leaves_per_s", 12.1e6), ("leaves_per_cpu_s", 6.25e6)],
            "12.1M leaves/s",
            "160 ns/leaf",
        ),
        (
            "signature/batch-verify",
            &[("cpu_us_per_signature", 10.9)],
            "10.9 us/signature",
            "10.9 us/signature",
        ),
        ("hash/sha256d", &[("cpu_ns_per_hash", 120.0)], "120 ns/hash", "120 ns/hash"),
        ("hash/blake3", &[("hashes_per_s", 1e6), ("bytes_per_s", 2.1e9)], "1.96 GiB/s", "n/a"),
        ("merkle/proof", &[("leaves", 1000.0), ("proofs_per_s", 9e5)], "900k proofs/s", "n/a"),
        ("later/scenario", &[("items", 1234.0)], "1,234", "n/a"),
    ];
    for (scenario, metrics, result, cpu) in cases {
        let row = Row::of(&record_of(scenario, metrics));
        assert_eq!((row.result.as_str(), row.cpu.as_str()), (result, cpu), "{scenario}");
        assert_eq!((row.p50.as_str(), row.what.as_str()), ("n/a", scenario));
    }
}

#[test]
fn the_tour_is_one_table_with_a_command_for_each_row() {
    let miner = record_of("pow/miner", &[("hashes_per_s", 21.04e6), ("limit_share", 0.93)]);
    let (pbft, void) = (golden(), void());
    let text = terminal::records(&[&pbft, &miner, &void], Style::default());
    let rows: Vec<&str> = text.lines().take(4).collect();
    assert!(rows[0].starts_with("what") && rows[0].contains("CPU per op"), "{text}");
    assert!(rows[1].contains("27.1k tx/s") && rows[1].contains("72.4 us/tx"), "{text}");
    assert!(rows[2].contains("21.0M hashes/s") && rows[2].contains("93 %"), "{text}");
    assert!(rows[3].contains("VOID") && rows[3].ends_with("void"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("reproduce: ")).count(), 3);
    assert!(rows.iter().all(|row| row.chars().count() <= 100), "{text}");
}

#[test]
fn a_debug_build_says_so_loudly() {
    let mut record = golden();
    record.provenance.debug_build = true;
    let pages = [
        terminal::record(&record, Style::default()),
        terminal::records(&[&record, &record], Style::default()),
        markdown::record(&record),
    ];
    for text in pages {
        assert_eq!(text.matches("DEBUG BUILD").count(), 1, "{text}");
    }
}

#[test]
fn what_the_tool_decided_stands_beside_what_was_asked_for_and_old_records_are_read_without_it() {
    let mut record = golden();
    record.config.insert("stages".to_owned(), "auto".into());
    let text = terminal::record(&record, Style::default());
    let line = "in force: stages separate, pin none, verifying_threads 8, transport memory";
    assert!(text.contains(line), "{text}");
    let rows = view::config(&record).rows;
    let row = |name: &str| rows.iter().find(|row| row[0] == name).unwrap()[1..].to_vec();
    assert_eq!(row("stages"), ["auto", "separate"]);
    assert_eq!(row("transport"), ["memory", ""]);
    assert_eq!(row("verifying_threads"), ["", "8"]);

    let mut old = serde_json::to_value(&record).unwrap();
    old.as_object_mut().unwrap().remove("effective");
    for stage in old["stages"].as_array_mut().unwrap() {
        let stage = stage.as_object_mut().unwrap();
        assert!(stage.remove("parks").is_some() && stage.remove("spins").is_some());
    }
    let old = Record::from_json(&old.to_string(), Path::new("old.json")).unwrap();
    assert!(!terminal::record(&old, Style::default()).contains("in force"));
    assert_eq!(view::config(&old).columns.len(), 2);
}

#[test]
fn parameters_that_tell_rows_apart_are_shown() {
    let mut tcp = golden();
    tcp.config.insert("transport".to_owned(), "tcp".into());
    let table = Row::table(&[&golden(), &tcp]);
    assert_eq!(table.rows[0][0], "pbft/pipeline replicas=4 transport=memory");
    assert_eq!(table.rows[1][0], "pbft/pipeline replicas=4 transport=tcp");
}

#[test]
fn a_label_names_what_the_command_sets_and_no_payload_that_a_workload_does_not_take() {
    let mut record = golden();
    record.config.insert("workload".to_owned(), "ycsb-a".into());
    record.config.insert("read_only".to_owned(), true.into());
    record.config.insert("rate".to_owned(), 2000.into());
    record.reproduce = "quorumark run pbft/pipeline --replicas 4 --rate 2k --set workload=ycsb-a \
                        --set read_only=true --duration 3s --seed 42"
        .to_owned();
    let label = "pbft/pipeline replicas=4 auth=signature transport=memory rate=2k \
                 workload=ycsb-a read_only=true";
    assert_eq!(Row::of(&record).what, label);
    assert!(terminal::record(&record, Style::default()).starts_with(label));
    // Beside others it is as long as it must be to tell which run it was, and no longer.
    let table = Row::table(&[&record, &golden(), &merkle(0)]);
    let told = "pbft/pipeline replicas=4 rate=2k workload=ycsb-a read_only=true";
    assert_eq!(table.rows[0][0], told);
    assert_eq!(table.rows[1][0], "pbft/pipeline replicas=4");
    record.config.insert("workload".to_owned(), "fixed".into());
    assert!(Row::of(&record).what.contains(" payload=512B "), "{}", Row::of(&record).what);
}

#[test]
fn runs_that_differ_in_how_they_were_measured_alone_are_told_by_that() {
    let (mut second, mut longer) = (golden(), golden());
    second.seed = 7;
    longer.config.insert("duration".to_owned(), "10s".into());
    let table = Row::table(&[&golden(), &second, &longer]);
    let names: Vec<&str> = table.rows.iter().map(|row| row[0].as_str()).collect();
    let expected = ["duration=3s seed=42", "duration=3s seed=7", "duration=10s seed=42"];
    assert_eq!(names, expected.map(|told| format!("pbft/pipeline replicas=4 {told}")));
}

#[test]
fn markdown_holds_the_same_tables() {
    let text = markdown::record(&golden());
    for part in [
        "## pbft/pipeline replicas=4 payload=512B auth=signature transport=memory: 27.1k tx/s",
        "### Safety oracle",
        "| verify | all | 2 |",
        "### Machine",
        "    quorumark run pbft/pipeline",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let text = markdown::records(&[&golden(), &void()]);
    assert!(text.starts_with("| what | result | p50 |"), "{text}");
    assert!(text.contains("- **void**, pbft/pipeline replicas=4 (row 2): sent 61 % of"), "{text}");
}

#[test]
fn a_hostile_name_drives_no_terminal() {
    let mut record = golden();
    record.scenario = "x\u{1b}[2J\r\n/pipeline".to_owned();
    record.reproduce = "quorumark run \u{7}x\n".to_owned();
    record.warnings.push(Warning::new("c", "a\u{1b}]0;t\u{7}", "b\nreproduce: evil"));
    let text = terminal::record(&record, Style::default());
    assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text:?}");
    assert_eq!(text.lines().filter(|line| line.starts_with("reproduce: ")).count(), 1);
}

/// A run of the Merkle kernel on several threads, of whose three samples `contended` lost the CPU.
fn merkle(contended: usize) -> Record {
    let metrics = [("leaves_per_s", 12.1e6), ("leaves_per_cpu_s", 6.25e6)];
    let mut record = record_of("merkle/root", &metrics);
    record.config.insert("threads".to_owned(), 2.into());
    record.config.insert("rule".to_owned(), "bitcoin".into());
    let samples = record.samples.iter_mut().enumerate();
    samples.for_each(|(place, sample)| sample.contended = place < contended);
    record
}

#[test]
fn wall_clock_figures_of_a_run_that_mostly_lost_the_cpu_are_marked_and_the_mark_explained() {
    let (quiet, busy) = (merkle(1), merkle(2));
    assert_eq!(Row::of(&quiet).result, "12.1M leaves/s");
    let row = Row::of(&busy);
    assert_eq!((row.result.as_str(), row.cpu.as_str()), ("12.1M leaves/s *", "160 ns/leaf"));
    assert_eq!(row.p50, "n/a", "what does not exist carries no mark");
    let explained = "most samples lost the CPU: wall-clock figures say";
    for (record, times) in [(&quiet, 0), (&busy, 1)] {
        let pages = [
            terminal::record(record, Style::default()),
            terminal::records(&[record, &golden()], Style::default()),
            markdown::record(record),
            markdown::records(&[record, &golden()]),
        ];
        for text in pages {
            assert_eq!(text.matches(explained).count(), times, "{text}");
        }
    }
}

#[test]
fn a_figure_in_cpu_time_is_never_marked() {
    let mut record = merkle(3);
    record.metrics = [("leaves_per_cpu_s", 6.25e6)].into_iter().collect();
    assert!(!Row::of(&record).is_marked());
}

#[test]
fn the_threads_of_a_run_on_several_stand_in_its_label() {
    let table = Row::table(&[&merkle(0), &golden()]);
    assert_eq!(table.rows[0][0], "merkle/root rule=bitcoin threads=2");
    let mut one = merkle(0);
    one.config.insert("threads".to_owned(), 1.into());
    assert_eq!(Row::table(&[&one]).rows[0][0], "merkle/root rule=bitcoin");
}

#[test]
fn a_warning_of_one_row_names_it_and_one_of_all_rows_says_so() {
    let (mut first, mut second) = (golden(), golden());
    second.config.insert("auth".to_owned(), "none".into());
    first.warnings = vec![Warning::new("c", "seen everywhere", "do a")];
    second.warnings = vec![first.warnings[0].clone(), Warning::new("d", "seen once", "do b")];
    let text = terminal::records(&[&first, &second], Style::default());
    for line in [
        "warning, every run: seen everywhere; do a",
        "warning, pbft/pipeline replicas=4 auth=none: seen once; do b",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    for label in ["auth=signature", "auth=none"] {
        assert!(text.contains(&format!("oracle, pbft/pipeline replicas=4 {label}: ")), "{text}");
    }
    let text = markdown::records(&[&first, &second]);
    assert!(text.contains("- warning, pbft/pipeline replicas=4 auth=none: seen once"), "{text}");
}

#[test]
fn rows_that_nothing_tells_apart_are_told_by_their_place() {
    let text = terminal::records(&[&golden(), &void()], Style::default());
    assert!(text.contains("void, pbft/pipeline replicas=4 (row 2): sent 61 %"), "{text}");
}

#[test]
fn an_interrupted_run_says_so_before_its_figures() {
    let mut record = golden();
    record.verdict = Verdict::Inconclusive;
    record.verdict_reason = Some("interrupted in sample 2".to_owned());
    record.warnings.push(Warning::new("interrupted", "interrupted in sample 2", "run it again"));
    let text = terminal::record(&record, Style::default());
    assert!(text.starts_with("INTERRUPTED: pbft/pipeline "), "{text}");
    assert_eq!(text.lines().nth(1), Some("why: interrupted in sample 2"));
    assert!(markdown::record(&record).starts_with("## INTERRUPTED: pbft/pipeline"));
}

#[test]
fn figures_without_a_value_are_left_out_with_the_warnings_that_only_name_them() {
    let mut record = golden();
    record.metrics.set("limit_share", None);
    record.warnings = vec![Warning::new("not-measured", "limit_share: not known", "leave it out")];
    let text = terminal::record(&record, Style::default());
    assert!(!text.lines().any(|line| line.trim_start().starts_with("limit_share")), "{text}");
    assert!(record.to_json().contains("not-measured"), "the record keeps it");
}

#[test]
fn a_long_list_of_figures_is_counted_and_the_record_keeps_it() {
    let mut record = void();
    let names = ["a_per_s", "b_per_s", "c_ns_p50", "d_ns_p99"];
    let cause = |count: usize| format!("{}: left out", names[..count].join(", "));
    record.warnings = vec![Warning::new("not-reached", cause(4), "the verdict says why")];
    let text = terminal::record(&record, Style::default());
    let counted = "warning: 4 figures (the record's warnings name them): left out; the verdict";
    assert!(text.contains(counted), "{text}");
    assert!(record.to_json().contains("a_per_s, b_per_s, c_ns_p50, d_ns_p99"));
    record.warnings = vec![Warning::new("few-samples", cause(3), "raise --duration")];
    let text = terminal::record(&record, Style::default());
    assert!(text.contains("warning: a_per_s, b_per_s, c_ns_p50: left out"), "{text}");
}

#[test]
fn a_run_with_a_yardstick_says_that_it_shares_the_span() {
    let mut record = merkle(0);
    record.metrics.set("ratio_to_sha2", 0.7);
    let shared = "went to the stock crate";
    assert!(terminal::record(&record, Style::default()).contains(shared));
    assert!(markdown::record(&record).contains(shared));
    assert!(!terminal::record(&golden(), Style::default()).contains(shared));
}

#[test]
fn trials_are_counted_from_one_as_their_progress_is() {
    let text = terminal::record(&golden(), Style::default());
    let (_, table) = text.split_once("\ntrials\n").expect("the table of trials");
    let places: Vec<&str> =
        table.lines().skip(1).take(3).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(places, ["1", "2", "3"], "{text}");
}

#[test]
fn stages_of_one_trial_among_several_say_whose_they_are() {
    let mut record = golden();
    assert!(record.samples.len() > 1);
    let of_the_last = "where the time went, in the last trial\n";
    assert!(terminal::record(&record, Style::default()).contains(of_the_last));
    record.samples.truncate(1);
    assert!(terminal::record(&record, Style::default()).contains("where the time went\n"));
}

#[test]
fn cpu_time_beyond_the_busy_time_of_a_stage_is_explained() {
    let mut record = golden();
    let explained = "CPU is of the whole threads";
    assert!(!terminal::record(&record, Style::default()).contains(explained));
    record.stages[0].cpu_ns = record.stages[0].busy_ns + 1;
    assert!(terminal::record(&record, Style::default()).contains(explained));
    assert!(markdown::record(&record).contains(explained));
}

#[test]
fn csv_has_every_parameter_and_figure_and_nothing_of_a_run_without_a_result_but_counts() {
    let (ok, mut void) = (golden(), golden());
    void.verdict = Verdict::Void;
    void.config.insert("note".to_owned(), "a,\"b\"".into());
    let text = csv::records(&[("runs/a", &ok), ("runs/b", &void)]);
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!((lines.len(), lines[3]), (3 + 1, ""), "{text}");
    let titles: Vec<&str> = lines[0].split(',').collect();
    let cell = |line: &str, title: &str| {
        let place = titles.iter().position(|known| *known == title).expect("the column");
        line.split(',').nth(place).unwrap_or_default().to_owned()
    };
    assert_eq!(cell(lines[1], "run"), "runs/a");
    assert_eq!(cell(lines[1], "config.replicas"), ok.config["replicas"].to_string());
    let throughput = ok.metrics.get("throughput_tx_per_s").unwrap().to_string();
    assert_eq!(cell(lines[1], "throughput_tx_per_s"), throughput);
    assert!(!lines[2].contains(&throughput) && lines[2].contains(",void,"), "{text}");
    assert!(lines[2].contains("\"a,\"\"b\"\"\""), "{text}");
}

#[test]
fn exports_have_figures_with_a_direction_and_runs_that_are_ok() {
    let (ok, mut shaken) = (golden(), golden());
    shaken.verdict = Verdict::Inconclusive;
    let document = export::bmf(&[&ok, &shaken]);
    assert_eq!(document.as_object().unwrap().len(), 1, "{document}");
    let measures = document.as_object().unwrap().values().next().unwrap();
    let mut later = golden();
    later.started_at = "2027-01-01T00:00:00Z".to_owned();
    later.metrics.set("throughput_tx_per_s", 5.0);
    for both in [[&later, &ok], [&ok, &later]] {
        let exported = export::bmf(&both);
        let names: Vec<&String> = exported.as_object().unwrap().keys().collect();
        let alone: Vec<&String> = document.as_object().unwrap().keys().collect();
        assert_eq!(names, alone, "a name does not depend on what else is exported");
        assert_eq!(exported[names[0]]["throughput_tx_per_s"]["value"], 5.0, "the latest counts");
    }
    let value = &measures["throughput_tx_per_s"]["value"];
    assert_eq!(value.as_f64(), ok.metrics.get("throughput_tx_per_s"));
    assert!(measures.get("completed").is_none(), "a count has no direction: {document}");

    let of = |better| export::github_action_benchmark(&[&shaken, &ok], better);
    let names = |list: &serde_json::Value| -> Vec<String> {
        let entries = list.as_array().unwrap().iter();
        entries.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    };
    let (smaller, bigger) = (names(&of(Better::Smaller)), names(&of(Better::Bigger)));
    let has = |names: &[String], end: &str| names.iter().any(|name| name.ends_with(end));
    assert!(has(&smaller, ": cpu_us_per_tx") && has(&bigger, ": throughput_tx_per_s"));
    assert!(!has(&smaller, "_per_s") && !has(&bigger, ": cpu_us_per_tx"));
    assert_eq!(of(Better::Smaller)[0]["unit"].as_str().map(str::is_empty), Some(false));
}

#[test]
fn an_index_tells_of_each_run_when_it_was_by_which_build_and_where_it_lies() {
    let record = golden();
    let run = Document::Run(Run { record: &record, series: &[], stacks: None });
    let documents = [run];
    let table = index::table(&documents, &["quorumark-runs/a"]);
    let titles: Vec<&str> = table.columns.iter().map(|column| column.title.as_str()).collect();
    assert_eq!((titles[0], titles[titles.len() - 1]), ("started", "run"));
    let row = table.rows[0].join(" | ");
    let commit = record.provenance.commit.as_deref().unwrap();
    for told in [&commit[..12], "27.1k tx/s", "ok", "quorumark-runs/a"] {
        assert!(row.contains(told), "{told}: {row}");
    }
    let unplaced = index::table(&documents, &[]);
    assert!(unplaced.columns.iter().all(|column| column.title != "run"), "no place, no column");
}
