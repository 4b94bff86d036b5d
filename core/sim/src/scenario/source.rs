//! A scenario's text as a tree that knows its lines, with draws resolved for one seed.

use toml::de::{DeTable, DeValue};

use super::quantity;
use super::{Place, ScenarioError};
use crate::random::Random;

/// One value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What TOML can say, without dates.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Decimal(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(Vec<(String, usize, Node)>),
}

impl Node {
    /// The tree of a file.
    pub(super) fn parse(text: &str, file: &str) -> Result<Node, ScenarioError> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            let place = Place { file: file.to_owned(), line };
            place.wrong(
                format!("is not TOML: {}", error.message().replace('\n', " ")),
                "write lines such as duration = \"60s\"",
            )
        })?;
        let value = table_of(text, file, table.get_ref())?;
        Ok(Node { line: 1, value })
    }

    /// The same tree with every `{ range = .. }` and `{ choice = .. }` drawn for `seed`. Each draw
    /// has a stream of its own, named by its place in the tree: one more draw moves no other.
    pub(super) fn drawn(&self, seed: u64, file: &str) -> Result<Node, ScenarioError> {
        self.drawn_at(seed, file, &mut String::from("scenario"))
    }

    fn drawn_at(&self, seed: u64, file: &str, path: &mut String) -> Result<Node, ScenarioError> {
        let length = path.len();
        let value = match &self.value {
            Value::Table(entries) => {
                if let [(name, _, given)] = entries.as_slice()
                    && (name == "range" || name == "choice")
                {
                    let mut random = Random::new(seed, path);
                    let place = Place { file: file.to_owned(), line: self.line };
                    let drawn = draw(name, given, &mut random, &place)?;
                    return drawn.drawn_at(seed, file, path);
                }
                let mut drawn = Vec::with_capacity(entries.len());
                for (name, line, node) in entries {
                    path.push('.');
                    path.push_str(name);
                    drawn.push((name.clone(), *line, node.drawn_at(seed, file, path)?));
                    path.truncate(length);
                }
                Value::Table(drawn)
            }
            Value::List(items) => {
                let mut drawn = Vec::with_capacity(items.len());
                for (nth, node) in items.iter().enumerate() {
                    path.push_str(&format!("[{nth}]"));
                    drawn.push(node.drawn_at(seed, file, path)?);
                    path.truncate(length);
                }
                Value::List(drawn)
            }
            scalar => scalar.clone(),
        };
        Ok(Node { line: self.line, value })
    }
}

fn draw(
    name: &str,
    given: &Node,
    random: &mut Random,
    place: &Place,
) -> Result<Node, ScenarioError> {
    let Value::List(items) = &given.value else {
        return Err(place.wrong(format!("{name} has no list"), "write { range = [a, b] }"));
    };
    if name == "choice" {
        let picked = random.pick(items).cloned();
        return picked.ok_or_else(|| {
            place.wrong("choice has nothing to choose from", "write { choice = [x, y] }")
        });
    }
    let wrong = || {
        place.wrong(
            "range needs two values of one kind, the lower one first",
            "write { range = [1, 5] } or { range = [\"1ms\", \"40ms\"] }",
        )
    };
    let [low, high] = items.as_slice() else { return Err(wrong()) };
    let value = match (&low.value, &high.value) {
        (Value::Whole(low), Value::Whole(high)) if low <= high => {
            let span = high.abs_diff(*low);
            Value::Whole(low.wrapping_add(random.between(0, span) as i64))
        }
        (Value::Decimal(low), Value::Decimal(high)) if low <= high => {
            // One in a million steps; the product is rounded the same way on every machine.
            let step = random.between(0, 1_000_000) as f64 / 1_000_000.0;
            Value::Decimal(low + (high - low) * step)
        }
        (Value::Text(low), Value::Text(high)) => {
            let bounds = |read: fn(&str) -> Option<u64>, unit: &str| {
                let (low, high) = (read(low)?, read(high)?);
                (low <= high).then(|| (low, high, unit.to_owned()))
            };
            let (low, high, unit) = bounds(quantity::duration, "ns")
                .or_else(|| bounds(quantity::bandwidth, "bit/s"))
                .ok_or_else(wrong)?;
            Value::Text(format!("{}{unit}", random.between(low, high)))
        }
        _ => return Err(wrong()),
    };
    Ok(Node { line: given.line, value })
}

fn table_of(text: &str, file: &str, table: &DeTable<'_>) -> Result<Value, ScenarioError> {
    let mut entries = Vec::with_capacity(table.len());
    for (name, value) in table {
        let line = line_of(text, name.span().start);
        let node = node_of(text, file, value.span().start, value.get_ref())?;
        entries.push((name.get_ref().to_string(), line, node));
    }
    Ok(Value::Table(entries))
}

fn node_of(text: &str, file: &str, at: usize, value: &DeValue<'_>) -> Result<Node, ScenarioError> {
    let line = line_of(text, at);
    let place = || Place { file: file.to_owned(), line };
    let value =
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                Value::Whole(parsed.map_err(|_| {
                    place().wrong(format!("{number} is too large"), "write a number below 2^63")
                })?)
            }
            DeValue::Float(number) => Value::Decimal(number.as_str().parse().map_err(|_| {
                place().wrong(format!("{number} is no decimal number"), "write 0.5")
            })?),
            DeValue::Datetime(_) => {
                return Err(place().wrong("a date means nothing here", "write a duration, \"10s\""));
            }
            DeValue::Array(items) => {
                let nodes =
                    items.iter().map(|item| node_of(text, file, item.span().start, item.get_ref()));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => table_of(text, file, table)?,
        };
    Ok(Node { line, value })
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str, seed: u64) -> Value {
        let tree = Node::parse(text, "f").unwrap().drawn(seed, "f").unwrap();
        let Value::Table(entries) = tree.value else { panic!("{tree:?}") };
        entries[0].2.value.clone()
    }

    #[test]
    fn a_draw_is_given_by_the_seed_and_stays_in_its_range() {
        let text = "gst = { range = [\"1s\", \"2s\"] }";
        assert_eq!(scalar(text, 1), scalar(text, 1));
        assert_ne!(scalar(text, 1), scalar(text, 2));
        for seed in 0..50 {
            let Value::Text(drawn) = scalar(text, seed) else { panic!() };
            let ns = quantity::duration(&drawn).unwrap();
            assert!((1_000_000_000..=2_000_000_000).contains(&ns));
            let Value::Whole(drawn) = scalar("a = { range = [-3, 5] }", seed) else { panic!() };
            assert!((-3..=5).contains(&drawn));
            let drawn = scalar("a = { choice = [\"x\", \"y\"] }", seed);
            assert!([Value::Text("x".into()), Value::Text("y".into())].contains(&drawn));
        }
    }

    #[test]
    fn another_draw_elsewhere_moves_nothing() {
        let one = "b = { range = [0, 1000000] }";
        let two = "b = { range = [0, 1000000] }\nc = { range = [0, 9] }";
        assert_eq!(scalar(one, 4), scalar(two, 4));
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let error = Node::parse("a = 1\nb = = 2", "f.toml").unwrap_err().to_string();
        assert!(error.starts_with("f.toml:2: is not TOML"), "{error}");
        let tree = Node::parse("a = 1\n\nb = { range = [2, 1] }", "f.toml").unwrap();
        let error = tree.drawn(0, "f.toml").unwrap_err().to_string();
        assert!(error.starts_with("f.toml:3: range needs two values"), "{error}");
    }
}
