//! Compares the result of a simulation with the true history, which only the world knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use ferry_plugin_proto::Kind;

use super::{graph, plan::Plan, queue::Truth, simulation::Report};
use crate::{
    process::State,
    store::{NodeId, Process, ProcessFilter, Reader, Result},
};

/// The engine's exit code for a job that ended without an exit status.
const LOST: u32 = 140;

/// The input of the verdict.
pub(super) struct Case<'a> {
    pub(super) reader: &'a Reader,
    pub(super) plan: &'a Plan,
    pub(super) killed: &'a BTreeSet<String>,
    pub(super) truths: &'a BTreeMap<PathBuf, Truth>,
    /// Work directories of jobs that are still in a queue.
    pub(super) left: &'a [PathBuf],
}

/// Fills a report.
pub(super) fn judge(case: &Case<'_>, report: &mut Report) -> Result<()> {
    let processes = case.reader.processes(&ProcessFilter::default())?;
    report.processes = processes.len();
    let mut labels: BTreeMap<NodeId, &str> = BTreeMap::new();
    for launch in &case.plan.launches {
        let of = processes.iter().filter(|process| process.label == launch.label && process.caller.is_none());
        let ids: Vec<NodeId> = of.map(|process| process.id).collect();
        match ids.as_slice() {
            [] => report.wrongs.push(format!("lost: {} was launched and is not there", launch.label)),
            [id] => drop(labels.insert(*id, &launch.label)),
            several => report.wrongs.push(format!("launched twice: {} is {several:?}", launch.label)),
        }
    }
    for process in &processes {
        let label = labels.get(&process.root).copied().unwrap_or_default();
        if let Some(wrong) = wrong_end(case, process, label) {
            report.wrongs.push(wrong);
        }
        let is_lost = process.kind == Kind::CalcJob && process.end.status == Some(LOST);
        if is_lost || process.state == State::Killed {
            report.disturbed.insert(label.to_owned());
        }
    }
    for (id, label) in &labels {
        report.trees.insert((*label).to_owned(), graph::canonical(case.reader, *id)?);
    }
    leftovers(case, report)
}

/// Returns what is wrong with a process's end, if anything.
fn wrong_end(case: &Case<'_>, process: &Process, label: &str) -> Option<String> {
    let told = |what: &str| Some(format!("{what}: process {} of {label}", process.id));
    if !process.state.is_terminal() {
        return None;
    }
    if process.state == State::Killed && !case.killed.contains(label) {
        return told("killed by nobody");
    }
    if process.kind != Kind::CalcJob {
        return None;
    }
    let dir = process.work_dir().map(Path::new);
    let truth = dir.and_then(|dir| case.truths.get(dir)).cloned().unwrap_or_default();
    match process.end.status {
        Some(0) if truth.exit != Some(0) => told("wrong result, a success without a run"),
        Some(LOST) if !truth.is_lost => told("wrong result, a job called lost that was not"),
        Some(310) if truth.exit.is_none_or(|exit| exit == 0) => told("wrong result, a failure without one"),
        _ => None,
    }
}

/// Checks that nothing is left behind.
fn leftovers(case: &Case<'_>, report: &mut Report) -> Result<()> {
    for host in &case.plan.hosts {
        for label in host.labels() {
            for ticket in case.reader.tickets(label)? {
                report.wrongs.push(format!("ticket left over: of process {}", ticket.process));
            }
        }
    }
    report.wrongs.extend(case.left.iter().map(|dir| format!("job left behind in {}", dir.display())));
    Ok(())
}
