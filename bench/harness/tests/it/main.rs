//! The scenarios as a program runs them: tiny, and complete.

mod calibrate;
mod described;
mod extending;
mod load;
mod oracle;
mod pbft_pipeline;
mod processes;
mod records;
mod replay;
mod scenarios;
mod slo;
mod tune;
mod view_change;
