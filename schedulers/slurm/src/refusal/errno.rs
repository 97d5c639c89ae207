//! Meanings of Slurm's error texts as `sbatch` prints them: four lists of known ones. All others are unknown: the
//! job is looked up and a person decides.
//!
//! Texts and names are those of `src/common/slurm_errno.c`, 22.05.8 to commit 0001e1b of 2026. `errno.txt` lists
//! all of them, and the test below compares it with these lists.

/// The meaning of an error text for a job that was to be submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It can never run as it is.
    Final,
    /// Not now: back-pressure.
    Busy,
    /// A failure of Slurm or its host, before anything was sent.
    Host,
    /// The answer is lost: the job may have been accepted.
    Lost,
}

/// Texts for jobs that can never run, whatever happens on the cluster. The third word is the option with which
/// `sbatch` 22.05.8 printed it on a private cluster; where it is empty, only Slurm's source is cited.
const FINAL: &[(&str, &str, &str)] = &[
    ("ESLURM_INVALID_PARTITION_NAME", "Invalid partition name specified", "--partition=nosuch"),
    (
        "ESLURM_DEFAULT_PARTITION_NOT_SET",
        "No partition specified or system default partition",
        "no --partition, and no default",
    ),
    ("ESLURM_REQUESTED_NODES_NOT_IN_PARTITION", "Requested nodes not in this partition", ""),
    (
        "ESLURM_TOO_MANY_REQUESTED_CPUS",
        "More processors requested than permitted",
        "--ntasks=100000, EnforcePartLimits=ALL",
    ),
    ("ESLURM_INVALID_NODE_COUNT", "Node count specification invalid", "--nodes=0"),
    (
        "ESLURM_PATHNAME_TOO_LONG",
        "Pathname of a file, directory or other parameter too long",
        "a script of 5 MB",
    ),
    ("ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE", "Requested node configuration is not available", "--mem=9T"),
    ("ESLURM_INVALID_NODE_NAME", "Invalid node name specified", "--nodelist=n99"),
    ("ESLURM_BAD_DIST", "Task distribution specification invalid", ""),
    ("ESLURM_BAD_TASK_COUNT", "Task count specification invalid", ""),
    ("ESLURM_INVALID_FEATURE", "Invalid feature specification", "--constraint=gpu"),
    ("ESLURM_DEPENDENCY", "Job dependency problem", "--dependency=nonsense"),
    (
        "ESLURM_TASKDIST_ARBITRARY_UNSUPPORTED",
        "Current SwitchType does not permit arbitrary task distribution",
        "",
    ),
    ("ESLURM_TASKDIST_REQUIRES_OVERCOMMIT", "Requested more tasks than available processors", ""),
    ("ESLURM_INVALID_TASK_MEMORY", "Memory required by task is not available", ""),
    (
        "ESLURM_INVALID_ACCOUNT",
        "Invalid account or account/partition combination specified",
        "--account=nosuch",
    ),
    ("ESLURM_INVALID_LICENSES", "Invalid license specification", "--licenses=nosuch:1"),
    (
        "ESLURM_INVALID_TIME_LIMIT",
        "Requested time limit is invalid (missing or exceeds some limit)",
        "--deadline=now-1hour",
    ),
    ("ESLURM_RESERVATION_INVALID", "Requested reservation is invalid", "--reservation=x"),
    ("ESLURM_INVALID_TIME_VALUE", "Invalid time specified", ""),
    ("ESLURM_INVALID_WCKEY", "Invalid wckey specification", ""),
    ("ESLURM_INVALID_QOS", "Invalid qos specification", "--qos=nosuch"),
    ("ESLURM_INVALID_CPU_COUNT", "CPU count specification invalid", ""),
    ("ESLURM_CIRCULAR_DEPENDENCY", "Circular job dependency", ""),
    ("ESLURM_INVALID_GRES", "Invalid generic resource (gres) specification", "--gres=gpu:1"),
    ("ESLURM_INVALID_ARRAY", "Invalid job array specification", "--array=0-5000"),
    ("ESLURM_INVALID_BURST_BUFFER_REQUEST", "Burst Buffer request invalid", ""),
    ("ESLURM_INVALID_MCS_LABEL", "Invalid mcs_label specified", ""),
    ("ESLURM_DUPLICATE_GRES", "Duplicate generic resource (gres) specification", ""),
    ("ESLURM_BATCH_CONSTRAINT", "Job --batch option is invalid or not a subset of --constraints", ""),
    ("ESLURM_INVALID_TRES", "Invalid Trackable RESource (TRES) specification", ""),
    ("ESLURM_INVALID_GRES_TYPE", "Invalid GRES specification (with and without type identification)", ""),
    (
        "ESLURM_MULTI_KNL_CONSTRAINT",
        "Multiple KNL NUMA and/or MCDRAM constraints require use of a heterogeneous job",
        "",
    ),
    ("ESLURM_UNSUPPORTED_GRES", "Requested GRES option unsupported by configured SelectType plugin", ""),
    ("ESLURM_INVALID_NICE", "Invalid --nice value", ""),
    (
        "ESLURM_INVALID_TIME_MIN_LIMIT",
        "Invalid time-min specification (exceeds job's time or other limits)",
        "",
    ),
    (
        "ESLURM_PARTITION_ASSOC",
        "Multiple partition job request not supported when a partition is set in the association",
        "",
    ),
    ("ESLURM_BAD_THREAD_PER_CORE", "Cannot request more threads per core than the job allocation", ""),
    ("ESLURM_INVALID_PREFER", "Invalid preferred feature specification", "--prefer=zzz"),
    ("ESLURM_INVALID_CLUSTER_FEATURE", "Invalid cluster feature specification", ""),
    (
        "ESLURM_MISSING_TIME_LIMIT",
        "Time limit specification required, but not provided",
        "no --time, job_submit/require_timelimit",
    ),
    ("ESLURM_INVALID_KNL", "Invalid KNL configuration (MCDRAM or NUMA option)", ""),
    ("ESLURM_BATCH_CONSTRAINT", "Job --batch option is invalid or not a subset of --constraint", ""),
    ("ESLURM_INVALID_EXTRA", "Invalid extra constraints specification", ""),
];

