//! Plain values as ports: numbers, truth, text, lists, and any serde type as [`Json`].

use std::ops::{Deref, DerefMut};

use ferry_plugin_proto::{NewNode, Node, Range, Value, from_value, to_value};
use serde::{Serialize, de::DeserializeOwned};

use crate::ports::{
    input::{PortType, macros::Number},
    lender::Lender,
    output::IntoNode,
    places::Places,
    probe_type,
};

/// A serde type as a node: a map is a `dict`, a sequence a `list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

fn one(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

fn new(data_type: &str, value: Value) -> NewNode {
    NewNode { data_type: data_type.to_owned(), value, files: Vec::new() }
}

fn mismatch(expected: &str, node: &Node) -> String {
    let found = match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the bool {value}"),
        Value::Int(number) => format!("the int {number}"),
        Value::Float(number) => format!("the float {number:?}"),
        Value::Str(text) => format!("the str {text:?}"),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::List(list) => format!("a list of {}", list.len()),
        Value::Map(_) => "a dict".to_owned(),
    };
    format!("expected {expected}, found {found} in a node of type `{}`", node.data_type)
}

macro_rules! integers {
    ($($int:ident)+) => {$(
        impl PortType for $int {
            fn types() -> Vec<String> {
                one("int")
            }

            /// Returns the range of the type; `None` if it holds every `int`.
            fn range() -> Option<Range> {
                let bound = |bound: Option<i64>, open: i64| bound.filter(|bound| *bound != open).map(|bound| bound as f64);
                let min = bound(i64::try_from($int::MIN).ok(), i64::MIN);
                let max = bound(i64::try_from($int::MAX).ok(), i64::MAX);
                (min.is_some() || max.is_some()).then_some(Range { min, max, max_exclusive: false })
            }

            fn from_node(node: &Node) -> Result<Self, String> {
                let number = node.value.as_int().ok_or_else(|| mismatch("an int", node))?;
                $int::try_from(number).map_err(|_| format!("{number} does not fit into {}", stringify!($int)))
            }

            fn lend(&self, lender: &mut Lender) -> Node {
                lender.lend_as("int", i64::try_from(*self).map_or(Value::Null, Value::Int))
            }
        }

        impl Number for $int {}

        impl IntoNode for $int {
            fn types() -> Vec<String> {
                one("int")
            }

            fn into_node(self, _: &mut Places) -> Result<NewNode, String> {
                let number = i64::try_from(self).map_err(|_| format!("{self} does not fit into a 64-bit signed integer"))?;
                Ok(new("int", Value::Int(number)))
            }
        }
    )+};
}
integers! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize }

macro_rules! floats {
    ($($float:ident)+) => {$(
        impl PortType for $float {
            fn types() -> Vec<String> {
                one("float")
            }

            fn from_node(node: &Node) -> Result<Self, String> {
                node.value.as_float().map(|number| number as $float).ok_or_else(|| mismatch("a float", node))
            }

            fn lend(&self, lender: &mut Lender) -> Node {
                lender.lend_as("float", Value::Float(f64::from(*self)))
            }
        }

        impl Number for $float {}

        impl IntoNode for $float {
            fn types() -> Vec<String> {
                one("float")
            }

            fn into_node(self, _: &mut Places) -> Result<NewNode, String> {
                Ok(new("float", Value::Float(f64::from(self))))
            }
        }
    )+};
}
floats! { f32 f64 }

impl PortType for bool {
    fn types() -> Vec<String> {
        one("bool")
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        if let Value::Bool(value) = node.value { Ok(value) } else { Err(mismatch("a bool", node)) }
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        lender.lend_as("bool", Value::Bool(*self))
    }
}

impl IntoNode for bool {
    fn types() -> Vec<String> {
        one("bool")
    }

    fn into_node(self, _: &mut Places) -> Result<NewNode, String> {
        Ok(new("bool", Value::Bool(self)))
    }
}

