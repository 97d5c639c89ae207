//! Cases about the environment that a daemon starts in: inside an allocation of Slurm, or as a user id
//! without a name.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check};

use crate::{
    Case,
    cell::{Cell, CellCase},
};

pub(crate) const CASES: &[Case] =
    &[("a_user_without_a_name_passes_computer_test", a_user_without_a_name_passes_computer_test)];

pub(crate) const QUEUE_CASES: &[CellCase] =
    &[("a_daemon_in_an_allocation_hands_nothing_on", a_daemon_in_an_allocation_hands_nothing_on)];

const LIMIT: Duration = Duration::from_secs(240);
/// A user id that no machine gives a name.
const NAMELESS: &str = "54321";

fn a_user_without_a_name_passes_computer_test() -> Result {
    let ferry = Profile::new()?;
    let scratch = ferry.scratch().display().to_string();
    let own = Command::new("chown").args([NAMELESS, &scratch]).status().map_err(|error| error.to_string())?;
    check(own.success(), || "can't run without root, who alone may become another user".into())?;
    let nameless = |words: &[&str]| -> Result<ferry_matrix::Answer> {
        let command = ferry.command(words);
        let mut inside = Command::new("setpriv");
        inside.args(["--reuid", NAMELESS, "--regid", NAMELESS, "--clear-groups"]);
        inside.arg(command.get_program()).args(command.get_args()).current_dir(&scratch).stdin(Stdio::null());
        inside.env("FERRY_HOME", ferry.home()).env("HOME", &scratch).env("NO_COLOR", "1");
        Profile::run(inside)
    };
    let tested =
        nameless(&["computer", "test", "localhost", "--job", "--format", "json"])?.expect(0)?.json()?;
    let steps = tested.as_array().ok_or("no array")?;
    check(steps.iter().all(|step| step["ok"] == true), || format!("{tested:#}"))?;
    check(tested.to_string().contains("54321, which has no name"), || format!("{tested:#}"))?;
    nameless(&["run", "shell.run", "command=id", "arguments=-u"])?.expect(0)?;
    // A directory that wants a name is no other directory than that.
    let named = format!("{scratch}/{{username}}");
    nameless(&["computer", "configure", "localhost", "-n", "--work-dir", &named])?.expect(0)?;
    let answer = nameless(&["computer", "test", "localhost"])?.expect(1)?;
    check(answer.stdout.contains("has none there"), || answer.stdout)
}

/// A job of Slurm in which a daemon runs; cancelled with this.
struct Allocation(String);

impl Allocation {
    /// Submits `command` as a job with memory of its own for each core, which another job's memory contradicts.
    fn of(command: &Command) -> Result<Allocation> {
        let mut sbatch = Command::new("sbatch");
        sbatch.args([
            "--parsable",
            "--mem-per-cpu=60",
            "--output=/dev/null",
            "--wrap",
            "exec $FERRY_TEST_DAEMON",
        ]);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        sbatch.env("FERRY_TEST_DAEMON", words.join(" ")).env("CUDA_VISIBLE_DEVICES", "7");
        for (name, value) in command.get_envs() {
            value.map(|value| sbatch.env(name, value));
        }
        let answer = Profile::run(sbatch)?.expect(0)?;
        Ok(Allocation(answer.stdout.trim().to_owned()))
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let _ = Command::new("scancel").arg(&self.0).status();
    }
}

fn a_daemon_in_an_allocation_hands_nothing_on(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    let mut daemon = ferry.command(&["daemon", "start", "--foreground"]);
    daemon.env("TMPDIR", ferry.scratch());
    let _allocation = Allocation::of(&daemon)?;
    let begun = Instant::now();
    while ferry.daemon().is_err() {
        check(begun.elapsed() < LIMIT, || "the daemon did not start inside of a job".into())?;
        thread::sleep(Duration::from_millis(200));
    }
    // slurmd gives each job a TMPDIR, if it has none.
    let tell = r#"echo "<$SLURM_MEM_PER_CPU$CUDA_VISIBLE_DEVICES>$TMPDIR""#;
    let script = format!("{tell}; srun --ntasks=1 sh -c \"echo it ran in \\$SLURM_JOB_ID\"");
    let id = cell.submit(
        &ferry,
        &["shell.run", "command=sh", &format!("arguments=-c '{script}'"), "--option", "max_memory_kb=102400"],
    )?;
    let shown = ferry.ended(&id, LIMIT)?;
    let report = || format!("{shown:#}\n{}", ferry.ok(&["process", "report", &id]).unwrap_or_default());
    let told = |name: &str| ferry.ok(&["calcjob", "outputcat", &id, name]).unwrap_or_default();
    check(shown["exit_code"] == 0, || format!("{}\n{}", report(), told("stderr")))?;
    let stdout = told("stdout");
    let scratch = ferry.scratch().display().to_string();
    let is_clean = stdout.starts_with("<>") && !stdout.contains(&scratch) && stdout.contains("it ran in");
    check(is_clean, || stdout.clone())?;
    ferry.ok(&["daemon", "stop"]).map(drop)
}
