//! `script.job`: a calcjob whose input is its description, so that trials of the engine can ask for any shape.
//!
//! ```text
//! job: {sandbox: {a/in.txt: text, empty/: ""}, local: [[folder, sub, target]], copy: [[folder, out/*, out]],
//!       link: [[folder, big, big]], order: [remote, sandbox, local], exclude: [a], parallel: true,
//!       run: [{code: one, args: [x], stdout: out, mpi: true}, {command: sh, args: [-c, "echo 1"], join: true}],
//!       retrieve: [["path/*", target, 2], ["a", "", null]], temporary: [b], skip: true, prepare: "an error",
//!       toil: ["/file/to/mark", 1.5]}
//! parse: {exit: 411, except: text, output: "a file whose text becomes `text`", temporary: "such a file",
//!         needs: "/a/file/here"}
//! ```

use std::collections::BTreeMap;

use ferry_plugin::{RemotePath, prelude::*, proto};
use serde::Deserialize;

/// The inputs of the job.
#[derive(Inputs, Debug)]
pub struct JobInputs {
    /// The description
    pub job: Json<Wish>,
    /// What the parser does
    pub parse: Option<Json<Parse>>,
    /// Codes by the names that `run` uses
    pub codes: BTreeMap<String, Code>,
    /// Folders by the names that `local` uses
    pub folders: BTreeMap<String, AnyNode>,
    /// Directories on the computer by the names that `copy` and `link` use
    pub places: BTreeMap<String, RemoteFolder>,
}

/// The outputs of the job.
#[derive(Outputs)]
pub struct JobOutputs {
    /// The text that the parser was asked for
    pub text: Option<String>,
}

/// A description.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    sandbox: BTreeMap<String, String>,
    local: Vec<(String, String, String)>,
    copy: Vec<(String, String, String)>,
    link: Vec<(String, String, String)>,
    order: Vec<proto::CopyStage>,
    exclude: Vec<String>,
    parallel: bool,
    run: Vec<Line>,
    prepend: String,
    append: String,
    retrieve: Vec<(String, String, Option<u32>)>,
    temporary: Vec<String>,
    skip: bool,
    prepare: Option<String>,
    toil: Option<(String, f64)>,
}

/// A command line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    code: Option<String>,
    command: Option<String>,
    args: Vec<String>,
    stdin: Option<String>,
    stdout: Option<String>,
    stderr: Option<String>,
    join: bool,
    mpi: Option<bool>,
}

/// The actions of a parser.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parse {
    exit: Option<u32>,
    except: Option<String>,
    output: Option<String>,
    temporary: Option<String>,
    needs: Option<String>,
}

/// The calcjob `script.job`.
#[derive(Debug)]
pub struct ScriptJob;

/// Is what its input says.
#[calcjob(name = "script.job")]
impl CalcJob for ScriptJob {
    type Inputs = JobInputs;
    type Outputs = JobOutputs;

    fn prepare(inputs: &JobInputs, job: &mut Job) -> Result {
        let wish = &inputs.job;
        if let Some(text) = &wish.prepare {
            Err(text.as_str())?;
        }
        if let Some((mark, seconds)) = &wish.toil {
            crate::toil(mark, *seconds)?;
        }
        for (path, text) in &wish.sandbox {
            match path.strip_suffix('/') {
                Some(dir) => job.create_dir(dir)?,
                None => job.write(path, text)?,
            }
        }
        for (folder, path, target) in &wish.local {
            local(inputs, job, folder, path, target)?;
        }
        for (items, is_link) in [(&wish.copy, false), (&wish.link, true)] {
            for (place, path, target) in items {
                let place = inputs.places.get(place).ok_or_else(|| format!("no place `{place}`"))?;
                let from: RemotePath = if path.is_empty() { place.into() } else { place.join(path) };
                if is_link { job.symlink(from, target) } else { job.copy_remote(from, target) }
            }
        }
        if let [first, second, third] = wish.order[..] {
            job.copy_order([first, second, third]);
        }
        job.provenance_exclude(&wish.exclude);
        for line in &wish.run {
            run(inputs, job, line)?;
        }
        if wish.parallel {
            job.parallel();
        }
        if wish.skip {
            job.skip_submit();
        }
        job.prepend_text(&wish.prepend);
        job.append_text(&wish.append);
        job.retrieve(wish.retrieve.iter().map(|(pattern, target, depth)| {
            let pattern = Pattern::from(pattern).into_dir(target);
            depth.map_or_else(|| pattern.clone().whole_path(), |depth| pattern.clone().depth(depth))
        }));
        job.retrieve_temporary(&wish.temporary);
        Ok(())
    }

    fn parse(inputs: &JobInputs, run: &Finished, out: &mut JobOutputsDraft) -> Result {
        let parse = inputs.parse.as_ref().map(|parse| (**parse).clone()).unwrap_or_default();
        if let Some(path) = &parse.output {
            out.text(run.read(path)?.ok_or_else(|| format!("no file `{path}`"))?);
        }
        if let Some(path) = &parse.temporary {
            out.text(run.read_temporary(path)?.ok_or_else(|| format!("no file `{path}`"))?);
        }
        if let Some(path) = parse.needs.filter(|path| !std::path::Path::new(path).exists()) {
            Err(format!("{path} is not there"))?;
        }
        if let Some(text) = parse.except {
            Err(text)?;
        }
        match parse.exit {
            None => Ok(()),
            Some(status) => Err(Error::exit(proto::Exit {
                status,
                label: "ERROR_SCRIPT".into(),
                message: "as the parser was told".into(),
            }))?,
        }
    }
}

/// Puts a file or a folder of a node into the job, by its place inside the node.
fn local(inputs: &JobInputs, job: &mut Job, folder: &str, path: &str, target: &str) -> Result {
    let node = inputs.folders.get(folder).ok_or_else(|| format!("no folder `{folder}`"))?;
    if node.data_type == "file" {
        let file: SingleFile = node.get()?;
        job.copy(&file, target);
        return Ok(());
    }
    job.copy_from(&node.get()?, path, target);
    Ok(())
}

fn run(inputs: &JobInputs, job: &mut Job, line: &Line) -> Result {
    let mut command = match (&line.code, &line.command) {
        (Some(code), None) => job.run(inputs.codes.get(code).ok_or_else(|| format!("no code `{code}`"))?),
        (None, Some(command)) => job.command(command),
        _ => Err("a run needs `code` or `command`")?,
    };
    command = command.args(&line.args);
    if let Some(path) = &line.stdin {
        command = command.stdin(path);
    }
    if let Some(path) = &line.stdout {
        command = command.stdout(path);
    }
    if let Some(path) = &line.stderr {
        command = command.stderr(path);
    }
    if line.join {
        command = command.join_files();
    }
    if let Some(mpi) = line.mpi {
        command.with_mpi(mpi);
    }
    Ok(())
}
