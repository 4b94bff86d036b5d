//! The HTML page: what it holds, that it loads nothing, and that text stays text.

use quorumark_report::document::Run;
use quorumark_report::flame::{self, Folded};
use quorumark_report::html;
use quorumark_report::{Check, Document, Metrics, Point, Record, Stage, Verdict, Warning};
use serde_json::Value;

use crate::golden;

/// The page without the charting script, whose own text is not ours to judge.
pub(crate) fn own_parts(html: &str) -> String {
    let begin = html.find("<script type=\"text/javascript\">").expect("the charting script");
    let end = begin + html[begin..].find("</script>").expect("its end");
    format!("{}{}", &html[..begin], &html[end..])
}

/// The data of the page's charts, in their order.
pub(crate) fn charts(html: &str) -> Vec<Value> {
    let opening = "type=\"application/json\">";
    let begin = html.find(opening).expect("the charts' data") + opening.len();
    let end = begin + html[begin..].find("</script>").expect("its end");
    serde_json::from_str(&html[begin..end]).expect("a list of charts")
}

/// The page of some runs.
fn page(runs: &[Run<'_>]) -> String {
    html::page(&runs.iter().copied().map(Document::from).collect::<Vec<_>>())
}

fn one(record: &Record, series: &[Point]) -> String {
    page(&[Run { record, series, stacks: None }])
}

fn series() -> Vec<Point> {
    (1..=5)
        .map(|second| {
            let values: Metrics =
                [("throughput_tx_per_s", 27_000.0), ("response_time_ns_p99", 2e7)]
                    .into_iter()
                    .collect();
            Point { sample: 0, t_ns: second * 1_000_000_000, values }
        })
        .collect()
}

#[test]
fn the_answer_stands_before_the_charts() {
    let html = own_parts(&one(&golden(), &series()));
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    let order = [
        "<h1>27.1k tx/s <span class=\"badge ok\">ok</span></h1>",
        "Bottleneck: ",
        "no violation",
        "Latency spectrum",
        "Rate over time",
        "Latency over time",
        "Where the time went",
        "Roofline",
        "Trial by trial",
        "Figures",
        "Safety oracle",
        "Machine",
        "Build",
        "Reproduce",
        "quorumark run pbft/pipeline --replicas 4",
    ];
    let places: Vec<usize> = order.into_iter().map(at).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn each_chart_has_a_place_its_data_units_and_a_table() {
    let html = own_parts(&one(&golden(), &series()));
    let charts = charts(&html);
    assert_eq!(charts.len(), 6);
    assert_eq!(html.matches("class=\"chart\"").count(), 6);
    for chart in &charts {
        let id = chart["id"].as_str().unwrap();
        let place = html.find(&format!("id=\"{id}\"")).expect("a place");
        assert!(html[place..place + 200].contains("<table>"), "{id} has no table beside it");
        assert!(!chart["plot"]["data"].as_array().unwrap().is_empty(), "{id}");
        for axis in ["xaxis", "yaxis"] {
            let axis = &chart["plot"]["layout"][axis];
            let title = axis["title"]["text"].as_str().unwrap_or_default();
            let unit = axis["type"] == "category" || title.ends_with(')');
            assert!(!title.is_empty() && unit, "{id}: {title:?}");
        }
    }
}

#[test]
fn each_latency_of_a_pipeline_has_a_colour_of_its_own() {
    let mut record = golden();
    let spectrum = record.latency_spectrum["response_time_ns"].clone();
    for name in ["service_time_ns", "commit_first_ns", "commit_quorum_ns", "commit_last_ns"] {
        record.latency_spectrum.insert(name.to_owned(), spectrum.clone());
    }
    let lines = &charts(&own_parts(&one(&record, &[])))[0]["plot"]["data"];
    let mut colours: Vec<&Value> =
        lines.as_array().unwrap().iter().map(|line| &line["line"]["color"]).collect();
    assert_eq!(colours.len(), 5, "{lines}");
    colours.sort_by_key(|colour| colour.to_string());
    colours.dedup();
    assert_eq!(colours.len(), 5, "{lines}");
}

#[test]
fn a_table_too_wide_for_half_a_page_stands_below_its_chart() {
    let mut record = golden();
    let spectrum = record.latency_spectrum["response_time_ns"].clone();
    let beside = "<div class=\"pair\"><div class=\"chart\" id=\"chart-0\"";
    assert!(one(&record, &[]).contains(beside));
    for name in ["commit_first_ns", "commit_quorum_ns", "commit_last_ns"] {
        record.latency_spectrum.insert(name.to_owned(), spectrum.clone());
    }
    assert!(!one(&record, &[]).contains(beside));
}

#[test]
fn the_yardstick_is_drawn_as_no_limit() {
    let html = own_parts(&one(&golden(), &[]));
    let all = charts(&html);
    let named = |chart: &&Value| chart["plot"]["data"][0]["y"].to_string().contains("CPU limit");
    let bars = &all.iter().find(named).expect("the roofline")["plot"]["data"][0];
    let place = |name: &str| bars["y"].as_array().unwrap().iter().position(|bar| bar == name);
    let colour = |name: &str| &bars["marker"]["color"][place(name).unwrap()];
    assert_ne!(colour("yardstick (no limit)"), colour("CPU limit"), "{bars}");
    assert!(html.contains("held against a yardstick and no limit"));
}

#[test]
fn nothing_is_fetched() {
    let html = own_parts(&page(&[
        Run { record: &golden(), series: &series(), stacks: None },
        Run { record: &golden(), series: &[], stacks: None },
    ]));
    for loader in
        ["src=", "<link", "<img", "<iframe", "@import", "url(", "http:", "https:", "//cdn"]
    {
        assert!(!html.contains(loader), "{loader} stands in the page");
    }
    assert!(html.contains("Content-Security-Policy\" content=\"default-src 'none';"));
    let links: Vec<&str> =
        html.match_indices("href=\"").map(|(at, _)| &html[at + 6..at + 7]).collect();
    assert!(!links.is_empty() && links.iter().all(|first| *first == "#"), "{links:?}");
}

#[test]
fn the_charting_script_is_embedded_once() {
    let run = Run { record: &golden(), series: &[], stacks: None };
    let html = page(&[run, run, run]);
    assert_eq!(html.matches("* plotly.js v").count(), 1);
    assert!(!html.contains("MathJax.loader"), "the mathematics library is not needed");
    assert!(html.len() < 6_000_000, "{} bytes", html.len());
}

/// Stacks of a sampled run.
fn stacks() -> Folded {
    let text = "verify;r0-verify-0;a::run;b::check 6\nverify;r0-verify-0;a::run;copy_[k] 1\n\
        order;r0-order;c::step 3\n";
    Folded::parse(text).expect("three stacks")
}

#[test]
fn a_sampled_run_shows_who_used_the_cpu_and_fetches_nothing() {
    let (record, stacks) = (golden(), stacks());
    let run = Run { record: &record, series: &[], stacks: Some(&stacks) };
    let html = own_parts(&page(&[run]));
    let place = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(
        place("Flamegraph") < place("<svg class=\"flame\"") && place("</svg>") < place("Figures")
    );
    for told in ["verify: 7 samples, 70 %", "r0-order: 3 samples", "b::check: 6 samples, 60 %"] {
        assert!(html.contains(&format!("<title>{told}")), "{told}");
    }
    for loader in ["src=", "http:", "https:", "url(", "<link"] {
        assert!(!html.contains(loader), "{loader} stands in the page");
    }
    let unsampled = own_parts(&page(&[Run { stacks: None, ..run }]));
    assert!(!unsampled.contains("Flamegraph") && !unsampled.contains("<svg"));
}

#[test]
fn the_picture_of_stacks_is_one_file_of_xml_in_which_text_stays_text() {
    let mut stacks = stacks();
    stacks.add(["order", "r0-order", "<A as B<\"x\">>::c & ]]> <script>"], 5);
    let picture = flame::svg(&stacks, "</svg><script>alert(1)");
    assert!(picture.starts_with("<svg class=\"flame\" xmlns="), "{picture}");
    assert_eq!(picture.matches("<svg").count(), 1);
    assert_eq!(picture.matches("<script").count(), 1, "its own alone");
    let script = &picture[picture.find("<script>").unwrap()..];
    assert!(script.starts_with("<script><![CDATA[\n") && script.contains("]]></script></svg>"));
}

#[test]
fn of_each_stage_the_samples_and_its_own_clocks_are_told() {
    let mut record = golden();
    record.stages = ["verify", "verify", "order"]
        .map(|name| Stage {
            name: name.to_owned(),
            threads: 2,
            busy_ns: 600,
            wait_ns: 300,
            blocked_ns: 100,
            cpu_ns: 500,
            ..Stage::default()
        })
        .to_vec();
    let mut stacks = stacks();
    stacks.add(["oracle", "oracle"], 10);
    let table = flame::breakdown(&record, &stacks);
    let rows: Vec<String> = table.rows.iter().map(|row| row.join(" | ")).collect();
    assert_eq!(
        rows,
        [
            "verify | 4 | 35 % | 66.7 % | 60 % | 30 % | 10 %",
            "order | 2 | 15 % | 33.3 % | 60 % | 30 % | 10 %",
            "oracle | 1 | 50 % | n/a | n/a | n/a | n/a",
        ]
    );
    let hottest = flame::hottest(&stacks, 2);
    let rows: Vec<String> = hottest.rows.iter().map(|row| row.join(" | ")).collect();
    assert_eq!(rows, ["30 % | verify | b::check", "15 % | order | c::step"]);
}

#[test]
fn hostile_text_stays_text() {
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
    let mut record = golden();
    record.scenario = format!("{evil}/pipeline");
    record.reproduce = evil.to_owned();
    record.bottleneck = Some(evil.to_owned());
    record.warnings = vec![Warning::new(evil, evil, evil)];
    record.config.insert(evil.to_owned(), evil.into());
    record.environment.cpu_model = Some(evil.to_owned());
    record.provenance.simd.insert(evil.to_owned(), evil.to_owned());
    record.oracle.insert(evil.to_owned(), Check::default());
    record.metrics.set(evil, 1.0);
    record.stages.push(Stage { name: evil.to_owned(), busy_ns: 1, ..Stage::default() });
    let spectrum = record.latency_spectrum["response_time_ns"].clone();
    record.latency_spectrum.insert(evil.to_owned(), spectrum);
    let values = [(format!("{evil}_per_s"), 1.0), (format!("{evil}_ns"), 1.0)];
    let point = Point { sample: 0, t_ns: 1, values: values.into_iter().collect() };
    for runs in [1, 2] {
        let html = own_parts(&page(&vec![
            Run {
                record: &record,
                series: std::slice::from_ref(&point),
                stacks: None
            };
            runs
        ]));
        assert!(!html.contains("<img") && !html.contains("<script>alert"));
        assert_eq!(html.matches("<script").count(), 2, "the data and the few lines that draw");
        // plotly reads a subset of HTML in labels: there the text is escaped once more.
        assert!(!html.contains("\"name\":\"\\u003c/script"), "a label holds raw markup");
    }
}

#[test]
fn a_run_without_a_result_has_no_chart_and_no_figure_that_could_be_quoted() {
    for verdict in [Verdict::Void, Verdict::Fail] {
        let mut record = golden();
        record.verdict = verdict;
        record.verdict_reason = Some("sent 61 % of intended".to_owned());
        let html = one(&record, &series());
        assert!(!html.contains("plotly"), "a page without charts needs no script");
        for claim in ["27.1k", "tx/s", "20.8 ms", "72.4 us", "64.6 %", "Bottleneck"] {
            assert!(!html.contains(claim), "{claim} stands in the page");
        }
        let word = verdict.as_str().to_uppercase();
        assert!(
            html.contains(&format!("<h1><span class=\"{verdict}\">{word}</span></h1>")),
            "{word}"
        );
        assert!(html.contains("sent 61 % of intended") && html.contains("81,420"));
    }
}

#[test]
fn several_runs_begin_with_one_table_that_leads_to_each() {
    let mut void = golden();
    void.verdict = Verdict::Void;
    let html = own_parts(&page(&[
        Run { record: &golden(), series: &[], stacks: None },
        Run { record: &void, series: &[], stacks: None },
    ]));
    assert!(html.contains("<h1>1 of 2 runs ok</h1>"));
    for place in ["run-0", "run-1"] {
        assert!(html.contains(&format!("href=\"#{place}\"")), "{place}");
        assert!(html.contains(&format!("id=\"{place}\"")), "{place}");
    }
}

#[test]
fn a_page_of_nothing_says_so() {
    assert!(page(&[]).contains("No run was given."));
}
