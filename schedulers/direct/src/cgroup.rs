//! Control groups for jobs (cgroup v2), where this user may make them. No process leaves its group, all of a group
//! can be killed at once, and it can have a memory limit. See cgroups(7) and the kernel's
//! `admin-guide/cgroup-v2.rst`.
//!
//! The wrapper that submits makes the groups of all its jobs with one program, and passes each job's shell the
//! name of its own in [`VARIABLE`]. A group's name ends in the submission's token, so that a name from elsewhere
//! is rejected.

use ferry_engine_core::scheduler::{JobFailure, JobTemplate, Submission};
use ferry_engine_core::transport::quote;

/// The variable by which a job's shell gets the name of its control group. The job itself does not see it.
pub(crate) const VARIABLE: &str = "FERRY_CGROUP";

/// Shell text that sets `ferry_cgroups` to the control group below which those of jobs can be made. It is the
/// wrapper's own, or the one above it where that delegates a memory controller. systemd's do; a group with
/// processes in it can't.
const FIND: &str = r#"ferry_cgroups= ferry_own=
{ while IFS=: read -r ferry_n ferry_t ferry_p; do [ "$ferry_n" != 0 ] || ferry_own=$ferry_p; done < /proc/self/cgroup
while read -r ferry_n ferry_p ferry_t ferry_r; do
    [ "$ferry_t" = cgroup2 ] || continue
    ferry_p=${ferry_p%/}
    ferry_n=$ferry_p${ferry_own%/*} ferry_r=
    [ -n "${ferry_own%/}" ] && [ -w "$ferry_n" ] && [ -w "$ferry_n/cgroup.procs" ] &&
        IFS= read -r ferry_r < "$ferry_n/cgroup.subtree_control"
    case " $ferry_r " in *" memory "*) ;; *) ferry_n=$ferry_p${ferry_own%/};; esac
    [ ! -w "$ferry_n" ] || ferry_cgroups=$ferry_n
    break
done < /proc/self/mounts; } 2> /dev/null
"#;

/// Returns shell text by which a wrapper makes the groups of its jobs. Groups without `cgroup.kill` (before Linux
/// 5.14) are removed again.
pub(crate) fn make(jobs: &[&Submission]) -> String {
    let Some(first) = jobs.first() else { return String::new() };
    let dirs = |jobs: &[&Submission]| {
        jobs.iter().map(|job| format!(" \"$ferry_cgroups\"/ferry-{}", quote(&job.token))).collect::<String>()
    };
    format!(
        "{FIND}if [ -n \"$ferry_cgroups\" ]; then\n    mkdir{all}\n    \
         if [ ! -w{first}/cgroup.kill ]; then rmdir{all}; ferry_cgroups=; fi\nfi 2> /dev/null",
        all = dirs(jobs),
        first = dirs(&[first]),
    )
}

/// Returns the assignment that passes a job's shell its group. It stands before the shell's words.
pub(crate) fn given() -> String {
    format!("{VARIABLE}=\"${{ferry_cgroups:+$ferry_cgroups/ferry-$1}}\" ")
}

/// Returns shell text by which a job's shell takes its group. A job whose children are kept has none.
pub(crate) fn take(job: &JobTemplate) -> String {
    let mut text = format!(
        r#"ferry_cgroup=${VARIABLE}
unset {VARIABLE}
case $ferry_cgroup in
*/ferry-"$ferry_token") [ -w "$ferry_cgroup/cgroup.kill" ] || ferry_cgroup=;;
*) ferry_cgroup=;;
esac
"#
    );
    if job.keep_children {
        text.push_str("[ -z \"$ferry_cgroup\" ] || rmdir \"$ferry_cgroup\"\nferry_cgroup=\n");
        return text;
    }
    text.push_str("[ -z \"$ferry_cgroup\" ] || printf '%s\\n' \"$ferry_cgroup\" > .ferry/cgroup\n");
    if let Some(kb) = job.asked_memory_kb {
        text.push_str(&format!(
            r#"ferry_memory=
if [ -n "$ferry_cgroup" ] && [ -w "$ferry_cgroup/memory.max" ]; then
    {{ echo {bytes} > "$ferry_cgroup/memory.max" && ferry_memory=cgroup; echo 1 > "$ferry_cgroup/memory.oom.group"; }} 2> /dev/null
fi
export FERRY_MEMORY_LIMIT="$ferry_memory"
"#,
            bytes = kb.saturating_mul(1024)
        ));
    }
    text
}

