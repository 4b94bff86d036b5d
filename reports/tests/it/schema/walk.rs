//! A document held against its schema, for those who test documents that they made and for those
//! who test documents that the program wrote.

use serde_json::Value;

/// Each place in which `document` and `schema` differ, in words.
pub(crate) fn differences(document: &Value, schema: &str) -> Vec<String> {
    let root: Value = serde_json::from_str(schema).expect("the schema is JSON");
    let mut walk = Walk { root: root.clone(), differences: Vec::new() };
    walk.value(document, &root, "");
    walk.differences
}

/// A document on its way along its schema.
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
        if let Some(known) = schema.get("enum").and_then(Value::as_array)
            && !value.is_null()
            && !known.contains(value)
        {
            self.differences.push(format!("{at} is {value}, which the schema does not name"));
        }
        if !fits_one {
            self.differences.push(format!("{at} is {value}, the schema says {}", schema["type"]));
        }
    }
}
