//! The processes of direct jobs: finding running jobs and what ended ones left behind, and ending all of it.
//!
//! A job is its script's shell, the group of processes that it started, and every process whose environment bears
//! its token. The last is best effort: the environment of another user's process can't be read, and `env -i` loses
//! the mark. Where the job has a control group, all processes in it count.

use std::{collections::BTreeMap, fmt::Write as _};

use ferry_engine_core::{scheduler::JobRef, transport::Command};

use crate::{
    guard::{GRACE, MARK},
    id::ChildId,
};

/// Shell text that prints host and boot, with which every answer begins.
pub(crate) const WHERE: &str = "read -r h < /proc/sys/kernel/hostname; read -r b < /proc/sys/kernel/random/boot_id; \
                                printf '%s %s\\n' \"$h\" \"$b\"";

/// Shell functions of both scripts. Standard input has one line for each job: pid and start time of the job's
/// shell, token, directory. `shells`, `tokens` and `groups` are lists; a word of `groups` is `PID:START:TOKEN`.
///
/// A group counts only while its leader lives: its number alone may belong to another by now.
const FUNCTIONS: &str = r#"
# Sets `state`, `group`, `session` and `start` of a process.
stat() {
    IFS= read -r line < "/proc/$1/stat" || return 1
    name=${line#*\(}; name=${name%\)*}
    set -- ${line##*) }
    state=$1 group=$3 session=$4 start=${20}
    case $state in Z|X|x) return 1;; esac
}
# Whether the process lives that began then.
lives() { stat "$1" && [ "$start" = "$2" ]; }
# Sets `child` and `born` of a directory's job.
child() {
    child= born=
    [ -f "$1/.ferry/child" ] && [ ! -L "$1/.ferry/child" ] || return 1
    read -r child born < "$1/.ferry/child"
    case $child$born in ''|*[!0-9]*) child= born=; return 1;; esac
}
# Sets `cgroup` of a directory's job: only a control group that was made for this token.
cgroup() {
    cgroup=
    [ -f "$1/.ferry/cgroup" ] && [ ! -L "$1/.ferry/cgroup" ] || return 1
    IFS= read -r cgroup < "$1/.ferry/cgroup"
    case $cgroup in *..*) cgroup=;; *"/ferry-$2") ;; *) cgroup=;; esac
    [ -n "$cgroup" ] && [ -f "$cgroup/cgroup.procs" ]
}
show() { case " $tokens " in *" $1 "*) printf '%s %s %s %s %s\n' "$1" "$2" "$start" "$state" "$name";; esac; }
# Prints what belongs to `tokens` and `groups`: token, pid, start, state, name.
scan() {
    for found in $(grep -aoH 'FERRY_JOB=[0-9a-z-]*' /proc/[0-9]*/environ); do
        pid=${found#/proc/}; pid=${pid%%/*}
        ! stat "$pid" || show "${found##*=}" "$pid"
    done
    printf '%s' "$cgroups" | while IFS= read -r cgroup; do
        while read -r pid; do
            ! stat "$pid" || show "${cgroup##*/ferry-}" "$pid"
        done < "$cgroup/cgroup.procs"
    done
    [ -n "$groups" ] || return 0
    for path in /proc/[0-9]*; do
        pid=${path#/proc/}
        stat "$pid" || continue
        for one in $groups; do
            leader=${one%%:*}
            [ "$group" != "$leader" ] && [ "$session" != "$leader" ] || show "${one##*:}" "$pid"
        done
    done
}
"#;

/// Shell text that prints the status line of each live job shell, and what the other jobs left, behind `left`.
const LOOK: &str = r#"
tokens= groups= cgroups=
while read -r pid begun token dir; do
    if lives "$pid" "$begun"; then printf '%s\n' "$line"; continue; fi
    if cgroup "$dir" "$token"; then
        cgroups="$cgroups$cgroup
"
        # Nothing has left it, and nothing is in it.
        read -r line < "$cgroup/cgroup.procs" || continue
    fi
    tokens="$tokens $token"
    ! child "$dir" || ! lives "$child" "$born" || groups="$groups $child:$born:$token"
done
[ -z "$tokens" ] || scan | while IFS= read -r line; do printf 'left %s\n' "$line"; done
# Those that are empty are in nobody's way any more; no other can be removed.
IFS='
'
[ -z "$cgroups" ] || rmdir $cgroups
"#;

/// Shell text that ends jobs. On the first call it signals the job's shell, which signals its group and kills it
/// after the grace period. Processes that left the group are signalled here. After the grace period, all processes
/// are stopped, searched again, and killed, until two looks find none. It prints what is left.
const END: &str = r#"
IFS='. ' read -r now rest < /proc/uptime
shells= tokens= groups= cgroups= late= jobs=
while read -r pid begun token dir; do
    tokens="$tokens $token"
    ! cgroup "$dir" "$token" || cgroups="$cgroups$cgroup
"
    if child "$dir"; then
        ! lives "$child" "$born" || groups="$groups $child:$born:$token"
    else
        # A script that leads its own group, as they did before there was a child of its own.
        ! lives "$pid" "$begun" || groups="$groups $pid:$begun:$token"
    fi
    told=
    [ ! -f "$dir/.ferry/ending" ] || read -r told < "$dir/.ferry/ending"
    case $told in *[!0-9]*) told=;; esac
    shells="$shells $pid:$begun:$token"
    if [ -n "$told" ] && [ $((now - told)) -ge $((GRACE + 3)) ]; then late="$late $token"; fi
    [ -z "$told" ] || continue
    [ ! -d "$dir/.ferry" ] || printf '%s\n' "$now" > "$dir/.ferry/ending"
    if lives "$pid" "$begun"; then
        if [ -n "$child" ]; then kill -s TERM "$pid"; else kill -s TERM -- "-$pid"; fi
        kill -s CONT "$pid"
    elif [ -n "$child" ] && lives "$child" "$born"; then
        kill -s TERM -- "-$child"
    fi
    jobs="$jobs $token"
done
shell() { for one in $shells; do
    token=${one##*:}; one=${one%:*}
    ! lives "${one%%:*}" "${one#*:}" || show "$token" "${one%%:*}"
done; }
# Everybody else who was not told by the job's shell.
all=$tokens; tokens=$jobs
[ -z "$tokens" ] || scan | while read -r token pid begun state name; do
    case " $groups " in *" $pid:$begun:"*) continue;; esac
    ! lives "$pid" "$begun" || case " $groups " in *" $group:"*) continue;; esac
    ! lives "$pid" "$begun" || kill -s TERM "$pid"
