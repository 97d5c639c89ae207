//! What `sbatch` means when it prints no id. Slurm's words are those of `sbatch` 22.05.8 (recorded) and of
//! `src/common/slurm_errno.c`, 20.02 to 24.11; the exit status says little (1 for almost everything).

use ferry_engine::scheduler::{Error, ErrorKind, Recorded};

use crate::client;

/// The request was sent, and no answer came: the job may be in.
const AMBIGUOUS: &[&str] = &[
    "socket timed out",
    "send failure",
    "receive failure",
    "shutdown failure",
    "zero bytes were transmitted or received",
    "missing socket error",
    "slurm_msg_sendto",
    "broken pipe",
    "connection reset",
    "connection timed out",
    "transport endpoint is not connected",
    "insane message length",
    "unexpected message received",
];

/// The controller would take it another time.
const BUSY: &[&str] = &[
    "resource temporarily unavailable",
    "temporarily unable to accept job",
    "job queue full",
    "job creation temporarily disabled",
    "requested nodes are busy",
    "unable to create job record",
    "i/o error writing script/environment to file",
    "requested operation is presently disabled",
    "too many requests",
    "rate limit",
];

/// Reads a refusal, or finds that it is none.
pub(crate) fn read(recorded: &Recorded) -> Error {
    let complaint = recorded.stderr.trim();
    let said = client::said(complaint);
    let error = |kind| Error::new(kind, "submit").message(said.clone());
    match kind(recorded.status, complaint) {
        ErrorKind::Permanent => error(ErrorKind::Permanent),
        ErrorKind::Unreachable if recorded.status == Some(127) => {
            error(ErrorKind::Unreachable).later().help(client::NOT_FOUND)
        }
        ErrorKind::Ambiguous => {
            let error = error(ErrorKind::Ambiguous).later().effect_unknown();
            recorded.status.into_iter().fold(error, |error, status| error.with("status", status))
        }
        kind => error(kind).later(),
    }
}

fn kind(status: Option<i32>, complaint: &str) -> ErrorKind {
    let words = complaint.to_lowercase();
    let says = |list: &[&str]| list.iter().any(|word| words.contains(word));
    match status {
        Some(127) => ErrorKind::Unreachable,
        // Ended from outside, at a moment that nobody knows; or well, but without an id.
        None | Some(0 | 124 | 125 | 126 | 128..=254) => ErrorKind::Ambiguous,
        _ if complaint.is_empty() || says(AMBIGUOUS) => ErrorKind::Ambiguous,
        _ if is_submit_limit(&words) || says(BUSY) => ErrorKind::Busy,
        // What is left of these fails before anything is sent.
        _ if client::is_out_of_reach(complaint) => ErrorKind::Unreachable,
        _ => ErrorKind::Permanent,
    }
}

