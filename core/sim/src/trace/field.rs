//! How one field of a fact is encoded for the hash and spelled in JSON.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::types::{ClientId, Instant, ReplicaId, Seq, Timestamp, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::wire::{FRAME_BYTES_MAX, encode_bytes};
use serde_json::{Map, Value};
use thiserror::Error;

/// What a JSON value should have been. The path to it comes first.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {expected}")]
pub struct FieldError {
    /// Where the value stands, as field names and positions, outermost first.
    pub path: String,
    /// What should stand there.
    pub expected: Cow<'static, str>,
}

impl FieldError {
    pub(super) fn new(expected: impl Into<Cow<'static, str>>) -> FieldError {
        FieldError { path: String::new(), expected: expected.into() }
    }

    pub(super) fn within(mut self, name: &str) -> FieldError {
        let inner = core::mem::take(&mut self.path);
        self.path = if inner.is_empty() { name.to_owned() } else { format!("{name}.{inner}") };
        self
    }
}

/// A part of an event: one canonical encoding, one JSON spelling.
pub(super) trait Field: Sized {
    fn encode(&self, out: &mut Vec<u8>);
    fn to_json(&self) -> Value;
    fn from_json(value: Value) -> Result<Self, FieldError>;
}

/// The fields of a JSON object, each of which has to be taken.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn of(value: Value) -> Result<Fields, FieldError> {
        match value {
            Value::Object(map) => Ok(Fields(map)),
            _ => Err(FieldError::new("must be an object")),
        }
    }

    /// The field of this name.
    pub(super) fn take<T: Field>(&mut self, name: &str) -> Result<T, FieldError> {
        let value = self.0.shift_remove(name);
        let value = value.ok_or_else(|| FieldError::new("is missing").within(name))?;
        T::from_json(value).map_err(|error| error.within(name))
    }

    /// The one field that is left, with its name.
    pub(super) fn take_last(&mut self) -> Option<(String, Value)> {
        let name = self.0.keys().next_back()?.clone();
        self.0.shift_remove(&name).map(|value| (name, value))
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), FieldError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(FieldError::new("is no field here").within(name)),
        }
    }
}

/// Declares a fact: its fields, its encoding and its JSON, all in the order written.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Field for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$field.encode(out);)*
            }
            fn to_json(&self) -> Value {
                let mut map = Map::new();
                $(map.insert(stringify!($field).to_owned(), self.$field.to_json());)*
                Value::Object(map)
            }
            fn from_json(value: Value) -> Result<Self, FieldError> {
                let mut fields = Fields::of(value)?;
                let record = $name { $($field: fields.take(stringify!($field))?,)* };
                fields.finish()?;
                Ok(record)
            }
        }
    };
}
pub(super) use record;

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn to_json(&self) -> Value {
                Value::from(*self)
            }
            fn from_json(value: Value) -> Result<Self, FieldError> {
                let number = value.as_u64().and_then(|number| Self::try_from(number).ok());
                let expected = concat!("must be a whole number of type ", stringify!($type));
                number.ok_or(FieldError::new(expected))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64);

macro_rules! newtypes {
    ($($type:ident),*) => {$(
        impl Field for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                Field::encode(&self.0, out);
            }
            fn to_json(&self) -> Value {
                self.0.to_json()
            }
            fn from_json(value: Value) -> Result<Self, FieldError> {
                Field::from_json(value).map($type)
            }
        }
    )*};
}
newtypes!(ReplicaId, ClientId, View, Seq, Timestamp, Instant);

macro_rules! hex_arrays {
    ($($type:ident),*) => {$(
        impl Field for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
            fn to_json(&self) -> Value {
                Value::String(to_hex(&self.0))
            }
            fn from_json(value: Value) -> Result<Self, FieldError> {
                let bytes = from_hex(&value)?;
                let array = bytes.try_into().map_err(|bytes: Vec<u8>| {
                    FieldError::new(format!("must not have {} bytes", bytes.len()))
                });
                array.map($type)
            }
        }
    )*};
}
hex_arrays!(Digest, Signature);

impl Field for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn to_json(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_json(value: Value) -> Result<Self, FieldError> {
        value.as_bool().ok_or(FieldError::new("must be true or false"))
    }
}

impl Field for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self, out);
    }
    fn to_json(&self) -> Value {
        Value::String(to_hex(self))
    }
    fn from_json(value: Value) -> Result<Self, FieldError> {
        from_hex(&value).map(Bytes::from)
    }
}

/// Names that the emitter knows at compile time and a reader does not.
impl Field for Cow<'static, str> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }
    fn to_json(&self) -> Value {
        Value::String(self.to_string())
    }
    fn from_json(value: Value) -> Result<Self, FieldError> {
        match value {
            Value::String(text) => Ok(Cow::Owned(text)),
            _ => Err(FieldError::new("must be a string")),
        }
    }
}

impl<T: Field> Field for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(out);
        }
    }
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_json)
    }
    fn from_json(value: Value) -> Result<Self, FieldError> {
        match value {
            Value::Null => Ok(None),
            value => T::from_json(value).map(Some),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self, out);
    }
    fn to_json(&self) -> Value {
        Value::Array(self.iter().map(T::to_json).collect())
    }
    fn from_json(value: Value) -> Result<Self, FieldError> {
        let Value::Array(values) = value else {
            return Err(FieldError::new("must be an array"));
        };
        let read = |(nth, value)| {
            T::from_json(value).map_err(|error: FieldError| error.within(&format!("[{nth}]")))
        };
        values.into_iter().enumerate().map(read).collect()
    }
}

impl<T: Field> Field for Arc<[T]> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self, out);
    }
    fn to_json(&self) -> Value {
        Value::Array(self.iter().map(T::to_json).collect())
    }
    fn from_json(value: Value) -> Result<Self, FieldError> {
        Vec::from_json(value).map(Arc::from)
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn to_json(&self) -> Value {
        Value::Array(vec![self.0.to_json(), self.1.to_json()])
    }
    fn from_json(value: Value) -> Result<Self, FieldError> {
        let pair = match value {
            Value::Array(values) => <[Value; 2]>::try_from(values).ok(),
            _ => None,
        };
        let [first, second] = pair.ok_or(FieldError::new("must be an array of two"))?;
        Ok((A::from_json(first)?, B::from_json(second)?))
    }
}

macro_rules! pointers {
    ($($pointer:ident),*) => {$(
        impl<T: Field> Field for $pointer<T> {
            fn encode(&self, out: &mut Vec<u8>) {
                T::encode(self, out);
            }
            fn to_json(&self) -> Value {
                T::to_json(self)
            }
            fn from_json(value: Value) -> Result<Self, FieldError> {
                T::from_json(value).map($pointer::new)
            }
        }
    )*};
}
pointers!(Arc, Box);

fn encode_all<T: Field>(values: &[T], out: &mut Vec<u8>) {
    assert!(values.len() <= FRAME_BYTES_MAX, "a fact lists {} values", values.len());
    (values.len() as u32).encode(out);
    values.iter().for_each(|value| value.encode(out));
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(value: &Value) -> Result<Vec<u8>, FieldError> {
    let wrong = FieldError::new("must be pairs of lower-case hexadecimal digits");
    let text = value.as_str().ok_or(wrong.clone())?;
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
    match bytes.collect() {
        Some(bytes) if rest.is_empty() => Ok(bytes),
        _ => Err(wrong),
    }
}
