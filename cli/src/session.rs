//! The session that every command works with: the profile, the connection to its owner, and the form of
//! output.

use ferry_engine::{
    owner::Builder,
    profile::Paths,
    rpc::{Answered, Request, Response},
    store::{ErrorKind, Objects, Reader},
};

use crate::{
    error::{Failure, Result},
    logging::Log,
    output::Format,
};

/// One run of the command line.
#[derive(Debug)]
pub(crate) struct Session {
    /// The profile and the implementations that this binary knows.
    pub(crate) builder: Builder,
    /// Form of lists and details.
    pub(crate) format: Format,
    /// True if a list is wanted as CSV. No other command gets this.
    pub(crate) csv: bool,
    /// File format that was asked for. No other command than `node export` gets one.
    pub(crate) file_format: Option<String>,
    /// Never ask anything.
    pub(crate) non_interactive: bool,
    /// Tell on stderr what happens inside.
    pub(crate) verbose: bool,
    /// The log, if this program is a daemon.
    pub(crate) log: Log,
}

impl Session {
    /// Returns the profile's paths.
    pub(crate) fn paths(&self) -> &Paths {
        &self.builder.paths
    }

    /// Opens a read-only view of the store. A profile that does not exist yet is created, with `localhost`
    /// and the bundled plugins.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub(crate) async fn reader(&self) -> Result<Reader> {
        let open = || Reader::open(&self.paths().store(), Objects::new(self.paths().objects()));
        match open() {
            Ok(reader) if reader.is_set_up()? => return Ok(reader),
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Older) => {
                return Err(error.into());
            }
            // None yet, or one that its owner has to set up or bring up to date: an answer comes after that.
            _ => {}
        }
        self.call(Request::Status).await?;
        Ok(open()?)
    }

    /// Asks the profile's owner, or acts as one for this request.
    ///
    /// # Errors
    /// Fails at a `Failed` or `Refused` answer, and if there is no answer.
    pub(crate) async fn call(&self, request: Request) -> Result<(Response, Answered)> {
        match ferry_engine::rpc::call(&self.builder, request).await? {
            (Response::Failed { message, help }, _) => Err(Failure { help, ..Failure::new(message) }),
            (Response::Refused(problems), _) => Err(Failure::problems("the inputs are not right", &problems)),
            answer => Ok(answer),
        }
    }
}
