//! From a job description, options, computer and codes to the template of a job script.

use std::path::Path;

use ferry_plugin_proto::{JobDescription, Program, Run, Value};

use super::{StepError, StepResult};
use crate::{
    computer::Computer,
    process::Options,
    scheduler::{CommandLine, JobTemplate, Resources},
    store::{Node, Process, Reader},
};

/// What goes into a script beside the description itself.
pub(super) struct Parts<'a> {
    pub(super) process: &'a Process,
    pub(super) computer: &'a Computer,
    pub(super) options: &'a Options,
    pub(super) dir: &'a Path,
    pub(super) digest: &'a str,
}

/// The template. Text order is AiiDA's: prepend computer, codes, plugin, option; append the other way round.
pub(super) fn template(reader: &Reader, parts: &Parts<'_>, job: &JobDescription) -> StepResult<JobTemplate> {
    let Parts { process, computer, options, dir, digest } = parts;
    let codes = codes(reader, job)?;
    let (machines, tasks_per_machine, total) =
        options.resources.tasks(computer.mpiprocs_per_machine).map_err(StepError::Except)?;
    let text =
        |code: &Node, key: &str| code.body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut prepend = vec![computer.prepend_text.clone()];
    prepend.extend(codes.iter().map(|code| text(code, "prepend_text")));
    prepend.extend([job.prepend_text.clone(), options.prepend_text.clone()]);
    let mut append = vec![options.append_text.clone(), job.append_text.clone()];
    append.extend(codes.iter().map(|code| text(code, "append_text")));
    append.push(computer.append_text.clone());
    let mpirun = mpirun(computer, options, [machines, tasks_per_machine, total]);
    let lines = job
        .runs
        .iter()
        .map(|run| command_line(run, &codes, computer, options, &mpirun))
        .collect::<StepResult<Vec<_>>>()?;
    let cores_per_task = options
        .resources
        .num_cores_per_mpiproc
        .or(options.resources.num_cores_per_machine.map(|cores| cores / tasks_per_machine));
    Ok(JobTemplate {
        shebang: computer.shebang.clone(),
        dir: dir.to_path_buf(),
        digest: (*digest).to_owned(),
        name: format!("ferry-{}", process.id),
        stdout: options.scheduler_stdout.clone(),
        stderr: options.scheduler_stderr.clone(),
        resources: Resources { machines, tasks_per_machine, cores_per_task },
        max_wallclock_seconds: options.max_wallclock_seconds,
        max_memory_kb: options.max_memory_kb.or(computer.default_memory_per_machine),
        queue_name: options.queue_name.clone(),
        account: options.account.clone(),
        qos: options.qos.clone(),
        priority: options.priority.clone(),
        rerunnable: options.rerunnable,
        import_sys_environment: options.import_sys_environment,
        environment: options.environment_variables.clone(),
        environment_double_quotes: options.environment_variables_double_quotes,
        custom_scheduler_commands: options.custom_scheduler_commands.clone(),
        prepend,
        lines,
        append,
    })
}

fn codes(reader: &Reader, job: &JobDescription) -> StepResult<Vec<Node>> {
    let mut codes: Vec<Node> = Vec::new();
    for run in &job.runs {
        if let Program::Code(uuid) = &run.program
            && !codes.iter().any(|code| code.uuid.to_string() == *uuid)
        {
            codes.push(reader.find_node(uuid)?);
        }
    }
    Ok(codes)
}

fn mpirun(computer: &Computer, options: &Options, [machines, per_machine, total]: [u32; 3]) -> Vec<String> {
    let fill = |word: &str| {
        word.replace("{tot_num_mpiprocs}", &total.to_string())
            .replace("{num_machines}", &machines.to_string())
            .replace("{num_mpiprocs_per_machine}", &per_machine.to_string())
    };
    computer
        .mpirun_command
        .split_whitespace()
        .map(fill)
        .chain(options.mpirun_extra_params.iter().cloned())
        .collect()
}

fn command_line(
    run: &Run,
    codes: &[Node],
    computer: &Computer,
    options: &Options,
    mpirun: &[String],
) -> StepResult<CommandLine> {
    let code = match &run.program {
        Program::Code(uuid) => codes.iter().find(|code| code.uuid.to_string() == *uuid),
        Program::Command(_) => None,
    };
    let flag = |key: &str| {
        code.and_then(|code| code.body.get(key)).and_then(|value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    };
    let wishes = [("option withmpi", options.withmpi), ("plugin", run.with_mpi), ("code", flag("with_mpi"))];
    let said: Vec<_> = wishes.iter().filter_map(|(who, wish)| wish.map(|wish| (*who, wish))).collect();
    if let (Some((first, wish)), Some((other, _))) =
        (said.first(), said.iter().find(|(_, wish)| *wish != said[0].1))
    {
        let text = format!("{first} says with MPI: {wish}, {other} says the opposite");
        return Err(StepError::Except(text));
    }
    let mut words = Vec::new();
    if said.first().is_some_and(|(_, wish)| *wish) {
        if mpirun.is_empty() {
            let text = format!("MPI is wanted, but computer `{}` has no mpirun_command", computer.label);
            return Err(StepError::Pause(text));
        }
        words.extend_from_slice(mpirun);
    }
    words.push(match (&run.program, code) {
        (Program::Command(command), _) => command.clone(),
        (Program::Code(uuid), None) => return Err(StepError::Except(format!("code {uuid} is gone"))),
        (_, Some(code)) => {
            code.body.get("filepath_executable").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
    });
    words.extend(run.arguments.iter().cloned());
    Ok(CommandLine {
        words,
        double_quotes: computer.use_double_quotes || flag("use_double_quotes") == Some(true),
        stdin: run.stdin.clone(),
        stdout: run.stdout.clone(),
        stderr: run.stderr.clone(),
        join_files: run.join_files,
    })
}
