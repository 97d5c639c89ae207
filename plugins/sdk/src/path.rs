//! Relative paths as a plugin names them: inside the sandbox, a work directory or a node, never out of it.

use std::path::{Component, Path};

/// Normalises a path: `/` between its parts, without `.`, and never outside the directory it is relative to.
///
/// # Errors
/// Fails with a text about why `path` is not allowed.
pub fn relative(path: &str) -> Result<String, String> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir => {
                return Err(format!("`{path}` is not allowed: it may leave its directory by `..`"));
            }
            Component::RootDir | Component::Prefix(_) => {
                return Err(format!("`{path}` is not allowed: it must be relative"));
            }
        }
    }
    if parts.is_empty() {
        return Err(format!("`{path}` names no file"));
    }
    if path.contains('\0') {
        return Err(format!("{path:?} is not allowed: it holds a NUL"));
    }
    Ok(parts.join("/"))
}

/// Returns every file below `dir`, as relative paths, sorted. Links are not followed and not listed.
///
/// # Errors
/// Fails if a directory can't be read.
pub(crate) fn files_below(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![(dir.to_path_buf(), String::new())];
    while let Some((dir, prefix)) = open.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_inside_are_relative() {
        assert_eq!(relative("./a//b/").as_deref(), Ok("a/b"));
        assert_eq!(relative("..a/b..").as_deref(), Ok("..a/b.."));
        for bad in ["", ".", "/etc/passwd", "..", "a/../../b", "a/..", "a\0b"] {
            assert!(relative(bad).is_err(), "{bad:?}");
        }
    }
}
