//! One value as a word: what it means for a port that takes certain types. Reads no file.

use std::path::{Path, PathBuf};

use ferry_engine::{
    node::BASE_TYPES,
    process::{InputValue, parse_literal},
};
use ferry_plugin_proto::Value;

use super::plain;

/// The meaning of a word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// This.
    Value(InputValue),
    /// The file itself, as a node.
    File(PathBuf),
    /// A directory with its files, as a node.
    Folder(PathBuf),
    /// The text of a file.
    Text(PathBuf),
    /// The JSON or YAML in a file, as a value of this type if it is not the port's first choice.
    Parsed(PathBuf, Option<String>),
    /// A `.npy` file, as a node of one array.
    Array(PathBuf),
    /// The contents of a file of a format (by default that of its name), as one of these data types.
    Read(PathBuf, Option<String>, Vec<String>),
}

/// Reads a word for a port that accepts `types` (empty: any). Relative paths count from `base`.
///
/// # Errors
/// Fails with what is accepted and what was given.
pub(super) fn read(types: &[String], word: &str, base: &Path) -> Result<Given, String> {
    if let Some(text) = word.strip_prefix("str:") {
        return literal_text(types, text);
    }
    if let Some(name) = word.strip_prefix('@') {
        return match name {
            "" => Err("`@` wants the id, uuid or label of a node, as in `@12`".into()),
            name => Ok(Given::Value(InputValue::Node(name.to_owned()))),
        };
    }
    if let Some(path) = word.strip_prefix("file:") {
        return file(types, path, base);
    }
    if let Some(path) = word.strip_prefix("folder:") {
        return match accepts(types, "folder") {
            true => Ok(Given::Folder(located(path, base)?)),
            false => Err(format!("expected {}, got a directory", types.join(" or "))),
        };
    }
    if let Some(place) = word.strip_prefix("remote:") {
        return match accepts(types, "remote_folder") {
            true => literal(&["remote_folder".to_owned()], place),
            false => Err(format!("expected {}, got a directory on a computer", types.join(" or "))),
        };
    }
    if types.iter().any(|name| name == "code") {
        return Ok(Given::Value(InputValue::Code(word.to_owned())));
    }
    if let Some((format, path)) = formatted(types, word) {
        return Ok(Given::Read(located(path, base)?, Some(format.to_owned()), types.to_vec()));
    }
    literal(types, word)
}

/// Splits a word such as `cif:PATH`, if the port takes nothing that could be written like this otherwise.
fn formatted<'a>(types: &[String], word: &'a str) -> Option<(&'a str, &'a str)> {
    let is_format = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let only_declared = !types.is_empty() && types.iter().all(|name| name.contains('.'));
    word.split_once(':').filter(|(format, _)| only_declared && is_format(format))
}

fn literal(types: &[String], word: &str) -> Result<Given, String> {
    let (data_type, value) = parse_literal(types, word)?;
    Ok(Given::Value(InputValue::New { data_type: Some(data_type), value, files: Vec::new() }))
}

fn literal_text(types: &[String], text: &str) -> Result<Given, String> {
    if accepts(types, "str") { Ok(Given::Value(plain(Value::from(text)))) } else { literal(types, text) }
}

/// Returns the use of a file: the file itself where files are taken, else its text where text is, else the
/// value that is written in it.
fn file(types: &[String], path: &str, base: &Path) -> Result<Given, String> {
    let path = located(path, base)?;
    if accepts(types, "file") {
        return Ok(Given::File(path));
    }
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let ending = ending.as_deref().unwrap_or_default();
    if accepts(types, "array") && (ending == "npy" || types.len() == 1) {
        return Ok(Given::Array(path));
    }
    if accepts(types, "folder") {
        return Ok(Given::Folder(path));
    }
    let structured = |name: &&String| matches!(name.as_str(), "dict" | "list" | "int" | "float" | "bool");
    if types.iter().any(|name| structured(&name)) {
        return Ok(Given::Parsed(path, None));
    }
    if accepts(types, "str") {
        return Ok(Given::Text(path));
    }
    match types.iter().find(|name| !BASE_TYPES.contains(&name.as_str())) {
        Some(only) if is_document(ending) => Ok(Given::Parsed(path, Some(only.clone()))),
        Some(_) => Ok(Given::Read(path, None, types.to_vec())),
        None => Err(format!("expected {}, got a file", types.join(" or "))),
    }
}

