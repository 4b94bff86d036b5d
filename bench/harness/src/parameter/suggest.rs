//! What was probably meant by a name that does not exist.

/// Names longer than this are not compared: they are no typing errors.
const NAME_CHARS_MAX: usize = 64;

/// The known name nearest to `name`, if one is near: at most a third of its letters differ, and at
/// least one edit is always forgiven. Of equally near ones the first.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = name.chars().count();
    if letters > NAME_CHARS_MAX {
        return None;
    }
    let near = (letters / 3).max(1);
    let measured = known.into_iter().map(|candidate| (distance(name, candidate), candidate));
    let best = measured.filter(|(edits, _)| *edits <= near).min_by_key(|(edits, _)| *edits);
    best.map(|(_, candidate)| candidate)
}

/// Letters to insert, delete, replace, or swap with their neighbour, to make one of the other
/// (optimal string alignment: three rows of the edit matrix).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        for (j, b) in to.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut edits = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                edits = edits.min(before[j - 1] + 1);
            }
            row.push(edits);
        }
        before = core::mem::replace(&mut above, row);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["payload", "replicas", "batch_size_max", "batch_linger", "seed"];

    #[test]
    fn distances_are_those_of_the_definition() {
        let cases = [("", "", 0), ("", "abc", 3), ("abc", "acb", 1), ("kitten", "sitting", 3)];
        for (from, to, expected) in cases {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn a_typing_error_is_recognised_and_another_word_is_not() {
        assert_eq!(suggestion("paylaod", KNOWN), Some("payload"));
        assert_eq!(suggestion("replica", KNOWN), Some("replicas"));
        assert_eq!(suggestion("batch_max_size", KNOWN), None);
        assert_eq!(suggestion("batch_sizemax", KNOWN), Some("batch_size_max"));
        assert_eq!(suggestion("colour", KNOWN), None);
        assert_eq!(suggestion(&"x".repeat(1000), KNOWN), None);
    }
}
