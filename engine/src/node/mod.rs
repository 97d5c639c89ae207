//! Nodes: the base data types, and the graph that nodes and links make.

mod data;
mod graph;

pub(crate) use data::describe;
pub use data::{BASE_TYPES, check_body};
pub use graph::{Depth, Graph, LinkFilter, Traversal, collect};