/// Returns whether a name's ending says that a value is written in the file. Other endings may belong to a
/// format that some type declares.
fn is_document(ending: &str) -> bool {
    matches!(ending, "json" | "yaml" | "yml")
}

fn located(path: &str, base: &Path) -> Result<PathBuf, String> {
    if path.is_empty() { Err("no path is given".into()) } else { Ok(base.join(path)) }
}

fn accepts(types: &[String], name: &str) -> bool {
    types.is_empty() || types.iter().any(|accepted| accepted == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(types: &[&str], word: &str, expect: Result<Given, &str>) {
        let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(read(&types, word, Path::new("base")), expect.map_err(str::to_owned), "{types:?} {word}");
    }

    fn new(data_type: &str, value: impl Into<Value>) -> Result<Given, &'static str> {
        let data_type = Some(data_type.to_owned());
        Ok(Given::Value(InputValue::New { data_type, value: value.into(), files: Vec::new() }))
    }

    #[test]
    fn literals_are_read_by_the_ports_type() {
        check(&["int"], "5", new("int", 5i64));
        check(&["float"], "5", new("float", 5.0));
        check(&["str"], "5", new("str", "5"));
        check(&[], "5", new("int", 5i64));
        check(&["int"], "five", Err("expected int, got `five`"));
    }

    #[test]
    fn nodes_and_codes_are_named() {
        check(&["int"], "@12", Ok(Given::Value(InputValue::Node("12".into()))));
        check(&["code"], "pw@daint", Ok(Given::Value(InputValue::Code("pw@daint".into()))));
        check(&["code"], "@12", Ok(Given::Value(InputValue::Node("12".into()))));
        check(&["int"], "@", Err("`@` wants the id, uuid or label of a node, as in `@12`"));
    }

    #[test]
    fn a_directory_on_a_computer_is_named_by_both() {
        let place =
            Value::Map([("computer".to_owned(), "daint".into()), ("path".to_owned(), "/a".into())].into());
        check(&["remote_folder"], "daint:/a", new("remote_folder", place.clone()));
        check(&[], "remote:daint:/a", new("remote_folder", place));
        check(&[], "daint:/a", new("str", "daint:/a"));
        check(&["int"], "remote:daint:/a", Err("expected int, got a directory on a computer"));
    }

    #[test]
    fn text_may_begin_with_anything() {
        check(&["str"], "str:@x", Ok(Given::Value(plain("@x".into()))));
        check(&["str"], "str:file:x", Ok(Given::Value(plain("file:x".into()))));
        check(&["int"], "str:5", new("int", 5i64));
    }

    #[test]
    fn a_file_is_what_the_port_wants_of_it() {
        check(&["file"], "file:a.txt", Ok(Given::File("base/a.txt".into())));
        check(&["file"], "file:/a.txt", Ok(Given::File("/a.txt".into())));
        check(&["folder"], "file:dir", Ok(Given::Folder("base/dir".into())));
        check(&["file", "folder"], "folder:dir", Ok(Given::Folder("base/dir".into())));
        check(&["dict"], "file:a.yaml", Ok(Given::Parsed("base/a.yaml".into(), None)));
        check(&["str"], "file:a.txt", Ok(Given::Text("base/a.txt".into())));
        check(&["core.x"], "file:a.json", Ok(Given::Parsed("base/a.json".into(), Some("core.x".into()))));
        let read = |path: &str, format: Option<&str>| {
            Ok(Given::Read(path.into(), format.map(str::to_owned), vec!["core.x".to_owned()]))
        };
        check(&["core.x"], "file:a.CIF", read("base/a.CIF", None));
        check(&["core.x"], "cif:/a.txt", read("/a.txt", Some("cif")));
        check(&["core.x"], "X:a", Err("expected core.x, got `X:a`; give `@NODE` or `file:PATH`"));
        check(&["str", "core.x"], "cif:a", new("str", "cif:a"));
        check(&["array"], "file:a.npy", Ok(Given::Array("base/a.npy".into())));
        check(&["dict", "array"], "file:a.npy", Ok(Given::Array("base/a.npy".into())));
        check(&["code"], "file:a", Err("expected code, got a file"));
        check(&["int"], "folder:a", Err("expected int, got a directory"));
        check(&["file"], "file:", Err("no path is given"));
    }
}
