//! A plugin's answers to the host: its manifest, and the calls of what it registered, by name.

use std::{fmt, path::Path};

use ferry_plugin_abi::{method, status};
use ferry_plugin_proto::{
    Check, DataReply, DataType, Interface, Manifest, Migrate, MonitorType, NewFile, PROTO, ProcessType,
    ReadData, StepReply, StepRequest, Validate, Validated, Work, WorkReply, decode, encode,
};

use super::SDK_VERSION;
use crate::{
    ports::{
        data::DataEntry,
        file::{FileRef, SingleFile},
        places::Places,
        problems::Problems,
    },
    process::{
        monitor::MonitorEntry,
        registry::{Entry, Needed, Unable, all_entries, crate_of},
    },
};

/// A plugin: the entries of one crate. [`export_plugin!`](crate::export_plugin!) makes a file of one. A
/// program that links a plugin's crate makes the plugin here.
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// Its name.
    pub name: &'static str,
    /// The crate whose entries it offers. Those of other linked crates stay hidden.
    pub krate: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One line for lists.
    pub description: &'static str,
}

/// The reason why a call has no reply: a status of the ABI and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One of `ferry_plugin_abi::status`.
    pub status: i32,
    /// The reason as text.
    pub message: String,
}

impl Failure {
    fn error(message: impl Into<String>) -> Self {
        Failure { status: status::ERROR, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Plugin {
    /// Answers one call of the host.
    ///
    /// # Errors
    /// Fails at an unreadable request, and at an unknown method or process type. Errors inside a process type
    /// are part of the reply.
    ///
    /// # Panics
    /// If the author's code does.
    pub fn call(&self, method: u32, request: &[u8]) -> Result<Vec<u8>, Failure> {
        match method {
            method::MANIFEST => self.manifest().map(|manifest| encode(&manifest)),
            method::VALIDATE => self.validate(&read(request)?).map(|validated| encode(&validated)),
            method::WORK => self.work(read(request)?).map(|reply| encode(&reply)),
            method::STEP => self.step(&read(request)?).map(|reply| encode(&reply)),
            method::READ_DATA => self.read_data(&read(request)?).map(|reply| encode(&reply)),
            method::MIGRATE => self.migrate(read(request)?).map(|reply| encode(&reply)),
            method::CHECK => self.check(&read(request)?).map(|validated| encode(&validated)),
            _ => Err(Failure {
                status: status::UNKNOWN_METHOD,
                message: format!("plugin `{}` (SDK {}) has no method {method}", self.name, SDK_VERSION),
            }),
        }
    }

    /// Returns the process types, sorted by name.
    ///
    /// # Errors
    /// Fails if two process types have the same name.
    pub fn manifest(&self) -> Result<Manifest, Failure> {
        let mut types: Vec<ProcessType> = self.entries().map(Entry::describe).collect();
        types.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(twice) = types.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let name = &twice[0].name;
            return Err(Failure::error(format!(
                "plugin `{}` has two process types called `{name}`: give one of them another `name`",
                self.name
            )));
        }
        let mut monitors: Vec<MonitorType> =
            MonitorEntry::of_crate(self.krate).map(MonitorEntry::describe).collect();
        monitors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Manifest {
            proto: PROTO,
            plugin: self.name.to_owned(),
            version: self.version.to_owned(),
            description: self.description.to_owned(),
            types,
            interfaces: self.interfaces(),
            monitors,
            data_types: data_types()?,
        })
    }

    /// Reads a file as a data type.
    fn read_data(&self, request: &ReadData) -> Result<DataReply, Failure> {
        let entry = self.find_data(&request.data_type)?;
        let file =
            SingleFile::named(&request.name, FileRef::from_path(&request.path)).map_err(Failure::error)?;
        let mut places = Places::new(Path::new(&request.sandbox));
        Ok((entry.read)(&request.format, &file, &mut places).map_or_else(DataReply::Refused, DataReply::Node))
    }

    /// Brings a data node into another form.
    fn migrate(&self, request: Migrate) -> Result<DataReply, Failure> {
        let Migrate::Data { node, format, sandbox } = request;
        let entry = self.find_data(&node.data_type)?;
        let mut places = Places::new(Path::new(&sandbox));
        let reply = match format {
            None => (entry.upgrade)(&node, &mut places).map(DataReply::Node),
            Some(format) => (entry.write)(&node, &format).and_then(|bytes| {
                let source = FileRef::from_bytes(bytes).into_source(&mut places)?;
                Ok(DataReply::File(NewFile { path: format, source }))
            }),
        };
        Ok(reply.unwrap_or_else(DataReply::Refused))
    }

    /// Judges data nodes.
    fn check(&self, request: &Check) -> Result<Validated, Failure> {
        let Check::Data(nodes) = request;
        let mut bad = Problems::default();
        for (port, node) in nodes {
            if let Err(message) = (self.find_data(&node.data_type)?.check)(node) {
                bad.at(port, message);
            }
        }
        Ok(Validated { problems: bad.into_vec() })
    }

    /// Finds a data type. Data types belong to names, not to crates: all that are linked are declared.
    fn find_data(&self, name: &str) -> Result<&'static DataEntry, Failure> {
        inventory::iter::<DataEntry>
            .into_iter()
            .find(|entry| entry.name() == name)
            .ok_or_else(|| Failure::error(format!("plugin `{}` has no data type `{name}`", self.name)))
    }

