//! Tidying, checking and copying a store: nothing that is named is ever lost, whatever is cut off in the middle.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ferry_engine_core::process::State;
use ferry_engine_store::{
    Change, Content, ErrorKind, FileContent, NewData, NewProcess, NodeId, Objects, Reader, SqliteReader,
    SqliteStore, Stage, Store, Tidied, profile::Paths,
};
use ferry_plugin_proto::{Kind, Value};
use uuid::Uuid;

const OBJECT: usize = 20_000;

fn open(paths: &Paths) -> SqliteStore {
    paths.create().unwrap();
    SqliteStore::open(&paths.store(), Objects::new(paths.objects())).unwrap()
}

fn reader(paths: &Paths) -> SqliteReader {
    SqliteReader::open(&paths.store(), Objects::new(paths.objects())).unwrap()
}

fn bytes(number: usize) -> Vec<u8> {
    format!("object {number} ").into_bytes().into_iter().cycle().take(OBJECT).collect()
}

fn folder(files: Vec<FileContent>) -> Change {
    Change::Data(NewData {
        uuid: Uuid::now_v7(),
        data_type: "folder".into(),
        label: String::new(),
        description: String::new(),
        body: Value::Map([].into()),
        files,
        computer: None,
    })
}

/// Nodes with a large file each; their digests.
async fn fill(store: &SqliteStore, numbers: std::ops::Range<usize>) -> Vec<String> {
    let mut digests = Vec::new();
    for number in numbers {
        let content = store.objects().put_bytes(bytes(number)).unwrap();
        digests.push(content.digest_and_size().0);
        let file = FileContent { path: "a".into(), content, executable: false };
        store.commit(vec![folder(vec![file])]).await.unwrap();
    }
    digests
}

fn age(path: &Path) {
    let old = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    File::open(path).unwrap().set_modified(old).unwrap();
}

async fn maintain(store: &SqliteStore) -> Tidied {
    let mut total = Tidied::default();
    let mut stage = Some(Stage::FIRST);
    while let Some(now) = stage {
        let (tidied, next) = store.maintain(now).await.unwrap();
        total += tidied;
        stage = next;
    }
    total
}

fn read(reader: &Reader, digest: &str) -> Vec<u8> {
    let mut found = Vec::new();
    reader.open_object(digest).unwrap().read_to_end(&mut found).unwrap();
    found
}

fn all_there(reader: &Reader, digests: &[String]) {
    for (number, digest) in digests.iter().enumerate() {
        assert!(read(reader, digest) == bytes(number), "object {number}");
    }
}

fn packs(paths: &Paths) -> Vec<PathBuf> {
    let entries = fs::read_dir(paths.objects().join("packs")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn old_files_are_packed_and_read_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), "p");
    let store = open(&paths);
    let digests = fill(&store, 0..50).await;
    let before = Reader::open(&paths.store(), Objects::new(paths.objects())).unwrap();
    let mut begun = before.open_object(&digests[7]).unwrap();
    assert_eq!(maintain(&store).await, Tidied::default(), "young ones are spared");

    digests.iter().for_each(|digest| age(&store.objects().path(digest)));
    let tidied = maintain(&store).await;
    assert_eq!((tidied.packed, tidied.packs, tidied.damaged), (50, 1, 0));
    assert!(digests.iter().all(|digest| !store.objects().path(digest).exists()));
    all_there(&store, &digests);
    all_there(&before, &digests);
    let mut found = Vec::new();
    begun.read_to_end(&mut found).unwrap();
    assert!(found == bytes(7), "what was open stays whole");
    assert_eq!(reader(&paths).check(true).unwrap(), []);

    // Lent as a file, named again by another node, and packed no second time.
    assert!(fs::read(store.object_file(&digests[3]).unwrap()).unwrap() == bytes(3));
    let content = Content::Object { digest: digests[4].clone(), size: OBJECT as u64 };
    store
        .commit(vec![folder(vec![FileContent { path: "b".into(), content, executable: false }])])
        .await
        .unwrap();
    age(&store.objects().path(&digests[3]));
    let again = maintain(&store).await;
    assert_eq!((again.doubles, again.packed), (1, 0));
    all_there(&store, &digests);
}

