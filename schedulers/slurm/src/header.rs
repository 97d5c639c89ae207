//! The `#SBATCH` lines of a job script, and a job's identity from Slurm's variables.
//!
//! Name, comment, directory, output files and permission to restart are arguments of the `sbatch` command instead.
//! There the shell quotes them, and a user's own header lines can't override them.

use ferry_engine_core::scheduler::{
    Error, ErrorKind, JobTemplate, ResourceKey, ResourceKind, Resources, Result,
};

use crate::directives;

/// Shell text of the job script. If a job kept nothing of the login's environment, `srun` would not pass on the
/// variables that the script sets.
pub(crate) const IDENTITY: &str = "ferry_job=${SLURM_JOB_ID:-none}${SLURM_CLUSTER_NAME:+;$SLURM_CLUSTER_NAME}
ferry_restart=${SLURM_RESTART_COUNT:-0}
SLURM_EXPORT_ENV=ALL
export SLURM_EXPORT_ENV";

/// Returns the lines.
///
/// # Errors
/// `Permanent` for settings that they can't express.
pub(crate) fn lines(job: &JobTemplate) -> Result<Vec<String>> {
    for name in [&job.stdout, &job.stderr] {
        // Slurm removes a backslash from a file name.
        if name.contains(['\\', '\n']) {
            return Err(refuse(format!("the file name `{name}` can't be given to Slurm")));
        }
    }
    let mut lines = resources(&job.resources)?;
    if let Some(seconds) = job.max_wallclock_seconds {
        lines.push(format!("time={}", time(seconds)?));
    }
    lines.extend(memory(job)?);
    let named = [("partition", &job.queue_name), ("account", &job.account), ("qos", &job.qos)];
    for (option, value) in named {
        if let Some(value) = value {
            lines.push(format!("{option}={}", word(option, value)?));
        }
    }
    if let Some(priority) = &job.priority {
        let nice: i64 = priority.trim().parse().map_err(|_| {
            refuse(format!("invalid priority `{priority}`: Slurm expects a whole number for --nice"))
        })?;
        lines.push(format!("nice={nice}"));
    }
    lines.push(format!("export={}", if job.import_sys_environment { "ALL" } else { "NONE" }));
    directives::check(job).map_err(refuse)?;
    let unset = unset(&lines, job);
    Ok(lines.into_iter().map(|line| format!("#SBATCH --{line}")).chain(unset).collect())
}

/// Beginning of the line with the login's defaults that a job does without. For `sbatch` it is a comment.
pub(crate) const UNSET: &str = "#FERRY unset ";

/// Returns that line, if there are such defaults.
fn unset(lines: &[String], job: &JobTemplate) -> Option<String> {
    let own = lines.iter().filter_map(|line| line.split('=').next());
    let given = directives::of_job(job);
    let names = directives::defaults(own.chain(given.iter().map(|directive| directive.option.as_str())));
    let names: Vec<String> = names.into_iter().collect();
    (!names.is_empty()).then(|| format!("{UNSET}{}", names.join(" ")))
}

fn resources(resources: &Resources) -> Result<Vec<String>> {
    let Resources { machines, tasks_per_machine, cores_per_task, gpus, .. } = *resources;
    if machines == 0 || tasks_per_machine == 0 || cores_per_task == Some(0) {
        return Err(refuse("a job needs at least one machine, one process and one core".to_owned()));
    }
    let mut lines = vec![format!("nodes={machines}"), format!("ntasks-per-node={tasks_per_machine}")];
    lines.extend(cores_per_task.map(|cores| format!("cpus-per-task={cores}")));
    lines.extend(gpus.map(|gpus| format!("gpus-per-node={gpus}")));
    if let Some(licenses) = resources.text("licenses") {
        lines.push(format!("licenses={}", word("licenses", licenses)?));
    }
    Ok(lines)
}

/// Resources that a job may ask for beside machines, processes and cores, as `sbatch` supports them.
pub(crate) const RESOURCES: &[ResourceKey] = &[
    ResourceKey { name: "num_gpus", kind: ResourceKind::Count },
    ResourceKey { name: "memory_per_core_kb", kind: ResourceKind::Count },
    ResourceKey { name: "licenses", kind: ResourceKind::Text },
];

/// Returns the option for memory a core, or a machine: Slurm accepts one of them. Rounded up, since 0 means all
/// there is.
fn memory(job: &JobTemplate) -> Result<Option<String>> {
    let per_core = job.resources.count("memory_per_core_kb");
    match (per_core, job.asked_memory_kb) {
        (Some(_), Some(_)) => Err(refuse(
            "both max_memory_kb and resources.memory_per_core_kb are given, but Slurm takes only one of them"
                .to_owned(),
        )),
        (Some(kb), None) => Ok(Some(format!("mem-per-cpu={}M", kb.div_ceil(1024)))),
        (None, _) => Ok(job.max_memory_kb.map(|kb| format!("mem={}M", kb.div_ceil(1024)))),
    }
}

/// Returns `days-hours:minutes:seconds`; Slurm itself rounds up to minutes.
fn time(seconds: u64) -> Result<String> {
    if seconds == 0 {
        return Err(refuse("a wall time of 0 s leaves no time to run".to_owned()));
    }
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    Ok(format!("{}-{:02}:{minutes:02}:{seconds:02}", hours / 24, hours % 24))
}

