//! Data types of an author's own: a struct is a node, its serde form the node's body, some of its fields files.
//!
//! What a struct derives is a port type, an entry in the manifest, and the plugin's answers to requests that read,
//! migrate and check data. The manifest lists all types that are linked, of whatever crate: a type belongs to its name.

mod body;
mod entry;
mod files;

pub(crate) use body::{give_files, macros, new_files};
pub use entry::DataEntry;
pub use files::{DataFiles, FileField};

use ferry_plugin_proto::Value;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Result,
    ports::{file::SingleFile, schema::Schema},
};

/// A data type; made by `#[derive(Data)]` of a struct that serde reads and writes.
///
/// A type belongs to its name: any plugin that declares it can read its nodes, whatever plugin made them. A node
/// keeps the version that it was stored with. A newer plugin upgrades it on reading, by the *upgrades*, each of
/// which makes a body one version newer. The form of a body never changes without a new version: ferry refuses
/// two plugins that mean different things by the same version.
///
/// ```
/// use ferry_plugin::prelude::*;
/// use serde::{Deserialize, Serialize};
/// use std::collections::BTreeMap;
///
/// /// A molecule of some atoms.
/// #[derive(Debug, Data, Serialize, Deserialize)]
/// #[data(name = "doc.molecule", version = 2, upgrade(1 => from_v1), read("mol"), write("mol"), check = Molecule::check)]
/// pub struct Molecule {
///     /// Symbols of its atoms
///     pub atoms: Vec<String>,
///     /// Elementary charges
///     pub charge: i64,
///     /// A file of the node, not a part of its body
///     #[data(file)]
///     #[serde(skip)]
///     pub forces: Option<Array>,
/// }
///
/// /// Version 1 had no charge.
/// #[derive(Deserialize)]
/// struct V1 { atoms: Vec<String> }
///
/// fn from_v1(old: V1) -> Result<Molecule> {
///     Ok(Molecule { atoms: old.atoms, charge: 0, forces: None })
/// }
///
/// impl Molecule {
///     fn check(&self) -> Result<(), String> {
///         if self.atoms.is_empty() { Err("a molecule has atoms".into()) } else { Ok(()) }
///     }
/// }
///
/// impl ReadFile for Molecule {
///     fn read_file(_format: &str, file: &SingleFile) -> Result<Self> {
///         let text = file.read_to_string()?;
///         Ok(Molecule { atoms: text.split_whitespace().map(str::to_owned).collect(), charge: 0, forces: None })
///     }
/// }
///
/// impl WriteFile for Molecule {
///     fn write_file(&self, _format: &str) -> Result<Vec<u8>> {
///         Ok(self.atoms.join(" ").into_bytes())
///     }
/// }
///
/// /// How many atoms there are.
/// #[calcfunction]
/// pub fn count(molecule: Molecule) -> i64 { molecule.atoms.len() as i64 }
///
/// let old = testing::stored("doc.molecule", BTreeMap::from([("atoms", ["H", "H"])]));
/// assert_eq!(old.get::<Molecule>()?.charge, 0);
/// let read = testing::read_data::<Molecule>("mol", "water.mol", "O H H")?;
/// assert_eq!(testing::write_data(&read, "mol")?, b"O H H");
/// assert!(testing::read_data::<Molecule>("mol", "none.mol", "").unwrap_err().contains("has atoms"));
/// # Ok::<(), String>(())
/// ```
///
/// A field that is no part of the body must be skipped by serde, too:
///
/// ```compile_fail
/// # use ferry_plugin::prelude::*;
/// #[derive(Data, serde::Serialize, serde::Deserialize)]
/// #[data(name = "doc.table")]
/// struct Table { #[data(file)] rows: FileRef }
/// ```
/// and upgrades leave no gap:
///
/// ```compile_fail
/// # use ferry_plugin::prelude::*;
/// #[derive(Data, serde::Serialize, serde::Deserialize)]
/// #[data(name = "doc.table", version = 3, upgrade(1 => older))]
/// struct Table { n: i64 }
/// fn older(table: Table) -> Result<Table> { Ok(table) }
/// ```
pub trait Data: Schema + Serialize + DeserializeOwned + 'static {
    /// Full name, `library.type`.
    const NAME: &'static str;
    /// Version of the bodies that this struct makes.
    const VERSION: u32;
    /// Its documentation.
    const DOC: &'static str;
    /// Formats of files that it can be read from.
    const READS: &'static [&'static str];
    /// Formats of files that it can be written to.
    const WRITES: &'static [&'static str];
    /// Versions that can be brought up, each by one.
    const UPGRADES: &'static [(u32, Upgrade)];

    /// Adds the files of the node.
    ///
    /// # Errors
    /// Fails if they can't be made.
    fn put_files(&self, files: &mut DataFiles) -> Result<(), String>;

    /// Fills the fields that are files.
    ///
    /// # Errors
    /// Fails if a file is missing, or can't be read.
    fn take_files(&mut self, files: &DataFiles) -> Result<(), String>;

    /// Checks constraints that the type's schema does not express.
    ///
    /// # Errors
    /// Fails with the problem.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Reads it from a file of one of the formats.
    ///
    /// # Errors
    /// Fails with the place of the problem in the file, and what would be right.
    fn read_format(format: &str, file: &SingleFile) -> Result<Self> {
        let _ = file;
        Err(format!("{} is not read from files of format `{format}`", Self::NAME).into())
    }

    /// Writes it as a file of one of the formats.
    ///
    /// # Errors
    /// Fails if the format can't express the value.
    fn write_format(&self, format: &str) -> Result<Vec<u8>> {
        Err(format!("{} is not written to files of format `{format}`", Self::NAME).into())
    }
}

/// Makes a body one version newer.
pub type Upgrade = fn(Value) -> Result<Value, String>;

/// A data type that files can be read as: those of the formats in `#[data(read(..))]`.
pub trait ReadFile: Sized {
    /// Reads one.
    ///
    /// # Errors
    /// Fails with the place of the problem in the file, by line where it has lines, and what would be right.
    fn read_file(format: &str, file: &SingleFile) -> Result<Self>;
}

/// A data type that can be written as a file: of the formats in `#[data(write(..))]`.
pub trait WriteFile {
    /// Writes one.
    ///
    /// # Errors
    /// Fails if the format can't express the value.
    fn write_file(&self, format: &str) -> Result<Vec<u8>>;
}
