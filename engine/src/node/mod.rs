//! Nodes: the base data types and those that plugins declare, and the graph that nodes and links make.

pub mod code;
mod convert;
mod data;
mod graph;
pub mod lend;
pub mod schema;
mod types;

pub use convert::{ConvertError, Converter};
pub(crate) use data::describe;
pub use data::{ARRAY, BASE_TYPES, array_body, check_body};
pub use graph::{Depth, Graph, LinkFilter, Traversal, collect};
pub use types::{Declared, check_typed_body, declared_type, declared_types, version_of};
pub(crate) use types::{disagreement, with_version};
