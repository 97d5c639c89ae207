//! Interprets the answer of `sbatch` when it prints no id. The words are those of `sbatch` 22.05.8 (recorded on a
//! private cluster) and of Slurm's source; the exit status says little (1 for almost everything).
//!
//! An end can't be taken back, so only words that are known to be final end a job. Unknown words are
//! *unrecognized*: the submission is looked up like one with a lost answer, tried a few times, and left to a
//! person.

mod errno;

use ferry_engine_core::scheduler::{Error, ErrorKind, Recorded};

use crate::{
    client,
    reason::{self, Limit},
};
use errno::Meaning;

/// Beginning of the line in which `sbatch` prints the controller's answer.
const FAILED: &str = "Batch job submission failed: ";

/// Words of `sbatch` while it retries by itself, for two minutes in all. The answer before them was no.
const RETRYING: &[&str] = &["job creation temporarily disabled", "job step creation temporarily disabled"];

/// The same words where the cluster has as many jobs as it takes (`MaxJobCount`).
const FILLED: &[&str] = &["temporarily unable to accept job", "job queue full"];

/// Complaints about the host without an answer of a controller, beside those of [`client::is_out_of_reach`].
const HOST: &[&str] = &[
    "unable to process configuration file",
    "unable to establish configuration source",
    "could not establish a configuration source",
    "parsing error at unrecognized key",
];

/// Complaints about the connection: the request may have been sent.
const LOST: &[&str] = &[
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
    "delayed socket error",
];

/// Complaints that pass, from before a controller was asked. `--clusters` needs the database, and the controller
/// of that cluster, so only jobs with that option are affected.
const BUSY: &[&str] = &[
    "can't be reached now",
    "no clusters can be reached",
    "problem talking to the database",
    "problem talking to database",
    "no space left on device",
    "disk quota exceeded",
    "cannot allocate memory",
    "too many open files",
    "cannot fork",
    "fork: retry",
];

/// Complaints of `sbatch` about its own options and its script, by their beginning and end. Recorded with 22.05.8
/// for `--time=abc`, `--mem=1X`, `--ntasks=0`, `--nosuchoption`, `--hint=foo`, `--nice=99999999999`, and `--mem`
/// beside `--mem-per-cpu`.
const OPTIONS: &[(&str, &str)] = &[
    ("Invalid --", " specification"),
    ("Invalid --nice value", ""),
    ("Invalid numeric value ", ""),
    ("unrecognized option ", ""),
    ("unrecognized --", ""),
    ("invalid option -- ", ""),
    ("option ", "requires an argument"),
    ("option ", "doesn't allow an argument"),
    ("option ", "is ambiguous"),
    ("--", "are mutually exclusive."),
    ("Batch script contains DOS line breaks", ""),
];

/// The account is not known, or not for this partition (`ESLURM_INVALID_ACCOUNT`).
const ACCOUNT: &str = "invalid account or account/partition";

/// Options whose value is looked up outside Slurm: in the user database, in a file.
const LOOKED_UP: &[&str] = &["Invalid --uid ", "Invalid --gid ", "Invalid --nodefile "];

/// Reads a refusal; the error says whether it is one.
pub(crate) fn read(recorded: &Recorded) -> Error {
    let complaint = recorded.stderr.trim();
    let said = client::said(complaint);
    let error = |kind| Error::new(kind, "submit").message(said.clone());
    match judge(recorded.status, complaint) {
        Verdict::Final if complaint.to_lowercase().contains(ACCOUNT) => error(ErrorKind::InvalidAccount),
        Verdict::Final => error(ErrorKind::Permanent),
        Verdict::NotFound => error(ErrorKind::Unreachable).later().help(client::NOT_FOUND),
        Verdict::Host => error(ErrorKind::Unreachable).later(),
        Verdict::Busy => error(ErrorKind::Busy).later(),
        Verdict::Full => error(ErrorKind::Full).later(),
        Verdict::Quota => error(ErrorKind::Quota).later(),
        Verdict::BusyAndCut => error(ErrorKind::Busy).later().effect_unknown(),
        Verdict::FullAndCut => error(ErrorKind::Full).later().effect_unknown(),
        Verdict::Unknown => error(ErrorKind::Unrecognized).later().effect_unknown(),
        Verdict::Lost => {
            let error = error(ErrorKind::Ambiguous).later().effect_unknown();
            recorded.status.into_iter().fold(error, |error, status| error.with("status", status))
        }
    }
}

/// The meaning of an answer without an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Final,
    /// Not now, for any reason but the number of jobs.
    Busy,
    /// The cluster has as many jobs as it takes.
    Full,
    /// An association or a quality of service has as many jobs as it may have.
    Quota,
    /// Busy, and ended from outside during its own retries: the last attempt may have succeeded.
    BusyAndCut,
    /// The same for a full cluster.
    FullAndCut,
    Host,
    /// There is no `sbatch`.
    NotFound,
    Lost,
    Unknown,
}

