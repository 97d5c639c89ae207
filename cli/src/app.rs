//! A ferry program from its parts: which transports and schedulers it knows is its builder's choice.

use std::{
    ffi::OsString,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{CommandFactory, FromArgMatches};
use ferry_engine::{
    owner::Builder,
    plugin::{self, HOST_COMMAND},
    profile::Paths,
    scheduler, transport,
};
use tokio::runtime::{self, Runtime};

use crate::{
    args::{Cli, Command, Global},
    commands::{
        cache, calcjob, code, completions, computer, config, daemon, group, limit, node, plugin as plugins,
        process, run, status, storage, submit,
    },
    error::{Failure, Result},
    home,
    logging::{self, Log},
    output::{self, Format, Wanted},
    session::Session,
};

/// Begins a ferry program.
#[derive(Debug)]
pub struct App;

impl App {
    /// Makes a program without transports, schedulers or plugins.
    pub fn builder() -> AppBuilder {
        AppBuilder::default()
    }
}

/// The transports, schedulers and plugins of a ferry program.
#[derive(Debug, Default)]
pub struct AppBuilder {
    transports: Vec<Arc<dyn transport::Factory>>,
    schedulers: Vec<Arc<dyn scheduler::Factory>>,
    plugins: Vec<PathBuf>,
}

impl AppBuilder {
    /// Knows a transport.
    #[must_use]
    pub fn transport(mut self, factory: Arc<dyn transport::Factory>) -> Self {
        self.transports.push(factory);
        self
    }

    /// Knows a scheduler.
    #[must_use]
    pub fn scheduler(mut self, factory: Arc<dyn scheduler::Factory>) -> Self {
        self.schedulers.push(factory);
        self
    }

    /// Looks for bundled plugin files in a directory, beside the places where they usually lie.
    #[must_use]
    pub fn plugins(mut self, dir: impl Into<PathBuf>) -> Self {
        self.plugins.push(dir.into());
        self
    }

    /// Runs the program with the words of its command line.
    pub fn main(self) -> ExitCode {
        // A plugin host starts often, and must stay small: no parser, no runtime.
        if let Some(path) = plugin_host_path() {
            return plugin::host_main(Path::new(&path));
        }
        #[cfg(feature = "crash-points")]
        if std::env::args_os().nth(1).is_some_and(|word| word == "crash-points") {
            return list_crash_points();
        }
        logging::report_panics();
        let cli = self.parse();
        panic::catch_unwind(AssertUnwindSafe(|| self.run(cli))).unwrap_or(ExitCode::FAILURE)
    }

    /// Reads the command line; ends the program if it is wrong, or asks for help.
    fn parse(&self) -> Cli {
        let known = computer::Known::new(&self.transports, &self.schedulers);
        let command =
            Cli::command().mut_subcommand("computer", |group| computer::with_settings(group, &known));
        Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }

    fn run(self, cli: Cli) -> ExitCode {
        match self.execute(cli) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                if !failure.lines.is_empty() {
                    output::note(failure.to_string());
                }
                ExitCode::from(failure.status)
            }
        }
    }

    fn execute(self, cli: Cli) -> Result {
        if let Command::Completions { shell } = cli.command {
            return completions::print(shell);
        }
        refuse_csv(&cli)?;
        let paths = home::paths(cli.global.profile.as_deref())?;
        let log = logging::start(&cli, &paths);
        let session = self.session(&cli.global, paths, log);
        runtime(&cli.command)?.block_on(dispatch(&session, cli.command))
    }

    fn session(self, global: &Global, paths: Paths, log: Log) -> Session {
        let mut bundled = home::bundled();
        bundled.extend(self.plugins);
        let builder = Builder {
            paths,
            transports: self.transports,
            schedulers: self.schedulers,
            host_exe: home::executable(),
            bundled,
        };
        Session {
            builder,
            format: if global.format == Wanted::Json { Format::Json } else { Format::Table },
            csv: global.format == Wanted::Csv,
            file_format: match &global.format {
                Wanted::File(format) => Some(format.clone()),
                _ => None,
            },
            non_interactive: global.non_interactive,
            verbose: global.verbose,
            log,
        }
    }
}

/// Refuses CSV except for lists, and file formats except for exported nodes.
///
/// # Errors
/// Fails if something else is asked for in such a form (exit status 2).
fn refuse_csv(cli: &Cli) -> Result {
    let is_list = matches!(
        cli.command,
        Command::Process(process::ProcessCommand::List(_)) | Command::Node(node::NodeCommand::List(_))
    );
    let is_export = matches!(cli.command, Command::Node(node::NodeCommand::Export(_)));
    match &cli.global.format {
        Wanted::File(word) if !is_export => {
            return Err(
                Failure::usage(format!("`{word}` is no way to show this")).help("there are table and json")
            );
        }
        Wanted::Csv if !is_list => {}
        _ => return Ok(()),
    }
    Err(Failure::usage("only `process list` and `node list` write CSV").help("use `--format json`"))
}

/// Lists the places where a daemon can be made to die: `ferry crash-points`, in test builds alone.
#[cfg(feature = "crash-points")]
fn list_crash_points() -> ExitCode {
    match ferry_engine::crash::POINTS.iter().try_for_each(|point| output::line(*point)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Returns the file of `ferry plugin-host FILE`, a command that only the engine uses.
fn plugin_host_path() -> Option<OsString> {
    let mut words = std::env::args_os().skip(1);
    (words.next()? == HOST_COMMAND).then(|| words.next()).flatten()
}

/// Threads for what steps processes; a client command is quicker without.
fn runtime(command: &Command) -> Result<Runtime> {
    let steps = matches!(
        command,
        Command::Run(_)
            | Command::Process(process::ProcessCommand::Attach { .. })
            | Command::Daemon(daemon::DaemonCommand::Work(_))
    );
    let mut builder =
        if steps { runtime::Builder::new_multi_thread() } else { runtime::Builder::new_current_thread() };
    builder.enable_all().build().map_err(|error| Failure::new(format!("can't start the runtime: {error}")))
}

async fn dispatch(session: &Session, command: Command) -> Result {
    match command {
        Command::Status => status::run(session).await,
        Command::Run(args) => run::run(session, args).await,
        Command::Submit(args) => submit::run(session, args).await,
        Command::Process(command) => process::run(session, command).await,
        Command::Calcjob(command) => calcjob::run(session, command).await,
        Command::Node(command) => node::run(session, command).await,
        Command::Computer(command) => computer::run(session, command).await,
        Command::Code(command) => code::run(session, command).await,
        Command::Plugin(command) => plugins::run(session, command).await,
        Command::Group(command) => group::run(session, command).await,
        Command::Limit(command) => limit::run(session, command).await,
        Command::Cache(command) => cache::run(session, command).await,
        Command::Daemon(command) => daemon::run(session, command).await,
        Command::Config(command) => config::run(session, command).await,
        Command::Storage(command) => storage::run(session, command).await,
        Command::Completions { shell } => completions::print(shell),
    }
}
