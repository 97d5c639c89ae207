//! Drafts of the inputs that a caller gives to a process, with a setter per port.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Deref, DerefMut},
};

use ferry_plugin_proto::{Call, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    error::Result,
    ports::{
        given::{InputsDraft, Ports},
        input::{Inputs, PortType},
    },
    process::process_type::Process,
};

/// A process of type `P` that may be called: its inputs, and how it is to run. Dereferences to the setters of the
/// inputs; it may be kept in the context of a workchain.
///
/// ```
/// # use ferry_plugin::{prelude::*, Draft, Process};
/// #[derive(Inputs)]
/// pub struct MeshInputs { pub n: i64 }
/// #[derive(Inputs)]
/// pub struct PwInputs {
///     pub ecut: f64,
///     pub mesh: MeshInputs,
///     pub weights: std::collections::BTreeMap<String, f64>,
/// }
/// #[derive(Outputs)]
/// pub struct PwOutputs { pub energy: f64 }
/// pub struct Pw;
/// #[calcjob(name = "qe.pw")]
/// impl CalcJob for Pw {
///     type Inputs = PwInputs;
///     type Outputs = PwOutputs;
///     # fn prepare(_: &PwInputs, _: &mut Job) -> Result { Ok(()) }
///     # fn parse(_: &PwInputs, _: &Finished, _: &mut PwOutputsDraft) -> Result { Ok(()) }
/// }
///
/// let mut pw = Draft::<Pw>::new();
/// let mut mesh = MeshInputsDraft::default();
/// mesh.n(4);
/// pw.ecut(40.0).mesh(mesh).weights(("Si", 28.1));
/// pw.metadata().computer("daint").option("max_wallclock_seconds", 3600_i64);
/// let call = pw.into_call("1.0").unwrap();
/// assert_eq!(call.process_type, "qe.pw");
/// let ports: Vec<&String> = call.inputs.keys().collect();
/// assert_eq!(ports, ["ecut", "mesh.n", "weights.Si"]);
/// ```
pub struct Draft<P: Process> {
    inputs: <P::Inputs as Inputs>::Draft,
    metadata: CallMetadata,
}

/// The options of a called process, and its label and description.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallMetadata {
    pub(crate) label: String,
    pub(crate) description: String,
    pub(crate) computer: Option<String>,
    pub(crate) options: BTreeMap<String, Value>,
    pub(crate) link_label: String,
}

impl CallMetadata {
    /// Sets the label, which is for people.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Sets the description, which is for people.
    pub fn description(&mut self, description: impl Into<String>) -> &mut Self {
        self.description = description.into();
        self
    }

    /// Sets the label of the computer that a calcjob runs on.
    pub fn computer(&mut self, label: impl Into<String>) -> &mut Self {
        self.computer = Some(label.into());
        self
    }

    /// Sets an option of a calcjob: `max_wallclock_seconds`, `resources`, ...
    pub fn option(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.options.insert(key.to_owned(), value.into());
        self
    }

    /// Returns all options that were set.
    pub fn options(&mut self) -> &mut BTreeMap<String, Value> {
        &mut self.options
    }

    /// Sets the label of the link from the caller; the default is `CALL`.
    pub fn link_label(&mut self, label: impl Into<String>) -> &mut Self {
        self.link_label = label.into();
        self
    }
}

impl<P: Process> Draft<P> {
    /// Makes a draft without inputs.
    pub fn new() -> Self {
        Draft::of(Ports::default())
    }

    /// Makes a draft with these ports.
    pub fn of(ports: Ports) -> Self {
        Draft { inputs: InputsDraft::over(ports), metadata: CallMetadata::default() }
    }

    /// Returns the metadata of the process: its computer, options, label and description.
    pub fn metadata(&mut self) -> &mut CallMetadata {
        &mut self.metadata
    }

    /// Lets a monitor look at the job of a calcjob: `entry_point`, `kwargs`, `priority`, `minimum_poll_interval`,
    /// `disabled`.
    pub fn monitor(&mut self, key: &str, monitor: impl Into<Value>) -> &mut Self {
        let input = crate::ports::scalars::Json(monitor.into()).given();
        self.inputs.ports_mut().give(&format!("monitors.{key}"), input);
        self
    }

