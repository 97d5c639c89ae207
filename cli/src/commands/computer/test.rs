//! `computer test`: step by step, each with what it found and what to do about it.

mod environment;
mod files;
mod job;
mod shell;

use std::{fmt::Display, path::PathBuf, sync::Arc, time::Duration};

use ferry_engine::{
    computer::Computer,
    rpc::{HostAction, Request},
    scheduler::{Allocation, Scheduler, Schedulers},
    transport::{Transport, Transports},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
};

/// Most time for all steps but the job. Without it, the time-outs of a dozen steps would add up.
const WHOLE: Duration = Duration::from_secs(90);

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    step: &'static str,
    ok: bool,
    detail: String,
    help: Option<String>,
}

impl Check {
    fn ok(step: &'static str, detail: impl Into<String>) -> Check {
        Check { step, ok: true, detail: detail.into(), help: None }
    }

    fn failed(step: &'static str, detail: impl Display, help: impl Into<String>) -> Check {
        Check { step, ok: false, detail: detail.to_string(), help: Some(help.into()) }
    }

    /// Adds advice to a good result.
    fn hint(self, help: impl Into<String>) -> Check {
        Check { help: Some(help.into()), ..self }
    }
}

/// The objects that the steps work with.
struct Bench {
    computer: Computer,
    via: Arc<dyn Transport>,
    scheduler: Arc<dyn Scheduler>,
    /// The environments that a submission leaves.
    allocations: Vec<Allocation>,
    /// The work directory, with the user's name filled in.
    work_dir: PathBuf,
}

impl Bench {
    /// Returns a directory of this test alone.
    fn fresh_dir(&self) -> PathBuf {
        self.work_dir.join(format!(".ferry-test-{}", Uuid::new_v4().simple()))
    }
}

/// Shows each check as it comes, and keeps them.
struct Shown {
    format: Format,
    checks: Vec<Check>,
}

impl Shown {
    fn add(&mut self, check: Check) -> Result<bool> {
        let ok = check.ok;
        if self.format == Format::Table {
            output::line(format!("{:7} {}: {}", if ok { "ok" } else { "FAILED" }, check.step, check.detail))?;
            if let Some(help) = &check.help {
                output::line(format!("        {} {help}", if ok { "hint:" } else { "help:" }))?;
            }
        }
        self.checks.push(check);
        Ok(ok)
    }

    fn finish(self, label: &str) -> Result {
        if self.format == Format::Json {
            output::json(&Value::Array(self.checks.iter().map(to_json).collect()))?;
        }
        match self.checks.iter().filter(|check| !check.ok).count() {
            0 => Ok(()),
            failed => Err(Failure::new(format!(
                "computer `{label}`: {failed} of {} checks failed",
                self.checks.len()
            ))),
        }
    }
}

fn to_json(check: &Check) -> Value {
    json!({"step": check.step, "ok": check.ok, "detail": check.detail, "help": check.help})
}

/// Tests a computer; with `job`, a job that may take so long too.
///
/// # Errors
/// Fails if a check failed.
pub(super) async fn run(session: &Session, label: &str, job: Option<Duration>) -> Result {
    let computer = session.reader().await?.computer(label)?.config;
    let mut shown = Shown { format: session.format, checks: Vec::new() };
    let transports = Transports::new(session.builder.transports.iter().cloned());
    let opened = match transports.get(&computer).await {
        Ok(via) => open(session, computer, via).await,
        Err(error) => Err(Check::failed("connect", &error, error.help_text().unwrap_or(&unreachable(label)))),
    };
    match opened {
        Ok(bench) => {
            let how = format!("{} to {}", bench.computer.transport, bench.computer.hostname);
            shown.add(Check::ok("connect", how))?;
            let proven = all(&bench, job, &mut shown).await?;
            bench.via.close().await;
            tell(session, label, proven).await?;
        }
        Err(check) => drop(shown.add(check)?),
    }
    shown.finish(label)
}

/// Reports to the owner that the computer works, and the evidence of a job.
async fn tell(session: &Session, label: &str, proven: bool) -> Result {
    let is_waited_for = session.reader().await?.host(label)?.breaker.is_some();
    let action = if proven { HostAction::Proven } else { HostAction::TryNow };
    if proven || is_waited_for {
        session.call(Request::Host { computer: label.to_owned(), action }).await?;
    }
    Ok(())
}

