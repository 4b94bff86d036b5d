//! The scenarios as a program runs them: tiny, and complete.

mod records;
mod scenarios;
