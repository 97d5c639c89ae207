//! The dialect: starts a child in a session of its own, looks at `/proc`, signals a process group.

use std::{collections::BTreeMap, time::Duration};

use ferry_engine_core::{
    scheduler::{
        Capabilities, Dialect, Error, ErrorKind, GPU_VARIABLES, Header, JobFailure, JobId, JobRef, JobState,
        JobStatus, JobTemplate, Listed, Listing, Machine, Query, Queue, QueueKey, Recorded, ResourceKey,
        ResourceKind, Result, Submission, WatchEnd, without_login,
    },
    transport::{Command, Output, quote},
};

use crate::{
    cgroup, guard,
    id::{ChildId, parse_stat},
    processes::{self, WHERE},
    watch,
};

/// The dialect for computers without a scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub struct Direct;

/// Shell text that prints the resources of the machine: cores of this login, memory, and the GPUs that it may see.
const MACHINE: &str = "n=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2> /dev/null) || \
                       n=$(getconf _NPROCESSORS_ONLN 2> /dev/null); printf 'cores %s\\n' \"$n\"; \
                       while read -r k v u; do [ \"$k\" != MemTotal: ] || { printf 'memory %s\\n' \"$v\"; break; }; done \
                       < /proc/meminfo; [ -z \"${CUDA_VISIBLE_DEVICES+x}\" ] || \
                       printf 'devices %s\\n' \"$CUDA_VISIBLE_DEVICES\"; true";

/// Shell text for the job script that sets host, boot, pid and start time of its own shell.
const IDENTITY: &str = r#"read -r ferry_host < /proc/sys/kernel/hostname
read -r ferry_boot < /proc/sys/kernel/random/boot_id
IFS= read -r ferry_stat < /proc/$$/stat
set -- ${ferry_stat##*) }
ferry_job=$ferry_host:$ferry_boot:$$:${20}
ferry_restart=0
set --"#;

fn unreadable(operation: &'static str, output: &Output) -> Error {
    Error::new(ErrorKind::Unreadable, operation)
        .with("status", output.status)
        .with("stderr", output.error_text())
        .later()
}

/// Returns host and boot of an answer, and the lines after them.
fn answer<'a>(
    operation: &'static str,
    output: &'a Output,
    text: &'a str,
) -> Result<(&'a str, &'a str, Vec<&'a str>)> {
    let mut lines = text.lines();
    let place = lines.next().and_then(|line| line.split_once(' '));
    match (output.status, place) {
        (0, Some((host, boot))) if !boot.is_empty() => Ok((host, boot, lines.collect())),
        _ => Err(unreadable(operation, output)),
    }
}

