//! Processes that call others: machines of steps, workfunctions, workchains, and the ports of those they call.

pub(crate) mod context;
pub(crate) mod draft;
pub(crate) mod expose;
pub(crate) mod flow;
pub(crate) mod machine;
pub(crate) mod restart;
pub(crate) mod workchain;