    /// Returns the inputs that the ports were given.
    pub fn ports(&self) -> &Ports {
        self.inputs.ports()
    }

    pub(crate) fn set_metadata(&mut self, metadata: CallMetadata) {
        self.metadata = metadata;
    }

    pub(crate) fn into_parts(self) -> (Ports, CallMetadata) {
        (self.inputs.into_ports(), self.metadata)
    }

    /// Makes the call, under a name that no other call of the process has.
    ///
    /// # Errors
    /// Fails with all ports whose input is not valid, by name.
    pub fn into_call(self, call: impl Into<String>) -> Result<Call> {
        let CallMetadata { label, description, computer, options, link_label } = self.metadata;
        Ok(Call {
            call: call.into(),
            process_type: P::type_name(),
            inputs: self.inputs.into_ports().into_given()?,
            label,
            description,
            computer,
            options,
            link_label,
        })
    }
}

impl<P: Process> Default for Draft<P> {
    fn default() -> Self {
        Draft::new()
    }
}

impl<P: Process> Clone for Draft<P> {
    fn clone(&self) -> Self {
        Draft { inputs: self.inputs.clone(), metadata: self.metadata.clone() }
    }
}

impl<P: Process> fmt::Debug for Draft<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("inputs", &self.inputs).field("metadata", &self.metadata).finish()
    }
}

impl<P: Process> Deref for Draft<P> {
    type Target = <P::Inputs as Inputs>::Draft;

    fn deref(&self) -> &Self::Target {
        &self.inputs
    }
}

impl<P: Process> DerefMut for Draft<P> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inputs
    }
}

/// As a draft is saved in a workflow's state.
#[derive(Serialize, Deserialize)]
struct Saved {
    ports: Ports,
    #[serde(default)]
    metadata: CallMetadata,
}

impl<P: Process> Serialize for Draft<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Saved { ports: self.ports().clone(), metadata: self.metadata.clone() }.serialize(serializer)
    }
}

impl<'de, P: Process> Deserialize<'de> for Draft<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Saved { ports, metadata } = Saved::deserialize(deserializer)?;
        Ok(Draft { metadata, ..Draft::of(ports) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::node_ref::Node;
    use ferry_plugin_macros::calcfunction;
    use ferry_plugin_proto::CallInput;

    /// Adds.
    #[calcfunction(name = "sums.plus")]
    fn plus(x: i64, by: Option<f64>) -> i64 {
        x + by.unwrap_or_default() as i64
    }

    #[test]
    fn a_function_is_called_by_its_name_with_values_and_nodes() {
        assert_eq!(plus(2, None), 2);
        let node = Node::<f64>::new(ferry_plugin_proto::Node { uuid: "u".into(), ..Default::default() });
        let call = plus::with(2, &node).into_call("0").unwrap();
        assert_eq!((&*call.process_type, &call.inputs["by"]), ("sums.plus", &CallInput::Node("u".into())));
        let CallInput::New(x) = &call.inputs["x"] else { panic!("{call:?}") };
        assert_eq!((&*x.data_type, x.value.as_int()), ("int", Some(2)));
    }

    #[test]
    fn a_draft_survives_being_saved() {
        let mut draft = Draft::<plus>::new();
        draft.x(7);
        draft.metadata().label("seven").link_label("first");
        let saved = ferry_plugin_proto::encode(&draft);
        let read: Draft<plus> = ferry_plugin_proto::decode(&saved).unwrap();
        assert_eq!(read.into_call("0").unwrap(), draft.into_call("0").unwrap());
    }

    #[test]
    fn all_that_can_t_be_given_is_told() {
        let mut draft = Draft::<plus>::new();
        draft.ports_mut().give("x", Err("is no number".into()));
        draft.ports_mut().give("by", Err("is none either".into()));
        assert_eq!(draft.into_call("0").unwrap_err().to_string(), "by: is none either; x: is no number");
    }
}
