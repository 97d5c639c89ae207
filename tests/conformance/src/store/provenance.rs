//! Cases about users' changes to the graph: names, comments, groups, lists, and deletion by AiiDA's rules.

use ferry_engine_core::process::State;
use ferry_engine_store::{
    Change, CommentChange, Deletion, ErrorKind, Follow, GroupChange, LinkType as L, NodeFilter, NodeId,
    NodeKind, ProcessFilter, Stage,
};
use ferry_plugin_proto::Kind::{self, CalcJob, WorkChain};
use uuid::Uuid;

use super::{
    Run,
    bench::{Bench, Outcome, file, link, log},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        only_names_of_a_node_change,
        comments_are_written_changed_and_removed,
        groups_are_changed_in_one_transaction,
        lists_know_labels_kinds_ends_and_ages,
        an_input_takes_what_came_of_it_along,
        an_output_takes_its_process_along_but_not_its_inputs,
        a_returned_node_takes_the_workflow_but_the_workflow_takes_it_not,
        a_called_process_takes_its_caller_along,
        what_was_made_or_called_may_stay,
        live_processes_are_not_deleted,
        no_more_goes_than_was_seen,
        deletion_leaves_nothing_behind,
    ]
}

async fn only_names_of_a_node_change(bench: Bench) -> Outcome {
    let (id, _) = bench.data().await?;
    let before = bench.store.node(id)?;
    let (label, description) = (Some("a label".to_owned()), None);
    bench.commit([Change::Describe { node: id, label, description }]).await?;
    let description = Some("some words".to_owned());
    bench.commit([Change::Describe { node: id, label: None, description }]).await?;
    let after = bench.reader.node(id)?;
    assert_eq!((after.label.as_str(), after.description.as_str()), ("a label", "some words"));
    assert_eq!((after.body, after.node_type, after.created), (before.body, before.node_type, before.created));
    let nobody = Change::Describe { node: NodeId(99), label: None, description: None };
    bench.refused([nobody], ErrorKind::NotFound).await.map(drop)
}

fn say(node: NodeId, text: &str) -> Change {
    Change::Comment(CommentChange::Add { node, author: "me".into(), text: text.into() })
}

async fn comments_are_written_changed_and_removed(bench: Bench) -> Outcome {
    let ((data, _), (process, _)) = (bench.data().await?, bench.process().await?);
    bench.bring(process, &[State::Running, State::Finished]).await?;
    bench.commit([say(data, "one"), say(process, "two"), say(data, "three")]).await?;
    let texts = |node| -> Outcome<Vec<String>> {
        Ok(bench.reader.comments(node)?.into_iter().map(|comment| comment.text).collect())
    };
    assert_eq!((texts(data)?, texts(process)?), (vec!["one".into(), "three".into()], vec!["two".to_owned()]));
    let [first, third] = [0, 1].map(|at| bench.reader.comments(data).map(|all| all[at].id));
    let (comment, text) = (first?, "uno".into());
    bench.commit([Change::Comment(CommentChange::Rewrite { comment, text })]).await?;
    bench.commit([Change::Comment(CommentChange::Remove(third?))]).await?;
    assert_eq!(texts(data)?, ["uno"]);
    let gone = CommentChange::Remove(99);
    bench.refused([Change::Comment(gone)], ErrorKind::NotFound).await?;
    bench.refused([say(NodeId(99), "nothing")], ErrorKind::NotFound).await.map(drop)
}

fn group(label: &str, change: GroupChange) -> Change {
    Change::InGroup { group: label.into(), change }
}

fn make(label: &str) -> Change {
    group(label, GroupChange::Make { description: String::new(), if_missing: false })
}

