//! Watches the hosts that are in trouble: probes each when it is due, wakes the processes that waited for it, and
//! stores its state. There is one task for all computers, and one for each running probe.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    computers::Event,
    owner::Context,
    scheduler,
    store::{Change, ComputerRow, HostChange},
    transport::{Pace, Transport, Trouble},
};

/// Time between two batches of processes that return.
const TRICKLE: Duration = Duration::from_millis(200);
/// Interval at which the number of waiting processes is stored.
const TELL: Duration = Duration::from_secs(2);
/// Time limit of a probe.
const PATIENCE: Duration = Duration::from_secs(120);

/// Watches hosts until dropped.
pub(crate) async fn watch_hosts(cx: Arc<Context>, events: mpsc::UnboundedSender<Event>) {
    let mut changes = cx.health.changes();
    let mut probes = JoinSet::new();
    loop {
        for computer in cx.health.due_probes(Instant::now()) {
            probes.spawn(probe(cx.clone(), computer));
        }
        for process in cx.health.returning() {
            let _ = events.send(Event::Wake(process));
        }
        save(&cx).await;
        let next = next_look(&cx);
        tokio::select! {
            biased;
            _ = changes.changed() => {}
            Some(_) = probes.join_next() => {}
            () = wait_until(next) => {}
        }
    }
}

/// Returns the time of the next check; `None`: not before something changes.
fn next_look(cx: &Context) -> Option<Instant> {
    let now = Instant::now();
    let trickle = cx.health.is_returning().then(|| now + TRICKLE);
    let tell = cx.health.is_any_open().then(|| now + TELL);
    trickle.into_iter().chain(tell).chain(cx.health.next_probe()).min()
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn save(cx: &Context) {
    let states = cx.health.unsaved();
    if states.is_empty() {
        return;
    }
    let change = |(computer, state): &(String, _)| Change::Host {
        computer: computer.clone(),
        change: HostChange::Breaker(Option::clone(state)),
    };
    match cx.store.commit(states.iter().map(change).collect()).await {
        Ok(_) => cx.health.saved(states),
        Err(error) => tracing::warn!(%error, "the state of computers could not be stored"),
    }
}

async fn probe(cx: Arc<Context>, computer: String) {
    let tried = tokio::time::timeout(PATIENCE, try_out(&cx, &computer)).await;
    let (outcome, pace) =
        tried.unwrap_or_else(|_| (Err((Trouble::Passing, "no answer".to_owned())), Pace::default()));
    match &outcome {
        Ok(()) => tracing::info!(computer, "the computer answers again"),
        Err((_, error)) => tracing::warn!(computer, error, "the computer is still unreachable"),
    }
    cx.health.probed(&computer, outcome, pace);
}

/// Opens a fresh connection and asks the scheduler, since processes may wait for either.
async fn try_out(cx: &Context, computer: &str) -> (Result<(), (Trouble, String)>, Pace) {
    let row = match cx.store.computer(computer) {
        Ok(row) => row,
        // If the computer does not exist, no process waits for it; processes that name it find that out
        // themselves.
        Err(_) => return (Ok(()), Pace::default()),
    };
    let pace = row.config.probe_pace();
    // A lost connection is forgotten when it is lost. One that is there was opened by a person since.
    if let Some(via) = cx.transports.opened(&row.config).await {
        let outcome = ask(cx, &row, &*via).await;
        match &outcome {
            Ok(()) => return (outcome, pace),
            Err((_, error)) => tracing::info!(computer, error, "the open connection is of no use"),
        }
    }
    cx.transports.forget(computer).await;
    let outcome = match cx.transports.get(&row.config).await {
        Ok(via) => ask(cx, &row, &*via).await,
        Err(error) => Err((Trouble::of(&error).unwrap_or(Trouble::Passing), error.explained())),
    };
    if outcome.is_err() {
        cx.transports.forget(computer).await;
    }
    (outcome, pace)
}

async fn ask(cx: &Context, row: &ComputerRow, via: &dyn Transport) -> Result<(), (Trouble, String)> {
    let Ok(scheduler) = cx.scheduler(&row.config) else { return Ok(()) };
    match scheduler.list(via).await {
        Err(error)
            if matches!(
                error.kind(),
                scheduler::ErrorKind::Unreachable | scheduler::ErrorKind::Ambiguous
            ) =>
        {
            Err((Trouble::Passing, error.explained()))
        }
        _ => Ok(()),
    }
}
