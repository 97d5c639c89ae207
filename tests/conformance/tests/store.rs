//! The store suite on the embedded store, as an owner opens it and as simulations do; and the wrapper that fails on
//! purpose.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use ferry_conformance::{
    libtest_mimic::{Arguments, Failed, Trial, run},
    store::{self, Fixture, Outcome},
};
use ferry_engine::store::{
    Change, ErrorKind, Objects, Reader, SqliteStore, Store,
    testing::{Fault, Faulty},
};
use tokio::time::timeout;

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
    trials.push(Trial::test(
        "store/faulty/a_planned_failure_is_one_commit_s",
        a_planned_failure_is_one_commit_s,
    ));
    trials.push(Trial::test(
        "store/faulty/a_death_is_before_or_after_a_commit",
        a_death_is_before_or_after_a_commit,
    ));
    run(&Arguments::from_args(), trials).exit_code()
}

fn inline(dir: &Path) -> Result<Arc<dyn Store>, Failed> {
    Ok(Arc::new(SqliteStore::inline(Objects::new(dir))?))
}

fn set(value: &str) -> Vec<Change> {
    vec![Change::Setting { key: "key".into(), value: Some(value.into()) }]
}

#[tokio::main]
async fn a_planned_failure_is_one_commit_s() -> Outcome {
    let dir = tempfile::tempdir()?;
    let store = Faulty::failing(inline(dir.path())?, 2, ErrorKind::Full);
    store.commit(set("1")).await?;
    let error = store.commit(set("2")).await.expect_err("the second fails");
    assert_eq!((*error.kind(), store.reader().setting("key")?), (ErrorKind::Full, Some("1".into())));
    store.commit(set("3")).await?;
    assert_eq!((store.tried(), store.reader().setting("key")?), (3, Some("3".into())));
    Ok(())
}

#[tokio::main]
async fn a_death_is_before_or_after_a_commit() -> Outcome {
    for (fault, kept) in [(Fault::DieBefore, None), (Fault::DieAfter, Some("1".to_owned()))] {
        let dir = tempfile::tempdir()?;
        let inner = inline(dir.path())?;
        let store = Faulty::new(inner.clone(), move |_, _| fault);
        let answer = timeout(Duration::from_millis(50), store.commit(set("1"))).await;
        assert!(answer.is_err(), "a caller heard of it: {answer:?}");
        assert_eq!(inner.setting("key")?, kept, "{fault:?}");
    }
    Ok(())
}

fn open(home: &Path) -> Result<SqliteStore, Failed> {
    Ok(SqliteStore::open(&home.join("store.db"), Objects::new(home.join("objects")))?)
}
