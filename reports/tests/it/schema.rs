//! The schemas, the documents and the structs say the same.

pub(crate) mod walk;

use quorumark_report::compare::COMPARISON_SCHEMA;
use quorumark_report::record::{RECORD_SCHEMA, SCHEMA_VERSION};
use quorumark_report::sweep::SWEEP_SCHEMA;
use serde_json::Value;

use crate::made::{Pair, Swept};
use crate::{GOLDEN, golden};
use walk::differences;

#[test]
fn every_field_of_a_record_stands_in_the_schema_and_the_reverse() {
    let record = serde_json::to_value(golden()).unwrap();
    assert_eq!(differences(&record, RECORD_SCHEMA), [""; 0]);
}

#[test]
fn every_field_of_a_comparison_and_of_a_sweep_stands_in_its_schema_and_the_reverse() {
    let pair = Pair::regressed();
    assert!(!pair.found.counters.is_empty() && !pair.found.settings.is_empty());
    let comparison = serde_json::to_value(&pair.found).unwrap();
    assert_eq!(differences(&comparison, COMPARISON_SCHEMA), [""; 0]);
    assert_eq!(differences(&Swept::of_two().table().json(), SWEEP_SCHEMA), [""; 0]);
}

#[test]
fn a_document_that_is_none_is_told_from_one() {
    let mut comparison = serde_json::to_value(Pair::regressed().found).unwrap();
    comparison["verdict"] = "better".into();
    comparison["metrics"][0]["pairs"] = "twelve".into();
    comparison["extra"] = true.into();
    comparison.as_object_mut().unwrap().shift_remove("warnings");
    let found = differences(&comparison, COMPARISON_SCHEMA);
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn the_golden_record_leaves_no_struct_unseen() {
    let record = golden();
    assert!(!record.oracle.is_empty() && !record.intervals.is_empty());
    assert!(!record.stages.is_empty() && !record.samples.is_empty());
    assert!(!record.warnings.is_empty() && !record.latency_spectrum.is_empty());
}

#[test]
fn the_golden_record_is_written_again_byte_by_byte() {
    assert_eq!(golden().to_json(), GOLDEN);
}

#[test]
fn the_schema_names_the_version_that_is_written() {
    let schema: Value = serde_json::from_str(RECORD_SCHEMA).unwrap();
    assert_eq!(schema["properties"]["schema_version"]["const"], SCHEMA_VERSION);
    assert_eq!(golden().schema_version, SCHEMA_VERSION);
}
