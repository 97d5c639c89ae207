//! Data types of an author's own: a struct is a node, its serde form the node's body, some of its fields files.

use std::{collections::BTreeMap, fmt};

use ferry_plugin_proto::{
    CallInput, DataType, NewFile, NewNode, Node, VERSION_KEY, Value, from_value, to_value,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{FileRef, Result, Schema, SingleFile, output::Places, path, testing::Lender};

/// A data type; made by `#[derive(Data)]` of a struct that serde reads and writes.
///
/// A type belongs to its name: any plugin that declares it can read its nodes, whoever made them. A node keeps the
/// version that it was stored with; a newer plugin brings it up when it reads it, by the *upgrades*, each of which
/// makes a body one version newer. What a body looks like never changes without a new version: ferry refuses two plugins
/// that mean different things by one.
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
/// A field that is no part of the body says so to serde, too:
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
    /// Why they can't be made.
    fn put_files(&self, files: &mut DataFiles) -> Result<(), String>;

    /// Fills the fields that are files.
    ///
    /// # Errors
    /// A file that is missing, or that can't be read.
    fn take_files(&mut self, files: &DataFiles) -> Result<(), String>;

    /// What the type's form alone does not say.
    ///
    /// # Errors
    /// What is wrong.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Reads it from a file of one of the formats.
    ///
    /// # Errors
    /// Where the file is wrong, and what would be right.
    fn read_format(format: &str, file: &SingleFile) -> Result<Self> {
        let _ = file;
        Err(format!("{} is not read from files of format `{format}`", Self::NAME).into())
    }

    /// Writes it as a file of one of the formats.
    ///
    /// # Errors
    /// What the format can't say.
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
    /// Where the file is wrong, by line where it has lines, and what would be right.
    fn read_file(format: &str, file: &SingleFile) -> Result<Self>;
}

/// A data type that can be written as a file: of the formats in `#[data(write(..))]`.
pub trait WriteFile {
    /// Writes one.
    ///
    /// # Errors
    /// What the format can't say.
    fn write_file(&self, format: &str) -> Result<Vec<u8>>;
}

/// A field that is kept as a file of the node, or as several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a file of a data type",
    note = "use `FileRef`, `Array`, or an `Option` or a `BTreeMap<String, _>` of either"
)]
pub trait FileField: Sized {
    /// Adds what it is, under `path` or below it.
    ///
    /// # Errors
    /// A name that can't be a path.
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String>;

    /// Reads what lies there.
    ///
    /// # Errors
    /// That it is not there, or what is wrong with it.
    fn take(path: &str, files: &DataFiles) -> Result<Self, String>;

    /// Whether something lies there.
    fn is_there(path: &str, files: &DataFiles) -> bool;

    /// What lies below `path`, by name.
    fn names(path: &str, files: &DataFiles) -> Vec<String> {
        files.below(path).map(str::to_owned).collect()
    }
}

/// The files of a node, by path.
#[derive(Debug, Clone, Default)]
pub struct DataFiles(BTreeMap<String, FileRef>);

impl DataFiles {
    /// Those of a lent node.
    pub(crate) fn of_node(node: &Node) -> Self {
        let file = |(path, local): (&String, &String)| (path.clone(), FileRef::of_node(node, path, local));
        DataFiles(node.files.iter().map(file).collect())
    }

    /// Adds one.
    ///
    /// # Errors
    /// A path that is absolute or has `..`.
    pub fn add(&mut self, path: &str, file: FileRef) -> Result<(), String> {
        self.0.insert(path::relative(path)?, file);
        Ok(())
    }

    /// The file at `path`.
    ///
    /// # Errors
    /// That there is none. Workflows are not lent files.
    pub fn get(&self, path: &str) -> Result<&FileRef, String> {
        self.0.get(path).ok_or_else(|| format!("it has no file `{path}` here"))
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &FileRef)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// Names below `path`.
    pub(crate) fn below(&self, path: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{path}/");
        self.0.keys().filter_map(move |name| name.strip_prefix(&prefix))
    }
}

impl FileField for FileRef {
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String> {
        files.add(path, self.clone())
    }

    fn take(path: &str, files: &DataFiles) -> Result<Self, String> {
        files.get(path).cloned()
    }

    fn is_there(path: &str, files: &DataFiles) -> bool {
        files.get(path).is_ok()
    }
}

impl<T: FileField> FileField for Option<T> {
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String> {
        self.as_ref().map_or(Ok(()), |field| field.put(path, files))
    }

    fn take(path: &str, files: &DataFiles) -> Result<Self, String> {
        T::is_there(path, files).then(|| T::take(path, files)).transpose()
    }

    fn is_there(path: &str, files: &DataFiles) -> bool {
        T::is_there(path, files)
    }
}

impl<T: FileField> FileField for BTreeMap<String, T> {
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String> {
        self.iter().try_for_each(|(name, field)| field.put(&format!("{path}/{name}"), files))
    }

