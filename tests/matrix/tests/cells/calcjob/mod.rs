//! Calculation jobs in full: what AiiDA's tests of calcjobs and of its execution manager assert, through a real daemon.

mod codes;
mod copies;
mod dry_run;
mod ends;
mod import;
mod options;
mod retrieve;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::{Value, json};

use crate::Case;

/// Returns all cases.
pub(crate) fn cases() -> Vec<Case> {
    [codes::CASES, copies::CASES, ends::CASES, import::CASES, options::CASES, dry_run::CASES, retrieve::CASES]
        .concat()
}

const LIMIT: Duration = Duration::from_secs(240);

/// A profile with a daemon and the calcjob that its input describes.
struct Bench {
    ferry: Profile,
}

impl Bench {
    fn new() -> Result<Bench> {
        let bench = Bench::without_daemon()?;
        bench.ferry.ok(&["daemon", "start"])?;
        Ok(bench)
    }

    fn without_daemon() -> Result<Bench> {
        let ferry = Profile::unbounded()?;
        ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
        Ok(Bench { ferry })
    }

    /// Submits a job; gives its id.
    fn submit(&self, job: &Value, words: &[&str]) -> Result<String> {
        self.ferry.submit(&[&["script.job", &format!("job={job}")], words].concat())
    }

    fn ended(&self, id: &str) -> Result<Value> {
        self.ferry.ended(id, LIMIT)
    }

    /// Runs a job to its end.
    fn run(&self, job: &Value, words: &[&str]) -> Result<Value> {
        self.ended(&self.submit(job, words)?)
    }

    /// Runs a job that must succeed.
    fn fine(&self, job: &Value, words: &[&str]) -> Result<Value> {
        let shown = self.run(job, words)?;
        let report = || self.report(&shown).unwrap_or_default();
        check(shown["exit_code"] == 0, || format!("{shown:#}\n{}", report()))?;
        Ok(shown)
    }

    fn report(&self, shown: &Value) -> Result<String> {
        self.ferry.ok(&["process", "report", &shown["id"].to_string()])
    }

    /// Returns the output of `calcjob outputcat` for the file `path` of a job.
    fn cat(&self, shown: &Value, path: &str) -> Result<String> {
        self.ferry.ok(&["calcjob", "outputcat", &shown["id"].to_string(), path])
    }

    /// Writes files here; gives their directory.
    fn files(&self, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
        let dir = self.ferry.scratch().join(name);
        fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
        for (path, content) in files {
            let path = dir.join(path);
            let parent = path.parent().unwrap_or(&dir);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, content))
                .map_err(|error| error.to_string())?;
        }
        Ok(dir)
    }

    /// Makes a code on `localhost`.
    fn code(&self, kind: &str, words: &[&str]) -> Result {
        self.ferry.ok(&[&["code", "create", kind, "-n"], words].concat()).map(drop)
    }

    fn configure(&self, words: &[&str]) -> Result {
        self.ferry.ok(&[&["computer", "configure", "localhost", "-n"], words].concat()).map(drop)
    }

    /// Returns the script of a job, from a dry run.
    fn script(&self, job: &Value, words: &[&str]) -> Result<String> {
        let job = format!("job={job}");
        let done = self.ferry.json(&[&["run", "--dry-run", "script.job", &job], words].concat())?;
        let path = Path::new(done["dir"].as_str().unwrap_or_default())
            .join(done["script"].as_str().unwrap_or_default());
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Returns a command line of a job.
fn sh(script: &str) -> Value {
    json!({"command": "sh", "args": ["-c", script]})
}

/// Checks that each part is there, and after the one before.
fn in_order(text: &str, parts: &[&str]) -> Result {
    let mut at = 0;
    for part in parts {
        match text[at..].find(part) {
            Some(found) => at += found + part.len(),
            None => return Err(format!("`{part}` is not there, or not in its place:\n{text}")),
        }
    }
    Ok(())
}

/// Returns the files below a directory with their contents, without ferry's own. Empty directories end with a
/// `/`.
fn tree(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(place) = todo.pop() {
        let entries: Vec<_> = fs::read_dir(&place)
            .and_then(Iterator::collect)
            .map_err(|error| format!("{}: {error}", place.display()))?;
        let name = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string();
        if entries.is_empty() && place != dir {
            found.insert(format!("{}/", name(&place)), String::new());
        }
        for path in
            entries.iter().map(fs::DirEntry::path).filter(|path| path.file_name() != Some(".ferry".as_ref()))
        {
            if path.is_dir() && !path.is_symlink() {
                todo.push(path);
            } else {
                found.insert(name(&path), fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    Ok(found)
}

/// Returns the work directory of a process, as it is on this machine.
fn work_dir(shown: &Value) -> PathBuf {
    PathBuf::from(shown["work_dir"].as_str().unwrap_or_default())
}
