//! Ports: how fields of an author's structs become ports of the manifest, and values become nodes and come back.

pub(crate) mod any_input;
pub(crate) mod array;
pub(crate) mod data;
pub(crate) mod file;
pub(crate) mod given;
pub(crate) mod input;
pub(crate) mod lender;
pub(crate) mod node;
pub(crate) mod node_ref;
pub(crate) mod output;
pub(crate) mod output_nodes;
pub(crate) mod places;
mod probe_type;
pub(crate) mod problems;
pub(crate) mod scalars;
pub(crate) mod schema;
