//! Every page in a real Chromium: nothing is fetched, nothing fails, and a reader can read it, on a
//! phone and on a desk, by day and by night.
//!
//! Without Chromium the test says so and passes, unless the variable `REQUIRE_CHROMIUM` is set, as
//! the gate does. With `SCREENSHOTS=FOLDER` it leaves each page there, and pictures of it.

mod chromium;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quorumark_report::document::Run;
use quorumark_report::{Document, html};
use serde_json::Value;
use tempfile::TempDir;

use crate::made::{Pair, Searches, Swept, live, series, void};
use crate::prediction::check;
use chromium::Chromium;

const LOOK: &str = include_str!("look.js");

/// Widths of windows, in pixels: a phone's and a desk's.
const WIDTHS: [u32; 2] = [360, 1440];
const DESK_FIRST: [u32; 2] = [1440, 360];

/// Browsers that load pages at a time.
const BROWSERS: usize = 2;

/// The contrast of text that WCAG 2.1 asks for (1.4.3), and of large text.
const CONTRAST: f64 = 4.5;

#[test]
fn every_page_is_read_offline_on_a_phone_and_on_a_desk_by_day_and_by_night() {
    let Some(program) = chromium::find() else { return missing() };
    let (folder, pages) = (&TempDir::new().unwrap(), pages());
    // A browser for every other page: most of the time goes into loading, on one core a browser.
    thread::scope(|scope| {
        for first in 0..BROWSERS {
            let pages = pages.iter().skip(first).step_by(BROWSERS);
            let program = &program;
            scope.spawn(move || {
                let mut browser = Chromium::start(program);
                if first == 0 {
                    let broken = write(folder, "broken", BROKEN);
                    let seen = found_in(&mut browser, &broken, 360);
                    assert_eq!(seen, FAULTS, "the test sees what is wrong");
                }
                // In turn on the phone and on the desk; then the window is resized.
                for ((name, page), widths) in pages.zip([WIDTHS, DESK_FIRST].iter().cycle()) {
                    look_at(&mut browser, name, &write(folder, name, page), *widths);
                }
            });
        }
    });
}

/// Judges a page at both widths and in both shades.
fn look_at(browser: &mut Chromium, name: &str, file: &Path, [first, second]: [u32; 2]) {
    browser.open(file, first, false);
    browser.evaluate(LOOK);
    for (width, shades) in [(first, [false, true]), (second, [true, false])] {
        browser.resize(width);
        for dark in shades {
            browser.paint(dark);
            let shown = format!("{name}-{width}-{}", if dark { "dark" } else { "light" });
            let facts = facts(browser, width);
            keep_picture(browser, &shown);
            judge(&shown, &facts, width, dark);
        }
        judge_hovering(browser, name, width);
    }
    let told = told(&browser.events, file);
    assert!(told.is_empty(), "{name}: {told:?}");
}

/// Says so where it is seen: what a passing test prints is not shown.
fn missing() {
    let how = "install it (Debian: apt-get install chromium) or name it by CHROMIUM=PATH";
    let said = format!("\nPAGES WERE NOT LOOKED AT: there is no Chromium here; {how}\n");
    assert!(env::var_os("REQUIRE_CHROMIUM").is_none(), "{said}");
    io::stderr().write_all(said.as_bytes()).unwrap();
}

/// The pages that there are, each with every kind of chart that it can have.
fn pages() -> Vec<(&'static str, String)> {
    let (two, three, rates) = (Swept::of_two(), Swept::of_three(), Swept::of_rates());
    let (pair, record, other, series) = (Pair::regressed(), live(), void(), series());
    let run = Document::Run(Run { record: &record, series: &series, stacks: None });
    let second = Document::Run(Run { record: &other, series: &[], stacks: None });
    let compared = Document::Comparison(pair.compared());
    let made = Searches::made();
    let searches = [Document::Tuning(made.tuning()), Document::Slo(made.slo())];
    let [two, three, rates] = [&two, &three, &rates].map(|swept| Document::Sweep(swept.table()));
    vec![
        ("run", html::page(std::slice::from_ref(&run))),
        ("sweep", html::page(std::slice::from_ref(&two))),
        ("comparison", html::page(std::slice::from_ref(&compared))),
        ("searches", html::page(&searches)),
        ("prediction", html::page(&[Document::Prediction(&check())])),
        ("index", html::page(&[run, second, three, rates])),
    ]
}

fn write(folder: &TempDir, name: &str, page: &str) -> PathBuf {
    let kept = env::var_os("SCREENSHOTS").map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or(folder.path());
    fs::create_dir_all(folder).unwrap();
    let file = folder.join(format!("{name}.html"));
    fs::write(&file, page).unwrap();
    file
}

