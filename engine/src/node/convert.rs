//! Conversion between files and nodes, by the plugins that declare their types. The plugin works in a host of the
//! program that asks; neither the daemon nor the command line runs its code.

use std::{path::Path, time::Duration};

use ferry_plugin_proto::{DataReply, Migrate, NewFile, NewNode, Node as PluginNode, ReadData, Source, Value};
use tempfile::TempDir;

use super::types::Declared;
use crate::{
    node::lend,
    plugin::{self, Digest, Hosts},
    store::{self, Content, Error, ErrorKind, FileContent, Node, Reader},
};

/// The reason why a conversion failed.
#[derive(Debug)]
pub enum ConvertError {
    /// The input is wrong; the text says where, and why.
    Refused(String),
    /// The plugin failed.
    Plugin(plugin::Error),
    /// The disk or the store failed.
    Store(store::Error),
}

impl From<plugin::Error> for ConvertError {
    fn from(error: plugin::Error) -> Self {
        ConvertError::Plugin(error)
    }
}

impl From<store::Error> for ConvertError {
    fn from(error: store::Error) -> Self {
        ConvertError::Store(error)
    }
}

/// The means of a conversion.
#[derive(Debug)]
pub struct Converter<'a> {
    /// The store that nodes are in, and objects go to.
    pub reader: &'a Reader,
    /// The pool that runs plugins.
    pub hosts: &'a Hosts,
    /// The most time that a plugin may take.
    pub deadline: Duration,
}

impl Converter<'_> {
    /// Reads a file as a data type: the body of the node, and its files.
    ///
    /// # Errors
    /// `Refused` for what is wrong with the file; the others for failures of plugin and disk.
    pub async fn read(
        &self,
        declared: &Declared,
        format: &str,
        file: &Path,
    ) -> Result<(Value, Vec<FileContent>), ConvertError> {
        let sandbox = scratch()?;
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let request = ReadData {
            data_type: declared.data_type.name.clone(),
            format: format.to_owned(),
            name,
            path: text(file)?,
            sandbox: text(sandbox.path())?,
        };
        match self.hosts.read_data(&digest(declared)?, &request, self.deadline).await? {
            DataReply::Node(NewNode { data_type, value, files }) if data_type == request.data_type => {
                let files = files.into_iter().map(|file| self.take(sandbox.path(), file));
                Ok((value, files.collect::<Result<_, _>>()?))
            }
            DataReply::Refused(message) => Err(ConvertError::Refused(message)),
            _ => Err(unfit("reading a file")),
        }
    }

    /// Writes a stored node as a file of a format.
    ///
    /// # Errors
    /// `Refused` for what the format can't express; the others for failures of plugin and disk.
    pub async fn write(
        &self,
        declared: &Declared,
        node: &Node,
        format: &str,
    ) -> Result<Vec<u8>, ConvertError> {
        let sandbox = scratch()?;
        let lent = scratch()?;
        let node = PluginNode {
            uuid: node.uuid.to_string(),
            data_type: node.node_type.clone(),
            value: node.body.clone(),
            files: lend::node_files(self.reader, node.id, lent.path())?,
        };
        let request = Migrate::Data { node, format: Some(format.to_owned()), sandbox: text(sandbox.path())? };
        match self.hosts.migrate(&digest(declared)?, &request, self.deadline).await? {
            DataReply::File(file) => bytes(sandbox.path(), file.source),
            DataReply::Refused(message) => Err(ConvertError::Refused(message)),
            DataReply::Node(_) => Err(unfit("writing a file")),
        }
    }

    /// Stores a new node's file in the object repository.
    fn take(&self, sandbox: &Path, file: NewFile) -> Result<FileContent, ConvertError> {
        if !lend::is_inside(&file.path) {
            return Err(ConvertError::Refused(format!(
                "the plugin names a file `{}`, which is outside of its node",
                file.path
            )));
        }
        let objects = self.reader.objects();
        let content: Content = match file.source {
            Source::Inline(bytes) => objects.put_bytes(bytes)?,
            Source::Sandbox(path) => {
                objects.put_file(&lend::no_links(sandbox, &path).map_err(ConvertError::Refused)?)?
            }
            _ => return Err(unfit("reading a file")),
        };
        Ok(FileContent { path: file.path, content, executable: false })
    }
}

fn bytes(sandbox: &Path, source: Source) -> Result<Vec<u8>, ConvertError> {
    match source {
        Source::Inline(bytes) => Ok(bytes),
        Source::Sandbox(path) => {
            let place = lend::no_links(sandbox, &path).map_err(ConvertError::Refused)?;
            Ok(std::fs::read(&place).map_err(|error| Error::from_io("read file", &place, error))?)
        }
        _ => Err(unfit("writing a file")),
    }
}

fn digest(declared: &Declared) -> Result<Digest, ConvertError> {
    declared.plugin.digest.parse().map_err(|_| unfit("naming a plugin"))
}

/// Makes a scratch directory, which is removed when the value is dropped.
fn scratch() -> Result<TempDir, ConvertError> {
    let made = tempfile::Builder::new().prefix("ferry-data-").tempdir();
    Ok(made.map_err(|error| Error::from_io("make a scratch directory", &std::env::temp_dir(), error))?)
}

fn text(path: &Path) -> Result<String, ConvertError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| ConvertError::Refused(format!("the name of {} is not UTF-8", path.display())))
}

fn unfit(during: &str) -> ConvertError {
    ConvertError::Store(
        Error::new(ErrorKind::Other, "convert data")
            .message("the plugin's answer does not fit the request")
            .with("during", during),
    )
}
