//! The job script: the part that is the same for every scheduler. It takes the start gate, runs the user's texts
//! and commands as a child, waits, and leaves the exit marker.
//!
//! The user's part is a file of its own (`.ferry/commands`), which the same interpreter reads. The script carries
//! it. So whatever stands in it (an `exit`, a
//! `trap`, an `exec`, an open quote) ends only that child, and the end is still recorded. The script itself is
//! POSIX shell (the shebang must name a POSIX shell).
//!
//! A signal that reaches the script's shell alone, as `scancel --batch` sends it, is passed on to the child. One
//! that reaches all of the job's processes reaches the child's shell twice, and every other program once.

use std::{borrow::Cow, fmt::Write as _};

use super::{
    header::{Directives, sort},
    template::{JobTemplate, double_quote},
};
use crate::transport::{quote, quote_path};

/// Exit status of a script that found its directory or sentinel missing.
pub(super) const NO_DIRECTORY: i32 = 97;
/// Exit status of a second copy that found the start gate taken.
pub(super) const FENCED: i32 = 98;

/// The line of every script that takes the token. For a scheduler that passes no arguments, the wrapper copies the
/// script and writes the token in its place (see `claim.rs`). It must be a whole line.
pub(super) const TAKES_TOKEN: &str = "ferry_token=$1";

/// First line of a script whose computer names none.
pub(super) const SHEBANG: &str = "#!/bin/sh";

/// Signals that are passed on to the job's child.
const PASSED: &str = "HUP INT QUIT USR1 USR2 ALRM TERM URG XCPU";

/// Returns the job script.
///
/// - `header` is the scheduler's own; `directives` says which lines of the user's texts it reads.
/// - `identity` is shell text that sets `ferry_job` (the job's id) and `ferry_restart` (the number of times that
///   the scheduler started it again).
/// - `guard` is shell text that the one copy which runs reads before it starts anything (see
///   [`Dialect::guard`](super::Dialect::guard)).
///
/// The script expects the submission's token as `$1`. The copy of it that a scheduler gets which passes no arguments
/// has it inside.
pub fn script(
    job: &JobTemplate,
    header: &[String],
    directives: &Directives,
    identity: &str,
    guard: &[String],
) -> String {
    let sorted = sort(job, directives);
    let words = interpreter(&job.shebang);
    let commands = commands(job, &sorted.prepend);
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        if !text.ends_with('\n') {
            out.push('\n');
        }
    };
    line(&format!("#!{}", without_login(&words).join(" ")));
    header.iter().for_each(|text| line(text));
    sorted.lines.iter().for_each(|text| line(text));
    line(&gate(job, identity));
    line(
        "# What the job runs is a child of this shell, so that nothing in it can keep its end from being recorded.",
    );
    line(&keep(&commands, &job.digest));
    line(FUNCTIONS);
    guard.iter().for_each(|text| line(text));
    let words = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    line(&run(&words, &job.digest));
    out
}

/// Returns the words of a shebang line.
pub(super) fn interpreter(shebang: &str) -> Vec<String> {
    let line = if shebang.trim().is_empty() { SHEBANG } else { shebang };
    line.trim().trim_start_matches("#!").split_whitespace().map(str::to_owned).collect()
}

/// Returns the words that start an interpreter without its login files. Login files are for the user's part, and
/// would otherwise be read twice.
pub fn without_login(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).filter(|word| !matches!(*word, "-l" | "--login")).collect()
}

/// Returns the user's part of the script.
fn commands(job: &JobTemplate, prepend: &[Cow<'_, str>]) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        if !text.ends_with('\n') {
            out.push('\n');
        }
    };
    // On a signal the shell lets the running program finish, which may need its time; then it ends the rest.
    line("trap \"exit 129\" HUP; trap \"exit 130\" INT; trap \"exit 143\" TERM");
    for (name, value) in &job.environment {
        let value = if job.environment_double_quotes { double_quote(value) } else { quote(value) };
        line(&format!("export {name}={value}"));
    }
    prepend.iter().filter(|text| !text.is_empty()).for_each(|text| line(text));
    line("ferry_status=0");
    const NOTE: &str = "ferry_last=$?; [ \"$ferry_status\" -ne 0 ] || ferry_status=$ferry_last";
    if job.is_parallel {
        for (number, command) in job.lines.iter().enumerate() {
            line(&format!("{} &\nferry_child_{number}=$!", command.shell()));
        }
        // Each child is waited for by its own pid: a plain `wait` would not return their exit statuses.
        (0..job.lines.len()).for_each(|number| line(&format!("wait \"$ferry_child_{number}\"\n{NOTE}")));
    } else {
        for command in &job.lines {
            line(&command.shell());
            line(NOTE);
        }
    }
    job.append.iter().filter(|text| !text.is_empty()).for_each(|text| line(text));
    line("exit \"$ferry_status\"");
    out
}

