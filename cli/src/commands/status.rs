//! `ferry status`: the profile at a glance.

use ferry_engine::{VERSION, process::State, store::Reader};
use serde_json::{Map, Value, json};

use super::daemon::owner::{self, Owner};
use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
};

/// Shows how the profile is.
///
/// # Errors
/// Fails if the store can't be opened.
pub(crate) async fn run(session: &Session) -> Result {
    let reader = session.reader().await?;
    let owner = owner::look(session.paths()).await;
    match session.format {
        Format::Json => output::json(&as_json(session, &reader, &owner)?),
        Format::Table => show(session, &reader, &owner),
    }?;
    if let Owner::Answers(status) = &owner {
        owner::warn(status);
    }
    troubles(&reader)
}

fn counts(reader: &Reader) -> Result<Vec<(State, u64)>> {
    let counted = reader.count_processes()?;
    let count = |state| counted.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
    Ok(State::ALL.into_iter().map(|state| (state, count(state))).collect())
}

fn plugins(reader: &Reader) -> Result<usize> {
    Ok(reader.plugins()?.iter().filter(|plugin| plugin.active).count())
}

/// Computers in trouble, disabled, or with complaints.
fn hosts(reader: &Reader) -> Result<Vec<(String, Value)>> {
    let hosts = reader.hosts()?.into_iter();
    let troubled =
        hosts.filter(|(_, host)| host.breaker.is_some() || host.disabled.is_some() || host.notice.is_some());
    Ok(troubled.map(|(label, host)| (label, super::computer::host_json(&host))).collect())
}

fn troubles(reader: &Reader) -> Result {
    // A damaged store, which is reported elsewhere, may still have the rest.
    if let Some(text) = reader.count_paused().ok().and_then(paused) {
        output::warn(text);
    }
    for (label, host) in reader.hosts()? {
        if let Some(text) = host.explain(&label, true) {
            output::warn(text);
        }
        if let Some(text) = host.warning(&label) {
            output::warn(text);
        }
    }
    Ok(())
}

fn paused(count: u64) -> Option<String> {
    let who = match count {
        0 => return None,
        1 => "1 process is paused and waits for you".to_owned(),
        many => format!("{many} processes are paused and wait for you"),
    };
    Some(format!(
        "{who}: `ferry process list --paused` tells why, `ferry process play ID` lets one go on, `ferry process kill ID` \
         ends it"
    ))
}

fn as_json(session: &Session, reader: &Reader, owner: &Owner) -> Result<Value> {
    let states: Map<String, Value> =
        counts(reader)?.into_iter().map(|(state, count)| (state.as_str().to_owned(), count.into())).collect();
    Ok(json!({
        "version": VERSION,
        "profile": session.paths().profile,
        "home": session.paths().home,
        "store": session.paths().store(),
        "processes": states,
        "paused": reader.count_paused().ok(),
        "daemon": owner::as_json(session.paths(), owner),
        "computers": reader.computers()?.len(),
        "plugins": plugins(reader)?,
        "hosts": hosts(reader)?.into_iter().collect::<Map<String, Value>>(),
    }))
}

fn show(session: &Session, reader: &Reader, owner: &Owner) -> Result {
    let counts = counts(reader)?;
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let parts: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {}", state.as_str()))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    output::details([
        ("ferry", VERSION.to_owned()),
        ("profile", session.paths().profile.clone()),
        ("home", session.paths().home.display().to_string()),
        ("store", session.paths().store().display().to_string()),
        ("processes", format!("{total}{parts}")),
        ("daemon", owner::line(session.paths(), owner)),
        ("computers", reader.computers()?.len().to_string()),
        ("plugins", plugins(reader)?.to_string()),
    ])
}
