//! Events, moments and behaviours.

use quorumark_consensus::pbft;

use super::super::faults::{AfterCrash, Behaviour, Event, Fault, Moment, Mutation, When, Who};
use super::super::schema::{self, Term};
use super::super::terms::{Deed, Lie, Operation, PHASES};
use super::Read;
use super::table::Table;
use crate::random::CERTAIN;
use crate::trace::Phase;

pub(super) fn events(top: &Table<'_>) -> Read<Vec<Event>> {
    top.tables("event", &schema::EVENT)?.iter().map(event).collect()
}

fn event(table: &Table<'_>) -> Read<Event> {
    let when = match (table.duration("at")?, table.has("when")) {
        (Some(at), false) => When::At(at),
        (None, true) => When::Moment(moment(&table.table("when", &schema::WHEN)?)?),
        _ => {
            let problem = "an event has either `at` or `when`";
            return Err(table.place().wrong(problem, "write at = \"1s\""));
        }
    };
    Ok(Event { when, fault: fault(table)?, lasts: table.duration("for")? })
}

fn moment(table: &Table<'_>) -> Read<Moment> {
    Ok(Moment {
        who: who(table, "replica")?.unwrap_or(Who::Any),
        phase: named(table, "phase", "phase", phase, PHASES)?,
        seq: table.whole("seq", 0, u64::MAX)?,
        view: table.whole("view", 0, u64::MAX)?,
        nth: table.whole("nth", 1, u64::MAX)?.unwrap_or(1),
    })
}

/// A phase of PBFT.
fn phase(name: &str) -> Option<Phase> {
    PHASES.iter().find(|term| term.name == name).and_then(|term| Phase::from_word(term.name))
}

fn fault(table: &Table<'_>) -> Read<Fault> {
    let whom = || table.needed("replica", who(table, "replica"));
    Ok(match named(table, "do", "fault", Deed::named, Deed::TERMS)? {
        Deed::Partition => Fault::Partition {
            groups: table.needed("groups", table.groups("groups"))?,
            one_way: table.flag("one_way")?.unwrap_or(false),
        },
        Deed::Heal => Fault::Heal,
        Deed::Isolate => Fault::Isolate(whom()?),
        Deed::Link => Fault::Link {
            from: table.replica("from")?,
            to: table.replica("to")?,
            loss: table.probability("loss")?.unwrap_or(0),
            delay: table.durations("delay")?,
        },
        Deed::Crash => Fault::Crash {
            who: whom()?,
            disk: after_crash(table)?,
            restart_after: table.duration("restart_after")?,
        },
        Deed::Restart => Fault::Restart(table.replica("replica")?),
        Deed::Pause => Fault::Pause(whom()?),
        Deed::Clock => Fault::Clock {
            who: whom()?,
            offset: table.duration("offset")?.unwrap_or(0),
            drift: table.signed("drift")?.unwrap_or(0),
        },
        Deed::Inject => Fault::Inject {
            from: table.replica("from")?,
            to: table.replica("to")?,
            bytes: bytes(table)?,
        },
        Deed::Byzantine => Fault::Byzantine(table.replica("replica")?, behaviour(table)?),
        Deed::Mutate => Fault::Mutate(mutation(table)?),
    })
}

fn after_crash(table: &Table<'_>) -> Read<AfterCrash> {
    let words = ["keep", "lose-unsynced", "torn", "lose-all"];
    Ok(match table.choice("disk", &words)? {
        Some("keep") => AfterCrash::Keep,
        Some("lose-all") => AfterCrash::LoseAll,
        Some("torn") => {
            let problem = "disk = \"torn\": disk faults are not there yet";
            return Err(table.place_of("disk").wrong(problem, "write disk = \"lose-unsynced\""));
        }
        _ => AfterCrash::LoseUnsynced,
    })
}

fn bytes(table: &Table<'_>) -> Read<Vec<u8>> {
    let text = table.needed("bytes", table.text("bytes"))?;
    let wrong = || table.place_of("bytes").wrong("bytes are not hex", "write bytes = \"00ff\"");
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return Err(wrong());
    }
    let digits = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
    digits.collect::<Result<_, _>>().map_err(|_| wrong())
}

fn mutation(table: &Table<'_>) -> Read<Mutation> {
    let text = |name| table.needed(name, table.text(name)).map(str::to_owned);
    // What clients send, no replica says.
    let kinds = pbft::KINDS.into_iter().filter(|kind| !["request", "read"].contains(kind));
    table.choice("message", &kinds.collect::<Vec<_>>())?;
    Ok(Mutation {
        replica: table.replica("replica")?,
        message: text("message")?,
        field: text("field")?,
        operation: named(table, "op", "operation", Operation::named, Operation::TERMS)?,
        value: table.whole("value", 0, i64::MAX as u64)?.unwrap_or(0),
        times: table.whole("times", 1, 1 << 32)?.unwrap_or(1),
    })
}

/// A behaviour with its settings, from `[[byzantine]]` or from an event.
pub(super) fn behaviour(table: &Table<'_>) -> Read<Behaviour> {
    Ok(Behaviour {
        lie: named(table, "behaviour", "behaviour", Lie::named, Lie::TERMS)?,
        targets: table.replicas("targets")?.unwrap_or_default(),
        client: table.whole("client", 0, u64::from(u32::MAX))?.unwrap_or(0) as u32,
        share: table.probability("share")?.unwrap_or(CERTAIN / 10 * 9),
        factor: table.whole("factor", 2, 64)?.unwrap_or(8),
        budget: table.whole("budget", 1, 1 << 32)?.unwrap_or(20),
    })
}

/// A replica's number, `primary` or `any`.
fn who(table: &Table<'_>, name: &str) -> Read<Option<Who>> {
    match table.whole_or_text(name)? {
        None => Ok(None),
        Some(Ok(id)) if id < 256 => Ok(Some(Who::Replica(id as u16))),
        Some(Err("primary")) => Ok(Some(Who::Primary)),
        Some(Err("any")) => Ok(Some(Who::Any)),
        Some(Ok(id)) => Err(table.unknown(name, &id.to_string(), "replica", vec!["0 to 255"])),
        Some(Err(word)) => Err(table.unknown(name, word, "replica", vec!["primary", "any"])),
    }
}

/// A word of a list of terms, which has to be there.
fn named<T>(
    table: &Table<'_>,
    key: &str,
    what: &'static str,
    find: fn(&str) -> Option<T>,
    terms: &'static [Term],
) -> Read<T> {
    let text = table.needed(key, table.text(key))?;
    find(text)
        .ok_or_else(|| table.unknown(key, text, what, terms.iter().map(|term| term.name).collect()))
}
