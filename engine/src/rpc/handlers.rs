//! The effects of requests on the store. The same code serves a daemon's clients and a command line that owns the
//! profile for one request.

use std::{path::Path, sync::Arc};

use uuid::Uuid;

use super::{logins, plugin_admin};
use crate::{
    calcjob::{self, check_launch},
    crash, ids,
    node::check_typed_body,
    owner::{Context, settings},
    process::{Launch, Launched, Refusal, prepare},
    rpc::{Request, Response, computer_admin as steer, launch_many as many},
    scheduler::Limits,
    store::{Change, Error, GroupChange, NewData, NodeId, Process},
};

/// Handles a request; its effects are on disk when this returns. The server handles waiting, stopping and handing
/// over.
pub(crate) async fn handle(cx: &Arc<Context>, request: Request) -> Response {
    let answer = match request {
        Request::Launch(launch) => match prepare(cx, *launch).await {
            Err(Refusal::Problems(problems)) => return Response::Refused(problems),
            Err(Refusal::Failed { message, help }) => return Response::Failed { message, help },
            Ok(prepared) => {
                crash::point("launch.before");
                let launched = made(cx, prepared.changes, prepared.uuid).await.map(Response::Launched);
                crash::point("launch.after");
                launched
            }
        },
        Request::DryRun { launch, dir } => return dry_run(cx, &launch, &dir).await,
        Request::LaunchAll(launches) => return many::launch(cx, launches).await,
        Request::Kill { processes, force } => {
            let change = |id| Change::RequestKill { process: NodeId(id), force };
            commit(cx, processes.into_iter().map(change).collect()).await
        }
        Request::Resume(ids) => {
            commit(cx, ids.into_iter().map(|id| Change::Resume(NodeId(id))).collect()).await
        }
        Request::Pause { processes, paused } => {
            let change = |id: &i64| Change::Pause { process: NodeId(*id), paused };
            let done = commit(cx, processes.iter().map(change).collect()).await;
            if paused {
                steer::leave_gates(cx, &processes);
            }
            done
        }
        Request::Computer { config, .. } if Limits::of(&config).is_err() => {
            let message = Limits::of(&config).err().unwrap_or_default();
            return Response::Failed { message: format!("submit_rate: {message}"), help: None };
        }
        Request::Computer { config, .. } if !config.refusals.problems().is_empty() => {
            return Response::Failed { message: config.refusals.problems().join("; "), help: None };
        }
        Request::Computer { config, replace } => {
            let label = config.label.clone();
            let done = commit(cx, vec![Change::Computer { config, replace }]).await;
            cx.health.hurry(&label);
            done
        }
        Request::Login(step) => return logins::step(cx, step).await,
        Request::Host { computer, action } => steer::host(cx, computer, action).await,
        Request::CleanWorkDirs(ids) => {
            let change = |id| Change::Clean { process: NodeId(id), below: false };
            let done = commit(cx, ids.into_iter().map(change).collect()).await;
            cx.cleanings.notify_one();
            done
        }
        Request::Resubmit(id) => steer::resubmit(cx, id).await,
        Request::Data { data_type, label, description, value, files, computer } => {
            data(
                cx,
                NewData { uuid: ids::fresh(), data_type, label, description, body: value, files, computer },
            )
            .await
        }
        Request::Group { label, description, nodes, if_missing } => {
            group(cx, label, description, &nodes, if_missing).await
        }
        Request::Groups(changes) => {
            let change = |(group, change)| Change::InGroup { group, change };
            commit(cx, changes.into_iter().map(change).collect()).await
        }
        Request::Comment(change) => commit(cx, vec![Change::Comment(change)]).await,
        Request::Describe { node, label, description } => {
            commit(cx, vec![Change::Describe { node, label, description }]).await
        }
        Request::Delete { nodes, groups } => {
            let group = |group| Change::InGroup { group, change: GroupChange::Delete };
            let changes = groups.into_iter().map(group).chain([Change::Delete(nodes)]);
            commit(cx, changes.collect()).await
        }
        Request::InstallPlugin { path } => return plugin_admin::install(cx, &path).await,
        Request::RemovePlugin { name } => return plugin_admin::remove(cx, &name).await,
        Request::Reusable { process, reusable } => {
            commit(cx, vec![Change::Reusable { process: NodeId(process), reusable }]).await
        }
        Request::Setting { key, value } => match settings::check(&key, value.as_deref()) {
            Ok(()) => commit(cx, vec![Change::Setting { key, value }]).await,
            Err(message) => return Response::Failed { message, help: None },
        },
        Request::Maintain(stage) => {
            cx.store.maintain(stage).await.map(|(tidied, next)| Response::Tidied { tidied, next })
        }
        Request::Wait { process, .. } => cx.store.process(NodeId(process)).map(|process| Response::Process {
            mark: mark(&process),
            state: process.state,
            status: calcjob::waiting_reason(cx, &process),
        }),
        Request::Attach(_) => Ok(Response::Done),
        Request::Status => Ok(Response::Status(Box::default())),
        Request::Stop | Request::HandOver => {
            return Response::Failed { message: "no daemon is running".into(), help: None };
        }
    };
    answer.unwrap_or_else(|error| failed(&error))
}

