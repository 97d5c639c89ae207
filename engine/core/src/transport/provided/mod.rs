//! The methods of [`Transport`] that need no access of their own: each is made of the required ones.
//!
//! They are the defaults of the trait. A transport overrides one where it knows a faster way, and may call it from
//! there for the cases where it knows none. A published suite checks them on every transport with the overrides
//! hidden.
//!
//! Their local file work runs on threads that may block; nothing else does.

mod at_once;
mod copy;
mod fetch;
mod glob;
mod local;
mod put;
mod remove;

use std::path::Path;

pub use at_once::{Job, at_once};
pub use copy::copy;
pub use fetch::get_files;
pub use glob::{Found, find, glob};
pub use local::{open_local, replace_local};
pub use put::put_tree;
pub use remove::remove_tree;

use tokio::sync::OnceCell;

use super::{Command, Error, ErrorKind, FileKind, Result, Transport, check_path, is_nameless};

const MKDIRS: &str = "mkdirs";

/// Implements [`Transport::mkdirs`]: looks upwards for a directory that exists, then makes the rest.
///
/// # Errors
/// Returns those of the method.
pub async fn mkdirs<T: Transport + ?Sized>(via: &T, dir: &Path) -> Result<()> {
    check_path(MKDIRS, dir)?;
    let mut missing = Vec::new();
    for above in dir.ancestors() {
        match via.stat(above).await {
            Ok(found) if found.kind == FileKind::Dir => break,
            Ok(_) => return Err(is(ErrorKind::NotADirectory, MKDIRS, above)),
            Err(error) if *error.kind() == ErrorKind::NotFound => missing.push(above),
            Err(error) => return Err(error.during(MKDIRS)),
        }
    }
    for dir in missing.into_iter().rev() {
        if let Err(error) = via.mkdir(dir).await {
            made_meanwhile(via, dir, error).await?;
        }
    }
    Ok(())
}

/// Handles a failed mkdir: another process may have made the directory since.
async fn made_meanwhile<T: Transport + ?Sized>(via: &T, dir: &Path, error: Error) -> Result<()> {
    match via.stat(dir).await {
        Ok(found) if found.kind == FileKind::Dir => Ok(()),
        Ok(_) => Err(is(ErrorKind::NotADirectory, MKDIRS, dir)),
        // A link to nowhere is in the way, or the directory can't be made.
        Err(_) => Err(error.during(MKDIRS)),
    }
}

/// Implements [`Transport::whoami`] by the program `id`.
///
/// # Errors
/// Returns those of [`Transport::exec`]; `Other` if `id` does not say.
pub async fn whoami<T: Transport + ?Sized>(via: &T) -> Result<String> {
    const WHOAMI: &str = "whoami";
    // Without a name `id` prints the number and fails.
    let command = Command::sh("name=$(id -un 2> /dev/null) && printf '%s\\n' \"$name\" || id -u");
    let output = via.exec(&command.no_login_shell()).await.map_err(|error| error.during(WHOAMI))?;
    let name = output.text().trim().to_owned();
    if output.status == 0 && !name.is_empty() {
        return Ok(name);
    }
    let unknown = Error::new(ErrorKind::Other, WHOAMI).message("`id` does not say who the user is");
    Err(unknown.with("stderr", output.error_text()))
}

/// The user's name, asked for once over a connection.
#[derive(Debug, Default)]
pub struct User(OnceCell<String>);

impl User {
    /// Returns the name, by [`whoami`] if it is not known yet.
    ///
    /// # Errors
    /// Returns those of [`whoami`].
    pub async fn name<T: Transport + ?Sized>(&self, via: &T) -> Result<String> {
        if let Some(name) = self.0.get() {
            return Ok(name.clone());
        }
        let name = whoami(via).await?;
        // A user without a name may get one again, once the user directory is back.
        if !is_nameless(&name) {
            let _ = self.0.set(name.clone());
        }
        Ok(name)
    }
}

/// Returns the error for a path of the wrong kind.
fn is(kind: ErrorKind, operation: &'static str, path: &Path) -> Error {
    Error::new(kind, operation).with("path", path.display())
}
