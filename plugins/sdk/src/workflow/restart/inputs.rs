//! Inputs of a restart workchain: the child's, in a namespace, and AiiDA's settings beside it.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use ferry_plugin_proto::{Inputs as Nodes, Namespace};
use serde::{Deserialize, Serialize};

use super::{Escalation, Resource, Restart};
use crate::{
    ports::{
        given::{Fill, InputsDraft, Ports},
        input::{InputField, Inputs, macros::join},
        lender::Lender,
        problems::Problems,
        scalars::Json,
    },
    workflow::draft::Draft,
};

/// Settings of every restart workchain.
#[derive(ferry_plugin_macros::Inputs, Debug)]
pub struct RestartSettings {
    /// How often the child is run at most
    #[port(default = 5, range(1..))]
    pub max_iterations: i64,
    /// By a handler's name: `{enabled: false}`, `{priority: 100}`
    pub handler_overrides: Option<Json<BTreeMap<String, Override>>>,
    /// When the child fails and no handler deals with it: end (`abort`), stand still until `process play`, then run it
    /// again (`pause`), run it again and end if that fails too (`restart_once`), or stand still then
    /// (`restart_and_pause`)
    #[port(default = "abort", choices("abort", "pause", "restart_once", "restart_and_pause"))]
    pub on_unhandled_failure: String,
    /// Stand still after the last iteration instead of ending; `process play` grants as many again
    #[port(default = false)]
    pub pause_on_max_iterations: bool,
    /// When a job ran out of memory or time and no handler deals with it, the next one asks for more:
    /// `{max_memory_kb: {limit: 8000000, factor: 2}, max_wallclock_seconds: {limit: 86400}}`
    pub escalation: Option<Json<BTreeMap<String, Escalation>>>,
    /// Remove the work directories of all calculations that it called, once it has finished or was killed
    #[port(default = false)]
    pub clean_workdir: bool,
}

/// The settings of one handler in the input `handler_overrides`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Override {
    /// True if the handler is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Priority. Handlers of a higher priority are asked first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
}

/// Inputs of the restart workchain `R`.
#[derive(Debug)]
pub struct RestartInputs<R: Restart> {
    /// The child's, as the first iteration is given them.
    pub child: Draft<R::Child>,
    /// Settings of the restarts.
    pub settings: RestartSettings,
}

impl<R: Restart> RestartInputs<R> {
    /// Returns the settings of the handlers.
    pub(super) fn overrides(&self) -> BTreeMap<String, Override> {
        self.settings.handler_overrides.as_ref().map(|Json(overrides)| overrides.clone()).unwrap_or_default()
    }

    /// Returns the limits for raising a resource; `None` if it may not be raised.
    pub(super) fn escalation(&self, resource: Resource) -> Option<Escalation> {
        self.settings.escalation.as_ref()?.0.get(resource.option()).copied()
    }

    /// Checks the limits for raising resources, and notes the problems.
    pub(super) fn judge_escalation(&self, bad: &mut Problems) {
        let known = Resource::ALL.map(Resource::option);
        for (name, said) in self.settings.escalation.iter().flat_map(|Json(all)| all) {
            if !known.contains(&name.as_str()) {
                let known = known.join(" or ");
                bad.at("escalation", format!("`{name}` can't be raised: want {known}"));
            }
            if let Some(problem) = said.problem() {
                bad.at("escalation", format!("`{name}`: {problem}"));
            }
        }
    }
}

impl<R: Restart> Inputs for RestartInputs<R> {
    type Draft = RestartInputsDraft<R>;

    fn namespace() -> Namespace {
        let mut namespace = RestartSettings::namespace();
        let mut child = Draft::<R::Child>::port();
        child.help = "What the first iteration is given".to_owned();
        namespace.ports.insert(R::NAMESPACE.to_owned(), child);
        namespace
    }

    fn read_all(nodes: &Nodes, prefix: &str, bad: &mut Problems) -> Option<Self> {
        let child = Draft::read(nodes, &join(prefix, R::NAMESPACE), bad);
        let settings = RestartSettings::read_all(nodes, prefix, bad);
        Some(RestartInputs { child: child?, settings: settings? })
    }

    fn lend_all(&self, prefix: &str, lender: &mut Lender, nodes: &mut Nodes) {
        InputField::lend(&self.child, &join(prefix, R::NAMESPACE), lender, nodes);
        self.settings.lend_all(prefix, lender, nodes);
    }

    fn judge_all(nodes: &Nodes, prefix: &str, bad: &mut Problems) {
        Draft::<R::Child>::judge(nodes, &join(prefix, R::NAMESPACE), bad);
    }
}

/// The draft of a restart workchain's inputs: those of its child, and by dereferencing its settings.
pub struct RestartInputsDraft<R> {
    settings: RestartSettingsDraft,
    restart: PhantomData<fn() -> R>,
}

impl<R: Restart> RestartInputsDraft<R> {
    /// Gives the child's inputs, and how it is to run.
    pub fn child(&mut self, child: Draft<R::Child>) -> &mut Self {
        <Draft<R::Child> as Fill<Draft<R::Child>>>::fill(child, R::NAMESPACE, self.settings.ports_mut());
        self
    }
}

impl<R> Deref for RestartInputsDraft<R> {
    type Target = RestartSettingsDraft;

    fn deref(&self) -> &RestartSettingsDraft {
        &self.settings
    }
}

impl<R> DerefMut for RestartInputsDraft<R> {
    fn deref_mut(&mut self) -> &mut RestartSettingsDraft {
        &mut self.settings
    }
}

impl<R> Default for RestartInputsDraft<R> {
    fn default() -> Self {
        RestartInputsDraft { settings: RestartSettingsDraft::default(), restart: PhantomData }
    }
}

impl<R> Clone for RestartInputsDraft<R> {
    fn clone(&self) -> Self {
        RestartInputsDraft { settings: self.settings.clone(), restart: PhantomData }
    }
}

impl<R> fmt::Debug for RestartInputsDraft<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RestartInputsDraft").field(&self.settings).finish()
    }
}

impl<R> InputsDraft for RestartInputsDraft<R> {
    fn over(ports: Ports) -> Self {
        RestartInputsDraft { settings: RestartSettingsDraft::over(ports), restart: PhantomData }
    }

    fn ports(&self) -> &Ports {
        self.settings.ports()
    }

    fn ports_mut(&mut self) -> &mut Ports {
        self.settings.ports_mut()
    }

    fn into_ports(self) -> Ports {
        self.settings.into_ports()
    }
}