impl Dialect for Direct {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            has_queue: false,
            shares_host: true,
            listing_is_authoritative: true,
            has_clusters: false,
            poll_floor: Duration::from_millis(100),
            resources: &[ResourceKey { name: "num_gpus", kind: ResourceKind::Count }],
            tells_of_ends: true,
            passes_arguments: true,
            ..Capabilities::default()
        }
    }

    fn header(&self, job: &JobTemplate) -> Result<Header> {
        if job.resources.machines > 1 {
            return Err(Error::new(ErrorKind::Permanent, "direct").message(format!(
                "a direct scheduler has one machine, but {} were requested",
                job.resources.machines
            )));
        }
        if job.import_sys_environment {
            return Ok(Header::default());
        }
        let interpreter = job.shebang.trim_start_matches("#!").trim();
        // The job's share of the machine is not part of the login's environment.
        let given = GPU_VARIABLES.iter().filter(|_| job.resources.gpus.is_some());
        let given = given.chain([&cgroup::VARIABLE]).map(|name| format!("{name}=\"${name}\" "));
        let given: String = given.collect();
        let line = format!(
            "[ -n \"$FERRY_CLEAN\" ] || exec env -i FERRY_CLEAN=1 HOME=\"$HOME\" USER=\"$USER\" \
             LOGNAME=\"$LOGNAME\" PATH=\"$(getconf PATH)\" {given}{interpreter} \"$0\" \"$@\""
        );
        Ok(Header { lines: vec![line], ..Header::default() })
    }

    fn identity(&self) -> &'static str {
        IDENTITY
    }

    fn guard(&self, job: &JobTemplate) -> Vec<String> {
        watch::told(&job.dir).into_iter().chain(guard::text(job)).collect()
    }

    fn limits(&self, job: &JobTemplate) -> Option<String> {
        // Only where the job asked for it: some programs fail under a limit of their address space. A computer's
        // default is for schedulers that need a number.
        job.asked_memory_kb.map(cgroup::limit)
    }

    fn watch_command(&self, jobs: &[JobRef]) -> Option<Command> {
        watch::command(jobs)
    }

    fn parse_watch(&self, output: &Output) -> WatchEnd {
        watch::parse(output)
    }

    fn queue_key_command(&self) -> Option<Command> {
        Some(Command::sh(format!("{WHERE}; id -u")))
    }

    fn parse_queue_key(&self, output: &Output) -> Result<QueueKey> {
        let text = output.text();
        let (_, boot, lines) = answer("queue key", output, &text)?;
        let uid = lines.first().and_then(|line| line.trim().parse().ok());
        let uid = uid.ok_or_else(|| unreadable("queue key", output))?;
        Ok(QueueKey { queue: boot.to_owned(), uid })
    }

    fn machine_command(&self) -> Option<Command> {
        Some(Command::sh(MACHINE))
    }

    fn parse_machine(&self, output: &Output) -> Result<Machine> {
        if output.status != 0 {
            return Err(unreadable("machine", output));
        }
        let text = output.text();
        let said = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        Ok(Machine {
            cores: said("cores").and_then(|cores| cores.trim().parse().ok()).filter(|cores| *cores > 0),
            memory_kb: said("memory").and_then(|memory| memory.trim().parse().ok()),
            devices: said("devices").map(Machine::devices),
        })
    }

    fn prelude(&self, jobs: &[&Submission]) -> String {
        cgroup::make(jobs)
    }

    fn submit_text(&self, job: &Submission) -> String {
        let words = without_login(&job.interpreter);
        let interpreter = words.into_iter().map(quote).collect::<Vec<_>>().join(" ");
        let file = |name: &str| quote(&format!("./{name}"));
        let given = job.environment.iter().map(|(name, value)| format!("{name}={} ", quote(value)));
        let given: String = given.chain([cgroup::given()]).collect();
        let start = format!(
            "{interpreter} {} \"$1\" < /dev/null > {} 2> {} &",
            file(&job.script),
            file(&job.stdout),
            file(&job.stderr)
        );
        // The child is not waited for, so its entry in /proc stays until the wrapper ends, even if it is quick.
        // Bash has job control without a terminal; with it the child leads a group of its own, and no `setsid` is
        // needed.
        format!(
            "if [ -n \"$BASH_VERSION\" ]; then set -m; {given}{start} set +m; else {given}setsid {start} fi; p=$!; \
             IFS= read -r l < \"/proc/$p/stat\"; read -r h < /proc/sys/kernel/hostname; \
             read -r b < /proc/sys/kernel/random/boot_id; set -- ${{l##*) }}; printf '%s\\n' \"$h:$b:$p:${{20}}\""
        )
    }

    fn parse_submit(&self, recorded: &Recorded) -> Result<JobId> {
        let id = JobId(recorded.stdout.trim().to_owned());
        if ChildId::parse(&id).is_some() {
            return Ok(id);
        }
        Err(Error::new(ErrorKind::Ambiguous, "submit")
            .message("the job's identity could not be read")
            .with("stderr", recorded.stderr.trim())
            .later()
            .effect_unknown())
    }

    fn find_command(&self, job: &Submission, _: Option<&str>) -> Command {
        // The token is passed on standard input, so that this command itself is not found.
        let script = format!("{WHERE}; grep -laF -f - /proc/[0-9]*/cmdline 2> /dev/null; true");
        Command::sh(script).stdin(format!("{}\n", job.token))
    }

    fn parse_find(&self, _: &Submission, _: Option<&str>, output: &Output) -> Result<Listing> {
        let text = output.text();
        let (_, _, lines) = answer("find", output, &text)?;
        Ok(match lines.first() {
            Some(first) => Listing::Busy(format!("the submission is still under way ({first})")),
            None => Listing::Absent,
        })
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn queue_command(&self, query: &Query<'_>) -> Command {
        processes::look(query.jobs)
    }

    fn parse_queue(&self, query: &Query<'_>, output: &Output) -> Result<Queue> {
        let text = output.text();
        let (host, boot, lines) = answer("status", output, &text)?;
        let alive: BTreeMap<(u32, u64), char> = lines
            .iter()
            .filter_map(|line| parse_stat(line))
            .filter(|(_, state, _)| !matches!(state, 'Z' | 'X' | 'x'))
            .map(|(pid, state, start)| ((pid, start), state))
            .collect();
        let left = processes::left(&lines);
        let status = |job: &JobRef| {
            let id = ChildId::parse(&job.id)?;
            if id.host != host {
                let reason = format!("it runs on {}, and {host} answered", id.host);
                let reason = Some(reason);
                let unknown =
                    JobStatus { state: JobState::Unknown, raw: "?".into(), reason, ..JobStatus::default() };
                return Some(unknown);
            }
            if id.boot != boot {
                let (raw, failure) = ("lost in a reboot".into(), Some(JobFailure::LostInReboot));
                let lost =
                    JobStatus { state: JobState::Done, raw, reason: None, failure, ..JobStatus::default() };
                return Some(lost);
            }
            let Some(letter) = alive.get(&(id.pid, id.start)).copied() else {
                let left = left.get(&job.token)?;
                let reason = Some(format!("its script has ended; still running: {left}"));
                let raw = "ending".to_owned();
                return Some(JobStatus { state: JobState::Left, raw, reason, ..JobStatus::default() });
            };
            // The kernel's letter changes from one look to the next (R, S, D); only a stop is worth reporting.
            let (state, raw) = match letter {
                'T' | 't' => (JobState::Suspended, "stopped"),
                _ => (JobState::Running, "running"),
            };
            Some(JobStatus { state, raw: raw.into(), ..JobStatus::default() })
        };
        let listed = |job: &JobRef| Some(Listed::named(job.id.clone(), job.token.clone(), status(job)?));
        let listed = query.jobs.iter().filter_map(listed).collect();
        Ok(Queue { listed, proves_absence: true, notices: Vec::new() })
    }

    fn cancel_command(&self, _: Option<&str>, jobs: &[JobRef]) -> Command {
        processes::end(jobs)
    }

    fn parse_cancel(&self, jobs: &[JobRef], output: &Output) -> Vec<Result<()>> {
        let text = output.text();
        let one = |job: &JobRef| {
            let (host, _, _) = answer("cancel", output, &text)?;
            let id = ChildId::parse(&job.id).ok_or_else(|| {
                Error::new(ErrorKind::Permanent, "cancel")
                    .message(format!("`{}` is not a job id of the direct scheduler", job.id))
            })?;
            if id.host != host {
                return Err(Error::new(ErrorKind::Unreachable, "cancel")
                    .message(format!("the job runs on {}, and {host} answered", id.host))
                    .later());
            }
            Ok(())
        };
        jobs.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(pid: u32, start: u64, boot: &str) -> JobRef {
        JobRef { id: JobId(format!("node:{boot}:{pid}:{start}")), token: format!("t{pid}"), dir: "/w".into() }
    }

    fn query(jobs: &[JobRef]) -> Query<'_> {
        Query { cluster: None, jobs, by_id: false }
    }

    fn states(jobs: &[JobRef], output: &Output) -> Result<BTreeMap<JobId, JobStatus>> {
        let queue = Direct.parse_queue(&query(jobs), output)?;
        Ok(queue.listed.into_iter().map(|one| (one.id, one.status)).collect())
    }

    fn stat(pid: u32, state: char, start: u64) -> String {
        format!("{pid} (bash) {state} 1 2 3 0 -1 4 0 0 0 0 1 2 3 4 20 0 1 0 {start} 0 0\n")
    }

    #[test]
    fn only_the_same_child_of_the_same_boot_is_alive() {
        let jobs = [job(1, 10, "b"), job(2, 20, "b"), job(3, 30, "b"), job(4, 40, "old"), job(5, 50, "b")];
        let listing = [
            "node b\n".into(),
            stat(1, 'S', 10),
            stat(2, 'S', 21),
            stat(3, 'Z', 30),
            stat(4, 'S', 40),
            stat(5, 'T', 50),
        ];
        let states = states(&jobs, &Output::ok(&listing.concat())).unwrap();
        let of = |i: usize| states.get(&jobs[i].id).map(|status| status.state);
        assert_eq!(of(0), Some(JobState::Running));
        assert_eq!(of(1), None, "a reused pid is not the job");
        assert_eq!(of(2), None, "a zombie is dead");
        assert_eq!(of(3), Some(JobState::Done), "a reboot ends everything");
        assert_eq!(states[&jobs[3].id].failure, Some(JobFailure::LostInReboot));
        assert_eq!(of(4), Some(JobState::Suspended));
    }

    #[test]
    fn a_queue_is_named_by_its_boot_and_its_user() {
        let read = |text: &str| Direct.parse_queue_key(&Output::ok(text)).map_err(|error| *error.kind());
        assert_eq!(read("node b-1\n1000\n"), Ok(QueueKey { queue: "b-1".into(), uid: 1000 }));
        for text in ["", "node b-1\n", "node b-1\nnobody\n", "node \n1000\n"] {
            assert_eq!(read(text), Err(ErrorKind::Unreadable), "{text:?}");
        }
    }

    #[test]
    fn a_machine_says_what_it_has_and_what_it_does_not_say_is_not_known() {
        let read = |text: &str| Direct.parse_machine(&Output::ok(text)).unwrap();
        let all = read("cores 8\nmemory 16000\ndevices MIG-a,1\n");
        assert_eq!((all.cores, all.memory_kb), (Some(8), Some(16000)));
        assert_eq!(all.devices, Some(vec!["MIG-a".to_owned(), "1".to_owned()]));
        assert_eq!(read("cores \nmemory 5\n"), Machine { memory_kb: Some(5), ..Machine::default() });
        assert_eq!(read("cores 1\ndevices \n").devices, Some(Vec::new()), "set, and none");
        assert!(Direct.parse_machine(&Output { status: 1, ..Output::default() }).is_err());
        // Runs the command on this machine.
        let output = std::process::Command::new("sh")
            .args(["-c", MACHINE])
            .env("OMP_NUM_THREADS", "1")
            .env("OMP_THREAD_LIMIT", "1")
            .env("CUDA_VISIBLE_DEVICES", "3")
            .output()
            .unwrap();
        let here = read(&String::from_utf8(output.stdout).unwrap());
        let cores = std::thread::available_parallelism().unwrap().get() as u32;
        assert!(here.cores == Some(cores) && here.memory_kb > Some(0), "{here:?}");
        assert_eq!(here.devices, Some(vec!["3".to_owned()]));
    }

    #[test]
    fn a_job_is_given_its_gpus_whatever_of_the_login_it_keeps() {
        let environment =
            ferry_engine_core::scheduler::gpu_environment(&["MIG-a".to_owned(), "it's".to_owned()]);
        let text = Direct.submit_text(&Submission { environment, ..Submission::default() });
        for before in ["FERRY_CGROUP=\"${ferry_cgroups:+$ferry_cgroups/ferry-$1}\" setsid", "FERRY_CGROUP="] {
            let given = format!(
                r"CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES='MIG-a,it'\''s' ROCR_VISIBLE_DEVICES='MIG-a,it'\''s' {before}"
            );
            assert!(text.contains(&given), "{text}");
        }
        assert!(Direct.submit_text(&Submission::default()).contains("; else FERRY_CGROUP="));
        let clean = |gpus| {
            let mut job = JobTemplate::default();
            job.resources.gpus = gpus;
            Direct.header(&job).unwrap().lines.concat()
        };
        assert!(clean(Some(1)).contains("CUDA_VISIBLE_DEVICES=\"$CUDA_VISIBLE_DEVICES\" "));
        assert!(!clean(None).contains("CUDA"));
    }

    #[test]
    fn another_host_and_a_failed_listing_say_nothing_about_the_job() {
        let jobs = [job(1, 10, "b")];
        let states = states(&jobs, &Output::ok("other b\n")).unwrap();
        assert_eq!(states[&jobs[0].id].state, JobState::Unknown);
        let failed = Output { status: 1, ..Output::default() };
        let unread = |output| Direct.parse_queue(&query(&jobs), output).unwrap_err();
        assert_eq!(*unread(&failed).kind(), ErrorKind::Unreadable);
        assert_eq!(*unread(&Output::ok("")).kind(), ErrorKind::Unreadable);
    }
}
