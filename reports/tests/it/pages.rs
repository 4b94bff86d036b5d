//! The pages of sweeps, comparisons and of everything together: what they hold and in what order.

use quorumark_report::document::{Compared, Run};
use quorumark_report::html::page;
use quorumark_report::{Document, index};
use serde_json::Value;

use crate::made::{Pair, Searches, Swept, live, series, void};
use crate::page::{charts, own_parts};

fn sweep(swept: &Swept) -> String {
    own_parts(&page(&[Document::Sweep(swept.table())]))
}

fn comparison(pair: &Pair) -> String {
    own_parts(&page(&[Document::Comparison(pair.compared())]))
}

/// Where each text begins; all of them in this order.
fn in_order(html: &str, texts: &[&str]) {
    let places: Vec<usize> = texts
        .iter()
        .map(|text| html.find(text).unwrap_or_else(|| panic!("{text} is missing")))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
}

/// The type of the first trace of each chart.
fn kinds(html: &str) -> Vec<String> {
    let kind = |chart: &Value| chart["plot"]["data"][0]["type"].as_str().unwrap().to_owned();
    charts(html).iter().map(kind).collect()
}

#[test]
fn where_two_parameters_vary_each_figure_is_a_heat_map_and_a_point_without_a_result_a_gap() {
    let html = sweep(&Swept::of_two());
    in_order(
        &html,
        &[
            "<h1>43.4k tx/s at batch_size_max=64 verify_threads=2</h1>",
            "partly luck",
            "void, batch_size_max=512 verify_threads=1: completions were 91 % of intended",
            "Throughput over batch_size_max and verify_threads",
            "Response time p99 over",
            "Latency against throughput",
            "Points",
            "Machine and build",
            "quorumark sweep pbft/pipeline --param batch_size_max=1,8",
        ],
    );
    assert_eq!(kinds(&html), ["heatmap", "heatmap", "heatmap", "scatter"]);
    let map = &charts(&html)[0]["plot"];
    let cell = |row: usize, column: usize| map["data"][0]["z"][row][column].as_f64();
    assert_eq!((cell(3, 0), cell(3, 1).map(f64::round)), (None, Some(39.0)));
    assert_eq!([cell(0, 0), cell(2, 1)].map(|z| z.map(f64::round)), [Some(5.0), Some(43.0)]);
    assert_eq!(map["layout"]["xaxis"]["title"]["text"], "verify_threads (threads)");
    assert_eq!(map["layout"]["yaxis"]["title"]["text"], "batch_size_max (requests)");
    assert_eq!(map["layout"]["title"]["text"], "throughput (k tx/s)");
    assert!(html.contains("<td class=\"n\">void</td>"), "the table says why there is a gap");
}

#[test]
fn where_one_parameter_varies_each_figure_is_a_line_with_the_range_of_its_trials() {
    let html = sweep(&Swept::of_rates());
    let all = charts(&html);
    let line = &all[0]["plot"];
    assert_eq!(line["layout"]["xaxis"]["title"]["text"], "rate (per second)");
    assert_eq!(line["data"][0]["x"], serde_json::json!([2700.0, 14000.0, 22000.0, 27000.0]));
    let bars = &line["data"][0]["error_y"];
    let value = line["data"][0]["y"][3].as_f64().unwrap();
    assert!((bars["array"][3].as_f64().unwrap() / value - 0.07).abs() < 1e-9, "{bars}");
    assert!((bars["arrayminus"][3].as_f64().unwrap() / value - 0.06).abs() < 1e-9, "{bars}");
    let names = |plot: &Value| -> Vec<Value> {
        plot["data"].as_array().unwrap().iter().map(|trace| trace["name"].clone()).collect()
    };
    assert_eq!(names(line), ["throughput"]);
    let latency = &all[1];
    assert!(html.contains("Response time over rate"));
    assert_eq!(names(&latency["plot"]), ["response time p99", "response time p50"]);
    let [tail, median] = [0, 1].map(|trace| &latency["plot"]["data"][trace]["y"][3]);
    assert!(tail.as_f64() > median.as_f64(), "{tail} {median}");
    assert_eq!(latency["plot"]["layout"]["yaxis"]["title"]["text"], "response time (ms)");
    let last = &all[all.len() - 1]["plot"];
    assert_eq!(names(last), ["p99", "p50"]);
    assert_eq!(last["layout"]["yaxis"]["title"]["text"], "response time (ms)");
    assert_eq!(last["data"][0]["hovertext"][1], "rate=14k");
}

