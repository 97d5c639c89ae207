//! Entries of process types, which `inventory` collects: what the manifest lists and a call finds by name.

use std::collections::BTreeMap;

use ferry_plugin_proto::{
    ExitCode, Inputs as Nodes, Interface, Kind, Namespace, ProcessType, StepReply, StepRequest, Task, Value,
    WorkReply, decode,
};

use serde::de::DeserializeOwned;

use crate::ports::problems::Problems;

/// The arguments of a process type's attribute.
#[derive(Debug)]
pub struct About {
    /// `module_path!()` of its definition: its first part is the crate.
    pub module: &'static str,
    /// Its full name, if the author gave one.
    pub name: Option<&'static str>,
    /// Its name inside the plugin otherwise.
    pub item: &'static str,
    /// Its documentation.
    pub doc: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// See [`ProcessType::cache_version`].
    pub cache_version: u32,
}

impl About {
    pub(crate) fn krate(&self) -> &'static str {
        crate_of(self.module)
    }

    /// Returns the process type's name.
    pub(crate) fn full_name(&self) -> String {
        match self.name {
            Some(name) => name.to_owned(),
            None => format!("{}.{}", self.krate(), self.item),
        }
    }
}

/// Ports and exit codes of a process type.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    pub(crate) inputs: Namespace,
    pub(crate) outputs: Namespace,
    pub(crate) exit_codes: Vec<ExitCode>,
    /// Defaults of a calcjob's options.
    pub(crate) options: BTreeMap<String, Value>,
}

/// The reason why a process type can't do what was asked, whatever its inputs.
#[derive(Debug)]
pub(crate) struct Unable(pub(crate) &'static str);

/// One process type of some crate.
#[derive(Debug)]
pub struct Entry {
    pub(crate) about: About,
    pub(crate) kind: Kind,
    pub(crate) spec: fn() -> Spec,
    pub(crate) validate: fn(&Nodes) -> Problems,
    pub(crate) work: fn(&Nodes, Task) -> Result<WorkReply, Unable>,
    pub(crate) step: fn(&StepRequest) -> Result<StepReply, Unable>,
}

inventory::collect!(Entry);

impl Entry {
    /// Returns the kind of the process.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns its ports and exit codes.
    pub(crate) fn spec(&self) -> Spec {
        (self.spec)()
    }

    /// Returns the problems of the inputs.
    pub(crate) fn judge(&self, inputs: &Nodes) -> Problems {
        (self.validate)(inputs)
    }

    /// Takes a step.
    pub(crate) fn take_step(&self, request: &StepRequest) -> Result<StepReply, Unable> {
        (self.step)(request)
    }

    pub(crate) fn krate(&self) -> &'static str {
        self.about.krate()
    }

    /// Returns whether `name` is the entry's name or one of its aliases.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.about.aliases.contains(&name) || self.name() == name
    }

    /// Does the task.
    pub(crate) fn do_work(&self, inputs: &Nodes, task: Task) -> Result<WorkReply, Unable> {
        (self.work)(inputs, task)
    }

    /// Returns its full name.
    pub(crate) fn name(&self) -> String {
        self.about.full_name()
    }

    pub(crate) fn describe(&self) -> ProcessType {
        let spec = (self.spec)();
        ProcessType {
            name: self.name(),
            kind: self.kind,
            doc: self.about.doc.to_owned(),
            inputs: spec.inputs,
            outputs: spec.outputs,
            exit_codes: spec.exit_codes,
            aliases: self.about.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            cache_version: self.about.cache_version,
            options: spec.options,
        }
    }
}

/// Returns the crate of a module path.
pub(crate) fn crate_of(module: &'static str) -> &'static str {
    module.split("::").next().unwrap_or_default()
}

/// A process type of another plugin that some crate has a stub of.
#[derive(Debug)]
pub struct Needed {
    /// `module_path!()` of the stub.
    pub module: &'static str,
    /// The interface that the stub was made of.
    pub interface: fn() -> Interface,
}

inventory::collect!(Needed);

/// Decodes the message that a stub carries of its interface file.
///
/// # Panics
/// Never: it was encoded by this crate's own version of the messages.
pub fn described<T: DeserializeOwned>(message: &[u8]) -> T {
    decode(message).unwrap_or_else(|error| panic!("a stub that can't be read: {error}"))
}

/// Returns the entries of all linked crates.
pub(crate) fn all_entries() -> impl Iterator<Item = &'static Entry> {
    inventory::iter::<Entry>.into_iter()
}

/// Returns the entry of a process type that is registered.
pub(crate) fn entry_of(about: &About) -> Option<&'static Entry> {
    all_entries().find(|entry| entry.name() == about.full_name())
}

/// Takes no step: for what is done in one call.
pub(crate) fn no_steps(_: &StepRequest) -> Result<StepReply, Unable> {
    Err(Unable("it is no machine of steps"))
}
