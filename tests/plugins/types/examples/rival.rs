//! A plugin that means something else by a name and version that are taken.

extern crate self as rival;

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

/// Not what others mean by it
#[derive(Debug, Serialize, Deserialize, Data)]
#[data(name = "core.structure")]
pub struct Structure {
    /// As in old files
    pub atoms: Vec<String>,
}

/// How many there are.
#[calcfunction(name = "rival.count")]
pub fn count(structure: Structure) -> i64 {
    structure.atoms.len() as i64
}

ferry_plugin::export_plugin!(rival);
