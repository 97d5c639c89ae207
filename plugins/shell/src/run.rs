//! The calcjob `shell.run`.

use std::collections::BTreeMap;

use ferry_plugin::{prelude::*, relative_path};

use crate::{
    arguments::Arguments,
    keep::{self, Kept},
    layout::Layout,
};

/// Names in the work directory.
pub(crate) const STDIN: &str = "stdin";
pub(crate) const STDOUT: &str = "stdout";
pub(crate) const STDERR: &str = "stderr";

/// Maximum length, in bytes, of the end of standard error that an exit message quotes.
const TOLD: u64 = 500;

/// Inputs of [`Run`].
#[derive(Inputs, Debug, Clone, Default)]
pub struct RunInputs {
    /// The program: a name in the computer's PATH, or an absolute path; this or `code`
    pub command: Option<String>,
    /// The program, as a code; this or `command`
    pub code: Option<Code>,
    /// Arguments: one line, quoted as in a shell, or a list; `{name}` stands for a node. No shell reads them
    pub arguments: Option<Arguments>,
    /// Files, folders and values, by the names that `arguments` uses
    pub nodes: BTreeMap<String, AnyNode>,
    /// Names in the work directory, by node; otherwise a file keeps its own and a folder is called like its node
    pub filenames: Option<Json<BTreeMap<String, String>>>,
    /// Paths and globs of what to keep, files or directories; each becomes `files.LABEL`, its path with `_` for all
    /// but letters and digits
    pub outputs: Option<Vec<String>>,
    /// The command's standard input
    pub stdin: Option<SingleFile>,
}

/// Outputs of [`Run`].
#[derive(Outputs)]
pub struct RunOutputs {
    /// What the command printed
    pub stdout: SingleFile,
    /// What it printed as errors; also when that is nothing
    pub stderr: SingleFile,
    /// What `outputs` asked for
    pub files: BTreeMap<String, AnyOutput>,
}

/// Exit codes of [`Run`], with aiida-shell's numbers.
#[derive(ExitCodes, Debug)]
pub enum RunExit {
    /// It was killed, or its computer went down.
    #[exit(
        300,
        "the exit status of the command is not known: the job left no exit marker",
        label = "ERROR_OUTPUT_STATUS_MISSING",
        invalidates_cache
    )]
    StatusMissing,
    /// Nothing was retrieved.
    #[exit(
        302,
        "the command's output was not retrieved",
        label = "ERROR_OUTPUT_STDOUT_MISSING",
        invalidates_cache
    )]
    StdoutMissing,
    /// The command did not write what was asked for.
    #[exit(303, "asked for in `outputs` but not there: {missing}", label = "ERROR_OUTPUT_FILEPATHS_MISSING")]
    FilepathsMissing {
        /// The paths and globs.
        missing: String,
    },
    /// Only half of it was retrieved.
    #[exit(
        304,
        "the command's errors were not retrieved",
        label = "ERROR_OUTPUT_STDERR_MISSING",
        invalidates_cache
    )]
    StderrMissing,
    /// The command reports a failure. Its files are kept.
    #[exit(400, "the command exited with status {status}: {stderr}", label = "ERROR_COMMAND_FAILED")]
    CommandFailed {
        /// Its exit status.
        status: i32,
        /// The end of its standard error.
        stderr: String,
    },
}

/// The calcjob `shell.run`.
#[derive(Debug)]
pub struct Run;

/// Runs any command.
///
/// A non-zero exit status is exit code 400; what the command wrote is kept all the same.
#[calcjob(name = "shell.run", alias = "core.shell", cache_version = 1)]
impl CalcJob for Run {
    type Inputs = RunInputs;
    type Outputs = RunOutputs;
    type Exit = RunExit;

    fn options() -> OptionDefaults {
        OptionDefaults::default().output_filename(STDOUT)
    }

    fn validate(inputs: &RunInputs, bad: &mut Problems) {
        check_program(inputs, bad);
        let layout = Layout::of(inputs, bad);
        layout.fill(&inputs.arguments.clone().unwrap_or_default(), bad);
        for pattern in inputs.outputs.iter().flatten() {
            if let Err(message) = relative_path(pattern) {
                bad.at("outputs", message);
            }
        }
    }

