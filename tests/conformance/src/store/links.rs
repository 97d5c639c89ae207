//! The rules of links: how many there may be, what they join, and when they are made.

use ferry_engine_core::process::State;
use ferry_engine_store::{Change, ErrorKind, FileContent, LinkType as L};
use ferry_plugin_proto::Kind::{CalcFunction, CalcJob, WorkChain, WorkFunction};
use uuid::Uuid;

use super::{
    Run,
    bench::{Bench, Outcome, data, link, log, process, update, with_inputs},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        links_are_found_from_both_ends,
        an_input_has_one_source,
        an_output_has_one_target,
        a_node_has_one_creator,
        a_node_is_returned_by_many,
        a_process_has_one_caller,
        a_node_is_an_input_of_many,
        links_join_the_kinds_that_they_are_for,
        a_node_is_not_linked_to_itself,
        labels_are_names,
        inputs_come_with_their_process,
        what_is_made_is_new,
        what_is_returned_is_there_already,
        a_called_process_is_new,
        an_ended_process_takes_no_more_links,
        an_end_and_its_outputs_come_together,
        an_ended_process_and_data_take_no_files,
    ]
}

async fn links_are_found_from_both_ends(bench: Bench) -> Outcome {
    let ((x, x_uuid), (y, y_uuid)) = (bench.data().await?, bench.data().await?);
    let (process, _) = bench.started(CalcJob, &[(y_uuid, "y"), (x_uuid, "x")]).await?;
    let incoming = bench.reader.incoming(process)?;
    let seen: Vec<_> =
        incoming.iter().map(|link| (link.label.as_str(), link.source, link.link_type)).collect();
    assert_eq!(seen, [("x", x, L::InputCalc), ("y", y, L::InputCalc)], "by label");
    assert_eq!(bench.reader.outgoing(x)?, incoming[..1]);
    assert_eq!(bench.reader.outgoing(process)?, []);
    Ok(())
}

async fn an_input_has_one_source(bench: Bench) -> Outcome {
    let ((_, a), (_, b)) = (bench.data().await?, bench.data().await?);
    for kind in [CalcJob, WorkChain] {
        let twice = with_inputs(Uuid::now_v7(), kind, &[(a, "x"), (b, "x")]);
        let error = bench.refused(twice, ErrorKind::Rule).await?;
        assert!(error.to_string().contains("an input with this label"), "{error}");
        bench.started(kind, &[(a, "x"), (b, "y")]).await?;
    }
    Ok(())
}

async fn an_output_has_one_target(bench: Bench) -> Outcome {
    let (_, process) = bench.process().await?;
    bench.made_by(process, "x").await?;
    let b = Uuid::now_v7();
    bench.refused([data(b), link(process, b, L::Create, "x")], ErrorKind::Rule).await?;
    bench.made_by(process, "y").await?;
    let ((_, a), (_, b), (_, flow)) =
        (bench.data().await?, bench.data().await?, bench.started(WorkChain, &[]).await?);
    bench.commit([link(flow, a, L::Return, "x")]).await?;
    bench.refused([link(flow, b, L::Return, "x")], ErrorKind::Rule).await.map(drop)
}

async fn a_node_has_one_creator(bench: Bench) -> Outcome {
    let ((_, p), (_, q)) = (bench.process().await?, bench.process().await?);
    let both = Uuid::now_v7();
    let links = [data(both), link(p, both, L::Create, "x"), link(q, both, L::Create, "x")];
    bench.refused(links, ErrorKind::Rule).await.map(drop)
}

async fn a_node_is_returned_by_many(bench: Bench) -> Outcome {
    let ((node, data), (_, p), (_, q)) =
        (bench.data().await?, bench.started(WorkChain, &[]).await?, bench.started(WorkFunction, &[]).await?);
    let links = [(p, "x"), (q, "x"), (p, "y")].map(|(from, label)| link(from, data, L::Return, label));
    bench.commit(links).await?;
    assert_eq!(bench.store.incoming(node)?.len(), 3);
    Ok(())
}

