//! Lending nodes to a plugin: their values, and paths at which their files can be read for one call.
//!
//! Large objects are lent where they lie, or as hard links to it (read-only files of the repository); small
//! ones are written out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use ferry_plugin_proto::{Inputs, Node as PluginNode};

use crate::process::is_monitor;
use crate::store::{Content, Error, FileContent, LinkType, NodeId, Reader, Result};

/// Whether a relative path stays inside its directory: plain names only, at least one.
pub fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && !path.contains('\0') && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// All inputs of a process, their small files written below `dir`.
///
/// # Errors
/// The store's and the disk's.
pub fn inputs(reader: &Reader, process: NodeId, dir: &Path) -> Result<Inputs> {
    let mut inputs = Inputs::new();
    for link in reader.incoming(process)? {
        if !matches!(link.link_type, LinkType::InputCalc | LinkType::InputWork) {
            continue;
        }
        let node = reader.node(link.source)?;
        let files = node_files(reader, node.id, &dir.join(node.uuid.to_string()))?;
        let lent =
            PluginNode { uuid: node.uuid.to_string(), data_type: node.node_type, value: node.body, files };
        inputs.insert(link.label, lent);
    }
    Ok(inputs)
}

/// The same for a calcjob: its plugin does not see who looks at its job.
///
/// # Errors
/// As [`inputs`].
pub fn job_inputs(reader: &Reader, process: NodeId, dir: &Path) -> Result<Inputs> {
    let mut inputs = inputs(reader, process, dir)?;
    inputs.retain(|name, _| !is_monitor(name));
    Ok(inputs)
}

/// The files of a stored node: path inside it -> readable path.
///
/// # Errors
/// The store's and the disk's.
pub fn node_files(reader: &Reader, node: NodeId, dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for file in reader.files(node)? {
        let content = reader.object(&file.digest)?;
        files.insert(file.path.clone(), lend(reader, &content, &file.path, dir)?);
    }
    Ok(files)
}

/// The same for a node that is not stored yet.
///
/// # Errors
/// The disk's.
pub fn new_files(reader: &Reader, files: &[FileContent], dir: &Path) -> Result<BTreeMap<String, String>> {
    files.iter().map(|file| Ok((file.path.clone(), lend(reader, &file.content, &file.path, dir)?))).collect()
}

fn lend(reader: &Reader, content: &Content, path: &str, dir: &Path) -> Result<String> {
    let place = match content {
        Content::Object { digest, .. } => reader.object_file(digest)?,
        Content::Inline(bytes) => {
            let place = dir.join(path);
            write(&place, bytes)?;
            place
        }
    };
    Ok(place.to_string_lossy().into_owned())
}

/// Lays a folder node out as a directory of plain files: small ones as copies, large ones as hard links into
/// the repository, which is on the same file system.
///
/// # Errors
/// The store's and the disk's.
pub fn folder(reader: &Reader, node: NodeId, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| Error::from_io("lend folder", dir, error))?;
    for file in reader.files(node)? {
        let place = dir.join(&file.path);
        match reader.object(&file.digest)? {
            Content::Inline(bytes) => write(&place, &bytes)?,
            Content::Object { digest, .. } => {
                make_parent(&place)?;
                let object = reader.object_file(&digest)?;
                fs::hard_link(&object, &place)
                    .or_else(|_| fs::copy(&object, &place).map(drop))
                    .map_err(|error| Error::from_io("lend folder", &place, error))?;
            }
        }
    }
    Ok(())
}

fn write(place: &Path, bytes: &[u8]) -> Result<()> {
    make_parent(place)?;
    fs::write(place, bytes).map_err(|error| Error::from_io("lend file", place, error))
}

fn make_parent(place: &Path) -> Result<()> {
    let parent = place.parent().map(PathBuf::from).unwrap_or_default();
    fs::create_dir_all(&parent).map_err(|error| Error::from_io("lend file", &parent, error))
}

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn names_that_leave_their_directory_are_seen() {
        for good in ["a", "a/b", ".hidden", "a/.b", "-x"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "/a", "..", "a/../b", "./a", "a/..", "a\0b"] {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
