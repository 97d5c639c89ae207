//! Makes the template of a job script from a job description, options, computer and codes.

use std::{collections::BTreeMap, path::Path};

use ferry_plugin_proto::{JobDescription, Program, Run, RunMode};

use crate::calcjob::work_dir::{
    code,
    job_inputs::{Item, Material},
};
use crate::{
    computer::{Computer, MPIRUN_NUMBERS},
    scheduler::{CommandLine, JobTemplate, Resources},
    spec::Options,
    step::{StepError, StepResult},
};

/// The input of a script beside the description itself.
pub(crate) struct Parts<'a> {
    /// The job's name in listings, for people.
    pub(crate) name: String,
    pub(crate) computer: &'a Computer,
    pub(crate) options: &'a Options,
    pub(crate) dir: &'a Path,
    pub(crate) digest: &'a str,
    pub(crate) material: &'a Material,
}

/// Makes the template. The order of texts is AiiDA's: for prepend computer, codes, plugin, option; for append the
/// reverse.
pub(crate) fn template(parts: &Parts<'_>, job: &JobDescription) -> StepResult<JobTemplate> {
    let Parts { name, computer, options, dir, digest, material } = parts;
    let codes = material.codes(job)?;
    let (machines, tasks_per_machine, total) =
        options.resources.tasks(computer.mpiprocs_per_machine).map_err(StepError::Except)?;
    let mut prepend = vec![computer.prepend_text.clone()];
    prepend.extend(codes.iter().map(|code| code.text("prepend_text").to_owned()));
    prepend.extend([job.prepend_text.clone(), options.prepend_text.clone()]);
    let mut append = vec![options.append_text.clone(), job.append_text.clone()];
    append.extend(codes.iter().map(|code| code.text("append_text").to_owned()));
    append.push(computer.append_text.clone());
    let cores_per_task = options
        .resources
        .num_cores_per_mpiproc
        .or(options.resources.num_cores_per_machine.map(|cores| cores / tasks_per_machine));
    let cores = cores_per_task.unwrap_or(1);
    let numbers = [total, machines, tasks_per_machine, cores, cores.saturating_mul(tasks_per_machine)];
    let mpirun = mpirun(computer, options, numbers);
    let lines =
        job.runs.iter().map(|run| command_line(run, parts, &mpirun)).collect::<StepResult<Vec<_>>>()?;
    Ok(JobTemplate {
        shebang: computer.shebang.clone(),
        dir: dir.to_path_buf(),
        digest: (*digest).to_owned(),
        name: name.clone(),
        stdout: options.scheduler_stdout.clone(),
        stderr: options.scheduler_stderr.clone(),
        resources: Resources {
            machines,
            tasks_per_machine,
            cores_per_task,
            gpus: options.resources.num_gpus,
            more: options.resources.more.clone(),
        },
        max_wallclock_seconds: options.max_wallclock_seconds,
        max_memory_kb: options.max_memory_kb.or(computer.default_memory_per_machine),
        asked_memory_kb: options.max_memory_kb,
        queue_name: options.queue_name.clone(),
        account: options.account.clone(),
        qos: options.qos.clone(),
        priority: options.priority.clone(),
        rerunnable: options.rerunnable,
        import_sys_environment: options.import_sys_environment,
        environment: environment(options),
        environment_double_quotes: options.environment_variables_double_quotes,
        custom_scheduler_commands: options.custom_scheduler_commands.clone(),
        prepend,
        lines,
        is_parallel: job.run_mode == RunMode::Parallel,
        append,
        keep_children: options.keep_children,
    })
}

/// Returns the variables of a job: the user's, and the number of threads for which each process has cores, unless
/// the user sets it.
fn environment(options: &Options) -> BTreeMap<String, String> {
    let mut all = options.environment_variables.clone();
    if let Some(cores) = options.resources.num_cores_per_mpiproc {
        all.entry("OMP_NUM_THREADS".to_owned()).or_insert_with(|| cores.to_string());
    }
    all
}