#[tokio::test]
async fn what_a_crash_leaves_is_tidied_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), "p");
    let store = open(&paths);
    let digests = fill(&store, 0..40).await;
    digests.iter().for_each(|digest| age(&store.objects().path(digest)));
    // Cut off before the pack has its name, and before a row names it.
    fs::create_dir_all(paths.objects().join("packs")).unwrap();
    fs::write(paths.objects().join("packs/.new-abc"), "half").unwrap();
    fs::write(paths.objects().join("packs/nameless.pack"), "whole").unwrap();
    // Cut off before the files are gone that lie in the pack by now.
    let kept: Vec<_> = digests.iter().map(|digest| fs::read(store.objects().path(digest)).unwrap()).collect();
    maintain(&store).await;
    for (digest, bytes) in digests.iter().zip(kept) {
        let path = store.objects().path(digest);
        fs::write(&path, bytes).unwrap();
        age(&path);
    }
    drop(store);
    let store = open(&paths);
    all_there(&store, &digests);
    assert_eq!(maintain(&store).await.doubles, 40);
    assert_eq!(packs(&paths).len(), 1);
    all_there(&store, &digests);
    assert_eq!(reader(&paths).check(true).unwrap(), []);
}

#[tokio::test]
async fn what_nothing_names_is_collected_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), "p");
    let store = open(&paths);
    let digests = fill(&store, 0..2).await;
    let path = |number| {
        let (digest, _) = store.objects().put_bytes(bytes(number)).unwrap().digest_and_size();
        store.objects().path(&digest)
    };
    let (young, old, renewed) = (path(100), path(101), path(102));
    [&old, &renewed].into_iter().for_each(|path| age(path));
    age(&store.objects().path(&digests[0]));
    // Somebody is about to name it again.
    store.objects().put_bytes(bytes(102)).unwrap();
    let tidied = maintain(&store).await;
    assert_eq!(tidied.collected, 1);
    assert!(young.exists() && renewed.exists() && !old.exists());
    all_there(&store, &digests);
}

#[tokio::test]
async fn a_pack_that_is_mostly_holes_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), "p");
    let store = open(&paths);
    let digests = fill(&store, 0..40).await;
    digests.iter().for_each(|digest| age(&store.objects().path(digest)));
    maintain(&store).await;
    let before = packs(&paths);
    // As if the nodes of most of them were deleted.
    let db = rusqlite::Connection::open(paths.store()).unwrap();
    for digest in &digests[10..] {
        db.execute("DELETE FROM node_file WHERE digest = ?1", [digest]).unwrap();
    }
    drop(db);
    let tidied = maintain(&store).await;
    assert_eq!((tidied.collected, tidied.packed), (30, 10));
    let after = packs(&paths);
    assert!(after.len() == 1 && after != before);
    all_there(&store, &digests[..10]);
    assert_eq!(reader(&paths).check(true).unwrap(), []);
}

#[tokio::test]
async fn damage_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), "p");
    let store = open(&paths);
    let digests = fill(&store, 0..4).await;
    assert_eq!(reader(&paths).check(false).unwrap(), []);
    let rewrite = |digest: &str, bytes: &[u8]| {
        let path = store.objects().path(digest);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    };
    fs::remove_file(store.objects().path(&digests[0])).unwrap();
    rewrite(&digests[1], b"cut");
    rewrite(&digests[2], &bytes(99));
    let db = rusqlite::Connection::open(paths.store()).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute("INSERT INTO link VALUES (1, 2, 'create', 'x')", []).unwrap();
    db.execute("INSERT INTO log (process, time, level, message) VALUES (77, 0, 'report', '')", []).unwrap();

    let named = |full: bool| {
        let findings = reader(&paths).check(full).unwrap();
        findings
            .iter()
            .map(|finding| format!("{}: {}", finding.rule, finding.what))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let quick = named(false);
    let expected =
        [digests[0].as_str(), digests[1].as_str(), "of `log`", "wrong kinds of node", "node 1 (`a`)"];
    assert!(expected.iter().all(|part| quick.contains(part)), "{quick}");
    assert!(!quick.contains(&digests[2]), "{quick}");
    let full = named(true);
    assert!(full.contains(&digests[2]) && full.contains("does not match its digest"), "{full}");
    assert!(!full.contains(&digests[3]), "{full}");
}

