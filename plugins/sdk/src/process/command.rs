//! One command line of a job, as it is built.

use ferry_plugin_proto::Run;

use crate::{path, process::job::Job};

/// A command line of a job; made by [`Job::run`] and [`Job::command`].
///
/// Arguments reach the program as they are: no shell reads them, so nothing needs quoting.
#[derive(Debug)]
pub struct Command<'a> {
    job: &'a mut Job,
}

impl<'a> Command<'a> {
    pub(crate) fn last_of(job: &'a mut Job) -> Self {
        Command { job }
    }

    fn with(self, change: impl FnOnce(&mut Run)) -> Self {
        self.job.description.runs.last_mut().map(change);
        self
    }

    /// Adds an argument.
    pub fn arg(self, argument: impl Into<String>) -> Self {
        self.with(|run| run.arguments.push(argument.into()))
    }

    /// Adds arguments.
    pub fn args<A: Into<String>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.with(|run| run.arguments.extend(arguments.into_iter().map(Into::into)))
    }

    /// Sets the file for its standard input.
    pub fn stdin(self, path: &str) -> Self {
        let path = self.job.note(path::relative(path));
        self.with(|run| run.stdin = path)
    }

    /// Sets the file for its standard output.
    pub fn stdout(self, path: &str) -> Self {
        let path = self.job.note(path::relative(path));
        self.with(|run| run.stdout = path)
    }

    /// Sets the file for its standard error.
    pub fn stderr(self, path: &str) -> Self {
        let path = self.job.note(path::relative(path));
        self.with(|run| run.stderr = path)
    }

    /// Sends standard error to the same file as standard output.
    pub fn join_files(self) -> Self {
        self.with(|run| run.join_files = true)
    }

    /// Sets whether MPI starts the command. Without this call, the code and the options decide.
    pub fn with_mpi(self, with_mpi: bool) -> Self {
        self.with(|run| run.with_mpi = Some(with_mpi))
    }
}
