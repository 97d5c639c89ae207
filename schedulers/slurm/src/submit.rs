//! `sbatch`: the arguments, and the id in its answer.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use ferry_engine_core::{
    scheduler::{Error, ErrorKind, JobId, Recorded, Result, Submission},
    transport::{quote, quote_path},
};

use crate::{header, refusal};

/// Most time that `sbatch` may take, s. When the queue is full it would retry for two minutes, and when the
/// controller hangs it waits for `MessageTimeout`, 10 s by default.
const PATIENCE: u32 = 40;

/// Variables of a user that would change how often the job runs or when ferry hears of it. One more must not be
/// passed on by a daemon that itself runs in a job. Defaults for options that a header always sets are among them.
const UNSET: &str = "SBATCH_ARRAY_INX SBATCH_EXPORT SBATCH_IMMEDIATE SBATCH_NO_REQUEUE SBATCH_REQUEUE SBATCH_WAIT \
                     SBATCH_WAIT_ALL_NODES SLURM_RESTART_COUNT";

/// Defaults of a user that a header may override, with the header's lines. They are for scripts of ferry 0.1 that
/// were written before [`header::UNSET`] existed. To `sbatch` such a variable overrides a line of the script; to
/// ferry the line overrides the variable.
const DEFAULTS: &[(&str, &str)] = &[
    ("partition", "SBATCH_PARTITION"),
    ("account", "SBATCH_ACCOUNT"),
    ("qos", "SBATCH_QOS"),
    ("time", "SBATCH_TIMELIMIT"),
    ("mem", "SBATCH_MEM_PER_NODE SBATCH_MEM_PER_CPU SBATCH_MEM_PER_GPU"),
];

/// Returns shell text that submits a job; `$1` is its token.
///
/// Lines of other schedulers are ignored: sbatch would obey them anywhere in the script, even in the text of an
/// argument.
pub(crate) fn text(job: &Submission) -> String {
    let file = |name: &str| quote_path(&literal(&job.dir.join(name)));
    let script = quote(&format!("./{}", job.script));
    let cases: String =
        DEFAULTS.iter().map(|(option, names)| format!("'#SBATCH --{option}='*) unset {names};; ")).collect();
    let requeue = if job.rerunnable { "requeue" } else { "no-requeue" };
    let comment = quote(&job.extras.comment);
    // In a shell of its own: a variable that is unset for this job may be meant for the next. The environment's
    // own comment overrides that of the script's lines, as with `sbatch`. So do its clusters, which recovery must
    // know.
    format!(
        "(unset {UNSET}; clusters=${{SBATCH_CLUSTERS:-}}${{SLURM_CLUSTERS:+,$SLURM_CLUSTERS}}; \
         [ -z \"$clusters\" ] || printf '%s\\n' \"$clusters\" > \".ferry/submit-$1/clusters\" || exit 1; \
         comment=${{SBATCH_COMMENT:-}}; [ -n \"$comment\" ] || comment={comment}; \
         while IFS= read -r line; do case $line in '{given}'*) unset ${{line#'{given}'}};; {cases}'#'*) ;; \
         *) break;; esac; done < {script}; \
         SBATCH_IGNORE_PBS=1; export SBATCH_IGNORE_PBS; \
         exec timeout -k 2 {PATIENCE} sbatch --parsable --ignore-pbs --{requeue} --job-name={} \
         --comment=\"${{comment:+$comment }}$1\" --chdir={} --output={} --error={} {script} \"$1\")",
        quote(&job.name()),
        quote_path(&job.dir),
        file(&job.stdout),
        file(&job.stderr),
        given = header::UNSET,
    )
}

/// Returns a path for `--output`, where a percent sign begins a pattern, even in a directory's name.
fn literal(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes().iter();
    let doubled: Vec<u8> =
        bytes.flat_map(|&byte| [byte; 2].into_iter().take(if byte == b'%' { 2 } else { 1 })).collect();
    OsString::from_vec(doubled).into()
}

