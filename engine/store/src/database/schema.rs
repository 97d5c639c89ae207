//! The tables, and the migrations of older ones.
//!
//! `PRAGMA user_version` holds the number of migrations that have run. A store with a higher number than this
//! program knows is refused, since a newer ferry created it.

use rusqlite::Connection;

use crate::error::{Error, ErrorKind, Result};

/// The migrations. Each one takes a store from its index to the next number. Never edit one that was released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_v1.sql"),
    include_str!("schema_v2.sql"),
    include_str!("schema_v3.sql"),
    include_str!("schema_v4.sql"),
    include_str!("schema_v5.sql"),
    include_str!("schema_v6.sql"),
    include_str!("schema_v7.sql"),
];

/// The format number that this program writes.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// The value of `PRAGMA application_id`: "FRRY".
const APPLICATION_ID: i64 = 0x4652_5259;

/// Checks that the database is a ferry store, and not of a newer ferry. Returns the version, 0 for an empty file.
pub(crate) fn check(db: &Connection) -> Result<i64> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (version, application) = (pragma("user_version")?, pragma("application_id")?);
    if version > 0 && application != APPLICATION_ID {
        return Err(Error::new(ErrorKind::Corrupt, "open store").message("this is not a ferry store"));
    }
    if version > VERSION {
        return Err(Error::new(ErrorKind::Newer, "open store")
            .message(format!(
                "the store was made by a newer ferry (its format is {version}, this ferry knows up to {VERSION})"
            ))
            .help("use that newer ferry, or point FERRY_HOME at another directory"));
    }
    Ok(version)
}

/// Checks that the database can be read as it is. Fails as [`check`], and also for a store that no owner has
/// migrated.
pub(crate) fn check_for_reading(db: &Connection) -> Result<()> {
    match check(db)? {
        // An owner has just created the file and not filled it yet.
        0 => Err(Error::new(ErrorKind::NotFound, "open store").message("the store is empty")),
        VERSION => Ok(()),
        older => Err(Error::new(ErrorKind::Older, "open store")
            .message(format!("the store has format {older} and was not migrated to format {VERSION} yet"))
            .help(
                "run `ferry status`; if a daemon of an older ferry is running, run `ferry daemon restart`",
            )),
    }
}

/// Migrates the store to [`VERSION`]. Only the owner may call it.
pub(crate) fn migrate(db: &mut Connection) -> Result<()> {
    let from = check(db)?;
    for (number, sql) in (1..).zip(MIGRATIONS).skip(from as usize) {
        let tx = db.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.commit()?;
    }
    Ok(())
}
