//! `ferry config`: settings of the profile.

use clap::Subcommand;
use ferry_engine::{
    owner::{
        log_levels,
        settings::{self, KNOWN},
    },
    rpc::{Answered, Request},
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
/// Fails at an unknown key or a wrong value (exit status 2). Returns the store's errors.
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

/// A setting and its present value.
struct Setting {
    key: String,
    /// Its default; none where only a user's setting makes it one.
    default: Option<&'static str>,
    set: Option<String>,
    help: &'static str,
}

impl Setting {
    fn value(&self) -> &str {
        self.set.as_deref().or(self.default).unwrap_or_default()
    }
}

/// Returns all settings: the known ones, and log levels of further targets.
fn settings(reader: &Reader) -> Result<Vec<Setting>> {
    let stored = reader.settings()?;
    let of = |key: &str| stored.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
    let known = KNOWN.iter().map(|known| Setting {
        key: known.key.to_owned(),
        default: Some(known.default),
        set: of(known.key),
        help: known.help,
    });
    let is_known = |key: &String| KNOWN.iter().any(|known| known.key == key);
    let levels = stored.iter().filter(|(key, _)| log_levels::target(key).is_some() && !is_known(key));
    let levels = levels.map(|(key, value)| Setting {
        key: key.clone(),
        default: None,
        set: Some(value.clone()),
        help: "what the daemon's log tells of this target; at once",
    });
    Ok(known.chain(levels).collect())
}

async fn list(session: &Session) -> Result {
    let reader = session.reader().await?;
    let all = settings(&reader)?;
    if session.format == Format::Json {
        let row = |setting: &Setting| {
            json!({
                "key": setting.key,
                "value": setting.value(),
                "default": setting.default,
                "set": setting.set.is_some(),
                "help": setting.help,
            })
        };
        return output::json(&all.iter().map(row).collect());
    }
    let row = |setting: &Setting| {
        let from = if setting.set.is_some() { "set" } else { "default" };
        vec![setting.key.clone(), setting.value().to_owned(), from.to_owned(), setting.help.to_owned()]
    };
    output::table(&["key", "value", "from", "meaning"], all.iter().map(row))
}

async fn get(session: &Session, key: &str) -> Result {
    check(key, None)?;
    let reader = session.reader().await?;
    let all = settings(&reader)?;
    let Some(setting) = all.iter().find(|setting| setting.key == key) else {
        return Err(Failure::new(format!("`{key}` is not set, so `{}` holds", log_levels::KEY)));
    };
    match session.format {
        Format::Json => {
            output::json(&json!({ "key": key, "value": setting.value(), "set": setting.set.is_some() }))
        }
        Format::Table => output::line(setting.value()),
    }
}

async fn set(session: &Session, key: String, value: Option<String>) -> Result {
    check(&key, value.as_deref())?;
    let live = settings::is_live(&key);
    let (_, answered) = session.call(Request::Setting { key, value }).await?;
    if answered == Answered::ByOwner && !live {
        output::note("the running daemon takes it up when it starts again: `ferry daemon restart`");
    }
    Ok(())
}