    fn take(path: &str, files: &DataFiles) -> Result<Self, String> {
        let names = T::names(path, files).into_iter();
        names.map(|name| T::take(&format!("{path}/{name}"), files).map(|field| (name, field))).collect()
    }

    fn is_there(path: &str, files: &DataFiles) -> bool {
        files.below(path).next().is_some()
    }
}

/// A body of the version that `T` declares.
pub(crate) fn upgraded<T: Data>(body: Value) -> Result<Value, String> {
    let found = body.get(VERSION_KEY).map_or(Ok(1), |version| {
        version
            .as_int()
            .and_then(|version| u32::try_from(version).ok())
            .filter(|version| *version > 0)
            .ok_or_else(|| format!("its body's `{VERSION_KEY}` is no version"))
    })?;
    if found > T::VERSION {
        return Err(format!(
            "it is of version {found} of `{}`, and this plugin knows those up to {}: install a newer one",
            T::NAME,
            T::VERSION
        ));
    }
    let mut body = body;
    for version in found..T::VERSION {
        let (_, upgrade) = T::UPGRADES.iter().find(|(from, _)| *from == version).ok_or_else(|| {
            format!(
                "it is of version {found} of `{}`, and this plugin knows no way from {version} to {}",
                T::NAME,
                version + 1
            )
        })?;
        body = upgrade(body).map_err(|error| {
            format!("it can't be brought from version {version} of `{}` to {}: {error}", T::NAME, version + 1)
        })?;
    }
    Ok(body)
}

/// The body of a value, with the version that it has.
pub(crate) fn body_of<T: Data>(value: &T) -> Result<Value, String> {
    let Value::Map(mut body) = to_value(value)? else {
        return Err(format!("`{}` is not written as a map", T::NAME));
    };
    body.insert(VERSION_KEY.to_owned(), Value::Int(i64::from(T::VERSION)));
    Ok(Value::Map(body))
}

fn files_of<T: Data>(value: &T) -> Result<DataFiles, String> {
    let mut files = DataFiles::default();
    value.put_files(&mut files)?;
    Ok(files)
}

/// A new node of a body and files.
pub(crate) fn new_files(
    data_type: &str,
    value: Value,
    files: DataFiles,
    places: &mut Places,
) -> Result<NewNode, String> {
    let file = |(path, file): (String, FileRef)| Ok(NewFile { path, source: file.into_source(places)? });
    let files = files.0.into_iter().map(file).collect::<Result<_, String>>()?;
    Ok(NewNode { data_type: data_type.to_owned(), value, files })
}

/// The same for somebody who calls a process and has no folder for large files.
pub(crate) fn give_files(data_type: &str, value: Value, files: DataFiles) -> Result<CallInput, String> {
    new_files(data_type, value, files, &mut Places::default()).map(CallInput::New)
}

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
    /// The entry of a type.
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

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What the manifest says of it.
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

/// What the derive expands to.
pub(crate) mod macros {
    use super::*;

    /// The data types of a port that takes a `T`.
    pub fn data_types<T: Data>() -> Vec<String> {
        vec![T::NAME.to_owned()]
    }

    /// Reads a node, whatever version it was stored with.
    ///
    /// # Errors
    /// What does not fit.
    pub fn data_from_node<T: Data>(node: &Node) -> Result<T, String> {
        if node.data_type != T::NAME {
            return Err(format!("expected a `{}`, found a node of type `{}`", T::NAME, node.data_type));
        }
        let body = upgraded::<T>(node.value.clone())?;
        let mut value: T =
            from_value(&body).map_err(|error| format!("its body is no `{}`: {error}", T::NAME))?;
        value.take_files(&DataFiles::of_node(node))?;
        value.check()?;
        Ok(value)
    }

    /// A node of a value.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn data_into_node<T: Data>(value: &T, places: &mut Places) -> Result<NewNode, String> {
        value.check()?;
        new_files(T::NAME, body_of(value)?, files_of(value)?, places)
    }

    /// A node as the engine would lend it.
    pub fn lend_data<T: Data>(value: &T, lender: &mut Lender) -> Node {
        let files = files_of(value).unwrap_or_default();
        lender.lend_files(T::NAME, body_of(value).unwrap_or_default(), files.iter())
    }

    /// What a process is given that is called with a value.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn give_data<T: Data>(value: &T) -> Result<CallInput, String> {
        value.check()?;
        give_files(T::NAME, body_of(value)?, files_of(value)?)
    }

    /// Takes a body through one upgrade: a function from what the older body was to the newer one.
    ///
    /// # Errors
    /// What does not fit; what the function said.
    pub fn upgrade<Old: DeserializeOwned, New: Serialize, E: ToString>(
        upgrade: impl Fn(Old) -> Result<New, E>,
        body: Value,
    ) -> Result<Value, String> {
        to_value(&upgrade(from_value(&body)?).map_err(|error| error.to_string())?)
    }

    /// A check's `Result`, with any error that can be text.
    ///
    /// # Errors
    /// The check's.
    pub fn checked<E: ToString>(result: Result<(), E>) -> Result<(), String> {
        result.map_err(|error| error.to_string())
    }
}
