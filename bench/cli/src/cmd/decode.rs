//! `decode`: one hostile input, decoded as the surface that it is meant for.

use std::path::Path;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use quorumark_consensus::SignedRequest;
use quorumark_consensus::pbft::Message;
use quorumark_harness::environment::peak_rss_bytes;
use quorumark_pipeline::port::read_replies;
use quorumark_primitives::wire::{Decode, Encode, FRAME_BYTES_MAX};
use quorumark_sim::history::History;
use quorumark_sim::scenario::Template;
use quorumark_sim::trace::LineReader;
use serde_json::json;

use crate::exit::Exit;
use crate::input;
use crate::terminal::Terminal;

/// The most bytes that are read: more than any surface takes.
const INPUT_BYTES_MAX: u64 = 256 << 20;

/// Arguments of `decode`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quorumark decode --surface message --json

Reads standard input. Rejected bytes end with exit code 13 and the reason; a peak is the growth of
the process's resident memory, so it comes in steps of pages.")]
pub(crate) struct DecodeArgs {
    /// What the bytes are meant to be.
    #[arg(long, value_name = "NAME")]
    surface: Surface,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Where bytes come in from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Surface {
    /// A message between replicas.
    Message,
    /// A client's request.
    Request,
    /// A frame of answers to clients; their MACs are not looked at.
    Reply,
    /// A scenario file.
    Scenario,
    /// A history of clients, as JSON lines.
    History,
    /// A trace, as JSON lines.
    Trace,
}

/// Decodes standard input.
pub(crate) fn decode(args: &DecodeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let bytes = input::read(Path::new("-"), "bytes to decode", INPUT_BYTES_MAX)?;
    let length = bytes.len();
    let before = peak_rss_bytes().unwrap_or(0);
    let decoded = args.surface.decode(Bytes::from(bytes));
    let peak = peak_rss_bytes().unwrap_or(0).saturating_sub(before);
    let (verdict, told) = match &decoded {
        Ok(told) => ("decoded", told.clone()),
        Err(reason) => ("rejected", reason.clone()),
    };
    if args.json {
        terminal.print_json(&json!({
            "verdict": verdict,
            "what": told,
            "input_bytes": length,
            "peak_allocation_bytes": peak,
        }))?;
    } else {
        terminal.print(&terminal.pairs(&[
            (verdict, told),
            ("input", format!("{length} bytes")),
            ("peak allocation", format!("{peak} bytes")),
        ]))?;
    }
    Ok(if decoded.is_ok() { Exit::Done } else { Exit::Rejected })
}

impl Surface {
    /// What the bytes are, in words, or why they are rejected.
    fn decode(self, bytes: Bytes) -> Result<String, String> {
        match self {
            Surface::Message => {
                let message: Message = frame(&bytes)?;
                Ok(message.kind().to_owned())
            }
            Surface::Request => {
                let request: SignedRequest = frame(&bytes)?;
                let (client, timestamp) = request.id();
                Ok(format!("a request {timestamp} of client {client}"))
            }
            Surface::Reply => {
                let mut replies = 0;
                read_replies(&bytes, |_, _, _, _| true, |_| replies += 1)
                    .map_err(|error| error.to_string())?;
                Ok(format!("a frame of {replies} replies"))
            }
            Surface::Scenario => {
                let text = str::from_utf8(&bytes).map_err(|error| error.to_string())?;
                let template = Template::parse(text, "standard input");
                template.map(|_| "a scenario".to_owned()).map_err(|error| error.to_string())
            }
            Surface::History => {
                let history = History::read(bytes.as_ref()).map_err(|error| error.to_string())?;
                Ok(format!("a history of {} operations", history.calls().len()))
            }
            Surface::Trace => {
                let events = LineReader::new(bytes.as_ref());
                let counted = events.map(|event| event.map(|_| ()).map_err(|e| e.to_string()));
                let events = counted.collect::<Result<Vec<()>, String>>()?.len();
                Ok(format!("a trace of {events} events"))
            }
        }
    }
}

/// A value of the wire format, which encodes to the same bytes again.
fn frame<T: Decode + Encode>(bytes: &Bytes) -> Result<T, String> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(format!("{} bytes are more than a frame has", bytes.len()));
    }
    let value = T::from_frame(bytes).map_err(|error| error.to_string())?;
    if value.to_frame() != bytes {
        return Err("the bytes are a second spelling of a value".to_owned());
    }
    Ok(value)
}
