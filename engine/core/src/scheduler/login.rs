//! The environment in which submissions start: that of the user's login, and nothing of an allocation in which ferry
//! itself may run.
//!
//! Jobs take over what `sbatch` finds in its environment, so it is started by `bash -l`, which reads what clusters
//! set in `/etc/profile.d` (`module` often is a function from there). No other shell stands between the two: dash
//! drops exported functions. What login files print goes nowhere. If they hang or end the shell before anything was
//! claimed, a plain shell submits instead: a claim is taken once, whoever comes second.

use std::{path::Path, time::Duration};

use super::{Capabilities, claim::UPTIME};
use crate::transport::{Command, quote};

/// How long login files may take. Together with a wrapper's deadline it stays below the time-out of the command.
pub(super) const PROFILE_DEADLINE: Duration = Duration::from_secs(15);

/// Takes away what an allocation has set, where ferry runs in one: with it, `srun` in a job would see two
/// allocations at once. Slurm's bindings for `sbatch` are among it; what tells where the controller is, stays.
/// The names are those of sbatch(1) and of the plugins gres/gpu and mpi.
const LEAVE_ALLOCATION: &str = r#"if [ -n "${SLURM_JOB_ID:-}" ]; then
    for v in $(env | sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*\)=.*/\1/p'); do
        case $v in
        SLURM_CONF|SLURM_CONF_SERVER|SLURM_CLUSTERS|SLURM_JWT) ;;
        SLURM_*|SLURMD_*|PMI*|SBATCH_CPU_BIND*|SBATCH_MEM_BIND*) unset "$v";;
        TMPDIR|CUDA_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL|ROCR_VISIBLE_DEVICES|ZE_AFFINITY_MASK) unset "$v";;
        esac
    done
fi
"#;

/// Begins a wrapper: undoes what login files may have set that would change what its lines mean. The signal says
/// that they took too long; from here on it is too late for that.
const SETTLE: &str = "trap : USR1
trap - EXIT
set +efuC
unalias -a 2> /dev/null
unset -f cd mkdir mv rm printf read timeout setsid
IFS=' \t\n'
";

/// Returns whether a login shell submits jobs: as the computer's `use_login_shell` says, else wherever they are not
/// children on this machine. Those have the environment that ferry was started with, which its user has made as it is;
/// a login would undo it.
pub fn starts_by_login(wish: Option<bool>, scheduler: &Capabilities, is_local: bool) -> bool {
    wish.unwrap_or(scheduler.has_queue || !is_local)
}

/// How a wrapper is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// By a login shell.
    pub(super) is_login: bool,
    /// On this machine.
    pub(super) is_local: bool,
}

impl Start {
    /// Returns the command that runs `wrapper`, with the uptime of the host at its start as `$1`, in a session of its own until `deadline`, then `report`. Each of
    /// `claims` is a directory, quoted, whose presence says that the wrapper has begun.
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
        let script = format!(
            r#"{LEAVE_ALLOCATION}x={wrapper}
run() {{ {UPTIME}; setsid timeout -k 5 {seconds} "$@" ferry-submit "$u" < /dev/null > /dev/null 2>&1 & g=$!; wait "$g"; }}
{start}{report}"#,
            wrapper = quote(&format!("{SETTLE}{wrapper}"))
        );
        let command = Command::new([shell.to_owned(), "-c".to_owned(), script]).no_login_shell();
        command.timeout(deadline + PROFILE_DEADLINE + Duration::from_secs(15))
    }

    /// On this machine the environment is that of whoever started ferry; bash keeps the functions in it.
    fn plain_shell(self) -> &'static str {
        let has_bash = self.is_local && Path::new("/bin/bash").exists();
        if has_bash { "bash" } else { "sh" }
    }
}