#[test]
fn where_three_parameters_vary_the_outer_ones_are_the_rows_together() {
    let html = sweep(&Swept::of_three());
    let map = &charts(&html)[0]["plot"]["data"][0];
    assert_eq!(map["y"][1], "signature,<br>512B");
    assert_eq!(map["x"], serde_json::json!(["8", "64"]));
}

#[test]
fn a_comparison_begins_with_its_verdict_and_shows_every_pair_and_counter() {
    let pair = Pair::regressed();
    let html = comparison(&pair);
    in_order(
        &html,
        &[
            "<h1>B is <span class=\"badge regressed\">regressed</span></h1>",
            "A: main, commit 0123456789ab",
            "differs: batch_size_max 256 -&gt; 8",
            "12 pairs, measured in turn",
            "By how much B differs",
            "cpu_us_per_tx: pairs in the order in which they were measured",
            "throughput_tx_per_s: pairs",
            "Exact counters",
            "signatures_verified_per_tx",
            "Machine, build and parameters of B",
            "quorumark compare pbft/pipeline --b batch_size_max=8",
        ],
    );
    let all = charts(&html);
    assert_eq!(all.len(), 4, "the differences and a chart a metric");
    let traces = all[0]["plot"]["data"].as_array().unwrap();
    let regressed = traces.iter().find(|trace| trace["name"] == "regressed").expect("a regression");
    assert_eq!(regressed["y"], serde_json::json!(["cpu_us_per_tx"]));
    assert!((regressed["x"][0].as_f64().unwrap() - 20.0).abs() < 1.0, "{regressed}");
    assert!(regressed["error_x"]["array"][0].as_f64().unwrap() >= 0.0);
    let noise = pair.found.metrics[0].noise_floor_share.unwrap() * 100.0;
    let drawn = traces[1]["x"].as_array().unwrap().last().unwrap().as_f64().unwrap();
    assert!((drawn - noise).abs() < 1e-9, "the band reaches as far as the noise: {drawn} {noise}");
    let shapes = all[0]["plot"]["layout"]["shapes"].as_array().unwrap();
    assert_eq!((shapes[0]["x0"].as_f64(), shapes[1]["x0"].as_f64()), (Some(-3.0), Some(3.0)));
    assert_eq!(all[1]["plot"]["data"][0]["y"].as_array().unwrap().len(), 12);
}

#[test]
fn a_comparison_whose_records_are_gone_still_has_its_verdict_and_differences() {
    let pair = Pair::regressed();
    let gone = Compared { found: &pair.found, records: None };
    let html = own_parts(&page(&[Document::Comparison(gone)]));
    assert_eq!(charts(&html).len(), 1);
    assert!(html.contains("B is ") && !html.contains("in the order"));
}

