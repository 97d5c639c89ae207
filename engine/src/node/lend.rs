//! Lending nodes to a plugin: their values, and paths where their files can be read during one call.
//!
//! Large objects are lent in place, or as hard links (read-only files of the repository); small ones are written
//! out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use ferry_plugin_proto::{Inputs, Node as PluginNode};

use crate::store::{Content, Error, FileContent, LinkType, NodeId, Reader, Result};

/// Returns whether a relative path stays inside its directory: plain names only, at least one.
pub fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && !path.contains('\0') && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Returns a path below a directory that a plugin has filled, if no part of it is a link.
///
/// # Errors
/// A path that leaves the directory, does not exist, or has a link in it.
pub fn no_links(root: &Path, path: &str) -> Result<PathBuf, String> {
    if !is_inside(path) {
        return Err(format!("`{path}` leaves its folder"));
    }
    let mut place = root.to_owned();
    for part in Path::new(path).components() {
        place.push(part);
        let found = fs::symlink_metadata(&place)
            .map_err(|error| format!("the plugin names the file `{path}`, which can't be read: {error}"))?;
        if found.is_symlink() {
            return Err(format!("the plugin made a link at `{path}`; links are not followed"));
        }
    }
    Ok(place)
}

/// Returns all inputs of a process, with their small files written below `dir`.
///
/// # Errors
/// Returns the errors of the store and the disk.
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

/// Returns the files of a stored node: path inside it -> readable path.
///
/// # Errors
/// Returns the errors of the store and the disk.
pub fn node_files(reader: &Reader, node: NodeId, dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for file in reader.files(node)? {
        let content = reader.object(&file.digest)?;
        files.insert(file.path.clone(), lend(reader, &content, &file.path, dir)?);
    }
    Ok(files)
}

/// Returns the same for a node that is not stored yet.
///
/// # Errors
/// Returns the errors of the disk.
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

/// Writes a folder node as a directory of plain files: small ones as copies, large ones as hard links into the
/// repository, which is on the same file system.
///
/// # Errors
/// Returns the errors of the store and the disk.
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
