//! The text that runs a command on the remote side, for any login shell of the user there. Pure.
//!
//! The server gets one constant line that means the same to every shell. `sh` then reads the script from its
//! standard input, so neither the login shell's quoting nor the length of an argument matters. The script frames
//! the command's output with marks ([`super::framing`]). Output before the first mark is that of login files. The
//! last mark carries the exit status, behind all output of the command.
//!
//! ```text
//! login shell -> exec /bin/sh, reads the script -> subshell -> exec the command's words
//! ```
//!
//! All of it is one process group, the session that the server makes. The outer `sh` catches every signal that can
//! be caught, so that it can still report when the command ends its own group.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::framing::Token;
use crate::transport::{Command, Error, ErrorKind, Result, check_path, quote_os};

/// The text that reads a script from standard input and runs it.
pub const READ_SCRIPT: &str = r#"IFS= read -r _ferry && eval "$_ferry""#;
/// The same as a line for any login shell.
pub const BOOTSTRAP: &str = r#"exec /bin/sh -c 'IFS= read -r _ferry && eval "$_ferry"'"#;

/// Shell text that finds the group, which may differ from the shell's own pid behind a forced command.
const GROUP: &str = "_f=;{ read -r _f _f _f _f _fg _f </proc/$$/stat; } 2>/dev/null||_fg=$$;";
const TRAPS: &str = "trap : HUP INT QUIT TERM USR1 USR2 ALRM PIPE;";
/// Shell text that keeps the shell's own messages about ended children away from the command's standard error.
const QUIET: &str = "exec 4>&2 2>/dev/null;";
/// Shell text that changes to the directory after the login files, which may have changed it.
const LOGIN: &str = r#"cd -- "$1" && shift && exec "$@""#;

/// The job to run: a [`Command`], or ferry's own words that need not be UTF-8.
#[derive(Debug, Clone)]
pub struct Job {
    /// Program and arguments; the arguments alone if there is a text.
    pub argv: Vec<OsString>,
    /// A shell text to run in place of a program, without newlines. It finds its arguments in `$1`, `$2`, ..
    pub text: Option<&'static str>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Variables set on top of the login's environment.
    pub env: BTreeMap<String, String>,
    /// The most time that it may take.
    pub timeout: Duration,
    /// True to run it through the user's login files.
    pub use_login_shell: bool,
}

impl Job {
    /// Makes a job of words alone, run without login files.
    pub fn new<W: AsRef<OsStr>>(argv: impl IntoIterator<Item = W>, timeout: Duration) -> Self {
        let argv = argv.into_iter().map(|word| word.as_ref().to_owned()).collect();
        Job { argv, text: None, cwd: None, env: BTreeMap::new(), timeout, use_login_shell: false }
    }

    /// Makes a job of a shell text and its arguments.
    pub fn text<W: AsRef<OsStr>>(
        text: &'static str,
        words: impl IntoIterator<Item = W>,
        timeout: Duration,
    ) -> Self {
        Job { text: Some(text), ..Job::new(words, timeout) }
    }

    /// Makes the job of a command.
    pub fn of(command: &Command, use_login_shell: bool) -> Self {
        Job {
            argv: command.argv.clone(),
            text: None,
            cwd: command.cwd.clone(),
            env: command.env.clone(),
            timeout: command.timeout,
            use_login_shell: use_login_shell && !command.no_login_shell,
        }
    }

    /// Returns the command for messages, cut if it is long.
    pub fn shown(&self) -> String {
        let words: Vec<String> = self.argv.iter().map(|word| quote_os(word)).collect();
        let line = words.join(" ");
        match line.char_indices().nth(200) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    /// Returns the script that runs it, ending in a newline.
    ///
    /// # Errors
    /// `InvalidPath` for the working directory, `Other` for words that can't be expressed; effect none.
    pub fn script(&self, token: &Token) -> Result<Vec<u8>> {
        if self.argv.is_empty() && self.text.is_none() {
            return Err(unsayable("the command is empty"));
        }
        if let Some(dir) = &self.cwd {
            check_path("exec", dir)?;
        }
        let words = self.words(token);
        if words.iter().any(|word| word.as_bytes().contains(&0)) {
            return Err(unsayable("a word of the command holds a NUL byte"));
        }
        let mut line = Line::default();
        line.text(TRAPS).text(GROUP).text(QUIET);
        line.text(&format!("{};", token.print_group("$_fg")));
        if let Some(dir) = &self.cwd {
            line.enter(dir, token);
        }
        if !self.use_login_shell {
            line.text(&format!("{};{} >&4;", token.print_begin(), token.print_begin()));
        }
        line.text(if self.text.is_some() { "(set --" } else { "(exec" });
        words.iter().for_each(|word| line.word(word));
        if let Some(text) = self.text {
            line.text(";").text(text);
        }
        line.text(") 2>&4 4>&-;_fs=$?;");
        line.text(&format!("{};{} >&4;exit $_fs", token.print_end("$_fs"), token.print_end("$_fs")));
        Ok(line.finish())
    }

    /// Returns the argv to execute: the command's own, with its environment, or that of a login shell that becomes
    /// it.
    fn words(&self, token: &Token) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if self.use_login_shell {
            let begin = token.print_begin();
            let login = format!("{begin};{begin} >&2;{LOGIN}");
            words.extend(["bash", "-l", "-c", &login, "bash"].map(OsString::from));
            words.push(self.cwd.as_deref().unwrap_or(Path::new(".")).into());
        }
        if !self.env.is_empty() {
            words.push("env".into());
            words.extend(self.env.iter().map(|(name, value)| format!("{name}={value}").into()));
        }
        words.extend(self.argv.iter().cloned());
        words
    }
}

