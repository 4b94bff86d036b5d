//! Every key, fault, behaviour and phase that a scenario may name: the parser reads by these tables,
//! and `--print-schema` and its sisters print them.

use std::fmt::Write;

/// One key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What its value looks like.
    form: &'static str,
    /// What holds without it; `-` where it has to stand.
    default: &'static str,
    about: &'static str,
}

/// One table of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// As the file heads it; empty for the top.
    pub(super) head: &'static str,
    about: &'static str,
    pub(super) keys: &'static [Key],
}

/// A name and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// As the file writes it.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
}

macro_rules! keys {
    ($($name:literal, $form:literal, $default:literal, $about:literal;)*) => {
        &[$(Key { name: $name, form: $form, default: $default, about: $about },)*]
    };
}

pub(super) const TOP: Section = Section {
    head: "",
    about: "The run as a whole.",
    keys: keys![
        "schema", "1", "-", "The version of this format.";
        "name", "text", "the file's name", "What the scenario shows.";
        "protocol", "\"pbft\"", "pbft", "The protocol.";
        "replicas", "4 to 256", "4", "Committee size; 1 to 3 are for debugging.";
        "seed", "whole number", "0", "Drives every draw; --seed and --seeds win.";
        "duration", "duration", "60s", "Simulated time; no run is longer.";
        "gst", "duration", "0s, or half of duration where something ends at it",
            "From here on network faults, crashes and clock faults have ended.";
        "crypto", "stand-in | real", "stand-in", "Unforgeable by construction and fast, or ed25519.";
        "allow_too_many_faults", "true | false", "false",
            "Lets more than f replicas be faulty without expecting a violation.";
        "config", "table", "", "See [config].";
        "workload", "table", "", "See [workload].";
        "network", "table", "", "See [network].";
        "disk", "table", "", "See [disk].";
        "byzantine", "list of tables", "", "See [[byzantine]].";
        "event", "list of tables", "", "See [[event]].";
        "swarm", "table", "", "See [swarm].";
        "expect", "table", "", "See [expect].";
    ],
};

pub(super) const CONFIG: Section = Section {
    head: "[config]",
    about: "The engine's settings, equal at all replicas.",
    keys: keys![
        "batch_size_max", "1 to 4096", "16", "The most requests in a batch.";
        "batch_bytes_max", "bytes", "4194304", "The most bytes in a batch.";
        "batch_linger", "duration", "500us", "How long a request waits for company.";
        "parallel_batches", "1 to 65536", "65536",
            "W: batches under way from which on only a full one is proposed.";
        "window", "2 to 65536", "64", "L: sequence numbers between the watermarks.";
        "checkpoint_interval", "1 to window / 2", "16", "K: sequence numbers between checkpoints.";
        "pending_max", "requests", "32768", "Requests that may wait to be ordered.";
        "pending_bytes_max", "bytes", "67108864", "Bytes of them.";
        "clients_max", "clients", "65536", "Clients that the exactly-once table may hold.";
        "client_window", "timestamps", "1024", "Timestamps a client's window holds.";
        "status_interval", "duration", "100ms", "How long a replica waits before it says what it lacks.";
        "view_timeout", "duration", "1s", "How long the oldest known request may wait for execution.";
        "journal", "true | false", "true", "Whether replicas keep a journal, so that they can restart.";
        "read_only", "true | false", "false",
            "Whether gets are answered without being ordered; every result then takes a quorum.";
        "tentative", "true | false", "false",
            "Whether a batch is executed once it is prepared, and undone where a view is left.";
    ],
};

pub(super) const WORKLOAD: Section = Section {
    head: "[workload]",
    about: "What clients ask for.",
    keys: keys![
        "clients", "1 to 1024", "4", "Clients.";
        "operations", "whole number", "400", "Operations in all.";
        "keys", "1 to 65536", "8", "Keys that they touch; fewer conflict more.";
        "mix", "{ get, put, cas }", "{ get = 50, put = 40, cas = 10 }", "Weights of the operations.";
        "rate", "per second", "closed loop",
            "Operations per second in all, open loop; a client then has several in flight.";
        "retransmit", "duration", "400ms",
            "After it a client sends again, to all; doubles up to sixteen times.";
        "send_to", "primary | all", "primary", "To whom a request is sent first.";
    ],
};