/// Texts for causes that pass by themselves, or with other users' jobs.
const BUSY: &[(&str, &str)] = &[
    ("ESLURM_ERROR_ON_DESC_TO_RECORD_COPY", "Unable to create job record, try again"),
    ("ESLURM_NOT_TOP_PRIORITY", "Immediate execution impossible, insufficient priority"),
    ("ESLURM_REQUESTED_PART_CONFIG_UNAVAILABLE", "Requested partition configuration not available now"),
    ("ESLURM_NODES_BUSY", "Requested nodes are busy"),
    ("ESLURM_WRITING_TO_FILE", "I/O error writing script/environment to file"),
    ("ESLURM_TRANSITION_STATE_NO_UPDATE", "Job can not be altered now, try again later"),
    ("ESLURM_FRAGMENTATION", "Immediate execution impossible, resources too fragmented for allocation"),
    ("ESLURM_DISABLED", "Requested operation is presently disabled"),
    (
        "ESLURM_ACCOUNTING_POLICY",
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    ),
    ("ESLURM_RESERVATION_BUSY", "Requested reservation is in use"),
    ("ESLURM_RESERVATION_NOT_USABLE", "Requested reservation not usable now"),
    ("ESLURM_PORTS_BUSY", "Required ports are in use"),
    ("ESLURM_PROLOG_RUNNING", "PrologSlurmctld is still running"),
    ("ESLURM_NODE_NOT_AVAIL", "Required node not available (down, drained or reserved)"),
    ("ESLURM_PARTITION_NOT_AVAIL", "Required partition not available (inactive or drain)"),
    ("ESLURM_QOS_THRES", "Requested account has breached requested QOS usage threshold"),
    ("ESLURM_PARTITION_IN_USE", "Partition is in use"),
    ("ESLURM_CAN_NOT_START_IMMEDIATELY", "Job can not start immediately"),
    ("ESLURM_INTERCONNECT_BUSY", "Switch resources currently not available"),
    ("ESLURM_BURST_BUFFER_WAIT", "Waiting for burst buffer"),
    ("ESLURM_PARTITION_DOWN", "Partition in DOWN state"),
    (
        "ESLURM_JOB_SETTING_DB_INX",
        "Job update not available right now, the DB index is being set, try again in a bit",
    ),
    ("ESLURM_SUBMISSIONS_DISABLED", "System submissions disabled"),
    ("ESLURM_RESERVATION_MAINT", "Job can not start due to maintenance reservation."),
    ("ESLURM_REBOOT_IN_PROGRESS", "Reboot already in progress"),
    (
        "ESLURM_DEFER",
        "Immediate execution impossible. Individual job submission scheduling attempts deferred",
    ),
    ("ESLURM_INSUFFICIENT_GRES", "Insufficient GRES available in allocation"),
    ("ESLURM_DB_CONNECTION", "Unable to connect to database"),
    ("ESLURM_DB_CONNECTION_INVALID", "Database connection reference is invalid"),
    ("ESLURM_FED_JOB_LOCK", "Job locked by another sibling"),
    ("SLURMCTLD_COMMUNICATIONS_BACKOFF", "Rate limit exceeded, please retry momentarily"),
    ("SLURMCTLD_COMMUNICATIONS_HARD_DROP", "Rate limit exceeded, please retry later"),
    ("ESLURM_MAX_JOB_COUNT", "MaxJobCount limit reached"),
    ("ESLURM_LICENSES_UNAVAILABLE", "Licenses currently unavailable"),
    ("ESLURM_MAX_POWERED_NODES", "Max powered up nodes reached"),
];

