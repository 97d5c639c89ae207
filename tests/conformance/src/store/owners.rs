//! One owner after the other.

use std::sync::Arc;

use ferry_engine_core::process::State;
use ferry_engine_store::{ErrorKind, Store};
use ferry_plugin_proto::Kind;
use libtest_mimic::Completion;

use super::{
    Run,
    bench::{Bench, Outcome, data, log, ticket},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        the_next_owner_finds_everything,
        an_owner_that_was_followed_writes_no_more,
        nobody_of_a_fenced_group_is_acknowledged,
    ]
}

/// Returns the store's next owner; `None` if it ends with its first.
async fn next(bench: &Bench) -> Outcome<Option<Arc<dyn Store>>> {
    match &bench.reopen {
        Some(reopen) => reopen().await.map(Some),
        None => Ok(None),
    }
}

fn ends_with_its_owner() -> Completion {
    Completion::ignored_with("this store ends with its owner")
}

async fn the_next_owner_finds_everything(bench: Bench) -> Outcome<Completion> {
    let (_, input) = bench.data().await?;
    let (process, _) = bench.started(Kind::CalcJob, &[(input, "x")]).await?;
    bench.commit([log(process, "a line")]).await?;
    bench.commit([ticket(process, "token", None, None)]).await?;
    bench.bring(process, &[State::Running, State::Waiting]).await?;
    let before = bench.store.process(process)?;
    let Some(store) = next(&bench).await? else { return Ok(ends_with_its_owner()) };
    assert_eq!(store.process(process)?, before);
    assert_eq!(store.incoming(process)?, bench.reader.incoming(process)?);
    assert_eq!(store.logs(process)?[0].message, "a line");
    assert_eq!(store.tickets("there")?[0].token, "token");
    Ok(Completion::Completed)
}

async fn an_owner_that_was_followed_writes_no_more(bench: Bench) -> Outcome<Completion> {
    let (process, _) = bench.process().await?;
    let Some(store) = next(&bench).await? else { return Ok(ends_with_its_owner()) };
    bench.refused([log(process, "too late")], ErrorKind::Fenced).await?;
    store.commit(vec![log(process, "in time")]).await?;
    bench.refused([log(process, "still too late")], ErrorKind::Fenced).await?;
    let lines: Vec<_> = store.logs(process)?.into_iter().map(|line| line.message).collect();
    assert_eq!(lines, ["in time"]);
    Ok(Completion::Completed)
}

async fn nobody_of_a_fenced_group_is_acknowledged(bench: Bench) -> Outcome<Completion> {
    let (process, _) = bench.process().await?;
    let Some(store) = next(&bench).await? else { return Ok(ends_with_its_owner()) };
    let commits = (0..20).map(|_| {
        let late = bench.store.clone();
        tokio::spawn(async move { late.commit(vec![data(uuid::Uuid::now_v7()), log(process, "late")]).await })
    });
    for commit in commits.collect::<Vec<_>>() {
        assert_eq!(commit.await?.map_err(|error| *error.kind()), Err(ErrorKind::Fenced));
    }
    assert_eq!(store.logs(process)?, []);
    Ok(Completion::Completed)
}
