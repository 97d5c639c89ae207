//! The three kinds of code, with AiiDA's names: installed on its computer, with files that come with the job, and
//! in a container.

use ferry_plugin_proto::Value;

/// A code that is on its computer.
pub const INSTALLED: &str = "installed";
/// A code whose files are uploaded with each job.
pub const PORTABLE: &str = "portable";
/// A code in a container.
pub const CONTAINERIZED: &str = "containerized";

pub(crate) fn kind(body: &Value) -> &str {
    body.get("kind").and_then(Value::as_str).unwrap_or(INSTALLED)
}

/// Returns whether a code's files come with the job.
pub(crate) fn is_portable(body: &Value) -> bool {
    kind(body) == PORTABLE
}

/// Checks a code's body and the number of its files.
///
/// # Errors
/// The words for what was expected.
pub(crate) fn check(body: &Value, files: usize) -> Result<(), &'static str> {
    let has = |key: &str| body.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let fine = match kind(body) {
        PORTABLE => {
            return if has("filepath_executable") && files > 0 {
                Ok(())
            } else {
                Err("a code with its files")
            };
        }
        CONTAINERIZED => has("computer") && has("image_name") && has("engine_command"),
        INSTALLED => has("computer"),
        _ => return Err("a code of a kind that this ferry knows"),
    };
    if fine && has("filepath_executable") { Ok(()) } else { Err("a code on a computer") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(entries: &[(&str, &str)]) -> Value {
        Value::Map(entries.iter().map(|(key, text)| ((*key).to_owned(), Value::from(*text))).collect())
    }

    #[test]
    fn each_kind_of_code_has_what_it_needs() {
        let installed = [("computer", "c"), ("filepath_executable", "/bin/cat")];
        assert_eq!(check(&body(&installed), 0), Ok(()));
        assert!(check(&body(&installed[..1]), 0).is_err());
        let portable = [("kind", PORTABLE), ("filepath_executable", "run.sh")];
        assert_eq!(check(&body(&portable), 1), Ok(()));
        assert!(check(&body(&portable), 0).is_err());
        let mut contained = installed.to_vec();
        contained.extend([
            ("kind", CONTAINERIZED),
            ("image_name", "a b"),
            ("engine_command", "run {image_name}"),
        ]);
        assert_eq!(check(&body(&contained), 0), Ok(()));
        assert!(check(&body(&contained[..4]), 0).is_err());
        assert!(check(&body(&[("kind", "other"), ("filepath_executable", "x")]), 0).is_err());
    }
}
