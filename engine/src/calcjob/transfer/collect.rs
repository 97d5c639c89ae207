//! The files that a retrieve list names. Directories are walked by their listings alone, with many requests in
//! flight: on a line of high latency, a question for each file would take longer than all of their bytes.

use std::{
    collections::BTreeMap,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::Retrieve;

use crate::{
    node::lend,
    step::{StepError, StepResult},
    transport::{
        self, ErrorKind, FileKind, Metadata, Transport,
        provided::{self, Found, Job, at_once},
    },
};

/// Requests in flight.
const AT_ONCE: usize = 128;

/// The most that one retrieval may bring home.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// The files that a list names.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Remote paths, by the name that each file gets in its node.
    pub(crate) files: BTreeMap<String, PathBuf>,
    /// Patterns that matched nothing.
    pub(crate) missing: Vec<String>,
    /// Warnings: names that are taken twice, or are kept in another form.
    pub(crate) warnings: Vec<String>,
    /// Their size in bytes, as the listings said.
    pub(crate) bytes: u64,
    count: u64,
}

/// Something that was found, and the name that it gets.
struct Place {
    far: PathBuf,
    name: PathBuf,
    metadata: Metadata,
    /// True if a link to a directory is followed: only where the list itself names it, since others may loop.
    is_named: bool,
}

