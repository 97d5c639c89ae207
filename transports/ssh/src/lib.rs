//! The transport `ssh`: commands and files of another computer, over one shared connection.
//!
//! It speaks SSH itself and reads the files of the user's own OpenSSH: the configuration as `ssh -G` resolves it,
//! `known_hosts`, agent, keys, certificates, ProxyJump, ProxyCommand. It never retries, least of all a wrong
//! credential.
//!
//! ```text
//! open: settings (endpoint, openssh, config) -> connection (proxy, client, auth) -> trust (host_key, known_hosts)
//! used: transport -> files -> sftp -> connection (session)
//!                 -> exec          -> connection (session)
//! ```
//!
//! **Invariant:** russh's types do not leave this crate. Every channel is read without pause until both sides have
//! closed it. No text of the user's is ever part of a line that a login shell reads.
//!
//! ```no_run
//! use ferry_engine_core::{computer::Computer, transport::{Command, Transports}};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let transports = Transports::new([ferry_transport_ssh::register()]);
//! let computer = Computer { hostname: "login1".into(), transport: "ssh".into(), ..Computer::default() };
//! let there = transports.get(&computer).await?;
//! let output = there.exec(&Command::new(["echo", "it's there"])).await?;
//! assert_eq!(output.text(), "it's there\n");
//! # Ok::<(), ferry_engine_core::transport::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connection;
mod exec;
mod files;
mod openssh;
mod settings;
mod sftp;
mod shell;
mod transport;
mod trust;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use ferry_engine_core::{
    computer::Computer,
    transport::{Asker, ErrorKind, Factory, Result, Setting, Transport},
};

use connection::open::People;

pub use connection::keys::Prompt;
pub use connection::prompt::ask_on_terminal;
pub use openssh::register_openssh;
pub use settings::config::{Config, KeyPolicy};
pub use transport::Ssh;

/// Returns the factory for [`Transports::new`](ferry_engine_core::transport::Transports::new). Linking the crate
/// registers nothing. It never asks for passphrases, as a daemon needs it.
pub fn register() -> Arc<dyn Factory> {
    Arc::new(SshFactory { prompt: None })
}

/// Returns a factory like [`register`], for a program with a user who is asked for the passphrases of keys.
pub fn register_with_prompt(prompt: Prompt) -> Arc<dyn Factory> {
    Arc::new(SshFactory { prompt: Some(prompt) })
}

struct SshFactory {
    prompt: Option<Prompt>,
}

impl fmt::Debug for SshFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshFactory").field("asks", &self.prompt.is_some()).finish()
    }
}

#[async_trait]
impl Factory for SshFactory {
    fn name(&self) -> &'static str {
        "core.ssh"
    }

    fn settings(&self) -> &'static [Setting] {
        settings::config::SETTINGS
    }

    fn check(&self, computer: &Computer) -> Result<()> {
        Config::read(computer).map(drop)
    }

    async fn open(&self, computer: &Computer) -> Result<Arc<dyn Transport>> {
        let config = Config::read(computer)?;
        let people = People { prompt: self.prompt.as_ref(), asker: None };
        let opened = connection::open::open(&computer.hostname, &config, people).await;
        let connection = opened.map_err(|error| match error.kind() {
            ErrorKind::NeedsLogin => error.help(format!("run: ferry computer login {}", computer.label)),
            _ => error,
        })?;
        Ok(Arc::new(Ssh::new(&computer.hostname, config, connection)))
    }

    async fn login(&self, computer: &Computer, asker: Arc<dyn Asker>) -> Result<Arc<dyn Transport>> {
        let config = Config::read(computer)?;
        let people = People { prompt: self.prompt.as_ref(), asker: Some(&*asker) };
        let connection = connection::open::open(&computer.hostname, &config, people).await?;
        Ok(Arc::new(Ssh::new(&computer.hostname, config, connection)))
    }
}
