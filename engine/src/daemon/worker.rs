//! Owning a profile for longer than a request: its loop and its socket, and the daemon on top of them.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use crate::{
    computers::Event,
    daemon::{crash_blame::Suspects, runtime_metrics as pulse},
    embed::{RunError, foreground::launch_alone},
    executor::event_loop::{Gauges, StepLoop},
    owner::{Builder, Context, Owner},
    process::{Launch, Launched},
    rpc::{ClientError, Connection, Request, Response, server::Server, socket},
    store::{ErrorKind, Lock, NodeId},
};

/// Time that a `ferry run` may take to hand its profile over to a daemon.
const HAND_OVER: Duration = Duration::from_secs(15);

/// The reasons for owning a profile.
pub(crate) enum Duty {
    /// All processes are stepped.
    Daemon,
    /// One new process is launched and stepped.
    Run(Box<Launch>),
    /// One process that an earlier owner began is stepped.
    GoOn(i64),
}

/// An open profile with its socket and its loop.
pub(crate) struct Running {
    pub(crate) cx: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    /// The requests of clients: a stop (`false`) or a hand-over (`true`).
    pub(crate) ends: mpsc::UnboundedReceiver<bool>,
    steps: JoinHandle<()>,
    server: Arc<Server>,
    serving: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(owner: Owner, duty: Duty) -> Result<(Running, Launched), RunError> {
        let cx = Arc::new(owner.open().await.map_err(ClientError::from)?);
        sweep(&cx);
        let (role, launched, only) = match duty {
            Duty::Daemon => ("daemon", Launched { id: 0, uuid: String::new() }, None),
            Duty::Run(launch) => {
                let launched = launch_alone(&cx, *launch).await?;
                let only = Some(NodeId(launched.id));
                ("run", launched, only)
            }
            Duty::GoOn(id) => ("run", Launched { id, uuid: String::new() }, Some(NodeId(id))),
        };
        let (events, inbox) = mpsc::unbounded_channel();
        let (ends_sender, ends) = mpsc::unbounded_channel();
        let gauges = Arc::new(Gauges::default());
        let mut steps = StepLoop::new(cx.clone(), events.clone(), inbox, gauges.clone(), only);
        steps.suspects = Suspects::settle(&cx).await;
        let listener = socket::bind(&cx.paths.socket()).map_err(|error| ClientError {
            message: format!("the socket {} can't be made: {error}", cx.paths.socket().display()),
            help: Some("FERRY_HOME must be on a local disk that this user can write".into()),
        })?;
        let server = Arc::new(Server {
            cx: cx.clone(),
            events: events.clone(),
            gauges,
            role,
            started: crate::clock::now(),
            ends: ends_sender,
            settings_changed: Notify::new(),
        });
        let serving = tokio::spawn(server.clone().serve(listener));
        let steps = tokio::spawn(steps.run());
        Ok((Running { cx, events, ends, steps, server, serving }, launched))
    }

    /// Stops gracefully and releases the profile.
    pub(crate) async fn stop(self) {
        self.serving.abort();
        let _ = self.events.send(Event::Stop);
        let _ = self.steps.await;
        let _ = self.serving.await;
        self.cx.hosts.shutdown().await;
        let _ = std::fs::remove_file(self.cx.paths.socket());
    }
}

/// Removes what crashed work left in the scratch directory, except what a step may still use.
pub(crate) fn sweep(cx: &Context) {
    let Ok(entries) = std::fs::read_dir(cx.paths.scratch_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let staged = uuid::Uuid::parse_str(&name).is_ok();
        let live = staged
            && cx
                .store
                .find_node(&name)
                .and_then(|node| cx.store.process(node.id))
                .is_ok_and(|process| !process.state.is_terminal());
        if !live {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A function that takes in settings, as keys and values.
pub type TakeSettings<'a> = dyn Fn(&[(String, String)]) + Sync + 'a;

/// The functions of the program that acts as the daemon.
pub struct DaemonHooks<'a> {
    /// Called once the daemon listens.
    pub ready: &'a (dyn Fn() + Sync),
    /// Called with all settings at the start, and again whenever one has changed.
    pub settings: &'a TakeSettings<'a>,
}

impl std::fmt::Debug for DaemonHooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DaemonHooks").finish_non_exhaustive()
    }
}

impl DaemonHooks<'_> {
    fn tell_settings(&self, cx: &Context) {
        match cx.store.settings() {
            Ok(settings) => (self.settings)(&settings),
            Err(error) => tracing::warn!(%error, "the settings can't be read"),
        }
    }
}

/// Owns the profile as its daemon until it is asked to stop.
///
/// # Errors
/// Fails if another owner does not release the profile, or with an error of the store. Then nothing was stepped.
pub async fn run_daemon(builder: &Builder, hooks: &DaemonHooks<'_>) -> Result<(), ClientError> {
    let owner = own_as_daemon(builder).await?;
    let kinds = (SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup());
    let signals = (signal(kinds.0), signal(kinds.1), signal(kinds.2));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) = signals else {
        return Err(ClientError { message: "signals can't be handled".into(), help: None });
    };
    let (mut running, _) = match Running::start(owner, Duty::Daemon).await {
        Ok(started) => started,
        Err(RunError::Client(error)) => return Err(error),
        Err(RunError::Refused(_)) => {
            return Err(ClientError { message: "nothing to launch".into(), help: None });
        }
    };
    tracing::info!(pid = std::process::id(), version = crate::VERSION, "daemon started");
    hooks.tell_settings(&running.cx);
    (hooks.ready)();
    let pulse = tokio::spawn(pulse::watch());
    loop {
        tokio::select! {
            _ = running.ends.recv() => break,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            // Its terminal was closed.
            _ = hang_up.recv() => break,
            () = running.server.settings_changed.notified() => hooks.tell_settings(&running.cx),
        }
    }
    tracing::info!("daemon stopping");
    pulse.abort();
    running.stop().await;
    tracing::info!("daemon stopped");
    Ok(())
}

async fn own_as_daemon(builder: &Builder) -> Result<Owner, ClientError> {
    let deadline = tokio::time::Instant::now() + HAND_OVER;
    let mut asked = false;
    loop {
        let error = match builder.own("daemon") {
            Ok(owner) => return Ok(owner),
            Err(error) if *error.kind() == ErrorKind::Owned => error,
            Err(error) => return Err(error.into()),
        };
        let role = Lock::holder(&builder.paths.lock()).map(|(_, role)| role);
        if role.as_deref() == Some("daemon") || tokio::time::Instant::now() > deadline {
            let help = "`ferry daemon status` shows it; `ferry daemon restart` replaces it".to_owned();
            return Err(ClientError { message: error.to_string(), help: Some(help) });
        }
        if role.as_deref() == Some("run")
            && !asked
            && let Ok(Some(mut connection)) = Connection::open(&builder.paths).await
        {
            asked = matches!(connection.ask(&Request::HandOver).await, Ok(Response::Done));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
