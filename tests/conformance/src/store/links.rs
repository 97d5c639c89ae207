//! The degree rules of links.

use ferry_engine::store::{ErrorKind, LinkType as L};

use super::{
    Run,
    bench::{Bench, Outcome, link},
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
    ]
}

async fn links_are_found_from_both_ends(bench: Bench) -> Outcome {
    let ((x, x_uuid), (y, y_uuid)) = (bench.data().await?, bench.data().await?);
    let (process, uuid) = bench.process().await?;
    bench.commit([link(y_uuid, uuid, L::InputCalc, "y"), link(x_uuid, uuid, L::InputCalc, "x")]).await?;
    let incoming = bench.reader.incoming(process)?;
    let seen: Vec<_> =
        incoming.iter().map(|link| (link.label.as_str(), link.source, link.link_type)).collect();
    assert_eq!(seen, [("x", x, L::InputCalc), ("y", y, L::InputCalc)], "by label");
    assert_eq!(bench.reader.outgoing(x)?, incoming[..1]);
    assert_eq!(bench.reader.outgoing(process)?, []);
    Ok(())
}

async fn an_input_has_one_source(bench: Bench) -> Outcome {
    let ((_, a), (_, b), (_, process)) = (bench.data().await?, bench.data().await?, bench.process().await?);
    bench.commit([link(a, process, L::InputCalc, "x")]).await?;
    bench.refused([link(b, process, L::InputCalc, "x")], ErrorKind::Rule).await?;
    bench.commit([link(b, process, L::InputCalc, "y")]).await
}

async fn an_output_has_one_target(bench: Bench) -> Outcome {
    let ((_, a), (_, b), (_, process)) = (bench.data().await?, bench.data().await?, bench.process().await?);
    bench.commit([link(process, a, L::Create, "x")]).await?;
    bench.refused([link(process, b, L::Create, "x")], ErrorKind::Rule).await?;
    bench.commit([link(process, b, L::Create, "y")]).await
}

async fn a_node_has_one_creator(bench: Bench) -> Outcome {
    let ((_, data), (_, p), (_, q)) = (bench.data().await?, bench.process().await?, bench.process().await?);
    bench.commit([link(p, data, L::Create, "x")]).await?;
    bench.refused([link(q, data, L::Create, "x")], ErrorKind::Rule).await.map(drop)
}

async fn a_node_is_returned_by_many(bench: Bench) -> Outcome {
    let ((_, data), (_, p), (_, q)) = (bench.data().await?, bench.process().await?, bench.process().await?);
    bench.commit([link(p, data, L::Return, "x"), link(q, data, L::Return, "x")]).await
}

async fn a_process_has_one_caller(bench: Bench) -> Outcome {
    let ((_, p), (_, q), (_, child)) =
        (bench.process().await?, bench.process().await?, bench.process().await?);
    bench.commit([link(p, child, L::CallCalc, "x")]).await?;
    for kind in [L::CallCalc, L::CallWork] {
        bench.refused([link(q, child, kind, "x")], ErrorKind::Rule).await?;
    }
    Ok(())
}

async fn a_node_is_an_input_of_many(bench: Bench) -> Outcome {
    let ((data, uuid), (_, p), (_, q)) =
        (bench.data().await?, bench.process().await?, bench.process().await?);
    let links = [
        link(uuid, p, L::InputCalc, "x"),
        link(uuid, p, L::InputCalc, "y"),
        link(uuid, q, L::InputCalc, "x"),
    ];
    bench.commit(links).await?;
    assert_eq!(bench.store.outgoing(data)?.len(), 3);
    Ok(())
}

async fn links_join_the_kinds_that_they_are_for(bench: Bench) -> Outcome {
    let ((_, a), (_, b), (_, p), (_, q)) =
        (bench.data().await?, bench.data().await?, bench.process().await?, bench.process().await?);
    let wrong = [
        (a, b, L::InputCalc),
        (p, q, L::InputWork),
        (p, a, L::InputCalc),
        (a, b, L::Create),
        (p, q, L::Create),
        (a, p, L::Return),
        (a, p, L::CallCalc),
        (p, a, L::CallWork),
    ];
    for (source, target, kind) in wrong {
        bench.refused([link(source, target, kind, "x")], ErrorKind::Rule).await?;
    }
    Ok(())
}
