//! The crate as its readers use it: files, renderings, the published schema.

#![allow(clippy::unwrap_used)] // the functions beside the tests as well

mod browser;
mod compare;
mod made;
mod page;
mod pages;
mod prediction;
mod schema;
mod several;
mod store;
mod text;

use std::path::Path;

use quorumark_report::Record;

/// A record with every field filled, as it is written to disk.
const GOLDEN: &str = include_str!("../golden/record.json");

fn golden() -> Record {
    Record::from_json(GOLDEN, Path::new("golden/record.json")).expect("a valid record")
}
