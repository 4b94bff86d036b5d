//! Sets of kinds of facts.

use crate::trace::FactKind;

/// Kinds of facts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds(u32);

impl Kinds {
    pub(super) const fn of(kinds: &[FactKind]) -> Kinds {
        let (mut set, mut nth) = (0, 0);
        while nth < kinds.len() {
            set |= 1 << kinds[nth] as u32;
            nth += 1;
        }
        Kinds(set)
    }

    pub(super) const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    pub(super) fn contains(self, kind: FactKind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }
}
