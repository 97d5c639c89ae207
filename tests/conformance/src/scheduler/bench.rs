//! Work directories and jobs, made by hand as an upload would make them, and checks of their results.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ferry_engine_core::{
    scheduler::{
        CommandLine, JobRef, JobStatus, JobTemplate, Marker, Resources, Scheduler, Submission, markers,
    },
    transport::{Command, QUIET, Transport, Tree},
};
use libtest_mimic::Failed;

/// A scheduler on its computer, for the suite's cases and for a third party's own.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The scheduler.
    pub scheduler: Arc<dyn Scheduler>,
    /// The way to its computer.
    pub via: Arc<dyn Transport>,
    scratch: PathBuf,
}

/// The result of a case.
pub type Outcome<T = ()> = Result<T, Failed>;

const SCRIPT: &str = "job.sh";

impl Bench {
    /// Works below `scratch`.
    pub fn new(scheduler: Arc<dyn Scheduler>, via: Arc<dyn Transport>, scratch: PathBuf) -> Self {
        Bench { scheduler, via, scratch }
    }

    /// Makes a work directory with the script of a job that runs `body`, and a submission for it.
    ///
    /// # Errors
    /// Returns the scheduler's errors, if it can't write the script, or the transport's.
    pub async fn job(&self, body: &str) -> Outcome<Submission> {
        self.job_with(body, |_| ()).await
    }

    /// Makes the same for a job whose template is changed.
    ///
    /// # Errors
    /// As above.
    pub async fn job_with(&self, body: &str, change: impl FnOnce(&mut JobTemplate)) -> Outcome<Submission> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = self.scratch.join(format!("job {number}"));
        let mut template = JobTemplate {
            shebang: "#!/bin/sh".into(),
            dir: dir.clone(),
            digest: format!("digest{number}"),
            name: format!("conformance-{number}"),
            stdout: "stdout".into(),
            stderr: "stderr".into(),
            resources: Resources { machines: 1, tasks_per_machine: 1, ..Resources::default() },
            import_sys_environment: true,
            lines: vec![CommandLine {
                words: vec!["sh".into(), "-c".into(), format!("echo ran >> ran; {body}")],
                ..CommandLine::default()
            }],
            ..JobTemplate::default()
        };
        change(&mut template);
        let script = self.scheduler.script(&template)?;
        let tree = Tree::default()
            .program(SCRIPT, script.text.into_bytes())
            .bytes(".ferry/sentinel", format!("{}\n", template.digest).into_bytes());
        self.via.put_tree(&tree, &dir, QUIET).await?;
        Ok(self.again(&Submission {
            home: self.home().await,
            token: String::new(),
            dir,
            script: SCRIPT.into(),
            digest: template.digest,
            interpreter: template.shebang.trim_start_matches("#!").split(' ').map(str::to_owned).collect(),
            stdout: template.stdout,
            stderr: template.stderr,
            label: template.name,
            rerunnable: template.rerunnable,
            extras: script.extras,
            login_shell: None,
            proven: true,
            ..Submission::default()
        }))
    }

    /// Returns the same job with a fresh token.
    #[must_use]
    pub fn again(&self, job: &Submission) -> Submission {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let token = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Submission { token, ..job.clone() }
    }

    /// Returns the cluster that the scheduler speaks to by itself; `None` if it has no clusters, or does not
    /// say.
    async fn home(&self) -> Option<String> {
        if !self.scheduler.capabilities().has_clusters {
            return None;
        }
        self.scheduler.queue_key(&*self.via).await.ok().map(|key| key.queue)
    }

    /// Submits one job.
    ///
    /// # Errors
    /// Returns the scheduler's errors.
    pub async fn submit(&self, job: &Submission) -> Outcome<JobRef> {
        let mut ids = self.scheduler.submit(&*self.via, std::slice::from_ref(job), 1).await;
        let id = ids.pop().ok_or("no result for the job")??;
        Ok(job.job(id))
    }

    /// Returns the scheduler's status of a job; `None` if it is absent.
    ///
    /// # Errors
    /// Returns the scheduler's errors.
    pub async fn status(&self, job: &JobRef) -> Outcome<Option<JobStatus>> {
        let mut all: BTreeMap<JobRef, JobStatus> =
            self.scheduler.status(&*self.via, std::slice::from_ref(job)).await?;
        Ok(all.remove(job))
    }

    /// Returns the markers in a work directory.
    ///
    /// # Errors
    /// Returns the transport's errors.
    pub async fn marker(&self, dir: &Path) -> Outcome<Marker> {
        Ok(markers(&*self.via, &[dir]).await?.remove(dir).unwrap_or_default())
    }

    /// Waits for the exit marker.
    ///
    /// # Errors
    /// Fails if there is none after two minutes.
    pub async fn exit(&self, dir: &Path) -> Outcome<i32> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(120) {
            if let Some(status) = self.marker(dir).await?.exit {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("the job left no exit marker".into())
    }

    /// Returns the number of times that the job's payload ran.
    ///
    /// # Errors
    /// Returns the transport's errors.
    pub async fn runs(&self, dir: &Path) -> Outcome<usize> {
        Ok(self.text(&dir.join("ran")).await?.lines().count())
    }

    /// Returns the text of a file; empty if there is none.
    ///
    /// # Errors
    /// Returns the transport's errors.
    pub async fn text(&self, path: &Path) -> Outcome<String> {
        let words = ["sh", "-c", "cat \"$1\" 2> /dev/null; true", "sh", path.to_str().unwrap_or_default()];
        Ok(self.via.exec(&Command::new(words)).await?.text())
    }
}
