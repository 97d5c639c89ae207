//! The store suite on the embedded store, as an owner opens it and as simulations do.

use std::{path::Path, process::ExitCode, sync::Arc};

use ferry_conformance::{
    libtest_mimic::{Arguments, Failed, run},
    store::{self, Fixture},
};
use ferry_engine::store::{Objects, Reader, SqliteStore, Store};

fn main() -> ExitCode {
    let mut trials = store::suite("sqlite", || async {
        let dir = tempfile::tempdir()?;
        let home = dir.path().to_owned();
        let store = Arc::new(open(&home)?);
        let reader = Reader::open(&home.join("store.db"), Objects::new(home.join("objects")))?;
        let reopen: store::Reopen = Box::new(move || {
            let again = open(&home);
            Box::pin(async { again.map(|store| Arc::new(store) as Arc<dyn Store>) })
        });
        Ok(Fixture { store, reader, reopen: Some(reopen), guard: dir })
    });
    trials.extend(store::suite("sqlite-inline", || async {
        let dir = tempfile::tempdir()?;
        let store = SqliteStore::inline(Objects::new(dir.path()))?;
        let reader = store.reader().clone();
        Ok(Fixture { store: Arc::new(store), reader, reopen: None, guard: dir })
    }));
    run(&Arguments::from_args(), trials).exit_code()
}

fn open(home: &Path) -> Result<SqliteStore, Failed> {
    Ok(SqliteStore::open(&home.join("store.db"), Objects::new(home.join("objects")))?)
}
