//! The work that a direct job's own shell does, since no scheduler does it. It enforces the wall time limit, ends
//! processes that the job leaves behind, and gives processes that are told to end some time for it.
//!
//! The user's part runs in a process group of its own, so that it can be signalled as a whole. Its environment
//! bears the submission's token, by which descendants that left the group are found. Where this user may make
//! control groups, the user's part also has one of its own, which no process leaves (see [`cgroup`]).

use std::fmt::Write as _;

use ferry_engine_core::scheduler::{JobFailure, JobTemplate};

use crate::cgroup;

/// The variable that marks the processes of a job; its value is the submission's token.
pub(crate) const MARK: &str = "FERRY_JOB";

/// Time after which processes that were told to end are killed, s: the same as Slurm's default.
pub(crate) const GRACE: u32 = 30;

/// Returns shell text that marks the process that becomes the user's part, and moves it into the control group.
fn mark(is_marked: bool) -> String {
    if is_marked {
        format!(
            "export {MARK}=\"$ferry_token\"; [ -z \"$ferry_cgroup\" ] || \
             echo 0 2> /dev/null > \"$ferry_cgroup/cgroup.procs\"; "
        )
    } else {
        String::new()
    }
}

/// Returns shell text that starts the user's part, and passes signals to all of its group. The first TERM starts
/// the grace period.
fn start(job: &JobTemplate) -> String {
    let (mark, cgroup) = (mark(!job.keep_children), cgroup::take(job));
    format!(
        r#"{cgroup}ferry_start() {{ {mark}ferry_fresh setsid "$@"; }}
# The group's number and when its leader began, so that nobody else is ever taken for it.
ferry_started() {{
    set +m
    IFS= read -r ferry_stat < "/proc/$ferry_child/stat" || return 0
    set -- ${{ferry_stat##*) }}
    printf '%s %s\n' "$ferry_child" "${{20}}" > .ferry/child
}} 2> /dev/null
ferry_pass() {{
    kill -s "$1" -- "-$ferry_child" || kill -s "$1" "$ferry_child"
    [ "$1" != TERM ] || ferry_grace
}}
ferry_grace() {{
    [ -z "$ferry_killer" ] || return 0
    (
        trap '' HUP INT TERM
        ferry_left={GRACE}
        while [ "$ferry_left" -gt 0 ]; do sleep 1; ferry_left=$((ferry_left - 1)); done
        kill -s KILL -- "-$ferry_child"
        [ -z "$ferry_cgroup" ] || echo 1 > "$ferry_cgroup/cgroup.kill"
    ) < /dev/null > /dev/null 2>&1 &
    ferry_killer=$!
    ferry_guard="$ferry_guard $!"
}}
ferry_killer="#
    )
}

/// Returns shell text that ends the rest of the group when the user's part has ended: TERM, unless it was sent
/// before, and KILL after the grace period. Processes that can't be killed are left to the next look at the job.
fn sweep(job: &JobTemplate) -> String {
    let met = cgroup::met(job);
    let (text, call) = met.map_or(("".into(), ""), |text| (text, "    ferry_met\n"));
    format!(
        r#"{text}ferry_alive() {{
    [ -z "$ferry_cgroup" ] || ! read -r ferry_p < "$ferry_cgroup/cgroup.procs" || return 0
    kill -s 0 -- "-$ferry_child" || return 1
    for ferry_p in /proc/[0-9]*/stat; do
        IFS= read -r ferry_stat < "$ferry_p" || continue
        set -- ${{ferry_stat##*) }}
        case $1 in Z|X|x) continue;; esac
        [ "$3" != "$ferry_child" ] || return 0
    done
    return 1
}} 2> /dev/null
ferry_sweep() {{
{call}    ferry_alive || return 0
    [ -n "$ferry_killer" ] || ferry_pass TERM 2> /dev/null
    # Who left the group is still in the control group.
    [ -z "$ferry_cgroup" ] || while read -r ferry_p; do
        IFS= read -r ferry_stat < "/proc/$ferry_p/stat" || continue
        set -- ${{ferry_stat##*) }}
        [ "$3" = "$ferry_child" ] || kill -s TERM "$ferry_p"
    done < "$ferry_cgroup/cgroup.procs" 2> /dev/null
    ferry_n=0
    while [ "$ferry_n" -lt {most} ] && ferry_alive; do sleep 0.1; ferry_n=$((ferry_n + 1)); done
}}"#,
        most = (GRACE + 5) * 10
    )
}

/// Returns shell text that sends the script's own shell TERM when the time is over.
fn watchdog(seconds: u64) -> String {
    let failure = JobFailure::OutOfWalltime.as_str();
    format!(
        r#"# The wall time limit, which nobody else keeps here.
(
    trap '' HUP INT TERM
    ferry_left={seconds}
    while [ "$ferry_left" -gt 0 ]; do
        sleep 1
        ferry_left=$((ferry_left - 1))
        IFS= read -r ferry_stat < "/proc/$$/stat" || exit
        set -- ${{ferry_stat##*) }}
        [ "${{20}}" = "${{ferry_job##*:}}" ] || exit
    done
    echo {failure} > "$ferry_dir/.ferry/failure"
    kill -s TERM "$$"
) < /dev/null > /dev/null 2>&1 &
ferry_guard=$!"#
    )
}

/// Returns shell text by which bash itself gives the user's part a group, by job control. That starts no program
/// and lets INT through. Other shells have job control only on a terminal. It comes last, since no other child may
/// get a group of its own.
fn job_control(is_marked: bool) -> String {
    format!(
        r#"if [ -n "$BASH_VERSION" ]; then
    set -m
    ferry_start() {{ {}exec "$@"; }}
fi"#,
        mark(is_marked)
    )
}

/// Returns the shell text for the job script.
pub(crate) fn text(job: &JobTemplate) -> Vec<String> {
    let mut text = start(job);
    if !job.keep_children {
        let _ = write!(text, "\n{}", sweep(job));
    }
    let text = std::iter::once(text).chain(job.max_wallclock_seconds.map(watchdog));
    text.chain([job_control(!job.keep_children)]).collect()
}