fn unreachable(label: &str) -> String {
    format!("see `ferry computer show {label}`; `ferry computer configure {label}` changes the connection")
}

async fn open(session: &Session, computer: Computer, via: Arc<dyn Transport>) -> Result<Bench, Check> {
    let known = Schedulers::new(session.builder.schedulers.iter().cloned());
    let scheduler = known.of(&computer).map_err(|error| {
        let help = error.help_text().unwrap_or("`ferry computer configure` changes it").to_owned();
        Check::failed("connect", &error, help)
    })?;
    let user = via.whoami().await.map_err(|error| {
        Check::failed("connect", &error, error.help_text().unwrap_or(&unreachable(&computer.label)))
    })?;
    let work_dir = computer.work_dir_of(&user).map_err(|message| {
        let help =
            format!("write the whole path: ferry computer configure {} --work-dir DIR", computer.label);
        Check::failed("user", message, help)
    })?;
    let work_dir = PathBuf::from(work_dir);
    Ok(Bench { computer, via, scheduler, allocations: known.allocations(), work_dir })
}

/// The steps of one test, under one deadline.
struct Steps<'a> {
    shown: &'a mut Shown,
    deadline: Instant,
    /// The step that took longest, and its time.
    slowest: Option<(&'static str, Duration)>,
    is_late: bool,
}

impl Steps<'_> {
    /// Takes a step, if there is time left. Returns whether it went well.
    async fn take(&mut self, name: &'static str, step: impl Future<Output = Check>) -> Result<bool> {
        if self.is_late {
            return Ok(false);
        }
        let begun = Instant::now();
        let check = timeout_at(self.deadline, step).await.unwrap_or_else(|_| {
            self.is_late = true;
            let detail = format!("no answer within the {WHOLE:?} of this test; later steps were not tried");
            Check::failed(name, detail, self.late())
        });
        let took = begun.elapsed();
        if self.slowest.is_none_or(|(_, longest)| took > longest) {
            self.slowest = Some((name, took));
        }
        self.shown.add(check)
    }

    fn late(&self) -> String {
        match self.slowest {
            Some((step, took)) if took > Duration::from_secs(5) => {
                format!("the step `{step}` before it took {:.0} s: look there first", took.as_secs_f64())
            }
            _ => "the steps before it were quick, so this one alone hangs: try it there by hand".into(),
        }
    }
}

/// Runs all steps. Returns whether a job ran successfully.
async fn all(bench: &Bench, job: Option<Duration>, shown: &mut Shown) -> Result<bool> {
    let mut steps = Steps { shown, deadline: Instant::now() + WHOLE, slowest: None, is_late: false };
    steps.take("quiet shell", shell::quiet(bench)).await?;
    // Where the shell itself is slow, comparing environments would only tell the same again.
    if steps.take("login shell", shell::login_time(bench)).await? {
        steps.take("environment", environment::compare(bench)).await?;
    }
    steps.take("user", shell::user(bench)).await?;
    steps.take("queue", queue(bench)).await?;
    let mut sound = steps.take("work directory", files::work_directory(bench)).await?;
    sound = sound && steps.take("files", files::files(bench)).await?;
    sound &= steps.take("tools", shell::tools(bench)).await?;
    steps.take("clocks", shell::clocks(bench)).await?;
    match job {
        Some(_) if !sound => {
            let help = "do what the failed steps above say, then test again";
            shown.add(Check::failed("job", "not tried, since it could not work", help))
        }
        Some(limit) => shown.add(job::run(bench, limit).await),
        None => Ok(false),
    }
}

async fn queue(bench: &Bench) -> Check {
    const STEP: &str = "queue";
    match bench.scheduler.list(&*bench.via).await {
        Ok(count) => Check::ok(STEP, format!("{} lists {count} jobs of yours", bench.computer.scheduler)),
        Err(error) => {
            let help = format!(
                "is `{}` the right scheduler for this computer, and are its commands in the PATH of a plain shell there?",
                bench.computer.scheduler
            );
            Check::failed(STEP, &error, error.help_text().unwrap_or(&help))
        }
    }
}

/// Shortens a failed output to a few words.
fn shorten(text: &str) -> String {
    let line = text.trim().replace('\n', " / ");
    if line.chars().count() > 120 { line.chars().take(117).chain("...".chars()).collect() } else { line }
}