/// Collects the files that a list names in a work directory.
///
/// # Errors
/// `Pause` beyond the bounds; those of the transport.
pub(crate) async fn collect(
    via: &dyn Transport,
    dir: &Path,
    list: &[Retrieve],
    bounds: Bounds,
) -> StepResult<Collected> {
    let mut collected = Collected::default();
    let searches = list.iter().map(|item| Box::pin(find(via, dir, &item.pattern)) as Job<'_, Vec<Found>>);
    for (item, found) in list.iter().zip(at_once(AT_ONCE, searches).await?) {
        if found.is_empty() {
            collected.missing.push(item.pattern.clone());
        }
        let place = |Found { path, metadata }| {
            let relative = path.strip_prefix(dir).unwrap_or(&path);
            let name = Path::new(&item.target).join(kept_name(relative, item.depth));
            Place { far: path, name, metadata, is_named: true }
        };
        collected.walk(via, dir, found.into_iter().map(place).collect(), bounds).await?;
    }
    Ok(collected)
}

/// Returns the paths in a directory that match a relative pattern.
///
/// # Errors
/// Those of the transport, but for a path that does not exist.
pub(crate) async fn matches(via: &dyn Transport, dir: &Path, pattern: &str) -> StepResult<Vec<PathBuf>> {
    Ok(find(via, dir, pattern).await?.into_iter().map(|found| found.path).collect())
}

async fn find(via: &dyn Transport, dir: &Path, pattern: &str) -> transport::Result<Vec<Found>> {
    let path = dir.join(pattern);
    if pattern.contains(['*', '?', '[']) {
        return provided::find(via, &path).await;
    }
    let found = target(via, &path).await?;
    Ok(found.map(|metadata| Found { path, metadata }).into_iter().collect())
}

/// Returns the metadata of a path, with links followed; `None` if it leads nowhere.
async fn target(via: &dyn Transport, path: &Path) -> transport::Result<Option<Metadata>> {
    match via.stat(path).await {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Collected {
    /// Adds the files at and below places, level by level.
    async fn walk(
        &mut self,
        via: &dyn Transport,
        dir: &Path,
        places: Vec<Place>,
        bounds: Bounds,
    ) -> StepResult {
        let mut level = places;
        let mut files = Vec::new();
        while !level.is_empty() {
            let mut dirs = Vec::new();
            for place in follow(via, level).await? {
                match place.metadata.kind {
                    FileKind::Dir => dirs.push(place),
                    FileKind::File => {
                        self.count(&place.metadata, bounds)?;
                        files.push(place);
                    }
                    FileKind::Symlink | FileKind::Other => {}
                }
            }
            level = list(via, dirs).await?;
            if self.count + level.len() as u64 > bounds.files.saturating_mul(2) {
                return Err(too_much(format!("more than {} files and directories", bounds.files)));
            }
        }
        files.sort_by(|a, b| (a.name.to_str().is_none(), &a.name).cmp(&(b.name.to_str().is_none(), &b.name)));
        files.into_iter().try_for_each(|place| self.add(dir, place))
    }

    fn count(&mut self, metadata: &Metadata, bounds: Bounds) -> StepResult {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(metadata.size);
        if self.count > bounds.files {
            return Err(too_much(format!("more than {} files", bounds.files)));
        }
        if self.bytes > bounds.bytes {
            return Err(too_much(format!("more than {} bytes", bounds.bytes)));
        }
        Ok(())
    }

    fn add(&mut self, dir: &Path, Place { far, name, .. }: Place) -> StepResult {
        let shown =
            |path: &Path| path.strip_prefix(dir).unwrap_or(path).to_string_lossy().escape_debug().to_string();
        let text = match name.to_str() {
            Some(text) => text.to_owned(),
            None => {
                let escaped = self.free_name(escape(&name));
                self.warnings
                    .push(format!("the file name `{}` is not UTF-8; it is kept as `{escaped}`", shown(&far)));
                escaped
            }
        };
        if !lend::is_inside(&text) {
            return Err(StepError::Except(format!("the retrieved name `{text}` leaves its folder")));
        }
        if let Some(old) = self.files.insert(text.clone(), far.clone()).filter(|old| *old != far) {
            let old = shown(&old);
            self.warnings
                .push(format!("several retrieved files have the name `{text}`; `{old}` is not kept"));
        }
        Ok(())
    }

    /// Returns the name, with tildes behind it if another file has it.
    fn free_name(&self, mut name: String) -> String {
        while self.files.contains_key(&name) {
            name.push('~');
        }
        name
    }
}

fn too_much(what: String) -> StepError {
    StepError::Pause(format!(
        "the retrieve list names {what}; nothing was fetched: raise `retrieve_max_files` or `retrieve_max_bytes` of \
         the computer (`ferry computer configure`), then `ferry process play`; or kill the process and retrieve less"
    ))
}

/// Follows the links among places. One below a directory counts only if it leads to a file.
async fn follow(via: &dyn Transport, places: Vec<Place>) -> StepResult<Vec<Place>> {
    let jobs = places.into_iter().map(|mut place| {
        Box::pin(async move {
            if place.metadata.kind != FileKind::Symlink {
                return Ok(Some(place));
            }
            // Links in a circle lead nowhere, which is an error of no definite kind.
            let target = match target(via, &place.far).await {
                Err(error) if *error.kind() == ErrorKind::Other => None,
                looked => looked?,
            };
            let is_kept = |metadata: &Metadata| metadata.kind == FileKind::File || place.is_named;
            Ok(target.filter(is_kept).map(|metadata| {
                place.metadata = metadata;
                place
            }))
        }) as Job<'_, Option<Place>>
    });
    Ok(at_once(AT_ONCE, jobs).await?.into_iter().flatten().collect())
}

/// Lists directories.
async fn list(via: &dyn Transport, dirs: Vec<Place>) -> StepResult<Vec<Place>> {
    let jobs = dirs.into_iter().map(|dir| {
        Box::pin(async move {
            let entries = via.list(&dir.far).await?;
            let below = |entry: transport::Entry| Place {
                far: dir.far.join(&entry.name),
                name: dir.name.join(&entry.name),
                metadata: entry.metadata,
                is_named: false,
            };
            Ok(entries.into_iter().map(below).collect())
        }) as Job<'_, Vec<Place>>
    });
    Ok(at_once(AT_ONCE, jobs).await?.into_iter().flatten().collect())
}

/// Returns the last `depth` parts of a path: for 0 and 1 its name alone, for `None` all of it.
fn kept_name(relative: &Path, depth: Option<u32>) -> PathBuf {
    let parts: Vec<_> = relative.components().collect();
    let keep = depth.map_or(parts.len(), |depth| (depth.max(1) as usize).min(parts.len()));
    parts[parts.len() - keep..].iter().collect()
}

/// Returns a text for a name that is not UTF-8: each byte that is no text becomes `\xNN`, and a backslash two.
pub(in crate::calcjob) fn escape(name: &Path) -> String {
    let mut text = String::new();
    for chunk in name.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', r"\\"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!(r"\x{byte:02X}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;

    #[test]
    fn depth_keeps_trailing_parts() {
        let name = |path: &str, depth| kept_name(Path::new(path), depth).to_string_lossy().into_owned();
        assert_eq!(name("a/b/c.txt", Some(1)), "c.txt");
        assert_eq!(name("a/b/c.txt", Some(0)), "c.txt");
        assert_eq!(name("a/b/c.txt", Some(2)), "b/c.txt");
        assert_eq!(name("a/b/c.txt", Some(9)), "a/b/c.txt");
        assert_eq!(name("a/b/c.txt", None), "a/b/c.txt");
    }

    #[test]
    fn names_that_are_no_text_are_escaped_and_stay_apart() {
        let escaped = |bytes: &[u8]| escape(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(escaped(b"out/M\xfc.log"), r"out/M\xFC.log");
        assert_eq!(escaped(b"\\\xff\xfe"), r"\\\xFF\xFE");
        let mut collected = Collected::default();
        for name in [&b"M\\xFC"[..], b"M\xfc"] {
            let path = PathBuf::from(OsStr::from_bytes(name));
            let metadata = Metadata {
                kind: FileKind::File,
                size: 1,
                mode: 0o644,
                uid: 0,
                gid: 0,
                modified: std::time::SystemTime::UNIX_EPOCH,
            };
            let far = Path::new("/w").join(&path);
            collected.add(Path::new("/w"), Place { far, name: path, metadata, is_named: true }).unwrap();
        }
        assert_eq!(collected.files.keys().collect::<Vec<_>>(), [r"M\xFC", r"M\xFC~"]);
        assert_eq!(collected.warnings.len(), 1);
    }
}
