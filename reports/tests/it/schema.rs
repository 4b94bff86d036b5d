//! The schema, the golden record and the structs say the same.

use quorumark_report::record::{RECORD_SCHEMA, SCHEMA_VERSION};
use serde_json::Value;

use crate::{GOLDEN, golden};

/// Walks a value along its schema and names each place where the two differ.
struct Walk {
    root: Value,
    differences: Vec<String>,
}

impl Walk {
    fn resolve(&self, schema: &Value) -> Value {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return schema.clone();
        };
        self.root.pointer(reference.trim_start_matches('#')).expect("a known $ref").clone()
    }

    fn value(&mut self, value: &Value, schema: &Value, at: &str) {
        let schema = self.resolve(schema);
        self.kind(value, &schema, at);
        match value {
            Value::Object(fields) if schema.get("properties").is_some() => {
                self.fields(fields, &schema, at);
            }
            Value::Object(entries) => {
                for (name, entry) in entries {
                    let inner = schema.get("additionalProperties").cloned().unwrap_or_default();
                    self.value(entry, &inner, &format!("{at}/{name}"));
                }
            }
            Value::Array(elements) => {
                let inner = schema.get("items").cloned().unwrap_or_default();
                elements.iter().for_each(|element| self.value(element, &inner, at));
            }
            _ => {}
        }
    }

    /// A struct: exactly the properties of the schema, each of them required but those that were added
    /// within the version, which older records lack.
    fn fields(&mut self, fields: &serde_json::Map<String, Value>, schema: &Value, at: &str) {
        let properties = schema["properties"].as_object().expect("properties");
        let required: Vec<&str> = schema["required"]
            .as_array()
            .expect("required")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for name in properties.keys().filter(|name| !fields.contains_key(*name)) {
            self.differences.push(format!("{at}/{name} is in the schema only"));
        }
        for (name, field) in fields {
            let added = properties.get(name).is_some_and(|inner| {
                inner["description"].as_str().is_some_and(|text| text.contains("Added later"))
            });
            if required.contains(&name.as_str()) == added {
                self.differences.push(format!("{at}/{name} is required, or is not"));
            }
            match properties.get(name) {
                Some(inner) => self.value(field, inner, &format!("{at}/{name}")),
                None => self.differences.push(format!("{at}/{name} is not in the schema")),
            }
        }
    }

    fn kind(&mut self, value: &Value, schema: &Value, at: &str) {
        let fits = |kind: &str| match kind {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("unknown type {other} in the schema at {at}"),
        };
        let fits_one = match schema.get("type") {
            Some(Value::String(kind)) => fits(kind),
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).any(fits),
            _ => true,
        };
        if !fits_one {
            self.differences.push(format!("{at} is {value}, the schema says {}", schema["type"]));
        }
    }
}

#[test]
fn every_field_of_a_record_stands_in_the_schema_and_the_reverse() {
    let root: Value = serde_json::from_str(RECORD_SCHEMA).unwrap();
    let record = serde_json::to_value(golden()).unwrap();
    let mut walk = Walk { root: root.clone(), differences: Vec::new() };
    walk.value(&record, &root, "");
    assert!(walk.differences.is_empty(), "{:#?}", walk.differences);
}

#[test]
fn the_golden_record_leaves_no_struct_unseen() {
    let record = golden();
    assert!(!record.oracle.is_empty() && !record.intervals.is_empty());
    assert!(!record.stages.is_empty() && !record.samples.is_empty());
    assert!(!record.warnings.is_empty() && !record.latency_spectrum.is_empty());
}

#[test]
fn the_golden_record_is_written_again_byte_by_byte() {
    assert_eq!(golden().to_json(), GOLDEN);
}

#[test]
fn the_schema_names_the_version_that_is_written() {
    let schema: Value = serde_json::from_str(RECORD_SCHEMA).unwrap();
    assert_eq!(schema["properties"]["schema_version"]["const"], SCHEMA_VERSION);
    assert_eq!(golden().schema_version, SCHEMA_VERSION);
}
