//! What a job script is made of, and the part of it that is the same for every scheduler: the sentinel, the
//! start gate, the commands, and the exit marker.
//!
//! The script is POSIX shell (the shebang must name a POSIX shell) and starts few programs: one `ln` for the
//! gate, one `mv` for the marker.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use super::header::{Directives, sort};
use crate::transport::{quote, quote_path};

/// Everything a dialect and [`script`] need to write a job script.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobTemplate {
    /// First line.
    pub shebang: String,
    /// Absolute work directory.
    pub dir: PathBuf,
    /// What the sentinel in it says.
    pub digest: String,
    /// Name for the scheduler's listings, for people.
    pub name: String,
    /// Names of the files for the job's output.
    pub stdout: String,
    /// As above.
    pub stderr: String,
    /// Machines, processes, cores.
    pub resources: Resources,
    /// Wall time limit, s.
    pub max_wallclock_seconds: Option<u64>,
    /// Memory a machine, kB.
    pub max_memory_kb: Option<u64>,
    /// Partition or queue.
    pub queue_name: Option<String>,
    /// Account to charge.
    pub account: Option<String>,
    /// Quality of service.
    pub qos: Option<String>,
    /// Priority.
    pub priority: Option<String>,
    /// The scheduler may start it again.
    pub rerunnable: bool,
    /// Keep the login's environment.
    pub import_sys_environment: bool,
    /// Variables to set.
    pub environment: BTreeMap<String, String>,
    /// Let the shell expand variables in them.
    pub environment_double_quotes: bool,
    /// Raw header lines; those from a first command on come after the directives of the texts.
    pub custom_scheduler_commands: String,
    /// Shell texts before the commands, in order. Directives at their top go into the header.
    pub prepend: Vec<String>,
    /// The commands, one after the other.
    pub lines: Vec<CommandLine>,
    /// They all run at once instead.
    pub is_parallel: bool,
    /// Shell texts after the commands, in order.
    pub append: Vec<String>,
}

/// Resources, worked out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Machines.
    pub machines: u32,
    /// MPI processes on each.
    pub tasks_per_machine: u32,
    /// Cores for each process, if asked for.
    pub cores_per_task: Option<u32>,
}

/// One command of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Words in front of the program: `mpirun ...`, the engine of a container.
    pub launcher: Vec<String>,
    /// Let the shell expand variables in those.
    pub launcher_double_quotes: bool,
    /// The rest of the line is one argument of the launcher, which lets a shell read it (`sh -c`).
    pub is_wrapped: bool,
    /// The program and its arguments. Each reaches the program as it is.
    pub words: Vec<String>,
    /// Let the shell expand variables in the words.
    pub double_quotes: bool,
    /// File for standard input.
    pub stdin: Option<String>,
    /// File for standard output.
    pub stdout: Option<String>,
    /// File for standard error.
    pub stderr: Option<String>,
    /// Standard error goes where standard output goes.
    pub join_files: bool,
}

impl CommandLine {
    fn shell(&self) -> String {
        let inner = self.inner();
        if self.launcher.is_empty() {
            return inner;
        }
        let launcher = in_quotes(&self.launcher, self.launcher_double_quotes);
        match (self.is_wrapped, self.double_quotes) {
            (false, _) => format!("{launcher} {inner}"),
            (true, false) => format!("{launcher} {}", quote(&inner)),
            (true, true) => format!("{launcher} {}", double_quote(&inner)),
        }
    }

    /// Program, arguments and files.
    fn inner(&self) -> String {
        let mut line = in_quotes(&self.words, self.double_quotes);
        // "./" keeps a name that begins with a dash a name.
        let file = |name: &String| quote(&format!("./{name}"));
        for (sign, name) in [("<", &self.stdin), (">", &self.stdout)] {
            if let Some(name) = name {
                let _ = write!(line, " {sign} {}", file(name));
            }
        }
        match &self.stderr {
            _ if self.join_files => line.push_str(" 2>&1"),
            Some(name) => {
                let _ = write!(line, " 2> {}", file(name));
            }
            None => {}
        }
        line
    }
}

