//! QC tree: HotStuff's certificates and locks.

use super::Checker;
use super::finding::Findings;
use super::run::{Run, Seen};

/// One QC per view, the lock only rises, commits only by the protocol's rule. PBFT has no such tree:
/// there the check is not applicable and decides nothing, so it counts as not evaluated. The facts
/// that it needs of HotStuff come with HotStuff's engines.
#[derive(Debug)]
pub(super) struct QcTree;

impl Checker for QcTree {
    fn observe(&mut self, _: &mut Run, _: &Seen<'_>, _: &mut Findings) {}
}
