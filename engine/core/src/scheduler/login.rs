//! The environment in which submissions start: that of the user's login, and nothing of an allocation in which
//! ferry itself may run.
//!
//! Jobs inherit the environment in which `sbatch` runs. So it is started by `bash -l`, which reads what clusters
//! set in `/etc/profile.d` (`module` often is a function from there). No other shell stands between the two: dash
//! drops exported functions. The output of login files is discarded. If they hang or end the shell before anything
//! was claimed, a plain shell submits instead. That is safe, since a claim can be taken only once.

use std::{path::Path, time::Duration};

use super::{Allocation, Capabilities, claim::UPTIME};
use crate::transport::{Command, quote};

/// Most time that login files may take. Together with a wrapper's deadline it stays below the time-out of the
/// command.
pub(super) const PROFILE_DEADLINE: Duration = Duration::from_secs(15);

/// Shell text that begins a wrapper: it undoes settings of login files that would change what its lines mean. USR1
/// says that the login files took too long; from here on it is ignored.
const SETTLE: &str = "trap : USR1
trap - EXIT
set +efuC
unalias -a 2> /dev/null
unset -f cd mkdir mv rm printf read timeout setsid
IFS=' \t\n'
";

/// Returns whether a login shell submits jobs: as the computer's `use_login_shell` says, else wherever jobs are
/// not children on this machine. Such children have the environment that ferry was started with, as its user
/// prepared it; a login would undo it.
pub fn starts_by_login(wish: Option<bool>, scheduler: &Capabilities, is_local: bool) -> bool {
    wish.unwrap_or(scheduler.has_queue || !is_local)
}

/// The way in which a wrapper is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start<'a> {
    /// True if by a login shell.
    pub(super) is_login: bool,
    /// True if on this machine.
    pub(super) is_local: bool,
    /// The allocations in which ferry may run, and which it leaves first: with the variables of one, `srun` in a
    /// job would see two allocations at once.
    pub(super) allocations: &'a [Allocation],
}

impl Start<'_> {
    /// Returns the command that runs `wrapper`, then `report`. The wrapper runs in a session of its own until
    /// `deadline`, with the uptime of the host at its start as `$1`. Each of `claims` is a quoted directory whose
    /// presence says that the wrapper has begun.
    pub(super) fn command(
        self,
        wrapper: &str,
        claims: &[String],
        report: &str,
        deadline: Duration,
    ) -> Command {
        let (seconds, profile) = (deadline.as_secs(), PROFILE_DEADLINE.as_secs());
        let shell = self.plain_shell();
        let start = if self.is_login {
            format!(
                r#"if command -v bash > /dev/null 2>&1; then l=bash; else l=sh; fi
run timeout --foreground -s USR1 {profile} "$l" -l -c "$x"
begun() {{ for c in {claims}; do [ ! -d "$c" ] || return 0; done; return 1; }}
begun || {{ kill -s KILL -- "-$g" 2> /dev/null; run {shell} -c "$x"; }}
"#,
                claims = claims.join(" ")
            )
        } else {
            format!("run {shell} -c \"$x\"\n")
        };
        let leave: String = self.allocations.iter().map(Allocation::leave).collect();
        let script = format!(
            r#"{leave}x={wrapper}
run() {{ {UPTIME}; setsid timeout -k 5 {seconds} "$@" ferry-submit "$u" < /dev/null > /dev/null 2>&1 & g=$!; wait "$g"; }}
{start}{report}"#,
            wrapper = quote(&format!("{SETTLE}{wrapper}"))
        );
        let command = Command::new([shell.to_owned(), "-c".to_owned(), script]).no_login_shell();
        command.timeout(deadline + PROFILE_DEADLINE + Duration::from_secs(15))
    }

    /// Returns the shell without login files. On this machine the environment is that of the user who started
    /// ferry, and only bash keeps the functions in it.
    fn plain_shell(self) -> &'static str {
        let has_bash = self.is_local && Path::new("/bin/bash").exists();
        if has_bash { "bash" } else { "sh" }
    }
}