#[tokio::test]
async fn links_and_words_that_no_rule_allows_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), "p");
    let store = open(&paths);
    let process = |kind| {
        Change::Process(NewProcess {
            uuid: Uuid::now_v7(),
            process_type: "test.type".into(),
            kind,
            label: String::new(),
            description: String::new(),
            plugin: "digest".into(),
            caller: None,
            computer: None,
            body: Value::Map([].into()),
        })
    };
    let made = store.commit(vec![process(Kind::WorkChain), process(Kind::CalcJob)]).await.unwrap();
    let (flow, calc) = (made[0].0, made[1].0);
    let check = |source: i64, target: i64, link: &str, expected: usize| {
        let db = rusqlite::Connection::open(paths.store()).unwrap();
        let values = rusqlite::params![source, target, link];
        db.execute("INSERT INTO link VALUES (?1, ?2, ?3, 'x')", values).unwrap();
        let found = reader(&paths).check(false).unwrap();
        assert_eq!(found.iter().filter(|finding| finding.rule == "link").count(), expected, "{found:?}");
        db.execute("DELETE FROM link", []).unwrap();
    };
    check(flow, calc, "call_calc", 0);
    check(flow, calc, "call_work", 1);
    check(calc, flow, "call_work", 1);
    check(flow, flow, "call_work", 1);

    // Neither the owner's connection nor a read-only one looks at the CHECKs.
    let db = rusqlite::Connection::open(paths.store()).unwrap();
    db.pragma_update(None, "ignore_check_constraints", true).unwrap();
    db.execute("UPDATE process SET state = 'asleep' WHERE id = ?1", [calc]).unwrap();
    let found = reader(&paths).check(false).unwrap();
    let told = format!("process {calc} has the unknown state `asleep`");
    assert!(found.iter().any(|finding| finding.rule == "word" && finding.what.contains(&told)), "{found:?}");
}

#[tokio::test]
async fn a_backup_made_while_the_owner_writes_is_a_whole_home() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path().join("home"), "p");
    let store = open(&paths);
    let digests = fill(&store, 0..40).await;
    digests.iter().for_each(|digest| age(&store.objects().path(digest)));
    maintain(&store).await;
    let process = Change::Process(NewProcess {
        uuid: Uuid::now_v7(),
        process_type: "test.job".into(),
        kind: Kind::CalcJob,
        label: String::new(),
        description: String::new(),
        plugin: "digest".into(),
        caller: None,
        computer: None,
        body: Value::Map([].into()),
    });
    let live = store.commit(vec![process]).await.unwrap()[0];
    let writing = {
        let store = store.clone();
        tokio::spawn(async move { fill(&store, 40..140).await })
    };
    let dest = dir.path().join("backup");
    let made = {
        let (paths, dest) = (paths.clone(), dest.clone());
        tokio::task::spawn_blocking(move || reader(&paths).backup(&paths, &dest)).await.unwrap().unwrap()
    };
    assert!(made.linked > 0 && made.linked == made.files);
    writing.await.unwrap();

    let copy = Paths::new(&dest, "p");
    assert_eq!(reader(&copy).check(true).unwrap(), []);
    let copied = open(&copy);
    all_there(&copied, &digests);
    let row = copied.process(live).unwrap();
    assert!(row.wishes.paused && row.state == State::Created, "two stores would act for one process");
    assert!(!store.process(live).unwrap().wishes.paused);
    assert!(copied.node(NodeId(41)).is_ok());

    let again = reader(&paths).backup(&paths, &dest).unwrap_err();
    assert_eq!(*again.kind(), ErrorKind::Exists);
}
