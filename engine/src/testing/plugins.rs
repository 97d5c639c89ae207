//! Plugins in plain code, without files and hosts: a calcfunction `sim.add`, a calcjob `sim.job`, and the workflow
//! `script.run`.

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ferry_plugin_proto::{
    Exit, Inputs, JobDescription, JobFile, JobReport, Judged, Kind, Manifest, Namespace, NewNode, Outcome,
    PROTO, Port, ProcessType, Retrieve, Source, StepReply, StepRequest, Task, Validate, Validated, Value,
    Work, WorkReply,
};

use super::{fate::Fate, rng::Rng, script};
use crate::{
    plugin::{Digest, Error, ErrorKind, Plugins, Result},
    store::PluginRow,
};

/// Exit code of `sim.job` when its payload's status is not 0.
const PAYLOAD_FAILED: u32 = 310;

/// A service that answers for the scripted process types.
pub struct ScriptedPlugins {
    fate: Option<Arc<Fate>>,
    rng: Mutex<Rng>,
}

impl fmt::Debug for ScriptedPlugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedPlugins").finish_non_exhaustive()
    }
}

impl Default for ScriptedPlugins {
    fn default() -> Self {
        ScriptedPlugins { fate: None, rng: Mutex::new(Rng::new(0)) }
    }
}

impl ScriptedPlugins {
    /// Makes plugins with delays, whose hosts die as planned in `fate`.
    pub(super) fn under(fate: Arc<Fate>, seed: u64) -> ScriptedPlugins {
        ScriptedPlugins { fate: Some(fate), rng: Mutex::new(Rng::new(seed)) }
    }

    /// Returns the plugin row that offers their types.
    pub fn row() -> PluginRow {
        PluginRow {
            digest: Digest::of(b"scripted").to_string(),
            name: "sim".into(),
            version: "1".into(),
            origin: "scripted".into(),
            bundled: false,
            active: true,
            manifest: Arc::new(manifest()),
            facts: serde_json::Value::Null,
            installed: crate::clock::now(),
        }
    }

    async fn called(&self) -> Result<()> {
        let Some(fate) = &self.fate else { return Ok(()) };
        let millis = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            // Mostly quick, so that both paths of a calcfunction are covered.
            if rng.chance(80) { rng.between(0, 40) } else { rng.between(100, 5000) }
        };
        tokio::time::sleep(Duration::from_millis(millis)).await;
        if fate.call() {
            fate.note(format_args!("a plugin host dies"));
            return Err(Error::new(ErrorKind::Crashed, "plugin").message("the plugin host died, as planned"));
        }
        Ok(())
    }
}

#[async_trait]
impl Plugins for ScriptedPlugins {
    async fn validate(&self, _: &Digest, _: &Validate, _: Duration) -> Result<Validated> {
        Ok(Validated::default())
    }

    async fn work(&self, _: &Digest, request: &Work, _: Duration) -> Result<WorkReply> {
        self.called().await?;
        Ok(match &request.task {
            Task::Call { .. } => WorkReply::Outcome(add(&request.inputs)),
            Task::Prepare { .. } => WorkReply::Job(prepare(&request.inputs)),
            Task::Parse { retrieved, job, .. } => WorkReply::Outcome(parse(Path::new(retrieved), job)),
            Task::Want {} => WorkReply::Wanted(Vec::new()),
            Task::Watch { .. } => WorkReply::Judged(Judged::default()),
        })
    }

    async fn step(&self, _: &Digest, request: &StepRequest, _: Duration) -> Result<StepReply> {
        self.called().await?;
        Ok(script::step(request))
    }

    fn running(&self) -> Vec<(Digest, u32)> {
        Vec::new()
    }

    async fn shutdown(&self) {}
}

fn number(inputs: &Inputs, port: &str) -> i64 {
    inputs.get(port).and_then(|node| node.value.as_int()).unwrap_or_default()
}

fn sum(value: i64) -> BTreeMap<String, NewNode> {
    let node = NewNode { data_type: "int".into(), value: Value::Int(value), files: Vec::new() };
    BTreeMap::from([("sum".to_owned(), node)])
}

fn add(inputs: &Inputs) -> Outcome {
    Outcome { outputs: sum(number(inputs, "x") + number(inputs, "y")), ..Outcome::default() }
}

fn prepare(inputs: &Inputs) -> JobDescription {
    let words = JOB_PORTS.iter().map(|port| format!("{port}={}", number(inputs, port)));
    let text = words.collect::<Vec<_>>().join(" ");
    let file =
        JobFile { target: "payload".into(), source: Source::Inline(text.into_bytes()), executable: false };
    JobDescription {
        files: vec![file],
        retrieve: vec![Retrieve { pattern: "result".into(), depth: None, target: String::new() }],
        ..JobDescription::default()
    }
}

fn parse(retrieved: &Path, job: &JobReport) -> Outcome {
    let text = std::fs::read_to_string(retrieved.join("result")).unwrap_or_default();
    let value = text.trim().parse::<i64>().ok();
    let exit = job.exit_status.filter(|status| *status != 0).map(|status| Exit {
        status: PAYLOAD_FAILED,
        label: "ERROR_PAYLOAD".into(),
        message: format!("the payload ended with {status}"),
    });
    Outcome { outputs: value.map(|value| sum(value + 1)).unwrap_or_default(), exit, ..Outcome::default() }
}

/// Inputs of `sim.job`, all numbers with the default 0.
const JOB_PORTS: [&str; 6] = ["seconds", "exit", "value", "refuse", "rerunnable", "ends"];

fn manifest() -> Manifest {
    let int = |default: Option<i64>| Port {
        types: vec!["int".into()],
        required: default.is_none(),
        default: default.map(Value::Int),
        ..Port::default()
    };
    let ports = |ports: Vec<(&str, Port)>| Namespace {
        ports: ports.into_iter().map(|(name, port)| (name.to_owned(), port)).collect(),
        dynamic: None,
    };
    let sum = || ports(vec![("sum", Port { required: false, ..int(Some(0)) })]);
    let process_type = |name: &str, kind, inputs, outputs| ProcessType {
        name: name.into(),
        kind,
        doc: String::new(),
        inputs,
        outputs,
        exit_codes: Vec::new(),
        aliases: Vec::new(),
        cache_version: 0,
        options: BTreeMap::new(),
    };
    let list = Port { types: vec!["list".into()], required: true, ..Port::default() };
    let results = Port {
        namespace: Some(Namespace { ports: BTreeMap::new(), dynamic: Some(Vec::new()) }),
        ..Port::default()
    };
    let job = JOB_PORTS.iter().map(|name| (*name, int(Some(0)))).collect();
    Manifest {
        proto: PROTO,
        plugin: "sim".into(),
        version: "1".into(),
        description: "process types of simulations".into(),
        data_types: Vec::new(),
        monitors: Vec::new(),
        types: vec![
            process_type(
                "script.run",
                Kind::WorkChain,
                ports(vec![("script", list)]),
                ports(vec![("results", results)]),
            ),
            process_type(
                "sim.add",
                Kind::CalcFunction,
                ports(vec![("x", int(None)), ("y", int(None))]),
                sum(),
            ),
            process_type("sim.job", Kind::CalcJob, ports(job), sum()),
        ],
        interfaces: Vec::new(),
    }
}
