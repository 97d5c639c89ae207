//! From values to nodes and back: bodies with their version, brought up when they are read.

use ferry_plugin_proto::{CallInput, NewFile, NewNode, Node, VERSION_KEY, Value, from_value, to_value};
use serde::{Serialize, de::DeserializeOwned};

use super::{Data, DataFiles};
use crate::ports::{file::FileRef, lender::Lender, places::Places};

/// Upgrades a body to the version that `T` declares.
fn upgraded<T: Data>(body: Value) -> Result<Value, String> {
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

/// Returns the body of a value, with the version that it has.
fn body_of<T: Data>(value: &T) -> Result<Value, String> {
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

/// Makes a new node of a body and files.
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

/// Makes the input for a caller that has no folder for large files.
pub(crate) fn give_files(data_type: &str, value: Value, files: DataFiles) -> Result<CallInput, String> {
    new_files(data_type, value, files, &mut Places::default()).map(CallInput::New)
}

/// Functions that the derive macro's output calls. Not meant to be called by hand.
pub(crate) mod macros {
    use super::*;

    /// Returns the data types of a port that takes a `T`.
    pub fn data_types<T: Data>() -> Vec<String> {
        vec![T::NAME.to_owned()]
    }

    /// Reads a node, whatever version it was stored with.
    ///
    /// # Errors
    /// Fails if the node does not fit the type, with the reason.
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

    /// Makes a node of a value.
    ///
    /// # Errors
    /// Fails if the value is not valid, with the reason.
    pub fn data_into_node<T: Data>(value: &T, places: &mut Places) -> Result<NewNode, String> {
        value.check()?;
        new_files(T::NAME, body_of(value)?, files_of(value)?, places)
    }

    /// Makes a node as the engine would lend it.
    pub fn lend_data<T: Data>(value: &T, lender: &mut Lender) -> Node {
        let files = files_of(value).unwrap_or_default();
        lender.lend_files(T::NAME, body_of(value).unwrap_or_default(), files.iter())
    }

    /// Returns the call input for a process that is called with this value.
    ///
    /// # Errors
    /// Fails if the value is not valid, with the reason.
    pub fn give_data<T: Data>(value: &T) -> Result<CallInput, String> {
        value.check()?;
        give_files(T::NAME, body_of(value)?, files_of(value)?)
    }

    /// Takes a body through one upgrade: a function from what the older body was to the newer one.
    ///
    /// # Errors
    /// Fails if the body does not fit the types. Returns the function's own errors.
    pub fn upgrade<Old: DeserializeOwned, New: Serialize, E: ToString>(
        upgrade: impl Fn(Old) -> Result<New, E>,
        body: Value,
    ) -> Result<Value, String> {
        to_value(&upgrade(from_value(&body)?).map_err(|error| error.to_string())?)
    }

    /// Turns any error of a check that can be text into a `String`.
    ///
    /// # Errors
    /// Returns the check's error.
    pub fn checked<E: ToString>(result: Result<(), E>) -> Result<(), String> {
        result.map_err(|error| error.to_string())
    }
}
