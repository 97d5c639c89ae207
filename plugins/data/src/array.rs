//! `core.array`: named arrays with what they mean.

use std::collections::BTreeMap;

use ferry_plugin::{DEFAULT_ARRAY, prelude::*};
use serde::{Deserialize, Serialize};

/// Named arrays with their units
///
/// For arrays that need no words the base type `array` does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Data)]
#[data(name = "core.array", read("npy"), write("npy"), check = ArrayData::check)]
pub struct ArrayData {
    /// Units of arrays, by name
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    /// What arrays mean, by name
    #[serde(default)]
    pub descriptions: BTreeMap<String, String>,
    /// The arrays, a `.npy` file each
    #[data(file)]
    #[serde(skip)]
    pub arrays: BTreeMap<String, Array>,
}

impl ArrayData {
    /// Makes a node of one array, under AiiDA's name for a single array.
    pub fn single(array: Array) -> Self {
        ArrayData { arrays: [(DEFAULT_ARRAY.to_owned(), array)].into(), ..ArrayData::default() }
    }

    /// Checks constraints that the schema does not express.
    ///
    /// # Errors
    /// Fails if there is a unit or a description of an array that does not exist.
    pub fn check(&self) -> Result<(), String> {
        let told = self.units.keys().chain(self.descriptions.keys());
        match told.into_iter().find(|name| !self.arrays.contains_key(*name)) {
            Some(name) => Err(format!("it tells of an array `{name}`, which is not there")),
            None => Ok(()),
        }
    }
}

impl ReadFile for ArrayData {
    fn read_file(_: &str, file: &SingleFile) -> Result<Self> {
        Ok(ArrayData::single(Array::from_npy(&file.read()?)?))
    }
}

impl WriteFile for ArrayData {
    fn write_file(&self, _: &str) -> Result<Vec<u8>> {
        match self.arrays.values().collect::<Vec<_>>().as_slice() {
            [array] => Ok(array.to_npy()),
            arrays => {
                let message = format!(
                    "a .npy file is one array, and this node has {}: export it as json",
                    arrays.len()
                );
                Err(message.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_comes_from_a_file_and_goes_back() {
        let file = Array::from(vec![1.0, f64::NAN]).to_npy();
        let data: ArrayData = testing::read_data("npy", "x.npy", &file).unwrap();
        assert_eq!(testing::write_data(&data, "npy").unwrap(), file);
        assert!(testing::read_data::<ArrayData>("npy", "x.npy", "[1]").unwrap_err().contains("no .npy file"));
    }

    #[test]
    fn words_belong_to_arrays_that_are_there() {
        let data = ArrayData { units: [("e".into(), "eV".into())].into(), ..ArrayData::default() };
        assert!(data.check().unwrap_err().contains("`e`"));
    }
}
