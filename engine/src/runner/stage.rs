//! An owner without lock, socket and plugin children, for simulations: the same loop, gate, pollers and requests
//! as a daemon's, over parts that the caller brings along.

use std::{io, sync::Arc};

use tokio::sync::Notify;

use super::{Context, Engine, Health, Request, Response, Schedulers, Settings, board::Board, entry::sweep};
use crate::{
    plugin::{Library, Plugins},
    profile::Paths,
    store::{Error, ErrorKind, Result, Store},
    transport::{Factory, Transports},
};

/// What an owner works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where its scratch files go.
    pub paths: Paths,
    /// The store, which outlives it.
    pub store: Arc<dyn Store>,
    /// Who answers for plugins.
    pub plugins: Arc<dyn Plugins>,
    /// Known transports.
    pub transports: Vec<Arc<dyn Factory>>,
    /// Known schedulers.
    pub schedulers: Schedulers,
}

/// An owner at work. Dropping it is a crash: nothing of it runs any further.
#[derive(Debug)]
pub struct Stage {
    engine: Engine,
}

impl Stage {
    /// Opens what there is and begins to step, as a daemon does after it took the lock.
    ///
    /// # Errors
    /// The disk's and the store's.
    pub fn start(parts: Parts) -> Result<Stage> {
        let mut engine = Engine::of_parts(parts)?;
        engine.start();
        Ok(Stage { engine })
    }

    /// Answers a request, as over the socket.
    ///
    /// # Cancel safety
    /// Like a client that goes away: the request may have been taken.
    pub async fn ask(&self, request: Request) -> Response {
        self.engine.handle().ask(request).await
    }

    /// Stops gracefully.
    pub async fn stop(self) {
        self.engine.stop().await;
    }
}

impl Engine {
    /// An engine over parts of one's own, not yet started.
    ///
    /// # Errors
    /// The disk's and the store's.
    pub fn of_parts(parts: Parts) -> Result<Engine> {
        let cx = Arc::new(Context::of_parts(parts)?);
        sweep(&cx);
        Ok(Engine::over(cx))
    }
}

impl Context {
    /// A context of parts; nobody's lock is held.
    fn of_parts(parts: Parts) -> Result<Context> {
        let Parts { paths, store, plugins, transports, schedulers } = parts;
        paths.create().map_err(|error: io::Error| Error::from_io("open profile", paths.root(), error))?;
        let library = Library::new(&paths.plugins())
            .map_err(|error| Error::new(ErrorKind::Other, "open plugins").message(error.to_string()))?;
        Ok(Context {
            hosts: plugins,
            transports: Transports::new(transports),
            schedulers,
            settings: Settings::read(&store)?,
            health: Health::load(&store)?,
            paths,
            library,
            store,
            host_exe: Default::default(),
            bundled: Vec::new(),
            gates: Default::default(),
            holds: Default::default(),
            queues: Default::default(),
            clusters: super::clusters::Clusters::default(),
            orphaned: Notify::new(),
            cleanings: Notify::new(),
            board: Board::default(),
            _lock: None,
        })
    }
}
