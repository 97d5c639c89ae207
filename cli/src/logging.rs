//! Logging: the daemon's log, `--verbose`, and the one line that a crash leaves.

use std::{env, panic};

use ferry_engine::{
    owner::{log_levels, settings},
    profile::Paths,
};
use tracing_log::AsLog;
use tracing_subscriber::{
    EnvFilter, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::{
    args::{Cli, Command},
    log_file::{Limits, LogFile},
    output,
};

/// Makes a panic one line that asks for a report. What follows a panic is decided where it is caught: the
/// daemon goes on without the task that panicked.
pub(crate) fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("an unknown panic").replace('\n', " ");
        let place =
            panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
        output::note(format!(
            "ferry crashed: {what}{place}; please report this at {}/issues",
            env!("CARGO_PKG_REPOSITORY")
        ));
    }));
}

/// The log of this program. Its level can be changed while it runs.
#[derive(Debug, Default)]
pub(crate) struct Log {
    filter: Option<reload::Handle<EnvFilter, Registry>>,
    file: Option<LogFile>,
    /// Directives that replace the default level.
    base: Option<String>,
}

impl Log {
    /// Takes up the settings of the profile.
    pub(crate) fn apply(&self, set: &[(String, String)]) {
        if let Some(file) = &self.file {
            file.limit(limits(set));
        }
        let Some(handle) = &self.filter else { return };
        let words = log_levels::filter(self.base.as_deref(), set);
        let applied = EnvFilter::try_new(&words).map_err(|error| error.to_string());
        match applied.and_then(|filter| handle.reload(filter).map_err(|error| error.to_string())) {
            Ok(()) => {
                // Libraries that use `log` instead of `tracing` check its own limit first.
                tracing_log::log::set_max_level(LevelFilter::current().as_log());
                tracing::info!("log levels: {words}");
            }
            Err(error) => tracing::warn!("the log levels `{words}` are ignored: {error}"),
        }
    }
}

fn limits(set: &[(String, String)]) -> Limits {
    let megabytes = settings::number(set, "log.max_size");
    Limits { bytes_max: (megabytes * 1e6) as u64, files: settings::number(set, "log.files") as u32 }
}

/// Sends events to stderr: always for a daemon, and for other programs on request. A detached daemon's stderr
/// is the log of the profile. `FERRY_LOG` chooses the events, in the syntax of `tracing`'s filters.
pub(crate) fn start(cli: &Cli, paths: &Paths) -> Log {
    let part = match &cli.command {
        Command::Daemon(command) => command.part(),
        _ => None,
    };
    let base = directives(cli.global.verbose);
    if part.is_none() && base.is_none() {
        return Log::default();
    }
    let words = log_levels::filter(base.as_deref(), &[]);
    let (filter, handle) = reload::Layer::new(EnvFilter::new(words));
    let file = part.filter(|part| part.detached).map(|_| LogFile::new(paths.log(), Limits::NEVER));
    let registry = tracing_subscriber::registry().with(filter);
    // A line that can't be written, as on a full disk, is lost: the daemon goes on.
    let lines = fmt::layer().log_internal_errors(false);
    let started = match &file {
        Some(file) => {
            let file = file.clone();
            registry.with(lines.with_ansi(false).with_writer(move || file.clone())).try_init()
        }
        None => registry.with(lines.with_ansi(output::colour()).with_writer(std::io::stderr)).try_init(),
    };
    if let Err(error) = started {
        output::warn(format!("nothing is logged: {error}"));
    }
    Log { filter: Some(handle), file, base }
}

/// Returns the log directives that the environment or the command line asks for.
fn directives(verbose: bool) -> Option<String> {
    let chosen = env::var("FERRY_LOG").ok().filter(|words| !words.is_empty());
    let good = chosen.filter(|words| match EnvFilter::try_new(words) {
        Ok(_) => true,
        Err(error) => {
            output::warn(format!("FERRY_LOG is ignored: {error}"));
            false
        }
    });
    good.or_else(|| verbose.then(|| "debug".to_owned()))
}
