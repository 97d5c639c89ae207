//! The stored state of a computer's host: its breaker, whether it is disabled, and the proof of a test job.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{Error, ErrorKind, Result};
use ferry_engine_core::computer::Computer;

/// A breaker that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerState {
    /// `open` or `half-open`.
    pub state: String,
    /// Time at which it opened.
    pub since: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure.
    pub error: String,
    /// Time of the next probe; `None` if the user must request it.
    pub next_probe: Option<Timestamp>,
    /// True if the user must act.
    pub needs_user: bool,
    /// Processes that wait for it.
    pub waiting: u64,
}

/// The state of a computer that gets no new jobs, by the user's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Time of the decision.
    pub since: Timestamp,
    /// The reason; may be empty.
    pub reason: String,
}

/// The stored state of a computer's host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRow {
    /// Its breaker, unless that is closed.
    pub breaker: Option<BreakerState>,
    /// The decision to disable it, if it is disabled.
    pub disabled: Option<Disabled>,
    /// The settings that a test job was run under.
    pub proof: Option<String>,
    /// Warnings of its scheduler's commands beside their last answer, which is valid all the same.
    pub notice: Option<String>,
}

/// The changes of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostChange {
    /// Its breaker; `None`: closed.
    Breaker(Option<BreakerState>),
    /// The decision to disable it; `None`: enabled.
    Disabled(Option<Disabled>),
    /// The settings that a test job has proved.
    Proof(Option<String>),
    /// Warnings of its scheduler's commands beside their last answer.
    Notice(Option<String>),
}

/// Returns date and time in this machine's time zone.
pub fn clock_words(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

impl HostRow {
    /// Returns the reason why work on this computer waits, if it does. `new`: the computer does not know the work
    /// yet.
    pub fn explain(&self, computer: &str, new: bool) -> Option<String> {
        match (&self.breaker, &self.disabled) {
            (Some(breaker), _) => Some(breaker.explain(computer)),
            (None, Some(disabled)) if new => Some(disabled.explain(computer)),
            _ => None,
        }
    }

    /// Returns the warning of a scheduler that answers, in words.
    pub fn warning(&self, computer: &str) -> Option<String> {
        let notice = self.notice.as_ref()?;
        Some(format!(
            "computer `{computer}`: its scheduler answers with a warning: {notice}; until that is gone, a job that \
             is not listed counts as gone only after it was asked for by its id"
        ))
    }

    /// Returns whether a test job was run under a computer's present settings, and its directory and names were
    /// kept.
    pub fn is_proven(&self, computer: &Computer) -> bool {
        self.proof.as_ref().is_some_and(|proof| *proof == proof_of(computer))
    }
}

/// Returns the settings that a proof holds for.
pub fn proof_of(computer: &Computer) -> String {
    let connection = serde_json::Value::Object(computer.connection.clone());
    let mut settings = vec![
        computer.transport.clone(),
        computer.hostname.clone(),
        computer.scheduler.clone(),
        computer.work_dir.clone(),
        connection.to_string(),
    ];
    if !computer.scheduler_settings.is_empty() {
        settings.push(serde_json::Value::Object(computer.scheduler_settings.clone()).to_string());
    }
    settings.join("\n")
}

impl BreakerState {
    fn explain(&self, computer: &str) -> String {
        let (since, error) = (clock_words(self.since), &self.error);
        let waiting = match self.waiting {
            1 => "1 process waits".to_owned(),
            many => format!("{many} processes wait"),
        };
        match self.next_probe {
            _ if self.needs_user && self.state == "open" => format!(
                "waiting for computer `{computer}`: access refused since {since} ({error}); ferry does not retry \
                 this: fix the cause, then `ferry computer enable {computer}`; {waiting}"
            ),
            Some(next) if self.state == "open" => format!(
                "waiting for computer `{computer}`: unreachable since {since} ({error}), next try {}, {waiting}",
                clock_words(next)
            ),
            _ => format!(
                "waiting for computer `{computer}`: unreachable since {since} ({error}), retrying now, {waiting}"
            ),
        }
    }
}

impl Disabled {
    fn explain(&self, computer: &str) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        format!(
            "computer `{computer}` has been disabled since {}{reason}; `ferry computer enable {computer}` resumes \
             its work",
            clock_words(self.since)
        )
    }
}

/// Returns the state of the hosts of computers, by label.
pub(crate) fn read(db: &Connection) -> rusqlite::Result<BTreeMap<String, HostRow>> {
    db.prepare_cached("SELECT computer, breaker, disabled, proof, notice FROM host")?
        .query_map([], |row| Ok((row.get(0)?, host(row)?)))?
        .collect()
}

fn host(row: &Row<'_>) -> rusqlite::Result<HostRow> {
    Ok(HostRow { breaker: json(row, 1)?, disabled: json(row, 2)?, proof: row.get(3)?, notice: row.get(4)? })
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| {
        serde_json::from_str(&text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
        })
    })
    .transpose()
}

/// Writes one change.
pub(crate) fn write(db: &Connection, computer: &str, change: &HostChange) -> Result<()> {
    let failed = |source| Error::new(ErrorKind::Rule, "store host").source(source);
    let (column, text) = match change {
        HostChange::Breaker(state) => ("breaker", state.as_ref().map(serde_json::to_string).transpose()),
        HostChange::Disabled(state) => ("disabled", state.as_ref().map(serde_json::to_string).transpose()),
        HostChange::Proof(proof) => ("proof", Ok(proof.clone())),
        HostChange::Notice(notice) => ("notice", Ok(notice.clone())),
    };
    db.prepare_cached(&format!(
        "INSERT INTO host (computer, {column}) VALUES (?1, ?2)
         ON CONFLICT (computer) DO UPDATE SET {column} = excluded.{column}"
    ))?
    .execute(params![computer, text.map_err(failed)?])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> HostRow {
        let breaker = BreakerState {
            state: "open".into(),
            since: Timestamp::UNIX_EPOCH,
            failures: 3,
            error: "connection refused".into(),
            next_probe: Some(Timestamp::UNIX_EPOCH),
            needs_user: false,
            waiting: 240,
        };
        HostRow { breaker: Some(breaker), ..HostRow::default() }
    }

    #[test]
    fn a_wait_for_a_host_is_told_in_words() {
        let text = row().explain("daint", false).unwrap();
        for word in ["`daint`", "unreachable since", "connection refused", "next try", "240 processes wait"] {
            assert!(text.contains(word), "{text}");
        }
        let disabled = Disabled { since: Timestamp::UNIX_EPOCH, reason: "maintenance".into() };
        let host = HostRow { disabled: Some(disabled), ..HostRow::default() };
        assert_eq!(host.explain("daint", false), None, "what it knows of goes on");
        assert!(host.explain("daint", true).unwrap().contains("disabled since"));
    }

    #[test]
    fn a_proof_holds_for_the_settings_it_was_made_under() {
        let mut computer = Computer { hostname: "a".into(), ..Computer::default() };
        let host = HostRow { proof: Some(proof_of(&computer)), ..HostRow::default() };
        computer.max_active_jobs = Some(3);
        assert!(host.is_proven(&computer));
        computer.work_dir = "/other".into();
        assert!(!host.is_proven(&computer));
    }
}
