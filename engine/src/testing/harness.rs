//! An owner without lock, socket and plugin children, for simulations. It has the same loop, gate, pollers and
//! requests as a daemon, over parts that the caller provides.

use std::{io, sync::Arc};

use tokio::sync::Notify;

use crate::{
    embed::{Engine, running::sweep},
    owner::{Context, Health, Settings, waiters::Board},
    plugin::{Library, Plugins},
    profile::Paths,
    rpc::{Request, Response},
    scheduler::Schedulers,
    store::{Error, ErrorKind, Result, Store},
    transport::{Factory, Transports},
};

/// The parts of an owner.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The paths for its scratch files.
    pub paths: Paths,
    /// The store, which outlives it.
    pub store: Arc<dyn Store>,
    /// The implementation of plugins.
    pub plugins: Arc<dyn Plugins>,
    /// Known transports.
    pub transports: Vec<Arc<dyn Factory>>,
    /// Known schedulers.
    pub schedulers: Schedulers,
}

/// A running owner. Dropping it has the effect of a crash: none of its work continues.
#[derive(Debug)]
pub struct Stage {
    engine: Engine,
}

impl Stage {
    /// Opens the parts and begins to step, as a daemon does after it took the lock.
    ///
    /// # Errors
    /// Returns an I/O error or an error of the store.
    pub fn start(parts: Parts) -> Result<Stage> {
        let mut engine = Engine::of_parts(parts)?;
        engine.start();
        Ok(Stage { engine })
    }

    /// Handles a request, as over the socket.
    ///
    /// # Cancel safety
    /// As with a lost client, the request may have been carried out.
    pub async fn ask(&self, request: Request) -> Response {
        self.engine.handle().ask(request).await
    }

    /// Stops gracefully.
    pub async fn stop(self) {
        self.engine.stop().await;
    }
}

impl Engine {
    /// Creates an engine over the given parts, not yet started.
    ///
    /// # Errors
    /// Returns an I/O error or an error of the store.
    pub fn of_parts(parts: Parts) -> Result<Engine> {
        let cx = Arc::new(Context::of_parts(parts)?);
        sweep(&cx);
        Ok(Engine::over(cx))
    }
}

impl Context {
    /// Creates a context from parts; it holds no lock.
    fn of_parts(parts: Parts) -> Result<Context> {
        let Parts { paths, store, plugins, transports, schedulers } = parts;
        paths.create().map_err(|error: io::Error| Error::from_io("open profile", paths.root(), error))?;
        let library = Library::new(&paths.plugins())
            .map_err(|error| Error::new(ErrorKind::Other, "open plugins").message(error.to_string()))?;
        Ok(Context {
            plugin_hosts: plugins,
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
            clusters: Default::default(),
            logins: crate::owner::logins::Logins::default(),
            orphaned: Notify::new(),
            cleanings: Notify::new(),
            board: Board::default(),
            _lock: None,
        })
    }
}
