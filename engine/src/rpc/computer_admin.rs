//! The user's decisions about computers, and about submissions that stay unclear.

use std::sync::Arc;

use crate::{
    calcjob::request_resubmit,
    clock,
    owner::Context,
    rpc::{HostAction, Response},
    store::{Change, Disabled, Error, ErrorKind, HostChange, NodeId, Process, proof_of},
};

/// Number of tries to write a decision when a step commits first.
const TRIES: u32 = 20;

/// Carries out a decision about a computer.
pub(crate) async fn host(cx: &Arc<Context>, computer: String, action: HostAction) -> Result<Response, Error> {
    let config = cx.store.computer(&computer)?.config;
    let change = match &action {
        HostAction::Disable { reason } => {
            // Disabling again changes the reason alone.
            let since = cx.store.host(&computer)?.disabled.map_or_else(clock::now, |old| old.since);
            Some(HostChange::Disabled(Some(Disabled { since, reason: reason.clone() })))
        }
        HostAction::Enable => Some(HostChange::Disabled(None)),
        HostAction::Proven => Some(HostChange::Proof(Some(proof_of(&config)))),
        HostAction::TryNow => None,
    };
    if let Some(change) = change.clone() {
        cx.store.commit(vec![Change::Host { computer: computer.clone(), change }]).await?;
    }
    match change {
        Some(HostChange::Disabled(disabled)) => cx.health.set_disabled(&computer, disabled),
        _ => cx.health.hurry(&computer),
    }
    Ok(Response::Done)
}

/// Removes paused processes from the gates where they wait; they return there when they continue.
pub(crate) fn leave_gates(cx: &Context, processes: &[i64]) {
    let trees = processes.iter().flat_map(|top| cx.store.live_tree(NodeId(*top)).unwrap_or_default());
    trees.for_each(|process| cx.gates.stands_still(process));
}

/// Returns the changes of a decision, which also lets its process continue.
fn decided(process: Process) -> Vec<Change> {
    let goes_on = Change::Pause { process: process.id, paused: false };
    vec![Change::Update(Box::new(process)), goes_on]
}

/// Records that a submission is to be made again.
pub(crate) async fn resubmit(cx: &Context, id: i64) -> Result<Response, Error> {
    for _ in 0..TRIES {
        let process = match request_resubmit(cx.store.process(NodeId(id))?) {
            Ok(process) => process,
            Err(message) => return Ok(Response::Failed { message, help: None }),
        };
        match cx.store.commit(decided(process)).await {
            Err(error) if *error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(Response::Done),
        }
    }
    Ok(Response::Failed {
        message: format!("process {id} changes too quickly"),
        help: Some("try again in a moment".into()),
    })
}