/// Returns the text that writes the user's part to its file. A here-document is read byte by byte; so it is only for
/// texts that quoting would make hard to read.
fn keep(commands: &str, digest: &str) -> String {
    if !commands.contains('\'') {
        return format!("printf '%s' {} > .ferry/commands || exit {NO_DIRECTORY}", quote(commands));
    }
    let end = end_word(digest, commands);
    format!(
        "while IFS= read -r ferry_line; do printf '%s\\n' \"$ferry_line\" || exit {NO_DIRECTORY}; done > .ferry/commands << '{end}'\n\
         {commands}{end}"
    )
}

/// Returns a line that the user's part does not have.
fn end_word(digest: &str, commands: &str) -> String {
    let mut word = format!("FERRY_COMMANDS_{digest}");
    while commands.lines().any(|line| line == word) {
        word.push('_');
    }
    word
}

/// Returns the start of every script. It checks directory and sentinel first, since a scheduler may start a job
/// elsewhere when its directory is missing. Then it takes the gate by one link, so that claim and owner appear
/// together. A copy that finds the gate taken leaves the exit marker alone.
fn gate(job: &JobTemplate, identity: &str) -> String {
    let (dir, digest) = (quote_path(&job.dir), quote(&job.digest));
    format!(
        r#"
# ferry's start gate: this job runs once, whoever submitted it how often.
{TAKES_TOKEN}
ferry_dir={dir}
cd "$ferry_dir" || exit {NO_DIRECTORY}
ferry_digest=
IFS= read -r ferry_digest < .ferry/sentinel
[ "$ferry_digest" = {digest} ] || exit {NO_DIRECTORY}
{identity}
ferry_owner=.ferry/owner-$ferry_token-$$
printf '%s %s %s\n' "$ferry_token" "$ferry_job" "$ferry_restart" > "$ferry_owner" || exit {NO_DIRECTORY}
if ! ln "$ferry_owner" .ferry/run 2> /dev/null; then
    ferry_t= ferry_j= ferry_r=
    read -r ferry_t ferry_j ferry_r < .ferry/run || {{ echo "ferry: cannot make hard links in $ferry_dir" >&2; exit {NO_DIRECTORY}; }}
    if [ "$ferry_t" = "$ferry_token" ] && [ "$ferry_j" = "$ferry_job" ] && [ "$ferry_restart" -gt "$ferry_r" ]; then
        # What the earlier start left as its end is not this one's.
        rm -f .ferry/exit .ferry/failure
        mv -f "$ferry_owner" .ferry/run
    else
        printf '%s %s\n' "$ferry_token" "$ferry_job" >> .ferry/fenced
        exit {FENCED}
    fi
fi
# Room for the exit marker is taken now, so that a disk that is full by then does not swallow it.
printf '%255s\n' '' > .ferry/exit || exit {NO_DIRECTORY}
"#
    )
}

/// Shell functions that a scheduler's own text may redefine. Commands in the background ignore INT and QUIT, and a
/// shell can't undo that for its programs; `env` and `perl` can.
const FUNCTIONS: &str = r#"
ferry_child= ferry_signals= ferry_guard=
ferry_fresh() {
    if env --default-signal=INT,QUIT > /dev/null 2>&1; then exec env --default-signal=INT,QUIT "$@"; fi
    if perl -e 1 2> /dev/null; then
        exec perl -e '$SIG{INT} = $SIG{QUIT} = "DEFAULT"; exec @ARGV; exit 127' "$@"
    fi
    exec "$@"
}
ferry_start() { ferry_fresh "$@"; }
ferry_pass() { kill -s "$1" "$ferry_child"; }
ferry_sweep() { :; }
ferry_started() { :; }
ferry_told() { :; }
"#;

