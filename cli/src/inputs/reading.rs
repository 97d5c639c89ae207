//! Files that a port's data type can be read from, by the plugin that declares the type. It runs in a host of this
//! program, which is started for the first such file and ends with the command.

use std::{cell::OnceCell, path::Path};

use ferry_engine::{
    node::{ConvertError, Converter, Declared, declared_type},
    owner::{Builder, Settings},
    plugin::{Hosts, Library, PluginHostSettings},
    process::InputValue,
    store::Reader,
};

use super::content::ContentError;

/// The store and the plugin hosts that read files of inputs.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    reader: &'a Reader,
    builder: &'a Builder,
    hosts: OnceCell<Hosts>,
}

impl<'a> Reading<'a> {
    /// Makes the reader, without starting anything yet.
    pub(crate) fn new(reader: &'a Reader, builder: &'a Builder) -> Self {
        Reading { reader, builder, hosts: OnceCell::new() }
    }

    /// Returns the store that nodes are in.
    pub(crate) fn reader(&self) -> &'a Reader {
        self.reader
    }

    /// Returns the converter by which plugins read and write.
    ///
    /// # Errors
    /// Fails if the plugins' files are not accessible.
    pub(crate) fn converter(&self) -> Result<Converter<'_>, ConvertError> {
        let hosts = match self.hosts.get() {
            Some(hosts) => hosts,
            None => {
                let library = Library::new(&self.builder.paths.plugins())?;
                let settings = PluginHostSettings::new(self.builder.host_exe.clone());
                self.hosts.get_or_init(|| Hosts::new(settings, library))
            }
        };
        let deadline = Settings::read(self.reader)?.plugin_timeout;
        Ok(Converter { reader: self.reader, hosts, deadline })
    }

    /// Reads a file as one of the data types that a port takes, if the type is read from its format. The
    /// format was given, or is that of the file's name. If several plugins declare the type, `plugin` reads
    /// it.
    ///
    /// # Errors
    /// Fails if none of them is read from this format, with the available ones. Fails also if the file is not
    /// valid.
    pub(super) async fn read(
        &self,
        path: &Path,
        format: Option<&str>,
        types: &[String],
        plugin: &str,
    ) -> Result<InputValue, ContentError> {
        let mut declared = Vec::new();
        for name in types.iter().filter(|name| name.contains('.')) {
            declared.extend(declared_type(self.reader, name, Some(plugin)).map_err(ContentError::Store)?);
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let wanted = format.map(str::to_owned).or(ending);
        let reads =
            |each: &&Declared| wanted.as_ref().is_some_and(|format| each.data_type.reads.contains(format));
        let (Some(found), Some(format)) = (declared.iter().find(reads), &wanted) else {
            return Err(ContentError::Given(unknown(path, wanted.as_deref(), types, &declared)));
        };
        // A host may have another working directory than this program.
        let place =
            std::fs::canonicalize(path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
        if !place.is_file() {
            return Err(ContentError::Given(format!("{} is not a regular file", path.display())));
        }
        let read = match self.converter() {
            Ok(converter) => converter.read(found, format, &place).await,
            Err(error) => Err(error),
        };
        match read {
            Ok((value, files)) => {
                Ok(InputValue::New { data_type: Some(found.data_type.name.clone()), value, files })
            }
            Err(ConvertError::Store(error)) => Err(ContentError::Store(error)),
            Err(ConvertError::Refused(message)) => {
                Err(ContentError::Given(format!("{}: {message}", path.display())))
            }
            Err(ConvertError::Plugin(error)) => {
                Err(ContentError::Given(format!("{} was not read: {}", path.display(), error.explained())))
            }
        }
    }
}

/// Says which formats there are.
fn unknown(path: &Path, wanted: Option<&str>, types: &[String], declared: &[Declared]) -> String {
    let types = types.join(" or ");
    if declared.is_empty() {
        return format!(
            "no plugin here knows files of {types}: give @NODE, or its body as JSON or YAML (file:NAME.json)"
        );
    }
    let mut known: Vec<&str> =
        declared.iter().flat_map(|each| &each.data_type.reads).map(String::as_str).collect();
    known.dedup();
    let first = known.first().copied().unwrap_or("json");
    known.extend(["json", "yaml"]);
    let known = known.join(", ");
    match wanted {
        Some(format) => format!("{types} is not read from files of format `{format}`; known are: {known}"),
        None => format!(
            "the name of {} does not say what it is; known are: {known}; say which, as in {first}:{}",
            path.display(),
            path.display()
        ),
    }
}
