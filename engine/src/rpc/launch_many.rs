//! Many launches as one: all are checked, then all are committed together, or none.

use std::sync::Arc;

use crate::{
    owner::Context,
    process::{Launch, Launched, Prepared, Refusal, prepare},
    rpc::{Response, handlers::failed},
    store::{Change, Error},
};

/// Launches all of them, or none.
pub(crate) async fn launch(cx: &Arc<Context>, launches: Vec<Launch>) -> Response {
    let mut prepared = Vec::new();
    let mut refused = Vec::new();
    for (at, launch) in launches.into_iter().enumerate() {
        match prepare(cx, launch).await {
            Ok(ready) => prepared.push(ready),
            Err(Refusal::Problems(problems)) => refused.push((at, problems)),
            // The launch is not the cause, so the next one would fail too.
            Err(Refusal::Failed { message, help }) => return Response::Failed { message, help },
        }
    }
    if !refused.is_empty() {
        return Response::RefusedSome(refused);
    }
    commit(cx, prepared).await.map_or_else(|error| failed(&error), Response::LaunchedAll)
}

async fn commit(cx: &Context, all: Vec<Prepared>) -> Result<Vec<Launched>, Error> {
    let mut changes = Vec::new();
    let mut places = Vec::new();
    let mut nodes = 0;
    for Prepared { uuid, changes: its } in all {
        // A process is the first of the nodes that its launch creates.
        places.push((nodes, uuid));
        nodes += its.iter().filter(|change| matches!(change, Change::Data(_) | Change::Process(_))).count();
        changes.extend(its);
    }
    let ids = cx.store.commit(changes).await?;
    let launched = |(place, uuid): (usize, uuid::Uuid)| Launched {
        id: ids.get(place).map_or(0, |id| id.0),
        uuid: uuid.to_string(),
    };
    Ok(places.into_iter().map(launched).collect())
}
