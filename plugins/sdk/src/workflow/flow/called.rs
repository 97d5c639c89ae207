//! A process that a workfunction called: a future of its outputs, and how it failed otherwise.

use std::{
    error::Error as StdError,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ferry_plugin_proto::{Call, Ended, Exit};

use super::core::{Core, Op, Outcome};
use crate::{
    process::process_type::{OutputNodes, Process},
    workflow::{draft::Draft, expose::Exposed},
};

/// A process that was called. Awaiting it returns its outputs. Made by [`Cx::call`](crate::FlowCx::call) and
/// [`Cx::submit`](crate::FlowCx::submit).
///
/// Dropping it before the end gives it up: its process is killed. To await it in a `select!` and keep it when
/// another branch wins, pass a reference: `&mut called`.
pub struct Called<P: Process> {
    /// The operation, or why there is none.
    op: Result<Op, String>,
    process: PhantomData<fn() -> P>,
}

impl<P: Process> Called<P> {
    pub(super) fn new(core: &Core, draft: Draft<P>) -> Self {
        // Checked before, so that the call under its own name can only succeed.
        let op = draft
            .into_call("")
            .map_err(|error| error.to_string())
            .map(|call| core.launch(|name| Call { call: name, ..call }));
        Called { op, process: PhantomData }
    }

    /// Returns the result of the process; `None` if its end was not delivered to this workfunction yet.
    pub fn ended(&self) -> Option<Result<P::Nodes, CallFailed>> {
        match self.op.as_ref().ok()?.outcome()? {
            Outcome::Ended(ended) => Some(read::<P>(&ended)),
            Outcome::Slept => None,
        }
    }

    /// Returns all its outputs, to be passed on as they are: `(&mut called).await?; called.exposed()?`.
    ///
    /// # Errors
    /// Fails if its end was not delivered to this workfunction yet.
    pub fn exposed(&self) -> crate::error::Result<Exposed<P>> {
        match self.op.as_ref().ok().and_then(Op::outcome) {
            Some(Outcome::Ended(ended)) => Ok(Exposed::of(&ended.outputs)),
            _ => Err(format!("`{}` has not ended: await it first", P::type_name()).into()),
        }
    }

    /// Returns the process's uuid once its end was delivered to this workfunction; `None` before. It has none
    /// before it is launched, which happens after this turn.
    pub fn uuid(&self) -> Option<String> {
        match self.op.as_ref().ok()?.outcome()? {
            Outcome::Ended(ended) => Some(ended.uuid.clone()),
            Outcome::Slept => None,
        }
    }

    /// Returns its name among the calls of this process, as in `process show` and in errors.
    pub fn name(&self) -> String {
        self.op.as_ref().map(|op| op.number().to_string()).unwrap_or_default()
    }

    /// Kills the process. Awaiting it then returns `killed`, or its end if it ended before.
    pub fn kill(&self) {
        if let Ok(op) = &self.op {
            op.kill();
        }
    }

    /// Lets the process continue, whatever happens to this workfunction, which no longer waits for it.
    pub fn detach(self) {
        if let Ok(op) = self.op {
            op.detach();
        }
    }
}

impl<P: Process> fmt::Debug for Called<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Called").field("process_type", &P::type_name()).field("name", &self.name()).finish()
    }
}

impl<P: Process> Future for Called<P> {
    type Output = Result<P::Nodes, CallFailed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let op = match &self.op {
            Ok(op) => op,
            Err(why) => return Poll::Ready(Err(CallFailed::not_called::<P>(why))),
        };
        match op.poll(context) {
            Poll::Ready(Outcome::Ended(ended)) => Poll::Ready(read::<P>(&ended)),
            Poll::Ready(Outcome::Slept) | Poll::Pending => Poll::Pending,
        }
    }
}

fn read<P: Process>(ended: &Arc<Ended>) -> Result<P::Nodes, CallFailed> {
    if !ended.is_ok() {
        return Err(CallFailed::of::<P>(ended, ended.message.clone()));
    }
    P::Nodes::read_all(&ended.outputs, "").map_err(|message| CallFailed::of::<P>(ended, message))
}

