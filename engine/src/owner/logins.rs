//! Log-ins with a person at hand: a server's questions go to a client of the socket, and its answers back. Nothing
//! of them is stored or logged.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    computer::Computer,
    owner::Context,
    transport::{self, Asker, Factory, Question, Secret, Transport},
};

/// Time that a person has for an answer. Servers give about as much.
const ANSWER: Duration = Duration::from_secs(180);
/// Time until the server asks or decides.
const SERVER: Duration = Duration::from_secs(120);

/// The log-ins under way, by number.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    running: HashMap<u64, Arc<Talk>>,
}

/// One log-in.
#[derive(Debug)]
struct Talk {
    computer: Computer,
    answers: mpsc::Sender<Vec<Secret>>,
    events: AsyncMutex<mpsc::Receiver<Event>>,
    task: JoinHandle<()>,
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
enum Event {
    Asked(Question),
    Ended(transport::Result<Arc<dyn Transport>>),
}

/// The side of the server.
struct Relay {
    events: mpsc::Sender<Event>,
    answers: AsyncMutex<mpsc::Receiver<Vec<Secret>>>,
}

#[async_trait]
impl Asker for Relay {
    async fn ask(&self, question: Question) -> Option<Vec<Secret>> {
        self.events.send(Event::Asked(question)).await.ok()?;
        timeout(ANSWER, self.answers.lock().await.recv()).await.ok()?
    }
}

impl Logins {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins a log-in, instead of an earlier one to the same computer.
    fn begin(&self, computer: Computer, factory: Arc<dyn Factory>) -> u64 {
        let (tell, events) = mpsc::channel(4);
        let (answers, answered) = mpsc::channel(1);
        let settings = computer.clone();
        let task = tokio::spawn(async move {
            let relay = Arc::new(Relay { events: tell.clone(), answers: AsyncMutex::new(answered) });
            let ended = factory.login(&settings, relay).await;
            // Without a client, the connection is of no use: it is dropped.
            let _ = tell.send(Event::Ended(ended)).await;
        });
        let talk = Talk { computer, answers, events: AsyncMutex::new(events), task };
        self.with(|state| {
            state
                .running
                .retain(|_, other| !other.task.is_finished() && other.computer.label != talk.computer.label);
            state.last += 1;
            state.running.insert(state.last, Arc::new(talk));
            state.last
        })
    }

    fn get(&self, id: u64) -> Option<Arc<Talk>> {
        self.with(|state| state.running.get(&id).cloned())
    }

    fn end(&self, id: u64) {
        self.with(|state| state.running.remove(&id));
    }
}

/// The state of a log-in.
#[derive(Debug)]
pub(crate) enum Next {
    /// The server asks.
    Asked(Question),
    /// The connection is there, and kept.
    In,
    /// It failed, with the next step.
    Failed(String, Option<String>),
}

/// Begins a log-in; returns its number.
///
/// # Errors
/// Fails if there is no such computer, or no such kind of transport.
pub(crate) fn begin(cx: &Context, label: &str) -> Result<u64, Next> {
    let row = cx
        .store
        .computer(label)
        .map_err(|error| Next::Failed(error.to_string(), error.help_text().map(str::to_owned)))?;
    let factory = cx.transports.factory(&row.config.transport).map_err(failed)?.clone();
    Ok(cx.logins.begin(row.config, factory))
}

/// Hands answers over; returns false if the log-in is over.
pub(crate) fn answer(cx: &Context, id: u64, answers: Vec<Secret>) -> bool {
    cx.logins.get(id).is_some_and(|talk| talk.answers.try_send(answers).is_ok())
}

/// Gives a log-in up.
pub(crate) fn cancel(cx: &Context, id: u64) {
    cx.logins.end(id);
}

/// Waits for the server's next question, or for its decision.
pub(crate) async fn next(cx: &Context, id: u64) -> Next {
    let Some(talk) = cx.logins.get(id) else { return over() };
    let event = timeout(SERVER, talk.events.lock().await.recv()).await;
    if let Ok(Some(Event::Asked(question))) = event {
        return Next::Asked(question);
    }
    cx.logins.end(id);
    match event {
        Ok(Some(Event::Ended(Ok(via)))) => {
            cx.transports.adopt(&talk.computer, via).await;
            cx.health.hurry(&talk.computer.label);
            tracing::info!(computer = talk.computer.label, "a person has logged in");
            Next::In
        }
        Ok(Some(Event::Ended(Err(error)))) => failed(error),
        _ => Next::Failed("the server does not answer".into(), None),
    }
}

/// Returns the answer to a step of a log-in that has ended.
pub(crate) fn over() -> Next {
    Next::Failed("this log-in is over".into(), Some("begin it again".into()))
}

fn failed(error: transport::Error) -> Next {
    Next::Failed(error.to_string(), error.help_text().map(str::to_owned))
}
