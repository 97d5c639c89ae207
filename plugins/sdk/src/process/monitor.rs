//! Monitors: what looks at a running job, and may stop it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use ferry_plugin_proto::{
    Inputs as Nodes, Judged, MonitorAction, MonitorType, NewNode, RunningJob, SeenFile, Source, Task,
    WantedFile, WorkReply,
};

use crate::{
    error::Result,
    host::report,
    ports::{
        input::{Inputs, read_inputs, unreadable},
        output::IntoNode,
        places::Places,
        problems::Problems,
    },
    process::registry::{About, Unable},
};

/// Looks at a running job from time to time, and may stop it. Implement it, under
/// [`#[monitor]`](crate::monitor), for the struct of its `kwargs`, which derives [`Inputs`].
///
/// It names the files of the work directory that it needs. The engine fetches them, wherever the job runs,
/// and calls the monitor. It keeps no state between two looks. One that fails, panics or hangs harms no job:
/// the report mentions it, it is called again, and disabled after three failures in a row.
///
/// ```
/// use ferry_plugin::{Look, Monitor, Verdict, View, prelude::*};
///
/// /// Stops a run that diverges.
/// #[derive(Inputs)]
/// pub struct Diverges {
///     /// Largest energy that makes sense
///     pub limit: f64,
///     #[port(default = "energies.dat")]
///     pub file: String,
/// }
///
/// #[monitor(name = "doc.diverges")]
/// impl Monitor for Diverges {
///     fn files(&self) -> Vec<View> {
///         vec![View::end(&self.file, 4096)]
///     }
///
///     fn judge(&self, job: &Look) -> Result<Option<Verdict>> {
///         let Some(text) = job.text(&self.file)? else { return Ok(None) }; // not there yet
///         let last = text.lines().last().and_then(|line| line.trim().parse::<f64>().ok());
///         Ok(match last {
///             Some(energy) if energy > self.limit => Some(Verdict::kill(format!("the energy is {energy}"))),
///             _ => None,
///         })
///     }
/// }
///
/// let monitor = || Diverges { limit: 10.0, file: "energies.dat".into() };
/// assert_eq!(testing::watch(monitor(), &[("energies.dat", "1.0\n2.0\n")]), Ok(None));
/// let verdict = testing::watch(monitor(), &[("energies.dat", "1.0\n2e9\n")]).unwrap().unwrap();
/// assert_eq!(verdict.message(), "the energy is 2000000000");
/// ```
///
/// A scientist names it in the input `monitors` of any calcjob:
///
/// ```text
/// ferry submit qe.pw ... monitors.energy='{"entry_point": "doc.diverges", "kwargs": {"limit": 10}}'
/// ```
pub trait Monitor: Inputs + 'static {
    /// Judges the `kwargs` together, before the process exists. Types, ranges, choices and missing ones are checked
    /// before.
    fn validate(&self, bad: &mut Problems) {
        let _ = bad;
    }

    /// Returns the files of the work directory that the monitor needs. Called once per job.
    fn files(&self) -> Vec<View>;

    /// Judges the present state of the job; `None` lets it continue.
    ///
    /// # Errors
    /// Fails if it can't judge; the job goes on.
    fn judge(&self, job: &Look) -> Result<Option<Verdict>>;
}

/// A file, or by a pattern several, that a monitor wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View(WantedFile);

impl View {
    /// Asks only whether the files exist, and for their size.
    pub fn size(path: impl Into<String>) -> View {
        View::end(path, 0)
    }

    /// Asks for at most this many bytes of the end of each file. ferry fetches at most 16 MiB.
    pub fn end(path: impl Into<String>, bytes: u64) -> View {
        View(WantedFile { path: path.into(), bytes })
    }

    /// Asks for the whole of each file, up to 16 MiB.
    pub fn whole(path: impl Into<String>) -> View {
        View::end(path, 16 << 20)
    }
}

/// A running job, as a monitor sees it.
#[derive(Debug)]
pub struct Look {
    job: RunningJob,
    files: BTreeMap<String, SeenFile>,
}

