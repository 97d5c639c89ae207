//! `ferry computer`: where jobs run.

mod host;
pub(super) mod keys;
mod known;
mod login;
mod setup;
mod test;

use clap::Subcommand;
use ferry_engine::store::{ComputerRow, HostRow};
use serde_json::{Value, json};

use self::keys::{ConfigureKeys, SetupKeys};
pub(crate) use self::{host::to_json as host_json, known::Known};
use super::shares::Shares;
use crate::{
    config_file::Flags,
    error::Result,
    output::{self, Format},
    session::Session,
};

/// The words of `ferry computer`.
#[derive(Debug, Subcommand)]
pub(crate) enum ComputerCommand {
    /// Set up a computer, from a file, flags or answers
    Setup(Flags<SetupKeys>),
    /// Change settings of a computer: its connection, its limits, or any other but label and transport
    Configure {
        /// The computer; the name of its transport may stand before it
        #[arg(required = true, num_args = 1..=2, value_name = "[TRANSPORT] LABEL")]
        names: Vec<String>,
        /// Set a key back to its default
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        #[command(flatten)]
        flags: Flags<ConfigureKeys>,
    },
    /// List the computers
    List,
    /// Show all settings of a computer
    Show {
        /// The computer
        label: String,
    },
    /// Give a computer no new jobs. Jobs that it has already are still watched and brought home
    Disable {
        /// The computer
        label: String,
        /// Why, for those who ask why their processes wait
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Give a computer jobs again; one that refused, or could not be reached, is tried at once
    Enable {
        /// The computer
        label: String,
    },
    /// Log in to a computer that asks a person: its questions are asked here, and the daemon keeps the connection
    Login {
        /// The computer
        label: String,
    },
    /// Test a computer step by step, and say what to do about each failure
    Test {
        /// The computer
        label: String,
        /// Run a small job too
        #[arg(long)]
        job: bool,
        /// How long the job may take, queue included, s
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        timeout: u64,
    },
}

/// Adds to the help of `computer setup` and `computer configure` what this program's own transports and schedulers
/// read.
pub(crate) fn with_settings(command: clap::Command, known: &Known) -> clap::Command {
    let Some(text) = known.only_in_files() else { return command };
    let add = |command: clap::Command| command.after_help(text.clone());
    command.mut_subcommand("setup", add).mut_subcommand("configure", add)
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: ComputerCommand) -> Result {
    match command {
        ComputerCommand::Setup(flags) => setup::setup(session, &flags).await,
        ComputerCommand::Configure { names, unset, flags } => {
            setup::configure(session, &names, &unset, &flags).await
        }
        ComputerCommand::List => list(session).await,
        ComputerCommand::Show { label } => show(session, &label).await,
        ComputerCommand::Disable { label, reason } => host::disable(session, label, reason).await,
        ComputerCommand::Enable { label } => host::enable(session, label).await,
        ComputerCommand::Login { label } => login::login(session, label).await,
        ComputerCommand::Test { label, job, timeout } => {
            let job = job.then(|| std::time::Duration::from_secs(timeout));
            test::run(session, &label, job).await
        }
    }
}

async fn list(session: &Session) -> Result {
    let reader = session.reader().await?;
    let (computers, hosts) = (reader.computers()?, reader.hosts()?);
    let host = |computer: &ComputerRow| hosts.get(&computer.config.label).cloned().unwrap_or_default();
    if session.format == Format::Json {
        let all = computers.iter().map(|computer| to_json(computer, &host(computer)));
        return output::json(&all.collect());
    }
    let row = |computer: &ComputerRow| {
        let config = &computer.config;
        let fields =
            [&config.label, &config.hostname, &config.transport, &config.scheduler, &config.work_dir];
        fields.map(Clone::clone).into_iter().chain([host::word(&host(computer))]).collect()
    };
    output::table(
        &["label", "hostname", "transport", "scheduler", "work_dir", "state"],
        computers.iter().map(row),
    )
}

async fn show(session: &Session, label: &str) -> Result {
    let reader = session.reader().await?;
    let host = reader.host(label)?;
    let mut computer = to_json(&reader.computer(label)?, &host);
    let shares = Shares::read(&reader, label)?;
    computer["in_use"] = shares.json();
    if session.format == Format::Json {
        return output::json(&computer);
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        // Empty lists are left out.
        Value::Object(lists) if lists.values().all(|list| list.as_array().is_some_and(Vec::is_empty)) => {
            String::new()
        }
        _ => value.to_string(),
    };
    let said = |name: &'static str| {
        let text = text(computer.get(name).filter(|value| !value.is_null())?);
        (!text.is_empty()).then_some((name, text))
    };
    // Keys of a third party's transport or scheduler follow those that have a fixed order.
    let ordered: Vec<&str> = ["id", "uuid", "created"].into_iter().chain(keys::names()).collect();
    let others = computer.as_object().into_iter().flatten();
    let others = others.filter(|(name, value)| {
        !["host", "in_use"].contains(&name.as_str()) && !value.is_null() && !ordered.contains(&name.as_str())
    });
    let others = others.map(|(name, value)| (name.as_str(), text(value)));
    let in_use = shares.words().map(|words| ("in use", words));
    let state = [("state", host::words(label, &host))];
    output::details(ordered.iter().filter_map(|name| said(name)).chain(others).chain(in_use).chain(state))
}

/// Returns all settings under the names that files use, those of transport and scheduler among them.
fn to_json(computer: &ComputerRow, host: &HostRow) -> Value {
    let mut fields = json!({
        "id": computer.id,
        "uuid": computer.uuid.to_string(),
        "created": computer.created.to_string(),
    });
    let settings = serde_json::to_value(&computer.config).unwrap_or_default();
    let (Some(fields_map), Value::Object(mut settings)) = (fields.as_object_mut(), settings) else {
        return fields;
    };
    let others = ["connection", "scheduler_settings"].map(|of| settings.remove(of));
    fields_map.extend(settings);
    for of in others.into_iter().flatten() {
        if let Value::Object(of) = of {
            fields_map.extend(of);
        }
    }
    fields_map.insert("host".into(), host::to_json(host));
    fields
}