/// Texts for failures of the controller, or of the connection to it.
const HOST: &[(&str, &str)] = &[
    ("SLURM_COMMUNICATIONS_CONNECTION_ERROR", "Communication connection failure"),
    ("SLURM_PROTOCOL_VERSION_ERROR", "Incompatible versions of client and server code"),
    ("SLURM_PROTOCOL_AUTHENTICATION_ERROR", "Protocol authentication error"),
    ("SLURM_PLUGIN_NAME_INVALID", "Plugin initialization failed"),
    ("SLURM_UNKNOWN_FORWARD_ADDR", "Can't find an address, check slurm.conf"),
    ("SLURMCTLD_COMMUNICATIONS_CONNECTION_ERROR", "Unable to contact slurm controller (connect failure)"),
    ("ESLURM_IN_STANDBY_MODE", "Slurm backup controller in standby mode"),
    ("ESLURM_CONFIGLESS_DISABLED", "ConfigLess mode is disabled in slurm configuration."),
    ("ESLURM_IN_STANDBY_USE_BACKUP", "Controller is in standby mode, try a different controller"),
    ("ESLURM_AUTH_CRED_INVALID", "Invalid authentication credential"),
    ("ESLURM_AUTH_FOPEN", "Failed to open authentication public key"),
    ("ESLURM_AUTH_NET", "Failed to connect to authentication agent"),
    ("ESLURM_AUTH_MEMORY", "Memory management error"),
    ("ESLURM_AUTH_INVALID", "Authentication credential invalid"),
    ("ESLURM_AUTH_UNPACK", "Cannot unpack credential"),
    ("ESLURM_AUTH_SKIP", "Authentication does not apply to request"),
    ("ESLURM_PLUGIN_INVALID", "Plugin has invalid format or unable to be loaded"),
    ("ESLURM_PLUGIN_INCOMPLETE", "Plugin missing required symbol or function"),
    ("SLURM_COMMUNICATIONS_CONNECT_TIMEOUT", "Connection timed out establishing"),
    ("SLURM_SHUTTING_DOWN", "Process is shutting down and closing all communications"),
    ("ESLURM_AUTH_EXPIRED", "Authentication credential expired"),
    ("ESLURM_AUTH_UNABLE_TO_GENERATE_TOKEN", "Token Generation failed."),
    ("ESLURM_AUTH_SOCKET_INVALID_PEER", "Unable to query kernel for socket peer credential"),
    ("ESLURM_PLUGIN_NOT_LOADED", "Required plugin type not loaded or initialized"),
    ("ESLURM_PLUGIN_NOTFOUND", "Plugin file not found"),
    ("ESLURM_PLUGIN_ACCESS_ERROR", "Plugin access denied"),
    ("ESLURM_PLUGIN_DLOPEN_FAILED", "Dlopen of plugin file failed"),
    ("ESLURM_PLUGIN_INIT_FAILED", "Plugin init() callback failed"),
    ("ESLURM_PLUGIN_MISSING_NAME", "Plugin name/type/version symbol missing"),
    ("ESLURM_PLUGIN_BAD_VERSION", "Incompatible plugin version"),
    ("ESLURM_TLS_REQUIRED", "TLS missing but required for connection"),
];