/// Returns a number that differs after each change of a process, including a pause.
pub(crate) fn mark(process: &Process) -> i64 {
    process.version * 2 + i64::from(process.wishes.paused)
}

async fn dry_run(cx: &Context, launch: &Launch, dir: &Path) -> Response {
    let checked = match check_launch(cx, launch).await {
        Ok(checked) => checked,
        Err(Refusal::Problems(problems)) => return Response::Refused(problems),
        Err(Refusal::Failed { message, help }) => return Response::Failed { message, help },
    };
    match calcjob::dry_run(cx, checked, dir).await {
        Ok(done) => Response::DryRun(done),
        Err(error) => Response::Failed { message: error.to_string(), help: None },
    }
}

pub(crate) fn failed(error: &Error) -> Response {
    Response::Failed { message: error.to_string(), help: error.help_text().map(str::to_owned) }
}

async fn commit(cx: &Context, changes: Vec<Change>) -> Result<Response, Error> {
    cx.store.commit(changes).await.map(|_| Response::Done)
}

async fn made(cx: &Context, changes: Vec<Change>, uuid: Uuid) -> Result<Launched, Error> {
    let ids = cx.store.commit(changes).await?;
    Ok(Launched { id: ids.first().map_or(0, |id| id.0), uuid: uuid.to_string() })
}

async fn data(cx: &Context, data: NewData) -> Result<Response, Error> {
    if let Err(message) = check_typed_body(&cx.store, &data.data_type, &data.body, data.files.len()) {
        return Ok(Response::Failed { message, help: None });
    }
    if let Some(message) = code_is_taken(cx, &data) {
        return Ok(Response::Failed { message, help: Some("choose another label".into()) });
    }
    let uuid = data.uuid;
    made(cx, vec![Change::Data(data)], uuid).await.map(Response::Node)
}

fn code_is_taken(cx: &Context, data: &NewData) -> Option<String> {
    if data.data_type != "code" {
        return None;
    }
    let full = match &data.computer {
        Some(computer) => format!("{}@{computer}", data.label),
        None => data.label.clone(),
    };
    let taken =
        cx.store.codes().ok()?.iter().any(|code| code.label == data.label && code.computer == data.computer);
    taken.then(|| format!("a code called `{full}` already exists"))
}

async fn group(
    cx: &Context,
    label: String,
    description: String,
    nodes: &[String],
    if_missing: bool,
) -> Result<Response, Error> {
    let mut changes = vec![Change::Group { label: label.clone(), description, if_missing }];
    for name in nodes {
        changes.push(Change::Member { group: label.clone(), node: cx.store.find_node(name)?.uuid });
    }
    commit(cx, changes).await
}
