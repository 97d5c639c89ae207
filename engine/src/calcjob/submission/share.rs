//! A job's share of the machine where it runs beside others: its demand, its wait for room, and the GPUs it was
//! given.

use std::collections::BTreeMap;

use crate::calcjob::Calcjob;
use crate::{
    computer::Computer,
    scheduler::{Demand, gpu_environment},
    spec::Options,
    step::{StepError, StepResult},
    store::{Change, Level},
};

/// Pauses a job that asks for more than its machine has in total.
pub(crate) fn check(job: &Calcjob<'_>, computer: &str, demand: &Demand) -> StepResult {
    let capacity = job.cx.store.sharing(computer)?.capacity(computer);
    match capacity.and_then(|capacity| capacity.never(demand)) {
        None => Ok(()),
        Some(lack) => Err(StepError::Pause(format!(
            "{}; then `ferry process play {}`",
            lack.for_ever(computer),
            job.process.id
        ))),
    }
}

/// Tells the gate a job's demand. Returns the text about the wait, if the job waits for room on the machine.
pub(crate) fn lack(job: &Calcjob<'_>, computer: &str, demand: &Demand) -> StepResult<Option<String>> {
    let sharing = job.cx.store.sharing(computer)?;
    let config = sharing.computers.first().filter(|config| job.cx.shares_host(config));
    if config.is_none() {
        return Ok(None);
    }
    job.cx.gates.demand(job.process.id, *demand);
    let Some(capacity) = sharing.capacity(computer) else { return Ok(None) };
    let used = job.cx.in_use(&sharing)?;
    Ok(capacity.lack(demand, &used).map(|lack| format!("waiting for {}", lack.on(computer))))
}

/// Returns the variables that tell a job which GPUs are its own, once it has its ticket.
pub(crate) fn given(
    job: &Calcjob<'_>,
    computer: &str,
    demand: &Demand,
) -> StepResult<BTreeMap<String, String>> {
    if demand.gpus == 0 {
        return Ok(BTreeMap::new());
    }
    let tickets = job.cx.store.tickets(computer)?;
    let own = tickets.into_iter().find(|ticket| ticket.process == job.process.id);
    Ok(own.map(|ticket| gpu_environment(&ticket.devices)).unwrap_or_default())
}

/// Returns a line for the report that says how the memory limit is enforced, since some programs fail under it.
pub(crate) fn told(job: &Calcjob<'_>, computer: &Computer, options: &Options) -> Option<Change> {
    let kb = options.max_memory_kb.filter(|_| job.cx.shares_host(computer))?;
    Some(job.log(
        Level::Report,
        format!(
            "max_memory_kb: enforced by a control group where ferry may create one with a memory limit; otherwise \
             the commands run under `ulimit -v {kb}`, a limit on address space. Programs that reserve more than they \
             use, as CUDA and Java do, fail under it: omit max_memory_kb for them"
        ),
    ))
}