pub(super) const NETWORK: Section = Section {
    head: "[network]",
    about: "Every link, between replicas and to clients, unless an event says otherwise. Of two\n\
            probabilities [low, high] one between them is drawn for each seed.",
    keys: keys![
        "delay", "[low, high]", "[\"1ms\", \"10ms\"]", "One way; drawn per message between the two.";
        "delay_tail", "probability", "0", "How often an exponential waiting time of mean `high` is added.";
        "loss", "probability or [low, high]", "0", "How often a message is lost.";
        "duplicate", "probability or [low, high]", "0", "How often one arrives twice.";
        "corrupt", "probability or [low, high]", "0", "How often one arrives with flipped bits.";
        "reorder", "true | false", "true", "Whether a later message may overtake.";
        "bandwidth", "bandwidth", "unlimited", "Of each link; messages queue for it.";
        "regions", "\"wan5\"", "-", "A named latency matrix instead of `delay`; replica i is in region i mod 5.";
    ],
};

pub(super) const DISK: Section = Section {
    head: "[disk]",
    about: "Disks, per operation. Only faultless ones are there yet.",
    keys: keys![
        "fsync", "[low, high]", "[\"100us\", \"1ms\"]", "How long a write takes to become durable.";
        "lost_fsync", "probability", "0", "Not there yet: above 0 is refused.";
        "torn_write", "probability", "0", "Not there yet: above 0 is refused.";
        "bit_rot", "probability", "0", "Not there yet: above 0 is refused.";
    ],
};

pub(super) const BYZANTINE: Section = Section {
    head: "[[byzantine]]",
    about: "A replica that lies. It is an honest engine with its own key, through whose messages the\n\
            behaviour goes.",
    keys: keys![
        "replica", "replica", "-", "Which one.";
        "behaviour", "see --list-faults", "-", "What it does.";
        "from", "duration", "0s", "When it begins.";
        "until", "duration", "the end", "When it ends; the replica counts as faulty all the same.";
        "targets", "list of replicas", "[]", "silent-to: to whom it is silent.";
        "client", "client", "0", "censor: whose requests it leaves out.";
        "share", "probability", "0.9", "slow: the share of the view timeout by which it delays.";
        "factor", "2 to 64", "8", "flood and future-spam: messages for each honest one.";
        "budget", "whole number", "20", "byzz: messages that it may change.";
    ],
};

pub(super) const EVENT: Section = Section {
    head: "[[event]]",
    about: "What happens once, at a time or at a moment of the protocol.",
    keys: keys![
        "at", "duration", "-", "When; or `when`.";
        "when", "table", "-", "A moment: see when.";
        "do", "see --list-faults", "-", "What happens.";
        "for", "duration", "until heal", "How long it lasts.";
        "groups", "lists of replicas", "-", "partition: what is in no group is alone.";
        "one_way", "true | false", "false", "partition: the first group still hears the others.";
        "replica", "replica | \"primary\"", "-", "Whom it concerns.";
        "from", "replica", "-", "link, inject: the sender.";
        "to", "replica", "-", "link, inject: the receiver.";
        "loss", "probability", "0", "link: instead of the network's.";
        "delay", "[low, high]", "the network's", "link: instead of the network's.";
        "disk", "keep | lose-unsynced | torn | lose-all", "lose-unsynced", "crash: what is left of the disk.";
        "restart_after", "duration", "never", "crash: when it starts again.";
        "offset", "duration", "0s", "clock: how far it jumps ahead.";
        "drift", "whole number", "0", "clock: parts per million by which it is fast.";
        "bytes", "hex", "-", "inject: the frame.";
        "behaviour", "see --list-faults", "-", "byzantine: what the replica does from now on.";
        "message", "kind", "-", "mutate: messages of this kind.";
        "field", "path", "-", "mutate: such as view, digest, prepared[0], prepared[0].view.";
        "op", "see --list-faults", "-", "mutate: what is done to the field.";
        "value", "whole number", "0", "mutate: what `set` sets.";
        "times", "whole number", "1", "mutate: how many messages.";
        "targets", "list of replicas", "[]", "As in [[byzantine]].";
        "client", "client", "0", "As in [[byzantine]].";
        "share", "probability", "0.9", "As in [[byzantine]].";
        "factor", "2 to 64", "8", "As in [[byzantine]].";
        "budget", "whole number", "20", "As in [[byzantine]].";
    ],
};

