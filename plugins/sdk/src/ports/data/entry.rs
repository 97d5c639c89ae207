//! The description of a data type, whatever its Rust type. `inventory` collects the entries, and the manifest
//! lists them.

use std::fmt;

use ferry_plugin_proto::{DataType, NewNode, Node};

use super::{Data, macros};
use crate::ports::{file::SingleFile, places::Places};

/// One data type of some crate, whatever its Rust type.
pub struct DataEntry {
    declare: fn() -> DataType,
    name: &'static str,
    pub(crate) read: fn(&str, &SingleFile, &mut Places) -> Result<NewNode, String>,
    pub(crate) write: fn(&Node, &str) -> Result<Vec<u8>, String>,
    pub(crate) upgrade: fn(&Node, &mut Places) -> Result<NewNode, String>,
    pub(crate) check: fn(&Node) -> Result<(), String>,
}

inventory::collect!(DataEntry);

impl fmt::Debug for DataEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DataEntry").field(&self.name).finish()
    }
}

impl DataEntry {
    /// Returns the entry of a type.
    pub const fn of<T: Data>() -> Self {
        DataEntry {
            declare: declare::<T>,
            name: T::NAME,
            read: read::<T>,
            write: write::<T>,
            upgrade: |node, places| macros::data_into_node(&macros::data_from_node::<T>(node)?, places),
            check: |node| macros::data_from_node::<T>(node).map(drop),
        }
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the description of the type for the manifest.
    pub(crate) fn describe(&self) -> DataType {
        (self.declare)()
    }
}

fn declare<T: Data>() -> DataType {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    DataType {
        name: T::NAME.to_owned(),
        version: T::VERSION,
        doc: T::DOC.to_owned(),
        schema: T::schema(),
        upgrades: T::UPGRADES.iter().map(|(from, _)| *from).collect(),
        reads: words(T::READS),
        writes: words(T::WRITES),
    }
}

fn read<T: Data>(format: &str, file: &SingleFile, places: &mut Places) -> Result<NewNode, String> {
    let value = T::read_format(format, file).map_err(|error| error.to_string())?;
    macros::data_into_node(&value, places)
}

fn write<T: Data>(node: &Node, format: &str) -> Result<Vec<u8>, String> {
    macros::data_from_node::<T>(node)?.write_format(format).map_err(|error| error.to_string())
}