/// Texts for requests that were sent, or may have been, without an answer.
const LOST: &[(&str, &str)] = &[
    ("SLURM_SUCCESS", "No error"),
    ("SLURM_UNEXPECTED_MSG_ERROR", "Unexpected message received"),
    ("SLURM_COMMUNICATIONS_SEND_ERROR", "Message send failure"),
    ("SLURM_COMMUNICATIONS_RECEIVE_ERROR", "Message receive failure"),
    ("SLURM_COMMUNICATIONS_SHUTDOWN_ERROR", "Communication shutdown failure"),
    ("SLURM_PROTOCOL_INSANE_MSG_LENGTH", "Insane message length"),
    ("SLURM_COMMUNICATIONS_MISSING_SOCKET_ERROR", "Unexpected missing socket error"),
    ("SLURMCTLD_COMMUNICATIONS_SEND_ERROR", "Unable to contact slurm controller (send failure)"),
    ("SLURMCTLD_COMMUNICATIONS_RECEIVE_ERROR", "Unable to contact slurm controller (receive failure)"),
    ("SLURMCTLD_COMMUNICATIONS_SHUTDOWN_ERROR", "Unable to contact slurm controller (shutdown failure)"),
    ("SLURM_PROTOCOL_SOCKET_IMPL_ZERO_RECV_LENGTH", "Received zero length message"),
    ("SLURM_PROTOCOL_SOCKET_IMPL_NEGATIVE_RECV_LENGTH", "Received message length < 0"),
    ("SLURM_PROTOCOL_SOCKET_IMPL_NOT_ALL_DATA_SENT", "Failed to send entire message"),
    ("ESLURM_PROTOCOL_INCOMPLETE_PACKET", "Header lengths are longer than data received"),
    ("SLURM_PROTOCOL_SOCKET_IMPL_TIMEOUT", "Socket timed out on send/recv operation"),
    ("SLURM_PROTOCOL_SOCKET_ZERO_BYTES_SENT", "Zero Bytes were transmitted or received"),
    ("SLURM_COMMUNICATIONS_INVALID_INCOMING_FD", "Unable to process incoming file descriptor"),
    ("SLURM_COMMUNICATIONS_INVALID_OUTGOING_FD", "Unable to process outgoing file descriptor"),
    ("SLURM_COMMUNICATIONS_INVALID_FD", "Unable to process incoming and outgoing file descriptors"),
    ("SLURM_BLOCKED_ON_READ", "Read would block"),
    ("SLURM_BLOCKED_ON_WRITE", "Write would block"),
    ("SLURM_COMMUNICATIONS_REJECTED", "Connection rejected by handler"),
    ("SLURM_COMMUNICATIONS_QUIESCE_TIMEOUT", "Connection forced closed by quiesce timeout"),
    ("SLURM_COMMUNICATIONS_WRITE_TIMEOUT", "Connection timed out writing"),
    ("SLURM_COMMUNICATIONS_READ_TIMEOUT", "Connection timed out reading"),
    (
        "SLURM_COMMUNICATIONS_DELAYED_ERROR",
        "Kernel reported delayed socket error after successful write(), client side likely closed",
    ),
    ("EINPROGRESS", "Operation now in progress"),
];

