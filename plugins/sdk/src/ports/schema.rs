//! Schemas: JSON Schemas of the bodies of data types, derived from the Rust types. The engine checks bodies
//! against them where it does not ask the plugin. It also compares them, to find out whether two plugins mean
//! the same type by one name.

use std::collections::BTreeMap;

use ferry_plugin_proto::Value;

use crate::ports::scalars::Json;

/// A type whose serde form can be described. `#[derive(Schema)]` makes it of a struct or an enum, and
/// `#[derive(Data)]` of a data type; both read the attributes `#[serde(..)]`.
///
/// ```
/// use ferry_plugin::{Schema, Value};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Schema, Serialize, Deserialize)]
/// #[serde(rename_all = "lowercase")]
/// pub enum Spin { Up, Down }
///
/// #[derive(Schema, Serialize, Deserialize)]
/// pub struct Atom {
///     /// Å
///     pub position: [f64; 3],
///     #[serde(default)]
///     pub spin: Option<Spin>,
/// }
///
/// let schema = Atom::schema();
/// assert_eq!(schema.get("required"), Some(&Value::from(vec![Value::from("position")])));
/// let help = schema.get("properties").and_then(|p| p.get("position")?.get("description"));
/// assert_eq!(help, Some(&Value::from("Å")));
/// ```
#[diagnostic::on_unimplemented(
    message = "nothing is known of how `{Self}` looks in a data type's body",
    note = "derive `Schema` for it, beside `Serialize` and `Deserialize`"
)]
pub trait Schema {
    /// Returns its JSON schema.
    fn schema() -> Value;

    /// Returns whether the value may be left out of a map.
    fn is_optional() -> bool {
        false
    }
}

/// Makes a map of schema words.
fn words<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn typed(name: &str) -> Value {
    words([("type", name.into())])
}

macro_rules! integers {
    ($($int:ident)+) => {$(
        impl Schema for $int {
            fn schema() -> Value {
                let bound = |name: &str, bound: Option<i64>, open: i64| {
                    Some((name.to_owned(), Value::Int(bound.filter(|bound| *bound != open)?)))
                };
                let bounds = [
                    bound("minimum", i64::try_from($int::MIN).ok(), i64::MIN),
                    bound("maximum", i64::try_from($int::MAX).ok(), i64::MAX),
                ];
                let kind = [("type".to_owned(), "integer".into())];
                Value::Map(kind.into_iter().chain(bounds.into_iter().flatten()).collect())
            }
        }
    )+};
}
// The width of `usize` depends on the machine; a schema is the same everywhere.
integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

macro_rules! plain {
    ($($type:ty => $name:literal),+ $(,)?) => {$(
        impl Schema for $type {
            fn schema() -> Value {
                typed($name)
            }
        }
    )+};
}
plain! { f32 => "number", f64 => "number", bool => "boolean", String => "string", char => "string" }

impl Schema for usize {
    fn schema() -> Value {
        u64::schema()
    }
}

impl Schema for Value {
    fn schema() -> Value {
        words([])
    }
}

impl<T: Schema> Schema for Option<T> {
    fn schema() -> Value {
        words([("anyOf", vec![T::schema(), typed("null")].into())])
    }

    fn is_optional() -> bool {
        true
    }
}

impl<T: Schema> Schema for Box<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Schema> Schema for Json<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema() -> Value {
        words([("type", "array".into()), ("items", T::schema())])
    }
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    fn schema() -> Value {
        let length = Value::Int(N as i64);
        words([
            ("type", "array".into()),
            ("items", T::schema()),
            ("minItems", length.clone()),
            ("maxItems", length),
        ])
    }
}

impl<T: Schema> Schema for BTreeMap<String, T> {
    fn schema() -> Value {
        words([("type", "object".into()), ("additionalProperties", T::schema())])
    }
}

macro_rules! tuples {
    ($(($($part:ident)+))+) => {$(
        impl<$($part: Schema),+> Schema for ($($part,)+) {
            fn schema() -> Value {
                macros::tuple(vec![$($part::schema()),+])
            }
        }
    )+};
}
tuples! { (A) (A B) (A B C) (A B C D) }

/// Functions that the derive macro's output calls. Not meant to be called by hand.
pub mod macros {
    use super::{Schema, typed, words};
    use ferry_plugin_proto::Value;
    use std::collections::BTreeMap;

    /// An object that is described entry by entry.
    #[derive(Debug, Default)]
    pub struct Object {
        properties: BTreeMap<String, Value>,
        required: Vec<Value>,
    }

    impl Object {
        /// Adds an entry. If its value is left out, it is `T`'s default, if it has one.
        pub fn entry<T: Schema>(&mut self, name: &str, doc: &str, has_default: bool) {
            if !has_default && !T::is_optional() {
                self.required.push(name.into());
            }
            self.properties.insert(name.to_owned(), described(T::schema(), doc));
        }

        /// Adds an entry that always has this value.
        pub fn constant(&mut self, name: &str, value: &str) {
            self.required.push(name.into());
            self.properties.insert(name.to_owned(), constant(value));
        }

        /// Adds the entries of another object.
        pub fn flatten<T: Schema>(&mut self) {
            let Value::Map(mut inner) = T::schema() else { return };
            if let Some(Value::Map(properties)) = inner.remove("properties") {
                self.properties.extend(properties);
            }
            if let Some(Value::List(required)) = inner.remove("required") {
                self.required.extend(required);
            }
        }

