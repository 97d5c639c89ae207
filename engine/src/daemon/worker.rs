//! Owning a profile for longer than a request: its loop and its socket, and the daemon on top of them.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    daemon::runtime_metrics as pulse,
    embed::{
        RunError,
        running::{Duty, Running},
    },
    owner::{Builder, Context, Owner},
    rpc::{ClientError, Connection, Request, Response},
    store::{ErrorKind, Lock},
};

/// Time that a `ferry run` may take to hand its profile over to a daemon.
const HAND_OVER: Duration = Duration::from_secs(15);

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