impl Look {
    /// Returns the job itself.
    pub fn job(&self) -> &RunningJob {
        &self.job
    }

    /// Returns the files that it wanted to see and that are there, by relative path.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Returns the size of a file in bytes; `None` if it does not exist.
    pub fn size(&self, path: &str) -> Option<u64> {
        self.files.get(path).map(|file| file.size)
    }

    /// Returns the end of a file, as much as was asked for; `None` if the file does not exist.
    ///
    /// # Errors
    /// Fails if the file can't be read, or if its contents were not asked for.
    pub fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.files.get(path) else { return Ok(None) };
        let end = file.end.as_ref().ok_or_else(|| format!("only the size of `{path}` was asked for"))?;
        Ok(Some(fs::read(PathBuf::from(end)).map_err(|error| format!("can't read `{path}`: {error}"))?))
    }

    /// Returns the same as text. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        Ok(self.bytes(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// The verdict of a monitor on a job. A text is a reason to stop the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    said: ferry_plugin_proto::Verdict,
    wrong: Vec<String>,
}

impl Verdict {
    fn new(action: MonitorAction, message: String) -> Verdict {
        let said = ferry_plugin_proto::Verdict { action, message, ..ferry_plugin_proto::Verdict::default() };
        Verdict { said, wrong: Vec::new() }
    }

    /// Stops the job. Its files are retrieved and parsed, and the process ends with exit code 150 and this
    /// message.
    pub fn kill(message: impl Into<String>) -> Verdict {
        Verdict::new(MonitorAction::Kill, message.into())
    }

    /// Disables all monitors for this job.
    pub fn disable_all(message: impl Into<String>) -> Verdict {
        Verdict::new(MonitorAction::DisableAll, message.into())
    }

    /// Disables this monitor for this job.
    pub fn disable_self(message: impl Into<String>) -> Verdict {
        Verdict::new(MonitorAction::DisableSelf, message.into())
    }

    /// Skips retrieval, and so parsing, for a job that is stopped.
    #[must_use]
    pub fn without_retrieve(mut self) -> Verdict {
        self.said.retrieve = false;
        self
    }

    /// Skips parsing for a job that is stopped.
    #[must_use]
    pub fn without_parse(mut self) -> Verdict {
        self.said.parse = false;
        self
    }

    /// Lets the parser decide the exit code of a job that is stopped.
    #[must_use]
    pub fn keep_exit_code(mut self) -> Verdict {
        self.said.override_exit_code = false;
        self
    }

    /// Adds an output of the process, which its parser may replace. Files are small ones, without a place of their
    /// own.
    #[must_use]
    pub fn output(mut self, port: &str, value: impl IntoNode) -> Verdict {
        // A directory that does not exist, so only values that fit into a message are allowed.
        match value.into_node(&mut Places::new(&PathBuf::from("/nonexistent"))) {
            Ok(node) if node.files.iter().all(|file| matches!(file.source, Source::Inline(_))) => {
                drop(self.said.outputs.insert(port.to_owned(), node));
            }
            Ok(_) => self.wrong.push(format!("output `{port}`: its files are too large for a monitor")),
            Err(why) => self.wrong.push(format!("output `{port}`: {why}")),
        }
        self
    }

    /// Returns the reason, for people.
    pub fn message(&self) -> &str {
        &self.said.message
    }

    /// Returns the action to take.
    pub fn action(&self) -> MonitorAction {
        self.said.action
    }

    /// Returns the outputs that it adds.
    pub fn outputs(&self) -> &BTreeMap<String, NewNode> {
        &self.said.outputs
    }
}

impl From<&str> for Verdict {
    fn from(message: &str) -> Self {
        Verdict::kill(message)
    }
}

impl From<String> for Verdict {
    fn from(message: String) -> Self {
        Verdict::kill(message)
    }
}

/// A monitor of some crate.
#[derive(Debug)]
pub struct MonitorEntry {
    about: About,
    inputs: fn() -> ferry_plugin_proto::Namespace,
    validate: fn(&Nodes) -> Problems,
    work: fn(&Nodes, Task) -> Result<WorkReply, Unable>,
}

