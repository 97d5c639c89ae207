//! How Slurm's clients are run so that they end and their answers can be trusted: under `timeout`, without
//! the variables that would change their meaning, and with a last line that tells how they ended.

use ferry_engine::{
    scheduler::{Error, ErrorKind, Result},
    transport::{Command, Output, quote},
};

/// A user's defaults for `squeue` and `sacct` that would hide jobs or reshape lines.
const QUIET: &str = "LC_ALL=C; export LC_ALL; unset SQUEUE_ACCOUNT SQUEUE_ARRAY SQUEUE_FORMAT SQUEUE_FORMAT2 \
                     SQUEUE_LICENSES SQUEUE_NAMES SQUEUE_PARTITION SQUEUE_PRIORITY SQUEUE_QOS SQUEUE_SIBLING SQUEUE_SORT SQUEUE_STATES \
                     SQUEUE_USERS SACCT_FEDERATION SACCT_FORMAT SACCT_LOCAL SLURM_CLUSTERS SLURM_TIME_FORMAT; ";
/// Begins the last line of an answer; the client's exit status follows.
const END: &str = "#end ";

/// How long a client that reads may take, s. Slurm's own limit (`MessageTimeout`) is 10 s by default, 100 at
/// some sites; the far side's `timeout` ends it before the transport's would.
pub(crate) const READING: u32 = 40;

/// Words that send a client to a cluster, with a blank in front. Only a cluster that is not home is named, since that
/// takes an accounting database.
pub(crate) fn in_cluster(cluster: Option<&str>) -> String {
    cluster.map(|name| format!(" -M {}", quote(name))).unwrap_or_default()
}

/// A command that runs `script`, which leaves a client's exit status in `$?`.
pub(crate) fn command(script: &str) -> Command {
    // The end stands on a line of its own, even if the answer was cut in the middle of one.
    Command::sh(format!("{QUIET}{script}; printf '\\n{END}%s\\n' \"$?\""))
}

/// The lines of a complete answer.
///
/// # Errors
/// `Unreachable` if the client could not talk to Slurm, `Unreadable` if the answer was cut or the client
/// complained, also with exit status 0.
pub(crate) fn lines<'a>(operation: &'static str, output: &Output, text: &'a str) -> Result<Vec<&'a str>> {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let status = lines.last().and_then(|line| line.strip_prefix(END)).and_then(|status| status.parse().ok());
    let complaint = output.error_text();
    match status {
        None => Err(cut(operation, &complaint)),
        Some(0) if !is_complaint(&complaint) => {
            lines.pop();
            Ok(lines)
        }
        Some(status) => Err(trouble(operation, status, &complaint)),
    }
}

/// What went wrong with a client that reads or cancels.
pub(crate) fn trouble(operation: &'static str, status: i32, complaint: &str) -> Error {
    let hung = matches!(status, 124 | 137);
    let kind = if hung || status == 127 || is_out_of_reach(complaint) {
        ErrorKind::Unreachable
    } else {
        ErrorKind::Unreadable
    };
    let error = Error::new(kind, operation).later();
    let error = match status {
        127 => error.message("Slurm's commands are not found on this computer").help(NOT_FOUND),
        _ if hung => error.message("Slurm's controller does not answer"),
        _ => error.message(said(complaint)),
    };
    error.with("status", status)
}

/// What to do about commands that are not found.
pub(crate) const NOT_FOUND: &str =
    "make `sbatch` reachable for a non-interactive login, or set `use_login_shell: true` for the computer";

/// Slurm's own words, without the names of its programs; one line, and of a long complaint its beginning and end.
pub(crate) fn said(complaint: &str) -> String {
    let mut lines: Vec<String> =
        complaint.lines().map(bare).filter(|line| !line.is_empty()).map(shorten).collect();
    lines.dedup();
    match lines.len() {
        0 => "Slurm gave no reason".to_owned(),
        count if count > SHOWN => {
            let (first, last) = (&lines[..SHOWN / 2], &lines[count - SHOWN / 2..]);
            format!("{}; ... ({} more lines); {}", first.join("; "), count - SHOWN, last.join("; "))
        }
        _ => lines.join("; "),
    }
}

/// A line without the name of the program and how bad it is.
pub(crate) fn bare(line: &str) -> &str {
    ["sbatch: ", "squeue: ", "sacct: ", "scancel: ", "slurm_load_jobs ", "error: ", "fatal: "]
        .iter()
        .fold(line.trim(), |line, word| line.strip_prefix(word).unwrap_or(line))
}

/// Lines of a complaint that are shown, and bytes of a line.
const SHOWN: usize = 6;
const WIDTH: usize = 300;

fn shorten(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// Whether the controller, or what leads to it, is in trouble: not the job's fault.
pub(crate) fn is_out_of_reach(complaint: &str) -> bool {
    const WORDS: &[&str] = &[
        "unable to contact slurm controller",
        "socket timed out",
        "connection refused",
        "connection timed out",
        "connection reset",
        "zero bytes were transmitted or received",
        "missing socket error",
        "standby mode",
        "protocol authentication error",
        "munge",
        "authentication credential",
        "incompatible versions",
        "unable to process configuration file",
        "unable to establish configuration source",
        "could not establish a configuration source",
        "unable to resolve",
        "problem talking to",
        "can't be reached now",
        "insane message length",
        "controller is in the process of",
    ];
    let complaint = complaint.to_lowercase();
    WORDS.iter().any(|word| complaint.contains(word))
}

/// Login files may print anything on standard error; only Slurm's own errors count.
fn is_complaint(complaint: &str) -> bool {
    let ours =
        |line: &str| ["squeue:", "slurm_", "sacct:", "scancel:"].iter().any(|word| line.starts_with(word));
    complaint.lines().any(|line| ours(line.trim()) && line.contains("error"))
}

fn cut(operation: &'static str, complaint: &str) -> Error {
    let error = Error::new(ErrorKind::Unreadable, operation).message("the answer was cut").later();
    if complaint.is_empty() { error } else { error.with("stderr", complaint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stdout: &str, stderr: &str, expect: Result<&[&str], ErrorKind>) {
        let output = Output { status: 0, stdout: stdout.into(), stderr: stderr.into() };
        let read = lines("status", &output, stdout).map_err(|error| *error.kind());
        assert_eq!(read, expect.map(<[&str]>::to_vec), "{stdout:?} {stderr:?}");
    }

    #[test]
    fn an_answer_counts_when_it_is_whole_and_nobody_complains() {
        check("1|RUNNING|x|None\n\n#end 0\n", "", Ok(&["1|RUNNING|x|None"]));
        check("\n#end 0\n", "bash: warning: error in your .bashrc\n", Ok(&[]));
        check("", "", Err(ErrorKind::Unreadable));
        check("1|RUNNING|x|None\n2|RUN", "", Err(ErrorKind::Unreadable));
        // Slurm 22.05.8, errors-sbatch-and-friends, slurmctld-down, slurmctld-hung.
        let down = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n";
        check("\n#end 1\n", down, Err(ErrorKind::Unreachable));
        let hung = "slurm_load_jobs error: Socket timed out on send/recv operation\n";
        check("\n#end 1\n", hung, Err(ErrorKind::Unreachable));
        check("\n#end 0\n", hung, Err(ErrorKind::Unreachable));
        check("\n#end 1\n", "squeue: error: Invalid job id: abc\n", Err(ErrorKind::Unreadable));
        check("\n#end 124\n", "", Err(ErrorKind::Unreachable));
        check("\n#end 127\n", "sh: 1: squeue: not found\n", Err(ErrorKind::Unreachable));
    }
}
