//! The owner's socket: greets, reads one request after the other, and answers each in time. A peer that stalls or
//! vanishes costs its own connection only.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    VERSION,
    computers::Event,
    executor::event_loop::Gauges,
    owner::Context,
    rpc::{
        Hello, OwnerStatus, Request, Response,
        codec::{read_message, write_message},
        handlers as service, hello, notify as tell,
    },
    store::NodeId,
};

/// Time that a peer may take to greet, to send a request it has begun, or to receive a response.
const PEER: Duration = Duration::from_secs(10);
/// Time that a silent connection is kept.
const IDLE: Duration = Duration::from_secs(300);
/// Longest `Wait`, in seconds.
const LONGEST_WAIT: u64 = 60;
/// Variables shown by `status` beside those of the schedulers: a change after the daemon's start has no effect on it.
const WATCHED_VARIABLES: [&str; 2] = ["SSH_AUTH_SOCK", "PATH"];

/// The state of the owner that the server needs.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) cx: Arc<Context>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) role: &'static str,
    pub(crate) started: jiff::Timestamp,
    /// The channel for clients' requests for a stop (`false`) or a hand-over (`true`).
    pub(crate) ends: mpsc::UnboundedSender<bool>,
    /// Notified when a setting has changed.
    pub(crate) settings_changed: Notify,
}

impl Server {
    /// Serves until dropped.
    pub(crate) async fn serve(self: Arc<Self>, listener: UnixListener) {
        // Dropping this ends the conversations, which hold the profile.
        let mut talks = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(talks.spawn(self.clone().talk(stream))),
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            while talks.try_join_next().is_some() {}
        }
    }

    async fn talk(self: Arc<Self>, mut stream: UnixStream) {
        let greeting = async {
            let _peer: Hello = read_message(&mut stream).await?;
            write_message(&mut stream, &hello(self.role)).await
        };
        if !matches!(timeout(PEER, greeting).await, Ok(Ok(()))) {
            return;
        }
        while let Ok(Ok(request)) = timeout(IDLE, read_message::<Request>(&mut stream)).await {
            let response = self.answer(request.clone()).await;
            if !matches!(timeout(PEER, write_message(&mut stream, &response)).await, Ok(Ok(()))) {
                return;
            }
            self.afterwards(&request, &response);
        }
    }

    pub(crate) async fn answer(&self, request: Request) -> Response {
        match request {
            Request::Wait { process, seen, seconds } => self.wait(process, seen, seconds).await,
            Request::Status => Response::Status(Box::new(self.status())),
            Request::Stop => Response::Done,
            Request::HandOver if self.role == "run" => Response::Done,
            Request::HandOver => {
                Response::Failed { message: "a daemon does not hand over its profile".into(), help: None }
            }
            other => {
                let response = service::handle(&self.cx, other.clone()).await;
                self.tell(&other, &response);
                response
            }
        }
    }

    /// Notifies the loop of changes on disk, whether or not the peer stays for the response.
    fn tell(&self, request: &Request, response: &Response) {
        if matches!((request, response), (Request::Setting { .. }, Response::Done)) {
            self.settings_changed.notify_one();
        }
        for event in tell::events(&self.cx, request, response) {
            let _ = self.events.send(event);
        }
    }

    fn afterwards(&self, request: &Request, response: &Response) {
        if *response == Response::Done && matches!(request, Request::Stop | Request::HandOver) {
            let _ = self.ends.send(*request == Request::HandOver);
        }
    }

    async fn wait(&self, process: i64, seen: i64, seconds: u64) -> Response {
        let deadline = Instant::now() + Duration::from_secs(seconds.min(LONGEST_WAIT));
        let mut commits = self.cx.store.commits();
        loop {
            let row = match self.cx.store.process(NodeId(process)) {
                Ok(row) => row,
                Err(error) => return service::failed(&error),
            };
            let mark = service::mark(&row);
            let over = mark != seen || row.state.is_terminal();
            if over || !matches!(timeout_at(deadline, commits.changed()).await, Ok(Ok(()))) {
                let status = crate::calcjob::waiting_reason(&self.cx, &row);
                return Response::Process { mark, state: row.state, status };
            }
        }
    }

    fn status(&self) -> OwnerStatus {
        let watched = self.watched_variables();
        let value = |name: &String| std::env::var(name).ok().map(|value| (name.clone(), value));
        OwnerStatus {
            pid: std::process::id(),
            role: self.role.to_owned(),
            version: VERSION.to_owned(),
            started: self.started.to_string(),
            stepping: self.gauges.stepping.load(Ordering::Relaxed),
            watching: self.gauges.watching.load(Ordering::Relaxed),
            trouble: self.gauges.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            schedulers: self.cx.clusters.silent().into_iter().chain(self.cx.holds.told()).collect(),
            hosts: self
                .cx
                .plugin_hosts
                .running()
                .into_iter()
                .map(|(digest, pid)| (digest.to_string(), pid))
                .collect(),
            environment: watched.iter().filter_map(value).collect(),
            watched,
        }
    }

    fn watched_variables(&self) -> Vec<String> {
        let computers = self.cx.store.computers().unwrap_or_default();
        let schedulers = computers.iter().filter_map(|row| self.cx.scheduler(&row.config).ok());
        let named: BTreeSet<_> =
            schedulers.flat_map(|scheduler| scheduler.capabilities().environment).collect();
        let others = named.into_iter().filter(|name| !WATCHED_VARIABLES.contains(*name));
        WATCHED_VARIABLES.iter().chain(others).map(|name| (*name).to_owned()).collect()
    }
}