/// Returns the end of every script: starts the user's part, passes signals on, waits, and leaves the marker.
/// `words` start the interpreter.
fn run(words: &str, digest: &str) -> String {
    let mut traps = String::new();
    for signal in PASSED.split(' ') {
        let _ = writeln!(traps, "trap 'ferry_signal {signal}' {signal}");
    }
    let digest = quote(digest);
    format!(
        r#"ferry_signal() {{
    ferry_signals="$ferry_signals $1"
    [ -z "$ferry_child" ] || ferry_pass "$1" 2> /dev/null
}}
{traps}{{ ferry_start {words} "$ferry_dir/.ferry/commands" "$@" <&3 3<&- & }} 3<&0
ferry_child=$!
ferry_started
# Those that came too early.
for ferry_s in $ferry_signals; do ferry_pass "$ferry_s" 2> /dev/null; done
while ferry_signals=; wait "$ferry_child"; ferry_code=$?; [ -n "$ferry_signals" ]; do
    kill -s 0 "$ferry_child" 2> /dev/null && continue
    # It ended as a signal came: its own status counts, if this shell still knows it.
    wait "$ferry_child" 2> /dev/null
    ferry_last=$?
    [ "$ferry_last" -eq 127 ] || ferry_code=$ferry_last
    break
done
ferry_sweep
[ -z "$ferry_guard" ] || {{ kill -s KILL $ferry_guard; wait $ferry_guard; }} 2> /dev/null
if [ ! -e "$ferry_dir/.ferry/sentinel" ]; then
    echo "ferry: the job has removed $ferry_dir/.ferry, where its end is recorded; it is made anew" >&2
    mkdir "$ferry_dir/.ferry" 2> /dev/null
    printf '%s %s %s
' "$ferry_token" "$ferry_job" "$ferry_restart" > "$ferry_dir/.ferry/run"
    : > "$ferry_dir/.ferry/removed"
    printf '%s