inventory::collect!(MonitorEntry);

impl MonitorEntry {
    /// Returns the entry of a monitor.
    pub const fn of<M: Monitor>(about: About) -> Self {
        MonitorEntry { about, inputs: M::namespace, validate: validate::<M>, work: work::<M> }
    }

    /// Returns the monitors of a crate.
    pub(crate) fn of_crate(krate: &'static str) -> impl Iterator<Item = &'static MonitorEntry> {
        inventory::iter::<MonitorEntry>.into_iter().filter(move |entry| entry.about.krate() == krate)
    }

    /// Returns its full name.
    pub(crate) fn name(&self) -> String {
        self.about.full_name()
    }

    /// Returns the problems of `kwargs`.
    pub(crate) fn judge(&self, kwargs: &Nodes) -> Problems {
        (self.validate)(kwargs)
    }

    /// Does the task.
    pub(crate) fn do_work(&self, kwargs: &Nodes, task: Task) -> Result<WorkReply, Unable> {
        (self.work)(kwargs, task)
    }

    pub(crate) fn describe(&self) -> MonitorType {
        MonitorType {
            name: self.name(),
            doc: self.about.doc.to_owned(),
            inputs: (self.inputs)(),
            aliases: self.about.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        }
    }
}

fn validate<M: Monitor>(kwargs: &Nodes) -> Problems {
    match read_inputs::<M>(kwargs) {
        Ok(monitor) => {
            let mut bad = Problems::default();
            monitor.validate(&mut bad);
            bad
        }
        Err(bad) => bad,
    }
}

fn work<M: Monitor>(kwargs: &Nodes, task: Task) -> Result<WorkReply, Unable> {
    match task {
        Task::Want {} => {
            let wanted = read_inputs::<M>(kwargs).map(|monitor| monitor.files()).unwrap_or_default();
            Ok(WorkReply::Wanted(wanted.into_iter().map(|View(wanted)| wanted).collect()))
        }
        Task::Watch { job, files } => Ok(WorkReply::Judged(judge::<M>(kwargs, job, files))),
        _ => Err(Unable("it is a monitor, which looks at running jobs")),
    }
}

fn judge<M: Monitor>(kwargs: &Nodes, job: RunningJob, files: Vec<SeenFile>) -> Judged {
    let (result, reports) = report::collect(|| {
        let monitor = read_inputs::<M>(kwargs).map_err(unreadable)?;
        let files = files.into_iter().map(|file| (file.path.clone(), file)).collect();
        monitor.judge(&Look { job, files })
    });
    let (verdict, exception) = match result {
        Ok(Some(Verdict { wrong, .. })) if !wrong.is_empty() => (None, Some(wrong.join("; "))),
        Ok(verdict) => (verdict.map(|verdict| verdict.said), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Judged { verdict, reports, exception }
}

/// Lets a monitor judge files of these names and texts, for [`testing::watch`](crate::testing::watch).
pub(crate) fn try_out<M: Monitor>(
    monitor: &M,
    kwargs: &Nodes,
    files: &[(&str, &str)],
    dir: &std::path::Path,
) -> Result<Option<Verdict>, String> {
    let mut seen = Vec::new();
    for View(wanted) in monitor.files() {
        let fits = |name: &str| name == wanted.path || crate::glob::matches(&wanted.path, name);
        for (name, text) in files.iter().filter(|(name, _)| fits(name)) {
            let start = text.len().saturating_sub(usize::try_from(wanted.bytes).unwrap_or(usize::MAX));
            let place = dir.join(format!("{}", seen.len()));
            fs::write(&place, &text.as_bytes()[start..]).map_err(|error| error.to_string())?;
            let end = (wanted.bytes > 0).then(|| place.to_string_lossy().into_owned());
            seen.push(SeenFile { path: (*name).to_owned(), size: text.len() as u64, end });
        }
    }
    let judged = judge::<M>(kwargs, RunningJob::default(), seen);
    match judged.exception {
        Some(exception) => Err(exception),
        None => Ok(judged.verdict.map(|said| Verdict { said, wrong: Vec::new() })),
    }
}
