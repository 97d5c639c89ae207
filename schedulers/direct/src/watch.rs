//! Reports of ends: a watcher that waits on the computer, and the lines of a job script that wake it.
//!
//! The watcher is a small shell program, one exec of the computer's connection. It leaves an empty file in
//! `.ferry-watch-UID` beside the work directories. The file's name is `BOOT:PID:START`, the watcher's identity. A
//! job script that has left its exit marker sends `USR1` to all watchers that are named there, by a builtin. There
//! is no pipe that could be full or without a reader, and no file is opened, so nothing can block a job.
//!
//! ```text
//! watcher:  trap USR1, leave the name, is any of the jobs over already? then wait
//! job:      exit marker, then USR1 to each named child that started when its name says
//! ```
//!
//! The name is written before the watcher looks at the jobs. So a job that ends before the name exists is found
//! over, and one that ends later finds the name: no end falls between two watches. Polling finds any end that is
//! missed here.

use std::path::{Component, Path};

use ferry_engine_core::{
    scheduler::{JobRef, WatchEnd},
    transport::{Command, Output, quote_path},
};

use crate::id::ChildId;

/// Duration of one watch, s. A watcher may outlive an unnoticed end of its connection for this time.
const LASTS: u64 = 25;
/// Additional time that a watch may take, s.
const MARGIN: u64 = 15;

/// Shell text that sets `ferry_u` to the user's number, by builtins alone; `id` would be a program. Leaves `IFS`
/// as the rest needs it.
const UID: &str = "IFS=' \t'\nwhile read -r ferry_k ferry_u ferry_r; do [ \"$ferry_k\" != Uid: ] || break; done \
                   < \"/proc/$$/status\"";

