//! Layout of calculations' directories below a common one, and links from processes to what the engine makes
//! there.

use std::path::{Path, PathBuf};

use ferry_plugin_proto::Value;
use uuid::Uuid;

use crate::{
    ids,
    store::{Change, LinkType, NewData, Process},
};

/// Returns `<base>/ab/cd/<rest of the uuid>`, AiiDA's layout: it keeps directories small.
pub(crate) fn spread(base: &Path, uuid: &Uuid) -> PathBuf {
    // The end of a v7 uuid is random; its head is the time, which would fill one directory.
    let uuid = uuid.simple().to_string();
    let (head, tail) = uuid.split_at(uuid.len() - 4);
    base.join(&tail[..2]).join(&tail[2..]).join(head)
}

/// Returns whether a process's work directory is named after it. Only such a directory may be removed with the
/// process.
pub fn is_its_own(process: &Process) -> bool {
    let dir = process.work_dir().map(Path::new);
    dir.is_some_and(|dir| dir.is_absolute() && dir.ends_with(spread(Path::new(""), &process.uuid)))
}

/// Returns a node on a computer, and its link from the process that made it.
pub(crate) fn made(
    process: Uuid,
    label: &str,
    data_type: &str,
    body: Vec<(&str, Value)>,
    computer: &str,
) -> [Change; 2] {
    let uuid = ids::fresh();
    let body = body.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let data = NewData {
        uuid,
        data_type: data_type.into(),
        label: String::new(),
        description: String::new(),
        body: Value::Map(body),
        files: Vec::new(),
        computer: Some(computer.to_owned()),
    };
    let link =
        Change::Link { source: process, target: uuid, link_type: LinkType::Create, label: label.into() };
    [Change::Data(data), link]
}
