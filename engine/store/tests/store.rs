//! The store's promises: batches are whole or nothing, links keep their degree rules, rows are guarded by
//! their version, and what was acknowledged is there after a reopening.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use ferry_engine_core::process::State;
use ferry_engine_store::{
    Change, Content, ErrorKind, FileContent, Level, LinkType, NewData, NewProcess, NodeId, Objects, Process,
    ProcessFilter, Reader, SqliteStore, Store,
};
use ferry_plugin_proto::{Kind, Value};
use uuid::Uuid;

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&dir.join("store.db"), Objects::new(dir.join("objects"))).unwrap()
}

fn data(uuid: Uuid, value: i64) -> Change {
    Change::Data(NewData {
        uuid,
        data_type: "int".into(),
        label: String::new(),
        description: String::new(),
        body: Value::Int(value),
        files: Vec::new(),
        computer: None,
    })
}

fn process(uuid: Uuid) -> Change {
    Change::Process(NewProcess {
        uuid,
        process_type: "test.job".into(),
        kind: Kind::CalcJob,
        label: String::new(),
        description: String::new(),
        plugin: "digest".into(),
        computer: None,
        body: Value::Map([].into()),
        caller: None,
    })
}

fn link(source: Uuid, target: Uuid, link_type: LinkType, label: &str) -> Change {
    Change::Link { source, target, link_type, label: label.into() }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (x, p) = (Uuid::now_v7(), Uuid::now_v7());
    let store = open(dir.path());
    let made =
        store.commit(vec![process(p), data(x, 5), link(x, p, LinkType::InputCalc, "x")]).await.unwrap();
    store
        .commit(vec![Change::Log { process: made[0], level: Level::Report, message: "hello".into() }])
        .await
        .unwrap();
    drop(store);

    let store = open(dir.path());
    assert_eq!(store.process(made[0]).unwrap().state, State::Created);
    assert_eq!(store.node(made[1]).unwrap().body, Value::Int(5));
    assert_eq!(store.incoming(made[0]).unwrap()[0].label, "x");
    assert_eq!(store.logs(made[0]).unwrap()[0].message, "hello");
    assert_eq!(store.find_node(&x.to_string()[..32]).unwrap().id, made[1]);
}

#[tokio::test]
async fn a_batch_is_whole_or_nothing_and_harms_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (good, bad) = (Uuid::now_v7(), Uuid::now_v7());
    let failing = store.commit(vec![data(bad, 1), link(bad, Uuid::now_v7(), LinkType::Create, "out")]);
    let (failed, kept) = tokio::join!(failing, store.commit(vec![data(good, 2)]));
    assert_eq!(*failed.unwrap_err().kind(), ErrorKind::NotFound);
    kept.unwrap();
    assert!(store.find_node(&good.to_string()).is_ok());
    assert_eq!(*store.find_node(&bad.to_string()).unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn links_keep_their_degree_rules() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (a, b, p, q) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    store.commit(vec![data(a, 1), data(b, 2), process(q)]).await.unwrap();
    let inputs = |second| {
        let links = [(a, "x"), (b, second)].map(|(from, label)| link(from, p, LinkType::InputCalc, label));
        [vec![process(p)], links.to_vec()].concat()
    };
    let twice = store.commit(inputs("x")).await.unwrap_err();
    assert_eq!(*twice.kind(), ErrorKind::Rule, "a label is unique among the inputs");
    store.commit(inputs("y")).await.unwrap();
    let made = Uuid::now_v7();
    let create = |source| link(source, made, LinkType::Create, "out");
    let second = store.commit(vec![data(made, 3), create(p), create(q)]).await.unwrap_err();
    assert_eq!(*second.kind(), ErrorKind::Rule, "a node has one creator");
}

#[tokio::test]
async fn a_row_that_changed_meanwhile_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store.commit(vec![process(Uuid::now_v7())]).await.unwrap()[0];
    let mut mine = store.process(id).unwrap();
    let theirs = mine.clone();
    mine.state = State::Running;
    store.commit(vec![Change::Update(Box::new(mine))]).await.unwrap();
    let late = store.commit(vec![Change::Update(Box::new(theirs))]).await.unwrap_err();
    assert_eq!(*late.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn illegal_transitions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store.commit(vec![process(Uuid::now_v7())]).await.unwrap()[0];
    let mut row = store.process(id).unwrap();
    row.state = State::Finished;
    let error = store.commit(vec![Change::Update(Box::new(row.clone()))]).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Rule);
    row.state = State::Killed;
    store.commit(vec![Change::Update(Box::new(row.clone()))]).await.unwrap();
    row.version += 1;
    row.state = State::Running;
    assert!(store.commit(vec![Change::Update(Box::new(row))]).await.is_err(), "nothing follows an end");
}

#[tokio::test]
async fn a_large_object_must_be_in_the_repository_before_a_row_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let content = store.objects().put_bytes(vec![1; 100_000]).unwrap();
    let node = |content: Content| {
        Change::Data(NewData {
            uuid: Uuid::now_v7(),
            data_type: "file".into(),
            label: String::new(),
            description: String::new(),
            body: Value::Map([("filename".to_owned(), Value::from("a"))].into()),
            files: vec![FileContent { path: "a".into(), content, executable: false }],
            computer: None,
        })
    };
    let id = store.commit(vec![node(content)]).await.unwrap()[0];
    let file = store.files(id).unwrap().remove(0);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut store.open_object(&file.digest).unwrap(), &mut bytes).unwrap();
    assert_eq!(bytes, vec![1; 100_000]);
    let missing = Content::Object { digest: "00".repeat(32), size: 9 };
    assert_eq!(*store.commit(vec![node(missing)]).await.unwrap_err().kind(), ErrorKind::Rule);
}

#[tokio::test]
async fn many_writers_share_commits_and_all_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(vec![process(Uuid::now_v7())]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.processes(&ProcessFilter::default()).unwrap().len(), 500);
    let three = ProcessFilter { limit: Some(3), ..ProcessFilter::default() };
    let newest = store.processes(&three).unwrap();
    assert_eq!(newest.iter().map(|p| p.id).collect::<Vec<_>>(), [NodeId(498), NodeId(499), NodeId(500)]);
}

#[test]
fn a_reader_says_when_there_is_no_store_or_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let read = || Reader::open(&path, Objects::new(dir.path()));
    assert_eq!(*read().unwrap_err().kind(), ErrorKind::NotFound);
    drop(open(dir.path()));
    read().unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    assert_eq!(*read().unwrap_err().kind(), ErrorKind::Newer);
}

#[tokio::test]
async fn a_step_that_is_begun_again_is_no_progress() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store.commit(vec![process(Uuid::now_v7())]).await.unwrap()[0];
    let commit = async |change: fn(&mut Process)| {
        let mut row = store.process(id).unwrap();
        change(&mut row);
        store.commit(vec![row.update()]).await.unwrap();
    };
    let twice = || vec![Change::Crashed(id), Change::Crashed(id)];
    commit(|row| row.run(None)).await;
    store.commit(twice()).await.unwrap();
    commit(|row| row.run(None)).await;
    assert_eq!(store.suspects().unwrap(), [(id, 2)]);
    commit(Process::progress).await;
    assert_eq!(store.suspects().unwrap(), []);
    store.commit(twice()).await.unwrap();
    commit(|row| row.wait("for its job")).await;
    assert_eq!(store.suspects().unwrap(), []);
}
