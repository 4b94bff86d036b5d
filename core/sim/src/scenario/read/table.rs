//! One table of the file: its keys are known, its values are asked for by name and kind.

use super::super::schema::Section;
use super::super::source::{Node, Value};
use super::super::{Place, ScenarioError, quantity};
use super::Read;

/// A table whose keys were checked against its section.
#[derive(Debug)]
pub(super) struct Table<'a> {
    file: &'a str,
    line: usize,
    entries: &'a [(String, usize, Node)],
    section: &'static Section,
}

impl<'a> Table<'a> {
    /// Opens a table; an unknown key is an error.
    pub(super) fn open(
        node: &'a Node,
        file: &'a str,
        section: &'static Section,
    ) -> Read<Table<'a>> {
        let place = Place { file: file.to_owned(), line: node.line };
        let Value::Table(entries) = &node.value else {
            let problem = format!("{} is no table", section.head);
            return Err(place.wrong(problem, "see `quorumark sim --print-schema`"));
        };
        for (name, line, _) in entries {
            if !section.keys.iter().any(|key| key.name == name) {
                return Err(ScenarioError::Unknown {
                    place: Place { file: file.to_owned(), line: *line },
                    name: name.clone(),
                    what: "key",
                    known: section.keys.iter().map(|key| key.name).collect(),
                });
            }
        }
        Ok(Table { file, line: node.line, entries, section })
    }

    /// Where the table stands.
    pub(super) fn place(&self) -> Place {
        Place { file: self.file.to_owned(), line: self.line }
    }

    /// Where a key stands; the table, when it does not.
    pub(super) fn place_of(&self, name: &str) -> Place {
        let line = self.entries.iter().find(|(key, _, _)| key == name).map(|(_, line, _)| *line);
        Place { file: self.file.to_owned(), line: line.unwrap_or(self.line) }
    }

    /// Whether the key stands there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(
            self.section.keys.iter().any(|key| key.name == name),
            "{name} is not in the schema of {}",
            self.section.head
        );
        self.entries.iter().find(|(key, _, _)| key == name).map(|(_, _, node)| node)
    }

    /// The value of a key by `read`, or an error that says what to write.
    fn get<T>(
        &self,
        name: &str,
        example: &str,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> Read<Option<T>> {
        let Some(node) = self.find(name) else { return Ok(None) };
        let wrong = || {
            let problem = format!("{name} = {}: this is not what it takes", shown(node));
            self.place_of(name).wrong(problem, format!("write {name} = {example}"))
        };
        read(node).map(Some).ok_or_else(wrong)
    }

    /// What a key has to have.
    pub(super) fn needed<T>(&self, name: &str, value: Read<Option<T>>) -> Read<T> {
        value?.ok_or_else(|| {
            let problem = format!("{} has no {name}", self.section.head);
            self.place().wrong(problem, format!("write {name} = .. into it"))
        })
    }

    pub(super) fn text(&self, name: &str) -> Read<Option<&'a str>> {
        self.get(name, "\"text\"", |node| match &node.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn flag(&self, name: &str) -> Read<Option<bool>> {
        self.get(name, "true", |node| match node.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        })
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, name: &str, min: u64, max: u64) -> Read<Option<u64>> {
        let value = self.get(name, &min.max(1).to_string(), |node| match node.value {
            Value::Whole(number) => u64::try_from(number).ok(),
            _ => None,
        })?;
        match value {
            Some(value) if !(min..=max).contains(&value) => {
                let problem = format!("{name} = {value} is out of range");
                Err(self.place_of(name).wrong(problem, format!("choose {min} to {max}")))
            }
            value => Ok(value),
        }
    }

    /// A whole number that may be negative.
    pub(super) fn signed(&self, name: &str) -> Read<Option<i64>> {
        self.get(name, "100", |node| match node.value {
            Value::Whole(number) => Some(number),
            _ => None,
        })
    }

    pub(super) fn duration(&self, name: &str) -> Read<Option<u64>> {
        self.get(name, "\"10ms\"", duration)
    }

    pub(super) fn durations(&self, name: &str) -> Read<Option<[u64; 2]>> {
        self.get(name, "[\"1ms\", \"10ms\"]", |node| pair(node, duration))
    }

    pub(super) fn probability(&self, name: &str) -> Read<Option<u32>> {
        self.get(name, "0.05", probability)
    }

    /// One probability, or two between which one is drawn.
    pub(super) fn probabilities(&self, name: &str) -> Read<Option<[u32; 2]>> {
        self.get(name, "[0.0, 0.1]", |node| {
            pair(node, probability).or_else(|| probability(node).map(|share| [share, share]))
        })
    }

    pub(super) fn bandwidth(&self, name: &str) -> Read<Option<u64>> {
        self.get(name, "\"1Gbit/s\"", |node| match &node.value {
            Value::Text(text) => quantity::bandwidth(text).filter(|bits| *bits > 0),
            _ => None,
        })
    }

    /// The mean interval, in nanoseconds, of a rate per second.
    pub(super) fn rate(&self, name: &str) -> Read<Option<u64>> {
        self.get(name, "50.0", |node| {
            let rate = number(node).filter(|rate| (1e-3..=1e9).contains(rate))?;
            Some((1e9 / rate).round() as u64)
        })
    }

    /// One of some words.
    pub(super) fn choice(&self, name: &str, words: &[&'static str]) -> Read<Option<&'static str>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(self.unknown(name, text, "value", words.to_vec())),
        }
    }

    /// The error about a name that is none.
    pub(super) fn unknown(
        &self,
        key: &str,
        name: &str,
        what: &'static str,
        known: Vec<&'static str>,
    ) -> ScenarioError {
        ScenarioError::Unknown { place: self.place_of(key), name: name.to_owned(), what, known }
    }

    /// One word, or a list of them.
    pub(super) fn text_or_texts(&self, name: &str) -> Read<Option<Vec<String>>> {
        match self.find(name).map(|node| &node.value) {
            Some(Value::Text(text)) => Ok(Some(vec![text.clone()])),
            _ => self.texts(name),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Read<Option<Vec<String>>> {
        self.get(name, "[\"all\"]", |node| match &node.value {
            Value::List(items) => items
                .iter()
                .map(|item| match &item.value {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// A replica's number, which has to be there.
    pub(super) fn replica(&self, name: &str) -> Read<u16> {
        self.needed(name, self.whole(name, 0, 255)).map(|id| id as u16)
    }

    pub(super) fn replicas(&self, name: &str) -> Read<Option<Vec<u16>>> {
        self.get(name, "[0, 1]", replicas)
    }

    pub(super) fn groups(&self, name: &str) -> Read<Option<Vec<Vec<u16>>>> {
        self.get(name, "[[0, 1], [2, 3]]", |node| match &node.value {
            Value::List(items) => items.iter().map(replicas).collect(),
            _ => None,
        })
    }

    /// The table of this name; an empty one, when it is not there.
    pub(super) fn table(&self, name: &str, section: &'static Section) -> Read<Table<'a>> {
        match self.find(name) {
            Some(node) => Table::open(node, self.file, section),
            None => Ok(Table { file: self.file, line: self.line, entries: &[], section }),
        }
    }

    /// The tables of a list.
    pub(super) fn tables(&self, name: &str, section: &'static Section) -> Read<Vec<Table<'a>>> {
        let Some(node) = self.find(name) else { return Ok(Vec::new()) };
        let Value::List(items) = &node.value else {
            let problem = format!("{name} is no list of tables");
            return Err(self.place_of(name).wrong(problem, format!("write [[{name}]]")));
        };
        items.iter().map(|item| Table::open(item, self.file, section)).collect()
    }

    /// A number of replicas or a word.
    pub(super) fn whole_or_text(&self, name: &str) -> Read<Option<Result<u64, &'a str>>> {
        self.get(name, "1", |node| match &node.value {
            Value::Whole(number) => u64::try_from(*number).ok().map(Ok),
            Value::Text(text) => Some(Err(text.as_str())),
            _ => None,
        })
    }
}

fn duration(node: &Node) -> Option<u64> {
    match &node.value {
        Value::Text(text) => quantity::duration(text),
        _ => None,
    }
}

fn number(node: &Node) -> Option<f64> {
    match node.value {
        Value::Whole(number) => Some(number as f64),
        Value::Decimal(number) => Some(number),
        _ => None,
    }
}

fn probability(node: &Node) -> Option<u32> {
    number(node).and_then(quantity::probability)
}

fn pair<T: PartialOrd + Copy>(node: &Node, read: fn(&Node) -> Option<T>) -> Option<[T; 2]> {
    match &node.value {
        Value::List(items) => match items.as_slice() {
            [low, high] => {
                let (low, high) = (read(low)?, read(high)?);
                (low <= high).then_some([low, high])
            }
            _ => None,
        },
        _ => None,
    }
}

fn replicas(node: &Node) -> Option<Vec<u16>> {
    match &node.value {
        Value::List(items) => items
            .iter()
            .map(|item| match item.value {
                Value::Whole(id) => u16::try_from(id).ok(),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// A value as it could stand in the file, for messages.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => format!("\"{text}\""),
        Value::Whole(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        Value::Table(_) => "{ .. }".to_owned(),
    }
}