/// The text that ends the process group `$1`: TERM, then KILL after a grace of two seconds. In this form, the one for
/// which no `--` is needed, every `kill` takes a group.
pub const END_GROUP: &str = "kill -TERM \"-$1\" 2>/dev/null;i=0;\
    while [ $i -lt 20 ]&&kill -0 \"-$1\" 2>/dev/null;do sleep 0.1||sleep 1;i=$((i+1));done;\
    kill -KILL \"-$1\" 2>/dev/null";

/// Returns the command that ends a process group, for any login shell.
pub fn end_group(group: u32) -> String {
    format!("exec /bin/sh -c '{END_GROUP}' sh {group}")
}

fn unsayable(message: &str) -> Error {
    Error::new(ErrorKind::Other, "exec").message(message)
}

/// A script without newlines: a variable stands for them.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    has_newlines: bool,
}

impl Line {
    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes.extend(text.bytes());
        self
    }

    /// Adds a blank and a quoted word.
    fn word(&mut self, word: &OsStr) {
        self.bytes.extend(b" '");
        for byte in word.as_bytes() {
            match byte {
                b'\'' => self.bytes.extend(br"'\''"),
                b'\n' => {
                    self.has_newlines = true;
                    self.bytes.extend(br#"'"$_fn"'"#);
                }
                byte => self.bytes.push(*byte),
            }
        }
        self.bytes.push(b'\'');
    }

    /// Changes to the working directory, or prints the mark that says why it can't.
    fn enter(&mut self, dir: &Path, token: &Token) {
        let dir = dir.as_os_str();
        self.text("cd");
        self.word(dir);
        self.text("||{ if [ -d");
        self.word(dir);
        self.text(" ];then _fs=denied;elif [ -e");
        self.word(dir);
        self.text(" ];then _fs=file;else _fs=missing;fi;");
        let end = token.print_end("$_fs");
        self.text(&format!("{end};{end} >&4;exit; }};"));
    }

    fn finish(self) -> Vec<u8> {
        let newline: &[u8] = if self.has_newlines { br"_fn=$(printf '\nx');_fn=${_fn%x};" } else { b"" };
        [newline, &self.bytes, b"\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command as Child, Output, Stdio},
    };

    use super::*;
    use crate::transport::shell::framing::{Ending, Stream};

    /// Runs a script as a server would, and reads its marks.
    fn run(shell: &str, command: &Command) -> (Output, Stream, Stream) {
        let token = Token::new();
        let script = Job::of(command, false).script(&token).unwrap();
        let mut child = Child::new(shell)
            .args(["-c", BOOTSTRAP])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&script).unwrap();
        stdin.write_all(&command.stdin).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let read = |bytes: &[u8]| {
            let mut stream = Stream::new(token.clone());
            stream.push(bytes);
            stream
        };
        let (stdout, stderr) = (read(&output.stdout), read(&output.stderr));
        (output, stdout, stderr)
    }

    #[test]
    fn words_streams_and_status_pass_through() {
        let words =
            ["sh", "-c", "cat; printf '<%s>' \"$@\"; echo e >&2; exit 3", "sh", "a\nb", "it's", "", "\\n"];
        let (_, stdout, stderr) = run("sh", &Command::new(words).stdin("in"));
        assert_eq!(stdout.ending(), Some(Ending::Status(3)));
        assert_eq!(stderr.ending(), Some(Ending::Status(3)));
        assert!(stdout.group().is_some());
        assert_eq!(stdout.finish().0, b"in<a\nb><it's><><\\n>");
        assert_eq!(stderr.finish().0, b"e\n");
    }

    #[test]
    fn a_directory_that_is_none_is_told() {
        for (dir, expect) in [("/no/such", Ending::MissingDir), ("/etc/passwd", Ending::FileForDir)] {
            let (_, stdout, _) = run("sh", &Command::new(["true"]).cwd(dir));
            assert_eq!(stdout.ending(), Some(expect));
        }
    }

    #[test]
    fn signals_are_told_and_nothing_is_added() {
        let (_, stdout, stderr) = run("sh", &Command::sh("kill -KILL $$"));
        assert_eq!(stdout.ending(), Some(Ending::Status(137)));
        assert_eq!(stderr.finish().0, b"");
    }

    #[test]
    fn a_script_that_is_cut_off_runs_nothing() {
        let token = Token::new();
        let script = Job::of(&Command::new(["echo", "ran"]), false).script(&token).unwrap();
        let mut child = Child::new("sh")
            .args(["-c", BOOTSTRAP])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&script[..script.len() - 1]).unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, b"");
    }
}
