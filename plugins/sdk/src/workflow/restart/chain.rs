//! The workchain that every restart workchain is.

use std::marker::PhantomData;

use ferry_plugin_macros::outline;
use ferry_plugin_proto::{Exit, ExitCode};
use serde::{Deserialize, Serialize};

use super::{JobFailure, Next, Restart, RestartInputs, handler::in_order};
use crate::{
    error::Result,
    host::doing,
    ports::problems::Problems,
    process::{exit::ExitCodes, process_type::Process},
    workflow::{
        context::Cx,
        expose::Exposed,
        workchain::{Child, Outline, WorkChain},
    },
};

/// Exit codes of every restart workchain, with AiiDA's numbers.
#[derive(ferry_plugin_macros::ExitCodes, Debug, Clone, PartialEq, Eq)]
pub enum RestartExit {
    /// A bug, or an error that cannot be mended.
    #[exit(301, "the sub process excepted: {why}", label = "ERROR_SUB_PROCESS_EXCEPTED")]
    SubProcessExcepted {
        /// In words.
        why: String,
    },
    /// A user's decision.
    #[exit(302, "the sub process was killed", label = "ERROR_SUB_PROCESS_KILLED")]
    SubProcessKilled,
    /// The handlers have not helped.
    #[exit(401, "the maximum number of iterations ({iterations}) was exceeded")]
    MaximumIterationsExceeded {
        /// Number of iterations.
        iterations: i64,
    },
    /// No handler knows this failure.
    #[exit(402, "no handler dealt with the failure of the sub process: {why}")]
    UnhandledFailure {
        /// In words.
        why: String,
    },
}

/// The exit codes [`RestartExit`], and those of `E`.
#[derive(Debug)]
pub struct RestartExits<E>(PhantomData<E>);

impl<E: ExitCodes> ExitCodes for RestartExits<E> {
    fn declared() -> Vec<ExitCode> {
        RestartExit::declared().into_iter().chain(E::declared()).collect()
    }

    /// Unreachable: no value of this type exists. Exits are made of [`RestartExit`] or of the author's own.
    fn exit(&self) -> Exit {
        Exit { status: RestartExit::UNHANDLED_FAILURE, label: String::new(), message: String::new() }
    }
}

/// A restart workchain at work.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Restarting<R: Restart> {
    process: R,
    /// Iterations so far.
    iteration: i64,
    /// Number of iterations at which it was last paused for exceeding the limit.
    granted: i64,
    /// True if the last child failed and no handler dealt with it.
    is_unhandled: bool,
    is_done: bool,
    child: Child<R::Child>,
}

impl<R: Restart> Default for Restarting<R> {
    fn default() -> Self {
        Restarting {
            process: R::default(),
            iteration: 0,
            granted: 0,
            is_unhandled: false,
            is_done: false,
            child: Child::default(),
        }
    }
}

impl<R: Restart> WorkChain for Restarting<R> {
    type Inputs = RestartInputs<R>;
    type Outputs = Exposed<R::Child>;
    type Exit = RestartExits<R::Exit>;

    fn outline() -> Outline<Self> {
        outline! {
            setup;
            while should_run {
                run;
                inspect;
            }
            results;
        }
    }

    fn validate(inputs: &RestartInputs<R>, bad: &mut Problems) {
        let known: Vec<&str> = R::handlers().iter().map(|handler| handler.name).collect();
        for name in inputs.overrides().keys().filter(|name| !known.contains(&name.as_str())) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            bad.at("handler_overrides", format!("there is no handler `{name}`; there are: {known}"));
        }
        inputs.judge_escalation(bad);
    }
}

impl<R: Restart> Restarting<R> {
    fn setup(&mut self, cx: &mut Cx<Self>) -> Result {
        *self.process.next() = cx.inputs().child.clone();
        if cx.inputs().settings.clean_workdir {
            cx.clean_work_dirs();
        }
        self.process.setup()
    }

    fn should_run(&self, cx: &Cx<Self>) -> bool {
        !self.is_done && !self.is_spent(cx)
    }

    fn is_spent(&self, cx: &Cx<Self>) -> bool {
        self.iteration - self.granted >= cx.inputs().settings.max_iterations
    }

