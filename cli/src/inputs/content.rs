//! Files that inputs name, on their way into the object repository.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use ferry_engine::{
    node::{ARRAY, array_body},
    process::InputValue,
    store::{self, ErrorKind, FileContent, Objects},
};
use ferry_plugin_proto::{Value, npy::Header};

use super::{plain, reading::Reading, word::Given};
use crate::{output, yaml};

/// Files from this size on are announced, since taking one in takes a while; bytes.
const BIG: u64 = 64 << 20;

/// The reason why a file can't be taken.
#[derive(Debug)]
pub(super) enum ContentError {
    /// Something is wrong with what was given; names the path.
    Given(String),
    /// The store has no room for it.
    Store(store::Error),
}

impl From<String> for ContentError {
    fn from(text: String) -> Self {
        ContentError::Given(text)
    }
}

/// Reads what was given.
///
/// # Errors
/// Fails if the path can't be read or is of the wrong kind, or if the disk is full.
pub(super) async fn load(
    given: Given,
    reading: &Reading<'_>,
    plugin: &str,
) -> Result<InputValue, ContentError> {
    match given {
        Given::Read(path, format, types) => reading.read(&path, format.as_deref(), &types, plugin).await,
        at_hand => load_here(at_hand, reading.reader().objects()),
    }
}

/// Loads an input that needs no plugin.
pub(super) fn load_here(given: Given, objects: &Objects) -> Result<InputValue, ContentError> {
    match given {
        Given::Array(path) => array(&path, objects),
        Given::Read(path, ..) => Err(format!("{} needs a plugin that reads it", path.display()).into()),
        Given::Value(value) => Ok(value),
        Given::File(path) => file(&path, objects),
        Given::Folder(path) => folder(&path, objects),
        Given::Text(path) => Ok(plain(Value::from(text(&path)?))),
        Given::Parsed(path, data_type) => {
            let value = yaml::parse(&text(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(InputValue::New { data_type, value, files: Vec::new() })
        }
    }
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("can't read {}: {error}", path.display()))
}

fn file(path: &Path, objects: &Objects) -> Result<InputValue, ContentError> {
    let name = path.file_name().ok_or_else(|| format!("{} is no file", path.display()))?;
    let name =
        name.to_str().ok_or_else(|| format!("the name of {} is not UTF-8", path.display()))?.to_owned();
    let value = Value::Map([("filename".to_owned(), Value::from(name.as_str()))].into());
    // A link that a user names is followed; only links inside a directory are not.
    let place = fs::canonicalize(path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
    let content = take_in(&place, name, objects)?;
    Ok(InputValue::New { data_type: Some("file".into()), value, files: vec![content] })
}

/// Loads a `.npy` file as the only array of a node, under AiiDA's name for it.
fn array(path: &Path, objects: &Objects) -> Result<InputValue, ContentError> {
    const NAME: &str = "default";
    /// No head that is read is longer.
    const HEAD: u64 = 70_000;
    let failed = |error: io::Error| format!("can't read {}: {error}", path.display());
    let place = fs::canonicalize(path).map_err(failed)?;
    let mut head = Vec::new();
    fs::File::open(&place).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(failed)?;
    let (header, _) = Header::read(&head).map_err(|message| format!("{}: {message}", path.display()))?;
    let content = take_in(&place, format!("{NAME}.npy"), objects)?;
    let value = array_body([(NAME, &header)]);
    Ok(InputValue::New {
        data_type: Some(ARRAY.into()),
        value,
        files: vec![FileContent { executable: false, ..content }],
    })
}

fn folder(path: &Path, objects: &Objects) -> Result<InputValue, ContentError> {
    let files = directory(path, objects)?;
    Ok(InputValue::New { data_type: Some("folder".into()), value: Value::Map([].into()), files })
}

/// Takes the files of a directory into the repository.
pub(super) fn directory(path: &Path, objects: &Objects) -> Result<Vec<FileContent>, ContentError> {
    let root = fs::canonicalize(path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
    if !root.is_dir() {
        return Err(format!("{} is not a directory", path.display()).into());
    }
    let mut found = Vec::new();
    walk(&root, &mut found)?;
    let take = |place: PathBuf| {
        let inside = place.strip_prefix(&root).ok().and_then(Path::to_str).map(str::to_owned);
        let inside = inside.ok_or_else(|| format!("the name of {} is not UTF-8", place.display()))?;
        take_in(&place, inside, objects)
    };
    found.into_iter().map(take).collect()
}

/// Collects all files below a directory, in order of their names.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error| format!("can't read {}: {error}", dir.display());
    let mut entries =
        fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()).map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&path, found)?;
        } else if kind.is_symlink() {
            return Err(format!(
                "{} is a link; links are not followed, so replace or remove it",
                path.display()
            ));
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn take_in(place: &Path, inside: String, objects: &Objects) -> Result<FileContent, ContentError> {
    use std::os::unix::fs::PermissionsExt;
    let facts = fs::metadata(place).map_err(|error| format!("can't read {}: {error}", place.display()))?;
    if !facts.is_file() {
        return Err(format!("{} is not a regular file", place.display()).into());
    }
    if facts.len() >= BIG {
        output::note(format!("storing {} ({} MB)", place.display(), facts.len() / 1_000_000));
    }
    let content = objects.put_file(place).map_err(|error| match error.kind() {
        ErrorKind::Full => ContentError::Store(error),
        _ => ContentError::Given(error.to_string()),
    })?;
    Ok(FileContent { path: inside, content, executable: facts.permissions().mode() & 0o100 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: Given, expect: Result<&[&str], &str>) {
        let dir = tempfile::tempdir().unwrap();
        let found = load_here(given, &Objects::new(dir.path())).map(|value| match value {
            InputValue::New { files, .. } => files.into_iter().map(|file| file.path).collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(ContentError::Given(found)), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => panic!("{found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn files_and_directories_become_nodes_and_links_inside_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("d/sub")).unwrap();
        fs::write(at("d/b.txt"), "b").unwrap();
        fs::write(at("d/sub/a.txt"), "a").unwrap();
        std::os::unix::fs::symlink(at("d/b.txt"), at("named")).unwrap();
        check(Given::File(at("d/b.txt")), Ok(&["b.txt"]));
        check(Given::File(at("named")), Ok(&["named"]));
        check(Given::Folder(at("d")), Ok(&["b.txt", "sub/a.txt"]));
        check(Given::File(at("d")), Err("not a regular file"));
        fs::write(at("a.npy"), Header { dtype: "<f8".into(), fortran: false, shape: vec![0] }.write())
            .unwrap();
        check(Given::Array(at("a.npy")), Ok(&["default.npy"]));
        check(Given::Array(at("d/b.txt")), Err("b.txt: no .npy file"));
        check(Given::File(at("gone")), Err("can't read"));
        check(Given::Folder(at("d/b.txt")), Err("not a directory"));
        std::os::unix::fs::symlink("b.txt", at("d/link")).unwrap();
        check(Given::Folder(at("d")), Err("is a link"));
    }
}
