//! The baseline: a plain shell loop that makes a directory, writes the files of a real job into it and runs
//! its script or hands it to Slurm, for as many jobs as ferry ran.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::ferry::Ferry;
use crate::interrupt::Interrupt;

/// The exit marker, which a script writes when it ends.
const EXIT: &str = ".ferry/exit";
/// Time between two looks for it.
const LOOK: Duration = Duration::from_millis(20);

/// Shell loop that starts the jobs. Its arguments: `$1` old work directory, `$2` new root, `$3` first job, `$4`
/// step, `$5` jobs, `$6` the script's name, `$7` its interpreter. Then come the names of all files, which are
/// read from the old directory. The function `run` is defined before it.
///
/// The texts are held in the shell, so that a job costs it one `mkdir` and one interpreter.
const LOOP: &str = r#"
set -eu
old=$1 root=$2 first=$3 step=$4 jobs=$5 script=$6 interpreter=$7
shift 7
texts=()
for file in "$@"; do texts+=("$(cat -- "$old/$file")"); done
for ((i = first; i < jobs; i += step)); do
    dir=$root/$i
    mkdir -p "$dir/.ferry"
    number=0
    for file in "$@"; do
        printf '%s\n' "${texts[number]//"$old"/"$dir"}" > "$dir/$file"
        number=$((number + 1))
    done
    run
done
"#;
/// Runs the script and waits for its end.
const RUN: &str =
    r#"run() { $interpreter "$dir/$script" baseline < /dev/null > "$dir/out.txt" 2> "$dir/err.txt"; }"#;
/// Leaves the script to Slurm.
const SUBMIT: &str = r#"run() {
    sbatch --parsable --chdir="$dir" --output="$dir/out.txt" --error="$dir/err.txt" "$dir/$script" baseline > "$dir/id"
}"#;

/// A Slurm to leave the scripts to.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    /// Environment that its clients need.
    pub(super) environment: Vec<(String, String)>,
    /// Maximum time for all jobs together.
    pub(super) patience: Duration,
    pub(super) interrupt: &'a Interrupt,
}

/// The files that a job needs, as found in the work directory of one that has run.
#[derive(Debug)]
pub(super) struct Recipe {
    dir: PathBuf,
    /// Names below `dir`.
    files: Vec<String>,
    script: String,
    interpreter: String,
}

impl Recipe {
    /// Looks into the work directory of a process.
    pub(super) fn of(ferry: &Ferry, id: &str) -> Result<Recipe> {
        let process = ferry.json(&["process", "show", id])?;
        let dir =
            work_dir(&process).with_context(|| format!("process {id} tells no work directory: {process}"))?;
        Recipe::in_dir(Path::new(dir))
    }

    fn in_dir(dir: &Path) -> Result<Recipe> {
        let gate = modified(&dir.join(".ferry/run"))?;
        let mut files = Vec::new();
        for name in names(dir)?.into_iter().chain(names(&dir.join(".ferry"))?) {
            // Files as young as the start gate were made by the job; the scheduler's own files by the
            // submission.
            if modified(&name)? < gate && !name.file_name().is_some_and(is_the_schedulers) {
                files.push(name.strip_prefix(dir)?.to_string_lossy().into_owned());
            }
        }
        let script = files
            .iter()
            .find(|name| fs::read_to_string(dir.join(name)).is_ok_and(|text| text.contains("\nferry_dir=")))
            .with_context(|| format!("no job script in {}", dir.display()))?
            .clone();
        let text = fs::read_to_string(dir.join(&script)).context("could not read the job script")?;
        let interpreter =
            text.lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or("/bin/sh").trim();
        Ok(Recipe { dir: dir.to_owned(), script, interpreter: interpreter.to_owned(), files })
    }

    /// Runs the recipe in `jobs` directories below `root`, by `loops` loops at once. Returns the time that it
    /// took.
    pub(super) fn run(&self, root: &Path, jobs: u32, loops: u32) -> Result<Duration> {
        fs::create_dir(root).with_context(|| format!("could not make {}", root.display()))?;
        let begun = Instant::now();
        let children: Vec<_> =
            (0..loops).map(|first| self.start(RUN, root, [first, loops, jobs]).spawn()).collect();
        for child in children {
            succeeded(child.and_then(|mut child| child.wait()))?;
        }
        let took = begun.elapsed();
        for job in 0..jobs {
            check(&root.join(job.to_string()))?;
        }
        Ok(took)
    }

