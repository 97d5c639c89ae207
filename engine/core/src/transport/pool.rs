//! The connections of this program: one for each computer, opened once, shared, and reopened after a loss.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::{Mutex, OnceCell};

use super::{Asker, Error, ErrorKind, Result, Transport};
use crate::computer::Computer;

/// A setting of a transport or a scheduler, for set-up commands.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key in a computer file.
    pub key: &'static str,
    /// Its meaning.
    pub help: &'static str,
}

/// Opens a kind of transport.
#[async_trait]
pub trait Factory: fmt::Debug + Send + Sync + 'static {
    /// Returns its name in computer files. Names that begin with `core.` are ferry's own. Any other belongs to its
    /// author, who begins it with a word of their own, as in `mysite.docker`.
    fn name(&self) -> &'static str;

    /// Returns the connection settings that it reads.
    fn settings(&self) -> &'static [Setting];

    /// Checks a computer's connection settings without opening anything.
    ///
    /// # Errors
    /// `Config`, naming the key.
    fn check(&self, computer: &Computer) -> Result<()>;

    /// Opens a connection.
    ///
    /// # Errors
    /// By kind; `Unreachable` is trouble of the host, `Authentication` is for the user to resolve.
    async fn open(&self, computer: &Computer) -> Result<Arc<dyn Transport>>;

    /// Opens a connection with a person at hand, who answers what the server asks.
    ///
    /// # Errors
    /// As [`Factory::open`]. `Unsupported`, as by default, if this kind of transport asks nothing.
    async fn login(&self, computer: &Computer, _asker: Arc<dyn Asker>) -> Result<Arc<dyn Transport>> {
        let nothing = Error::new(ErrorKind::Unsupported, "log in").message("this transport asks nothing");
        Err(nothing.with("transport", &computer.transport))
    }
}

type Slot = Arc<OnceCell<Arc<dyn Transport>>>;

/// The transports that this program knows, and their open connections.
#[derive(Debug, Default)]
pub struct Transports {
    factories: BTreeMap<&'static str, Arc<dyn Factory>>,
    open: Mutex<HashMap<String, (Computer, Slot)>>,
}

impl Transports {
    /// Makes a pool that knows these transports and no others.
    pub fn new(factories: impl IntoIterator<Item = Arc<dyn Factory>>) -> Self {
        let factories = factories.into_iter().map(|factory| (factory.name(), factory)).collect();
        Transports { factories, open: Mutex::default() }
    }

    /// Returns the names of the known ones.
    pub fn names(&self) -> Vec<&'static str> {
        self.factories.keys().copied().collect()
    }

    /// Returns the factory of a name. `ssh` stands for `core.ssh`, if there is one: that is the stored form.
    ///
    /// # Errors
    /// `Config`, listing the known ones.
    pub fn factory(&self, name: &str) -> Result<&Arc<dyn Factory>> {
        let own = if name.contains('.') { None } else { self.factories.get(format!("core.{name}").as_str()) };
        own.or_else(|| self.factories.get(name)).ok_or_else(|| {
            Error::new(ErrorKind::Config, "transport")
                .message(format!("no transport is called `{name}`"))
                .help(format!("this ferry has: {}", self.names().join(", ")))
        })
    }

    /// Returns the computer's connection, and opens it if need be. Concurrent callers share one opening. Changed
    /// settings open a new one.
    ///
    /// # Errors
    /// Returns the errors of [`Factory::open`].
    pub async fn get(&self, computer: &Computer) -> Result<Arc<dyn Transport>> {
        let factory = self.factory(&computer.transport)?.clone();
        let slot = {
            let mut open = self.open.lock().await;
            match open.get(&computer.label) {
                Some((settings, slot)) if settings == computer => slot.clone(),
                _ => {
                    let slot = Slot::default();
                    open.insert(computer.label.clone(), (computer.clone(), slot.clone()));
                    slot
                }
            }
        };
        slot.get_or_try_init(|| factory.open(computer)).await.cloned()
    }

    /// Returns the computer's connection, if it is open under these settings.
    pub async fn opened(&self, computer: &Computer) -> Option<Arc<dyn Transport>> {
        let open = self.open.lock().await;
        let (settings, slot) = open.get(&computer.label)?;
        slot.get().filter(|_| settings == computer).cloned()
    }

    /// Keeps a connection that was opened elsewhere, for all callers of [`Transports::get`] under these settings.
    pub async fn adopt(&self, computer: &Computer, via: Arc<dyn Transport>) {
        let slot = Slot::new(OnceCell::new_with(Some(via)));
        self.open.lock().await.insert(computer.label.clone(), (computer.clone(), slot));
    }

    /// Forgets a connection that was lost, so that the next [`Transports::get`] opens a new one.
    pub async fn forget(&self, label: &str) {
        self.open.lock().await.remove(label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind of transport that opens nothing.
    #[derive(Debug)]
    struct Named(&'static str);

    #[async_trait]
    impl Factory for Named {
        fn name(&self) -> &'static str {
            self.0
        }

        fn settings(&self) -> &'static [Setting] {
            &[]
        }

        fn check(&self, _: &Computer) -> Result<()> {
            Ok(())
        }

        async fn open(&self, _: &Computer) -> Result<Arc<dyn Transport>> {
            Err(Error::new(ErrorKind::Unsupported, "open"))
        }
    }

    #[test]
    fn a_name_is_its_authors_and_only_core_may_be_left_out() {
        let known = ["core.ssh", "core.local", "mysite.docker", "ssh", "other"];
        let known = Transports::new(known.map(|name| Arc::new(Named(name)) as Arc<dyn Factory>));
        let found = |name: &str| known.factory(name).map(|factory| factory.name());
        for (asked, expect) in [
            ("core.ssh", "core.ssh"),
            ("ssh", "core.ssh"),
            ("local", "core.local"),
            ("mysite.docker", "mysite.docker"),
            ("other", "other"),
        ] {
            assert_eq!(found(asked).unwrap(), expect, "{asked}");
        }
        for name in ["docker", "core.docker", "core.other", "mysite.ssh", ""] {
            let error = found(name).unwrap_err().explained();
            let list = "this ferry has: core.local, core.ssh, mysite.docker, other, ssh";
            assert_eq!(error, format!("no transport is called `{name}` ({list})"));
        }
    }
}