done
tokens=$all
left=x; n=0
while [ $n -lt 10 ] && [ -n "$left" ]; do
    [ $n = 0 ] || sleep 0.1
    left=$(shell; scan)
    n=$((n + 1))
done
each() { while read -r token pid begun state name; do ! lives "$pid" "$begun" || kill -s "$1" "$pid"; done; }
tokens=$late; n=0; empty=0
while [ -n "$tokens" ] && [ $n -lt 20 ] && [ $empty -lt 2 ]; do
    found=$(shell; scan)
    if [ -z "$found" ]; then empty=$((empty + 1)); continue; fi
    empty=0
    printf '%s\n' "$found" | each STOP
    printf '%s' "$cgroups" | while IFS= read -r cgroup; do
        case " $late " in *" ${cgroup##*/ferry-} "*) echo 1 > "$cgroup/cgroup.kill";; esac
    done
    { printf '%s\n' "$found"; shell; scan; } | each KILL
    sleep 0.1
    n=$((n + 1))
done
tokens=$all
printf '%s' "$cgroups" | while IFS= read -r cgroup; do rmdir "$cgroup"; done
{ shell; scan; } | while IFS= read -r line; do printf 'left %s\n' "$line"; done
"#;

/// Returns a line for each job that this scheduler may have started.
fn list(jobs: &[JobRef]) -> String {
    jobs.iter().filter_map(|job| Some((job, ChildId::parse(&job.id)?))).fold(
        String::new(),
        |mut list, (job, id)| {
            let _ = writeln!(list, "{} {} {} {}", id.pid, id.start, job.token, job.dir.display());
            list
        },
    )
}

fn command(script: &str, jobs: &[JobRef]) -> Command {
    let functions = FUNCTIONS.replace("FERRY_JOB", MARK);
    let script = script.replace("GRACE", &GRACE.to_string());
    Command::sh(format!("{{ {WHERE}\n{functions}{script}\ntrue; }} 2> /dev/null")).stdin(list(jobs))
}

/// Returns the command that looks at jobs.
pub(crate) fn look(jobs: &[JobRef]) -> Command {
    command(LOOK, jobs)
}

/// Returns the command that ends jobs.
pub(crate) fn end(jobs: &[JobRef]) -> Command {
    command(END, jobs)
}

/// Reads what is left of each job, by its token: one text for people.
pub(crate) fn left(lines: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::<String, BTreeMap<&str, String>>::new();
    for line in lines {
        let mut words = line.splitn(6, ' ');
        if words.next() != Some("left") {
            continue;
        }
        let (Some(token), Some(pid)) = (words.next(), words.next()) else { continue };
        let (state, name) = (words.nth(1).unwrap_or("?"), words.next().unwrap_or_default());
        // A process that waits for a disk can't be killed before the disk has answered.
        let state = if state == "D" { ", waits for a device" } else { "" };
        found.entry(token.to_owned()).or_default().insert(pid, format!("{pid} ({name}{state})"));
    }
    found
        .into_iter()
        .map(|(token, all)| {
            let more = all.len().saturating_sub(5);
            let mut text = all.into_values().take(5).collect::<Vec<_>>().join(", ");
            if more > 0 {
                let _ = write!(text, " and {more} more");
            }
            (token, text)
        })
        .collect()
}