async fn groups_are_changed_in_one_transaction(bench: Bench) -> Outcome {
    let ((a, _), (b, _), (c, _)) = (bench.data().await?, bench.data().await?, bench.data().await?);
    bench.commit([make("g"), make("h"), group("g", GroupChange::Add(vec![a, b, b]))]).await?;
    bench.refused([make("g")], ErrorKind::Exists).await?;
    let members = |label: &str| -> Outcome<Vec<NodeId>> {
        Ok(bench.reader.members(label)?.into_iter().map(|node| node.id).collect())
    };
    assert_eq!(members("g")?, [a, b]);
    // Moved or not moved: never in both, nor in none.
    let moved =
        |node| [group("g", GroupChange::Remove(vec![node])), group("h", GroupChange::Add(vec![node]))];
    bench.commit(moved(a)).await?;
    bench.refused(moved(NodeId(99)), ErrorKind::NotFound).await?;
    assert_eq!((members("g")?, members("h")?), (vec![b], vec![a]));
    bench.refused([group("g", GroupChange::Relabel("h".into()))], ErrorKind::Exists).await?;
    bench
        .commit([
            group("g", GroupChange::Relabel("k".into())),
            group("k", GroupChange::Describe("words".into())),
        ])
        .await?;
    let groups = bench.reader.groups()?;
    assert_eq!(
        (groups[1].label.as_str(), groups[1].description.as_str(), groups[1].count),
        ("k", "words", 1)
    );
    bench.commit([group("k", GroupChange::Add(vec![c])), group("k", GroupChange::Delete)]).await?;
    assert_eq!(bench.reader.groups()?.len(), 1);
    assert!(bench.reader.node(c).is_ok(), "a group's nodes stay");
    bench.refused([group("k", GroupChange::Delete)], ErrorKind::NotFound).await.map(drop)
}

async fn lists_know_labels_kinds_ends_and_ages(bench: Bench) -> Outcome {
    let ((data, _), (one, _), (two, _)) =
        (bench.data().await?, bench.process().await?, bench.process().await?);
    let label = Some("si-1".to_owned());
    bench.commit([Change::Describe { node: one, label, description: None }]).await?;
    let mut row = bench.bring(two, &[State::Running]).await?;
    (row.state, row.end.status) = (State::Finished, Some(7));
    bench.commit([super::bench::update(row)]).await?;
    bench.commit([Change::Pause { process: one, paused: true }]).await?;
    let processes = |filter: ProcessFilter| -> Outcome<Vec<NodeId>> {
        Ok(bench.reader.processes(&filter)?.into_iter().map(|process| process.id).collect())
    };
    let none = ProcessFilter::default;
    assert_eq!(processes(ProcessFilter { label: Some("si-*".into()), ..none() })?, [one]);
    assert_eq!(processes(ProcessFilter { label: Some("si".into()), ..none() })?, []);
    assert_eq!(processes(ProcessFilter { exit_status: Some(7), ..none() })?, [two]);
    assert_eq!(processes(ProcessFilter { failed: true, ..none() })?, [two]);
    assert_eq!(processes(ProcessFilter { paused: true, ..none() })?, [one]);
    assert_eq!(processes(ProcessFilter { process_type: Some("test.*".into()), ..none() })?, [one, two]);
    let (first, later) = (bench.reader.node(one)?.created, bench.reader.node(two)?.created);
    let expected = if first < later { vec![two] } else { vec![one, two] };
    assert_eq!(processes(ProcessFilter { since: Some(later), ..none() })?, expected);
    let nodes = |filter: NodeFilter| -> Outcome<Vec<NodeId>> {
        Ok(bench.reader.nodes(&filter)?.into_iter().map(|node| node.id).collect())
    };
    let none = NodeFilter::default;
    assert_eq!(nodes(none())?, [data, one, two]);
    assert_eq!(nodes(NodeFilter { kind: Some(NodeKind::Data), ..none() })?, [data]);
    assert_eq!(nodes(NodeFilter { node_type: Some("i?t".into()), ..none() })?, [data]);
    assert_eq!(nodes(NodeFilter { limit: Some(2), ..none() })?, [one, two]);
    Ok(())
}

/// `x` -> calculation `p`, called by the workflow `w`, which has `x` too and returns `y` -> `y` -> `q` -> `z`.
struct Graph {
    x: NodeId,
    y: NodeId,
    z: NodeId,
    w: NodeId,
    p: NodeId,
    q: NodeId,
}

