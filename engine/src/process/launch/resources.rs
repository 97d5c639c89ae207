//! Resources that no job of a computer can have, reported before a process is created.

use ferry_plugin_proto::{Kind, Problem};

use super::{examine::Examined, problem};
use crate::owner::Context;

/// Returns problems for resources that the scheduler of the launch's computer does not know, or that its machine
/// can never provide, as far as that is known. A computer or scheduler that does not exist is reported elsewhere.
pub(super) fn refused(cx: &Context, examined: &Examined) -> Vec<Problem> {
    if examined.process_type.kind != Kind::CalcJob || examined.imported {
        return Vec::new();
    }
    let sharing = examined.computer.as_deref().and_then(|label| cx.store.sharing(label).ok());
    let Some((sharing, config)) = sharing.as_ref().and_then(|all| Some((all, all.computers.first()?))) else {
        return Vec::new();
    };
    let Ok(scheduler) = cx.scheduler(config) else { return Vec::new() };
    let Examined { options, .. } = examined;
    let unknown = options.resources.unknown(scheduler.capabilities().resources);
    let told =
        |(name, message): (String, String)| problem(&format!("metadata.options.resources.{name}"), message);
    let unknown: Vec<Problem> = unknown.into_iter().map(told).collect();
    if !unknown.is_empty() {
        return unknown;
    }
    // A contradiction is reported already.
    let demand = options.demand(config.mpiprocs_per_machine).unwrap_or_default();
    let lack = sharing.capacity(&config.label).and_then(|capacity| capacity.never(&demand));
    lack.map(|lack| problem("metadata.options", lack.for_ever(&config.label))).into_iter().collect()
}