    /// Types of other plugins that the crate has stubs of.
    fn interfaces(&self) -> Vec<Interface> {
        let needed =
            inventory::iter::<Needed>.into_iter().filter(|needed| crate_of(needed.module) == self.krate);
        let mut interfaces: Vec<Interface> = needed.map(|needed| (needed.interface)()).collect();
        interfaces.sort_by(|a, b| a.process_type.name.cmp(&b.process_type.name));
        interfaces
    }

    fn validate(&self, request: &Validate) -> Result<Validated, Failure> {
        if let Some(monitor) = self.monitor(&request.process_type) {
            return Ok(Validated { problems: monitor.judge(&request.inputs).into_vec() });
        }
        let entry = self.find(&request.process_type)?;
        Ok(Validated { problems: (entry.validate)(&request.inputs).into_vec() })
    }

    fn work(&self, request: Work) -> Result<WorkReply, Failure> {
        let replied = match self.monitor(&request.process_type) {
            Some(monitor) => monitor.do_work(&request.inputs, request.task),
            None => (self.find(&request.process_type)?.work)(&request.inputs, request.task),
        };
        replied
            .map_err(|Unable(why)| Failure::error(format!("`{}` can't do that: {why}", request.process_type)))
    }

    fn step(&self, request: &StepRequest) -> Result<StepReply, Failure> {
        let entry = self.find(&request.process_type)?;
        (entry.step)(request)
            .map_err(|Unable(why)| Failure::error(format!("`{}` can't do that: {why}", request.process_type)))
    }

    fn entries(&self) -> impl Iterator<Item = &'static Entry> {
        all_entries().filter(|entry| entry.krate() == self.krate)
    }

    fn monitor(&self, name: &str) -> Option<&'static MonitorEntry> {
        MonitorEntry::of_crate(self.krate).find(|monitor| monitor.name() == name)
    }

    fn find(&self, name: &str) -> Result<&'static Entry, Failure> {
        self.entries().find(|entry| entry.name() == name).ok_or_else(|| {
            let mut known: Vec<String> = self.entries().map(Entry::name).collect();
            known.sort();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Failure::error(format!("plugin `{}` has no process type `{name}`; it has: {known}", self.name))
        })
    }
}

/// Returns the data types of all linked crates, sorted by name.
fn data_types() -> Result<Vec<DataType>, Failure> {
    let mut types: Vec<DataType> =
        inventory::iter::<DataEntry>.into_iter().map(DataEntry::describe).collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    match types.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(twice) => Err(Failure::error(format!(
            "two structs derive `Data` as `{}`: give one of them another `name`",
            twice[0].name
        ))),
        None => Ok(types),
    }
}

fn read<T: serde::de::DeserializeOwned>(request: &[u8]) -> Result<T, Failure> {
    decode(request).map_err(|error| Failure {
        status: status::BAD_ARGUMENT,
        message: format!("the request can't be read: {error}"),
    })
}