fn judge(status: Option<i32>, complaint: &str) -> Verdict {
    let lines: Vec<&str> = complaint.lines().map(client::bare).filter(|line| !line.is_empty()).collect();
    match status {
        Some(127) => Verdict::NotFound,
        Some(124 | 137 | 143) if lines.iter().any(|line| says(line, FILLED)) => Verdict::FullAndCut,
        Some(124 | 137 | 143) if lines.iter().any(|line| says(line, RETRYING)) => Verdict::BusyAndCut,
        // Ended from outside, at an unknown moment; or with success, but without an id.
        None | Some(0 | 124..=126 | 128..=254) => Verdict::Lost,
        _ if lines.is_empty() => Verdict::Lost,
        _ => match lines.iter().rev().find_map(|line| line.strip_prefix(FAILED)) {
            // The controller's own answer counts, whatever came before it.
            Some(answer) => answered(answer, &lines),
            None => complained(&lines),
        },
    }
}

/// Returns the meaning of the controller's answer.
fn answered(answer: &str, lines: &[&str]) -> Verdict {
    if answer.starts_with("Job violates accounting") {
        return violated(lines);
    }
    match errno::meaning(answer) {
        Some(Meaning::Final) => Verdict::Final,
        Some(Meaning::Busy) if errno::is_full(answer) || lines.iter().any(|line| says(line, FILLED)) => {
            Verdict::Full
        }
        Some(Meaning::Busy) => Verdict::Busy,
        Some(Meaning::Host) => Verdict::Host,
        Some(Meaning::Lost) => Verdict::Lost,
        None => Verdict::Unknown,
    }
}

/// Returns the meaning of a violated limit, whose name stands on a line of its own. A Slurm that names none may
/// mean the number of jobs; then waiting is the lesser evil. Such an answer does not say whose limit it is, but it
/// is never that of the whole cluster.
fn violated(lines: &[&str]) -> Verdict {
    let mut names = lines.iter().filter(|line| reason::is_limit(line)).peekable();
    if names.peek().is_none() {
        return Verdict::Quota;
    }
    let limits: Vec<Option<Limit>> = names.map(|name| reason::limit(name)).collect();
    if limits.contains(&Some(Limit::Jobs)) {
        Verdict::Quota
    } else if limits.iter().all(Option::is_some) {
        Verdict::Final
    } else {
        Verdict::Unknown
    }
}

/// Returns the meaning of a complaint of `sbatch` without an answer of a controller. The least certain meaning
/// comes first.
fn complained(lines: &[&str]) -> Verdict {
    let means = |wanted| lines.iter().any(|line| errno::meaning(line) == Some(wanted));
    let says = |list| lines.iter().any(|line| says(line, list));
    if means(Meaning::Lost) || says(LOST) {
        Verdict::Lost
    } else if lines.iter().any(|line| is_unknown_cluster(line)) {
        Verdict::Final
    } else if says(BUSY) || means(Meaning::Busy) {
        Verdict::Busy
    } else if means(Meaning::Host) || says(HOST) || lines.iter().any(|line| client::is_out_of_reach(line)) {
        Verdict::Host
    } else if means(Meaning::Final) || lines.iter().any(|line| is_option(line)) {
        Verdict::Final
    } else {
        Verdict::Unknown
    }
}

fn says(line: &str, list: &[&str]) -> bool {
    let line = line.to_lowercase();
    list.iter().any(|words| line.contains(words))
}

/// Returns whether the database has answered that there is no such cluster. `sbatch` then adds that it "can't be
/// reached now, or it is an invalid entry", as it does for one whose controller is down.
fn is_unknown_cluster(line: &str) -> bool {
    line.starts_with("No cluster '") && line.contains("known by database")
}

