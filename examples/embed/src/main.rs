//! A program with ferry inside. It owns a profile in a directory of its choice, runs a function, a shell command and a
//! job of a plugin file, and prints what came of them.
//!
//! ```text
//! cargo build -p ferry-example-embed -p ferry-example-plugin-file -p ferry-bundled-arithmetic -p ferry-bundled-shell
//! cd target/debug && ./ferry-example-embed /tmp/home . libferry_example_plugin_file.so
//! ```

use std::{
    env,
    error::Error,
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use ferry_engine::{
    embed::{Engine, Handle},
    owner::Builder,
    plugin::{HOST_COMMAND, host_main},
    process::{InputValue, Launch, Metadata},
    profile::Paths,
    rpc::{Request, Response},
    store::{Link, LinkType, Objects, Process, Reader},
};
use ferry_plugin_proto::Value;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let words: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let done = match words.as_slice() {
        // Plugins run in children. A child is this program again, started by the engine with these words.
        [word, file] if word.as_os_str() == HOST_COMMAND => return host_main(file),
        [home, bundled, files @ ..] => run(home, bundled, files),
        _ => Err("usage: ferry-example-embed HOME DIRECTORY-OF-BUNDLED-PLUGINS [PLUGIN-FILE..]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(home: &Path, bundled: &Path, files: &[PathBuf]) -> Result {
    let paths = Paths::new(home, "default");
    let builder = Builder {
        paths: paths.clone(),
        transports: vec![ferry_transport_local::register()],
        schedulers: vec![ferry_scheduler_direct::register()],
        host_exe: env::current_exe()?,
        bundled: vec![bundled.to_owned()],
    };
    // A new profile gets the computer `localhost` and the bundled plugins. Nobody else owns it from here on.
    let mut engine = Engine::open(&builder).await?;
    engine.start();
    let reader = Reader::open(&paths.store(), Objects::new(paths.objects()))?;
    let done = work(&engine.handle(), &reader, files).await;
    // Also after an error: what was launched goes on with the next owner, from where it stands.
    engine.stop().await;
    done
}

/// Runs a function, a shell command, and for each plugin file a job that counts the words of the command's output.
async fn work(handle: &Handle, reader: &Reader, files: &[PathBuf]) -> Result {
    let sum = [("x", new(Value::Int(2))), ("y", new(Value::Int(3)))];
    let echo = [("command", text("echo")), ("arguments", text("three plain words"))];
    // Once a launch returns, the process is on disk: a crash of this program would lose nothing.
    let sum = handle.launch(launch("arithmetic.add", sum)).await?;
    let echo = handle.launch(launch("shell.run", echo)).await?;
    print(reader, &handle.ended(sum.id).await?)?;
    let echo = handle.ended(echo.id).await?;
    print(reader, &echo)?;
    for file in files {
        install(handle, file).await?;
        // An output of one process is the input of the next, and the graph remembers it.
        let printed = outputs(reader, &echo)?.into_iter().find(|link| link.label == "stdout");
        let printed = printed.ok_or("the command has no output")?.target.to_string();
        let counted = handle.run(launch("example.words", [("text", InputValue::Node(printed))])).await?;
        print(reader, &counted)?;
    }
    Ok(())
}

async fn install(handle: &Handle, file: &Path) -> Result {
    let path = fs::canonicalize(file)?.to_string_lossy().into_owned();
    match handle.ask(Request::InstallPlugin { path }).await {
        Response::Plugin { .. } => Ok(()),
        other => Err(format!("{} can't be installed: {other:?}", file.display()).into()),
    }
}

fn launch<const N: usize>(process_type: &str, inputs: [(&str, InputValue); N]) -> Launch {
    Launch {
        process_type: process_type.to_owned(),
        inputs: inputs.map(|(port, value)| (port.to_owned(), value)).into(),
        metadata: Metadata::default(),
        groups: Vec::new(),
    }
}

fn new(value: Value) -> InputValue {
    InputValue::New { data_type: None, value, files: Vec::new() }
}

fn text(text: &str) -> InputValue {
    new(Value::Str(text.to_owned()))
}

fn outputs(reader: &Reader, process: &Process) -> Result<Vec<Link>> {
    let links = reader.outgoing(process.id)?.into_iter();
    Ok(links.filter(|link| link.link_type == LinkType::Create).collect())
}

/// Prints the end of a process and its outputs: values, and the text of a single file.
fn print(reader: &Reader, process: &Process) -> Result {
    let mut out = io::stdout().lock();
    let exit = process.end.message.as_deref().unwrap_or("no complaint");
    writeln!(out, "process {}: {}, {exit}", process.id, process.state.as_str())?;
    for link in outputs(reader, process)? {
        let node = reader.node(link.target)?;
        let files = reader.files(node.id)?;
        let mut shown = String::new();
        match files.as_slice() {
            [] => shown = serde_json::to_string(&node.body)?,
            [file] => drop(reader.open_object(&file.digest)?.read_to_string(&mut shown)?),
            many => shown = format!("{} files", many.len()),
        }
        writeln!(out, "  {} = {}", link.label, shown.trim_end())?;
    }
    Ok(())
}
