//! What `perf script` prints, as stacks.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use quorumark_report::Folded;
use quorumark_report::flame::KERNEL_MARK;

use super::names::stage_at;

/// Where kernel addresses begin on 64-bit machines.
const KERNEL: u64 = 1 << 63;

/// The outermost frames of every thread, which say nothing of what it does.
const BASE: [&str; 8] = [
    "start_thread",
    "clone",
    "__clone",
    "_start",
    "__libc_start_",
    "std::",
    "<std::",
    "core::ops::function::FnOnce::call_once",
];

/// Reads samples as `perf script -F tid,ip,sym` prints them: a line with the thread, then a line for
/// each frame, the innermost first, then an empty one. `threads` has the threads by number.
///
/// # Errors
/// When `text` cannot be read.
pub(super) fn stacks(text: impl BufRead, threads: &BTreeMap<u32, String>) -> io::Result<Folded> {
    let mut folded = Folded::new();
    let mut sample: Option<(String, Vec<String>)> = None;
    for line in text.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if line.starts_with(char::is_whitespace) && line.trim().contains(' ') {
            if let Some((_, frames)) = &mut sample {
                frames.push(frame(line.trim()));
            }
        } else {
            if let Some((thread, frames)) = sample.take() {
                add(&mut folded, &thread, frames);
            }
            sample = line.trim().parse().ok().map(|number: u32| {
                let name = threads.get(&number).cloned();
                (name.unwrap_or_else(|| "ended".to_owned()), Vec::new())
            });
        }
    }
    if let Some((thread, frames)) = sample {
        add(&mut folded, &thread, frames);
    }
    Ok(folded)
}

/// Adds a sample, below its thread and stage.
pub(super) fn add(folded: &mut Folded, thread: &str, mut innermost_first: Vec<String>) {
    while innermost_first.len() > 1 && innermost_first.last().is_some_and(|frame| is_base(frame)) {
        innermost_first.pop();
    }
    let called = || innermost_first.iter().rev().map(String::as_str);
    let above = [stage_at(thread, called()), thread];
    folded.add(above.into_iter().chain(called()), 1);
}

fn is_base(frame: &str) -> bool {
    frame == "[unknown]" || BASE.iter().any(|base| frame.starts_with(base))
}

/// A frame from its address and symbol.
fn frame(line: &str) -> String {
    let (address, symbol) = line.split_once(' ').unwrap_or(("", line));
    let kernel = u64::from_str_radix(address, 16).is_ok_and(|address| address >= KERNEL);
    format!("{}{}", symbol.trim(), if kernel { KERNEL_MARK } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "    77 \n\
        \tffffffff813cba01 do_sched_yield\n\
        \t           ee017 __sched_yield\n\
        \t          aeddef quorumark_pipeline::stage::order::Order<E>::run\n\
        \t          b05f0b std::sys::backtrace::__rust_begin_short_backtrace\n\
        \t           891f5 start_thread\n\
        \n\
        \x20   78 \n\
        \t           ee018 <a::B as c::D>::e\n\
        \n\
        \x20   77 \n\
        \n\
        \x20   78 \n\
        \t           ee018 <a::B as c::D>::e\n";

    #[test]
    fn samples_stand_below_stage_and_thread_with_the_outermost_frame_first() {
        let threads = [(77, "r3-order".to_owned())].into();
        let folded = stacks(PRINTED.as_bytes(), &threads).unwrap();
        assert_eq!(
            folded.to_text(),
            "ended;ended;<a::B as c::D>::e 2\n\
             order;r3-order 1\n\
             order;r3-order;quorumark_pipeline::stage::order::Order<E>::run;__sched_yield;\
             do_sched_yield_[k] 1\n"
        );
    }

    #[test]
    fn text_that_is_no_sample_gives_none() {
        let noise = "# comment\n\n\tdeadbeef lonely frame\nxyz\n";
        assert!(stacks(noise.as_bytes(), &BTreeMap::new()).unwrap().is_empty());
    }
}
