//! Runs Slurm's clients so that they end and their answers can be trusted: under `timeout`, without the variables
//! that would change their meaning, and with a last line that holds their exit status.

use ferry_engine_core::{
    scheduler::{Error, ErrorKind, Result},
    transport::{Command, Output, quote},
};

use crate::record;

/// Shell text that unsets a user's defaults for `squeue` and `sacct` that would hide jobs or reshape lines.
const QUIET: &str = "LC_ALL=C; export LC_ALL; unset SQUEUE_ACCOUNT SQUEUE_ARRAY SQUEUE_FORMAT SQUEUE_FORMAT2 \
                     SQUEUE_LICENSES SQUEUE_NAMES SQUEUE_PARTITION SQUEUE_PRIORITY SQUEUE_QOS SQUEUE_SIBLING SQUEUE_SORT SQUEUE_STATES \
                     SQUEUE_USERS SACCT_FEDERATION SACCT_FORMAT SACCT_LOCAL SLURM_CLUSTERS SLURM_TIME_FORMAT; ";
/// Beginning of the last line of an answer; the client's exit status follows.
const END: &str = "#end ";

/// Most time that a reading client may take, s. Slurm's own limit (`MessageTimeout`) is 10 s by default, 100 at
/// some sites. The remote `timeout` ends the client before the transport would.
pub(crate) const READING: u32 = 40;

/// Returns the words that send a client to a cluster, with a blank in front. Only a cluster other than the home
/// cluster is named, since that needs an accounting database.
pub(crate) fn in_cluster(cluster: Option<&str>) -> String {
    cluster.map(|name| format!(" -M {}", quote(name))).unwrap_or_default()
}

/// Returns a command that runs `script`, which leaves a client's exit status in `$?`.
pub(crate) fn command(script: &str) -> Command {
    // The end is on a line of its own, even if the answer was cut in the middle of one.
    Command::sh(format!("{QUIET}{script}; printf '\\n{END}%s\\n' \"$?\""))
}

/// Returns the lines of a complete answer.
///
/// # Errors
/// `Unreachable` if the client could not talk to Slurm; `Unreadable` if the answer was cut or the client
/// complained, even with exit status 0.
pub(crate) fn lines<'a>(operation: &'static str, output: &Output, text: &'a str) -> Result<Vec<&'a str>> {
    let (lines, status) = whole(operation, output, text)?;
    let complaint = output.error_text();
    if status == 0 && !is_complaint(&complaint) {
        return Ok(lines);
    }
    Err(trouble(operation, status, &complaint))
}

/// The answer of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rows<'a> {
    /// Its lines.
    pub(crate) lines: Vec<&'a str>,
    /// Complaints of `squeue` beside them, shortened. A listing with complaints may be incomplete.
    pub(crate) complaint: Option<String>,
}

/// Returns the lines of a listing. `squeue` may complain beside a good answer. For a second controller whose name
/// does not resolve, it prints 26 lines, with exit status 0. Its header counts as a row: it is printed when jobs
/// were loaded.
///
/// # Errors
/// As [`lines`]; but a complaint counts only where there are no rows, or where it says that no jobs were loaded.
pub(crate) fn rows<'a>(operation: &'static str, output: &Output, text: &'a str) -> Result<Rows<'a>> {
    let (lines, status) = whole(operation, output, text)?;
    let complaint = output.error_text();
    let has_rows = lines.iter().any(|line| line.starts_with(record::BEGIN));
    let is_void = is_unloaded(&complaint) || !has_rows && complaint.lines().any(is_error);
    if status != 0 || is_void {
        return Err(trouble(operation, status, &complaint));
    }
    let complaint = complaint.lines().any(is_error).then(|| said(&complaint));
    Ok(Rows { lines, complaint })
}

/// Returns the lines of an answer that was not cut, and the client's exit status.
fn whole<'a>(operation: &'static str, output: &Output, text: &'a str) -> Result<(Vec<&'a str>, i32)> {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let status = lines.pop().and_then(|line| line.strip_prefix(END)).and_then(|status| status.parse().ok());
    match status {
        Some(status) => Ok((lines, status)),
        None => Err(cut(operation, &output.error_text())),
    }
}

/// Returns whether an answer is complete and its client ended with status 0.
pub(crate) fn ended_well(text: &str) -> bool {
    text.lines().rfind(|line| !line.is_empty()).and_then(|line| line.strip_prefix(END)) == Some("0")
}

/// Returns whether a client says that it loaded nothing, whatever its exit status.
pub(crate) fn is_unloaded(complaint: &str) -> bool {
    complaint.lines().any(|line| line.trim().starts_with("slurm_") && line.contains("error"))
}