fn is_option(line: &str) -> bool {
    OPTIONS.iter().any(|(begin, end)| line.starts_with(begin) && line.ends_with(end))
        && !LOOKED_UP.iter().any(|begin| line.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use ferry_engine_core::error::Effect;

    use super::*;

    fn check(status: i32, complaint: &str, expect: ErrorKind) -> Effect {
        let recorded = Recorded { stderr: complaint.into(), status: Some(status), ..Recorded::default() };
        let error = read(&recorded);
        assert_eq!(*error.kind(), expect, "{complaint}");
        error.effect()
    }

    /// Checks the output of Slurm 22.05.8, given without the two words at the beginning.
    fn sbatch(status: i32, complaint: &str, expect: ErrorKind) -> Effect {
        let lines: String = complaint.lines().map(|line| format!("sbatch: error: {line}\n")).collect();
        check(status, &lines, expect)
    }

    /// Checks an answer of the controller.
    fn answer(text: &str, expect: ErrorKind) -> Effect {
        sbatch(1, &format!("Batch job submission failed: {text}"), expect)
    }

    #[test]
    fn what_can_never_run_is_permanent() {
        use ErrorKind::Permanent;
        let partition = "invalid partition specified: nosuch\nBatch job submission failed: Invalid partition name specified";
        sbatch(1, partition, Permanent);
        answer("Invalid account or account/partition combination specified", ErrorKind::InvalidAccount);
        answer("Invalid qos specification", Permanent);
        sbatch(255, "Invalid --time specification", Permanent);
        sbatch(255, "Invalid --mem specification", Permanent);
        let memory = "Memory specification can not be satisfied\n\
                      Batch job submission failed: Requested node configuration is not available";
        sbatch(1, memory, Permanent);
        answer("Invalid node name specified", Permanent);
        answer("Invalid feature specification", Permanent);
        sbatch(1, "Invalid generic resource (gres) specification", Permanent);
        answer("Job dependency problem", Permanent);
        answer("Invalid license specification", Permanent);
        answer("Requested reservation is invalid", Permanent);
        answer("Pathname of a file, directory or other parameter too long", Permanent);
        let dos =
            "Batch script contains DOS line breaks (\\r\\n)\ninstead of expected UNIX line breaks (\\n).";
        sbatch(1, dos, Permanent);
        let option =
            "sbatch: unrecognized option '--nosuchoption'\nTry \"sbatch --help\" for more information\n";
        check(255, option, Permanent);
        check(
            255,
            "Invalid time specification (pos=0): x\nsbatch: error: Invalid --begin specification",
            Permanent,
        );
        sbatch(1, "Invalid numeric value \"0\" for --ntasks.", Permanent);
        sbatch(1, "unrecognized --hint argument \"foo\", see --hint=help", Permanent);
        sbatch(255, "Invalid --nice value, out of range (+/- 2147483645)", Permanent);
        let memory = "sbatch: fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.";
        check(1, memory, Permanent);
    }

    #[test]
    fn what_passes_is_no_end() {
        use ErrorKind::Busy;
        for text in [
            "Required partition not available (inactive or drain)",
            "Required node not available (down, drained or reserved)",
            "Requested partition configuration not available now",
            "Requested reservation not usable now",
            "Requested reservation is in use",
            "Licenses currently unavailable",
            "System submissions disabled",
            "Unable to connect to database",
            "No space left on device",
            "Cannot allocate memory",
            "Disk quota exceeded",
        ] {
            assert_eq!(answer(text, Busy), Effect::None, "{text}");
        }
        // Slurm 22.05.8, `--clusters` with slurmdbd killed.
        let database = "DBD_GET_CLUSTERS failure: Connection refused\n\
                        Problem talking to database\n\
                        There is a problem talking to the database: Connection refused.  Only local cluster \
                        communication is available, remove --cluster from your command line or contact your admin \
                        to resolve the problem.";
        sbatch(1, database, Busy);
        sbatch(1, UNREACHED, Busy);
    }

    /// Slurm 22.05.8 with the controller of `beta` down.
    const UNREACHED: &str = "'beta' can't be reached now, or it is an invalid entry for --cluster.  Use 'sacctmgr list \
                             clusters' to see available clusters.";

    #[test]
    fn a_cluster_that_does_not_exist_is_refused_for_good() {
        let unknown = format!("No cluster 'beta' known by database.\n{UNREACHED}");
        sbatch(1, &unknown, ErrorKind::Permanent);
        sbatch(1, "No cluster 'nosuch' known by database.", ErrorKind::Permanent);
    }

    #[test]
    fn a_limit_on_the_number_of_jobs_is_told_from_a_full_cluster() {
        let policy = "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's \
                      size and/or time limits)";
        for limit in [
            "QOSMaxSubmitJobPerUserLimit",
            "AssocMaxSubmitJobLimit",
            "AssocGrpSubmitJobsLimit",
            "MaxSubmitJobsPerAccount",
        ] {
            sbatch(1, &format!("{limit}\n{policy}"), ErrorKind::Quota);
        }
        sbatch(1, policy, ErrorKind::Quota);
        assert_eq!(answer("MaxJobCount limit reached", ErrorKind::Full), Effect::None);
        let full = "Slurm temporarily unable to accept job, sleeping and retrying\n\
                    Batch job submission failed: Resource temporarily unavailable";
        assert_eq!(sbatch(1, full, ErrorKind::Full), Effect::None);
        answer("Resource temporarily unavailable", ErrorKind::Busy);
    }

    #[test]
    fn a_job_that_is_too_large_is_refused_for_good() {
        // Tested with the option `DenyOnLimit` of a QOS; the first six are recorded.
        for limit in [
            "QOSMaxCpuPerUserLimit",
            "QOSMaxMemoryPerJob",
            "QOSGrpBillingMinutes",
            "QOSGrpCpuLimit",
            "QOSMinCpuNotSatisfied",
            "QOSMaxWallDurationPerJobLimit",
            "QOSMaxGRESPerUser",
            "AssocGrpBillingMinutes",
        ] {
            let words = format!(
                "{limit}\nBatch job submission failed: Job violates accounting/QOS policy (job submit limit, user's \
                 size and/or time limits)"
            );
            sbatch(1, &words, ErrorKind::Permanent);
        }
        let new = "QOSMaxNewThingPerUser\nBatch job submission failed: Job violates accounting/QOS policy";
        sbatch(1, new, ErrorKind::Unrecognized);
    }

    /// Checks a `sbatch` that was ended while it retried for two minutes: the answers before were no, but the last
    /// one may have been lost.
    #[test]
    fn a_full_controller_is_full_once_it_was_looked_up() {
        let full = "Slurm temporarily unable to accept job, sleeping and retrying";
        assert_eq!(sbatch(124, full, ErrorKind::Full), Effect::Unknown);
        let queue = "Slurm job queue full, sleeping and retrying";
        assert_eq!(sbatch(137, queue, ErrorKind::Full), Effect::Unknown);
        let disabled = "Job creation temporarily disabled, retrying (x)";
        assert_eq!(sbatch(137, disabled, ErrorKind::Busy), Effect::Unknown);
    }

    #[test]
    fn a_lost_answer_is_ambiguous() {
        use ErrorKind::Ambiguous;
        for text in [
            "Socket timed out on send/recv operation",
            "Unable to contact slurm controller (receive failure)",
            "Unable to contact slurm controller (send failure)",
            "Zero Bytes were transmitted or received",
            "Kernel reported delayed socket error after successful write(), client side likely closed",
        ] {
            assert_eq!(answer(text, Ambiguous), Effect::Unknown, "{text}");
        }
        // The controller was killed during the request.
        let killed = "slurm_msg_sendto: address:port=127.0.0.1:24335 msg_type=4003: Unexpected missing socket error\n\
                      Batch job submission failed: Unexpected missing socket error";
        sbatch(1, killed, Ambiguous);
        check(137, "", Ambiguous);
        check(1, "", Ambiguous);
        let recorded = Recorded { stderr: "x".into(), ..Recorded::default() };
        assert_eq!(*read(&recorded).kind(), Ambiguous, "no status");
    }

    #[test]
    fn the_host_s_own_trouble_is_unreachable() {
        use ErrorKind::Unreachable;
        answer("Unable to contact slurm controller (connect failure)", Unreachable);
        answer("Communication connection failure", Unreachable);
        answer("Process is shutting down and closing all communications", Unreachable);
        answer("Protocol authentication error", Unreachable);
        answer("Slurm backup controller in standby mode", Unreachable);
        // Slurm 22.05.8 with a typo in its slurm.conf.
        let typo = "sbatch: error: _parse_next_key: Parsing error at unrecognized key: Shedulerr\n\
                    sbatch: fatal: Unable to process configuration file\n";
        check(1, typo, Unreachable);
        check(127, "timeout: failed to run command 'sbatch': No such file or directory", Unreachable);
    }

    #[test]
    fn unknown_words_are_looked_up_and_left_to_a_person() {
        use ErrorKind::Unrecognized;
        // Recorded: a job_submit.lua that calls `slurm.log_user` and returns `slurm.ERROR` or
        // ESLURM_ACCESS_DENIED.
        let budget = "your project has no budget left until 1 January\n\
                      Batch job submission failed: Unspecified error";
        assert_eq!(sbatch(1, budget, Unrecognized), Effect::Unknown);
        let project = "please state a project with --account\n\
                       Batch job submission failed: Access/permission denied";
        sbatch(1, project, Unrecognized);
        // The work directory may be on a faulty file system.
        sbatch(1, "Unable to open file ./_ferrysubmit.sh", Unrecognized);
        sbatch(1, "Batch script is empty!", Unrecognized);
        check(1, "sbatch: fatal: cli_filter plugin terminated with error", Unrecognized);
        sbatch(255, "Invalid --uid specification", Unrecognized);
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

    #[test]
    fn a_long_complaint_is_cut_in_its_middle() {
        let many: String =
            (0..30).map(|number| format!("sbatch: error: attempt number {number}\n")).collect();
        let stderr = format!("{many}sbatch: error: {}\n{FAILED}x", "y".repeat(5000));
        let recorded = Recorded { stderr, status: Some(1), ..Recorded::default() };
        let said = read(&recorded).to_string();
        assert!(said.len() < 700, "{said}");
        assert!(said.contains("attempt number 0; ") && said.contains("(26 more lines)"), "{said}");
        assert!(said.ends_with("Batch job submission failed: x"), "{said}");
    }
}