/// The failure of a process that was called.
///
/// An author may look at it. Passed on by `?`, it does what AiiDA's workflows do: the caller finishes with
/// the same exit code, which is more useful to a scientist than "a bug". If the process was excepted or
/// killed, there is no exit code. Then the caller is excepted with the reason, because no exit code was
/// declared for this case.
///
/// ```
/// # use ferry_plugin::prelude::*;
/// # #[derive(ExitCodes)] pub enum RootExit { #[exit(400, "it is negative")] Negative }
/// /// The whole root of a number.
/// #[calcfunction(name = "doc.root", exit = RootExit)]
/// pub fn root(x: i64) -> Result<i64> {
///     if x < 0 { Err(RootExit::Negative)? }
///     Ok(x.isqrt())
/// }
///
/// /// The root of `x`, or of `other` where `x` has none.
/// #[workfunction(name = "doc.root_or")]
/// pub async fn root_or(cx: Cx, x: Node<i64>, other: Node<i64>) -> Result<Node<i64>> {
///     match cx.call(root::with(&x)).await {
///         Err(failed) if failed.exit_status() == Some(400) => Ok(cx.call(root::with(&other)).await?),
///         result => Ok(result?),
///     }
/// }
/// assert_eq!(testing::call(root_or::with(-1, 9)).value::<i64>(), Ok(3));
/// assert_eq!(testing::call(root_or::with(-1, -1)).status(), 400);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailed {
    process_type: String,
    uuid: Option<String>,
    state: String,
    exit_status: Option<u32>,
    message: String,
}

impl CallFailed {
    fn of<P: Process>(ended: &Ended, message: String) -> Self {
        CallFailed {
            process_type: P::type_name(),
            uuid: Some(ended.uuid.clone()),
            state: ended.state.clone(),
            exit_status: ended.exit_status,
            message,
        }
    }

    fn not_called<P: Process>(why: &str) -> Self {
        CallFailed {
            process_type: P::type_name(),
            uuid: None,
            state: "not called".to_owned(),
            exit_status: None,
            message: why.to_owned(),
        }
    }

    /// Returns the type of the process.
    pub fn process_type(&self) -> &str {
        &self.process_type
    }

    /// Returns the process's uuid; `None` if its inputs could not be given, so that it was not launched.
    pub fn uuid(&self) -> Option<&str> {
        self.uuid.as_deref()
    }

    /// Returns its state: `finished`, `excepted` or `killed`.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Returns its exit status; `None` if it did not finish.
    pub fn exit_status(&self) -> Option<u32> {
        self.exit_status
    }

    /// Returns the reason as text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the exit code with which a caller finishes that passes this failure on.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let status = self.exit_status.filter(|status| *status != 0)?;
        let is_label = |label: &str| {
            label.starts_with("ERROR_")
                && label.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        let (label, message) = match self.message.split_once(": ") {
            Some((label, message)) if is_label(label) => (label, message),
            _ => ("", self.message.as_str()),
        };
        Some(Exit { status, label: label.to_owned(), message: message.to_owned() })
    }
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.process_type)?;
        if let Some(uuid) = &self.uuid {
            write!(f, " ({uuid})")?;
        }
        match self.exit_status {
            Some(0) => f.write_str(" finished")?,
            Some(status) => write!(f, " finished with exit code {status}")?,
            None => write!(f, " was {}", self.state)?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", shortened(&self.message)) }
    }
}

/// Shortens a message about a long chain of callers to its beginning and the cause.
fn shortened(message: &str) -> String {
    const HEAD: usize = 120;
    const TAIL: usize = 480;
    let count = message.chars().count();
    if count <= HEAD + TAIL {
        return message.to_owned();
    }
    let head: String = message.chars().take(HEAD).collect();
    let tail: String = message.chars().skip(count - TAIL).collect();
    format!("{head} [...] {tail}")
}

impl StdError for CallFailed {}