/// Returns the job's id. It counts beside any exit status and any complaint: `sbatch` got it from the controller.
///
/// # Errors
/// As [`refusal::read`].
pub(crate) fn read(recorded: &Recorded) -> Result<JobId> {
    let ids: Vec<JobId> = recorded.stdout.lines().filter_map(id).collect();
    match ids.as_slice() {
        [] => Err(refusal::read(recorded)),
        [id] => Ok(id.clone()),
        // A site's wrapper may print numbers of its own around it. Only the queue can show which one is the job's.
        ids => {
            let ids: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
            Err(Error::new(ErrorKind::Ambiguous, "submit")
                .message(format!(
                    "sbatch printed several numbers ({}), and only one can be the job's id",
                    ids.join(", ")
                ))
                .later()
                .effect_unknown())
        }
    }
}

/// Reads `ID` or, where there are several clusters, `ID;CLUSTER`.
fn id(line: &str) -> Option<JobId> {
    let (id, cluster) =
        line.trim().split_once(';').map_or((line.trim(), None), |(id, name)| (id, Some(name)));
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    (is_id && cluster.is_none_or(is_name)).then(|| JobId::in_cluster(id, cluster))
}

#[cfg(test)]
mod tests {
    use ferry_engine_core::scheduler::Extras;

    use super::*;

    fn check(stdout: &str, stderr: &str, status: i32, expect: Result<&str, ErrorKind>) {
        let recorded = Recorded { stdout: stdout.into(), stderr: stderr.into(), status: Some(status) };
        let read = read(&recorded).map_err(|error| *error.kind());
        assert_eq!(read, expect.map(|id| JobId(id.into())), "{stdout:?} {stderr:?} {status}");
    }

    #[test]
    fn an_id_is_read_from_whatever_is_around_it() {
        // Slurm 22.05.8.
        check("41\n", "", 0, Ok("41"));
        check("42;t25000\n", "", 0, Ok("42;t25000"));
        // A site's submit filter prints first.
        check("Welcome! You have 3 jobs.\n43\n", "", 0, Ok("43"));
        // sisyphus issue 156: an id and a complaint together.
        let retry = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n";
        check("44\n", retry, 0, Ok("44"));
        check("44\n", retry, 1, Ok("44"));
        check("45\n", "", 124, Ok("45"));
        // A wrapper that prints the remaining hours, before the id or after it.
        check("Remaining hours:\n4711\n102\n", "", 0, Err(ErrorKind::Ambiguous));
        check("102\n4711\n", "", 0, Err(ErrorKind::Ambiguous));
        check("", "", 0, Err(ErrorKind::Ambiguous));
        check("", "", 1, Err(ErrorKind::Ambiguous));
    }

    #[test]
    fn names_reach_sbatch_as_they_are() {
        let job = Submission {
            token: "t".into(),
            dir: "/scratch/it's 100%".into(),
            script: "job.sh".into(),
            digest: "d".into(),
            interpreter: vec!["/bin/sh".into()],
            stdout: "out %j".into(),
            stderr: "err".into(),
            label: "ferry-17".into(),
            extras: Extras { comment: "it's mine".into(), ..Extras::default() },
            ..Submission::default()
        };
        let text = text(&job);
        let dir = r"'/scratch/it'\''s 100%'";
        assert!(text.contains(&format!("--chdir={dir}")), "{text}");
        assert!(text.contains("--job-name=ferry-17-t "), "{text}");
        assert!(
            text.contains("sbatch --parsable --ignore-pbs ") && text.contains("SBATCH_IGNORE_PBS=1"),
            "{text}"
        );
        assert!(text.contains(r"comment='it'\''s mine'"), "{text}");
        assert!(text.contains(r"--output='/scratch/it'\''s 100%%/out %%j'"), "{text}");
    }
}
