//! The words that `ferry run` and `ferry submit` share.

use std::path::PathBuf;

use clap::Args;
use ferry_engine::{
    process::{Launch, find_type},
    rpc::{Request, Response},
    store::Reader,
};
use serde_json::json;

use crate::{
    error::{Failure, Result},
    inputs::{self, Wish},
    output::{self, Format},
    session::Session,
    view,
};

/// Arguments that describe the process to start.
#[derive(Debug, Args)]
#[command(after_long_help = GRAMMAR)]
pub(crate) struct LaunchArgs {
    /// Process type, as `ferry plugin list` shows it
    #[arg(value_name = "TYPE", required_unless_present = "like")]
    process_type: Option<String>,
    /// Inputs: a literal, `@NODE`, `file:PATH`, `folder:PATH`, `remote:COMPUTER:PATH`, `CODE@COMPUTER` or `str:TEXT`
    #[arg(value_name = "PORT=VALUE")]
    words: Vec<String>,
    /// Start from the inputs and metadata of this process; no TYPE is needed then
    #[arg(long, value_name = "ID")]
    like: Option<String>,
    /// Computer that a calcjob runs on [default: its code's, else localhost]
    #[arg(long, value_name = "LABEL")]
    computer: Option<String>,
    /// Option of a calcjob, as `max_wallclock_seconds=3600` or `resources.num_machines=2`
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// YAML or JSON file of inputs; words on the command line override it
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// Group that the process joins; made if missing
    #[arg(long = "group", value_name = "LABEL")]
    groups: Vec<String>,
    /// Run it, even where the settings say that results of earlier equal calculations are taken over
    #[arg(long)]
    no_cache: bool,
    /// Write the files and the script that the job would get below ./submit_test, and start nothing
    #[arg(long)]
    dry_run: bool,
    /// Label of the process
    #[arg(long)]
    label: Option<String>,
    /// Description of the process
    #[arg(long)]
    description: Option<String>,
}

const GRAMMAR: &str = "\
Inputs, as words or as text in a file of inputs:
  x=5                      a literal, read by the type of the port
  x=@12                    a node by id, uuid, unique start of a uuid, or label
  code=pw@daint            a code by label and computer
  table=file:t.csv         a file; for a port of another type, the JSON or YAML (or text) in it
  s=file:si.cif            other ports: what their data type is read from; s=cif:si.txt says the format
  data=folder:dir          a directory with its files
  old=remote:daint:/a/b    a directory on a computer
  text=str:@home           text as it is, whatever it begins with
  pw.ecut=60               a nested port
  remote_folder=C:/PATH    for any calcjob: a run that is over, in a directory of computer C, is only imported
  metadata.options.KEY=V   as --option; also metadata.label, .description, .computer

A file of inputs is a map of the same names, nested or dotted. Relative paths in it count from its own
directory, and {node: 12} means the same as '@12'.";

impl LaunchArgs {
    /// Makes a launch of them.
    ///
    /// # Errors
    /// Fails with all problems of the arguments (exit status 2).
    pub(crate) async fn launch(self, session: &Session) -> Result<Launch> {
        let reader = session.reader().await?;
        let wish = self.wish(&reader)?;
        inputs::launch(&inputs::Reading::new(&reader, &session.builder), wish).await
    }

    /// Returns the wish that the arguments express.
    ///
    /// # Errors
    /// Fails if the process of `--like` does not exist, or is of another type.
    pub(crate) fn wish(mut self, reader: &Reader) -> Result<Wish> {
        let like = self.like.as_deref().map(|name| view::find_process(reader, name)).transpose()?;
        // Where no type is needed, the first word may be one of the others.
        if like.is_some() && self.process_type.as_ref().is_some_and(|word| word.contains('=')) {
            self.words.splice(0..0, self.process_type.take());
        }
        let process_type = match (self.process_type, &like) {
            (Some(named), Some(like)) if !is_type(reader, &named, &like.process_type)? => {
                let what = format!("{} is no `{named}`", view::title(like));
                return Err(Failure::usage(what).help("leave the type out, or start without --like"));
            }
            (Some(named), _) => named,
            (None, Some(like)) => like.process_type.clone(),
            (None, None) => return Err(Failure::usage("a process type is needed")),
        };
        Ok(Wish {
            process_type,
            like: like.map(|like| like.id),
            words: self.words,
            file: self.inputs,
            options: self.options,
            computer: self.computer,
            label: self.label,
            description: self.description,
            groups: self.groups,
            no_cache: self.no_cache,
            dry_run: self.dry_run,
        })
    }
}

/// Directory of dry runs, below the current directory. The name is AiiDA's.
const DRY_RUNS: &str = "submit_test";

/// Writes what a job would get, and starts nothing.
///
/// # Errors
/// Fails with all problems of the launch (exit status 2), and with anything that would stop it before its
/// submission (1).
pub(crate) async fn dry_run(session: &Session, mut launch: Launch) -> Result {
    launch.metadata.dry_run = false;
    let dir = std::env::current_dir()?.join(DRY_RUNS);
    match session.call(Request::DryRun { launch: Box::new(launch), dir }).await?.0 {
        Response::DryRun(done) if session.format == Format::Json => output::json(&json!(done)),
        Response::DryRun(done) => {
            output::note("nothing was started; these files would go to the job:");
            done.files.iter().try_for_each(|file| output::line(done.dir.join(file).to_string_lossy()))
        }
        other => Err(Failure::new(format!("unexpected response from the daemon: {other:?}"))),
    }
}

/// Returns whether a name, perhaps an alias, means this type.
fn is_type(reader: &Reader, named: &str, process_type: &str) -> Result<bool> {
    let (_, found) = find_type(reader, named).map_err(Failure::usage)?;
    Ok(found.name == process_type)
}
