//! Cases about computers with problems, and the state of their processes meanwhile. A server is down, or
//! disabled by the user; a queue lies; a work directory is gone; a disk is full.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, text};
use serde_json::Value;

use crate::{
    Case,
    cell::{Cell, CellCase, judge, submit_markers, submit_markers_from},
    disk::Tmpfs,
    port::Port,
    told,
};

/// Cases that need nothing but this machine.
pub(crate) const CASES: &[Case] = &[
    ("a_disabled_computer_drains_and_resumes", a_disabled_computer_drains_and_resumes),
    ("a_cancel_that_fails_is_told_and_repeated", a_cancel_that_fails_is_told_and_repeated),
    ("a_forced_kill_ends_what_can_not_be_cancelled", a_forced_kill_ends_what_can_not_be_cancelled),
    ("a_forced_kill_overtakes_one_that_hangs", a_forced_kill_overtakes_one_that_hangs),
    ("an_unclear_submission_waits_for_the_user", an_unclear_submission_waits_for_the_user),
    ("a_test_job_lets_ferry_conclude_by_itself", a_test_job_lets_ferry_conclude_by_itself),
    ("what_slurm_gave_up_is_submitted_anew", what_slurm_gave_up_is_submitted_anew),
    ("a_missing_work_directory_loses_nothing", a_missing_work_directory_loses_nothing),
    ("a_directory_removed_before_its_job_is_made_anew", a_directory_removed_before_its_job_is_made_anew),
    ("a_full_quota_ends_when_there_is_room", a_full_quota_ends_when_there_is_room),
    ("failures_are_counted_shown_and_survive_a_restart", failures_are_counted_shown_and_survive_a_restart),
];

/// Cases that run where a server can be down.
pub(crate) const LINK_CASES: &[CellCase] = &[
    ("a_server_that_is_down_is_tried_rarely", a_server_that_is_down_is_tried_rarely),
    ("a_full_quota_over_there_ends_when_there_is_room", a_full_quota_over_there_ends_when_there_is_room),
    ("refused_credentials_wait_for_the_user", refused_credentials_wait_for_the_user),
];

/// Cases that run in every cell, this machine's own included.
pub(crate) const EVERYWHERE: &[CellCase] =
    &[("a_work_directory_removed_under_its_job_harms_nobody_else", a_work_directory_removed_under_its_job)];

const LIMIT: Duration = Duration::from_secs(240);

/// Waits until `process show` meets a condition. Returns its output.
fn until(ferry: &Profile, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let shown = ferry.json(&["process", "show", id])?;
        if is(&shown) {
            return Ok(shown);
        }
        check(begun.elapsed() < LIMIT, || format!("not {what}: {shown:#}\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(50));
    }
}

fn waits_for(shown: &Value, words: &str) -> bool {
    shown["waiting_for"].as_str().is_some_and(|text| text.contains(words))
}

fn a_disabled_computer_drains_and_resumes() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let running = ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "sleep=2"])?;
    until(&ferry, &running, "running", |shown| shown["scheduler_state"] == "running")?;
    ferry.ok(&["computer", "disable", "localhost", "--reason", "new roof"])?;
    let waiting = ferry.submit(&["arithmetic.add_job", "x=2", "y=2"])?;
    until(&ferry, &waiting, "told why", |shown| {
        waits_for(shown, "disabled since") && waits_for(shown, "new roof")
    })?;
    check(ferry.ended(&running, LIMIT)?["exit_code"] == 0, || "a job of it was not brought home".into())?;
    ferry.ok(&["daemon", "restart"])?;
    thread::sleep(Duration::from_secs(1));
    let shown = ferry.json(&["process", "show", &waiting])?;
    check(waits_for(&shown, "disabled since"), || format!("a restart enabled it: {shown:#}"))?;
    let listed = ferry.ok(&["computer", "list"])?;
    check(listed.contains("disabled"), || listed)?;
    ferry.ok(&["computer", "enable", "localhost"])?;
    check(ferry.ended(&waiting, LIMIT)?["exit_code"] == 0, || "it did not resume".into())
}

