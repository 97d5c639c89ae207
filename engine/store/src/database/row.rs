//! The reading of columns: what SQLite's values are in ferry's types.

use ferry_engine_core::process::State;
use ferry_plugin_proto::Kind;
use jiff::Timestamp;
use rusqlite::{Connection, Row};
use uuid::Uuid;

pub(crate) fn query_all<T, P: rusqlite::Params>(
    db: &Connection,
    sql: &str,
    params: P,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(params, read)?.collect()
}

pub(crate) fn unreadable(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

pub(crate) fn optional_json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let is_null = matches!(row.get_ref(column)?, rusqlite::types::ValueRef::Null);
    if is_null { Ok(None) } else { json(row, column).map(Some) }
}

pub(crate) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error: uuid::Error| unreadable(column, error))
}

pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

pub(crate) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    micros.map(|_| time(row, column)).transpose()
}

pub(crate) fn parse_state(word: &str) -> State {
    State::read(word).unwrap_or(State::Excepted)
}

pub(crate) fn parse_kind(word: &str) -> Kind {
    [Kind::CalcFunction, Kind::CalcJob, Kind::WorkFunction, Kind::WorkChain]
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .unwrap_or(Kind::Unknown)
}
