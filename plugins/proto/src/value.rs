//! A value of any shape, as a data node's body carries it: JSON's model, with integers kept apart from
//! floats, exact floats, and bytes.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

/// A value of any shape.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit signed integer.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes; JSON has no word for them.
    Bytes(Vec<u8>),
    /// A sequence.
    List(Vec<Value>),
    /// Keys are text, in order.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Returns the text; `None` if it is no text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Str(text) = self { Some(text) } else { None }
    }

    /// Returns the integer; `None` if it is no integer.
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(number) = self { Some(*number) } else { None }
    }

    /// Returns the number, also that of an integer; `None` if it is no number.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the entry of a map; `None` if it is no map, or has no such entry.
    pub fn get(&self, key: &str) -> Option<&Value> {
        if let Value::Map(map) = self { map.get(key) } else { None }
    }

    /// Returns the dotted path of a NaN or an infinity, which stored data may not hold; `None` if there is
    /// none.
    pub fn find_non_finite(&self) -> Option<String> {
        let inside = |key: String, value: &Value| {
            value
                .find_non_finite()
                .map(|rest| if rest.is_empty() { key.clone() } else { format!("{key}.{rest}") })
        };
        match self {
            Value::Float(number) if !number.is_finite() => Some(String::new()),
            Value::List(list) => list.iter().enumerate().find_map(|(i, value)| inside(i.to_string(), value)),
            Value::Map(map) => map.iter().find_map(|(key, value)| inside(key.clone(), value)),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => $arm:expr),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self { $arm(value) }
        }
    )+};
}
from! {
    bool => Value::Bool,
    i64 => Value::Int,
    f64 => Value::Float,
    String => Value::Str,
    &str => |text: &str| Value::Str(text.to_owned()),
    Vec<Value> => Value::List,
    BTreeMap<String, Value> => Value::Map,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Str(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_bytes(value),
            Value::List(value) => value.serialize(serializer),
            Value::Map(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Value::deserialize(deserializer)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Int(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
                i64::try_from(value)
                    .map(Value::Int)
                    .map_err(|_| E::custom(format!("{value} does not fit into a 64-bit signed integer")))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::from(value))
            }
            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(Value::Str(value))
            }
            fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
                Ok(Value::Bytes(value.to_vec()))
            }
            fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Value, E> {
                Ok(Value::Bytes(value))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((key, value)) = entries.next_entry()? {
                    map.insert(key, value);
                }
                Ok(Value::Map(map))
            }
        }
        deserializer.deserialize_any(AnyValue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn every_float_and_integer_survives() {
        for value in [
            Value::Float(0.1 + 0.2),
            Value::Float(f64::MIN_POSITIVE),
            Value::Float(5.0),
            Value::Int(5),
            Value::Int(i64::MIN),
            Value::Int(i64::MAX),
            Value::Bytes(vec![0, 255]),
        ] {
            assert_eq!(decode::<Value>(&encode(&value)).unwrap(), value);
        }
        let nan = decode::<Value>(&encode(&Value::Float(f64::NAN))).unwrap();
        assert_eq!(nan.find_non_finite(), Some(String::new()));
    }

    #[test]
    fn json_keeps_integers_and_floats_apart() {
        let value: Value = serde_json::from_str(r#"{"a": [1, 1.0, null, "x"]}"#).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"a":[1,1.0,null,"x"]}"#);
    }

    #[test]
    fn a_hidden_infinity_is_named() {
        let value = Value::Map([("a".into(), Value::List(vec![1i64.into(), f64::INFINITY.into()]))].into());
        assert_eq!(value.find_non_finite().as_deref(), Some("a.1"));
    }
}
