//! Records and time series as files, and what is said of files that are neither.

use std::error::Error;
use std::fs;
use std::path::Path;

use quorumark_report::store::{
    FILE_BYTES_MAX, RECORD_FILE, SERIES_FILE, read_series, write_series,
};
use quorumark_report::{Folded, Metrics, Point, Record, Spectrum};

use crate::{GOLDEN, golden};

fn read_error(text: &str) -> String {
    Record::from_json(text, Path::new("some/record.json")).expect_err("no record").to_string()
}

#[test]
fn sampled_stacks_are_written_beside_the_record_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Folded::read(dir.path()).unwrap(), None);
    let stacks = Folded::parse("order;r0-order;a::b 3\n").unwrap();
    let [picture, folded] = stacks.write(dir.path(), "a run").unwrap();
    assert!(fs::read_to_string(picture).unwrap().contains("a run, 3 samples"));
    assert_eq!(Folded::read(&dir.path().join("record.json")).unwrap(), Some(stacks));
    fs::write(&folded, "order;r0-order 3\nno count\n").unwrap();
    let error = Folded::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("stacks.folded:2: is not a stack and its count"), "{error}");
}

#[test]
fn what_is_written_is_read_back_by_file_and_by_directory() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("new/run");
    let path = golden().write(&run).unwrap();
    assert_eq!(Record::read(&path).unwrap(), golden());
    assert_eq!(Record::read(&run).unwrap(), golden());
}

#[test]
fn every_number_written_is_finite_or_null() {
    let mut record = golden();
    record.environment.steal_share = Some(f64::NAN);
    record.samples[0].cpu_share = Some(f64::INFINITY);
    record.stages[0].queue_depth_mean = Some(f64::NEG_INFINITY);
    record.metrics.set("limit_share", f64::NAN);
    let spectrum = Spectrum::new([(f64::NAN, 1), (0.9, 3), (0.5, 2), (1.5, 4)]);
    assert_eq!(spectrum.points(), [(0.5, 2), (0.9, 3)]);
    record.latency_spectrum.insert("service_time_ns".to_owned(), spectrum);
    let read = Record::from_json(&record.to_json(), Path::new("r")).unwrap();
    assert_eq!(read.environment.steal_share, None);
    assert_eq!((read.samples[0].cpu_share, read.stages[0].queue_depth_mean), (None, None));
    assert!(read.metrics.contains("limit_share") && read.metrics.get("limit_share").is_none());
}

#[test]
fn a_time_series_is_one_object_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let values: Metrics =
        [("throughput_tx_per_s", Some(100.0)), ("p99_ns", None)].into_iter().collect();
    let points = [
        Point { sample: 0, t_ns: 1_000_000_000, values: values.clone() },
        Point { sample: 1, t_ns: u64::MAX, values },
    ];
    let path = write_series(dir.path(), &points).unwrap();
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(
        text.lines().next().unwrap(),
        r#"{"sample":0,"t_ns":1000000000,"throughput_tx_per_s":100,"p99_ns":null}"#
    );
    assert_eq!(read_series(dir.path()).unwrap(), points);
    assert_eq!(read_series(&dir.path().join(RECORD_FILE)).unwrap(), points);
}

#[test]
fn a_run_without_a_time_series_has_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read_series(dir.path()).unwrap(), []);
}

#[test]
fn a_line_that_is_no_point_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(SERIES_FILE), "{\"sample\":0,\"t_ns\":1}\n\n{\"t_ns\":\n").unwrap();
    let error = read_series(dir.path()).unwrap_err().to_string();
    assert!(error.contains("samples.jsonl:3: "), "{error}");
}

#[test]
fn another_schema_version_is_refused_by_number() {
    let text = GOLDEN.replacen("\"schema_version\": 1", "\"schema_version\": 7", 1);
    let error = read_error(&text);
    assert!(error.contains("schema_version 7") && error.contains("reads 1"), "{error}");
    // The version is judged first: a later schema may have lost every other field.
    assert!(read_error(r#"{"schema_version": 2}"#).contains("schema_version 2"));
}

#[test]
fn fields_of_a_later_writer_are_ignored() {
    let text = GOLDEN.replacen("{", "{\n  \"a_later_field\": {\"x\": [1]},", 1);
    assert_eq!(Record::from_json(&text, Path::new("r")).unwrap(), golden());
}

#[test]
fn what_is_no_record_says_where_and_how_to_mend_it() {
    let cut = &GOLDEN[..GOLDEN.len() / 2];
    let wrong = GOLDEN.replacen("\"seed\": 42", "\"seed\": -1", 1);
    for text in ["", "[]", "null", "{}", "not json", cut, &wrong] {
        let error = read_error(text);
        assert!(error.starts_with("some/record.json: "), "{error}");
        assert!(!error.contains('\n') && error.contains("; "), "{error}");
    }
    assert!(read_error(&wrong).contains("line 27"), "{}", read_error(&wrong));
    let expected = "some/record.json: is not a record (it is no JSON from line 1 column 1 on); \
                    name a run's folder or its record.json";
    assert_eq!(read_error("# A readme"), expected);
    assert!(read_error(cut).contains("(its JSON breaks off at line "), "{}", read_error(cut));
    assert!(read_error("").contains("(it is empty)"), "{}", read_error(""));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(RECORD_FILE), b"\xff\xfe\x00").unwrap();
    let error = Record::read(dir.path()).unwrap_err().to_string();
    let end =
        "record.json: is not a record (it is no text); name a run's folder or its record.json";
    assert!(error.ends_with(end), "{error}");
}

#[test]
fn a_file_that_is_missing_or_far_too_large_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Record::read(dir.path()).unwrap_err();
    assert!(missing.source().is_none(), "an error chain would say the cause twice");
    let missing = missing.to_string();
    let end = "record.json: cannot be read: no such file or directory; \
               name a run's folder or its record.json";
    assert!(missing.ends_with(end), "{missing}");
    let path = dir.path().join(RECORD_FILE);
    fs::File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    assert!(Record::read(&path).unwrap_err().to_string().contains("is it a record?"));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = golden().write(&file.join("run")).unwrap_err().to_string();
    assert!(error.contains("cannot be written") && error.contains("--out"), "{error}");
}
