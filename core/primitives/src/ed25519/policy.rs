//! Which path verifies a batch.

/// How a [`super::BatchVerifier`] verifies. No verdict depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyMethod {
    /// What is cheapest: keys that are seen often get tables for their small batches, and large
    /// batches share an equation.
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
    /// Distinct keys of all of them.
    pub(super) keys: usize,
    /// Whether bad signatures are to be expected: several came in one of the last batches.
    pub(super) wary: bool,
}

/// How a batch is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Those under keys with a table by their tables; if not, as the others.
    pub(super) by_tables: bool,
    /// The others in one equation; if not, one by one.
    pub(super) by_equation: bool,
}

/// The most signatures that are cheaper one by one, at 33 us each, than in one equation.
pub(super) const SINGLES_MAX: usize = 3;

/// Batches that a verifier stays wary for after several bad signatures, or a bisection.
pub(super) const WARY_BATCHES: u32 = 64;

// The costs of the policy, in tenths of a microsecond (Zen 3 with AVX2; only their ratios count),
// hashes and square roots included. The line of an equation fits batches of 16 to 256. With AVX-512
// everything takes about half as long, and the lines meet at about the same number.
const SINGLE: usize = 330;
const EQUATION: usize = 1300;
const EQUATION_SIGNATURE: usize = 53;
const EQUATION_KEY: usize = 18;
const TABLED_SIGNATURE: usize = 67;

impl VerifyMethod {
    /// Whether keys earn tables.
    pub(super) fn builds_tables(self) -> bool {
        self == VerifyMethod::Auto
    }

    /// The policy: the cheaper of two plans. By tables a signature costs the same in a batch of
    /// eight and of a thousand; an equation costs as much as twenty of them before its first
    /// signature, and a fifth less for each that follows. So where all keys have tables, an
    /// equation pays from about a hundred signatures on. What has no table shares an equation from
    /// four signatures on.
    ///
    /// Several bad signatures make an equation two or three times dearer and cost their neighbours
    /// nothing where tables decide, so a wary verifier takes tables wherever they are. A lone one
    /// under few keys makes it a fifth dearer, which is no reason to be wary.
    pub(super) fn plan(self, shape: Shape) -> Plan {
        let Shape { tabled, others, keys, wary } = shape;
        let apart = tabled * TABLED_SIGNATURE + rest(others, keys.min(others));
        let by_tables =
            self.builds_tables() && tabled > 0 && (wary || apart <= rest(tabled + others, keys));
        let left = if by_tables { others } else { tabled + others };
        Plan { by_tables, by_equation: self != VerifyMethod::Single && left > SINGLES_MAX }
    }
}

/// What signatures cost that no table decides.
fn rest(signatures: usize, keys: usize) -> usize {
    if signatures <= SINGLES_MAX {
        signatures * SINGLE
    } else {
        EQUATION + signatures * EQUATION_SIGNATURE + keys * EQUATION_KEY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: (bool, bool) = (true, false);
    const BOTH: (bool, bool) = (true, true);
    const EQUATION: (bool, bool) = (false, true);
    const SINGLES: (bool, bool) = (false, false);

    fn plan(method: VerifyMethod, shape: Shape) -> (bool, bool) {
        let Plan { by_tables, by_equation } = method.plan(shape);
        (by_tables, by_equation)
    }

    fn calm(tabled: usize, others: usize, keys: usize) -> Shape {
        Shape { tabled, others, keys, wary: false }
    }

    #[test]
    fn few_signatures_go_by_tables_many_by_an_equation_and_the_rest_by_its_number() {
        for (shape, expected) in [
            (calm(1, 0, 1), TABLES),
            (calm(40, 0, 8), TABLES),
            (calm(64, 0, 64), TABLES),
            (calm(256, 0, 4), EQUATION),
            (calm(256, 0, 200), TABLES),
            (calm(20, 3, 8), TABLES),
            (calm(8, 16, 24), BOTH),
            (calm(8, 16, 20), EQUATION),
            (calm(0, 3, 3), SINGLES),
            (calm(0, 4, 4), EQUATION),
        ] {
            assert_eq!(plan(VerifyMethod::Auto, shape), expected, "{shape:?}");
        }
    }

    #[test]
    fn a_wary_verifier_takes_every_table_and_no_method_takes_another_path() {
        for (tabled, others, expected) in [(256, 0, TABLES), (256, 3, TABLES), (8, 64, BOTH)] {
            let shape = Shape { tabled, others, keys: 4, wary: true };
            assert_eq!(plan(VerifyMethod::Auto, shape), expected, "{shape:?}");
            assert_eq!(plan(VerifyMethod::Equation, shape), EQUATION);
            assert_eq!(plan(VerifyMethod::Single, shape), SINGLES);
        }
    }
}
