//! A small dialect of PBS (OpenPBS, PBS Professional): the eight methods of [`Dialect`], and two settings.
//!
//! A program knows it beside ferry's own schedulers with `App::builder().scheduler(ferry_example_dialect::register())`.
//! Then it is a scheduler like any other in a computer file:
//!
//! ```yaml
//! scheduler: example.pbs
//! pbs_server: pbs01          # a setting of this scheduler
//! ```
//!
//! PBS shows us why two rules are as they are. It passes no arguments to a script, so `qsub` gets the copy of the
//! script that has the token in it, `$2`. And a job's name may have only 15 characters, so it is the token alone.

use std::sync::Arc;

use ferry_engine_core::{
    computer::Computer,
    scheduler::{
        CliScheduler, Dialect, Error, ErrorKind, Factory, Header, JobId, JobRef, JobTemplate, Query, Queue,
        Recorded, Result, Scheduler, Submission, setting,
    },
    transport::{Command, Output, Setting, quote, quote_path},
};

mod jobs;

/// Returns the scheduler, ready for `App::scheduler`.
pub fn register() -> Arc<dyn Factory> {
    Arc::new(Kind)
}

/// Makes the scheduler of a computer from its settings.
#[derive(Debug)]
struct Kind;

impl Factory for Kind {
    fn name(&self) -> &'static str {
        "example.pbs"
    }

    fn settings(&self) -> &'static [Setting] {
        &[
            Setting { key: "pbs_server", help: "the server that jobs go to (default: that of pbs.conf)" },
            Setting { key: "pbs_bin", help: "directory of qsub, qstat and qdel (default: on the PATH)" },
        ]
    }

    fn make(&self, computer: &Computer) -> Result<Arc<dyn Scheduler>> {
        let server = setting(computer, "pbs_server")?;
        let bin = setting(computer, "pbs_bin")?;
        Ok(Arc::new(CliScheduler::new(Pbs { server, bin })))
    }
}

/// The dialect of PBS's commands on one computer.
#[derive(Debug, Clone, Default)]
pub struct Pbs {
    /// The server that jobs go to; `None`: the default of the host.
    pub server: Option<String>,
    /// The directory of PBS's commands; `None`: they are on the `PATH`.
    pub bin: Option<String>,
}

impl Pbs {
    /// Returns shell text that leads the commands after it to the computer's server.
    fn settings(&self) -> String {
        let server = self.server.iter().map(|name| format!("export PBS_DEFAULT={}; ", quote(name)));
        let bin = self.bin.iter().map(|dir| format!("export PATH={}:\"$PATH\"; ", quote(dir)));
        server.chain(bin).collect()
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Permanent, "pbs").message(message)
}

/// Returns ids as words of a command. An id is of our own making only in so far as PBS gave it.
fn ids(jobs: &[JobRef]) -> String {
    jobs.iter().map(|job| quote(job.id.number())).collect::<Vec<_>>().join(" ")
}

