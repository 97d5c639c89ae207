//! The state that a workchain keeps between its steps: a stored format, with a version and a golden file.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Ended, decode, encode, try_encode};
use serde::{Deserialize, Serialize};

use super::{
    child::{self, Ends},
    program::{Program, Rounds},
};
use crate::workflow::workchain::WorkChain;

/// The version this crate writes.
const VERSION: u32 = 1;

/// The saved state of a workchain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// [`VERSION`] of the writer.
    version: u32,
    /// The outline's shape.
    shape: u64,
    /// Position at which the program goes on.
    pub(super) position: usize,
    /// Name of the step at that position, for people.
    name: String,
    /// Steps taken so far.
    pub(super) steps: u64,
    /// Rounds of the loops that it is in.
    pub(super) rounds: Rounds,
    /// The ends of the children that the context holds handles of.
    pub(super) ends: Ends,
    /// The author's struct.
    #[serde(with = "serde_bytes")]
    context: Vec<u8>,
}

impl Saved {
    /// Returns the saved state, or the beginning.
    ///
    /// # Errors
    /// Fails if the state can't be read, or is that of another outline.
    pub(super) fn read<W: WorkChain>(bytes: &[u8], program: &Program<W>) -> Result<Saved, String> {
        if bytes.is_empty() {
            return Saved::beginning(program);
        }
        let saved: Saved =
            decode(bytes).map_err(|error| format!("the saved state can't be read: {error}"))?;
        if saved.version > VERSION {
            return Err(format!(
                "its state was saved by a newer ferry-plugin (format {}; this plugin reads {VERSION}): use the newer plugin file",
                saved.version
            ));
        }
        if saved.shape != program.shape {
            return Err(format!(
                "its outline changed while it ran (it stood at position {}, `{}`, after {} steps): go back to the plugin file \
                 that it was launched with, or launch it anew",
                saved.position, saved.name, saved.steps
            ));
        }
        Ok(saved)
    }

    fn beginning<W: WorkChain>(program: &Program<W>) -> Result<Saved, String> {
        Ok(Saved {
            version: VERSION,
            shape: program.shape,
            position: 0,
            name: program.name_at(0),
            steps: 0,
            rounds: Rounds::new(),
            ends: Ends::new(),
            context: write(&W::default())?,
        })
    }

    /// Takes in how children ended.
    pub(super) fn deliver(&mut self, children: &BTreeMap<String, Ended>) {
        self.ends.extend(child::delivered(children));
    }

    /// Returns the author's struct. Its handles know how their children ended.
    ///
    /// # Errors
    /// Fails if the struct has changed so that it can't be read.
    pub(super) fn context<W: WorkChain>(&self) -> Result<W, String> {
        child::reading(&self.ends, || decode(&self.context)).map_err(|error| {
            format!("its saved context can't be read as `{}`: {error}", std::any::type_name::<W>())
        })
    }

    /// Returns the state after a step.
    ///
    /// # Errors
    /// Fails if the author's struct can't be written.
    pub(super) fn after<W: WorkChain>(mut self, chain: &W, program: &Program<W>) -> Result<Vec<u8>, String> {
        let (context, kept) = child::writing(|| write(chain));
        self.context = context?;
        self.ends.retain(|call, _| kept.contains(call));
        self.name = program.name_at(self.position);
        Ok(self.write())
    }

    /// Returns the state as it is, with what was delivered.
    pub(super) fn write(mut self) -> Vec<u8> {
        self.ends.values_mut().for_each(|end| *end = end.slim());
        encode(&self)
    }
}

fn write<W: WorkChain>(chain: &W) -> Result<Vec<u8>, String> {
    try_encode(chain)
        .map_err(|error| format!("its context `{}` can't be saved: {error}", std::any::type_name::<W>()))
}
