//! What ferry tells about itself: the daemon's log, `--verbose`, and the one line that a crash leaves.

use std::{env, panic};

use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    args::{Cli, Command},
    commands::daemon::DaemonCommand,
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

/// Sends events to stderr: always for a daemon, whose stderr is its log, and for others if asked.
/// `FERRY_LOG` chooses what is told, in the words of `tracing`'s filters.
pub(crate) fn start(cli: &Cli) {
    let daemon =
        matches!(&cli.command, Command::Daemon(DaemonCommand::Start(start)) if start.is_foreground());
    let chosen = env::var("FERRY_LOG").ok().filter(|filter| !filter.is_empty());
    let usual = match (daemon, cli.global.verbose) {
        (true, false) => "info",
        (_, true) => "debug",
        (false, false) if chosen.is_some() => "warn",
        (false, false) => return,
    };
    let filter = chosen.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|error| {
        output::warn(format!("FERRY_LOG is ignored: {error}"));
        EnvFilter::new(usual)
    });
    // A line that can't be written, as on a full disk, is lost: the daemon goes on.
    fmt()
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(!daemon && output::colour())
        .init();
}