fn facts(browser: &mut Chromium, width: u32) -> Value {
    browser.evaluate(&format!("look.facts({width})"))
}

/// What a reader would complain about at once.
fn judge(name: &str, facts: &Value, width: u32, dark: bool) {
    assert!(facts["width"].as_u64() <= Some(width.into()), "{name} is too wide: {facts}");
    assert_eq!(facts["stray"], Value::Array(Vec::new()), "{name}: stands out to the right");
    let paper = facts["paper"].as_f64().unwrap();
    assert_eq!(paper < 0.2, dark, "{name}: the paper's luminance is {paper}");
    for what in ["text", "soft"] {
        assert!(facts[what].as_f64() >= Some(CONTRAST), "{name}: contrast of {what}: {facts}");
    }
    let charts = facts["charts"].as_array().unwrap();
    assert!(!charts.is_empty(), "{name} has no chart");
    for chart in charts {
        assert!(chart["marks"].as_u64() > Some(0), "{name}: an empty chart: {chart}");
        assert!(chart["tableRows"].as_u64() > Some(1), "{name}: no table beside: {chart}");
        assert_eq!(chart["cutLabels"], Value::Array(Vec::new()), "{name}: cut labels: {chart}");
        for axis in chart["axes"].as_array().unwrap() {
            let text = axis["text"].as_str().unwrap();
            assert!(text.len() > 1 && axis["seen"] == true, "{name}: an axis: {chart}");
            assert!(text.ends_with(')') || axis["named"] == true, "{name}: no unit: {chart}");
            assert!(axis["contrast"].as_f64() >= Some(CONTRAST), "{name}: pale title: {chart}");
        }
    }
}

/// The mouse on a point of each chart is told its values.
fn judge_hovering(browser: &mut Chromium, name: &str, width: u32) {
    let ids = browser.evaluate("[...document.querySelectorAll('.chart')].map((c) => c.id)");
    for id in ids.as_array().unwrap().iter().filter_map(Value::as_str) {
        let place = browser.evaluate(&format!("look.place('{id}')"));
        browser.point_at(place["x"].as_f64().unwrap(), place["y"].as_f64().unwrap());
        let shown = browser.evaluate(&format!("look.hover('{id}')"));
        let shown = shown.as_str().unwrap();
        let told = shown.chars().any(|c| c.is_ascii_digit());
        assert!(told, "{name} at {width}: {id} shows {shown:?} at {place}");
    }
}

/// What left the page, and what it complained of.
fn told(events: &[Value], file: &Path) -> Vec<String> {
    let own = format!("file://{}", file.display());
    let fault = |event: &Value| {
        let parameters = &event["params"];
        let bad = |kind: &Value| ["error", "warning", "assert"].iter().any(|bad| kind == bad);
        match event["method"].as_str()? {
            "Network.requestWillBeSent" => {
                let url = parameters["request"]["url"].as_str()?;
                (url != own && !url.starts_with("data:")).then(|| format!("request: {url}"))
            }
            "Runtime.exceptionThrown" => Some("exception".to_owned()),
            "Runtime.consoleAPICalled" if bad(&parameters["type"]) => {
                Some(format!("console: {}", parameters["args"][0]["value"]))
            }
            "Log.entryAdded" if bad(&parameters["entry"]["level"]) => {
                Some(format!("log: {}", parameters["entry"]["source"]))
            }
            _ => None,
        }
    };
    events.iter().filter_map(fault).collect()
}

/// A page with one of each fault.
const BROKEN: &str = "<!DOCTYPE html><meta name='viewport' content='width=device-width'>\
    <body style='background:#fff'><p style='width:50rem'>wide</p><img src='nowhere.png'>\
    <script>console.error('told'); null.thrown;</script>";

const FAULTS: [&str; 5] = ["too wide", "stray", "request", "console", "exception"];

/// Which of the faults are seen in a page.
fn found_in(browser: &mut Chromium, file: &Path, width: u32) -> Vec<&'static str> {
    browser.open(file, width, false);
    browser.evaluate(LOOK);
    let facts = facts(browser, width);
    let told = told(&browser.events, file);
    let seen = |fault: &&str| match *fault {
        "too wide" => facts["width"].as_u64() > Some(width.into()),
        "stray" => facts["stray"].as_array().is_some_and(|stray| !stray.is_empty()),
        other => told.iter().any(|told| told.starts_with(other)),
    };
    FAULTS.into_iter().filter(seen).collect()
}

fn keep_picture(browser: &mut Chromium, name: &str) {
    let Some(folder) = env::var_os("SCREENSHOTS").map(PathBuf::from) else { return };
    let picture = STANDARD.decode(browser.picture()).unwrap();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}
