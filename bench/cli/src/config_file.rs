//! `quorumark.toml`: parameters for every scenario that has them, and tables for one scenario each.
//!
//! ```toml
//! seed = 7
//! duration = "3s"
//!
//! ["pbft/pipeline"]
//! replicas = 7
//! ```

use std::path::Path;

use quorumark_harness::parameter::suggestion;
use quorumark_harness::{Origin, ParameterSet, Spec};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::input;
use crate::refused::Refused;

/// The file that is read from the working directory when no other is named.
pub(crate) const DEFAULT_FILE: &str = "quorumark.toml";

/// The largest configuration that is read.
const BYTES_MAX: u64 = 1 << 20;

/// What a file sets, in its order.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    entries: Vec<Entry>,
}

/// One `key = value`.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// The table it stands in; `None` for all scenarios.
    scenario: Option<String>,
    key: String,
    value: String,
    /// `file:line`.
    place: String,
}

impl ConfigFile {
    /// Reads the file and checks every name in it, also those of other scenarios: `specs` are all
    /// that there are.
    pub(crate) fn read(path: &Path, specs: &[Spec]) -> Result<ConfigFile, Refused> {
        let text = input::read_text(path, "parameters as TOML", BYTES_MAX)?;
        ConfigFile::parse(&text, &input::place(path), specs)
    }

    fn parse(text: &str, file: &str, specs: &[Spec]) -> Result<ConfigFile, Refused> {
        let place = |at: usize| format!("{file}:{}", line_of(text, at));
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let remedy = "write lines such as duration = \"3s\"";
            Refused::new(place(at), format!("is not TOML: {}", error.message()), remedy)
        })?;
        let mut entries = Vec::new();
        for (key, value) in table.get_ref() {
            let place_of = |key: &Spanned<_>| place(key.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => {
                    let spec = known_scenario(key.get_ref(), &place(key.span().start), specs)?;
                    for (key, value) in inner {
                        let place = place_of(key);
                        let known = spec.parameters.iter().map(|parameter| parameter.name);
                        entries.push(entry(Some(spec.name), key, value, place, known)?);
                    }
                }
                _ => {
                    let all = specs.iter().flat_map(|spec| &spec.parameters);
                    let known = all.map(|parameter| parameter.name);
                    entries.push(entry(None, key, value, place_of(key), known)?);
                }
            }
        }
        // What is said of one scenario overrides what is said of all.
        entries.sort_by_key(|entry| entry.scenario.is_some());
        Ok(ConfigFile { entries })
    }

    /// Sets what the file says of `scenario`.
    pub(crate) fn apply(
        &self,
        scenario: &str,
        parameters: &mut ParameterSet,
    ) -> Result<(), Refused> {
        for entry in &self.entries {
            let applies = match &entry.scenario {
                Some(named) => named == scenario,
                None => parameters.contains(&entry.key),
            };
            if applies {
                let origin = Origin::File(entry.place.clone());
                let set = parameters.set(&entry.key, &entry.value, origin);
                set.map_err(|error| Refused::sentence(error.to_string()))?;
            }
        }
        Ok(())
    }
}

fn known_scenario<'a>(name: &str, place: &str, specs: &'a [Spec]) -> Result<&'a Spec, Refused> {
    let known = || specs.iter().map(|spec| spec.name);
    specs.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let remedy = match suggestion(name, known()) {
            Some(near) => format!("did you mean [\"{near}\"]?"),
            None => "`quorumark list` names them".to_owned(),
        };
        Refused::new(place, format!("[{name}] is no scenario"), remedy)
    })
}

fn entry<'a>(
    scenario: Option<&str>,
    key: &Spanned<toml::de::DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
    place: String,
    mut known: impl Iterator<Item = &'a str> + Clone,
) -> Result<Entry, Refused> {
    let key = key.get_ref().to_string();
    if !known.clone().any(|name| name == key) {
        let remedy = match suggestion(&key, known.by_ref()) {
            Some(near) => format!("did you mean {near}?"),
            None => "`quorumark list SCENARIO` shows its parameters".to_owned(),
        };
        return Err(Refused::new(place, format!("{key} is no parameter"), remedy));
    }
    let value = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(on) => on.to_string(),
        other => {
            let problem = format!("{key} is a TOML {}", other.type_str());
            return Err(Refused::new(place, problem, "write text, a number or true or false"));
        }
    };
    Ok(Entry { scenario: scenario.map(str::to_owned), key, value, place })
}

/// The line of the byte `at`, from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    1 + before.filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorumark_harness::Parameter;

    fn specs() -> [Spec; 2] {
        let seed = || Parameter::integer("seed", "", 0..=u64::MAX, 42, "");
        let replicas = Parameter::integer("replicas", "", 4..=31, 4, "");
        let spec = |name, parameters| Spec { name, description: "", parameters, metrics: &[] };
        [spec("a/b", vec![seed(), replicas]), spec("c/d", vec![seed()])]
    }

    fn applied(text: &str, scenario: usize) -> Result<ParameterSet, String> {
        let file = ConfigFile::parse(text, "f.toml", &specs()).map_err(|e| e.to_string())?;
        let spec = specs()[scenario].clone();
        let mut parameters = ParameterSet::new(spec.parameters);
        file.apply(spec.name, &mut parameters).map_err(|e| e.to_string())?;
        Ok(parameters)
    }

    #[test]
    fn a_scenario_s_table_overrides_what_is_said_of_all() {
        let text = "seed = 7\nreplicas = 10\n\n[\"a/b\"]\nseed = 0x10\n";
        let parameters = applied(text, 0).map(|set| (set.integer("seed"), set.integer("replicas")));
        assert!(parameters.is_err(), "only decimal numbers are parameters: {parameters:?}");
        let text = text.replace("0x10", "1_6");
        let parameters = applied(&text, 0).unwrap();
        assert_eq!((parameters.integer("seed"), parameters.integer("replicas")), (16, 10));
        assert_eq!(applied(&text, 1).unwrap().integer("seed"), 7);
        let origin = Origin::File("f.toml:5".to_owned());
        assert_eq!(parameters.setting("seed").origin, origin);
    }

    #[test]
    fn errors_name_file_and_line_and_what_was_meant() {
        let cases = [
            ("seed = 1\nreplcas = 4", "f.toml:2: replcas is no parameter; did you mean replicas?"),
            ("[\"a/c\"]\nseed = 1", "f.toml:1: [a/c] is no scenario; did you mean [\"a/b\"]?"),
            (
                "[\"c/d\"]\nreplicas = 4",
                "f.toml:2: replicas is no parameter; \
              `quorumark list SCENARIO` shows its parameters",
            ),
            ("seed = [1]", "f.toml:1: seed is a TOML array; write text, a number or true or false"),
            ("replicas = 3", "replicas=3 (f.toml:1): is out of range; choose 4 to 31"),
        ];
        for (text, message) in cases {
            assert_eq!(applied(text, 0).unwrap_err(), message);
        }
        assert!(applied("\nseed = = 1", 0).unwrap_err().starts_with("f.toml:2: is not TOML: "));
    }
}
