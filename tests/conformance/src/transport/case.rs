//! A case: a name, an async function, and what it needs.

use std::{fmt, pin::Pin};

use ferry_engine_core::transport::Capabilities;
use libtest_mimic::{Completion, Failed};

use super::Site;

/// The result of a case. Assertions may panic as well.
pub(super) type Outcome = Result<(), Failed>;

/// Not `Send`: a case stays on the thread that its trial blocks.
type Ending = Pin<Box<dyn Future<Output = Result<Completion, Failed>>>>;
type Need = (fn(&Capabilities) -> bool, &'static str);

/// One case.
pub(super) struct Case {
    pub(super) name: String,
    run: Box<dyn Fn(Site) -> Ending + Send>,
    need: Option<Need>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Case {
    /// Makes a case that always runs.
    pub(super) fn new<F>(name: &str, run: impl Fn(Site) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Outcome> + 'static,
    {
        Case::ignorable(name, move |site| {
            let outcome = run(site);
            async { outcome.await.map(|()| Completion::Completed) }
        })
    }

    /// Makes a case that finds out by itself whether it can run.
    pub(super) fn ignorable<F>(name: &str, run: impl Fn(Site) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Completion, Failed>> + 'static,
    {
        Case { name: name.to_owned(), run: Box::new(move |site| Box::pin(run(site))), need: None }
    }

    /// Limits the case to transports with a capability; `lack` describes the others.
    pub(super) fn needs(mut self, can: fn(&Capabilities) -> bool, lack: &'static str) -> Self {
        self.need = Some((can, lack));
        self
    }

    /// Adds the name of a duty in front of the case's.
    pub(super) fn within(mut self, duty: &str) -> Self {
        self.name = format!("{duty}/{}", self.name);
        self
    }

    /// Returns the capability that the case needs and the transport lacks.
    pub(super) fn lack(&self, capabilities: &Capabilities) -> Option<&'static str> {
        self.need.and_then(|(can, lack)| (!can(capabilities)).then_some(lack))
    }

    /// Runs it.
    pub(super) async fn run(&self, site: Site) -> Result<Completion, Failed> {
        (self.run)(site).await
    }
}

/// Cases named as their functions.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        vec![$($crate::transport::case::Case::new(stringify!($case), $case)),*]
    };
}
pub(super) use cases;