/// Returns the words that start MPI programs: the computer's, filled in, and the option's.
fn mpirun(computer: &Computer, options: &Options, numbers: [u32; MPIRUN_NUMBERS.len()]) -> Vec<String> {
    let fill = |word: &str| {
        MPIRUN_NUMBERS.iter().zip(numbers).fold(word.to_owned(), |word, (name, number)| {
            word.replace(&format!("{{{name}}}"), &number.to_string())
        })
    };
    let words = computer.mpirun_command.split_whitespace().map(fill);
    words.chain(options.mpirun_extra_params.iter().cloned()).collect()
}

/// Returns whether MPI starts a program. The option, the plugin and the code may each leave it open; if all do,
/// MPI is not used.
fn with_mpi(option: Option<bool>, run: &Run, code: Option<&Item>) -> StepResult<bool> {
    let program = match (&run.program, code) {
        (Program::Command(command), _) => format!("`{command}`"),
        (_, Some(code)) => format!("code `{}`", code.text("label")),
        (Program::Code(uuid), None) => format!("code {uuid}"),
    };
    let wishes = [
        ("the option `withmpi`", option),
        ("the plugin", run.with_mpi),
        ("the code's `with_mpi`", code.and_then(|code| code.flag("with_mpi"))),
    ];
    let said: Vec<_> = wishes.into_iter().filter_map(|(who, wish)| Some((who, wish?))).collect();
    let Some((first, wish)) = said.first() else { return Ok(false) };
    match said.iter().find(|(_, other)| other != wish) {
        None => Ok(*wish),
        Some((other, opposite)) => Err(StepError::Except(format!(
            "{program}: {first} says {wish} about MPI, but {other} says {opposite}: set only one of them"
        ))),
    }
}

fn command_line(run: &Run, parts: &Parts<'_>, mpirun: &[String]) -> StepResult<CommandLine> {
    let Parts { computer, options, material, .. } = parts;
    let code = match &run.program {
        Program::Code(uuid) => Some(material.node(uuid)?),
        Program::Command(_) => None,
    };
    let mut launcher = Vec::new();
    if with_mpi(options.withmpi, run, code)? {
        if computer.mpirun_command.trim().is_empty() {
            let label = &computer.label;
            let text = format!(
                "MPI is requested, but computer `{label}` has no mpirun_command: `ferry computer configure {label} \
                 --mpirun-command ..`, then `ferry process play`"
            );
            return Err(StepError::Pause(text));
        }
        launcher.extend_from_slice(mpirun);
    }
    let engine = code.map(code::engine).unwrap_or_default();
    let of_code = |key: &str| code.and_then(|code| code.flag(key));
    let launcher_double_quotes =
        computer.use_double_quotes || (!engine.is_empty() && of_code("use_double_quotes") == Some(true));
    let is_wrapped = !engine.is_empty() && of_code("wrap_cmdline_params") == Some(true);
    launcher.extend(engine);
    let program = match (&run.program, code) {
        (Program::Command(command), _) => command.clone(),
        (Program::Code(_), code) => code.map(code::program).unwrap_or_default(),
    };
    let words = std::iter::once(program).chain(run.arguments.iter().cloned()).collect();
    Ok(CommandLine {
        launcher,
        launcher_double_quotes,
        is_wrapped,
        words,
        // Words in front of a code follow the computer's setting, the code and its arguments the code's.
        double_quotes: match code {
            Some(_) => of_code("use_double_quotes") == Some(true),
            None => computer.use_double_quotes,
        },
        stdin: run.stdin.clone(),
        stdout: run.stdout.clone(),
        stderr: run.stderr.clone(),
        join_files: run.join_files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_as_many_as_cores_unless_the_user_says_so() {
        let threads = |json: &str| {
            let options: Options = serde_json::from_str(json).unwrap();
            environment(&options).remove("OMP_NUM_THREADS")
        };
        assert_eq!(threads(r#"{"resources": {"num_cores_per_mpiproc": 3}}"#).unwrap(), "3");
        let own = r#"{"resources": {"num_cores_per_mpiproc": 3}, "environment_variables": {"OMP_NUM_THREADS": "7"}}"#;
        assert_eq!(threads(own).unwrap(), "7");
        assert_eq!(threads(r#"{"resources": {"num_cores_per_machine": 3}}"#), None);
    }
}