async fn a_process_has_one_caller(bench: Bench) -> Outcome {
    let (p, q) = (bench.started(WorkChain, &[]).await?.1, bench.started(WorkChain, &[]).await?.1);
    let child = Uuid::now_v7();
    let calls = [process(child), link(p, child, L::CallCalc, "x"), link(q, child, L::CallCalc, "y")];
    bench.refused(calls, ErrorKind::Rule).await.map(drop)
}

async fn a_node_is_an_input_of_many(bench: Bench) -> Outcome {
    let (data, uuid) = bench.data().await?;
    bench.started(CalcJob, &[(uuid, "x"), (uuid, "y")]).await?;
    bench.started(CalcJob, &[(uuid, "x")]).await?;
    assert_eq!(bench.store.outgoing(data)?.len(), 3);
    Ok(())
}

/// Returns the changes that add data and one process of each kind, with a link between two of them.
fn among_new(source: usize, target: usize, kind: L) -> Vec<Change> {
    let ids: Vec<Uuid> = (0..6).map(|_| Uuid::now_v7()).collect();
    let kinds = [CalcJob, CalcFunction, WorkChain, WorkFunction];
    let processes = ids[2..].iter().zip(kinds).flat_map(|(id, kind)| with_inputs(*id, kind, &[]));
    let mut changes: Vec<Change> = ids[..2].iter().map(|id| data(*id)).chain(processes).collect();
    changes.push(link(ids[source], ids[target], kind, "x"));
    changes
}

async fn links_join_the_kinds_that_they_are_for(bench: Bench) -> Outcome {
    let (data, calcs, flows) = ([0, 1], [2, 3], [4, 5]);
    let fits = |kind, source, target| {
        let (from, to) = match kind {
            L::InputCalc => (data, calcs),
            L::InputWork => (data, flows),
            L::Create => (calcs, data),
            L::Return => (flows, data),
            L::CallCalc => (flows, calcs),
            L::CallWork => (flows, flows),
        };
        from.contains(&source) && to.contains(&target)
    };
    for kind in [L::InputCalc, L::InputWork, L::Create, L::Return, L::CallCalc, L::CallWork] {
        for (source, target) in (0..6).flat_map(|source| (0..6).map(move |target| (source, target))) {
            let changes = among_new(source, target, kind);
            // A returned node may not be new: there is a separate case for this.
            if fits(kind, source, target) && source != target && kind != L::Return {
                bench.first(changes).await?;
            } else {
                bench.refused(changes, ErrorKind::Rule).await?;
            }
        }
    }
    Ok(())
}

async fn a_node_is_not_linked_to_itself(bench: Bench) -> Outcome {
    let error = bench.refused(among_new(4, 4, L::CallWork), ErrorKind::Rule).await?;
    assert!(error.to_string().contains("itself"), "{error}");
    Ok(())
}

async fn labels_are_names(bench: Bench) -> Outcome {
    let (_, a) = bench.data().await?;
    for label in ["", "a b", "a..b", ".a", "a/b", "a\n", "\"", "a."] {
        let wrong = with_inputs(Uuid::now_v7(), CalcJob, &[(a, label)]);
        bench.refused(wrong, ErrorKind::Rule).await?;
    }
    let labels = ["x", "pw.k_points", "nodes.file-2", "_1"].map(|label| (a, label));
    bench.started(CalcJob, &labels).await.map(drop)
}

async fn inputs_come_with_their_process(bench: Bench) -> Outcome {
    let ((_, a), (_, calc), (_, flow)) =
        (bench.data().await?, bench.process().await?, bench.started(WorkChain, &[]).await?);
    bench.refused([link(a, calc, L::InputCalc, "x")], ErrorKind::Rule).await?;
    bench.refused([link(a, flow, L::InputWork, "x")], ErrorKind::Rule).await.map(drop)
}