impl Dialect for Pbs {
    fn header(&self, job: &JobTemplate) -> Result<Header> {
        let asked = &job.resources;
        if job.rerunnable || job.qos.is_some() {
            return Err(refuse("this dialect can't express `rerunnable` and `qos`: leave them out"));
        }
        let cores = u64::from(asked.tasks_per_machine) * u64::from(asked.cores_per_task.unwrap_or(1));
        let mut select =
            format!("select={}:ncpus={cores}:mpiprocs={}", asked.machines, asked.tasks_per_machine);
        select.extend(job.max_memory_kb.map(|kb| format!(":mem={kb}kb")));
        let mut lines = vec!["-r n".to_owned(), format!("-l {select}")];
        lines.extend(job.max_wallclock_seconds.map(|seconds| format!("-l walltime={seconds}")));
        for (option, value) in [("-q", &job.queue_name), ("-A", &job.account), ("-p", &job.priority)] {
            let Some(value) = value else { continue };
            if value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return Err(refuse(format!("`{value}` can't be given to PBS as {option}")));
            }
            lines.push(format!("{option} {value}"));
        }
        lines.extend(job.import_sys_environment.then(|| "-V".to_owned()));
        let lines = lines.iter().map(|line| format!("#PBS {line}")).collect();
        Ok(Header { lines, ..Header::default() })
    }

    fn identity(&self) -> &'static str {
        // `-r n`: PBS starts no job again by itself.
        "ferry_job=${PBS_JOBID:-none}\nferry_restart=0"
    }

    fn submit_text(&self, job: &Submission) -> String {
        let file = |name: &str| quote_path(&job.dir.join(name));
        // A subshell, so that the exported variables are of this submission alone.
        format!(
            "({}exec timeout -k 2 40 qsub -N \"$1\" -o {} -e {} \"$2\")",
            self.settings(),
            file(&job.stdout),
            file(&job.stderr)
        )
    }

    fn parse_submit(&self, recorded: &Recorded) -> Result<JobId> {
        let first = recorded.stdout.lines().next().unwrap_or_default().trim();
        if first.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(JobId(first.to_owned()));
        }
        let words = recorded.stderr.trim();
        let said = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
        let error = |kind| Error::new(kind, "submit").message(words);
        Err(if said(&["Unknown queue", "Unknown resource", "Illegal attribute or resource value"]) {
            error(ErrorKind::Permanent)
        } else if said(&["would exceed", "Maximum number of jobs"]) {
            error(ErrorKind::Full).later()
        } else if said(&["cannot connect to server", "Connection refused"]) {
            error(ErrorKind::Unreachable).later()
        } else if words.is_empty() {
            Error::new(ErrorKind::Ambiguous, "submit").message("qsub gave no answer").later().effect_unknown()
        } else {
            error(ErrorKind::Unrecognized).later().effect_unknown()
        })
    }

    fn queue_command(&self, query: &Query<'_>) -> Command {
        // `-x` shows ended jobs too, where the server remembers them. `qselect` prints the ids of this user's.
        let which = match query.by_id {
            true => format!("ids={}", quote(&ids(query.jobs))),
            false => "ids=$(timeout -k 2 40 qselect -x -u \"$(id -un)\") || exit 1".to_owned(),
        };
        Command::sh(format!(
            "{}{which}; [ -z \"$ids\" ] || eval timeout -k 2 40 qstat -x -f $ids 2>&1; echo \"#end $?\"",
            self.settings()
        ))
    }

    fn parse_queue(&self, query: &Query<'_>, output: &Output) -> Result<Queue> {
        let text = output.text();
        let wanted = if query.by_id { query.jobs } else { &[] };
        jobs::read(&text, wanted).ok_or_else(|| {
            let said = text.lines().find(|line| line.starts_with("qstat: ")).unwrap_or("no answer");
            Error::new(ErrorKind::Unreachable, "qstat")
                .message(said)
                .with("stderr", output.error_text())
                .later()
        })
    }

    fn cancel_command(&self, _: Option<&str>, jobs: &[JobRef]) -> Command {
        Command::sh(format!("{}timeout -k 2 40 qdel {} 2>&1; echo '#end'", self.settings(), ids(jobs)))
    }

    fn parse_cancel(&self, jobs: &[JobRef], output: &Output) -> Vec<Result<()>> {
        let text = output.text();
        // What is over already is fine. A complaint names the job at its end.
        let refusal = |job: &JobRef| {
            let mut lines = text.lines().filter(|line| line.ends_with(job.id.number()));
            lines.find(|line| !line.contains("Unknown Job Id") && !line.contains("has finished"))
        };
        let one = |job: &JobRef| match refusal(job) {
            _ if !text.ends_with("#end\n") => Err("qdel gave no answer"),
            Some(line) => Err(line),
            None => Ok(()),
        };
        let error = |words: &str| Error::new(ErrorKind::Unreachable, "cancel").message(words).later();
        jobs.iter().map(|job| one(job).map_err(error)).collect()
    }
}
