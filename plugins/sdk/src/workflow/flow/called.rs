//! A process that a workfunction called: a future of its outputs.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ferry_plugin_proto::{Call, Ended};

use super::core::{Core, Op, Outcome};
use crate::{
    error::CallFailed,
    ports::output_nodes::OutputNodes,
    process::process_type::Process,
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
            Err(why) => return Poll::Ready(Err(CallFailed::not_called(P::type_name(), why))),
        };
        match op.poll(context) {
            Poll::Ready(Outcome::Ended(ended)) => Poll::Ready(read::<P>(&ended)),
            Poll::Ready(Outcome::Slept) | Poll::Pending => Poll::Pending,
        }
    }
}

fn read<P: Process>(ended: &Arc<Ended>) -> Result<P::Nodes, CallFailed> {
    if !ended.is_ok() {
        return Err(CallFailed::of(P::type_name(), ended, ended.message.clone()));
    }
    P::Nodes::read_all(&ended.outputs, "").map_err(|message| CallFailed::of(P::type_name(), ended, message))
}
