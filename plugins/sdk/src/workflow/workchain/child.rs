//! Handles of children. A handle is saved in the context as the child's call alone; how the child ended is kept
//! beside the context, once, as long as the context holds a handle of it.
//!
//! Serde gives a handle no way to ask anybody, so the step that reads or writes the context puts what its handles
//! need on this thread's [`Desk`].

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
    sync::Arc,
};

use ferry_plugin_proto::{self as proto, Ended, Value, encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    error::{Error, Result},
    ports::{input::PortType, node::RemoteFolder, node_ref::Node},
    process::process_type::Process,
    workflow::expose::Exposed,
};

/// Largest size, in bytes, of an end that is kept with the values of its outputs. Those of larger ones are
/// requested again on reading, so that the saved state of a workchain with many children stays small.
const WHOLE: usize = 2048;

/// A process that a workchain called; made by [`StepCx::submit`](super::StepCx::submit). Keep it in the workchain's
/// struct: in the next step it has ended. The default is a handle of nothing, until one is submitted.
pub struct Child<P> {
    call: String,
    end: Option<End>,
    process: PhantomData<fn() -> P>,
}

/// The stored end of a child. Handles share it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End(Arc<Kept>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    ended: Ended,
    /// True if the values of the outputs are there.
    whole: bool,
}

impl<P> Child<P> {
    pub(super) fn new(call: String) -> Self {
        Child { call, end: None, process: PhantomData }
    }

    /// Returns its name among the calls of this workchain: the number of the step and of the call in it.
    pub fn call(&self) -> &str {
        &self.call
    }

    /// Returns whether the child has ended: not yet in the step that submitted it, and always in the next
    /// ones.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Returns its uuid, once it has ended.
    pub fn uuid(&self) -> Option<&str> {
        Some(&self.ended()?.uuid)
    }

    /// Returns whether it finished with success.
    pub fn is_ok(&self) -> bool {
        self.ended().is_some_and(Ended::is_ok)
    }

    /// Returns whether it finished with an exit code other than 0.
    pub fn has_failed(&self) -> bool {
        self.exit_status().is_some_and(|status| status != 0)
    }

    /// Returns whether it ended by an error that is none of its exit codes.
    pub fn is_excepted(&self) -> bool {
        self.ended().is_some_and(|ended| ended.state == "excepted")
    }

    /// Returns whether it was killed.
    pub fn is_killed(&self) -> bool {
        self.ended().is_some_and(|ended| ended.state == "killed")
    }

    /// Returns its exit status, if it finished: 0 is success.
    pub fn exit_status(&self) -> Option<u32> {
        self.ended()?.exit_status
    }

    /// Returns the message of its end; empty for a success, or if it has not ended.
    pub fn message(&self) -> &str {
        self.ended().map_or("", |ended| &ended.message)
    }

    fn ended(&self) -> Option<&Ended> {
        self.end.as_ref().map(|end| &end.0.ended)
    }

    /// Describes its end in words.
    pub fn in_words(&self) -> String {
        self.ended().map_or_else(|| "has not ended".to_owned(), Ended::in_words)
    }

    /// Returns one of its outputs, whether it succeeded or not; nested ports are dotted. Calcjobs have,
    /// beside their own, `remote_folder`, `retrieved` and, with the option `stash`, `remote_stash`.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub fn output<T: PortType>(&self, port: &str) -> Result<Option<Node<T>>> {
        Ok(self.end()?.outputs.get(port).cloned().map(Node::new))
    }

    /// Returns the work directory of a calcjob; `None` if it has none yet.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub fn remote_folder(&self) -> Result<Option<Node<RemoteFolder>>> {
        self.output("remote_folder")
    }

    /// Returns its end, with the values of its outputs.
    ///
    /// # Errors
    /// Fails if it has not ended. Fails also if the values have to be fetched first, after which the step is
    /// taken again.
    pub fn end(&self) -> Result<&Ended> {
        let end = self.end.as_ref();
        let end =
            end.ok_or_else(|| format!("child `{}` has not ended: look at it in the next step", self.call))?;
        if !end.0.whole {
            DESK.with_borrow_mut(|desk| desk.wanted.insert(self.call.clone()));
            Err(format!("the outputs of child `{}` are not here yet", self.call))?;
        }
        Ok(&end.0.ended)
    }
}