/// Prints the jobs of a file as `squeue` would: `ID|STATE|NAME|REASON` of `queue`, or where times are asked for
/// `ID|NAME|SUBMITTED|ENDED` of `cancelled`; asked for one id, that job, and fails if there is none.
const SQUEUE: &str = r#"here=$(dirname "$0") file=queue id=
for word; do case $word in --jobs=*) id=${word#*=};; *%e*) file=cancelled;; esac; done
cat "$here/$file" 2> /dev/null | awk -F'|' -v id="$id" -v file="$file" '
    id != "" && $1 != id { next }
    { n++ }
    file == "queue" { printf "@%s\037%s\037%s\037/\037(null)\037%s\037.\n", $1, $2, $4, $3; next }
    { printf "@%s\037%s\037%s\037/\037(null)\037%s\037N/A\037\037.\n", $1, $3, $4, $2 }
    END { if (id != "" && !n) { print "slurm_load_jobs error: Invalid job id specified" > "/dev/stderr"; exit 1 } }'"#;
/// Knows no job that `squeue` does not show.
const SCONTROL: &str = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1";

/// A Slurm that is a few scripts. `squeue` shows what `sbatch` put into its file.
pub(crate) struct Fakes {
    pub(crate) bin: PathBuf,
}

impl Fakes {
    /// Makes fakes, and a computer in the profile that has them first in its `PATH`.
    pub(crate) fn new(ferry: &Profile) -> Result<Fakes> {
        let bin = ferry.scratch().join("bin");
        fs::create_dir_all(&bin).map_err(|error| error.to_string())?;
        let fakes = Fakes { bin };
        fakes.put("squeue", SQUEUE)?;
        fakes.put("scontrol", SCONTROL)?;
        fakes.put("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")?;
        fakes.put("scancel", "true")?;
        let work = ferry.scratch().join("work");
        let file = ferry.scratch().join("fake.yml");
        // Login files would overwrite `PATH`.
        let yaml = format!(
            "label: fake\nhostname: localhost\ntransport: core.local\nscheduler: core.slurm\nwork_dir: {}\npoll_interval: 0.2\nuse_login_shell: false\n",
            text(&work)
        );
        fs::write(&file, yaml).map_err(|error| error.to_string())?;
        ferry.ok(&["computer", "setup", "-n", "--config", text(&file)])?;
        Ok(fakes)
    }

    pub(crate) fn put(&self, name: &str, script: &str) -> Result {
        let write = || {
            let draft = self.bin.join(format!(".{name}"));
            fs::write(&draft, format!("#!/bin/sh\n{script}\n"))?;
            fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
            fs::rename(draft, self.bin.join(name))
        };
        write().map_err(|error: std::io::Error| error.to_string())
    }

    pub(crate) fn start_daemon(&self, ferry: &Profile) -> Result {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = ferry.command(&["daemon", "start"]);
        let done = command.env("PATH", format!("{}:{path}", text(&self.bin))).output();
        let done = done.map_err(|error| error.to_string())?;
        check(done.status.success(), || String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

const LOST: &str =
    "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1";
pub(crate) const HONEST: &str = r#"for word; do
    case $word in --chdir=*) dir=${word#*=};; --output=*) out=${word#*=};; --error=*) err=${word#*=};; esac
    script=$token token=$word
done
echo "77|COMPLETED|$token|None" >> "$(dirname "$0")/queue"
cd "$dir" && SLURM_JOB_ID=77 setsid "$script" "$token" > "$out" 2> "$err" < /dev/null &
echo 77"#;

/// Its job begins, and runs until it is cancelled.
const LASTING: &str = r#"for word; do
    case $word in --chdir=*) dir=${word#*=};; --output=*) out=${word#*=};; --error=*) err=${word#*=};; esac
    script=$token token=$word
done
echo "78|RUNNING|$token|None" >> "$(dirname "$0")/queue"
export SLURM_JOB_ID=78
cd "$dir" && exec setsid "$script" "$token" > "$out" 2> "$err" < /dev/null &
echo $! > "$(dirname "$0")/leader"
echo 78"#;
const NO_CANCEL: &str =
    "echo 'scancel: error: Kill job error on job id 78: Access/permission denied' >&2; exit 1";
const CANCEL: &str = r#"kill -9 "-$(cat "$(dirname "$0")/leader")" && rm -f "$(dirname "$0")/queue""#;

/// Starts a process whose running job is cancelled by this command.
fn with_job(ferry: &Profile, cancel: &str) -> Result<(Fakes, String)> {
    let fakes = Fakes::new(ferry)?;
    fakes.put("sbatch", LASTING)?;
    fakes.put("scancel", cancel)?;
    fakes.start_daemon(ferry)?;
    let id = ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "sleep=600", "--computer", "fake"])?;
    until(ferry, &id, "running", |shown| shown["scheduler_state"] == "RUNNING")?;
    Ok((fakes, id))
}

/// Makes a process whose job the scheduler refused to cancel once.
fn not_cancelled(ferry: &Profile) -> Result<(Fakes, String)> {
    let (fakes, id) = with_job(ferry, NO_CANCEL)?;
    let kill = || ferry.ferry(&["process", "kill", &id, "--timeout", "2"])?.expect(1);
    kill()?.says(&["did not end within 2 s", "the wish is kept", "--force"])?;
    until(ferry, &id, "told why", |shown| {
        waits_for(shown, "could not be cancelled yet") && waits_for(shown, "permission denied")
    })?;
    // A repeated request is the same request.
    kill()?.says(&["permission denied"])?;
    Ok((fakes, id))
}

fn a_cancel_that_fails_is_told_and_repeated() -> Result {
    let ferry = Profile::new()?;
    let (fakes, id) = not_cancelled(&ferry)?;
    fakes.put("scancel", CANCEL)?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["state"] == "killed", || format!("{shown:#}"))?;
    check(!fakes.bin.join("queue").exists(), || "its job was left".into())
}

fn a_forced_kill_ends_what_can_not_be_cancelled() -> Result {
    let ferry = Profile::new()?;
    let (fakes, id) = not_cancelled(&ferry)?;
    ferry.ok(&["process", "kill", &id, "--force"])?;
    let shown = ferry.json(&["process", "show", &id])?;
    check(shown["state"] == "killed", || format!("{shown:#}"))?;
    fakes.put("scancel", CANCEL)?;
    let begun = Instant::now();
    while fakes.bin.join("queue").exists() {
        check(begun.elapsed() < LIMIT, || "its job is not cancelled when that can be done".into())?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// It is begun, and stays.
const HANGS: &str = r#"touch "$(dirname "$0")/hangs"; exec sleep 300"#;

fn a_forced_kill_overtakes_one_that_hangs() -> Result {
    let ferry = Profile::new()?;
    let (fakes, id) = with_job(&ferry, HANGS)?;
    ferry.ferry(&["process", "kill", &id, "--timeout", "0"])?.expect(0)?;
    until(&ferry, &id, "being cancelled", |_| fakes.bin.join("hangs").exists())?;
    fakes.put("scancel", CANCEL)?;
    // The cancel that hangs would be given up after half a minute.
    let begun = Instant::now();
    ferry.ok(&["process", "kill", &id, "--force"])?;
    let took = begun.elapsed();
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "not killed".into())?;
    check(took < Duration::from_secs(10), || format!("it took {took:?}"))?;
    check(!fakes.bin.join("queue").exists(), || "its job was left".into())
}

fn an_unclear_submission_waits_for_the_user() -> Result {
    let ferry = Profile::new()?;
    let fakes = Fakes::new(&ferry)?;
    fakes.put("sbatch", LOST)?;
    fakes.start_daemon(&ferry)?;
    let marker = ferry.scratch().join("marker");
    let marker_word = format!("marker={}", marker.display());
    let id = ferry.submit(&["arithmetic.add_job", "x=1", "y=1", &marker_word, "--computer", "fake"])?;
    let shown = until(&ferry, &id, "unclear", |shown| waits_for(shown, "unclear since"))?;
    check(waits_for(&shown, "computer test --job") && waits_for(&shown, "process resubmit"), || {
        format!("{shown:#}")
    })?;
    ferry.ok(&["process", "report", &id])?;
    fakes.put("sbatch", HONEST)?;
    ferry.ok(&["process", "resubmit", &id, "--yes"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    let ran = fs::read_to_string(&marker).unwrap_or_default().lines().count();
    check(ran == 1, || format!("it ran {ran} times"))?;
    ferry.ferry(&["process", "resubmit", &id, "--yes"])?.expect(1)?.says(&["has ended"]).map(drop)
}

fn a_test_job_lets_ferry_conclude_by_itself() -> Result {
    let ferry = Profile::new()?;
    let fakes = Fakes::new(&ferry)?;
    fakes.put("sbatch", LOST)?;
    fakes.start_daemon(&ferry)?;
    let id = ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "--computer", "fake"])?;
    until(&ferry, &id, "unclear", |shown| waits_for(shown, "unclear since"))?;
    fakes.put("sbatch", HONEST)?;
    let mut command = ferry.command(&["computer", "test", "fake", "--job"]);
    let path = format!("{}:{}", text(&fakes.bin), std::env::var("PATH").unwrap_or_default());
    let tested = command.env("PATH", path).output().map_err(|error| error.to_string())?;
    check(tested.status.success(), || String::from_utf8_lossy(&tested.stdout).into_owned())?;
    let shown = ferry.ended(&id, LIMIT * 2)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    // Other settings, which were never tested.
    let other = ferry.scratch().join("other");
    ferry.ok(&["computer", "configure", "fake", "-n", "--work-dir", text(&other)])?;
    fakes.put("sbatch", LOST)?;
    let id = ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "--computer", "fake"])?;
    until(&ferry, &id, "unclear again", |shown| waits_for(shown, "computer test --job")).map(drop)
}