/// Returns the line before the user's part that limits its address space where no group limits its memory.
pub(crate) fn limit(kb: u64) -> String {
    format!("[ \"$FERRY_MEMORY_LIMIT\" = cgroup ] || ulimit -S -v {kb}; unset FERRY_MEMORY_LIMIT")
}

/// Returns shell text that reports a job which exceeded its memory limit; a sweep calls it. `None`: no such limit.
pub(crate) fn met(job: &JobTemplate) -> Option<String> {
    job.asked_memory_kb.filter(|_| !job.keep_children)?;
    let failure = JobFailure::OutOfMemory.as_str();
    Some(format!(
        r#"ferry_met() {{
    [ -n "$ferry_memory" ] || return 0
    while read -r ferry_n ferry_p; do
        [ "$ferry_n" != oom_kill ] || [ "$ferry_p" = 0 ] || echo {failure} > "$ferry_dir/.ferry/failure"
    done < "$ferry_cgroup/memory.events"
}} 2> /dev/null
"#
    ))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, process::Command};

    use ferry_engine_core::scheduler::{CliScheduler, Scheduler};

    use super::*;
    use crate::Direct;

    /// Runs a job that asks for memory. Returns what it printed, what stands in `memory.max` of its group, and the
    /// limit that it met.
    ///
    /// The group is a directory that looks like one, if `has_group`: no memory controller can be had where version 1
    /// of control groups has it.
    fn run(shebang: &str, has_group: bool, commands: &str) -> (String, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let (work, group) = (dir.path().join("work"), dir.path().join("ferry-tok"));
        fs::create_dir_all(work.join(".ferry")).unwrap();
        fs::write(work.join(".ferry/sentinel"), "d\n").unwrap();
        fs::create_dir(&group).unwrap();
        if has_group {
            for name in ["cgroup.kill", "memory.max", "memory.oom.group"] {
                fs::write(group.join(name), "").unwrap();
            }
            fs::write(group.join("memory.events"), "oom 0\noom_kill 0\n").unwrap();
            symlink("/dev/null", group.join("cgroup.procs")).unwrap();
        }
        let job = JobTemplate {
            shebang: shebang.into(),
            dir: work.clone(),
            digest: "d".into(),
            asked_memory_kb: Some(4_000_000),
            import_sys_environment: true,
            prepend: vec![commands.replace("@GROUP@", &group.to_string_lossy())],
            ..JobTemplate::default()
        };
        let script = CliScheduler::new(Direct).script(&job).unwrap().text;
        fs::write(work.join("script"), script).unwrap();
        let mut shell = Command::new(shebang.trim_start_matches("#!"));
        let output = shell.arg(work.join("script")).arg("tok").env(VARIABLE, &group).output().unwrap();
        let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let said = String::from_utf8(output.stdout).unwrap();
        (said, read(group.join("memory.max")), read(work.join(".ferry/failure")))
    }

    #[test]
    fn memory_is_limited_by_the_group_else_by_addresses() {
        let told = "ulimit -v; echo \"[$FERRY_CGROUP$FERRY_MEMORY_LIMIT]\"";
        for shell in ["#!/bin/sh", "#!/bin/bash"] {
            let (said, limit, failure) = run(shell, true, told);
            assert_eq!((said.as_str(), limit.as_str()), ("unlimited\n[]\n", "4096000000"), "{shell}");
            assert_eq!(failure, "", "{shell}");
            let (said, limit, _) = run(shell, false, told);
            assert_eq!((said.as_str(), limit.as_str()), ("4000000\n[]\n", ""), "{shell}");
        }
    }

    #[test]
    fn a_job_that_met_its_memory_limit_is_told_so() {
        for shell in ["#!/bin/sh", "#!/bin/bash"] {
            let killed = "printf 'oom 1\\noom_kill 1\\n' > @GROUP@/memory.events; kill -9 $$";
            assert_eq!(run(shell, true, killed).2, "out_of_memory", "{shell}");
        }
    }
}