    /// Leaves `jobs` jobs to Slurm, by `loops` loops at once. Returns the time until the last had ended.
    pub(super) fn submit(
        &self,
        root: &Path,
        [jobs, loops]: [u32; 2],
        cluster: &Cluster<'_>,
    ) -> Result<Duration> {
        fs::create_dir(root).with_context(|| format!("could not make {}", root.display()))?;
        let begun = Instant::now();
        let start = |first| {
            let mut command = self.start(SUBMIT, root, [first, loops, jobs]);
            command.envs(cluster.environment.iter().cloned()).spawn()
        };
        let children: Vec<_> = (0..loops).map(start).collect();
        for child in children {
            succeeded(child.and_then(|mut child| child.wait()))?;
        }
        for job in 0..jobs {
            let dir = root.join(job.to_string());
            while end(&dir).is_empty() && begun.elapsed() < cluster.patience {
                cluster.interrupt.check()?;
                std::thread::sleep(LOOK);
            }
            check(&dir)?;
        }
        Ok(begun.elapsed())
    }

    /// Starts one loop; `numbers` are first job, step and jobs.
    fn start(&self, run: &str, root: &Path, numbers: [u32; 3]) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("{run}\n{LOOP}"), "bare-loop"])
            .args([&self.dir, root])
            .args(numbers.map(|number| number.to_string()))
            .args([&self.script, &self.interpreter])
            .args(&self.files)
            .stdin(Stdio::null());
        command
    }
}

fn succeeded(ended: std::io::Result<ExitStatus>) -> Result<()> {
    let status = ended.context("could not run the bare loop")?;
    if !status.success() {
        bail!("the bare loop failed: {status}");
    }
    Ok(())
}

/// Checks that the job ran to its end: ferry's exit marker in the script says 0.
fn check(dir: &Path) -> Result<()> {
    let marker = end(dir);
    if !marker.starts_with("0 ") {
        bail!("the bare job in {} did not run: exit marker '{}'", dir.display(), marker.trim());
    }
    Ok(())
}

/// Returns the second line of the exit marker. The first line only reserves space.
fn end(dir: &Path) -> String {
    let marker = fs::read_to_string(dir.join(EXIT)).unwrap_or_default();
    marker.lines().nth(1).unwrap_or_default().to_owned()
}

fn is_the_schedulers(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("_scheduler")
}

/// Returns the regular files of a directory.
fn names(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("could not list {}", dir.display()))?;
    let mut names: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
    names.sort();
    Ok(names)
}

fn modified(path: &Path) -> Result<SystemTime> {
    fs::metadata(path)
        .and_then(|data| data.modified())
        .with_context(|| format!("could not look at {}", path.display()))
}

/// Returns the path that the remote folder among a process's outputs names.
fn work_dir(process: &Value) -> Option<&str> {
    let folder = process.pointer("/outputs/remote_folder/value")?;
    let texts: Vec<_> = folder.as_object().map_or_else(|| vec![folder], |body| body.values().collect());
    texts.into_iter().filter_map(Value::as_str).find(|text| text.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_runs_a_job_again_elsewhere() {
        let scratch = tempfile::tempdir().unwrap();
        let old = scratch.path().join("old");
        fs::create_dir_all(old.join(".ferry")).unwrap();
        let script = format!(
            "#!/bin/bash\n\nferry_dir={}\ncd \"$ferry_dir\" || exit 97\ncat input > output\n\
             ln .ferry/sentinel .ferry/run || exit 98\nprintf '\\n%s\\n' \"0 $1 job\" > .ferry/exit\n",
            old.display()
        );
        fs::write(old.join("job.sh"), script).unwrap();
        fs::write(old.join("input"), "2 3\n").unwrap();
        fs::write(old.join(".ferry/sentinel"), "digest\n").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        fs::write(old.join(".ferry/run"), "gate\n").unwrap();
        fs::write(old.join("output"), "2 3\n").unwrap();

        let recipe = Recipe::in_dir(&old).unwrap();
        assert_eq!(recipe.files, ["input", "job.sh", ".ferry/sentinel"]);
        recipe.run(&scratch.path().join("new"), 3, 2).unwrap();
        assert_eq!(fs::read_to_string(scratch.path().join("new/2/output")).unwrap(), "2 3\n");
    }

    #[test]
    fn a_remote_folder_tells_its_path() {
        let process =
            serde_json::json!({"outputs": {"remote_folder": {"value": {"computer": "x", "path": "/w/1"}}}});
        assert_eq!(work_dir(&process), Some("/w/1"));
        assert_eq!(work_dir(&serde_json::json!({"outputs": {}})), None);
    }
}