/// The node that was to start it does away with it, and the next one gets a good scheduler.
const GIVES_UP: &str = r#"for word; do token=$word; done
here=$(dirname "$0")
echo "79|CANCELLED|$token|ReqNodeNotAvail" >> "$here/queue"
echo "79|$token|1000|2000" > "$here/cancelled"
mv "$here/honest" "$here/sbatch"
echo 79"#;
fn what_slurm_gave_up_is_submitted_anew() -> Result {
    let ferry = Profile::new()?;
    let fakes = Fakes::new(&ferry)?;
    fakes.put("sbatch", HONEST)?;
    fakes.start_daemon(&ferry)?;
    let mut test = ferry.command(&["computer", "test", "fake", "--job"]);
    let path = format!("{}:{}", text(&fakes.bin), std::env::var("PATH").unwrap_or_default());
    test.env("PATH", path);
    Profile::run(test)?.expect(0)?;

    let run = || {
        fakes.put("honest", HONEST)?;
        fakes.put("sbatch", GIVES_UP)?;
        let id = ferry.submit(&["arithmetic.add_job", "x=2", "y=3", "--computer", "fake"])?;
        ferry.ended(&id, LIMIT)
    };
    // The controller was started just before the end: no user cancelled it.
    fakes.put("scontrol", "echo 'BOOT_TIME               = 1990'")?;
    let shown = run()?;
    check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 5, || format!("{shown:#}"))?;
    let report = ferry.ok(&["process", "report", &shown["id"].to_string()])?;
    check(report.contains("gave up job 79 before it started; submitting it again"), || report)?;
    // It was there all the time: a user cancelled it.
    fakes.put("scontrol", "echo 'BOOT_TIME               = 10'")?;
    let shown = run()?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    let is_told = said.contains("ERROR_SCHEDULER_CANCELLED") && said.contains("the scheduler says CANCELLED");
    check(shown["exit_code"] == 143 && is_told, || format!("{shown:#}"))
}