/// Errors of the operating system that Slurm prints in place of its own. Linux, `errno.h`.
const SYSTEM: &[(Meaning, &str, &str)] = &[
    (Meaning::Busy, "EAGAIN", "Resource temporarily unavailable"),
    (Meaning::Busy, "ENOMEM", "Cannot allocate memory"),
    (Meaning::Busy, "ENFILE", "Too many open files in system"),
    (Meaning::Busy, "EMFILE", "Too many open files"),
    (Meaning::Busy, "ENOSPC", "No space left on device"),
    (Meaning::Busy, "EDQUOT", "Disk quota exceeded"),
    (Meaning::Host, "ECONNREFUSED", "Connection refused"),
    (Meaning::Host, "EHOSTUNREACH", "No route to host"),
    (Meaning::Host, "ENETUNREACH", "Network is unreachable"),
    (Meaning::Lost, "EPIPE", "Broken pipe"),
    (Meaning::Lost, "ECONNRESET", "Connection reset by peer"),
    (Meaning::Lost, "ETIMEDOUT", "Connection timed out"),
    (Meaning::Lost, "ENOTCONN", "Transport endpoint is not connected"),
];

/// Returns the meaning of an error text; `None` for one that is on no list.
pub(super) fn meaning(text: &str) -> Option<Meaning> {
    let text = text.trim();
    let is_text = |known: &str| known.eq_ignore_ascii_case(text);
    if FINAL.iter().any(|(_, known, _)| is_text(known)) {
        return Some(Meaning::Final);
    }
    let lists = [(Meaning::Busy, BUSY), (Meaning::Host, HOST), (Meaning::Lost, LOST)];
    let slurm = lists.iter().find(|(_, list)| list.iter().any(|(_, known)| is_text(known)));
    let system = || SYSTEM.iter().find(|(_, _, known)| is_text(known)).map(|(meaning, ..)| *meaning);
    slurm.map(|(meaning, _)| *meaning).or_else(system)
}

/// Returns whether an error text says that the cluster has as many jobs as it takes.
pub(super) fn is_full(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("MaxJobCount limit reached")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns version, meaning, name and text of every line of `errno.txt`.
    fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        include_str!("errno.txt").lines().filter(|line| !line.starts_with('#')).map(|line| {
            let mut words = line.splitn(4, ' ').skip(1);
            let mut next = || words.next().expect(line);
            (next(), next(), next())
        })
    }

    #[test]
    fn every_error_of_slurm_has_its_meaning() {
        for (expect, name, text) in all() {
            let found = match meaning(text) {
                Some(Meaning::Final) => "final",
                Some(Meaning::Busy) => "busy",
                Some(Meaning::Host) => "host",
                Some(Meaning::Lost) => "lost",
                None => "unknown",
            };
            assert_eq!(found, expect, "{name}: {text}");
        }
    }

    #[test]
    fn every_entry_is_an_error_of_slurm_and_stands_once() {
        let finals = FINAL.iter().map(|(name, text, _)| (*name, *text));
        let others = [BUSY, HOST, LOST].into_iter().flatten().copied();
        let entries: Vec<(&str, &str)> = finals.chain(others).collect();
        for (index, entry) in entries.iter().enumerate() {
            assert!(all().any(|(_, name, text)| (name, text) == *entry), "{entry:?}");
            assert!(entries[index + 1..].iter().all(|other| other.1 != entry.1), "{entry:?} stands twice");
        }
    }

    #[test]
    fn system_errors_have_their_meaning() {
        assert_eq!(meaning("Resource temporarily unavailable"), Some(Meaning::Busy));
        assert_eq!(meaning("Connection reset by peer"), Some(Meaning::Lost));
        assert_eq!(meaning("Operation not permitted"), None);
    }
}