' {digest} > "$ferry_dir/.ferry/sentinel"
fi
printf '%s %s %s
' "$ferry_code" "$ferry_token" "$ferry_job" >> "$ferry_dir/.ferry/exit"
ferry_told
exit "$ferry_code"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::{super::template::CommandLine, *};

    /// Runs the commands of a job with a shell; returns its exit status and what it printed.
    fn runs(is_parallel: bool, commands: &[&str]) -> (Option<i32>, String) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".ferry")).unwrap();
        std::fs::write(dir.path().join(".ferry/sentinel"), "d\n").unwrap();
        let line = |command: &&str| CommandLine {
            words: vec!["sh".into(), "-c".into(), (*command).into()],
            ..CommandLine::default()
        };
        let job = JobTemplate {
            dir: dir.path().into(),
            digest: "d".into(),
            lines: commands.iter().map(line).collect(),
            append: vec!["echo end".into()],
            is_parallel,
            ..JobTemplate::default()
        };
        let text = script(&job, &[], &Directives::default(), "ferry_job=1 ferry_restart=0", &[]);
        let output = std::process::Command::new("sh").args(["-c", &text, "sh", "token"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// Returns a job whose command is this shell text, in a work directory of its own.
    fn job(dir: &std::path::Path, shebang: &str, text: &str) -> JobTemplate {
        std::fs::create_dir(dir.join(".ferry")).unwrap();
        std::fs::write(dir.join(".ferry/sentinel"), "d\n").unwrap();
        JobTemplate {
            shebang: shebang.into(),
            dir: dir.into(),
            digest: "d".into(),
            prepend: vec![text.into()],
            ..JobTemplate::default()
        }
    }

    fn spawn(job: &JobTemplate) -> std::process::Child {
        let text = script(job, &[], &Directives::default(), "ferry_job=1 ferry_restart=0; set --", &[]);
        let file = job.dir.join("script");
        std::fs::write(&file, text).unwrap();
        let words = interpreter(&job.shebang);
        let mut command = std::process::Command::new(&words[0]);
        command.arg(file).arg("token").stdin(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap()
    }

    /// Returns what the exit marker says, and what was printed.
    fn marked(job: &JobTemplate, child: std::process::Child) -> (String, String) {
        let output = child.wait_with_output().unwrap();
        let marker = std::fs::read_to_string(job.dir.join(".ferry/exit")).unwrap_or_default();
        let last = marker.lines().last().unwrap_or_default();
        let marker = last.split(' ').next().unwrap_or_default().to_owned();
        (marker, String::from_utf8(output.stdout).unwrap())
    }

    const SHELLS: [&str; 2] = ["#!/bin/sh", "#!/bin/bash"];

    #[test]
    fn nothing_in_a_job_keeps_its_end_from_being_recorded() {
        for shebang in SHELLS {
            for (text, exit) in [
                ("trap 'echo mine' EXIT", "0"),
                ("trap 'echo mine' EXIT; exit 3", "3"),
                ("exit 4", "4"),
                ("exec sh -c 'exit 5'", "5"),
                ("set -e\nfalse", "1"),
                ("cd /", "0"),
                ("kill -9 $$", "137"),
                ("kill -9 $PPID; exit 6", ""),
                ("rm -rf .ferry; exit 7", "7"),
                ("exit 8 # it's", "8"),
                ("true 'open", "2"),
                ("cat << 'EOF'\nopen", "0"),
                (
                    "ferry_token=x ferry_dir=/ ferry_job=y; wait() { return 9; }; unset -f kill; set -u; exit 9",
                    "9",
                ),
            ] {
                let dir = tempfile::tempdir().unwrap();
                let job = job(dir.path(), shebang, text);
                assert_eq!(marked(&job, spawn(&job)).0, exit, "{shebang}: {text}");
            }
        }
    }

    #[test]
    fn a_job_that_removes_its_markers_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path(), "", "rm -rf .ferry");
        assert_eq!(marked(&job, spawn(&job)).0, "0");
        let read = |name: &str| std::fs::read_to_string(dir.path().join(".ferry").join(name)).unwrap();
        assert_eq!((read("sentinel"), read("run")), ("d\n".into(), "token 1 0\n".into()));
        assert!(dir.path().join(".ferry/removed").exists());
    }

    /// Sends a signal to the job's own shell alone, once the job has made a file.
    fn signal(job: &JobTemplate, child: &std::process::Child, name: &str) {
        while !job.dir.join("ready").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let status = std::process::Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn a_signal_to_the_job_s_shell_reaches_what_it_runs() {
        for shebang in SHELLS {
            for name in ["INT", "TERM", "USR1", "HUP", "QUIT"] {
                let dir = tempfile::tempdir().unwrap();
                let text = format!(
                    "trap 'echo got {name}; exit 9' {name}; : > ready; sleep 5 > /dev/null 2>&1 & wait; echo no"
                );
                let job = job(dir.path(), shebang, &text);
                let child = spawn(&job);
                signal(&job, &child, name);
                assert_eq!(marked(&job, child), ("9".into(), format!("got {name}\n")), "{shebang}");
            }
        }
    }

    #[test]
    fn a_job_that_takes_a_signal_and_goes_on_ends_with_its_own_status() {
        for shebang in SHELLS {
            let dir = tempfile::tempdir().unwrap();
            let text =
                "trap 'n=1' USR1; : > ready; until [ -n \"$n\" ]; do sleep 0.01; done; sleep 0.2; exit 5";
            let job = job(dir.path(), shebang, text);
            let child = spawn(&job);
            signal(&job, &child, "USR1");
            assert_eq!(marked(&job, child).0, "5", "{shebang}");
        }
    }

    #[test]
    fn a_job_has_the_script_s_own_input_and_interrupts_end_its_programs() {
        use std::io::Write as _;
        for shebang in SHELLS {
            let dir = tempfile::tempdir().unwrap();
            // A program that ignores INT would sleep on.
            let job = job(
                dir.path(),
                shebang,
                "read -r line; echo \"$line\"; timeout -s INT 0.1 sleep 60; echo $?; exit 2",
            );
            let mut child = spawn(&job);
            child.stdin.take().unwrap().write_all(b"words\n").unwrap();
            assert_eq!(marked(&job, child), ("2".into(), "words\n124\n".into()), "{shebang}");
        }
    }

    #[test]
    fn several_commands_run_one_after_the_other_and_the_first_failure_is_told() {
        assert_eq!(runs(false, &["echo 1", "echo 2; exit 3", "exit 4"]), (Some(3), "1\n2\nend\n".into()));
        assert_eq!(runs(false, &["true", "true"]).0, Some(0));
    }

    #[test]
    fn parallel_commands_run_at_once_and_the_first_failure_is_told() {
        // Each waits for the other: one after the other they would never end.
        let meet = |mine: &str, other: &str, then: &str| {
            format!("touch {mine}; while ! [ -e {other} ]; do sleep 0.01; done; {then}")
        };
        let (a, b) = (meet("a", "b", "true"), meet("b", "a", "exit 5"));
        assert_eq!(runs(true, &[&a, &b]), (Some(5), "end\n".into()));
        assert_eq!(runs(true, &["true", "true"]).0, Some(0));
    }
}
