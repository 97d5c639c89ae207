//! Finds the data type that fits a serde type. It asks the type's `Deserialize` what it wants and gives it
//! nothing.

use serde::{
    Deserializer, de,
    de::{DeserializeOwned, Visitor},
};

/// Returns the data types whose bodies a `T` can be read from.
pub(crate) fn types_of<T: DeserializeOwned>() -> Vec<String> {
    let mut types = &["dict", "list"][..];
    // The probe always ends in an error: only what was asked for matters.
    let _ = T::deserialize(Probe(&mut types));
    types.iter().map(|name| (*name).to_owned()).collect()
}

struct Probe<'a>(&'a mut &'static [&'static str]);

impl Probe<'_> {
    fn wants<T>(self, types: &'static [&'static str]) -> Result<T, de::value::Error> {
        *self.0 = types;
        Err(de::Error::custom("a probe"))
    }
}

macro_rules! wants {
    ($($method:ident($($arg:ty),*) $types:expr;)+) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $arg,)* _: V) -> Result<V::Value, Self::Error> {
            self.wants(&$types)
        }
    )+};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = de::value::Error;

    wants! {
        deserialize_bool() ["bool"];
        deserialize_i8() ["int"];
        deserialize_i16() ["int"];
        deserialize_i32() ["int"];
        deserialize_i64() ["int"];
        deserialize_u8() ["int"];
        deserialize_u16() ["int"];
        deserialize_u32() ["int"];
        deserialize_u64() ["int"];
        deserialize_f32() ["float"];
        deserialize_f64() ["float"];
        deserialize_char() ["str"];
        deserialize_str() ["str"];
        deserialize_string() ["str"];
        deserialize_seq() ["list"];
        deserialize_tuple(usize) ["list"];
        deserialize_tuple_struct(&'static str, usize) ["list"];
        deserialize_map() ["dict"];
        deserialize_struct(&'static str, &'static [&'static str]) ["dict"];
        deserialize_any() ["dict", "list"];
        deserialize_bytes() ["dict", "list"];
        deserialize_byte_buf() ["dict", "list"];
        deserialize_unit() ["dict", "list"];
        deserialize_unit_struct(&'static str) ["dict", "list"];
        deserialize_identifier() ["dict", "list"];
        deserialize_ignored_any() ["dict", "list"];
    }

    /// Accepts an enum: a text, or a map of one entry when a variant holds something.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.wants(&["str", "dict"])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_plugin_proto::Value;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    struct Settings {
        #[serde(rename = "a")]
        _a: i64,
    }

    #[test]
    fn the_shape_of_a_serde_type_names_its_data_type() {
        assert_eq!(types_of::<Settings>(), ["dict"]);
        assert_eq!(types_of::<BTreeMap<String, f64>>(), ["dict"]);
        assert_eq!(types_of::<Vec<Settings>>(), ["list"]);
        assert_eq!(types_of::<[f64; 3]>(), ["list"]);
        assert_eq!(types_of::<Option<u8>>(), ["int"]);
        assert_eq!(types_of::<Value>(), ["dict", "list"]);
    }
}
