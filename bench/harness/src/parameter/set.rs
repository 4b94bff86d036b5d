//! A value for each parameter, and where it came from.

use core::fmt;
use core::time::Duration;

use super::parse::Malformed;
use super::{Parameter, ParameterError, Value, suggestion};

/// Where a value was given. Later ones in this order override earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nowhere: the parameter's default.
    Default,
    /// In a configuration file, by its path.
    File(String),
    /// In the environment, by the variable's name.
    Environment(String),
    /// On the command line, by the flag as typed, such as `--set` or `--duration`.
    Flag(String),
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File(_) => 1,
            Origin::Environment(_) => 2,
            Origin::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(name) | Origin::Environment(name) | Origin::Flag(name) => {
                f.write_str(name)
            }
        }
    }
}

/// One parameter with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The parameter.
    pub parameter: Parameter,
    /// The value in force.
    pub value: Value,
    /// Where it was given.
    pub origin: Origin,
}

/// A value for each parameter of a table, in the table's order.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSet {
    settings: Vec<Setting>,
}

impl ParameterSet {
    /// The defaults of `parameters`.
    ///
    /// # Panics
    /// When two parameters have one name.
    pub fn new(parameters: Vec<Parameter>) -> ParameterSet {
        let mut settings: Vec<Setting> = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            let twice = settings.iter().any(|setting| setting.parameter.name == parameter.name);
            assert!(!twice, "{} stands twice in the table", parameter.name);
            let value = parameter.default;
            settings.push(Setting { parameter, value, origin: Origin::Default });
        }
        ParameterSet { settings }
    }

    /// Sets `name` to what `text` stands for, unless a stronger origin has set it; a later setting
    /// of an equally strong origin counts.
    ///
    /// # Errors
    /// [`ParameterError`] for a name that does not exist and a text that is no value of it, also
    /// where a stronger origin prevails.
    pub fn set(&mut self, name: &str, text: &str, origin: Origin) -> Result<(), ParameterError> {
        let Some(setting) = self.settings.iter_mut().find(|s| s.parameter.name == name) else {
            return Err(self.unknown(name, origin));
        };
        match setting.parameter.parse(text) {
            Err(Malformed { problem, remedy }) => {
                let (name, text) = (setting.parameter.name, text.to_owned());
                Err(ParameterError::Value { name, text, origin, problem, remedy })
            }
            Ok(value) => {
                if origin.rank() >= setting.origin.rank() {
                    (setting.value, setting.origin) = (value, origin);
                }
                Ok(())
            }
        }
    }

    /// [`ParameterSet::set`] from the form `name=value`.
    ///
    /// # Errors
    /// As there, and [`ParameterError::Form`].
    pub fn assign(&mut self, assignment: &str, origin: Origin) -> Result<(), ParameterError> {
        match assignment.split_once('=') {
            Some((name, text)) => self.set(name.trim(), text, origin),
            None => Err(ParameterError::Form { text: assignment.to_owned(), origin }),
        }
    }

    /// Every parameter with its value.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter()
    }

    /// Whether there is a parameter `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.settings.iter().any(|setting| setting.parameter.name == name)
    }

    /// The setting of `name`.
    ///
    /// # Panics
    /// When there is none: the table and its reader are written together.
    pub fn setting(&self, name: &str) -> &Setting {
        let found = self.settings.iter().find(|setting| setting.parameter.name == name);
        found.unwrap_or_else(|| panic!("the table has no parameter {name}"))
    }

    /// The value of an integer.
    ///
    /// # Panics
    /// When `name` is not an integer of the table; so do its siblings.
    pub fn integer(&self, name: &str) -> u64 {
        match self.setting(name).value {
            Value::Integer(number) => number,
            ref other => panic!("{name} is {other:?}, read as an integer"),
        }
    }

    /// The value of an integer that counts things in memory.
    ///
    /// # Panics
    /// As [`ParameterSet::integer`].
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(usize::MAX)
    }

    /// The value of a size, in bytes.
    ///
    /// # Panics
    /// As [`ParameterSet::integer`].
    pub fn size(&self, name: &str) -> usize {
        match self.setting(name).value {
            Value::Size(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            ref other => panic!("{name} is {other:?}, read as a size"),
        }
    }

    /// The value of a duration.
    ///
    /// # Panics
    /// As [`ParameterSet::integer`].
    pub fn duration(&self, name: &str) -> Duration {
        match self.setting(name).value {
            Value::Duration(duration) => duration,
            ref other => panic!("{name} is {other:?}, read as a duration"),
        }
    }

    /// The value of a rate, per second.
    ///
    /// # Panics
    /// As [`ParameterSet::integer`].
    pub fn rate(&self, name: &str) -> f64 {
        match self.setting(name).value {
            Value::Rate(rate) => rate,
            ref other => panic!("{name} is {other:?}, read as a rate"),
        }
    }

    /// The value of a share, 0 to 1.
    ///
    /// # Panics
    /// As [`ParameterSet::integer`].
    pub fn share(&self, name: &str) -> f64 {
        match self.setting(name).value {
            Value::Share(share) => share,
            ref other => panic!("{name} is {other:?}, read as a share"),
        }
    }

    /// The value of a choice.
    ///
    /// # Panics
    /// As [`ParameterSet::integer`].
    pub fn choice(&self, name: &str) -> &'static str {
        match self.setting(name).value {
            Value::Choice(word) => word,
            ref other => panic!("{name} is {other:?}, read as a choice"),
        }
    }

    /// The value of a flag.
    ///
    /// # Panics
    /// As [`ParameterSet::integer`].
    pub fn flag(&self, name: &str) -> bool {
        match self.setting(name).value {
            Value::Flag(on) => on,
            ref other => panic!("{name} is {other:?}, read as a flag"),
        }
    }

    /// All values as a record's configuration.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let pair = |s: &Setting| (s.parameter.name.to_owned(), s.value.to_json());
        self.settings.iter().map(pair).collect()
    }

    fn unknown(&self, name: &str, origin: Origin) -> ParameterError {
        let known = || self.settings.iter().map(|setting| setting.parameter.name);
        let remedy = match suggestion(name, known()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
        };
        ParameterError::Unknown { name: name.to_owned(), origin, remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> ParameterSet {
        ParameterSet::new(vec![
            Parameter::integer("replicas", "replicas", 4..=31, 4, "size of the committee"),
            Parameter::size("payload", 16..=4096, 512, "bytes of an operation"),
        ])
    }

    fn flag() -> Origin {
        Origin::Flag("--set".to_owned())
    }

    #[test]
    fn a_flag_overrides_the_environment_and_that_a_file_in_any_order() {
        let mut set = set();
        let variable = Origin::Environment("QUORUMARK_REPLICAS".to_owned());
        set.set("replicas", "7", flag()).unwrap();
        set.set("replicas", "10", variable.clone()).unwrap();
        assert_eq!((set.integer("replicas"), &set.setting("replicas").origin), (7, &flag()));
        set.set("payload", "64B", variable.clone()).unwrap();
        set.set("payload", "32B", Origin::File("quorumark.toml".to_owned())).unwrap();
        assert_eq!((set.size("payload"), &set.setting("payload").origin), (64, &variable));
        set.assign("replicas=16", flag()).unwrap();
        assert_eq!(set.integer("replicas"), 16);
    }

    #[test]
    fn errors_are_one_sentence_with_place_and_remedy() {
        let mut set = set();
        let refused = |assignment| set.assign(assignment, flag()).unwrap_err().to_string();
        let texts = ["paylod=1", "colour=1", "replicas=3", "replicas"].map(refused);
        assert_eq!(
            texts,
            [
                "paylod (--set): no such parameter; did you mean payload?",
                "colour (--set): no such parameter; known are replicas, payload",
                "replicas=3 (--set): is out of range; choose 4 to 31",
                "\"replicas\" (--set): is not a setting; write name=value",
            ]
        );
    }

    #[test]
    fn the_configuration_is_complete_and_ordered() {
        let config = serde_json::to_string(&set().to_json()).unwrap();
        assert_eq!(config, r#"{"replicas":4,"payload":"512B"}"#);
    }
}
