//! What commands share that take many short trials within a budget.

use std::time::Duration;

use quorumark_harness::parameter::Value;
use quorumark_harness::{Origin, ParameterError, ParameterSet};

use crate::exit::{self, Exit};
use crate::settings::SettingArgs;

/// How long a trial of the usual length is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    /// Such trials in a budget.
    pub(super) count: u32,
    /// The shortest and the longest that the budget may come to.
    pub(super) range: (Duration, Duration),
    /// The part of a trial that goes before it, at most.
    pub(super) warmup_part: u32,
}

impl Spans {
    /// The length: `--duration` where it is given, else the budget's part. A warm-up that nobody
    /// asked for is shortened to fit.
    pub(super) fn of(
        &self,
        budget: Duration,
        args: &SettingArgs,
        shared: &mut ParameterSet,
    ) -> Result<Duration, ParameterError> {
        let span = match args.flag_that_sets("duration") {
            Some(_) => shared.duration("duration"),
            None => (budget / self.count).clamp(self.range.0, self.range.1),
        };
        let warmup = span / self.warmup_part;
        if shared.setting("warmup").origin == Origin::Default && shared.duration("warmup") > warmup
        {
            shared.set("warmup", &Value::Duration(warmup).to_string(), Origin::Default)?;
        }
        Ok(span)
    }
}

/// Says that a trial was unsafe: nothing is measured after it.
pub(super) fn unsafe_trial(violation: &str) -> Exit {
    exit::say(&format!("error: safety was violated, so nothing more was measured: {violation}"));
    Exit::Unsafe
}
