//! Predictions held against live runs: what they come to, and their page.

use quorumark_report::html::page;
use quorumark_report::prediction::{Against, Check, PREDICTION_SCHEMA, Point, Round};
use quorumark_report::terminal::Style;
use quorumark_report::{Document, index};

use crate::page::{charts, own_parts};
use crate::schema::walk::differences;

fn point(replicas: u32, load: &str, metric: &str, rounds: &[(f64, Option<f64>)]) -> Point {
    let (load, metric) = (load.to_owned(), metric.to_owned());
    // The core was slower by a tenth in each live run.
    let round = |(predicted, live): &(f64, Option<f64>)| Round {
        offered: None,
        predicted: *predicted,
        at_pace: Some(0.9 * predicted),
        live: *live,
    };
    Point { replicas, load, metric, rounds: rounds.iter().map(round).collect() }
}

/// What a check of two committees found, one of them without a live figure.
pub(crate) fn check() -> Check {
    let throughput = [
        (11_000.0, Some(10_000.0)),
        (9_000.0, None),
        (9_500.0, Some(10_000.0)),
        (10.4, Some(10.0)),
    ];
    let p50 = [(3e6, Some(2e6)), (1e6, Some(2e6)), (1.8e6, Some(2e6)), (1e6, None)];
    Check {
        schema_version: 1,
        protocol: "pbft".to_owned(),
        started_at: "2026-11-28T10:00:00Z".to_owned(),
        rounds: 4,
        points: vec![
            point(4, "saturated", "throughput_tx_per_s", &throughput),
            point(4, "half_load", "response_time_ns_p50", &p50),
            point(7, "half_load", "response_time_ns_p50", &[(1e6, None)]),
        ],
        provenance: serde_json::Map::new(),
        environment: serde_json::Map::new(),
        reproduce: "quorumark predict pbft --check 4,7 --rounds 4 --seed 42".to_owned(),
    }
}

#[test]
fn an_error_is_the_median_of_its_rounds_and_a_round_without_a_live_figure_does_not_count() {
    let check = check();
    let error = |place: usize| check.points[place].error_share(Against::Predicted);
    assert!((error(0).unwrap() - 0.04).abs() < 1e-9, "of +10, -5 and +4 %");
    assert!((error(1).unwrap() + 0.1).abs() < 1e-9, "of +50, -50 and -10 %");
    assert_eq!(error(2), None);
    let [least, most] = check.points[0].error_range(Against::Predicted).unwrap();
    assert!((least + 0.05).abs() < 1e-9 && (most - 0.1).abs() < 1e-9, "{least} to {most}");
    assert_eq!(check.points[2].error_range(Against::Predicted), None);
    let paced = check.points[0].error_share(Against::AtPace).unwrap();
    assert!((paced - (0.9 * 1.04 - 1.0)).abs() < 1e-9, "{paced}");
    let (worst, share) = check.worst(Against::Predicted).unwrap();
    assert_eq!((worst.replicas, worst.load.as_str()), (4, "half_load"));
    assert!((share + 0.1).abs() < 1e-9);
}

#[test]
fn a_check_reads_back_satisfies_its_schema_and_says_its_worst_error() {
    let check = check();
    let written = serde_json::to_value(&check).unwrap();
    assert_eq!(differences(&written, PREDICTION_SCHEMA), [""; 0]);
    assert_eq!(serde_json::from_value::<Check>(written).unwrap(), check);
    let text = check.text(Style { colour: false, width: 200 });
    let sentence = "at most -10.0 % (response_time_ns_p50 at n = 4, half load); at the pace";
    assert!(text.contains(sentence) && text.contains("by at most -19.0 %"), "{text}");
}

#[test]
fn its_page_draws_the_errors_beside_a_table_of_predicted_and_live() {
    let check = check();
    let html = own_parts(&page(&[Document::Prediction(&check)]));
    let parts = ["<h1>-10.0 %</h1>", "Error by size of the committee", "Figures", "--check 4,7"];
    assert!(parts.iter().all(|part| html.contains(part)), "{html}");
    let errors = &charts(&html)[0]["plot"]["data"];
    assert_eq!(errors.as_array().map(Vec::len), Some(4));
    assert_eq!(errors[0]["x"], serde_json::json!([4]));
    let listed = index::table(&[Document::Prediction(&check)], &["there"]).to_text(200).join("\n");
    assert!(listed.contains("pbft predicted") && listed.contains("there"), "{listed}");
}
