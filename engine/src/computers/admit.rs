//! Carries out a round of admissions: notifies the processes that were admitted, and stores why the others wait.

use tokio::sync::mpsc;

use crate::{admission::Seen, calcjob::Observation, computers::Event, owner::Context};

/// Admits the processes that wait at a computer or share its queue, after a listing. Returns whether any process was
/// admitted.
pub(crate) async fn admit(
    cx: &Context,
    computer: &str,
    seen: Seen,
    events: &mpsc::UnboundedSender<Event>,
) -> bool {
    let is_open = |label: &str| cx.health.admits(label) && !cx.health.is_disabled(label);
    let Some(round) = cx.gates.admit(&cx.store, computer, seen, is_open) else { return false };
    for process in &round.passed {
        let _ = events.send(Event::Observed(*process, Observation::Granted(round.bounds)));
    }
    if let Some(news) = round.news {
        match cx.store.commit(news.changes).await {
            Ok(_) => cx.gates.was_told(news.states),
            Err(error) => tracing::warn!(%error, "the state of the waiting processes could not be stored"),
        }
    }
    !round.passed.is_empty()
}
