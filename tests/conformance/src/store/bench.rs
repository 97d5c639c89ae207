//! The bench that cases work with: a store, and short names for changes.

use std::sync::Arc;

use ferry_engine_core::{
    process::State,
    scheduler::{Bounds, Demand},
};
use ferry_engine_store::{
    Caller, Change, Content, Error, ErrorKind, FileContent, Level, LinkType, NewData, NewProcess, NodeId,
    Process, Reader, Store,
};
use ferry_plugin_proto::{Kind, Value};
use libtest_mimic::{Completion, Failed};
use uuid::Uuid;

use super::Reopen;

/// The result of a case.
pub type Outcome<T = ()> = Result<T, Failed>;

/// A case that ran to its end, or was ignored.
pub(super) trait Done {
    fn done(self) -> Completion;
}

impl Done for () {
    fn done(self) -> Completion {
        Completion::Completed
    }
}

impl Done for Completion {
    fn done(self) -> Completion {
        self
    }
}

/// A store, for the suite's cases and for a third party's own.
#[expect(missing_debug_implementations, reason = "a way to open a store has nothing to show")]
pub struct Bench {
    /// The owner's.
    pub store: Arc<dyn Store>,
    /// Another program's view of it.
    pub reader: Reader,
    /// Opens it as its next owner does.
    pub reopen: Option<Reopen>,
}

impl Bench {
    /// Adds a process of a calcjob. Returns its number and uuid.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn process(&self) -> Outcome<(NodeId, Uuid)> {
        let uuid = Uuid::now_v7();
        Ok((self.one(process(uuid)).await?, uuid))
    }

    /// Adds a data node. Returns its number and uuid.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn data(&self) -> Outcome<(NodeId, Uuid)> {
        let uuid = Uuid::now_v7();
        Ok((self.one(data(uuid)).await?, uuid))
    }

    /// Adds a process of this kind with inputs, by source and label. Returns its number and uuid.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn started(&self, kind: Kind, inputs: &[(Uuid, &str)]) -> Outcome<(NodeId, Uuid)> {
        let uuid = Uuid::now_v7();
        Ok((self.first(with_inputs(uuid, kind, inputs)).await?, uuid))
    }

    /// Adds data that a calculation makes under this label. Returns its number and uuid.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn made_by(&self, process: Uuid, label: &str) -> Outcome<(NodeId, Uuid)> {
        let uuid = Uuid::now_v7();
        Ok((self.first(vec![data(uuid), link(process, uuid, LinkType::Create, label)]).await?, uuid))
    }

    /// Adds a process that a workflow calls. Returns its number and uuid.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn called_by(&self, caller: (NodeId, Uuid), kind: Kind, call: &str) -> Outcome<(NodeId, Uuid)> {
        let uuid = Uuid::now_v7();
        let how = if is_workflow(kind) { LinkType::CallWork } else { LinkType::CallCalc };
        let changes = vec![called(uuid, kind, Some((caller.0, call))), link(caller.1, uuid, how, call)];
        Ok((self.first(changes).await?, uuid))
    }

    /// Commits changes that make nodes; the number of the first.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn first(&self, changes: Vec<Change>) -> Outcome<NodeId> {
        let made = self.store.commit(changes).await?;
        made.first().copied().ok_or_else(|| "no number for the new node".into())
    }

    /// Commits a change that makes one node.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn one(&self, change: Change) -> Outcome<NodeId> {
        self.first(vec![change]).await
    }

    /// Commits changes that make no node.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn commit(&self, changes: impl IntoIterator<Item = Change>) -> Outcome {
        let made = self.store.commit(changes.into_iter().collect()).await?;
        if made.is_empty() { Ok(()) } else { Err("numbers, though no node was made".into()) }
    }

    /// Brings a process through states, one commit each.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub async fn bring(&self, process: NodeId, states: &[State]) -> Outcome<Process> {
        for state in states {
            let mut row = self.store.process(process)?;
            row.state = *state;
            row.end.status = (*state == State::Finished).then_some(0);
            self.commit([update(row)]).await?;
        }
        Ok(self.store.process(process)?)
    }

    /// Commits what must be refused with this kind.
    ///
    /// # Errors
    /// Fails if the submission was accepted, or refused for another reason.
    pub async fn refused(
        &self,
        changes: impl IntoIterator<Item = Change>,
        kind: ErrorKind,
    ) -> Outcome<Error> {
        match self.store.commit(changes.into_iter().collect()).await {
            Ok(_) => Err(format!("it was taken, not refused as `{kind}`").into()),
            Err(error) if *error.kind() == kind => Ok(error),
            Err(error) => Err(format!("refused with {error:?}, not as `{kind}`").into()),
        }
    }
}

/// Returns the change that adds a data node, the integer 1.
pub(super) fn data(uuid: Uuid) -> Change {
    Change::Data(NewData {
        uuid,
        data_type: "int".into(),
        label: String::new(),
        description: String::new(),
        body: Value::Int(1),
        files: Vec::new(),
        computer: None,
    })
}

/// Returns the change that adds a data node with one file.
pub(super) fn file(content: Content) -> Change {
    Change::Data(NewData {
        uuid: Uuid::now_v7(),
        data_type: "file".into(),
        label: String::new(),
        description: String::new(),
        body: Value::Map([("filename".to_owned(), Value::from("a"))].into()),
        files: vec![FileContent { path: "a".into(), content, executable: false }],
        computer: None,
    })
}

/// Returns the change that adds a process without a caller.
pub(super) fn process(uuid: Uuid) -> Change {
    called(uuid, Kind::CalcJob, None)
}

/// Returns the change that adds a process, of a kind and a caller.
pub(super) fn called(uuid: Uuid, kind: Kind, caller: Option<(NodeId, &str)>) -> Change {
    Change::Process(NewProcess {
        uuid,
        process_type: "test.type".into(),
        kind,
        label: String::new(),
        description: String::new(),
        plugin: "digest".into(),
        computer: None,
        body: Value::Map([].into()),
        caller: caller.map(|(process, call)| Caller { process, call: call.into() }),
    })
}

pub(super) fn link(source: Uuid, target: Uuid, link_type: LinkType, label: &str) -> Change {
    Change::Link { source, target, link_type, label: label.into() }
}

fn is_workflow(kind: Kind) -> bool {
    matches!(kind, Kind::WorkChain | Kind::WorkFunction)
}

/// Returns the changes that add a process with its inputs, by source and label.
pub(super) fn with_inputs(uuid: Uuid, kind: Kind, inputs: &[(Uuid, &str)]) -> Vec<Change> {
    let how = if is_workflow(kind) { LinkType::InputWork } else { LinkType::InputCalc };
    let inputs = inputs.iter().map(|(source, label)| link(*source, uuid, how, label));
    std::iter::once(called(uuid, kind, None)).chain(inputs).collect()
}

pub(super) fn update(row: Process) -> Change {
    Change::Update(Box::new(row))
}

pub(super) fn log(process: NodeId, message: &str) -> Change {
    Change::Log { process, level: Level::Report, message: message.into() }
}

pub(super) fn ticket(process: NodeId, token: &str, queued: Option<u32>, active: Option<u32>) -> Change {
    ticket_of("there", process, token, Some(Bounds { active, queued }))
}

pub(super) fn ticket_of(computer: &str, process: NodeId, token: &str, bounds: Option<Bounds>) -> Change {
    let demand = Demand::default();
    Change::TakeTicket { process, computer: computer.into(), token: token.into(), bounds, demand }
}
