//! ferry inside another program: launches before and while the loop runs, from tasks, from threads, from another
//! runtime, and from inside one another.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{sync::Arc, time::Duration};

use ferry_engine::{
    embed::Engine,
    process::{InputValue, Launch, Metadata, State},
    profile::Paths,
    rpc::{Request, Response},
    store::{Change, Objects, SqliteStore, Store},
    testing::{Parts, ScriptedPlugins},
};
use ferry_plugin_proto::Value;

async fn engine(dir: &std::path::Path) -> Engine {
    let paths = Paths::new(dir, "default");
    paths.create().unwrap();
    let store = SqliteStore::open(&paths.store(), Objects::new(paths.objects())).unwrap();
    store.commit(vec![Change::Plugin(Box::new(ScriptedPlugins::row()))]).await.unwrap();
    let parts = Parts {
        paths,
        store: Arc::new(store),
        plugins: Arc::new(ScriptedPlugins::default()),
        transports: Vec::new(),
        schedulers: Default::default(),
    };
    Engine::of_parts(parts).unwrap()
}

fn launch(process_type: &str, inputs: &[(&str, Value)]) -> Launch {
    let new = |value: &Value| InputValue::New { data_type: None, value: value.clone(), files: Vec::new() };
    Launch {
        process_type: process_type.into(),
        inputs: inputs.iter().map(|(port, value)| ((*port).to_owned(), new(value))).collect(),
        metadata: Metadata::default(),
        groups: Vec::new(),
    }
}

fn add(x: i64, y: i64) -> Launch {
    launch("sim.add", &[("x", Value::Int(x)), ("y", Value::Int(y))])
}

fn sleep(seconds: i64) -> Launch {
    let operation = Value::Map([("sleep".to_owned(), Value::Int(seconds))].into());
    launch("script.run", &[("script", Value::List(vec![operation]))])
}

#[tokio::test]
async fn what_was_launched_before_the_loop_runs_when_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = engine(dir.path()).await;
    let handle = engine.handle();
    let launched = handle.launch(add(1, 2)).await.unwrap();
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ended(launched.id).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished(), "nothing steps before the start");
    engine.start();
    assert_eq!(waiting.await.unwrap().unwrap().end.status, Some(0));
    engine.stop().await;
}

#[tokio::test]
async fn tasks_of_the_running_loop_launch_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = engine(dir.path()).await;
    engine.start();
    let mut tasks = tokio::task::JoinSet::new();
    for x in 0..50 {
        let handle = engine.handle();
        tasks.spawn(async move {
            handle.run(add(x, 1)).await.unwrap();
            handle.run(add(x, 2)).await.unwrap().end.status
        });
    }
    while let Some(status) = tasks.join_next().await {
        assert_eq!(status.unwrap(), Some(0));
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_and_other_runtimes_wait_for_their_processes() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = engine(dir.path()).await;
    engine.start();
    let blocking = engine.handle().blocking();
    let thread = std::thread::spawn({
        let blocking = blocking.clone();
        move || {
            let launched = blocking.launch(add(20, 22)).unwrap();
            blocking.ended(launched.id).unwrap().state
        }
    });
    let runtime = std::thread::spawn({
        let (handle, blocking) = (engine.handle(), blocking.clone());
        move || {
            let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            other.block_on(async move {
                // Both kinds of handle work there: it is not the engine's own runtime.
                let one = handle.run(add(1, 1)).await.unwrap().state;
                let two = blocking.run(add(2, 2)).unwrap().state;
                [one, two]
            })
        }
    });
    let join =
        |thread: std::thread::JoinHandle<State>| tokio::task::spawn_blocking(|| thread.join().unwrap());
    assert_eq!(join(thread).await.unwrap(), State::Finished);
    let both = tokio::task::spawn_blocking(|| runtime.join().unwrap()).await.unwrap();
    assert_eq!(both, [State::Finished; 2]);
    // On a thread of its own it would wait for itself, so it says so.
    assert!(blocking.run(add(1, 1)).unwrap_err().message.contains("own runtime"));
    engine.stop().await;
}

#[tokio::test]
async fn an_interrupted_wait_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = engine(dir.path()).await;
    engine.start();
    let handle = engine.handle();
    let launched = handle.launch(sleep(100_000)).await.unwrap();
    let ended = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ended(launched.id).await.unwrap().state }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let killed = handle.ask(Request::Kill { processes: vec![launched.id], force: false }).await;
    assert_eq!(killed, Response::Done);
    let state = tokio::time::timeout(Duration::from_secs(2), ended).await.unwrap().unwrap();
    assert_eq!(state, State::Killed);
    engine.stop().await;
}

#[tokio::test]
async fn a_refused_launch_says_all_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path()).await;
    let wrong = launch("sim.add", &[("x", Value::Str("one".into())), ("z", Value::Int(1))]);
    let error = engine.handle().launch(wrong).await.unwrap_err();
    assert!(["x: ", "y: ", "z: "].iter().all(|word| error.message.contains(word)), "{error}");
    engine.stop().await;
}

#[tokio::test]
async fn a_dropped_engine_is_a_crash_that_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = engine(dir.path()).await;
    first.start();
    let launched = first.handle().launch(sleep(1)).await.unwrap();
    drop(first);
    let mut second = engine(dir.path()).await;
    second.start();
    assert_eq!(second.handle().ended(launched.id).await.unwrap().end.status, Some(0));
    second.stop().await;
}