/// So no calculation makes what it, or anything before it, came from.
async fn what_is_made_is_new(bench: Bench) -> Outcome {
    let (_, a) = bench.data().await?;
    let (_, calc) = bench.started(CalcJob, &[(a, "x")]).await?;
    let (_, other) = bench.data().await?;
    for node in [a, other] {
        bench.refused([link(calc, node, L::Create, "y")], ErrorKind::Rule).await?;
    }
    Ok(())
}

async fn what_is_returned_is_there_already(bench: Bench) -> Outcome {
    let (_, given) = bench.data().await?;
    let (_, flow) = bench.started(WorkChain, &[(given, "x")]).await?;
    let invented = Uuid::now_v7();
    bench.refused([data(invented), link(flow, invented, L::Return, "y")], ErrorKind::Rule).await?;
    bench.commit([link(flow, given, L::Return, "y")]).await
}

async fn a_called_process_is_new(bench: Bench) -> Outcome {
    let caller = bench.started(WorkChain, &[]).await?;
    let (_, calc) = bench.process().await?;
    bench.refused([link(caller.1, calc, L::CallCalc, "x")], ErrorKind::Rule).await?;
    bench.called_by(caller, CalcJob, "x").await?;
    bench.called_by(caller, WorkChain, "y").await.map(drop)
}

async fn an_ended_process_takes_no_more_links(bench: Bench) -> Outcome {
    for end in [State::Finished, State::Excepted, State::Killed] {
        let (calc, flow) = (bench.process().await?, bench.started(WorkChain, &[]).await?);
        let (_, a) = bench.data().await?;
        bench.bring(calc.0, &[State::Running, end]).await?;
        bench.bring(flow.0, &[State::Running, end]).await?;
        let (made, child) = (Uuid::now_v7(), Uuid::now_v7());
        let late = [
            vec![data(made), link(calc.1, made, L::Create, "x")],
            vec![link(flow.1, a, L::Return, "x")],
            vec![process(child), link(flow.1, child, L::CallCalc, "x")],
        ];
        for changes in late {
            let error = bench.refused(changes, ErrorKind::Rule).await?;
            assert!(error.to_string().contains("has ended"), "{error}");
        }
        bench.commit([log(calc.0, "what is said of it is no link")]).await?;
    }
    Ok(())
}

async fn an_end_and_its_outputs_come_together(bench: Bench) -> Outcome {
    let (id, uuid) = bench.process().await?;
    let mut row = bench.bring(id, &[State::Running]).await?;
    row.state = State::Finished;
    row.end.status = Some(0);
    let made = Uuid::now_v7();
    bench.first(vec![update(row), data(made), link(uuid, made, L::Create, "x")]).await?;
    assert_eq!(bench.store.outgoing(id)?.len(), 1);
    Ok(())
}

async fn an_ended_process_and_data_take_no_files(bench: Bench) -> Outcome {
    let ((value, _), (id, _)) = (bench.data().await?, bench.process().await?);
    let content = bench.store.objects().put_bytes(b"bytes".to_vec())?;
    let file = |process| Change::Files {
        process,
        files: vec![FileContent { path: "a".into(), content: content.clone(), executable: false }],
    };
    bench.refused([file(value)], ErrorKind::Rule).await?;
    bench.commit([file(id)]).await?;
    let gone = |process| Change::DropFiles { process, paths: vec!["d".into(), "other".into()] };
    let named = ["d", "d/x", "d/y/z", "dd", "a/d"].map(|path| FileContent {
        path: path.into(),
        content: content.clone(),
        executable: false,
    });
    bench.commit([Change::Files { process: id, files: named.to_vec() }]).await?;
    bench.commit([gone(id)]).await?;
    let left: Vec<String> = bench.store.files(id)?.into_iter().map(|file| file.path).collect();
    assert_eq!(left, ["a", "a/d", "dd"], "what was let go of is gone, with all below it");
    bench.refused([gone(value)], ErrorKind::Rule).await?;
    bench.bring(id, &[State::Running, State::Finished]).await?;
    bench.refused([file(id)], ErrorKind::Rule).await?;
    bench.refused([gone(id)], ErrorKind::Rule).await?;
    assert_eq!(bench.store.files(value)?, []);
    Ok(())
}