    fn prepare(inputs: &RunInputs, job: &mut Job) -> Result {
        let mut bad = Problems::default();
        let layout = Layout::of(inputs, &mut bad);
        let arguments = layout.fill(&inputs.arguments.clone().unwrap_or_default(), &mut bad);
        if !bad.is_empty() {
            return Err(bad.to_string())?;
        }
        layout.put(job);
        let command = match (&inputs.code, &inputs.command) {
            (Some(code), None) => job.run(code),
            (None, Some(command)) => job.command(command),
            _ => return Err("give `command` or `code`, one of them")?,
        };
        let command = command.args(arguments).stdout(STDOUT).stderr(STDERR);
        if let Some(file) = &inputs.stdin {
            command.stdin(STDIN);
            job.copy(file, STDIN);
        }
        job.retrieve([STDOUT, STDERR]);
        let kept = inputs.outputs.iter().flatten().map(|pattern| Pattern::from(pattern).whole_path());
        job.retrieve(kept);
        Ok(())
    }

    fn parse(inputs: &RunInputs, run: &Finished, out: &mut RunOutputsDraft) -> Result {
        let (stdout, stderr) = (run.file(STDOUT)?, run.file(STDERR)?);
        let (has_stdout, has_stderr) = (stdout.is_some(), stderr.is_some());
        stdout.map(|file| out.stdout(file));
        stderr.map(|file| out.stderr(file));
        let kept = Kept::of(inputs.outputs.as_deref().unwrap_or_default(), run)?;
        for (label, path) in &kept.by_label {
            out.files((label, keep::output(path, run)?));
        }
        if run.engine_exit().is_some() {
            return Ok(()); // Out of time or memory: the engine knows better than what is missing here.
        }
        judge(run, has_stdout, has_stderr, &kept)
    }
}

fn check_program(inputs: &RunInputs, bad: &mut Problems) {
    match (&inputs.command, &inputs.code) {
        (Some(_), Some(_)) => bad.together("`command` and `code` are both given: give one of them"),
        (None, None) => bad.together("nothing to run: give `command` (a name or an absolute path) or `code`"),
        (Some(command), None) => check_command(command, bad),
        (None, Some(_)) => {}
    }
}

/// Checks the command. A blank in a name nearly always means that a whole line was written in the wrong
/// place.
fn check_command(command: &str, bad: &mut Problems) {
    if command.trim().is_empty() {
        bad.at("command", "is empty: give a name or an absolute path");
    } else if command.contains(char::is_whitespace) && !command.starts_with('/') {
        let (program, rest) = command.trim().split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        bad.at(
            "command",
            format!("is one program, without arguments: use `command={program}` and `arguments='{rest}'`"),
        );
    }
}

fn judge(run: &Finished, has_stdout: bool, has_stderr: bool, kept: &Kept) -> Result {
    if !has_stdout {
        Err(RunExit::StdoutMissing)?;
    }
    if !has_stderr {
        Err(RunExit::StderrMissing)?;
    }
    match run.exit_status() {
        Some(0) => {}
        // A run outside of ferry left no record of its end.
        None if run.is_imported() => {}
        None => Err(RunExit::StatusMissing)?,
        Some(status) => Err(RunExit::CommandFailed { status, stderr: end_of_stderr(run)? })?,
    }
    if !kept.missing.is_empty() {
        Err(RunExit::FilepathsMissing { missing: kept.missing.join(", ") })?;
    }
    Ok(())
}