fn in_quotes(words: &[String], double: bool) -> String {
    let word = |word: &String| if double { double_quote(word) } else { quote(word) };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A word in which a shell expands `$VARIABLE` and nothing else can break out.
fn double_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Exit status of a script that found its directory or sentinel missing.
pub(super) const NO_DIRECTORY: i32 = 97;
/// Exit status of a second copy that found the start gate taken.
pub(super) const FENCED: i32 = 98;

/// First line of a script whose computer names none.
pub(super) const SHEBANG: &str = "#!/bin/sh";

/// The job script. `header` is the scheduler's own, `directives` says what it reads of the user's texts; `identity` is shell text that sets `ferry_job` (the job's
/// id) and `ferry_restart` (how often the scheduler started it again); `guard` is text that the one copy which runs reads
/// before anything else. `$1` is the submission's token.
pub fn script(
    job: &JobTemplate,
    header: &[String],
    directives: &Directives,
    identity: &str,
    guard: &[String],
) -> String {
    let sorted = sort(job, directives);
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        if !text.ends_with('\n') {
            out.push('\n');
        }
    };
    line(if job.shebang.is_empty() { SHEBANG } else { &job.shebang });
    header.iter().for_each(|text| line(text));
    sorted.lines.iter().for_each(|text| line(text));
    line(&prologue(job, identity));
    guard.iter().for_each(|text| line(text));
    for (name, value) in &job.environment {
        let value = if job.environment_double_quotes { double_quote(value) } else { quote(value) };
        line(&format!("export {name}={value}"));
    }
    sorted.prepend.iter().filter(|text| !text.is_empty()).for_each(|text| line(text));
    line("ferry_status=0");
    const NOTE: &str = "ferry_last=$?; [ \"$ferry_status\" -ne 0 ] || ferry_status=$ferry_last";
    if job.is_parallel {
        for (number, command) in job.lines.iter().enumerate() {
            line(&format!("{} &\nferry_child_{number}=$!", command.shell()));
        }
        // Each by its own: `wait` alone would say nothing of how they ended.
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

/// Directory and sentinel first (a scheduler may start a job somewhere else when its directory is missing),
/// then the gate: one link, so that claim and owner appear together. A copy that finds it taken leaves the
/// exit marker alone.
fn prologue(job: &JobTemplate, identity: &str) -> String {
    let (dir, digest) = (quote_path(&job.dir), quote(&job.digest));
    format!(
        r#"
# ferry's start gate: this job runs once, whoever submitted it how often.
ferry_token=$1
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
printf '%0255d\n' 0 > ".ferry/exit-$$" || exit {NO_DIRECTORY}
ferry_guard=
ferry_end() {{
    ferry_code=$?
    trap - EXIT
    [ -z "$ferry_guard" ] || {{ kill -s KILL "$ferry_guard"; wait "$ferry_guard"; }} 2> /dev/null
    printf '%s %s %s\n' "$ferry_code" "$ferry_token" "$ferry_job" 1<> "$ferry_dir/.ferry/exit-$$"
    mv -f "$ferry_dir/.ferry/exit-$$" "$ferry_dir/.ferry/exit"
    exit "$ferry_code"
}}
trap ferry_end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_file_names_reach_the_program_as_they_are() {
        let line = CommandLine {
            words: vec!["cat".into(), "it's $HOME".into(), "-n".into()],
            stdin: Some("-in".into()),
            stdout: Some("a b".into()),
            join_files: true,
            ..CommandLine::default()
        };
        assert_eq!(line.shell(), r"cat 'it'\''s $HOME' -n < ./-in > './a b' 2>&1");
        let line =
            CommandLine { words: vec!["$HOME/`x`".into()], double_quotes: true, ..CommandLine::default() };
        assert_eq!(line.shell(), "\"$HOME/\\`x\\`\"");
    }

    #[test]
    fn what_stands_in_front_of_a_program_has_quotes_of_its_own() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let line = CommandLine {
            launcher: words(&["mpirun", "-np", "$N"]),
            launcher_double_quotes: true,
            words: words(&["/bin/x", "$A"]),
            ..CommandLine::default()
        };
        assert_eq!(line.shell(), r#""mpirun" "-np" "$N" /bin/x '$A'"#);
        let line = CommandLine { launcher_double_quotes: false, double_quotes: true, ..line };
        assert_eq!(line.shell(), r#"mpirun -np '$N' "/bin/x" "$A""#);
        let line = CommandLine {
            launcher: words(&["docker", "run", "image", "sh", "-c"]),
            is_wrapped: true,
            words: words(&["x", "a b"]),
            stdout: Some("out".into()),
            ..CommandLine::default()
        };
        assert_eq!(line.shell(), r"docker run image sh -c 'x '\''a b'\'' > ./out'");
    }

    /// Runs the commands of a job with a shell; gives its exit status and what it printed.
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
