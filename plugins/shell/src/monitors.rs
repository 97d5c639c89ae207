//! Monitors for any job: they look at its files while it runs, and may stop it.

use ferry_plugin::{Look, Monitor, Verdict, View, prelude::*, relative_path};

/// Most that is looked at of a file, bytes: what ferry fetches at the most.
const MOST: i64 = 16 << 20;

/// Kwargs of `shell.text_appears`.
#[derive(Inputs, Debug)]
pub struct TextAppears {
    /// The text
    pub text: String,
    /// Path or pattern of the files in which it is looked for
    #[port(default = "stdout")]
    pub file: String,
    /// How much of the end of each file is looked at, bytes
    #[port(default = 1_048_576, range(1..=16_777_216))]
    pub bytes: i64,
}

/// Stops a job when a text appears in a file of its work directory.
#[monitor(name = "shell.text_appears")]
impl Monitor for TextAppears {
    fn validate(&self, bad: &mut Problems) {
        check_path(&self.file, bad);
        if self.text.is_empty() {
            bad.at("text", "is empty, and so in every file");
        }
    }

    fn files(&self) -> Vec<View> {
        vec![View::end(&self.file, self.bytes.clamp(1, MOST).unsigned_abs())]
    }

    fn judge(&self, job: &Look) -> Result<Option<Verdict>> {
        for file in job.files() {
            let text = job.text(file)?.unwrap_or_default();
            if let Some(line) = text.lines().find(|line| line.contains(&self.text)) {
                let line: String = line.trim().chars().take(200).collect();
                return Ok(Some(Verdict::kill(format!("`{}` appeared in `{file}`: {line}", self.text))));
            }
            // A text of several lines.
            if text.contains(&self.text) {
                return Ok(Some(Verdict::kill(format!("`{}` appeared in `{file}`", self.text))));
            }
        }
        Ok(None)
    }
}

/// Kwargs of `shell.file_grows`.
#[derive(Inputs, Debug)]
pub struct FileGrows {
    /// Largest size of one file, bytes
    #[port(range(0..))]
    pub max_bytes: i64,
    /// Path or pattern of the files
    #[port(default = "stdout")]
    pub file: String,
}

/// Stops a job when a file of its work directory grows beyond a size.
#[monitor(name = "shell.file_grows")]
impl Monitor for FileGrows {
    fn validate(&self, bad: &mut Problems) {
        check_path(&self.file, bad);
    }

    fn files(&self) -> Vec<View> {
        vec![View::size(&self.file)]
    }

    fn judge(&self, job: &Look) -> Result<Option<Verdict>> {
        let most = self.max_bytes.unsigned_abs();
        let sizes = job.files().filter_map(|file| Some((file, job.size(file)?)));
        let largest = sizes.max_by_key(|(_, size)| *size).filter(|(_, size)| *size > most);
        Ok(largest.map(|(file, size)| {
            Verdict::kill(format!("`{file}` has {size} bytes, and {most} are the most that were allowed"))
        }))
    }
}

/// Kwargs of `shell.always_kill`: none.
#[derive(Inputs, Debug)]
pub struct AlwaysKill {}

/// Stops any job: to try out what becomes of one that is stopped.
#[monitor(name = "shell.always_kill", alias = "core.always_kill")]
impl Monitor for AlwaysKill {
    fn files(&self) -> Vec<View> {
        Vec::new()
    }

    fn judge(&self, _: &Look) -> Result<Option<Verdict>> {
        Ok(Some(Verdict::kill("every job that this monitor looks at is stopped")))
    }
}

fn check_path(path: &str, bad: &mut Problems) {
    if let Err(message) = relative_path(path) {
        bad.at("file", message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(monitor: impl Monitor, files: &[(&str, &str)]) -> Option<String> {
        testing::watch(monitor, files).unwrap().map(|verdict| verdict.message().to_owned())
    }

    fn appears(text: &str, file: &str, bytes: i64) -> TextAppears {
        TextAppears { text: text.into(), file: file.into(), bytes }
    }

    #[test]
    fn a_text_is_found_in_the_end_of_files() {
        let files = [("stdout", "step 1\nERROR: diverged\n"), ("b.log", "fine\n")];
        let told = said(appears("ERROR", "stdout", 100), &files);
        assert_eq!(told.as_deref(), Some("`ERROR` appeared in `stdout`: ERROR: diverged"));
        assert_eq!(said(appears("ERROR", "*.log", 100), &files), None);
        assert_eq!(said(appears("step", "stdout", 10), &files), None, "only the end is looked at");
        assert_eq!(said(appears("ERROR", "nope", 100), &files), None);
        assert!(said(appears("1\nERROR", "stdout", 100), &files).is_some());
    }

    #[test]
    fn a_file_may_grow_so_far() {
        let grows = |max_bytes| FileGrows { max_bytes, file: "*".into() };
        let files = [("a", "12345"), ("b", "1234567")];
        assert_eq!(said(grows(7), &files), None);
        let told = said(grows(6), &files).unwrap();
        assert!(told.starts_with("`b` has 7 bytes, and 6"), "{told}");
    }

    #[test]
    fn the_kwargs_are_judged() {
        let problems = |name: &str, given: testing::Given| {
            let found = testing::problems("shell", name, given);
            found.into_iter().map(|problem| problem.port).collect::<Vec<_>>()
        };
        let given = || testing::inputs().with("text", String::new()).with("file", "../x".to_owned());
        assert_eq!(problems("shell.text_appears", given().with("bytes", 5_i64)), ["file", "text"]);
        let given = testing::inputs().with("max_bytes", 5_i64).with("file", "out/*.dat".to_owned());
        assert_eq!(problems("shell.file_grows", given), [""; 0]);
        let manifest = testing::manifest("shell");
        let names: Vec<&str> = manifest.monitors.iter().map(|monitor| monitor.name.as_str()).collect();
        assert_eq!(names, ["shell.always_kill", "shell.file_grows", "shell.text_appears"]);
        assert_eq!(manifest.monitors[0].aliases, ["core.always_kill"]);
        assert!(manifest.monitors.iter().all(|monitor| !monitor.doc.is_empty()));
    }
}