fn a_missing_work_directory_loses_nothing() -> Result {
    let ferry = Profile::new()?;
    // Time enough to take the directory away between the job's end and the next look.
    let words = ["--poll-interval", "3", "--retry-initial", "2"];
    ferry.ok(&[&["computer", "configure", "localhost", "-n"], &words[..]].concat())?;
    ferry.ok(&["daemon", "start"])?;
    // Nor does the job report its end: a file blocks the directory of the watcher.
    let first = ferry.submit(&["arithmetic.add_job", "x=2", "y=3"])?;
    ferry.ended(&first, LIMIT)?;
    told::silence(&ferry)?;
    let id = ferry.submit(&["arithmetic.add_job", "x=2", "y=3"])?;
    let shown = until(&ferry, &id, "submitted", |shown| shown["job_id"].is_string())?;
    let place = PathBuf::from(shown["work_dir"].as_str().unwrap_or_default());
    let begun = Instant::now();
    let marker = place.join(".ferry/exit");
    while !fs::read_to_string(&marker).is_ok_and(|marker| marker.lines().count() > 1) {
        check(begun.elapsed() < LIMIT, || "the job does not end".into())?;
        thread::sleep(Duration::from_millis(20));
    }
    let away = ferry.scratch().join("away");
    fs::rename(&place, &away).map_err(|error| error.to_string())?;
    let shown = until(&ferry, &id, "told", |shown| waits_for(shown, "is gone from computer"))?;
    check(shown["attempt"] == 1 && shown["next_try"].is_string(), || format!("{shown:#}"))?;
    fs::rename(&away, &place).map_err(|error| error.to_string())?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 5, || format!("{shown:#}"))
}