impl<P: Process> Child<P> {
    /// Returns its outputs.
    ///
    /// # Errors
    /// Fails if it did not succeed, with the reason in words; otherwise as for [`end`](Self::end).
    pub fn outputs(&self) -> Result<P::Nodes> {
        P::nodes(self.end()?)
    }

    /// Returns its outputs if it succeeded, otherwise this error: mostly an exit code of the workchain.
    ///
    /// # Errors
    /// Returns `error`, or fails as for [`outputs`](Self::outputs).
    pub fn outputs_or(&self, error: impl Into<Error>) -> Result<P::Nodes> {
        if self.has_ended() && !self.is_ok() { Err(error.into()) } else { self.outputs() }
    }

    /// Returns all its outputs, to be passed on as they are.
    ///
    /// # Errors
    /// Fails if it has not ended.
    pub fn exposed(&self) -> Result<Exposed<P>> {
        let ended = self.ended().ok_or_else(|| format!("child `{}` has not ended", self.call))?;
        Ok(Exposed::of(&ended.outputs))
    }
}

impl<P> Default for Child<P> {
    fn default() -> Self {
        Child::new(String::new())
    }
}

impl<P> Clone for Child<P> {
    fn clone(&self) -> Self {
        Child { call: self.call.clone(), end: self.end.clone(), process: PhantomData }
    }
}

impl<P> fmt::Debug for Child<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.ended();
        f.debug_struct("Child").field("call", &self.call).field("ended", &ended).finish_non_exhaustive()
    }
}

impl<P> Serialize for Child<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.call.is_empty() {
            DESK.with_borrow_mut(|desk| desk.kept.insert(self.call.clone()));
        }
        self.call.serialize(serializer)
    }
}

impl<'de, P> Deserialize<'de> for Child<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let call = String::deserialize(deserializer)?;
        let end = DESK.with_borrow(|desk| desk.ends.get(&call).cloned());
        Ok(Child { call, end, process: PhantomData })
    }
}

/// The ends that the handles of this thread's step need, and their requests.
#[derive(Debug, Default)]
struct Desk {
    /// The ends that are known.
    ends: Ends,
    /// Handles that were written.
    kept: BTreeSet<String>,
    /// Ends that have to be fetched.
    wanted: BTreeSet<String>,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

/// Ends by call.
pub(super) type Ends = BTreeMap<String, End>;

/// Returns the ends that were delivered, whole.
pub(super) fn delivered(children: &BTreeMap<String, Ended>) -> impl Iterator<Item = (String, End)> {
    let end = |ended: &Ended| End(Arc::new(Kept { ended: ended.clone(), whole: true }));
    children.iter().map(move |(call, ended)| (call.clone(), end(ended)))
}

/// Reads a context whose handles know these ends.
pub(super) fn reading<T>(ends: &Ends, read: impl FnOnce() -> T) -> T {
    DESK.set(Desk { ends: ends.clone(), ..Desk::default() });
    read()
}

/// Returns the calls whose ends were requested since the context was read.
pub(super) fn wanted() -> BTreeSet<String> {
    DESK.with_borrow_mut(|desk| std::mem::take(&mut desk.wanted))
}

/// Writes a context, and gives the calls whose handles it holds.
pub(super) fn writing<T>(write: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
    DESK.set(Desk::default());
    let written = write();
    (written, DESK.take().kept)
}

impl End {
    /// Returns the end as it is saved: without the values of its outputs if they are large.
    pub(super) fn slim(&self) -> End {
        let Kept { ended, whole } = &*self.0;
        if !whole || encode(ended).len() <= WHOLE {
            return self.clone();
        }
        let bare = |(label, node): (&String, &proto::Node)| {
            (label.clone(), proto::Node { value: Value::Null, ..node.clone() })
        };
        let outputs = ended.outputs.iter().map(bare).collect();
        End(Arc::new(Kept { ended: Ended { outputs, ..ended.clone() }, whole: false }))
    }
}

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Kept::deserialize(deserializer).map(|kept| End(Arc::new(kept)))
    }
}
