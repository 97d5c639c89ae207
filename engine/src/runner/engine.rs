//! ferry inside another program: own a profile, launch processes, and await their ends.
//!
//! A launch may come before the loop runs or while it does, from the same runtime, from another one, or from a
//! thread that knows of none.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Builder, ClientError, Context, Event, Request, Response, service,
    step_loop::{Gauges, StepLoop},
    tell,
};
use crate::{
    process::{Launch, Launched, in_words},
    store::{NodeId, Process},
};

/// How often somebody who waits for an end looks by himself, should the word of it be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A profile that this program owns. Dropping it lets the profile go, like a crash: nothing acknowledged is lost.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    inbox: Option<mpsc::UnboundedReceiver<Event>>,
    steps: Option<JoinHandle<()>>,
}

impl Engine {
    /// Owns a profile. Nothing is stepped before [`Engine::start`].
    ///
    /// # Errors
    /// `Owned` where another program does; the store's.
    pub async fn open(builder: &Builder) -> Result<Engine, ClientError> {
        let cx = Arc::new(builder.own("daemon")?.open().await?);
        Ok(Engine::over(cx))
    }

    /// The same over a profile that is open already.
    pub(crate) fn over(cx: Arc<Context>) -> Engine {
        let (events, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Handle::current();
        Engine { handle: Handle { cx, events, runtime }, inbox: Some(inbox), steps: None }
    }

    /// The way to launch and to ask; it may be cloned and sent anywhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Begins to step: what was launched before, what an earlier owner left, and what comes. A second call does
    /// nothing.
    pub fn start(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            let Handle { cx, events, .. } = self.handle();
            let steps = StepLoop::new(cx, events, inbox, Arc::<Gauges>::default(), None);
            self.steps = Some(tokio::spawn(steps.run()));
        }
    }

    /// Stops gracefully: what must not be interrupted is given a few seconds, and the rest is looked up by the next
    /// owner.
    pub async fn stop(mut self) {
        let _ = self.handle.events.send(Event::Stop);
        if let Some(steps) = self.steps.take() {
            // A panic of the loop has been logged; the profile is let go all the same.
            let _ = steps.await;
        }
        self.handle.cx.hosts.shutdown().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(steps) = self.steps.take() {
            steps.abort();
        }
    }
}

/// Launches and asks, in the runtime of its [`Engine`] or in another one.
#[derive(Debug, Clone)]
pub struct Handle {
    cx: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    runtime: tokio::runtime::Handle,
}

impl Handle {
    /// Does what is asked; the answer is on disk.
    ///
    /// # Cancel safety
    /// A dropped call may have been carried out.
    pub async fn ask(&self, request: Request) -> Response {
        let response = service::handle(&self.cx, request.clone()).await;
        for event in tell::events(&self.cx, &request, &response) {
            // Without a loop yet, or any more, the store alone knows.
            let _ = self.events.send(event);
        }
        response
    }

    /// Launches a process; it is on disk when this returns.
    ///
    /// # Errors
    /// Everything that is wrong with it, in words; the store's.
    pub async fn launch(&self, launch: Launch) -> Result<Launched, ClientError> {
        match self.ask(Request::Launch(Box::new(launch))).await {
            Response::Launched(launched) => Ok(launched),
            other => Err(refused(other)),
        }
    }

    /// Waits for the end of a process: told by the loop, and by looking now and then.
    ///
    /// # Errors
    /// The store's.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub async fn ended(&self, process: i64) -> Result<Process, ClientError> {
        let id = NodeId(process);
        loop {
            // Asked for before looking, so that an end between the two is not missed.
            let told = self.cx.board.ended(id);
            let row = self.cx.store.process(id)?;
            if row.state.is_terminal() {
                return Ok(row);
            }
            let _ = timeout(LOOK_AGAIN, told).await;
        }
    }

    /// Launches a process and waits for its end.
    ///
    /// # Errors
    /// As [`Handle::launch`].
    pub async fn run(&self, launch: Launch) -> Result<Process, ClientError> {
        let launched = self.launch(launch).await?;
        self.ended(launched.id).await
    }

    /// Counts the commits that the store has made since it was opened.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.cx.store.commits()
    }

    /// The same for threads without a runtime.
    pub fn blocking(&self) -> Blocking {
        Blocking(self.clone())
    }
}

/// Why a launch has no number.
fn refused(response: Response) -> ClientError {
    match response {
        Response::Refused(problems) => ClientError { message: in_words(problems), help: None },
        Response::Failed { message, help } => ClientError { message, help },
        other => ClientError { message: format!("an odd answer: {other:?}"), help: None },
    }
}

/// A [`Handle`] whose calls block their thread.
#[derive(Debug, Clone)]
pub struct Blocking(Handle);

impl Blocking {
    /// As [`Handle::launch`].
    ///
    /// # Errors
    /// Also when called on a thread of the engine's own runtime, which would wait for itself.
    pub fn launch(&self, launch: Launch) -> Result<Launched, ClientError> {
        self.wait(|handle| async move { handle.launch(launch).await })
    }

    /// As [`Handle::ended`].
    ///
    /// # Errors
    /// As [`Blocking::launch`].
    pub fn ended(&self, process: i64) -> Result<Process, ClientError> {
        self.wait(move |handle| async move { handle.ended(process).await })
    }

    /// As [`Handle::run`].
    ///
    /// # Errors
    /// As [`Blocking::launch`].
    pub fn run(&self, launch: Launch) -> Result<Process, ClientError> {
        self.wait(|handle| async move { handle.run(launch).await })
    }

    fn wait<T, F>(&self, work: impl FnOnce(Handle) -> F) -> Result<T, ClientError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let here = tokio::runtime::Handle::try_current();
        if here.is_ok_and(|here| here.id() == self.0.runtime.id()) {
            return Err(ClientError::new(
                "a blocking call on a thread of the engine's own runtime would wait for itself",
                "use the handle without `blocking()` there",
            ));
        }
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let work = work(self.0.clone());
        self.0.runtime.spawn(async move {
            let _ = sender.send(work.await);
        });
        answer.recv().unwrap_or_else(|_| {
            Err(ClientError::new("the engine has ended", "open the profile again, or start a daemon"))
        })
    }
}