        /// Returns the schema. A strict one takes no other entries.
        pub fn finish(mut self, strict: bool) -> Value {
            self.required.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            let mut schema = BTreeMap::from([("type".to_owned(), "object".into())]);
            schema.insert("properties".to_owned(), self.properties.into());
            if !self.required.is_empty() {
                schema.insert("required".to_owned(), self.required.into());
            }
            if strict {
                schema.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            Value::Map(schema)
        }
    }

    /// Adds a description to a schema.
    pub fn described(schema: Value, doc: &str) -> Value {
        match schema {
            Value::Map(mut schema) if !doc.is_empty() => {
                schema.insert("description".to_owned(), doc.into());
                Value::Map(schema)
            }
            other => other,
        }
    }

    /// Makes the schema of a sequence of given parts.
    pub fn tuple(parts: Vec<Value>) -> Value {
        let length = Value::Int(parts.len() as i64);
        words([
            ("type", "array".into()),
            ("prefixItems", parts.into()),
            ("minItems", length.clone()),
            ("maxItems", length),
        ])
    }

    /// Makes the schema of one of several choices.
    pub fn any_of(choices: Vec<Value>) -> Value {
        words([("anyOf", choices.into())])
    }

    /// Makes the schema of this text.
    pub fn constant(value: &str) -> Value {
        words([("const", value.into())])
    }

    /// Makes the schema of null.
    pub fn null() -> Value {
        typed("null")
    }

    /// Makes the schema of an object of one entry.
    pub fn tagged(name: &str, inner: Value) -> Value {
        words([
            ("type", "object".into()),
            ("properties", words([(name, inner)])),
            ("required", vec![name.into()].into()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    fn json<T: Schema>() -> String {
        show(&T::schema())
    }

    fn show(value: &Value) -> String {
        match value {
            Value::Map(map) => {
                let entries: Vec<_> =
                    map.iter().map(|(key, value)| format!("{key}: {}", show(value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
            Value::List(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(", ")),
            Value::Str(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn plain_types_have_schemas() {
        assert_eq!(json::<i64>(), "{type: integer}");
        assert_eq!(json::<u8>(), "{maximum: 255, minimum: 0, type: integer}");
        assert_eq!(json::<usize>(), "{minimum: 0, type: integer}");
        assert_eq!(json::<[f64; 3]>(), "{items: {type: number}, maxItems: 3, minItems: 3, type: array}");
        assert_eq!(json::<Option<bool>>(), "{anyOf: [{type: boolean}, {type: null}]}");
        assert_eq!(
            json::<(i64, String)>(),
            "{maxItems: 2, minItems: 2, prefixItems: [{type: integer}, {type: string}], type: array}"
        );
        assert_eq!(json::<BTreeMap<String, Value>>(), "{additionalProperties: {}, type: object}");
    }

    #[derive(crate::Schema, Serialize, Deserialize)]
    struct Part {
        n: i64,
    }

    #[derive(crate::Schema, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Whole {
        /// How long
        total_length: f64,
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        many: Vec<i64>,
        maybe: Option<f64>,
        #[serde(skip)]
        _hidden: i64,
    }

    #[derive(crate::Schema, Serialize, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        part: Part,
    }

    #[derive(crate::Schema, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        NotAny,
        Ball { r: f64 },
        Row(Vec<f64>),
        Pair(i64, i64),
    }

    #[derive(crate::Schema, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Tagged {
        Ball { r: f64 },
        Nothing,
    }

    #[derive(crate::Schema, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(f64),
        Many(Vec<f64>),
    }

    #[derive(crate::Schema, Serialize, Deserialize)]
    struct Wrapped(f64);

    #[test]
    fn structs_say_what_serde_says() {
        assert_eq!(
            json::<Whole>(),
            "{additionalProperties: Bool(false), properties: {many: {items: {type: integer}, type: array}, \
             maybe: {anyOf: [{type: number}, {type: null}]}, totalLength: {description: How long, type: number}, \
             type: {type: string}}, required: [totalLength, type], type: object}"
        );
        assert_eq!(json::<Flat>(), json::<Part>());
        assert_eq!(json::<Wrapped>(), "{type: number}");
    }

    #[test]
    fn enums_are_one_of_several() {
        let object = "{properties: {r: {type: number}}, required: [r], type: object}";
        assert_eq!(
            json::<Shape>(),
            format!(
                "{{anyOf: [{{const: not_any}}, {{properties: {{ball: {object}}}, required: [ball], type: object}}, \
                 {{properties: {{row: {{items: {{type: number}}, type: array}}}}, required: [row], type: object}}, \
                 {{properties: {{pair: {}}}, required: [pair], type: object}}]}}",
                json::<(i64, i64)>()
            )
        );
        assert_eq!(
            json::<Tagged>(),
            "{anyOf: [{properties: {kind: {const: ball}, r: {type: number}}, required: [kind, r], type: object}, \
             {properties: {kind: {const: nothing}}, required: [kind], type: object}]}"
        );
        assert_eq!(json::<Either>(), "{anyOf: [{type: number}, {items: {type: number}, type: array}]}");
    }
}
