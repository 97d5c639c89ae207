//! `scontrol show config`: the name of the cluster that a login belongs to, and the user's number there. Together
//! they identify a queue, independent of its address.

use ferry_engine_core::{
    scheduler::{Error, ErrorKind, QueueKey, Result},
    transport::{Command, Output},
};

use crate::client;

const UID: &str = "#uid ";

/// Returns the command that asks the controller of the login's own configuration: with `SLURM_CLUSTERS` another
/// one would answer.
pub(crate) fn command() -> Command {
    client::command(&format!(
        "unset SLURM_CLUSTERS; printf '{UID}%s\\n' \"$(id -u)\"; timeout -k 2 {} scontrol show config",
        client::READING
    ))
}

/// Reads the answer. A name counts beside any complaint: the client got it from the controller.
///
/// # Errors
/// `Unreachable` if the controller did not answer; `Permanent` where there is no `scontrol`; else `Unreadable`.
pub(crate) fn read(output: &Output) -> Result<QueueKey> {
    let text = output.text();
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        (key.trim() == "ClusterName" && !value.is_empty() && value != "(null)").then(|| value.to_owned())
    };
    let uid = text.lines().find_map(|line| line.strip_prefix(UID)?.trim().parse().ok());
    match (text.lines().find_map(value), uid) {
        (Some(queue), Some(uid)) => Ok(QueueKey { queue, uid }),
        _ => Err(why(output, &text)),
    }
}

fn why(output: &Output, text: &str) -> Error {
    let complaint = output.error_text();
    match client::lines("queue key", output, text) {
        Ok(_) => Error::new(ErrorKind::Unreadable, "queue key")
            .message("`scontrol show config` does not name a cluster"),
        Err(_) if text.lines().any(|line| line == "#end 127") => {
            Error::new(ErrorKind::Permanent, "queue key")
                .message("`scontrol` is not found on this computer")
                .help(client::NOT_FOUND)
        }
        Err(error) => error,
    }
    .with("stderr", complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stdout: &str, stderr: &str, expect: Result<(&str, u32), ErrorKind>) {
        let output = Output { status: 0, stdout: stdout.into(), stderr: stderr.into() };
        let read = read(&output).map_err(|error| *error.kind());
        let expect = expect.map(|(queue, uid)| QueueKey { queue: queue.into(), uid });
        assert_eq!(read, expect, "{stdout:?} {stderr:?}");
    }

    #[test]
    fn a_cluster_is_named_by_its_controller() {
        // Slurm 22.05.8, cut.
        let config = "Configuration data as of 2026-11-22T19:29:12\n\
                      AccountingStorageBackupHost = (null)\n\
                      BOOT_TIME               = 2026-11-22T19:29:07\n\
                      ClusterName             = t25000\n\
                      CommunicationParameters = (null)\n\
                      SlurmctldHost[0]        = login(127.0.0.1)\n";
        let whole = format!("#uid 1000\n{config}\n#end 0\n");
        check(&whole, "", Ok(("t25000", 1000)));
        check(&format!("Welcome!\nSee = us\n{whole}"), "", Ok(("t25000", 1000)));
        // A second `SlurmctldHost` that does not resolve.
        let warned = "scontrol: error: get_addr_info: getaddrinfo() failed: Name or service not known\n";
        check(&whole, warned, Ok(("t25000", 1000)));
        check("#uid 1000\nClusterName             = (null)\n\n#end 0\n", "", Err(ErrorKind::Unreadable));
        check("#uid 1000\n\n#end 0\n", "", Err(ErrorKind::Unreadable));
        check("#uid 1000\nConfiguration data", "", Err(ErrorKind::Unreadable));
        check(&format!("{config}\n#end 0\n"), "", Err(ErrorKind::Unreadable));
    }

    #[test]
    fn who_can_t_say_is_told_from_who_does_not_answer() {
        let down = "slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)\n";
        check("#uid 1000\n\n#end 1\n", down, Err(ErrorKind::Unreachable));
        check("#uid 1000\n\n#end 124\n", "", Err(ErrorKind::Unreachable));
        let missing = "timeout: failed to run command 'scontrol': No such file or directory\n";
        check("#uid 1000\n\n#end 127\n", missing, Err(ErrorKind::Permanent));
    }
}
