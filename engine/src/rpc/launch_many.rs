//! Many launches as one: all are checked, then all are committed together, or none.

use std::{collections::VecDeque, sync::Arc};

use tokio::task::JoinHandle;

use crate::{
    owner::Context,
    process::{Launch, Launched, Prepared, Refusal, prepare},
    rpc::{Response, handlers::failed},
    store::{Change, Error},
};

/// Most launches that are checked at the same time: enough to keep the plugin hosts busy.
const AT_ONCE: usize = 16;

type Judged = Result<Prepared, Refusal>;

/// The launches that are being checked, in their order. Those left when it is dropped are not checked to the end.
#[derive(Default)]
struct UnderWay(VecDeque<JoinHandle<Judged>>);

impl UnderWay {
    fn start(&mut self, cx: &Arc<Context>, launch: Launch) {
        let cx = cx.clone();
        self.0.push_back(tokio::spawn(async move { prepare(&cx, launch).await }));
    }

    /// Returns the result of the oldest one; `None` if there is none.
    async fn next(&mut self) -> Option<Judged> {
        let judged = self.0.front_mut()?.await;
        self.0.pop_front();
        // A panic is a bug in ferry. Only this request fails.
        Some(judged.unwrap_or_else(|error| {
            let message = format!("a launch could not be checked: {error}");
            Err(Refusal::Failed { message, help: None })
        }))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Launches all of them, or none.
pub(crate) async fn launch(cx: &Arc<Context>, launches: Vec<Launch>) -> Response {
    let mut prepared = Vec::new();
    let mut refused = Vec::new();
    let mut under_way = UnderWay::default();
    let mut rest = launches.into_iter();
    for at in 0.. {
        while under_way.0.len() < AT_ONCE
            && let Some(launch) = rest.next()
        {
            under_way.start(cx, launch);
        }
        let Some(judged) = under_way.next().await else { break };
        match judged {
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
