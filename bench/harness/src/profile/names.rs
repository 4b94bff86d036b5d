//! Threads by name: which stage one belongs to, and what the threads of this process are called.

use std::collections::BTreeMap;
use std::fs;

/// What the first thread is called in stacks: the system names it after the program.
pub(super) const MAIN: &str = "main";

/// The stage that a thread works for: `r2-verify-0` is of `verify`, `r1-to-p0` moves frames between
/// a socket and a queue, `load` is the generator, `merkle-1` one of several of `merkle`.
pub(super) fn stage_of(thread: &str) -> &str {
    let of_replica = |name: &str| {
        let (end, rest) = name.split_once('-')?;
        let number = end.strip_prefix(['r', 'p'])?;
        is_number(number).then_some(rest.len())
    };
    let rest = of_replica(thread).map_or(thread, |length| &thread[thread.len() - length..]);
    if rest.starts_with("to-") || rest.starts_with("from-") {
        return "socket";
    }
    match rest.rsplit_once('-') {
        _ if rest == "load" => "generator",
        Some((stage, number)) if is_number(number) => stage,
        _ => rest,
    }
}

/// The functions of a thread that does the work of all stages of a replica, with the stage of each.
const WHOLE: [(&str, &str); 7] = [
    ("take", "ingress"),
    ("wait", "ingress"),
    ("verify", "verify"),
    ("handle", "order"),
    ("execute", "execute"),
    ("say", "egress"),
    ("send", "egress"),
];

/// The stage that a sample of a thread belongs to, told by its frames, outermost first, where the
/// thread has several.
pub(super) fn stage_at<'a>(thread: &'a str, mut frames: impl Iterator<Item = &'a str>) -> &'a str {
    let stage = stage_of(thread);
    if stage != "whole" {
        return stage;
    }
    let of_frame = |frame: &str| {
        if frame.contains("stage::execute::") {
            return Some("execute"); // Its observer is told.
        }
        let function = frame.rsplit("::").next().filter(|_| frame.contains("stage::whole"))?;
        WHOLE.iter().find(|(name, _)| *name == function).map(|(_, stage)| *stage)
    };
    // What the thread does between the stages is the order of a turn.
    frames.find_map(of_frame).unwrap_or("order")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The threads of this process that live now, by their number.
pub(super) fn threads() -> BTreeMap<u32, String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return BTreeMap::new() };
    let named = tasks.flatten().filter_map(|task| {
        let number: u32 = task.file_name().to_str()?.parse().ok()?;
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let main = number == std::process::id();
        Some((number, if main { MAIN.to_owned() } else { name.trim_end().to_owned() }))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_s_name_tells_its_stage() {
        let cases = [
            ("r0-verify-0", "verify"),
            ("r31-egress", "egress"),
            ("r2-to-r11", "socket"),
            ("p0-from-r3", "socket"),
            ("load", "generator"),
            ("oracle", "oracle"),
            ("merkle-1", "merkle"),
            ("main", "main"),
            ("r-x", "r-x"),
            ("-", "-"),
        ];
        for (thread, stage) in cases {
            assert_eq!(stage_of(thread), stage, "{thread}");
        }
    }

    #[test]
    fn a_thread_with_all_stages_tells_them_by_its_functions() {
        let run = "quorumark_pipeline::stage::whole::Whole<E,A>::run";
        let turn = "quorumark_pipeline::stage::whole::Core<E>::turn";
        let cases = [
            (vec![run], "order"),
            (vec![run, "quorumark_pipeline::stage::whole::<impl a::Inbox>::take"], "ingress"),
            (vec![run, "quorumark_pipeline::stage::whole::verify", "x::handle"], "verify"),
            (vec![run, turn, "quorumark_pipeline::stage::whole::Core<E>::handle"], "order"),
            (vec![run, turn, "quorumark_pipeline::stage::whole::Core<E>::execute"], "execute"),
            (vec![run, "quorumark_pipeline::stage::execute::Executor<A>::publish"], "execute"),
            (vec![run, turn, "quorumark_pipeline::stage::whole::Core<E>::say"], "egress"),
        ];
        for (frames, stage) in cases {
            assert_eq!(stage_at("r2-whole", frames.iter().copied()), stage, "{frames:?}");
            assert_eq!(stage_at("r2-order", frames.into_iter()), "order");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_s_threads_are_found_by_name() {
        let named = std::thread::Builder::new().name("r0-order".to_owned());
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let thread = named.spawn(move || {
            tell.send(()).unwrap();
            wait.recv()
        });
        told.recv().unwrap();
        let found = threads();
        assert_eq!(found.get(&std::process::id()).map(String::as_str), Some(MAIN));
        assert!(found.values().any(|name| name == "r0-order"), "{found:?}");
        drop(go);
        assert!(thread.unwrap().join().unwrap().is_err(), "nothing was sent");
    }
}
