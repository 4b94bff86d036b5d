//! A flamegraph as one SVG file: stages above, their threads below them, then what these called.
//!
//! A frame is as wide as the share of the samples that it was found in. It shows its name as far as
//! there is room, and all of it to who hovers; a click makes it as wide as the picture, a click on
//! the first row brings the whole back. Without scripts the picture is the same and stands still.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use super::{Folded, KERNEL_MARK, shortened};
use crate::units;

const SCRIPT: &str = include_str!("flame.js");
const STYLE: &str = include_str!("flame.css");

/// What makes a file of XML a picture.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";
/// The picture's width in its own units, which a viewer stretches to the room that there is.
const WIDTH: f64 = 1200.0;
/// The height of one row.
const ROW: f64 = 18.0;
/// Room for the title above the rows.
const HEAD: f64 = 26.0;
/// A frame that is narrower than this share of the picture is not drawn: nobody could see it.
const SHARE_MIN: f64 = 0.001;
/// The width of one letter.
const LETTER: f64 = 6.7;

/// What was found within one frame.
#[derive(Default)]
struct Node<'a> {
    samples: u64,
    inner: BTreeMap<&'a str, Node<'a>>,
}

/// Where a frame stands: its row, and its left end and width as shares of the whole.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    left: f64,
    width: f64,
}

/// The picture of `folded`, below `title`, as a file.
pub fn svg(folded: &Folded, title: &str) -> String {
    picture(folded, title, Some(NAMESPACE))
}

/// The same as a part of a page, where the namespace goes without saying.
pub(crate) fn inline(folded: &Folded, title: &str) -> String {
    picture(folded, title, None)
}

fn picture(folded: &Folded, title: &str, namespace: Option<&str>) -> String {
    let root = tree(folded);
    let mut frames = Vec::new();
    let whole = Place { row: 0, left: 0.0, width: 1.0 };
    frame("all", &root, root.samples, whole, &mut frames);
    let rows = frames.iter().map(|(row, _)| row + 1).max().unwrap_or(1);
    let height = HEAD + ROW * rows as f64 + 4.0;
    let samples = units::thousands(root.samples as f64);
    let picture = html! {
        svg.flame xmlns=[namespace] width="100%"
            viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(title) {
            style { (PreEscaped(STYLE)) }
            text.head x="4" y="17" { (title) ", " (samples) " samples" }
            @for (_, frame) in &frames { (frame) }
            // XML would take the script's comparisons for tags.
            script { (PreEscaped("<![CDATA[\n")) (PreEscaped(SCRIPT)) (PreEscaped("]]>")) }
        }
    };
    picture.into_string()
}

fn tree(folded: &Folded) -> Node<'_> {
    let mut root = Node::default();
    for (frames, count) in folded.iter() {
        root.samples += count;
        let mut node = &mut root;
        for name in frames {
            node = node.inner.entry(name).or_default();
            node.samples += count;
        }
    }
    root
}

/// Draws a frame and what is in it. Stacks are [`super::FRAMES_MAX`] deep at most, and so is this.
fn frame(name: &str, node: &Node<'_>, all: u64, place: Place, drawn: &mut Vec<(usize, Markup)>) {
    if node.samples == 0 || place.width < SHARE_MIN {
        return;
    }
    drawn.push((place.row, one(name, node.samples, place)));
    // The widest first, so that what matters stands to the left, in every run alike.
    let mut inner: Vec<(&&str, &Node<'_>)> = node.inner.iter().collect();
    inner.sort_by(|(a, one), (b, other)| other.samples.cmp(&one.samples).then(a.cmp(b)));
    let mut left = place.left;
    for (name, node) in inner {
        let width = node.samples as f64 / all as f64;
        frame(name, node, all, Place { row: place.row + 1, left, width }, drawn);
        left += width;
    }
}

fn one(name: &str, samples: u64, place: Place) -> Markup {
    let (x, width) = (place.left * WIDTH, place.width * WIDTH);
    let y = HEAD + ROW * place.row as f64;
    let told = format!("{name}: {} samples, {}", samples, units::share(place.width));
    html! {
        g data-x=(format!("{:.6}", place.left)) data-w=(format!("{:.6}", place.width))
            data-r=(place.row) {
            title { (told) }
            rect x=(format!("{x:.1}")) y=(y) width=(format!("{:.1}", (width - 0.5).max(0.3)))
                height=(ROW - 1.0) rx="2" fill=(colour(name, place.row)) {}
            text x=(format!("{:.1}", x + 3.0)) y=(y + 12.5) { (label(name, place.row, width)) }
        }
    }
}

/// What the frame shows of its name: of stages and threads the beginning, of functions the end.
fn label(name: &str, row: usize, width: f64) -> String {
    let letters = ((width - 6.0) / LETTER).max(0.0) as usize;
    match row {
        0..=2 => name.chars().take(letters).collect(),
        _ => shortened(name, letters),
    }
}

/// Grey for the whole, blue for stages and threads, red for the kernel, and a warm colour for each
/// function, by its name.
fn colour(name: &str, row: usize) -> String {
    match row {
        0 => "#b8bec6".to_owned(),
        1 => "#7fb0ea".to_owned(),
        2 => "#a9cbf2".to_owned(),
        _ if name.ends_with(KERNEL_MARK) => "#e59a94".to_owned(),
        _ => {
            let sum = name.bytes().fold(7_u32, |sum, b| sum.wrapping_mul(31) ^ u32::from(b));
            format!("hsl({} 78% {}%)", 28 + sum % 30, 66 + (sum >> 8) % 14)
        }
    }
}