async fn graph(bench: &Bench) -> Outcome<Graph> {
    let x = bench.data().await?;
    let w = bench.started(WorkChain, &[(x.1, "x")]).await?;
    let uuid = Uuid::now_v7();
    let changes = vec![
        super::bench::called(uuid, CalcJob, Some((w.0, "p"))),
        link(x.1, uuid, L::InputCalc, "x"),
        link(w.1, uuid, L::CallCalc, "p"),
    ];
    let p = (bench.first(changes).await?, uuid);
    let y = bench.made_by(p.1, "y").await?;
    bench.commit([link(w.1, y.1, L::Return, "y")]).await?;
    let q = bench.started(CalcJob, &[(y.1, "y")]).await?;
    let z = bench.made_by(q.1, "z").await?;
    for process in [p.0, w.0, q.0] {
        bench.bring(process, &[State::Running, State::Finished]).await?;
    }
    Ok(Graph { x: x.0, y: y.0, z: z.0, w: w.0, p: p.0, q: q.0 })
}

fn sorted(mut nodes: Vec<NodeId>) -> Vec<NodeId> {
    nodes.sort();
    nodes
}

async fn an_input_takes_what_came_of_it_along(bench: Bench) -> Outcome {
    let Graph { x, y, z, w, p, q } = graph(&bench).await?;
    assert_eq!(bench.reader.deleted_with(&[x], Follow::default())?, sorted(vec![x, y, z, w, p, q]));
    Ok(())
}

async fn an_output_takes_its_process_along_but_not_its_inputs(bench: Bench) -> Outcome {
    let Graph { z, q, .. } = graph(&bench).await?;
    assert_eq!(bench.reader.deleted_with(&[z], Follow::default())?, sorted(vec![z, q]));
    assert_eq!(bench.reader.deleted_with(&[q], Follow::default())?, sorted(vec![z, q]));
    Ok(())
}

async fn a_returned_node_takes_the_workflow_but_the_workflow_takes_it_not(bench: Bench) -> Outcome {
    let ((flow, uuid), (made, made_uuid)) = (bench.started(WorkChain, &[]).await?, bench.data().await?);
    bench.commit([link(uuid, made_uuid, L::Return, "y")]).await?;
    assert_eq!(bench.reader.deleted_with(&[made], Follow::default())?, sorted(vec![made, flow]));
    assert_eq!(bench.reader.deleted_with(&[flow], Follow::default())?, [flow]);
    Ok(())
}

async fn a_called_process_takes_its_caller_along(bench: Bench) -> Outcome {
    let Graph { y, z, w, p, q, .. } = graph(&bench).await?;
    assert_eq!(bench.reader.deleted_with(&[p], Follow::default())?, sorted(vec![y, z, w, p, q]));
    Ok(())
}

async fn what_was_made_or_called_may_stay(bench: Bench) -> Outcome {
    let Graph { y, z, w, p, q, .. } = graph(&bench).await?;
    let all = Follow::default();
    let keeps_made = Follow { create_forward: false, ..all };
    assert_eq!(bench.reader.deleted_with(&[q], keeps_made)?, [q]);
    let keeps_called = Follow { call_calc_forward: false, ..all };
    assert_eq!(bench.reader.deleted_with(&[w], keeps_called)?, [w]);
    let outer = bench.started(WorkChain, &[]).await?;
    let inner = bench.called_by(outer, WorkChain, "inner").await?;
    let (leaf, _) = bench.called_by(inner, CalcJob, "leaf").await?;
    let keeps_flows = Follow { call_work_forward: false, ..all };
    assert_eq!(bench.reader.deleted_with(&[outer.0], keeps_flows)?, [outer.0]);
    assert_eq!(bench.reader.deleted_with(&[outer.0], all)?, sorted(vec![outer.0, inner.0, leaf]));

    // The remaining ones have no caller then.
    bench.commit([delete(&[w], keeps_called, &[w])]).await?;
    let row = bench.reader.process(p)?;
    assert_eq!((row.caller, row.root), (None, p));
    assert_eq!((bench.reader.node(y).is_ok(), bench.reader.node(z).is_ok()), (true, true));
    for ended in [leaf, inner.0, outer.0] {
        bench.bring(ended, &[State::Running, State::Finished]).await?;
    }
    bench.commit([delete(&[outer.0], keeps_flows, &[outer.0])]).await?;
    assert_eq!((bench.reader.process(inner.0)?.caller, bench.reader.process(leaf)?.root), (None, inner.0));
    Ok(())
}