/// Returns the last lines of standard error as one line.
fn end_of_stderr(run: &Finished) -> Result<String> {
    let tail = run.tail(STDERR, TOLD)?.unwrap_or_default();
    let mut lines: Vec<&str> =
        tail.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
    lines.reverse();
    Ok(if lines.is_empty() { "it printed no error".to_owned() } else { lines.join("; ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_plugin::{
        FileRef, PortType,
        proto::{Exit, JobReport, Program, Source},
    };
    use std::fs;

    fn command(command: &str) -> RunInputs {
        RunInputs { command: Some(command.to_owned()), ..RunInputs::default() }
    }

    /// Makes a node of any type, as the engine lends it. Its files are gone.
    fn node(value: impl PortType) -> AnyNode {
        testing::inputs().with("x", value).into_nodes().remove("x").unwrap().into()
    }

    fn file(name: &str) -> AnyNode {
        node(SingleFile::from_bytes(name, "text").unwrap())
    }

    fn with_nodes<const N: usize>(arguments: &str, nodes: [(&str, AnyNode); N]) -> RunInputs {
        RunInputs {
            arguments: Some(Arguments::line(arguments).unwrap()),
            nodes: nodes.map(|(label, node)| (label.to_owned(), node)).into(),
            ..command("cat")
        }
    }

    fn problems(inputs: &RunInputs) -> String {
        testing::validate::<Run>(inputs).to_string()
    }

    #[test]
    fn the_smallest_run_is_a_command() {
        let job = testing::prepare::<Run>(command("date")).description;
        let run = &job.runs[0];
        assert_eq!((&run.program, run.arguments.len()), (&Program::Command("date".into()), 0));
        assert_eq!(
            (run.stdout.as_deref(), run.stderr.as_deref(), run.stdin.as_deref()),
            (Some("stdout"), Some("stderr"), None)
        );
        assert_eq!(job.retrieve.iter().map(|item| &*item.pattern).collect::<Vec<_>>(), ["stdout", "stderr"]);
    }

    #[test]
    fn nodes_become_names_and_values() {
        let mut folder = Folder::default();
        folder.add("deep/x", FileRef::from_bytes("1")).unwrap();
        let inputs = with_nodes(
            "--in={a} {dir}/deep/x {n} -t{t} '{s}' {yes} {{}}",
            [
                ("a", file("odd name.txt")),
                ("dir", node(folder)),
                ("n", node(3_i64)),
                ("t", node(1.0)),
                ("s", node("two words".to_owned())),
                ("yes", node(true)),
                ("parent", node(testing::remote_folder("/scratch/1"))),
            ],
        );
        let job = testing::prepare::<Run>(inputs).description;
        let expected = ["--in=odd name.txt", "dir/deep/x", "3", "-t1.0", "two words", "true", "{}"];
        assert_eq!(job.runs[0].arguments, expected);
        let targets: Vec<&str> = job.files.iter().map(|file| &*file.target).collect();
        assert_eq!(targets, ["odd name.txt", "dir/deep/x"]);
        assert!(matches!(&job.files[0].source, Source::Node { path, .. } if path == "odd name.txt"));
        assert_eq!(job.remote_symlinks[0].target, "parent");
    }

    #[test]
    fn filenames_stdin_outputs_and_a_code_are_heard() {
        let inputs = RunInputs {
            command: None,
            code: Some(testing::code("cat@daint")),
            filenames: Some(Json([("a".to_owned(), "in/b.txt".to_owned())].into())),
            outputs: Some(vec!["out/*.xml".into(), "dir".into()]),
            stdin: Some(SingleFile::from_bytes("lines", "1\n").unwrap()),
            ..with_nodes("{a}", [("a", file("a.txt"))])
        };
        let prepared = testing::prepare::<Run>(inputs);
        assert_eq!(prepared.file("stdin"), "1\n");
        let job = &prepared.description;
        assert_eq!(job.runs[0].program, Program::Code("code-cat".into()));
        assert_eq!(
            (job.runs[0].stdin.as_deref(), &*job.runs[0].arguments),
            (Some("stdin"), &["in/b.txt".to_owned()][..])
        );
        let kept: Vec<_> = job.retrieve[2..].iter().map(|item| (&*item.pattern, item.depth)).collect();
        assert_eq!(kept, [("out/*.xml", None), ("dir", None)]);
    }

    #[test]
    fn one_program_is_asked_for() {
        assert!(problems(&RunInputs::default()).contains("nothing to run"));
        let both = RunInputs { code: Some(testing::code("x")), ..command("x") };
        assert!(problems(&both).contains("both given"));
        assert!(
            problems(&command("echo hi there")).contains("use `command=echo` and `arguments='hi there'`")
        );
        assert_eq!(problems(&command("/opt/my tools/run")), "");
    }

    #[test]
    fn what_can_t_be_laid_out_is_told() {
        let unknown = problems(&with_nodes("{b} {c", [("a", file("a"))]));
        assert!(unknown.contains("arguments: `{c` has a `{` that stands alone"), "{unknown}");
        let unknown = problems(&with_nodes("{b}", [("a", file("a")), ("n", node(1_i64))]));
        assert!(unknown.contains("arguments: `{b}` names no node; the nodes are: a, n"), "{unknown}");
        assert!(problems(&with_nodes("{b}", [])).contains("the nodes are: none"));
        let twice = problems(&with_nodes("", [("a", file("x")), ("b", file("x"))]));
        assert!(twice.contains("nodes.b: would be `x` in the work directory, as a is"), "{twice}");
        assert!(problems(&with_nodes("", [("a", file("stdout"))])).contains("as the command's output is"));
        let list = problems(&with_nodes("", [("a", node(vec![1_i64]))]));
        assert!(list.contains("nodes.a: is of type `list`"), "{list}");
        let names = |label: &str, name: &str| RunInputs {
            filenames: Some(Json([(label.to_owned(), name.to_owned())].into())),
            ..with_nodes("", [("a", file("x")), ("n", node(1_i64))])
        };
        assert!(
            problems(&names("z", "y")).contains("filenames: names `z`, which is not among the nodes: a, n")
        );
        assert!(problems(&names("a", "../y")).contains("nodes.a: `../y` is not allowed"));
        assert!(problems(&names("n", "y")).contains("nodes.n: is a value of type `int`"));
        let outputs = RunInputs { outputs: Some(vec!["/etc/passwd".into()]), ..command("ls") };
        assert!(problems(&outputs).contains("outputs: `/etc/passwd` is not allowed"));
    }

    /// Parses the retrieved files and the end of a job.
    fn parsed(files: &[(&str, &str)], outputs: &[&str], job: JobReport) -> testing::Parsed {
        let home = testing::Scratch::new();
        for (path, text) in files {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let outputs = outputs.iter().map(|pattern| (*pattern).to_owned()).collect();
        let inputs = RunInputs { outputs: Some(outputs), ..command("x") };
        testing::parse_after::<Run>(inputs, home.path(), job)
    }

    fn status(status: i32) -> JobReport {
        JobReport {
            exit_status: Some(status),
            scheduler_stderr: "_scheduler-stderr.txt".into(),
            ..JobReport::default()
        }
    }

    #[test]
    fn what_was_printed_is_kept_by_reference() {
        let run = parsed(&[("stdout", "hi\n"), ("stderr", "")], &[], status(0));
        assert_eq!(run.status(), 0);
        for port in ["stdout", "stderr"] {
            assert_eq!(run.outputs[port].files[0].source, Source::Retrieved(port.into()));
            assert_eq!(run.value(port).get("filename").and_then(ferry_plugin::Value::as_str), Some(port));
        }
    }

    #[test]
    fn kept_files_and_directories_are_labelled() {
        let home = [
            ("stdout", ""),
            ("stderr", ""),
            ("_scheduler-stderr.txt", ""),
            ("a.txt", ""),
            ("out/1.xml", ""),
            ("out/deep/2.xml", ""),
        ];
        let run = parsed(&home, &["*", "out/*.xml"], status(0));
        assert_eq!(run.status(), 0);
        let labels: Vec<&str> = run.outputs.keys().map(String::as_str).collect();
        assert_eq!(labels, ["files.a_txt", "files.out", "files.out_1_xml", "stderr", "stdout"]);
        let folder = &run.outputs["files.out"];
        assert_eq!((&*folder.data_type, folder.files.len()), ("folder", 2));
        assert_eq!(folder.files[1].source, Source::Retrieved("out/deep/2.xml".into()));
        assert_eq!(
            run.value("files.out_1_xml").get("filename").and_then(ferry_plugin::Value::as_str),
            Some("1.xml")
        );
    }

    #[test]
    fn a_command_that_fails_keeps_what_it_wrote() {
        let home = [("stdout", "half"), ("stderr", "line 1\n\nno such file\n"), ("a", "1")];
        let run = parsed(&home, &["a", "b"], status(2));
        let exit = run.exit.as_ref().unwrap();
        assert_eq!((exit.status, &*exit.label), (400, "ERROR_COMMAND_FAILED"));
        assert_eq!(exit.message, "the command exited with status 2: line 1; no such file");
        assert!(run.outputs.contains_key("files.a") && run.outputs.contains_key("stdout"));
        let silent = parsed(&[("stdout", ""), ("stderr", "")], &[], status(1));
        assert!(silent.exit.unwrap().message.ends_with("status 1: it printed no error"));
    }

    #[test]
    fn whatever_is_missing_has_its_exit_code() {
        let both = [("stdout", ""), ("stderr", "")];
        let missing = parsed(&both, &["a", "*.x", "stdout"], status(0));
        assert_eq!(missing.status(), 303);
        assert!(missing.exit.unwrap().message.ends_with("not there: a, *.x"));
        assert_eq!(parsed(&both[1..], &[], status(0)).status(), 302);
        assert_eq!(parsed(&both[..1], &[], status(0)).status(), 304);
        assert_eq!(parsed(&both, &[], JobReport::default()).status(), 300);
        let late =
            Exit { status: 120, label: "ERROR_SCHEDULER_OUT_OF_WALLTIME".into(), message: String::new() };
        let late = JobReport { engine_exit: Some(late), ..JobReport::default() };
        assert_eq!(parsed(&both[..1], &["a"], late).status(), 0);
    }

    #[test]
    fn the_manifest_is_whole() {
        let manifest = testing::manifest("shell");
        let run = &manifest.types[0];
        assert_eq!((&*run.name, &*run.aliases), ("shell.run", &["core.shell".to_owned()][..]));
        assert_eq!(run.inputs.ports["arguments"].types, ["str", "list"]);
        assert_eq!(run.inputs.ports["filenames"].types, ["dict"]);
        assert!(run.inputs.ports.values().all(|port| !port.required && !port.help.is_empty()));
        assert!(run.inputs.ports["nodes"].namespace.as_ref().unwrap().dynamic.as_ref().unwrap().is_empty());
        let statuses: Vec<u32> = run.exit_codes.iter().map(|code| code.status).collect();
        assert_eq!(statuses, [300, 302, 303, 304, 400]);
    }
}