/// Shell text that the job script runs once its exit marker is written. It prints nothing, starts no program and
/// opens only files of `/proc`. The directory must be ours and no link. A name in it counts only if the start time
/// of the process matches.
const TOLD: &str = r#"    set +efu
    {uid}
    ferry_w={root}/.ferry-watch-$ferry_u
    [ -d "$ferry_w" ] && [ -O "$ferry_w" ] && [ ! -L "$ferry_w" ] || return 0
    read -r ferry_b < /proc/sys/kernel/random/boot_id
    for ferry_n in "$ferry_w/$ferry_b:"*; do
        ferry_n=${ferry_n##*/"$ferry_b:"}
        ferry_p=${ferry_n%%:*}
        case $ferry_p in ''|*[!0-9]*) continue;; esac
        IFS= read -r ferry_l < "/proc/$ferry_p/stat" || continue
        set -- ${ferry_l##*) }
        [ "${20}" != "${ferry_n#*:}" ] || kill -s USR1 "$ferry_p"
    done
    return 0"#;

/// The watcher's script: `$1` is the root, `$2` the duration, then the jobs as `BOOT:PID:START`.
///
/// It prints `ended` if a job signalled it, `over` if one of the jobs was over at its start, `expired` if nothing
/// happened, and `unable` where it can't leave its name. It forks only one `sleep`; `mkdir` and `rm` only where
/// needed.
const WATCHER: &str = r#"root=$1 lasts=$2
shift 2
umask 077
say() { trap '' USR1 HUP INT TERM; [ -z "$!" ] || kill "$!"; echo "$1"; exit 0; }
trap 'say ended' USR1
trap 'say stopped' HUP INT TERM
started() { IFS= read -r l < "/proc/$1/stat" || return 1; set -- ${l##*) }; s=$1 t=${20}; }
alive() { started "$1" && [ "$t" = "$2" ] && case $s in Z|X|x) false;; esac; }
{uid}
d=$root/.ferry-watch-$ferry_u
[ -d "$d" ] || mkdir "$d"
[ -d "$d" ] && [ -O "$d" ] && [ ! -L "$d" ] || say unable
read -r b < /proc/sys/kernel/random/boot_id
started $$
printf '' > "$d/$b:$$:$t" || say unable
for j; do
    case $j in "$b":*) ;; *) continue;; esac
    j=${j#"$b:"}
    alive "${j%:*}" "${j#*:}" || say over
done
set --
for n in "$d/$b:"*; do
    j=${n##*/"$b:"}
    alive "${j%:*}" "${j#*:}" || set -- "$@" "$n"
done
[ $# = 0 ] || rm -f -- "$@"
sleep "$lasts" > /dev/null &
wait "$!"
say expired
"#;

/// Returns the directory in which the work directories of a computer lie: `<root>/ab/cd/<rest>`. `None` for a work
/// directory of another form: no name is left there.
fn root(dir: &Path) -> Option<&Path> {
    let mut names = dir.components().rev().map(|part| match part {
        Component::Normal(name) => name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_hexdigit())),
        _ => None,
    });
    let mut is_long = |length| names.next().flatten().is_some_and(|name| name.len() == length);
    (is_long(28) && is_long(2) && is_long(2)).then(|| dir.ancestors().nth(3)).flatten()
}

/// Returns shell text for a job script that defines `ferry_told`; `None` for a work directory of another form.
pub(crate) fn told(dir: &Path) -> Option<String> {
    let root = root(dir)?;
    let body = TOLD.replace("{uid}", UID).replace("{root}", &quote_path(root));
    Some(format!("# Tells whoever watches that the job has ended.\nferry_told() {{\n{body}\n}} 2> /dev/null"))
}

/// Returns the command that watches those of these jobs that lie below the root of the newest. Others are polled.
pub(crate) fn command(jobs: &[JobRef]) -> Option<Command> {
    let root = root(&jobs.last()?.dir)?.to_str()?;
    let ids = jobs.iter().filter_map(|job| ChildId::parse(&job.id));
    let ids = ids.map(|id| format!("{}:{}:{}", id.boot, id.pid, id.start));
    let script = format!("{{\n{}}} 2> /dev/null", WATCHER.replace("{uid}", UID));
    let words = ["sh", "-c", &script, "ferry-watch", root, &LASTS.to_string()].map(str::to_owned);
    let command = Command::new(words.into_iter().chain(ids)).no_login_shell().spare();
    Some(command.timeout(std::time::Duration::from_secs(LASTS + MARGIN)))
}

/// Reads the watcher's output.
pub(crate) fn parse(output: &Output) -> WatchEnd {
    match output.text().trim() {
        "ended" => WatchEnd::Told,
        "over" => WatchEnd::Over,
        "expired" => WatchEnd::Expired,
        _ => WatchEnd::Unable,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, chown, symlink},
        path::PathBuf,
        process::{Child, Command as Process, Stdio},
        time::{Duration, Instant},
    };

    use ferry_engine_core::scheduler::JobId;

    use super::*;
    use crate::id::parse_stat;

    /// A root with one work directory in it.
    struct Place {
        root: tempfile::TempDir,
        dir: PathBuf,
    }

    impl Place {
        fn new() -> Place {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("ab/cd/0123456789abcdef0123456789ab");
            fs::create_dir_all(&dir).unwrap();
            Place { root, dir }
        }

        /// Returns the directory of the watchers' names.
        fn names(&self) -> PathBuf {
            let uid = fs::metadata("/proc/self").unwrap().uid();
            self.root.path().join(format!(".ferry-watch-{uid}"))
        }

        /// Runs the report of a job's end with this shell. It must end soon, and print nothing.
        fn tell(&self, shell: &str) {
            let script = format!(
                "set -euf; ferry_dir={}\n{}\nferry_told",
                self.dir.display(),
                told(&self.dir).unwrap()
            );
            let mut process = Process::new(shell);
            process.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = process.spawn().unwrap();
            let begun = Instant::now();
            while child.try_wait().unwrap().is_none() {
                if begun.elapsed() > Duration::from_secs(20) {
                    child.kill().unwrap();
                    panic!("the job hangs");
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            let output = child.wait_with_output().unwrap();
            assert_eq!(
                (output.status.code(), output.stdout, output.stderr),
                (Some(0), Vec::new(), Vec::new())
            );
        }

        /// Starts a watcher with this shell, in a group of its own as a transport does.
        fn watch(&self, shell: &str, jobs: &[JobRef]) -> Child {
            use std::os::unix::process::CommandExt;
            let words = command(jobs).unwrap().argv;
            let mut process = Process::new(shell);
            process.args(&words[1..]).process_group(0);
            process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            process.spawn().unwrap()
        }

        /// Waits until the watcher has written its name.
        fn await_name(&self, watcher: &Child) {
            let name = self.names().join(name_of(watcher, 0));
            await_that("the watcher's name", || name.exists());
        }

        fn job(&self, child: &Child) -> JobRef {
            JobRef {
                id: JobId(format!("node:{}", name_of(child, 0))),
                token: "t".into(),
                dir: self.dir.clone(),
            }
        }
    }

    fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts a child that `USR1` ends. It holds no stream of the test's.
    fn sleeper() -> Child {
        let mut process = Process::new("sleep");
        process.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Returns `BOOT:PID:START`, with `late` added to the start.
    fn name_of(child: &Child, late: u64) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        format!("{}:{}:{}", boot.trim(), child.id(), parse_stat(&stat).unwrap().2 + late)
    }

    fn said(watcher: Child) -> WatchEnd {
        let output = watcher.wait_with_output().unwrap();
        parse(&Output { status: 0, stdout: output.stdout, stderr: Vec::new() })
    }

    fn end(mut child: Child) {
        let _ = child.kill();
        let _ = child.wait();
    }

    #[test]
    fn a_job_that_ends_wakes_all_who_watch_and_a_dead_one_is_forgotten() {
        for shell in ["sh", "bash"] {
            let place = Place::new();
            let job = sleeper();
            let jobs = [place.job(&job)];
            let (first, second) = (place.watch(shell, &jobs), place.watch(shell, &jobs));
            place.await_name(&first);
            place.await_name(&second);
            place.tell(shell);
            assert_eq!((said(first), said(second)), (WatchEnd::Told, WatchEnd::Told));
            // The next watcher removes the names that they left.
            let third = place.watch(shell, &jobs);
            place.await_name(&third);
            await_that("stale names removed", || fs::read_dir(place.names()).unwrap().count() == 1);
            place.tell(shell);
            assert_eq!(said(third), WatchEnd::Told);
            end(job);
        }
    }

    #[test]
    fn a_job_that_is_over_when_the_watch_begins_ends_it_at_once() {
        let place = Place::new();
        let (over, alive) = (sleeper(), sleeper());
        let jobs = [place.job(&over), place.job(&alive)];
        end(over);
        assert_eq!(said(place.watch("sh", &jobs)), WatchEnd::Over);
        let mut elsewhere = jobs[0].clone();
        elsewhere.id = JobId("node:another-boot:1:2".into());
        let watcher = place.watch("sh", &[elsewhere, jobs[1].clone()]);
        place.await_name(&watcher);
        place.tell("sh");
        assert_eq!(said(watcher), WatchEnd::Told, "a job of another boot is nobody's end");
        end(alive);
    }

    #[test]
    fn a_stale_or_foreign_name_is_not_signalled_and_holds_nobody_up() {
        let place = Place::new();
        let (names, mut victim) = (place.names(), sleeper());
        fs::create_dir(&names).unwrap();
        let survives = |victim: &mut Child, why: &str| {
            place.tell("sh");
            place.tell("bash");
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(victim.try_wait().unwrap(), None, "{why}");
        };
        fs::write(names.join(name_of(&victim, 1)), "").unwrap();
        survives(&mut victim, "another start time: the number was given away");
        let boot = name_of(&victim, 0).replacen(|c: char| c.is_ascii_hexdigit(), "x", 1);
        fs::write(names.join(boot), "").unwrap();
        survives(&mut victim, "another boot");
        let own = name_of(&victim, 0);
        for odd in ["", ":", "::", "9999999", "x:1", "-1:1", "*:*", "$(touch bad):1", "9999999:2:3"] {
            fs::write(names.join(format!("{}:{odd}", &own[..36])), "").unwrap();
        }
        let fifo = names.join(name_of(&victim, 2));
        assert!(Process::new("mkfifo").arg(&fifo).status().unwrap().success());
        survives(&mut victim, "a pipe without a reader");
        // A directory that is not ours, or a link, does not count even with a valid name in it.
        let real = place.root.path().join("real");
        fs::rename(&names, &real).unwrap();
        fs::write(real.join(&own), "").unwrap();
        symlink(&real, &names).unwrap();
        survives(&mut victim, "the directory is a link");
        fs::remove_file(&names).unwrap();
        survives(&mut victim, "nothing is there");
        fs::write(&names, "").unwrap();
        survives(&mut victim, "a file is in the way");
        fs::remove_file(&names).unwrap();
        fs::rename(&real, &names).unwrap();
        if chown(&names, Some(12345), None).is_ok() {
            survives(&mut victim, "the directory is somebody else's");
            chown(&names, Some(fs::metadata("/proc/self").unwrap().uid()), None).unwrap();
        }
        place.tell("sh");
        await_that("the true name is signalled", || victim.try_wait().unwrap().is_some());
    }

    #[test]
    fn where_a_watcher_cannot_leave_its_name_it_says_so_at_once() {
        let place = Place::new();
        let job = sleeper();
        let jobs = [place.job(&job)];
        fs::write(place.names(), "").unwrap();
        assert_eq!(said(place.watch("sh", &jobs)), WatchEnd::Unable, "a file is in the way");
        fs::remove_file(place.names()).unwrap();
        symlink("/tmp", place.names()).unwrap();
        assert_eq!(said(place.watch("sh", &jobs)), WatchEnd::Unable, "a link is followed nowhere");
        let mut nowhere = jobs[0].clone();
        nowhere.dir = "/proc/ab/cd/0123456789abcdef0123456789ab".into();
        assert_eq!(said(place.watch("sh", &[nowhere])), WatchEnd::Unable, "nobody writes there");
        end(job);
    }

    #[test]
    fn a_watcher_that_is_ended_leaves_no_child() {
        let place = Place::new();
        let job = sleeper();
        let watcher = place.watch("sh", &[place.job(&job)]);
        place.await_name(&watcher);
        let children = format!("/proc/{0}/task/{0}/children", watcher.id());
        let child = || fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
        await_that("it sleeps", || !child().is_empty());
        let sleep = child();
        // A copy of the shell that is about to become it may lose a signal.
        let is_sleep =
            || fs::read_to_string(format!("/proc/{sleep}/comm")).is_ok_and(|name| name == "sleep\n");
        await_that("it is a program of its own", is_sleep);
        // The signal goes to the shell alone, as from a transport that does not know the group.
        assert!(
            Process::new("kill").args(["-s", "TERM", &watcher.id().to_string()]).status().unwrap().success()
        );
        assert_eq!(said(watcher), WatchEnd::Unable);
        let is_gone = || {
            let stat = fs::read_to_string(format!("/proc/{sleep}/stat")).unwrap_or_default();
            parse_stat(&stat).is_none_or(|(_, state, _)| state == 'Z')
        };
        await_that("its child has ended", is_gone);
        end(job);
    }

    #[test]
    fn nothing_is_left_beside_a_directory_of_another_kind() {
        for dir in ["/tmp/job", "/", "/ab/cd/short", "/w/ab/cd/0123456789abcdef0123456789xx"] {
            assert_eq!(told(Path::new(dir)), None, "{dir}");
        }
        let dir = Path::new("/it's/ab/cd/0123456789abcdef0123456789ab");
        assert_eq!(root(dir), Some(Path::new("/it's")));
        assert!(told(dir).unwrap().contains(r"'/it'\''s'/.ferry-watch-"));
    }
}