/// Whether it is a limit on the number of jobs, and not on the size of one, that is reached. An old Slurm does
/// not say which limit it is; then waiting is the lesser evil.
fn is_submit_limit(words: &str) -> bool {
    let is_limit = |word: &&str| {
        (word.starts_with("qos") || word.starts_with("assoc") || word.starts_with("max"))
            && word.ends_with("limit")
    };
    let mut limits = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_limit).peekable();
    if limits.peek().is_none() {
        return words.contains("violates accounting/qos policy")
            || words.contains("violates accounting policy");
    }
    limits.any(|word| word.contains("submit") || word.contains("maxjobs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: i32, complaint: &str, expect: ErrorKind) {
        let recorded = Recorded { stderr: complaint.into(), status: Some(status), ..Recorded::default() };
        assert_eq!(*read(&recorded).kind(), expect, "{complaint}");
    }

    /// What Slurm 22.05.8 printed, without the two words at the beginning.
    fn sbatch(status: i32, complaint: &str, expect: ErrorKind) {
        let lines: String = complaint.lines().map(|line| format!("sbatch: error: {line}\n")).collect();
        check(status, &lines, expect);
    }

    #[test]
    fn what_can_never_run_is_permanent() {
        use ErrorKind::Permanent;
        sbatch(
            1,
            "invalid partition specified: nosuch\nBatch job submission failed: Invalid partition name specified",
            Permanent,
        );
        let account =
            "Batch job submission failed: Invalid account or account/partition combination specified";
        sbatch(1, account, Permanent);
        sbatch(1, "Batch job submission failed: Invalid qos specification", Permanent);
        sbatch(255, "Invalid --time specification", Permanent);
        sbatch(255, "Invalid --mem specification", Permanent);
        let memory = "Memory specification can not be satisfied\n\
                      Batch job submission failed: Requested node configuration is not available";
        sbatch(1, memory, Permanent);
        sbatch(1, "Batch job submission failed: Invalid node name specified", Permanent);
        sbatch(1, "Batch job submission failed: Invalid feature specification", Permanent);
        sbatch(1, "Invalid generic resource (gres) specification", Permanent);
        sbatch(1, "Batch job submission failed: Job dependency problem", Permanent);
        sbatch(1, "Batch job submission failed: Invalid license specification", Permanent);
        sbatch(1, "Batch job submission failed: Requested reservation is invalid", Permanent);
        sbatch(1, "Unable to open file /no/such/script.sh", Permanent);
        sbatch(
            1,
            "Batch script contains DOS line breaks (\\r\\n)\ninstead of expected UNIX line breaks (\\n).",
            Permanent,
        );
        sbatch(1, "Batch script is empty!", Permanent);
        sbatch(
            1,
            "Batch job submission failed: Pathname of a file, directory or other parameter too long",
            Permanent,
        );
        let option =
            "sbatch: unrecognized option '--nosuchoption'\nTry \"sbatch --help\" for more information\n";
        check(255, option, Permanent);
        // A site's own filter, in its own words.
        sbatch(1, "please state a project\nBatch job submission failed: Unspecified error", Permanent);
        let size = "QOSMaxWallDurationPerJobLimit\nBatch job submission failed: Job violates accounting/QOS policy \
                    (job submit limit, user's size and/or time limits)";
        sbatch(1, size, Permanent);
    }

    #[test]
    fn a_full_queue_is_busy() {
        let policy = "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's \
                      size and/or time limits)";
        for limit in ["QOSMaxSubmitJobPerUserLimit", "AssocMaxSubmitJobLimit", "AssocGrpSubmitJobsLimit"] {
            sbatch(1, &format!("{limit}\n{policy}"), ErrorKind::Busy);
        }
        sbatch(1, policy, ErrorKind::Busy);
        let full = "Slurm temporarily unable to accept job, sleeping and retrying\n\
                    Batch job submission failed: Resource temporarily unavailable";
        sbatch(1, full, ErrorKind::Busy);
    }

    #[test]
    fn a_lost_answer_is_ambiguous() {
        use ErrorKind::Ambiguous;
        sbatch(1, "Batch job submission failed: Socket timed out on send/recv operation", Ambiguous);
        sbatch(
            1,
            "Batch job submission failed: Unable to contact slurm controller (receive failure)",
            Ambiguous,
        );
        sbatch(
            1,
            "Batch job submission failed: Unable to contact slurm controller (send failure)",
            Ambiguous,
        );
        sbatch(1, "Batch job submission failed: Zero Bytes were transmitted or received", Ambiguous);
        // The controller was killed in the middle of it.
        let killed = "slurm_msg_sendto: address:port=127.0.0.1:24335 msg_type=4003: Unexpected missing socket error\n\
                      Batch job submission failed: Unexpected missing socket error";
        sbatch(1, killed, Ambiguous);
        // Ended by `timeout` between two tries, as far as one can see.
        sbatch(124, "Slurm temporarily unable to accept job, sleeping and retrying", Ambiguous);
        check(137, "", Ambiguous);
        check(1, "", Ambiguous);
        let recorded = Recorded { stderr: "x".into(), ..Recorded::default() };
        assert_eq!(*read(&recorded).kind(), Ambiguous, "no status");
    }

    #[test]
    fn a_controller_that_is_not_there_is_unreachable() {
        use ErrorKind::Unreachable;
        sbatch(
            1,
            "Batch job submission failed: Unable to contact slurm controller (connect failure)",
            Unreachable,
        );
        sbatch(1, "Batch job submission failed: Protocol authentication error", Unreachable);
        sbatch(1, "Batch job submission failed: Slurm backup controller in standby mode", Unreachable);
        check(127, "timeout: failed to run command 'sbatch': No such file or directory", Unreachable);
    }

    #[test]
    fn slurm_s_words_reach_the_user() {
        let stderr = "sbatch: error: invalid partition specified: nosuch\n\
                      sbatch: error: Batch job submission failed: Invalid partition name specified\n";
        let recorded = Recorded { stderr: stderr.into(), status: Some(1), ..Recorded::default() };
        assert_eq!(
            read(&recorded).to_string(),
            "invalid partition specified: nosuch; Batch job submission failed: Invalid partition name specified"
        );
    }
}
