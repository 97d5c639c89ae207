//! Process types as others call them: by a Rust type.

use ferry_plugin_proto::{Ended, Kind, Namespace};

use crate::{
    error::Result,
    ports::{input::Inputs, output_nodes::OutputNodes},
    process::registry::{self, About},
};

/// A process type that can be called from workflows; made by the attributes that register one.
///
/// For a function it is implemented by a type of the function's own name, which has no values and one associated
/// function, `with`: `add::with(1, &node)` is a call of `add` that may be awaited.
pub trait Process: 'static {
    /// Its input ports.
    type Inputs: Inputs;
    /// Its outputs, as stored nodes.
    type Nodes: OutputNodes;
    /// The arguments of its attribute.
    #[doc(hidden)]
    const ABOUT: About;

    /// Returns its full name.
    fn type_name() -> String {
        Self::ABOUT.full_name()
    }

    /// Returns the kind of the process.
    fn kind() -> Kind {
        registry::entry_of(&Self::ABOUT).map_or(Kind::Unknown, |entry| entry.kind())
    }

    /// Returns its output ports.
    fn outputs() -> Namespace {
        registry::entry_of(&Self::ABOUT).map(|entry| entry.spec().outputs).unwrap_or_default()
    }

    /// Returns the outputs of a process that ended.
    ///
    /// # Errors
    /// Fails with its exit code, or with the reason why it did not finish. Fails also if an output is
    /// missing.
    fn nodes(ended: &Ended) -> Result<Self::Nodes> {
        let name = Self::type_name();
        if !ended.is_ok() {
            return Err(format!("`{name}` did not succeed: {}", ended.in_words()).into());
        }
        let nodes = Self::Nodes::read_all(&ended.outputs, "");
        nodes.map_err(|message| format!("`{name}`: {message}").into())
    }
}
