//! Connections to one database file: for reading as many as are used at once, or the writer's own.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{
    database::schema,
    error::{Error, ErrorKind, Result},
};

/// Time that a connection waits for another program's lock, ms.
const BUSY_MS: u32 = 5000;
/// Prepared statements kept by each connection.
const STATEMENTS: usize = 64;
/// Idle reading connections kept.
const IDLE_MAX: usize = 4;

/// A connection that reader and writer use in turn.
pub(crate) type Shared = Arc<Mutex<Connection>>;

/// The connections for queries.
#[derive(Debug)]
pub(crate) enum Connections {
    /// Read-only connections, opened as needed.
    Pool {
        /// The database.
        path: PathBuf,
        /// Connections that are not in use.
        idle: Mutex<Vec<Connection>>,
    },
    /// The writer's connection.
    #[cfg(feature = "testing")]
    Shared(Shared),
}

impl Connections {
    /// Opens a first connection.
    pub(crate) fn open(path: &Path) -> Result<Connections> {
        let first = for_reading(path)?;
        Ok(Connections::Pool { path: path.to_owned(), idle: Mutex::new(vec![first]) })
    }

    /// Returns the database's file; `None` for a database in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Connections::Pool { path, .. } => Some(path),
            #[cfg(feature = "testing")]
            Connections::Shared(_) => None,
        }
    }

    /// Runs a query. A connection on which a query failed is not used again.
    pub(crate) fn with<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        match self {
            #[cfg(feature = "testing")]
            Connections::Shared(shared) => Ok(query(&lock(shared))?),
            Connections::Pool { path, idle } => {
                let waiting = lock(idle).pop();
                let connection = waiting.map_or_else(|| for_reading(path), Ok)?;
                let answer = query(&connection)?;
                let mut idle = lock(idle);
                if idle.len() < IDLE_MAX {
                    idle.push(connection);
                }
                Ok(answer)
            }
        }
    }
}

/// Locks a mutex. A panic elsewhere leaves a connection usable, since SQLite rolls back an open transaction.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a read-only connection.
///
/// SQLite keeps an index of its log beside the database, and can't read if it can't create that index. On a
/// read-only disk, a store without a log is complete and does not change. So it is opened as immutable.
pub(crate) fn for_reading(path: &Path) -> Result<Connection> {
    if !path.exists() {
        return Err(Error::new(ErrorKind::NotFound, "open store").with("path", path.display()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match prepare_for_reading(Connection::open_with_flags(path, flags)) {
        Err(error)
            if *error.kind() == ErrorKind::ReadOnly && is_on_read_only_disk(path) && !has_log(path) =>
        {
            let bytes = path.as_os_str().as_bytes().iter();
            let uri: String = bytes.map(|byte| format!("%{byte:02x}")).collect();
            let uri = format!("file:{uri}?immutable=1");
            let as_it_lies = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI);
            prepare_for_reading(as_it_lies).map_err(|_| error)
        }
        prepared => prepared,
    }
}

/// Returns whether the file system is mounted read-only. A directory that this user can't write does not suffice,
/// since an owner may write there at any time.
fn is_on_read_only_disk(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).exists()
}

fn prepare_for_reading(db: rusqlite::Result<Connection>) -> Result<Connection> {
    let db = db?;
    db.pragma_update(None, "busy_timeout", BUSY_MS)?;
    schema::check_for_reading(&db)?;
    keep_statements(&db, STATEMENTS)?;
    Ok(db)
}

/// Opens the owner's connection, which syncs each commit.
pub(crate) fn for_writing(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    schema::check(&db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    prepare_for_writing(&db)?;
    Ok(db)
}

/// Opens a database in memory, which ends with its connection.
#[cfg(feature = "testing")]
pub(crate) fn in_memory() -> Result<Connection> {
    let db = Connection::open_in_memory()?;
    prepare_for_writing(&db)?;
    // The readers use it too.
    keep_statements(&db, 4 * STATEMENTS)?;
    Ok(db)
}

fn prepare_for_writing(db: &Connection) -> Result<()> {
    // The CHECK constraints allow exactly the words of the types that write them, and `store check` verifies them.
    // With lists of constants, each would cost a temporary table in each change of a row.
    db.pragma_update(None, "ignore_check_constraints", true)?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "busy_timeout", BUSY_MS)?;
    keep_statements(db, STATEMENTS)
}

/// Keeps statements prepared, with their plan. Without the query planner stability guarantee, SQLite would look at
/// the bound values, and prepare many statements again for each (<https://www.sqlite.org/queryplanner-ng.html>).
fn keep_statements(db: &Connection, most: usize) -> Result<()> {
    db.set_prepared_statement_cache_capacity(most);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}
