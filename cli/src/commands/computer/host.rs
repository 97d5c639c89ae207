//! `computer disable` and `enable`, and how a computer's host is shown.

use ferry_engine::{
    rpc::{Answered, HostAction, Request},
    store::HostRow,
};
use serde_json::{Value, json};

use crate::{error::Result, output, session::Session, view};

/// Gives a computer no new jobs.
///
/// # Errors
/// Fails if there is no such computer.
pub(super) async fn disable(session: &Session, label: String, reason: String) -> Result {
    let action = HostAction::Disable { reason };
    session.call(Request::Host { computer: label.clone(), action }).await?;
    output::note(format!(
        "computer `{label}` gets no new jobs; those it has are still watched and brought home, and \
         `ferry computer enable {label}` lets the others go on"
    ));
    Ok(())
}

/// Gives it jobs again.
///
/// # Errors
/// Fails if there is no such computer.
pub(super) async fn enable(session: &Session, label: String) -> Result {
    let action = HostAction::Enable;
    let (_, answered) = session.call(Request::Host { computer: label.clone(), action }).await?;
    let when = match answered {
        Answered::Alone => "when a daemon runs (`ferry daemon start`)",
        _ => "now",
    };
    output::note(format!("computer `{label}` is enabled; what waited for it goes on {when}"));
    Ok(())
}

/// Describes the state in a word or two.
pub(super) fn word(host: &HostRow) -> String {
    let breaker = host.breaker.as_ref().map(|breaker| match breaker.needs_user {
        true if breaker.error.contains("needs login") => "needs login",
        true => "refuses",
        false => "unreachable",
    });
    let disabled = host.disabled.as_ref().map(|_| "disabled");
    let words: Vec<_> = disabled.into_iter().chain(breaker).collect();
    if words.is_empty() { "well".to_owned() } else { words.join(", ") }
}

/// Describes the state in words.
pub(super) fn words(label: &str, host: &HostRow) -> String {
    let alone = HostRow { breaker: None, ..host.clone() };
    let breaker = HostRow { disabled: None, ..host.clone() };
    let words: Vec<String> = [alone, breaker].iter().filter_map(|host| host.explain(label, true)).collect();
    let words: Vec<String> = words.into_iter().chain(host.warning(label)).collect();
    if words.is_empty() { "well".to_owned() } else { words.join("; ") }
}

/// Returns the state for scripts.
pub(crate) fn to_json(host: &HostRow) -> Value {
    let breaker = host.breaker.as_ref();
    json!({
        "breaker": breaker.map_or("closed", |breaker| breaker.state.as_str()),
        "since": breaker.map(|breaker| view::time(breaker.since)),
        "failures": breaker.map_or(0, |breaker| breaker.failures),
        "error": breaker.map(|breaker| breaker.error.clone()),
        "next_probe": breaker.and_then(|breaker| breaker.next_probe).map(view::time),
        "needs_user": breaker.is_some_and(|breaker| breaker.needs_user),
        "waiting": breaker.map_or(0, |breaker| breaker.waiting),
        "disabled": host.disabled.is_some(),
        "disabled_since": host.disabled.as_ref().map(|disabled| view::time(disabled.since)),
        "disabled_reason": host.disabled.as_ref().map(|disabled| disabled.reason.clone()),
        "job_tested": host.proof.is_some(),
        "notice": host.notice.clone(),
    })
}
