//! `ferry config`: settings of the profile.

use clap::Subcommand;
use ferry_engine::{
    runner::{
        Answered, Request,
        settings::{self, KNOWN, Known},
    },
    store::Reader,
};
use serde_json::json;

use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
};

/// The words of `ferry config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// List all settings
    List,
    /// Print a setting's value
    Get {
        /// Its key
        key: String,
    },
    /// Change a setting
    Set {
        /// Its key
        key: String,
        /// Its value
        value: String,
    },
    /// Give a setting its default back
    Unset {
        /// Its key
        key: String,
    },
}

/// Runs a command of this group.
///
/// # Errors
/// An unknown key or a wrong value (exit status 2); the store's.
pub(crate) async fn run(session: &Session, command: ConfigCommand) -> Result {
    match command {
        ConfigCommand::List => list(session).await,
        ConfigCommand::Get { key } => get(session, &key).await,
        ConfigCommand::Set { key, value } => set(session, key, Some(value)).await,
        ConfigCommand::Unset { key } => set(session, key, None).await,
    }
}

fn check(key: &str, value: Option<&str>) -> Result {
    settings::check(key, value).map_err(Failure::usage)
}

fn value_of(reader: &Reader, known: &Known) -> Result<(String, bool)> {
    let set = reader.setting(known.key)?;
    Ok((set.clone().unwrap_or_else(|| known.default.to_owned()), set.is_some()))
}

async fn list(session: &Session) -> Result {
    let reader = session.reader().await?;
    let mut rows = Vec::new();
    for known in KNOWN {
        let (value, set) = value_of(&reader, known)?;
        rows.push((known, value, set));
    }
    if session.format == Format::Json {
        let row = |(known, value, set): &(&Known, String, bool)| {
            json!({
                "key": known.key,
                "value": value,
                "default": known.default,
                "set": set,
                "help": known.help,
            })
        };
        return output::json(&rows.iter().map(row).collect());
    }
    let row = |(known, value, set): (&Known, String, bool)| {
        let from = if set { "set" } else { "default" };
        vec![known.key.to_owned(), value, from.to_owned(), known.help.to_owned()]
    };
    output::table(&["key", "value", "from", "meaning"], rows.into_iter().map(row))
}

async fn get(session: &Session, key: &str) -> Result {
    check(key, None)?;
    let reader = session.reader().await?;
    let Some(known) = KNOWN.iter().find(|known| known.key == key) else { return Ok(()) };
    let (value, set) = value_of(&reader, known)?;
    match session.format {
        Format::Json => output::json(&json!({ "key": key, "value": value, "set": set })),
        Format::Table => output::line(value),
    }
}

async fn set(session: &Session, key: String, value: Option<String>) -> Result {
    check(&key, value.as_deref())?;
    let (_, answered) = session.call(Request::Setting { key, value }).await?;
    if answered == Answered::ByOwner {
        output::note("the running daemon takes it up when it starts again: `ferry daemon restart`");
    }
    Ok(())
}
