//! Conversion of the operating system's errors to the transport's.

use std::{io, path::Path};

use ferry_engine_core::transport::{Error, ErrorKind, Result};
use rustix::io::Errno;

/// Conversion of an I/O error that adds the operation and the path.
pub(crate) trait At<T> {
    /// Converts to the transport's error, during `operation` on `path`.
    fn at(self, operation: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| fault(operation, path, error))
    }
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| fault(operation, path, error.into()))
    }
}

/// Returns the error for a file that is neither a regular file nor a directory.
pub(crate) fn special() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a pipe, socket or device, not a file")
}

fn fault(operation: &'static str, path: &Path, error: io::Error) -> Error {
    let unsupported = || Error::new(ErrorKind::Unsupported, operation).with("path", path.display());
    if Errno::from_io_error(&error) == Some(Errno::LOOP) {
        // Another attempt finds the same loop, so it is not worth the retry that an unknown error gets.
        return Error::new(ErrorKind::Other, operation).with("path", path.display()).source(error);
    }
    match error.kind() {
        io::ErrorKind::Unsupported => unsupported().source(error),
        io::ErrorKind::CrossesDevices => {
            unsupported().source(error).help("copy it, then remove it: it is on another file system")
        }
        _ => Error::from_io(operation, path, error),
    }
}