#[test]
fn a_tuning_begins_with_its_sentence_and_shows_gain_front_and_every_setting() {
    let made = Searches::made();
    let html = own_parts(&page(&[Document::Tuning(made.tuning())]));
    in_order(
        &html,
        &[
            "maximize throughput_tx_per_s, response_time_ns_p99 &lt;= 25.0 ms",
            "<h1><span class=\"badge gain\">gain</span></h1>",
            "+11.0 % against the defaults",
            "Recommended",
            "The confirmed difference",
            "Throughput against p99",
            "Every setting, in the order",
            "quorumark tune pbft/pipeline",
        ],
    );
    let all = charts(&html);
    let traces = all[1]["plot"]["data"].as_array().unwrap();
    let named = |name: &str| traces.iter().find(|trace| trace["name"] == name).expect("a trace");
    assert_eq!(named("not beaten in both")["x"], serde_json::json!([22.0, 27.0, 30.0]));
    assert_eq!(named("recommended")["hovertext"], serde_json::json!(["window=512"]));
    assert_eq!(named("defaults")["x"], serde_json::json!([27.0]));
    assert!(all[0]["plot"]["layout"]["shapes"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn an_objective_shows_the_rate_that_holds_and_each_trial_around_the_line() {
    let made = Searches::made();
    let html = own_parts(&page(&[Document::Slo(made.slo())]));
    in_order(&html, &["p99 within 20.0 ms", "12.0k/s <span class=\"badge holds\">", "p99 of each"]);
    let chart = &charts(&html)[0]["plot"];
    assert_eq!(chart["data"][1]["x"].as_array().unwrap().len(), 6);
    assert_eq!(chart["layout"]["shapes"][0]["y0"], 20.0);
    assert_eq!(chart["layout"]["xaxis"]["title"]["text"], "rate (k requests/s)");
    assert!(html.contains("<td class=\"does not hold\">does not hold</td>"));
}

#[test]
fn a_page_of_everything_leads_to_each_part() {
    let (swept, pair, record, other) = (Swept::of_two(), Pair::regressed(), live(), void());
    let (series, made) = (series(), Searches::made());
    let documents = [
        Document::Run(Run { record: &record, series: &series, stacks: None }),
        Document::Run(Run { record: &other, series: &[], stacks: None }),
        Document::Sweep(swept.table()),
        Document::Comparison(pair.compared()),
        Document::Tuning(made.tuning()),
        Document::Slo(made.slo()),
    ];
    let html = own_parts(&page(&documents));
    assert!(html.contains("<h1>2 runs, 1 sweep, 1 comparison, 1 tuning, 1 objective</h1>"));
    for place in 0..6 {
        assert!(html.contains(&format!("href=\"#run-{place}\"")), "{place}");
        assert!(html.contains(&format!("id=\"run-{place}\"")), "{place}");
    }
    let ids: Vec<String> =
        charts(&html).iter().map(|chart| chart["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), html.matches("class=\"chart\"").count());
    assert!(ids.iter().all(|id| html.matches(&format!("id=\"{id}\"")).count() == 1), "{ids:?}");
    let table = index::table(&documents, &["a", "b", "s", "c"]);
    let row = table.rows[2].join(" | ");
    assert!(row.contains("sweep of pbft/pipeline over batch_size_max, verify_threads"), "{row}");
    assert!(row.contains("best 43.4k tx/s") && row.contains("7 of 8 ok"), "{row}");
    let row = table.rows[3].join(" | ");
    assert!(row.contains("pbft/pipeline: mine against main") && row.contains("+20."), "{row}");
    assert!(row.contains("regressed"), "{row}");
    let row = table.rows[4].join(" | ");
    assert!(row.starts_with("2026-02-01 12:00:00 | tuning of pbft/pipeline: maximize"), "{row}");
    assert!(row.contains("gain"), "{row}");
    let row = table.rows[5].join(" | ");
    assert!(row.contains("12.0k/s | <= 20.0 ms") && row.contains("holds"), "{row}");
}

#[test]
fn hostile_names_stay_text_on_every_page() {
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>";
    let (swept, mut pair) = (Swept::of_two(), Pair::regressed());
    let mut table = swept.table();
    table.scenario = evil;
    table.reproduce = evil.to_owned();
    table.axes.iter_mut().for_each(|axis| (axis.name, axis.unit) = (evil, evil));
    table.rows.iter_mut().for_each(|row| row.values[0] = evil);
    pair.found.scenario = evil.to_owned();
    pair.found.a.label = evil.to_owned();
    pair.found.metrics.iter_mut().for_each(|metric| metric.metric = evil.to_owned());
    pair.found.counters.iter_mut().for_each(|counter| counter.metric = evil.to_owned());
    for record in &mut pair.records {
        record.samples.iter_mut().for_each(|sample| sample.metrics.set(evil, 1.0));
    }
    for document in [Document::Sweep(table), Document::Comparison(pair.compared())] {
        let html = own_parts(&page(&[document]));
        assert!(!html.contains("<img") && !html.contains("<script>alert"));
        assert_eq!(html.matches("<script").count(), 2, "the data and the few lines that draw");
        let labels = charts(&html).iter().map(ToString::to_string).collect::<String>();
        assert!(!labels.contains("<img"), "a label holds raw markup: {labels}");
    }
}
