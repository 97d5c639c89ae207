//! A small real job: uploaded, submitted, awaited, and read back, without the daemon or the store.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ferry_engine::{
    ids,
    scheduler::{
        Cancelled, CommandLine, JobId, JobRef, JobState, JobTemplate, Resources, Submission, markers,
    },
    transport::{QUIET, Tree, TreeEntry},
};
use tokio::io::AsyncReadExt;

use super::{Bench, Check, shorten};
use crate::output;

const STEP: &str = "job";
const SCRIPT: &str = "job.sh";
const STDOUT: &str = "stdout.txt";
const STDERR: &str = "stderr.txt";
/// File to which the job writes the directory that it ran in.
const PLACE: &str = "place.txt";
/// Maximum time that a shared file system may take to show what a job has left there.
const SETTLING: Duration = Duration::from_secs(10);
/// Most of a file that is read back, bytes.
const MAX: u64 = 4096;

/// Runs the job, and clears up unless it may still run.
pub(super) async fn run(bench: &Bench, limit: Duration) -> Check {
    let dir = bench.fresh_dir();
    let (check, ended) = match tried(bench, &dir, limit).await {
        Ok(check) => (check, true),
        Err(TestFailure { detail, help, ended }) => (Check::failed(STEP, detail, help), ended),
    };
    if !ended {
        return check;
    }
    match bench.via.remove_tree(&dir).await {
        Err(error) if check.ok => check.hint(format!("remove {} by hand: {error}", dir.display())),
        _ => check,
    }
}

struct TestFailure {
    detail: String,
    help: String,
    /// Nothing runs any more in the directory.
    ended: bool,
}

impl TestFailure {
    fn before(detail: impl ToString, help: impl Into<String>) -> TestFailure {
        TestFailure { detail: detail.to_string(), help: help.into(), ended: true }
    }
}

async fn tried(bench: &Bench, dir: &Path, limit: Duration) -> Result<Check, TestFailure> {
    let begin = Instant::now();
    let submission = upload(bench, dir).await?;
    let id = submit(bench, &submission).await?;
    let job = submission.job(id);
    let id = &job.id;
    output::note(format!("job {id} is submitted; waiting for its end"));
    let (status, named) = wait(bench, dir, &job, limit).await?;
    if status != 0 {
        return Ok(died(bench, dir, status).await);
    }
    let place = read(bench, &dir.join(PLACE)).await;
    if Path::new(place.trim()) != dir {
        let help = "the job must see the work directory where this side sees it: choose a work_dir on a shared file system";
        return Ok(Check::failed(
            STEP,
            format!("it ran in `{}` rather than in {}", shorten(&place), dir.display()),
            help,
        ));
    }
    let found = markers(&*bench.via, &[dir]).await.unwrap_or_default();
    let owner = found.get(dir).and_then(|marker| marker.run.clone());
    // The script may name its cluster where the submit command did not.
    if !owner.is_some_and(|(token, id)| token == job.token && id.is_same(&job.id, None)) {
        let help = "the job must call itself by the id that it was submitted under: look at prepend_text and the \
                    scheduler's prolog";
        return Ok(Check::failed(
            STEP,
            format!("the job {id} did not sign its start gate with its id"),
            help,
        ));
    }
    if !named {
        let help = "ferry names jobs by a token of its own; after a lost answer it can look only for that name: does a \
                    submit filter there rename jobs, or hide ended ones at once?";
        return Ok(Check::failed(STEP, format!("{id} ran, but was never listed under its name"), help));
    }
    Ok(Check::ok(
        STEP,
        format!("{id} ran in its work directory and ended after {:.1} s", begin.elapsed().as_secs_f64()),
    ))
}

async fn upload(bench: &Bench, dir: &Path) -> Result<Submission, TestFailure> {
    let token = ids::token();
    let template = template(bench, dir, &token);
    let script = bench.scheduler.script(&template).map_err(|error| {
        TestFailure::before(
            &error,
            "the scheduler can't express the computer's settings: see `ferry computer show`",
        )
    })?;
    let mut tree = Tree::default();
    let file =
        |text: String, executable| TreeEntry::Bytes { bytes: Arc::from(text.into_bytes()), executable };
    tree.entries.insert(SCRIPT.into(), file(script.text, true));
    tree.entries.insert(".ferry/sentinel".into(), file(format!("{token}\n"), false));
    bench
        .via
        .put_tree(&tree, dir, QUIET)
        .await
        .map_err(|error| TestFailure::before(&error, error.help_text().unwrap_or("see the step `files`")))?;
    Ok(Submission {
        dir: dir.to_owned(),
        script: SCRIPT.into(),
        digest: token.clone(),
        interpreter: bench.computer.interpreter(),
        stdout: STDOUT.into(),
        stderr: STDERR.into(),
        label: "ferry-test".into(),
        extras: script.extras,
        home: home(bench).await,
        login_shell: bench.computer.login_shell(),
        allocations: bench.allocations.clone(),
        token,
        ..Submission::default()
    })
}

/// Returns the cluster that the scheduler speaks to by itself; `None` if it has no clusters, or does not say.
async fn home(bench: &Bench) -> Option<String> {
    if !bench.scheduler.capabilities().has_clusters {
        return None;
    }
    bench.scheduler.queue_key(&*bench.via).await.ok().map(|key| key.queue)
}

