//! A batch is whole or nothing, and is answered after it is there.

use ferry_engine_store::{ErrorKind, LinkType};
use uuid::Uuid;

use super::{
    Run,
    bench::{Bench, Outcome, data, link, log, process},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        new_nodes_are_numbered_in_order,
        a_batch_that_fails_at_its_end_leaves_nothing,
        a_failing_batch_harms_no_other,
        many_at_once_are_all_kept_once,
        what_was_answered_is_seen_by_everybody,
        every_commit_is_announced,
        a_uuid_is_taken_once,
        an_empty_batch_is_fine,
    ]
}

async fn new_nodes_are_numbered_in_order(bench: Bench) -> Outcome {
    let uuids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let made = bench.store.commit(vec![data(uuids[0]), process(uuids[1]), data(uuids[2])]).await?;
    assert_eq!(made.len(), 3);
    assert!(made.is_sorted(), "{made:?}");
    for (id, uuid) in made.into_iter().zip(uuids) {
        assert_eq!(bench.store.node(id)?.uuid, uuid);
    }
    Ok(())
}

async fn a_batch_that_fails_at_its_end_leaves_nothing(bench: Bench) -> Outcome {
    let (new, process) = (Uuid::now_v7(), bench.process().await?.0);
    let nowhere = link(new, Uuid::now_v7(), LinkType::InputCalc, "x");
    bench.refused([data(new), log(process, "kept?"), nowhere], ErrorKind::NotFound).await?;
    let found = bench.store.find_node(&new.to_string());
    assert_eq!(found.map_err(|error| *error.kind()).err(), Some(ErrorKind::NotFound));
    assert_eq!(bench.store.logs(process)?, []);
    Ok(())
}

async fn a_failing_batch_harms_no_other(bench: Bench) -> Outcome {
    let commits = (0..60).map(|number| {
        let (store, uuid) = (bench.store.clone(), Uuid::now_v7());
        tokio::spawn(async move {
            let mut changes = vec![data(uuid)];
            if number % 3 == 0 {
                changes.push(link(uuid, Uuid::now_v7(), LinkType::Create, "x"));
            }
            (number, uuid, store.commit(changes).await.is_ok())
        })
    });
    for commit in commits.collect::<Vec<_>>() {
        let (number, uuid, taken) = commit.await?;
        assert_eq!(taken, number % 3 != 0, "batch {number}");
        assert_eq!(bench.store.find_node(&uuid.to_string()).is_ok(), taken, "batch {number}");
    }
    Ok(())
}

async fn many_at_once_are_all_kept_once(bench: Bench) -> Outcome {
    let (process, _) = bench.process().await?;
    let commits = (0..300).map(|number| {
        let store = bench.store.clone();
        tokio::spawn(async move { store.commit(vec![log(process, &number.to_string())]).await })
    });
    for commit in commits.collect::<Vec<_>>() {
        commit.await??;
    }
    let mut lines: Vec<u32> =
        bench.store.logs(process)?.iter().filter_map(|line| line.message.parse().ok()).collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..300).collect::<Vec<_>>());
    Ok(())
}

async fn what_was_answered_is_seen_by_everybody(bench: Bench) -> Outcome {
    for _ in 0..50 {
        let (id, uuid) = bench.data().await?;
        assert_eq!(bench.reader.node(id)?.uuid, uuid);
        assert_eq!(bench.store.node(id)?.uuid, uuid);
    }
    Ok(())
}

async fn every_commit_is_announced(bench: Bench) -> Outcome {
    let mut commits = bench.store.commits();
    commits.mark_unchanged();
    assert!(!commits.has_changed()?);
    bench.data().await?;
    assert!(commits.has_changed()?, "those who wait for a row sleep on");
    Ok(())
}

async fn a_uuid_is_taken_once(bench: Bench) -> Outcome {
    let (id, uuid) = bench.data().await?;
    bench.refused([data(uuid)], ErrorKind::Rule).await?;
    assert_eq!(bench.store.find_node(&uuid.to_string())?.id, id);
    Ok(())
}

async fn an_empty_batch_is_fine(bench: Bench) -> Outcome {
    bench.commit([]).await
}
