//! The proof-of-work scan: eight nonces of one header side by side.

use core::array;

use super::super::Scan;
use super::super::columns;
use super::super::constants::{INITIAL, ROUND};
use super::super::portable;
use super::lanes::{LANES, Schedule, State, Words, add, block_of, broadcast, initial, rounds};

columns::scan!("avx2");