/// It is not restored: the process waits for its user, whose kill ends it, and never runs a second time.
fn a_work_directory_removed_under_its_job(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    let words = ["--retry-initial", "0.3", "--retry-attempts", "3"];
    ferry.ok(&[&["computer", "configure", &cell.computer(), "-n"], &words[..]].concat())?;
    ferry.ok(&["daemon", "start"])?;
    let marker = ferry.scratch().join("lost");
    let marker_word = format!("marker={}", marker.display());
    let lost = cell.submit(&ferry, &["arithmetic.add_job", "x=1", "y=2", "sleep=2", &marker_word])?;
    let mut others = submit_markers(cell, &ferry, 3, "2")?;
    let shown = until(&ferry, &lost, "running", |_| marker.exists())?;
    fs::remove_dir_all(shown["work_dir"].as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
    others.extend(submit_markers_from(cell, &ferry, 3, 3, "0")?);

    let shown = until(&ferry, &lost, "paused", |shown| shown["paused"] == true)?;
    let advice = format!("ferry process kill {lost}");
    let told = waits_for(&shown, "failed 3 times") && waits_for(&shown, "is gone from computer");
    check(told && waits_for(&shown, &advice) && shown["attempt"] == 3, || format!("{shown:#}"))?;
    let report = ferry.ok(&["process", "report", &lost])?;
    let next = format!("next: nothing, until `ferry process play {lost}`");
    check(report.contains("is gone from computer") && report.contains(&next), || report)?;
    for (id, _) in &others {
        ferry.ended(id, LIMIT)?;
    }
    judge(&ferry, &others)?;

    ferry.ok(&["process", "kill", &lost])?;
    let shown = ferry.ended(&lost, LIMIT)?;
    check(shown["state"] == "killed", || format!("{shown:#}"))?;
    let runs = fs::read_to_string(&marker).unwrap_or_default().lines().count();
    check(runs == 1, || format!("it ran {runs} times"))?;
    let shown = ferry.json(&["limit", "show", &cell.computer()])?;
    check(shown[0]["active"] == 0, || format!("a ticket leaked: {shown:#}"))
}

fn a_directory_removed_before_its_job_is_made_anew() -> Result {
    let ferry = Profile::new()?;
    let limit = |bound: &str| {
        ferry.ok(&["computer", "configure", "localhost", "-n", "--max-active-jobs", bound]).map(drop)
    };
    limit("0")?;
    ferry.ok(&["daemon", "start"])?;
    let id = ferry.submit(&["arithmetic.add_job", "x=2", "y=3"])?;
    let shown = until(&ferry, &id, "uploaded", |shown| waits_for(shown, "queue slot"))?;
    ferry
        .ferry(&["process", "resubmit", &id, "--yes"])?
        .expect(1)?
        .says(&["is not unclear", "queue slot"])?;
    let place = shown["work_dir"].as_str().unwrap_or_default().to_owned();
    fs::remove_dir_all(&place).map_err(|error| error.to_string())?;
    limit("5")?;
    until(&ferry, &id, "unclear", |shown| waits_for(shown, "unclear since") && waits_for(shown, &place))?;
    ferry.ok(&["process", "resubmit", &id, "--yes"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 5, || format!("{shown:#}"))
}

fn a_full_quota_ends_when_there_is_room() -> Result {
    full_quota(&Profile::new()?, "localhost")
}

fn a_full_quota_over_there_ends_when_there_is_room(cell: &Cell) -> Result {
    full_quota(&cell.profile()?, &cell.computer())
}

fn full_quota(ferry: &Profile, computer: &str) -> Result {
    let place = ferry.scratch().join("small");
    let _small = Tmpfs::mount(&place, "256k")?;
    let words = ["--work-dir", text(&place), "--poll-interval", "0.2", "--retry-initial", "0.5"];
    ferry.ok(&[&["computer", "configure", computer, "-n"], &words[..]].concat())?;
    ferry.ok(&["daemon", "start"])?;
    let filler = place.join("filler");
    // As much as fits, and the error of what does not.
    let _ = fs::write(&filler, vec![0; 1 << 20]);
    let id = ferry.submit(&["arithmetic.add_job", "x=2", "y=3", "--computer", computer])?;
    let shown = until(ferry, &id, "told", |shown| waits_for(shown, "no space or quota is left"))?;
    check(shown["attempt"] == 0 && shown["paused"] == false, || format!("{shown:#}"))?;
    fs::remove_file(&filler).map_err(|error| error.to_string())?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 5, || format!("{shown:#}"))
}

/// An impossible work directory: as far as ferry can tell, only this process is affected.
fn failures_are_counted_shown_and_survive_a_restart() -> Result {
    let ferry = Profile::new()?;
    // An endless chain of links is not an error that the user is asked about at once.
    let loop_ = ferry.scratch().join("loop");
    std::os::unix::fs::symlink(&loop_, &loop_).map_err(|error| error.to_string())?;
    let words = ["--work-dir", text(&loop_), "--retry-initial", "3", "--retry-attempts", "3"];
    ferry.ok(&[&["computer", "configure", "localhost", "-n"], &words[..]].concat())?;
    ferry.ok(&["daemon", "start"])?;
    let id = ferry.submit(&["arithmetic.add_job", "x=2", "y=3"])?;
    let shown = until(&ferry, &id, "counted", |shown| shown["attempt"] == 1)?;
    check(shown["max_attempts"] == 3 && shown["last_error"].is_string(), || format!("{shown:#}"))?;
    let report = ferry.ok(&["process", "report", &id])?;
    check(report.contains("next: ") && report.contains("tried: 1 of 3"), || report)?;
    ferry.ok(&["daemon", "restart"])?;
    let again = ferry.json(&["process", "show", &id])?;
    check(again["attempt"] == 1 && again["next_try"] == shown["next_try"], || format!("{again:#}"))?;
    let shown = until(&ferry, &id, "paused", |shown| shown["paused"] == true)?;
    check(waits_for(&shown, "failed 3 times"), || format!("{shown:#}"))?;
    fs::remove_file(&loop_).map_err(|error| error.to_string())?;
    ferry.ok(&["process", "play", &id])?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || "it did not go on".into())
}

