//! Resources that no job of a computer can have, told before a process is made.

use ferry_plugin_proto::{Kind, Problem};

use super::{examine::Examined, problem};
use crate::runner::Context;

/// Names what the scheduler of the launch's computer does not know. A computer or scheduler that can't be looked up
/// is told by others.
pub(super) fn refused(cx: &Context, examined: &Examined) -> Vec<Problem> {
    if examined.process_type.kind != Kind::CalcJob || examined.imported {
        return Vec::new();
    }
    let computer = examined.computer.as_deref().and_then(|label| cx.store.computer(label).ok());
    let Some(config) = computer.map(|row| row.config) else { return Vec::new() };
    let Ok(scheduler) = cx.scheduler(&config.scheduler) else { return Vec::new() };
    let unknown = examined.options.resources.unknown(scheduler.capabilities().resources);
    let told =
        |(name, message): (String, String)| problem(&format!("metadata.options.resources.{name}"), message);
    unknown.into_iter().map(told).collect()
}