/// Checks that a value is one word on its line; returns it.
fn word<'a>(option: &str, value: &'a str) -> Result<&'a str> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'\\#".contains(c);
    if value.is_empty() || value.contains(odd) {
        return Err(refuse(format!("`{value}` is not a valid value for --{option}")));
    }
    Ok(value)
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::Permanent, "slurm").message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> JobTemplate {
        JobTemplate {
            resources: Resources { machines: 1, tasks_per_machine: 1, ..Resources::default() },
            import_sys_environment: true,
            ..JobTemplate::default()
        }
    }

    fn check(job: &JobTemplate, expect: Result<&[&str], &str>) {
        let lines = lines(job).map_err(|error| error.to_string());
        let whole = |line: &&str| match line.strip_prefix('#') {
            Some(_) => (*line).to_owned(),
            None => format!("#SBATCH --{line}"),
        };
        let expect = expect.map(|lines| lines.iter().map(whole).collect());
        assert_eq!(lines, expect.map_err(str::to_owned));
    }

    #[test]
    fn lines_say_what_was_asked_for() {
        const FEW: &str = "#FERRY unset SBATCH_EXPORT SBATCH_NODES SBATCH_NTASKS_PER_NODE";
        check(&one(), Ok(&["nodes=1", "ntasks-per-node=1", "export=ALL", FEW]));
        let all = JobTemplate {
            resources: Resources {
                machines: 2,
                tasks_per_machine: 8,
                cores_per_task: Some(4),
                ..Resources::default()
            },
            max_wallclock_seconds: Some(90_061),
            max_memory_kb: Some(1_000_000),
            queue_name: Some("debug".into()),
            account: Some("sci".into()),
            qos: Some("high".into()),
            priority: Some("100".into()),
            rerunnable: true,
            import_sys_environment: false,
            ..one()
        };
        check(
            &all,
            Ok(&[
                "nodes=2",
                "ntasks-per-node=8",
                "cpus-per-task=4",
                "time=1-01:01:01",
                "mem=977M",
                "partition=debug",
                "account=sci",
                "qos=high",
                "nice=100",
                "export=NONE",
                "#FERRY unset SBATCH_ACCOUNT SBATCH_CPUS_PER_TASK SBATCH_EXPORT SBATCH_MEM_PER_CPU SBATCH_MEM_PER_GPU \
                 SBATCH_MEM_PER_NODE SBATCH_NICE SBATCH_NODES SBATCH_NTASKS_PER_NODE SBATCH_PARTITION SBATCH_QOS \
                 SBATCH_TIMELIMIT",
            ]),
        );
    }

    #[test]
    fn gpus_licences_and_memory_a_core_are_slurm_s_words() {
        let more = [
            ("licenses".to_owned(), "ansys:2,matlab".into()),
            ("memory_per_core_kb".to_owned(), 2049.into()),
        ];
        let job = JobTemplate { max_memory_kb: Some(5_000_000), ..one() };
        let asks = Resources { gpus: Some(2), more: more.into(), ..job.resources.clone() };
        let lines = |job: &JobTemplate| {
            let lines = lines(job).map_err(|error| error.to_string())?;
            Ok(lines.into_iter().filter(|line| !line.starts_with("#FERRY")).collect::<Vec<_>>())
        };
        let found = lines(&JobTemplate { resources: asks.clone(), ..job.clone() }).unwrap();
        for line in ["--gpus-per-node=2", "--licenses=ansys:2,matlab", "--mem-per-cpu=3M"] {
            assert!(found.contains(&format!("#SBATCH {line}")), "{found:?}");
        }
        assert!(
            !found.iter().any(|line| line.contains("--mem=")),
            "the computer's default gives way: {found:?}"
        );
        let both = JobTemplate { resources: asks, asked_memory_kb: Some(5_000_000), ..job.clone() };
        let told: Result<Vec<String>, String> = lines(&both);
        assert!(told.unwrap_err().contains("Slurm takes only one of them"));
        let odd = Resources { more: [("licenses".to_owned(), "a b".into())].into(), ..job.resources.clone() };
        let told: Result<Vec<String>, String> = lines(&JobTemplate { resources: odd, ..job });
        assert_eq!(told.unwrap_err(), "`a b` is not a valid value for --licenses");
    }

    #[test]
    fn what_slurm_can_t_express_is_refused() {
        let queue = JobTemplate { queue_name: Some("a --wrap=rm".into()), ..one() };
        check(&queue, Err("`a --wrap=rm` is not a valid value for --partition"));
        let priority = JobTemplate { priority: Some("high".into()), ..one() };
        check(&priority, Err("invalid priority `high`: Slurm expects a whole number for --nice"));
        let time = JobTemplate { max_wallclock_seconds: Some(0), ..one() };
        check(&time, Err("a wall time of 0 s leaves no time to run"));
        let none = JobTemplate { resources: Resources::default(), ..one() };
        check(&none, Err("a job needs at least one machine, one process and one core"));
        let array = JobTemplate { prepend: vec!["#SBATCH -a 1-3\nx".into()], ..one() };
        let why = "`#SBATCH -a 1-3`: --array can't be used with ferry, since it turns one submission into many jobs, \
             and ferry follows one: submit a process for each; remove it";
        check(&array, Err(why));
        let file = JobTemplate { stdout: "a\\b".into(), ..one() };
        check(&file, Err("the file name `a\\b` can't be given to Slurm"));
    }
}
