//! The comparison of the ground truth (files that the payloads wrote, the real queue) with the store.

use ferry_matrix::{Profile, Result};
use serde_json::Value;

use super::{
    plan::{Bound, Work},
    trial::{Sent, running, runs},
};

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    /// Acknowledged, and not there or not run.
    Lost,
    /// A payload ran more than once, or a child was launched more than once.
    Twice,
    /// It has not ended.
    Stuck,
    /// Its process has ended, and something of its job runs.
    Runs,
    /// More jobs at once than are allowed, or a ticket without an owner.
    Bound,
    /// It ended in another way than it should, or the store is damaged.
    Result,
}

/// All that is wrong with a trial.
pub(super) type Findings = Vec<(Wrong, String)>;

/// Compares everything that was sent with what came of it.
///
/// # Errors
/// Fails if `ferry` itself does not answer.
pub(super) fn judge(ferry: &Profile, sent: &[Sent], live: &[Value]) -> Result<Findings> {
    let mut findings = Findings::new();
    for process in live {
        findings.push((Wrong::Stuck, format!("{process}")));
    }
    if live.is_empty() {
        findings.extend(running(sent).into_iter().map(|process| (Wrong::Runs, process)));
    }
    for one in sent {
        for marker in one.markers().iter().filter(|marker| runs(marker) > 1) {
            findings
                .push((Wrong::Twice, format!("{one:?}: {} ran {} times", marker.display(), runs(marker))));
        }
        if let Some(id) = &one.id {
            judge_one(ferry, one, id, &mut findings)?;
        }
    }
    let acknowledged = sent.iter().filter(|one| one.id.is_some()).count();
    let tops = ferry.json(&["process", "list", "-a"])?;
    let tops = tops.as_array().into_iter().flatten();
    let called = children_of_all(ferry, tops.clone())?;
    let stored = tops.count() - called;
    if !(acknowledged..=sent.len()).contains(&stored) {
        let text = format!("{stored} in the store, {acknowledged} of {} were acknowledged", sent.len());
        findings.push((if stored < acknowledged { Wrong::Lost } else { Wrong::Twice }, text));
    }
    Ok(findings)
}

fn children_of_all<'a>(ferry: &Profile, processes: impl Iterator<Item = &'a Value>) -> Result<usize> {
    let mut count = 0;
    for parent in processes.filter(|process| process["process_type"] == "script.run") {
        count += called(&ferry.json(&["process", "show", &parent["id"].to_string()])?);
    }
    Ok(count)
}

fn called(shown: &Value) -> usize {
    shown["called"].as_array().map_or(0, Vec::len)
}

fn judge_one(ferry: &Profile, one: &Sent, id: &str, findings: &mut Findings) -> Result {
    let answer = ferry.ferry(&["process", "show", id, "--format", "json"])?;
    if answer.status != 0 {
        findings.push((Wrong::Lost, format!("{one:?}: {}", answer.stderr)));
        return Ok(());
    }
    let shown = answer.json()?;
    if let Work::Parent { jobs, .. } = one.work {
        judge_children(&shown, jobs as usize + 1, findings);
    }
    let output = match one.work {
        Work::Job { .. } => "sum",
        Work::Function { .. } => "result",
        Work::Parent { .. } => "results.sum",
    };
    let good = shown["exit_code"] == 0 && shown["outputs"][output]["value"] == one.result();
    if !good && one.killed && shown["state"] == "killed" {
        return Ok(());
    }
    if !good {
        let report = ferry.ok(&["process", "report", id]).unwrap_or_default();
        findings.push((Wrong::Result, format!("{one:?}: {shown:#}\n{report}")));
    } else if one.markers().iter().any(|marker| runs(marker) == 0) {
        findings.push((Wrong::Lost, format!("{one:?} has finished and not run: {shown:#}")));
    }
    Ok(())
}

/// Checks that a parent which finished has called all its children, and each once.
fn judge_children(shown: &Value, want: usize, findings: &mut Findings) {
    let count = called(shown);
    if count > want {
        findings.push((Wrong::Twice, format!("{count} children, {want} were called: {shown:#}")));
    } else if count < want && shown["state"] == "finished" {
        findings.push((Wrong::Lost, format!("{count} children, {want} were called: {shown:#}")));
    }
}

/// Checks that the bound was kept, and that no ticket is left.
///
/// # Errors
/// Fails if `ferry` itself does not answer.
pub(super) fn judge_limits(
    ferry: &Profile,
    computer: &str,
    bound: Option<Bound>,
    most: usize,
    findings: &mut Findings,
) -> Result {
    if let Some(bound) = bound.filter(|bound| most > bound.most) {
        findings.push((Wrong::Bound, format!("{most} jobs at once with {bound:?}")));
    }
    let shown = ferry.json(&["limit", "show", computer])?;
    if shown[0]["active"] != 0 {
        findings.push((Wrong::Bound, format!("tickets of nobody: {shown}")));
    }
    Ok(())
}

/// Checks the store itself.
///
/// # Errors
/// Fails if `ferry` can't be started.
pub(super) fn judge_store(ferry: &Profile, findings: &mut Findings) -> Result {
    let answer = ferry.ferry(&["storage", "check", "--full"])?;
    if answer.status != 0 {
        findings.push((Wrong::Result, format!("the store: {}{}", answer.stdout, answer.stderr)));
    }
    Ok(())
}
