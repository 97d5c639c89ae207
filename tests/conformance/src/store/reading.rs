//! Reading: one snapshot an answer, never in anybody's way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ferry_engine_store::{Change, ErrorKind, Level, ProcessFilter};
use uuid::Uuid;

use super::{
    Run,
    bench::{Bench, Outcome, data, log, process},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        nodes_are_found_by_id_uuid_prefix_and_label,
        what_is_not_there_is_not_found,
        settings_come_and_go,
        an_answer_is_one_snapshot,
        readers_do_not_hold_up_the_writer,
    ]
}

async fn nodes_are_found_by_id_uuid_prefix_and_label(bench: Bench) -> Outcome {
    let (id, uuid) = bench.data().await?;
    let uuid = uuid.to_string();
    let Change::Data(mut labelled) = data(Uuid::now_v7()) else { return Err("no data".into()) };
    labelled.label = "named".into();
    let named = bench.one(Change::Data(labelled)).await?;
    for name in [&id.to_string(), &uuid, &uuid[..30]] {
        assert_eq!(bench.reader.find_node(name)?.id, id, "{name}");
    }
    assert_eq!(bench.reader.find_node("named")?.id, named);
    let common: String = {
        let other = bench.store.node(named)?.uuid.to_string();
        uuid.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    };
    assert!(common.len() >= 4, "both were made within a minute");
    let error = bench.reader.find_node(&common).expect_err("two nodes begin so");
    assert_eq!(*error.kind(), ErrorKind::Ambiguous);
    Ok(())
}

async fn what_is_not_there_is_not_found(bench: Bench) -> Outcome {
    let (id, _) = bench.data().await?;
    let reader = &bench.reader;
    let missing = [
        reader.find_node("nobody").map(drop),
        reader.find_node("99999").map(drop),
        reader.process(id).map(drop),
        reader.object("00").map(drop),
        reader.computer("nowhere").map(drop),
        reader.plugin("none").map(drop),
    ];
    for (number, answer) in missing.into_iter().enumerate() {
        assert_eq!(answer.map_err(|error| *error.kind()), Err(ErrorKind::NotFound), "question {number}");
    }
    assert_eq!((reader.setting("none")?, reader.gate("nowhere")?, reader.files(id)?), (None, None, vec![]));
    Ok(())
}

async fn settings_come_and_go(bench: Bench) -> Outcome {
    let set = |value: Option<&str>| Change::Setting { key: "a.b".into(), value: value.map(str::to_owned) };
    for value in [Some("1"), Some("1"), Some("2"), None, None] {
        bench.commit([set(value)]).await?;
        assert_eq!(bench.reader.setting("a.b")?.as_deref(), value);
    }
    Ok(())
}

/// Writers commit pairs, so a reader that counts an odd number has seen half a commit.
async fn an_answer_is_one_snapshot(bench: Bench) -> Outcome {
    let done = Arc::new(AtomicBool::new(false));
    let looking: Vec<_> = (0..2)
        .map(|_| {
            let (reader, done) = (bench.reader.clone(), done.clone());
            thread::spawn(move || {
                let mut odd = 0;
                while !done.load(Ordering::Relaxed) {
                    let seen = reader.processes(&ProcessFilter::default());
                    odd += usize::from(seen.is_ok_and(|seen| seen.len() % 2 == 1));
                }
                odd
            })
        })
        .collect();
    for _ in 0..100 {
        bench.store.commit(vec![process(Uuid::now_v7()), process(Uuid::now_v7())]).await?;
    }
    done.store(true, Ordering::Relaxed);
    for look in looking {
        assert_eq!(look.join().map_err(|_| "a reader panicked")?, 0);
    }
    Ok(())
}

/// Long answers, one after the other, from several threads: commits go on meanwhile, and so do they.
async fn readers_do_not_hold_up_the_writer(bench: Bench) -> Outcome {
    let (id, _) = bench.process().await?;
    let text = "x".repeat(500);
    let line = || Change::Log { process: id, level: Level::Report, message: text.clone() };
    bench.commit((0..5000).map(|_| line())).await?;
    let done = Arc::new(AtomicBool::new(false));
    let answers: Vec<Arc<AtomicUsize>> = (0..3).map(|_| Arc::default()).collect();
    let look = |answers: &Arc<AtomicUsize>| {
        let (reader, done, answers) = (bench.reader.clone(), done.clone(), answers.clone());
        thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                answers.fetch_add(usize::from(reader.logs(id).is_ok()), Ordering::Relaxed);
            }
        })
    };
    let looking: Vec<_> = answers.iter().map(look).collect();
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    // On a busy machine a thread may get its first turn late.
    let mut commits = 0;
    while commits < 50 || answers.iter().any(|answers| answers.load(Ordering::Relaxed) == 0) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the writer held up a reader");
        let begun = Instant::now();
        bench.commit([log(id, &commits.to_string())]).await?;
        longest = longest.max(begun.elapsed());
        commits += 1;
    }
    done.store(true, Ordering::Relaxed);
    for look in looking {
        look.join().map_err(|_| "a reader panicked")?;
    }
    assert!(longest < Duration::from_secs(5), "a commit took {longest:?} beside readers");
    Ok(())
}