fn delete(roots: &[NodeId], follow: Follow, seen: &[NodeId]) -> Change {
    Change::Delete(Deletion { roots: roots.to_vec(), follow, seen: seen.to_vec() })
}

async fn live_processes_are_not_deleted(bench: Bench) -> Outcome {
    let (x, uuid) = bench.data().await?;
    let (process, _) = bench.started(CalcJob, &[(uuid, "x")]).await?;
    for states in [&[][..], &[State::Running], &[State::Waiting]] {
        bench.bring(process, states).await?;
        let gone = delete(&[x], Follow::default(), &[x, process]);
        let error = bench.refused([gone], ErrorKind::Rule).await?;
        assert!(error.to_string().contains("has not ended"), "{error}");
    }
    bench.bring(process, &[State::Running, State::Killed]).await?;
    bench.commit([delete(&[x], Follow::default(), &[x, process])]).await?;
    assert!(bench.reader.node(x).is_err() && bench.reader.process(process).is_err());
    Ok(())
}

async fn no_more_goes_than_was_seen(bench: Bench) -> Outcome {
    let (x, uuid) = bench.data().await?;
    let seen = bench.reader.deleted_with(&[x], Follow::default())?;
    // Meanwhile another process uses it.
    let (process, _) = bench.started(CalcJob, &[(uuid, "x")]).await?;
    bench.bring(process, &[State::Running, State::Finished]).await?;
    bench.refused([delete(&[x], Follow::default(), &seen)], ErrorKind::Conflict).await?;
    assert!(bench.reader.node(x).is_ok());
    bench.refused([delete(&[NodeId(99)], Follow::default(), &[])], ErrorKind::NotFound).await.map(drop)
}

async fn deletion_leaves_nothing_behind(bench: Bench) -> Outcome {
    let content = bench.store.objects().put_bytes(vec![7; 100])?;
    let digest = content.digest_and_size().0;
    let kept = bench.one(file(content.clone())).await?;
    let gone = bench.one(file(content)).await?;
    let uuid = bench.store.node(gone)?.uuid;
    let (process, _) = bench.started(Kind::CalcFunction, &[(uuid, "x")]).await?;
    bench
        .commit([
            log(process, "a line"),
            say(gone, "a comment"),
            make("g"),
            group("g", GroupChange::Add(vec![gone, kept])),
        ])
        .await?;
    bench.bring(process, &[State::Running, State::Finished]).await?;
    bench.commit([delete(&[gone], Follow::default(), &[gone, process])]).await?;
    assert_eq!(bench.reader.members("g")?.len(), 1);
    assert_eq!((bench.reader.comments(gone)?, bench.reader.logs(process)?), (vec![], vec![]));
    assert_eq!((bench.reader.outgoing(gone)?, bench.reader.incoming(process)?), (vec![], vec![]));
    assert_eq!(bench.reader.nodes(&NodeFilter::default())?.len(), 1);

    tidy(&bench).await?;
    assert!(bench.reader.object(&digest).is_ok(), "another node has it too");
    bench.commit([delete(&[kept], Follow::default(), &[kept])]).await?;
    tidy(&bench).await?;
    assert!(bench.reader.object(&digest).is_err(), "nothing names it any more");
    Ok(())
}

async fn tidy(bench: &Bench) -> Outcome {
    let mut next = Some(Stage::FIRST);
    while let Some(stage) = next {
        next = bench.store.maintain(stage).await?.1;
    }
    Ok(())
}
