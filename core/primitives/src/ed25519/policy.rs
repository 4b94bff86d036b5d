//! Which path verifies a batch.

/// How a [`super::BatchVerifier`] verifies. No verdict depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyMethod {
    /// What is cheapest: keys that are seen often get tables, and the rest shares an equation.
    #[default]
    Auto,
    /// One equation for all signatures of a batch, and no tables.
    Equation,
    /// Each signature by itself, and no tables.
    Single,
}

/// What a batch consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Signatures under keys that have a table.
    pub(super) tabled: usize,
    /// Signatures under other keys.
    pub(super) others: usize,
}

/// How a batch is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Those under keys with a table by their tables; if not, as the others.
    pub(super) by_tables: bool,
    /// The others in one equation; if not, one by one.
    pub(super) by_equation: bool,
}

/// The most signatures that are cheaper one by one, at 33 us each, than in one equation, which
/// costs about 95 us and 4.5 us a signature (Zen 3 with AVX2).
pub(super) const SINGLES_MAX: usize = 3;

impl VerifyMethod {
    /// Whether keys earn tables.
    pub(super) fn builds_tables(self) -> bool {
        self == VerifyMethod::Auto
    }

    /// The policy. Tables are used wherever they are: from one signature to a thousand they cost
    /// between 5 and 10 us each, whatever the number of keys, and no bad signature makes its
    /// neighbours dearer. How many keys have one is up to the memory allowed. For the rest, an
    /// equation pays from four signatures on.
    pub(super) fn plan(self, shape: Shape) -> Plan {
        let by_tables = self.builds_tables() && shape.tabled > 0;
        let rest = shape.others + if by_tables { 0 } else { shape.tabled };
        Plan { by_tables, by_equation: self != VerifyMethod::Single && rest > SINGLES_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_used_where_they_are_and_the_rest_by_its_number() {
        let plan = |method: VerifyMethod, tabled, others| method.plan(Shape { tabled, others });
        let (both, tables) = ((true, true), (true, false));
        for (tabled, others, expected) in [
            (1, 0, tables),
            (64, 3, tables),
            (64, 4, both),
            (0, 3, (false, false)),
            (0, 4, (false, true)),
        ] {
            let Plan { by_tables, by_equation } = plan(VerifyMethod::Auto, tabled, others);
            assert_eq!((by_tables, by_equation), expected, "{tabled} and {others}");
        }
        assert!(!plan(VerifyMethod::Equation, 64, 0).by_tables);
        assert!(plan(VerifyMethod::Equation, 64, 0).by_equation);
        assert!(!plan(VerifyMethod::Single, 64, 64).by_equation);
    }
}
