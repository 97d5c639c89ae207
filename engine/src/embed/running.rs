//! A profile that is owned for longer than a request: with its socket and its loop.

use std::sync::Arc;

use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use super::{RunError, foreground::launch_alone};
use crate::{
    computers::Event,
    executor::crash_blame,
    executor::event_loop::{Executor, Gauges},
    owner::{Context, Owner},
    process::{Launch, Launched},
    rpc::{ClientError, server::Server, socket},
    store::NodeId,
};

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
    pub(crate) server: Arc<Server>,
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
        let mut steps = Executor::new(cx.clone(), events.clone(), inbox, gauges.clone(), only);
        let (suspects, stepping) = crash_blame::begin(&cx).await;
        steps.blame(suspects, stepping);
        let listener = socket::bind(&cx.paths.socket()).map_err(|error| ClientError {
            message: format!("the socket {} can't be created: {error}", cx.paths.socket().display()),
            help: Some("FERRY_HOME must be on a local disk to which this user can write".into()),
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
        self.cx.plugin_hosts.shutdown().await;
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