/// Makes a job template from the computer's settings, with `pwd` as its command.
fn template(bench: &Bench, dir: &Path, token: &str) -> JobTemplate {
    let computer = &bench.computer;
    let command =
        CommandLine { words: vec!["pwd".into()], stdout: Some(PLACE.into()), ..CommandLine::default() };
    JobTemplate {
        shebang: computer.shebang.clone(),
        dir: dir.to_owned(),
        digest: token.to_owned(),
        name: "ferry-test".into(),
        stdout: STDOUT.into(),
        stderr: STDERR.into(),
        resources: Resources { machines: 1, tasks_per_machine: 1, ..Resources::default() },
        max_wallclock_seconds: Some(60),
        max_memory_kb: computer.default_memory_per_machine,
        import_sys_environment: true,
        prepend: vec![computer.prepend_text.clone()],
        lines: vec![command],
        append: vec![computer.append_text.clone()],
        ..JobTemplate::default()
    }
}

async fn submit(bench: &Bench, submission: &Submission) -> Result<JobId, TestFailure> {
    let results = bench.scheduler.submit(&*bench.via, std::slice::from_ref(submission), 1).await;
    match results.into_iter().next() {
        Some(Ok(id)) => Ok(id),
        Some(Err(error)) => Err(TestFailure {
            detail: error.to_string(),
            help: error.help_text().unwrap_or("the scheduler's own words say why").to_owned(),
            ended: false,
        }),
        None => Err(TestFailure::before("the scheduler gave no answer", "test again")),
    }
}

/// Waits for the job's exit marker; its exit status, and whether it was listed under its name meanwhile.
async fn wait(bench: &Bench, dir: &Path, job: &JobRef, limit: Duration) -> Result<(i32, bool), TestFailure> {
    let end = Instant::now() + limit;
    let floor = bench.scheduler.capabilities().poll_floor.max(Duration::from_millis(200));
    let pause = bench.computer.poll_interval().unwrap_or(floor).max(floor);
    let is_authoritative = bench.scheduler.capabilities().listing_is_authoritative;
    // Children of this host have no names to be kept.
    let (mut absent, mut named) = (0, is_authoritative);
    let mut done_since = None;
    while Instant::now() < end {
        // List first: a job that is missing from the list, or ended in it, has left its marker before.
        let listed = bench.scheduler.status(&*bench.via, std::slice::from_ref(job)).await;
        let status = listed.as_ref().ok().and_then(|jobs| jobs.get(job));
        named |= status.is_some();
        absent = if listed.is_ok() && status.is_none() && is_authoritative { absent + 1 } else { 0 };
        let found = markers(&*bench.via, &[dir]).await.unwrap_or_default();
        if let Some(status) = found.get(dir).and_then(|marker| marker.exit) {
            return Ok((status, named));
        }
        if absent > 1 {
            return Err(vanished(bench, dir, job).await);
        }
        if let Some(status) = status.filter(|status| status.state == JobState::Done) {
            let since = *done_since.get_or_insert_with(Instant::now);
            if since.elapsed() > SETTLING {
                return Err(unseen(bench, dir, job, &status.raw));
            }
        }
        tokio::time::sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
    }
    Err(too_late(bench, dir, job, limit).await)
}

/// Makes the error for a job that the scheduler has finished, but of which nothing is visible here.
fn unseen(bench: &Bench, dir: &Path, job: &JobRef, raw: &str) -> TestFailure {
    TestFailure {
        detail: format!("{} ended ({raw}) and left nothing in {}", job.id, dir.display()),
        help: format!(
            "do the compute nodes see {}? Choose a work_dir on a file system that they share with the login node",
            bench.work_dir.display()
        ),
        ended: true,
    }
}

async fn vanished(bench: &Bench, dir: &Path, job: &JobRef) -> TestFailure {
    let words = read(bench, &dir.join(STDERR)).await;
    TestFailure {
        detail: format!("{} ended without an exit marker{}", job.id, said(&words)),
        help: format!("is the computer's shebang `{}` that of a POSIX shell there?", bench.computer.shebang),
        ended: true,
    }
}

async fn too_late(bench: &Bench, dir: &Path, job: &JobRef, limit: Duration) -> TestFailure {
    let listed = bench.scheduler.status(&*bench.via, std::slice::from_ref(job)).await;
    let state = match listed {
        Ok(jobs) => jobs.get(job).map_or("the scheduler does not list it".into(), |status| {
            let reason = status.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("it is {}, in the scheduler's words {}{reason}", status.state.as_str(), status.raw)
        }),
        Err(error) => error.to_string(),
    };
    let cancelled = bench.scheduler.cancel(&*bench.via, std::slice::from_ref(job)).await;
    let ended = matches!(cancelled.first(), Some(Ok(Cancelled::Over)));
    TestFailure {
        detail: format!("{} has no exit marker after {} s; {state}", job.id, limit.as_secs()),
        help: if ended {
            "it was cancelled; a longer `--timeout` waits longer".into()
        } else {
            format!("it may still run, in {}; cancel it by hand", dir.display())
        },
        ended,
    }
}

async fn died(bench: &Bench, dir: &Path, status: i32) -> Check {
    let words = read(bench, &dir.join(STDERR)).await;
    let help = "look at the computer's shebang, prepend_text and append_text: they are part of every job";
    Check::failed(STEP, format!("its script ended with exit status {status}{}", said(&words)), help)
}

/// Returns the job's stderr, shortened, for the end of a message; empty if there is none.
fn said(words: &str) -> String {
    if words.trim().is_empty() { String::new() } else { format!(": {}", shorten(words)) }
}

/// Returns the beginning of a file, as far as it can be read.
async fn read(bench: &Bench, path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(reader) = bench.via.read(path, 0).await {
        // A stream that breaks gives what came: this is for people.
        let _ = reader.take(MAX).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