impl PortType for String {
    fn types() -> Vec<String> {
        one("str")
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        node.value.as_str().map(str::to_owned).ok_or_else(|| mismatch("a str", node))
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        lender.lend_as("str", Value::Str(self.clone()))
    }
}

impl IntoNode for String {
    fn types() -> Vec<String> {
        one("str")
    }

    fn into_node(self, _: &mut Places) -> Result<NewNode, String> {
        Ok(new("str", Value::Str(self)))
    }
}

impl<T: Serialize + DeserializeOwned> PortType for Vec<T> {
    fn types() -> Vec<String> {
        one("list")
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::List(_) => from_value(&node.value),
            _ => Err(mismatch("a list", node)),
        }
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        lender.lend_as("list", to_value(self).unwrap_or_default())
    }
}

impl<T: Serialize> IntoNode for Vec<T> {
    fn types() -> Vec<String> {
        one("list")
    }

    fn into_node(self, _: &mut Places) -> Result<NewNode, String> {
        Ok(new("list", to_value(&self)?))
    }
}

/// Returns the data type of a body that serde made.
fn type_of(value: &Value) -> Result<&'static str, String> {
    match value {
        Value::Bool(_) => Ok("bool"),
        Value::Int(_) => Ok("int"),
        Value::Float(_) => Ok("float"),
        Value::Str(_) => Ok("str"),
        Value::List(_) => Ok("list"),
        Value::Map(_) => Ok("dict"),
        Value::Null => Err("is nothing, and no data type holds nothing: leave the output out".to_owned()),
        Value::Bytes(_) => Err("is bytes, and no data type holds bytes: make it a file".to_owned()),
    }
}

impl<T: Serialize + DeserializeOwned> PortType for Json<T> {
    fn types() -> Vec<String> {
        probe_type::types_of::<T>()
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        from_value(&node.value).map(Json)
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        let value = to_value(&self.0).unwrap_or_default();
        lender.lend_as(type_of(&value).unwrap_or("dict"), value)
    }
}

impl<T: Serialize + DeserializeOwned> IntoNode for Json<T> {
    fn types() -> Vec<String> {
        probe_type::types_of::<T>()
    }

    fn into_node(self, _: &mut Places) -> Result<NewNode, String> {
        let value = to_value(&self.0)?;
        Ok(new(type_of(&value)?, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(data_type: &str, value: impl Into<Value>) -> Node {
        Node { data_type: data_type.into(), value: value.into(), ..Node::default() }
    }

    #[test]
    fn integers_know_their_bounds() {
        assert_eq!(<i64 as PortType>::range(), None);
        assert_eq!(
            <u64 as PortType>::range(),
            Some(Range { min: Some(0.0), max: None, max_exclusive: false })
        );
        let i8 = <i8 as PortType>::range().unwrap();
        assert_eq!((i8.min, i8.max), (Some(-128.0), Some(127.0)));
        assert_eq!(u8::from_node(&node("int", 300i64)).unwrap_err(), "300 does not fit into u8");
        assert!(u64::MAX.into_node(&mut Places::default()).unwrap_err().contains("does not fit"));
    }

    #[test]
    fn a_wrong_value_is_told_with_what_was_found() {
        let error = i64::from_node(&node("float", 0.5)).unwrap_err();
        assert_eq!(error, "expected an int, found the float 0.5 in a node of type `float`");
        assert_eq!(f64::from_node(&node("int", 2i64)), Ok(2.0));
        assert!(bool::from_node(&node("str", "true")).is_err());
        assert!(Vec::<i64>::from_node(&node("list", vec![Value::from("x")])).is_err());
    }

    #[test]
    fn json_takes_the_type_of_its_body() {
        let dict = Json(
            [("a", 1)]
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<std::collections::BTreeMap<_, _>>(),
        );
        assert_eq!(dict.into_node(&mut Places::default()).unwrap().data_type, "dict");
        assert_eq!(Json(vec![1.5]).into_node(&mut Places::default()).unwrap().data_type, "list");
        assert!(Json(None::<i64>).into_node(&mut Places::default()).unwrap_err().contains("nothing"));
    }
}
