//! ferry as a library: own a profile, launch processes, and await their ends.
//!
//! A process may be launched before the executor starts or while it runs. The call may come from the same
//! runtime, from another one, or from a thread without a runtime.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    computers::Event,
    executor::event_loop::{Executor, Gauges},
    owner::{Builder, Context},
    process::{Launch, Launched, in_words},
    rpc::{ClientError, Request, Response, handlers as service, notify as tell},
    store::{NodeId, Process},
};

/// Interval at which a waiter reads the store itself, in case a notification was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A profile that this program owns. Dropping it releases the profile as a crash would: nothing acknowledged
/// is lost.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    inbox: Option<mpsc::UnboundedReceiver<Event>>,
    steps: Option<JoinHandle<()>>,
}

impl Engine {
    /// Opens a profile as its owner. No process is stepped before [`Engine::start`].
    ///
    /// # Errors
    /// Fails with `Owned` if another program owns the profile, or with an error of the store.
    pub async fn open(builder: &Builder) -> Result<Engine, ClientError> {
        let cx = Arc::new(builder.own("daemon")?.open().await?);
        Ok(Engine::over(cx))
    }

    /// Wraps a profile that is open already.
    pub(crate) fn over(cx: Arc<Context>) -> Engine {
        let (events, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Handle::current();
        Engine { handle: Handle { cx, events, runtime }, inbox: Some(inbox), steps: None }
    }

    /// Returns a handle to launch processes and send requests. It may be cloned and sent to any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Starts to step processes: those launched before, those that an earlier owner left, and those to come.
    /// A second call does nothing.
    pub fn start(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            let Handle { cx, events, .. } = self.handle();
            let steps = Executor::new(cx, events, inbox, Arc::<Gauges>::default(), None);
            self.steps = Some(tokio::spawn(steps.run()));
        }
    }

    /// Stops gracefully. Work that must not be interrupted gets a few seconds; the next owner continues the
    /// rest.
    pub async fn stop(mut self) {
        let _ = self.handle.events.send(Event::Stop);
        if let Some(steps) = self.steps.take() {
            // A panic of the loop has been logged; the profile is released in any case.
            let _ = steps.await;
        }
        self.handle.cx.plugin_hosts.shutdown().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(steps) = self.steps.take() {
            steps.abort();
        }
    }
}

/// A handle that launches processes and sends requests, in the runtime of its [`Engine`] or in another one.
#[derive(Debug, Clone)]
pub struct Handle {
    cx: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    runtime: tokio::runtime::Handle,
}

impl Handle {
    /// Handles a request. Its effects are on disk when this returns.
    ///
    /// # Cancel safety
    /// If the future is dropped, the request may still have been carried out.
    pub async fn ask(&self, request: Request) -> Response {
        let response = service::handle(&self.cx, request.clone()).await;
        for event in tell::events(&self.cx, &request, &response) {
            // If the loop has not started or has ended, only the store records the change.
            let _ = self.events.send(event);
        }
        response
    }

    /// Launches a process; it is on disk when this returns.
    ///
    /// # Errors
    /// Returns everything that is wrong with the launch, in words, or an error of the store.
    pub async fn launch(&self, launch: Launch) -> Result<Launched, ClientError> {
        match self.ask(Request::Launch(Box::new(launch))).await {
            Response::Launched(launched) => Ok(launched),
            other => Err(refused(other)),
        }
    }

    /// Waits for the end of a process. The loop notifies it, and it also reads the store now and then.
    ///
    /// # Errors
    /// Returns an error of the store.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time.
    pub async fn ended(&self, process: i64) -> Result<Process, ClientError> {
        let id = NodeId(process);
        loop {
            // Registered before the row is read, so that an end between the two is not missed.
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
    /// Fails as [`Handle::launch`] does.
    pub async fn run(&self, launch: Launch) -> Result<Process, ClientError> {
        let launched = self.launch(launch).await?;
        self.ended(launched.id).await
    }

    /// Returns a counter of the commits that the store has made since it was opened.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.cx.store.commits()
    }

    /// Returns the same handle for threads without a runtime.
    pub fn blocking(&self) -> Blocking {
        Blocking(self.clone())
    }
}

/// Converts a response without a launched process into the error.
fn refused(response: Response) -> ClientError {
    match response {
        Response::Refused(problems) => ClientError { message: in_words(problems), help: None },
        Response::Failed { message, help } => ClientError { message, help },
        other => {
            ClientError { message: format!("unexpected response from the daemon: {other:?}"), help: None }
        }
    }
}

/// A [`Handle`] whose calls block their thread.
#[derive(Debug, Clone)]
pub struct Blocking(Handle);

impl Blocking {
    /// Launches as [`Handle::launch`] does.
    ///
    /// # Errors
    /// Also fails on a thread of the engine's own runtime, where the call would wait for itself.
    pub fn launch(&self, launch: Launch) -> Result<Launched, ClientError> {
        self.wait(|handle| async move { handle.launch(launch).await })
    }

    /// Waits as [`Handle::ended`] does.
    ///
    /// # Errors
    /// Fails as [`Blocking::launch`] does.
    pub fn ended(&self, process: i64) -> Result<Process, ClientError> {
        self.wait(move |handle| async move { handle.ended(process).await })
    }

    /// Runs as [`Handle::run`] does.
    ///
    /// # Errors
    /// Fails as [`Blocking::launch`] does.
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
                "a blocking call on a thread of the engine's own runtime would deadlock",
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
