//! Computers, as they are configured.

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    database::row::{json, query_all, time, uuid},
    error::{Error, ErrorKind, Result},
    records::ComputerRow,
};
use ferry_engine_core::computer::Computer;

/// Returns all computers, by label.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<ComputerRow>> {
    query_all(db, "SELECT id, uuid, config, created FROM computer ORDER BY label", [], |row| {
        Ok(ComputerRow {
            id: row.get(0)?,
            uuid: uuid(row, 1)?,
            config: json(row, 2)?,
            created: time(row, 3)?,
        })
    })
}

pub(crate) fn id(db: &Connection, label: &str) -> Result<i64> {
    db.prepare_cached("SELECT id FROM computer WHERE label = ?1")?
        .query_row([label], |row| row.get(0))
        .optional()?
        .ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "computer").message(format!("no computer is called `{label}`"))
        })
}

pub(crate) fn write(db: &Connection, config: &Computer, replace: bool, now: i64) -> Result<()> {
    let existing = id(db, &config.label).ok();
    let json = serde_json::to_string(config)
        .map_err(|source| Error::new(ErrorKind::Rule, "store computer").source(source))?;
    match (existing, replace) {
        (Some(_), false) => Err(Error::new(ErrorKind::Exists, "computer setup")
            .message(format!("a computer called `{}` already exists", config.label))
            .help("choose another label, or change it with `ferry computer configure`")),
        (None, true) => Err(Error::new(ErrorKind::NotFound, "computer configure")
            .message(format!("no computer is called `{}`", config.label))),
        (Some(id), true) => {
            db.execute(
                "UPDATE computer SET config = ?2, modified = ?3 WHERE id = ?1",
                params![id, json, now],
            )?;
            Ok(())
        }
        (None, false) => {
            db.execute(
                "INSERT INTO computer (uuid, label, config, created, modified) VALUES (?1, ?2, ?3, ?4, ?4)",
                params![ferry_engine_core::ids::fresh().to_string(), config.label, json, now],
            )?;
            Ok(())
        }
    }
}
