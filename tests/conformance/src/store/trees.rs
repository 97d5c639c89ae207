//! Call trees: a call is made once, an end is noticed, and commands go all the way down.

use ferry_engine_core::process::State;
use ferry_engine_store::{Change, ErrorKind, NodeId, Process};
use ferry_plugin_proto::Kind;
use uuid::Uuid;

use super::{
    Run,
    bench::{Bench, Outcome, called, update},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        children_know_their_caller_and_root,
        a_call_is_made_once,
        the_end_of_a_child_wakes_its_caller,
        a_tree_is_killed_and_paused_to_its_leaves,
        a_child_of_a_killed_caller_is_to_be_killed,
    ]
}

async fn top(bench: &Bench) -> Outcome<NodeId> {
    let top = bench.one(called(Uuid::now_v7(), Kind::WorkChain, None)).await?;
    bench.bring(top, &[State::Running]).await?;
    Ok(top)
}

async fn child(bench: &Bench, caller: NodeId, call: &str) -> Outcome<NodeId> {
    bench.one(called(Uuid::now_v7(), Kind::WorkChain, Some((caller, call)))).await
}

async fn children_know_their_caller_and_root(bench: Bench) -> Outcome {
    let top = top(&bench).await?;
    let middle = child(&bench, top, "0.0").await?;
    let leaf = child(&bench, middle, "0.0").await?;
    let row = bench.reader.process(leaf)?;
    assert_eq!((row.caller, row.call.as_deref(), row.root), (Some(middle), Some("0.0"), top));
    let seen: Vec<_> = bench.reader.children(top)?.into_iter().map(|child| (child.id, child.call)).collect();
    assert_eq!(seen, [(middle, "0.0".to_owned())]);
    Ok(())
}

async fn a_call_is_made_once(bench: Bench) -> Outcome {
    let top = top(&bench).await?;
    child(&bench, top, "1.0").await?;
    child(&bench, top, "1.1").await?;
    let again = called(Uuid::now_v7(), Kind::CalcJob, Some((top, "1.0")));
    bench.refused([again], ErrorKind::Exists).await?;
    assert_eq!(bench.store.children(top)?.len(), 2);
    Ok(())
}

async fn the_end_of_a_child_wakes_its_caller(bench: Bench) -> Outcome {
    let top = top(&bench).await?;
    let child = child(&bench, top, "0.0").await?;
    let waiting = bench.bring(top, &[State::Waiting]).await?;
    let at_rest = || -> Outcome<bool> {
        let live = bench.store.live_processes()?;
        live.iter()
            .find(|live| live.id == top)
            .map(|live| live.at_rest)
            .ok_or_else(|| "the top is gone".into())
    };
    assert!(at_rest()?);
    bench.bring(child, &[State::Running, State::Finished]).await?;
    assert!(!at_rest()?, "nobody would step the caller");
    let woken = |row: &Process| row.flow().map(|flow| flow.woken);
    assert_eq!(woken(&bench.store.process(top)?), woken(&waiting).map(|woken| woken + 1));
    assert_eq!(bench.store.children(top)?[0].exit_status, Some(0));
    let mut noticed = bench.store.process(top)?;
    noticed.status = Some("saw it".into());
    bench.commit([update(noticed)]).await?;
    assert!(at_rest()?, "it would be stepped for ever");
    Ok(())
}

async fn a_tree_is_killed_and_paused_to_its_leaves(bench: Bench) -> Outcome {
    let top = top(&bench).await?;
    let middle = child(&bench, top, "0.0").await?;
    let leaf = child(&bench, middle, "0.0").await?;
    let (beside, _) = bench.process().await?;
    // Its end does not protect its descendants.
    bench.bring(middle, &[State::Running, State::Excepted]).await?;
    bench.commit([Change::Pause { process: top, paused: true }]).await?;
    bench.commit([Change::RequestKill { process: top, force: false }]).await?;
    let row = bench.store.process(leaf)?;
    assert!(row.wishes.paused && row.wishes.kill);
    let row = bench.store.process(beside)?;
    assert!(!row.wishes.paused && !row.wishes.kill, "somebody else's process was steered");
    assert_eq!(bench.store.live_tree(top)?, [top, leaf]);
    Ok(())
}

async fn a_child_of_a_killed_caller_is_to_be_killed(bench: Bench) -> Outcome {
    let top = top(&bench).await?;
    bench.commit([Change::RequestKill { process: top, force: false }]).await?;
    let late = child(&bench, top, "0.0").await?;
    assert!(bench.store.process(late)?.wishes.kill, "it would outlive its caller");
    Ok(())
}
