//! The loop's notification of requests that were carried out.

use crate::{
    computers::Event,
    owner::Context,
    rpc::{Request, Response},
    store::NodeId,
};

/// Returns the events that follow from a request and its response.
pub(crate) fn events(cx: &Context, request: &Request, response: &Response) -> Vec<Event> {
    match (request, response) {
        (_, Response::Launched(launched)) => vec![Event::Wake(NodeId(launched.id))],
        (_, Response::LaunchedAll(all)) => all.iter().map(|one| Event::Wake(NodeId(one.id))).collect(),
        (Request::Attach(id), Response::Done) => vec![Event::Attach(NodeId(*id))],
        (Request::Resubmit(id), Response::Done) => vec![Event::Wake(NodeId(*id))],
        (Request::Kill { processes, .. }, Response::Done) => each_below(cx, processes, Event::Kill),
        (Request::Pause { processes, paused: false } | Request::Resume(processes), Response::Done) => {
            each_below(cx, processes, Event::Wake)
        }
        _ => Vec::new(),
    }
}

/// Returns an event for each live process of call trees. Called processes come first, since a caller ends after
/// them.
fn each_below(cx: &Context, tops: &[i64], event: impl Fn(NodeId) -> Event) -> Vec<Event> {
    let trees = tops.iter().flat_map(|top| cx.store.live_tree(NodeId(*top)).unwrap_or_default());
    let mut events: Vec<Event> = trees.map(event).collect();
    events.reverse();
    events
}