/// Returns whether a line of standard error reports an error, of any program.
fn is_error(line: &str) -> bool {
    line.contains("error:") || is_complaint(line)
}

/// Returns the error of a client that reads or cancels.
pub(crate) fn trouble(operation: &'static str, status: i32, complaint: &str) -> Error {
    let hung = matches!(status, 124 | 137);
    // A client with exit status 0 has reached a controller.
    let is_down = is_out_of_reach(complaint) && (status != 0 || is_unloaded(complaint));
    let kind = if hung || status == 127 || is_down { ErrorKind::Unreachable } else { ErrorKind::Unreadable };
    let error = Error::new(kind, operation).later();
    let error = match status {
        127 => error.message("Slurm's commands are not found on this computer").help(NOT_FOUND),
        _ if hung => error.message("Slurm's controller does not answer"),
        _ => error.message(said(complaint)),
    };
    error.with("status", status)
}

/// The help for commands that are not found.
pub(crate) const NOT_FOUND: &str =
    "make `sbatch` reachable for a non-interactive login, or set `use_login_shell: true` for the computer";

/// Returns Slurm's own words in one line, without the names of its programs. A long complaint is cut to its
/// beginning and end.
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

/// Returns a line without the program's name and the severity.
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

/// Returns whether the controller can't be reached: not the job's fault.
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

/// Returns whether a text holds an error of Slurm. Login files may print anything on standard error; only Slurm's
/// own errors count.
fn is_complaint(complaint: &str) -> bool {
    let ours =
        |line: &str| ["squeue:", "slurm_", "sacct:", "scancel:"].iter().any(|word| line.starts_with(word));
    complaint.lines().any(|line| ours(line.trim()) && line.contains("error"))
}

fn cut(operation: &'static str, complaint: &str) -> Error {
    let error = Error::new(ErrorKind::Unreadable, operation).message("the answer was cut").later();
    if complaint.is_empty() { error } else { error.with("stderr", said(complaint)) }
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

    /// Returns the complaint of Slurm 22.05.8 for a second `SlurmctldHost` whose name does not resolve: 26 lines,
    /// all rows, exit status 0.
    fn unresolved() -> String {
        let attempt = |number: i32| {
            format!(
                "squeue: error: get_addr_info: getaddrinfo() failed: Name or service not known: No error, attempt \
                 number {number}\n"
            )
        };
        let once: String = (-4..=5).map(attempt).collect();
        let once = format!(
            "{once}squeue: error: get_addr_info: getaddrinfo() fAiled: Name or service not known\n\
             squeue: error: slurm_set_addr: Unable to resolve \"nosuchhost.invalid\"\n\
             squeue: error: slurm_set_port: attempting to set port without address family\n"
        );
        once.repeat(2)
    }

    fn listing(stdout: &str, stderr: &str) -> Result<(usize, Option<String>), ErrorKind> {
        let output = Output { status: 0, stdout: stdout.into(), stderr: stderr.into() };
        let read = rows("status", &output, stdout).map(|rows| (rows.lines.len(), rows.complaint));
        read.map_err(|error| *error.kind())
    }

    #[test]
    fn a_complaint_beside_rows_is_a_warning() {
        let (count, complaint) = listing("@1|RUNNING\n\n#end 0\n", &unresolved()).unwrap();
        let complaint = complaint.unwrap();
        assert_eq!(count, 1);
        assert!(complaint.contains("more lines") && complaint.len() < 700, "{complaint}");
        assert!(complaint.ends_with("attempting to set port without address family"), "{complaint}");
        assert_eq!(listing("@1|RUNNING\n\n#end 0\n", "bash: warning: .bashrc is old\n"), Ok((1, None)));
    }

    #[test]
    fn a_complaint_without_rows_voids_a_listing() {
        assert_eq!(listing("\n#end 0\n", ""), Ok((0, None)));
        assert_eq!(listing("\n#end 0\n", &unresolved()), Err(ErrorKind::Unreadable));
        let (count, complaint) = listing("@JOBID\u{1f}STATE\n\n#end 0\n", &unresolved()).unwrap();
        assert_eq!(
            (count, complaint.is_some()),
            (1, true),
            "the controller has answered that there are none"
        );
        assert_eq!(listing("Welcome!\n\n#end 0\n", "error: no such plugin\n"), Err(ErrorKind::Unreadable));
        let unloaded = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n";
        assert_eq!(listing("@1|RUNNING\n\n#end 0\n", unloaded), Err(ErrorKind::Unreachable));
        assert_eq!(listing("@1|RUNNING\n\n#end 1\n", ""), Err(ErrorKind::Unreadable));
    }
}
