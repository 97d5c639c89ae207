//! The transport `local`: commands and files of this very machine, as this very user.
//!
//! Commands are children in process groups of their own. File work runs on threads that may block, one job for a
//! whole tree. Nothing is retried or rate-limited here, and no shell is in between unless `use_login_shell` asks
//! for one.
//!
//! ```
//! use ferry_engine_core::{computer::Computer, transport::{Command, Transports}};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let transports = Transports::new([ferry_transport_local::register()]);
//! let here = transports.get(&Computer::default()).await?;
//! let output = here.exec(&Command::new(["echo", "it's here"])).await?;
//! assert_eq!(output.text(), "it's here\n");
//! # Ok::<(), ferry_engine_core::transport::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod copy;
mod errors;
mod exec;
mod fetch;
mod files;
mod group;
mod output;
mod rename;
mod temp_file;
mod transport;
mod tree;
mod user;
mod work;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use ferry_engine_core::{
    computer::Computer,
    transport::{Factory, Result, Setting, Transport},
};

pub use config::Config;
pub use transport::Local;

/// Returns the factory for [`Transports::new`](ferry_engine_core::transport::Transports::new). Linking the crate
/// registers nothing.
pub fn register() -> Arc<dyn Factory> {
    Arc::new(LocalFactory)
}

#[derive(Debug)]
struct LocalFactory;

#[async_trait]
impl Factory for LocalFactory {
    fn name(&self) -> &'static str {
        "core.local"
    }

    fn settings(&self) -> &'static [Setting] {
        config::SETTINGS
    }

    fn check(&self, computer: &Computer) -> Result<()> {
        Config::read(computer).map(drop)
    }

    async fn open(&self, computer: &Computer) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(Local::new(Config::read(computer)?)))
    }
}