pub(super) const WHEN: Section = Section {
    head: "when = { .. }",
    about: "A moment of the protocol, as it shows from outside.",
    keys: keys![
        "replica", "replica | \"any\" | \"primary\"", "any", "At which replica.";
        "phase", "see --list-phases", "-", "What it reached.";
        "seq", "sequence number", "any", "Of which sequence number.";
        "view", "view", "any", "In which view.";
        "nth", "from 1", "1", "The how-manieth such moment.";
    ],
};

pub(super) const MIX: Section = Section {
    head: "mix = { .. }",
    about: "Weights of operations.",
    keys: keys![
        "get", "weight", "0", "Reads.";
        "put", "weight", "0", "Writes.";
        "cas", "weight", "0", "Compare-and-swaps.";
    ],
};

pub(super) const SWARM: Section = Section {
    head: "[swarm]",
    about: "What the scenario leaves open is drawn for each seed from wide ranges.",
    keys: keys![
        "faults", "\"all\" or a list", "all", "Kinds: network, partition, crash, clock, byzantine.";
        "real_crypto_share", "probability", "0", "How many seeds use real signatures.";
    ],
};

pub(super) const EXPECT: Section = Section {
    head: "[expect]",
    about: "What makes the run a success. A scenario that checks nothing never passes.",
    keys: keys![
        "verdict", "pass | safety-violation | liveness-violation", "pass", "What is to be found.";
        "min_operations", "whole number", "0", "The least answered to clients.";
        "liveness_bound", "duration", "30s", "After gst, for each pending request of an honest client.";
        "checks", "list, see --list-checks", "[\"all\"]", "What is checked.";
    ],
};

const SECTIONS: [&Section; 12] = [
    &TOP, &CONFIG, &WORKLOAD, &MIX, &NETWORK, &DISK, &BYZANTINE, &EVENT, &WHEN, &SWARM, &EXPECT,
    &DRAW,
];

const DRAW: Section = Section {
    head: "anywhere a scalar stands",
    about: "Drawn for each seed.",
    keys: keys![
        "range", "[a, b]", "-", "{ range = [\"1ms\", \"40ms\"] }";
        "choice", "[x, y]", "-", "{ choice = [4, 7] }";
    ],
};

/// The whole format as text: every section and key with form, default and meaning.
pub fn print_schema() -> String {
    let mut out = String::new();
    for section in SECTIONS {
        let head = if section.head.is_empty() { "(top of the file)" } else { section.head };
        // Writing to a string does not fail.
        let _ = writeln!(out, "{head}\n  {}", section.about.replace('\n', "\n  "));
        for key in section.keys {
            let default = match key.default {
                "" | "-" => String::new(),
                value => format!(" [default: {value}]"),
            };
            let _ = writeln!(out, "    {:<22} {}{default}", key.name, key.form);
            let _ = writeln!(out, "    {:<22}   {}", "", key.about);
        }
        out.push('\n');
    }
    out
}

/// Lists terms, one a line.
pub fn print_terms(terms: &[Term]) -> String {
    let width = terms.iter().map(|term| term.name.len()).max().unwrap_or(0);
    terms.iter().map(|term| format!("{:<width$}  {}\n", term.name, term.about)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_printed_once_in_its_section() {
        let text = print_schema();
        for section in SECTIONS {
            assert!(text.contains(section.head));
            for (nth, key) in section.keys.iter().enumerate() {
                assert!(text.contains(key.name), "{}", key.name);
                let twice = section.keys.iter().skip(nth + 1).any(|other| other.name == key.name);
                assert!(!twice, "{} stands twice in {}", key.name, section.head);
            }
        }
    }
}
