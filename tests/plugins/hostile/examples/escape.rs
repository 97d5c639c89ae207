//! Describes jobs that reach out of their directories, which the SDK would not allow. Each type is one way;
//! none may put or take a byte outside.

mod raw;

use ferry_plugin_abi::{method, status};
use ferry_plugin_proto::{
    JobDescription, JobFile, Kind, Program, Retrieve, Run, Source, Task, Validated, Work, WorkReply, decode,
    encode,
};

/// The ways out.
const TYPES: [&str; 6] = [
    "escape.target",
    "escape.absolute_target",
    "escape.source",
    "escape.retrieve",
    "escape.stdout",
    "escape.markers",
];

raw::raw_plugin!("escape", ferry_plugin_abi::ABI_MAJOR, answer);

fn answer(method: u32, request: &[u8]) -> Result<Vec<u8>, i32> {
    match method {
        method::MANIFEST => {
            Ok(raw::manifest("escape", TYPES.map(|name| raw::process_type(name, Kind::CalcJob)).to_vec()))
        }
        method::VALIDATE => Ok(encode(&Validated::default())),
        method::WORK => work(&decode(request).map_err(|_| status::BAD_ARGUMENT)?),
        _ => Err(status::UNKNOWN_METHOD),
    }
}

fn work(work: &Work) -> Result<Vec<u8>, i32> {
    let reply = match &work.task {
        Task::Prepare { .. } => WorkReply::Job(job(&work.process_type)),
        _ => WorkReply::Outcome(Default::default()),
    };
    Ok(encode(&reply))
}

fn job(process_type: &str) -> JobDescription {
    let mut run = Run {
        program: Program::Command("true".to_owned()),
        arguments: Vec::new(),
        stdin: None,
        stdout: None,
        stderr: None,
        join_files: false,
        with_mpi: None,
    };
    let mut job = JobDescription::default();
    match process_type {
        "escape.target" => job.files.push(file("../../escaped", Source::Inline(b"out".to_vec()))),
        "escape.absolute_target" => {
            job.files.push(file("/tmp/ferry-escaped", Source::Inline(b"out".to_vec())))
        }
        "escape.source" => job.files.push(file("taken", Source::Sandbox("../../../etc/passwd".to_owned()))),
        "escape.retrieve" => {
            job.retrieve.push(Retrieve {
                pattern: "../../../../../../etc/passwd".to_owned(),
                depth: Some(0),
                target: String::new(),
            });
        }
        "escape.stdout" => run.stdout = Some("../escaped".to_owned()),
        // The claim protocol's own files: a job that forges them could run twice, or never.
        _ => job.files.push(file(".ferry/exit", Source::Inline(b"0 forged 1\n".to_vec()))),
    }
    job.runs.push(run);
    job
}

fn file(target: &str, source: Source) -> JobFile {
    JobFile { target: target.to_owned(), source, executable: false }
}