    fn run(&mut self, cx: &mut Cx<Self>) {
        self.iteration += 1;
        let mut draft = self.process.next().clone();
        draft.metadata().link_label(format!("iteration_{:02}", self.iteration));
        self.child = cx.submit(draft);
        crate::report!("launched {}, iteration {}", R::Child::type_name(), self.iteration);
    }

    fn inspect(&mut self, cx: &mut Cx<Self>) -> Result {
        if self.child.is_excepted() {
            Err(RestartExit::SubProcessExcepted { why: self.child.in_words() })?;
        }
        if self.child.is_killed() {
            Err(RestartExit::SubProcessKilled)?;
        }
        match self.ask(cx)? {
            Some(Next::Done) => self.is_done = true,
            Some(_) => self.is_unhandled = false,
            None if self.child.is_ok() => self.is_done = true,
            None if self.escalate(cx) => self.is_unhandled = false,
            None => self.unhandled(cx)?,
        }
        if !self.is_done && cx.inputs().settings.pause_on_max_iterations && self.is_spent(cx) {
            self.granted = self.iteration;
            cx.pause(format!(
                "{} iterations were not enough; `process play` grants as many again",
                self.iteration
            ));
        }
        Ok(())
    }

    /// Asks the handlers in order and returns their decision; `None` if all of them pass.
    fn ask(&mut self, cx: &Cx<Self>) -> Result<Option<Next>> {
        let mut said = None;
        for handler in in_order::<R>(&cx.inputs().overrides()) {
            if !handler.looks_at(self.child.exit_status()) {
                continue;
            }
            doing(format_args!("handler `{}`", handler.name));
            let next = (handler.handle)(&mut self.process, &self.child)?;
            if next != Next::Pass {
                crate::report!(
                    "handler `{}` looked at iteration {}: {}",
                    handler.name,
                    self.iteration,
                    in_words(next)
                );
                said = Some(next);
            }
            if matches!(next, Next::RestartNow | Next::Done) {
                break;
            }
        }
        Ok(said)
    }

    /// Lets the next job ask for more of what this one had too little of, as far as the input `escalation` allows.
    fn escalate(&mut self, cx: &Cx<Self>) -> bool {
        let Some(resource) = self.child.failure().and_then(JobFailure::resource) else { return false };
        let Some(allowed) = cx.inputs().escalation(resource) else { return false };
        let (option, limit) = (resource.option(), allowed.limit);
        match self.process.next().raise(resource, allowed.factor, limit) {
            Some(more) => {
                crate::report!("iteration {} had too little: {option} is {more} now", self.iteration)
            }
            None => {
                crate::report!(
                    "iteration {} had too little, and {option} is at its limit {limit}",
                    self.iteration
                );
                return false;
            }
        }
        true
    }

    fn unhandled(&mut self, cx: &mut Cx<Self>) -> Result {
        let why = self.child.in_words();
        let was_unhandled = std::mem::replace(&mut self.is_unhandled, true);
        match &*cx.inputs().settings.on_unhandled_failure {
            "restart_once" | "restart_and_pause" if !was_unhandled => {
                crate::report!("no handler dealt with iteration {}, {why}: restarting once", self.iteration);
            }
            "pause" | "restart_and_pause" => {
                self.is_unhandled = false;
                cx.pause(format!(
                    "no handler dealt with iteration {}, {why}; `process play` runs it again",
                    self.iteration
                ));
            }
            _ => Err(RestartExit::UnhandledFailure { why })?,
        }
        Ok(())
    }

    fn results(&mut self, cx: &mut Cx<Self>) -> Result {
        if !self.is_done {
            Err(RestartExit::MaximumIterationsExceeded { iterations: self.iteration })?;
        }
        crate::report!("completed after {} iterations", self.iteration);
        cx.out().all(self.child.exposed()?);
        Ok(())
    }
}

fn in_words(next: Next) -> &'static str {
    match next {
        Next::Pass => "nothing to do",
        Next::Restart | Next::RestartNow => "to be run again",
        Next::Done => "its results are good",
    }
}
