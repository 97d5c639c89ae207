//! The input of a job script: everything about a job that its scheduler, or its shell, has to know.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use crate::transport::quote;

/// Everything a dialect and [`script`](super::script) need to write a job script.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobTemplate {
    /// First line.
    pub shebang: String,
    /// Absolute work directory.
    pub dir: PathBuf,
    /// The text of the sentinel in it.
    pub digest: String,
    /// Name for the scheduler's listings, for people.
    pub name: String,
    /// Names of the files for the job's output.
    pub stdout: String,
    /// See `stdout`.
    pub stderr: String,
    /// Machines, processes, cores.
    pub resources: Resources,
    /// Wall time limit, s.
    pub max_wallclock_seconds: Option<u64>,
    /// Memory a machine, kB.
    pub max_memory_kb: Option<u64>,
    /// The same, where the job itself asked for it; otherwise it is the computer's default.
    pub asked_memory_kb: Option<u64>,
    /// Partition or queue.
    pub queue_name: Option<String>,
    /// Account to charge.
    pub account: Option<String>,
    /// Quality of service.
    pub qos: Option<String>,
    /// Priority.
    pub priority: Option<String>,
    /// True if the scheduler may start it again.
    pub rerunnable: bool,
    /// True to keep the login's environment.
    pub import_sys_environment: bool,
    /// Variables to set.
    pub environment: BTreeMap<String, String>,
    /// True to let the shell expand variables in their values.
    pub environment_double_quotes: bool,
    /// Raw header lines; those from a first command on come after the directives of the texts.
    pub custom_scheduler_commands: String,
    /// Shell texts before the commands, in order. Directives at their top go into the header.
    pub prepend: Vec<String>,
    /// The commands, one after the other.
    pub lines: Vec<CommandLine>,
    /// True if they all run at once instead.
    pub is_parallel: bool,
    /// Shell texts after the commands, in order.
    pub append: Vec<String>,
    /// True if processes that the job has started may go on when its script has ended. This has an effect only
    /// where the scheduler would not end them.
    pub keep_children: bool,
}

/// Resources of a job, with all numbers resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Machines.
    pub machines: u32,
    /// MPI processes on each.
    pub tasks_per_machine: u32,
    /// Cores for each process, if asked for.
    pub cores_per_task: Option<u32>,
    /// GPUs on each machine, if asked for.
    pub gpus: Option<u32>,
    /// Values for the scheduler's own [`ResourceKey`](super::ResourceKey)s.
    pub more: BTreeMap<String, serde_json::Value>,
}

impl Resources {
    /// Returns the text that the job asks for under one of the scheduler's own keys.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.more.get(key)?.as_str()
    }

    /// Returns the number that the job asks for under one of the scheduler's own keys.
    pub fn count(&self, key: &str) -> Option<u64> {
        self.more.get(key)?.as_u64()
    }
}

/// One command of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Words in front of the program: `mpirun ...`, or the engine of a container.
    pub launcher: Vec<String>,
    /// True to let the shell expand variables in those words.
    pub launcher_double_quotes: bool,
    /// True if the rest of the line is one argument of the launcher, which passes it to a shell (`sh -c`).
    pub is_wrapped: bool,
    /// The program and its arguments. Each reaches the program as it is.
    pub words: Vec<String>,
    /// True to let the shell expand variables in the words.
    pub double_quotes: bool,
    /// File for standard input.
    pub stdin: Option<String>,
    /// File for standard output.
    pub stdout: Option<String>,
    /// File for standard error.
    pub stderr: Option<String>,
    /// True if standard error goes to the same place as standard output.
    pub join_files: bool,
}

impl CommandLine {
    pub(super) fn shell(&self) -> String {
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

    /// Returns the program with its arguments and redirections.
    fn inner(&self) -> String {
        let mut line = in_quotes(&self.words, self.double_quotes);
        // "./" keeps a name that begins with a dash from being read as an option.
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

/// Quotes a word so that a shell expands `$VARIABLE` in it and nothing else can break out.
pub(super) fn double_quote(text: &str) -> String {
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
}
