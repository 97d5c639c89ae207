//! The journal of a workfunction, as the engine keeps it: frames of a length (4 bytes, little end first) and
//! MessagePack. The first one is the header; each further one is a turn. A turn is added at the end, so that the
//! turns before it are neither read nor written again.

use std::fmt;

use ferry_plugin_proto::{Ended, Value, decode, encode};
use serde::{Deserialize, Serialize};

/// The version that this crate writes.
const VERSION: u32 = 1;

/// Largest size of an end that is kept with the values of its outputs, in bytes: the journal is written at each step.
const WHOLE: usize = 2048;

/// Bytes of a frame's length.
const LENGTH: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
}

/// One event, and what the code asked for in answer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// When it happened, microseconds since 1970.
    pub(crate) time: i64,
    pub(crate) event: Event,
    pub(crate) asked: Vec<Print>,
}

/// The event that starts a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The process begins.
    Start,
    /// A process that it called has ended.
    Ended {
        /// The operation.
        op: u64,
        /// The result of the process.
        ended: Box<Ended>,
        /// The values of its outputs are left out.
        #[serde(default)]
        slim: bool,
    },
    /// A sleep is over.
    Slept {
        /// The operation.
        op: u64,
    },
}

impl Event {
    /// Returns the event as it is stored: without the values of large outputs. A replay asks the engine for
    /// them again.
    fn slim(&self) -> Event {
        let Event::Ended { op, ended, slim: false } = self else { return self.clone() };
        if encode(ended).len() <= WHOLE {
            return self.clone();
        }
        let mut ended = ended.clone();
        ended.outputs.values_mut().for_each(|node| node.value = Value::Null);
        Event::Ended { op: *op, ended, slim: true }
    }
}

/// The fingerprint of something that the code asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Print {
    /// In words: `call math.add`, `sleep`, `kill`, `cancel sleep`.
    pub(crate) what: String,
    /// The operation.
    pub(crate) op: u64,
    /// [`fixed_hash`] of what it was asked with.
    pub(crate) hash: u64,
}

impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.what)
    }
}

/// A journal as it is stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Journal(Vec<u8>);

impl Journal {
    /// Makes a journal from its stored bytes; empty ones mean the beginning.
    pub(crate) fn stored(bytes: Vec<u8>) -> Self {
        Journal(bytes)
    }

    /// Returns the bytes to store.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Returns a hash of the journal, whatever wrote it.
    pub(crate) fn mark(&self) -> u64 {
        fixed_hash(&self.0)
    }

    /// Adds a turn.
    pub(crate) fn add(&mut self, turn: &Turn) {
        if self.0.is_empty() {
            self.frame(&Header { version: VERSION });
        }
        self.frame(&Turn { event: turn.event.slim(), ..turn.clone() });
    }

    fn frame(&mut self, message: &impl Serialize) {
        let bytes = encode(message);
        // A message of 4 GiB fits into no reply: the frame's length is never cut.
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(&bytes);
    }

    /// Returns the turns so far.
    ///
    /// # Errors
    /// Fails if it is of a newer version, or damaged.
    pub(crate) fn turns(&self) -> Result<Vec<Turn>, String> {
        let mut frames = Frames(&self.0);
        let Some(header) = frames.next() else { return Ok(Vec::new()) };
        let Header { version } = header.and_then(decode).map_err(damaged)?;
        if version > VERSION {
            return Err(format!(
                "the journal was written by a newer version of the plugin's SDK (version {version})"
            ));
        }
        frames.map(|frame| frame.and_then(decode).map_err(damaged)).collect()
    }
}

fn damaged(error: String) -> String {
    format!("the journal can't be read: {error}")
}

struct Frames<'a>(&'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = self
            .0
            .split_first_chunk::<LENGTH>()
            .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
        let Some((frame, rest)) = frame else {
            self.0 = &[];
            return Some(Err("it ends in the middle of a turn".to_owned()));
        };
        self.0 = rest;
        Some(Ok(frame))
    }
}

/// Returns the FNV-1a hash of 64 bits. It is the same in every version of Rust and of this crate, since
/// journals store it.
pub(crate) fn fixed_hash(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_plugin_proto::Node;

    fn turns() -> Vec<Turn> {
        let node = Node {
            uuid: "n".into(),
            data_type: "float".into(),
            value: Value::Float(0.1),
            files: Default::default(),
        };
        let ended = Ended {
            uuid: "c".into(),
            state: "finished".into(),
            exit_status: Some(0),
            outputs: [("result".to_owned(), node)].into(),
            ..Ended::default()
        };
        let call = Print { what: "call math.add".into(), op: 0, hash: fixed_hash(b"inputs") };
        let sleep = Print { what: "sleep".into(), op: 1, hash: u64::MAX };
        vec![
            Turn { time: 5, event: Event::Start, asked: vec![call, sleep] },
            Turn {
                time: 6,
                event: Event::Ended { op: 0, ended: Box::new(ended), slim: false },
                asked: vec![],
            },
            Turn { time: 7, event: Event::Slept { op: 1 }, asked: vec![] },
        ]
    }

    fn written() -> Journal {
        let mut journal = Journal::default();
        turns().iter().for_each(|turn| journal.add(turn));
        journal
    }

    #[test]
    fn what_version_1_wrote_is_read_and_still_written() {
        let golden = include_bytes!("journal_v1.bin");
        assert_eq!(Journal::stored(golden.to_vec()).turns().unwrap(), turns());
        assert_eq!(written().into_bytes(), golden, "the stored format changed");
    }

    #[test]
    fn large_values_are_left_out() {
        let Event::Ended { op, mut ended, .. } = turns()[1].event.clone() else { panic!() };
        ended.outputs.get_mut("result").unwrap().value = Value::Str("long".repeat(1000));
        let mut journal = Journal::default();
        journal.add(&Turn { event: Event::Ended { op, ended, slim: false }, ..turns()[1].clone() });
        let Event::Ended { ended, slim, .. } = &journal.turns().unwrap()[0].event else { panic!() };
        assert_eq!((slim, &ended.outputs["result"].value), (&true, &Value::Null));
        assert_eq!((&*ended.outputs["result"].uuid, &*ended.uuid), ("n", "c"));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fixed_hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fixed_hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn damage_and_newer_versions_are_told() {
        let bytes = written().into_bytes();
        let cut = Journal::stored(bytes[..bytes.len() - 1].to_vec());
        assert!(cut.turns().unwrap_err().contains("ends in the middle of a turn"));
        let mut newer = Journal::default();
        newer.frame(&Header { version: 2 });
        assert!(newer.turns().unwrap_err().contains("newer version"));
        assert_eq!(Journal::default().turns().unwrap(), vec![]);
    }
}