/// Makes a profile that accepts the key of the cell's computer, behind a port of our own.
fn behind_a_port(cell: &Cell) -> Result<(Profile, Port)> {
    let ferry = cell.profile()?;
    let shown = ferry.json(&["computer", "show", &cell.computer()])?;
    let server = shown["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    let port = Port::before(server.ok_or_else(|| format!("no port: {shown:#}"))?)?;
    let (number, known) = (port.number.to_string(), ferry.scratch().join("known_hosts"));
    let words = ["--port", &number, "--known-hosts", text(&known), "--key-policy", "AutoAddPolicy"];
    let pace = ["--probe-initial", "1", "--probe-max", "4"];
    let computer = cell.computer();
    let all = [&["computer", "configure", &computer, "-n"], &words[..], &pace[..]].concat();
    ferry.ok(&all)?;
    Ok((ferry, port))
}

fn a_server_that_is_down_is_tried_rarely(cell: &Cell) -> Result {
    let (ferry, port) = behind_a_port(cell)?;
    ferry.ok(&["daemon", "start"])?;
    let mut jobs = submit_markers(cell, &ferry, 10, "1")?;
    thread::sleep(Duration::from_millis(1500));
    port.close();
    jobs.extend(submit_markers_from(cell, &ferry, 10, 40, "0")?);
    let last = jobs.last().map(|(id, _)| id.clone()).unwrap_or_default();
    let shown = until(&ferry, &last, "told why", |shown| waits_for(shown, "unreachable since"))?;
    check(waits_for(&shown, "next try") && shown["attempt"] == 0, || format!("{shown:#}"))?;
    ferry.ok(&["daemon", "restart"])?;
    let shown = ferry.json(&["process", "show", &last])?;
    check(waits_for(&shown, "unreachable since"), || format!("a restart has forgotten: {shown:#}"))?;
    let listed = ferry.json(&["computer", "show", &cell.computer()])?;
    check(listed["host"]["breaker"] != "closed", || format!("{listed:#}"))?;
    ferry.ferry(&["status"])?.expect(0)?.says(&["unreachable since"])?;
    thread::sleep(Duration::from_secs(8));
    let tries = port.open();
    check((1..=8).contains(&tries), || format!("{tries} connections to a server that is down"))?;
    ferry.all_ended(Duration::from_secs(400))?;
    judge(&ferry, &jobs)
}

fn refused_credentials_wait_for_the_user(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    let computer = cell.computer();
    let shown = ferry.json(&["computer", "show", &computer])?;
    let key = shown["key_filename"].as_str().unwrap_or_default().to_owned();
    let wrong = ferry.scratch().join("wrong_key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", text(&wrong)])
        .output();
    made.map_err(|error| format!("ssh-keygen: {error}"))?;
    ferry.ok(&["computer", "configure", &computer, "-n", "--key-filename", text(&wrong)])?;
    ferry.ok(&["daemon", "start"])?;
    let ids: Vec<String> =
        (0..5).map(|_| cell.submit(&ferry, &["arithmetic.add_job", "x=1", "y=1"])).collect::<Result<_>>()?;
    for id in &ids {
        let shown = until(&ferry, id, "told", |shown| waits_for(shown, "access refused since"))?;
        check(shown["next_try"].is_null() && shown["paused"] == false, || format!("{shown:#}"))?;
    }
    // The right key again: changed settings are tried at once.
    ferry.ok(&["computer", "configure", &computer, "-n", "--key-filename", &key])?;
    ferry.all_ended(Duration::from_secs(400))
}
