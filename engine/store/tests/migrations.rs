//! Stores of older formats become today's, whole or not at all; newer ones are refused.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::Path, time::Duration};

use ferry_engine_core::process::State;
use ferry_engine_store::{
    Attempts, Change, Error, ErrorKind, LinkType, NodeId, Objects, ProcessFilter, Reader, SqliteReader,
    SqliteStore, Store,
};
use ferry_plugin_proto::Value;
use jiff::Timestamp;
use rusqlite::Connection;

const GOLDEN_V6: &str = include_str!("golden/store_v6.sql");
const GOLDEN_V1: &str = include_str!("golden/store_v1.sql");
const TO_V2: &str = include_str!("../src/database/schema_v2.sql");
const TO_V3: &str = include_str!("../src/database/schema_v3.sql");
const TO_V4: &str = include_str!("../src/database/schema_v4.sql");
const FORMAT: i64 = 7;

/// A store as ferry 0.1.0 left it, with the one large object that it names.
fn v1(dir: &Path) -> Connection {
    let db = Connection::open(dir.join("store.db")).unwrap();
    db.execute_batch(GOLDEN_V1).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    put_printed(dir);
    db
}

fn put_printed(dir: &Path) {
    let printed: String = (1..=8000).map(|number| format!("{number}\n")).collect();
    Objects::new(dir.join("objects")).put_bytes(printed.into_bytes()).unwrap();
}

fn open(dir: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(&dir.join("store.db"), Objects::new(dir.join("objects")))
}

fn read(dir: &Path) -> Result<Reader, Error> {
    Reader::open(&dir.join("store.db"), Objects::new(dir.join("objects")))
}

fn format(dir: &Path) -> i64 {
    let db = Connection::open(dir.join("store.db")).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn everything_is_there(store: &Reader) {
    let states: Vec<_> = store
        .processes(&ProcessFilter::default())
        .unwrap()
        .into_iter()
        .map(|process| (process.id.0, process.process_type, process.state, process.end.status))
        .collect();
    let finished = |id, name: &str, status| (id, name.to_owned(), State::Finished, Some(status));
    let expected = [
        finished(1, "arithmetic.add", 0),
        finished(5, "arithmetic.add_job", 0),
        finished(11, "shell.run", 400),
        (17, "arithmetic.add_job".to_owned(), State::Created, None),
        finished(20, "shell.run", 0),
    ];
    assert_eq!(states, expected);
    assert_eq!(store.live_processes().unwrap()[0].id, NodeId(17));
    assert_eq!(store.node(NodeId(10)).unwrap().body, Value::Int(7));
    let made = store.incoming(NodeId(10)).unwrap();
    assert_eq!(
        (made[0].source, made[0].link_type, made[0].label.as_str()),
        (NodeId(5), LinkType::Create, "sum")
    );
    assert_eq!(store.incoming(NodeId(17)).unwrap().len(), 2);
    assert!(!store.logs(NodeId(11)).unwrap().is_empty());
    let retrieved = store.files(NodeId(24)).unwrap();
    let stdout = retrieved.iter().find(|file| file.path == "stdout").unwrap();
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut store.open_object(&stdout.digest).unwrap(), &mut printed).unwrap();
    assert!(printed.ends_with("\n8000\n"));
    assert_eq!(store.tickets("localhost").unwrap()[0].token, "golden-token");
    assert!(store.gate("localhost").unwrap().is_some());
    assert_eq!(store.members("runs").unwrap().len(), 2);
    assert_eq!(store.computer("localhost").unwrap().config.max_queued_jobs, Some(5));
    assert_eq!(store.plugins().unwrap().len(), 2);
    assert!(store.is_set_up().unwrap());
}

#[tokio::test]
async fn a_store_of_the_first_format_becomes_todays() {
    let dir = tempfile::tempdir().unwrap();
    drop(v1(dir.path()));
    let error = read(dir.path()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Older, "only an owner migrates");
    assert_eq!(format(dir.path()), 1);

    let store = open(dir.path()).unwrap();
    everything_is_there(store.reader());
    everything_is_there(&read(dir.path()).unwrap());
    assert_eq!(format(dir.path()), FORMAT);
    let reader =
        SqliteReader::open(&dir.path().join("store.db"), Objects::new(dir.path().join("objects"))).unwrap();
    assert_eq!(reader.check(true).unwrap(), []);
    let mut waits = store.process(NodeId(17)).unwrap();
    waits.state = State::Running;
    store.commit(vec![ferry_engine_store::Change::Update(Box::new(waits))]).await.unwrap();
}

#[test]
fn a_store_of_the_second_format_becomes_todays() {
    let dir = tempfile::tempdir().unwrap();
    let db = v1(dir.path());
    db.execute_batch(&format!("BEGIN; {TO_V2}; PRAGMA user_version = 2; COMMIT;")).unwrap();
    drop(db);
    assert_eq!(*read(dir.path()).unwrap_err().kind(), ErrorKind::Older);
    everything_is_there(open(dir.path()).unwrap().reader());
    assert_eq!(format(dir.path()), FORMAT);
}

/// Ferry 0.1.0's last format, with a job that holds a ticket.
#[test]
fn a_store_of_the_fourth_format_becomes_todays() {
    let dir = tempfile::tempdir().unwrap();
    let db = v1(dir.path());
    for (number, sql) in (2..).zip([TO_V2, TO_V3, TO_V4]) {
        db.execute_batch(&format!("BEGIN; {sql}; PRAGMA user_version = {number}; COMMIT;")).unwrap();
    }
    drop(db);
    assert_eq!(*read(dir.path()).unwrap_err().kind(), ErrorKind::Older);
    let store = open(dir.path()).unwrap();
    everything_is_there(store.reader());
    assert!(store.reader().queues().unwrap().is_empty(), "nobody was asked yet");
    let sharing = store.reader().sharing("localhost").unwrap();
    assert_eq!(sharing.labels().collect::<Vec<_>>(), ["localhost"]);
    assert_eq!(format(dir.path()), FORMAT);
}

/// A store of the sixth format, as the first owner of today opens it.
fn v6(dir: &Path) -> SqliteStore {
    let db = Connection::open(dir.join("store.db")).unwrap();
    db.execute_batch(GOLDEN_V6).unwrap();
    drop(db);
    assert_eq!(*read(dir).unwrap_err().kind(), ErrorKind::Older);
    let store = open(dir).unwrap();
    assert_eq!(format(dir), FORMAT);
    store
}

/// Failed attempts were part of each kind's checkpoint: a process in the middle of its retries keeps them.
#[tokio::test]
async fn attempts_of_the_sixth_format_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = v6(dir.path());
    let reader =
        SqliteReader::open(&dir.path().join("store.db"), Objects::new(dir.path().join("objects"))).unwrap();
    assert_eq!(reader.check(true).unwrap(), []);
    let process = |id| store.reader().process(NodeId(id)).unwrap();
    let started = "start plugin host: input/output error, path: /scratch/golden6/bin/ferry: No such file or \
                   directory (os error 2)";
    let job = "read: not a directory, path: /scratch/golden6/file/work/ee/86/01a22e62f9c37784bb79bd4494df/.ferry/sentinel: \
               Not a directory (os error 20)";
    let waits = [
        (18, "2026-11-30T22:35:53.747845893Z", Duration::from_millis(3_585_600), job),
        (23, "2026-11-30T22:35:50.38598812Z", Duration::from_millis(3_574_800), started),
        (26, "2026-11-30T22:32:03.585533774Z", Duration::from_secs(3348), started),
        (33, "2026-11-30T22:37:34.028036991Z", Duration::from_millis(3_675_600), started),
    ];
    for (id, next_try, planned, error) in waits {
        let (next_try, planned, last_error) = (next_try.parse().ok(), Some(planned), Some(error.into()));
        let kept = Attempts { attempt: 1, next_try, planned, last_error, ..Attempts::default() };
        assert_eq!(process(id).attempts, kept, "{id}");
    }
    assert_eq!(process(11).attempts, Attempts { deaths: 2, ..Attempts::default() });
    for id in [1, 5, 13, 21, 30] {
        assert_eq!(process(id).attempts, Attempts::default(), "{id}");
    }

    // They go on as those of today: by the user's word, or by a step that succeeds.
    store.commit(vec![pause(18, true), pause(18, false), Change::Resume(NodeId(11))]).await.unwrap();
    let again = process(18).attempts;
    assert_eq!((again.attempt, again.next_try, again.last_error.as_deref()), (0, None, Some(job)));
    assert_eq!((process(11).state, process(11).attempts), (State::Created, Attempts::default()));
    let mut gets_on = process(33);
    gets_on.progress();
    gets_on.run(None);
    store.commit(vec![gets_on.update()]).await.unwrap();
    assert_eq!(process(33).attempts, Attempts::default());
}

fn pause(id: i64, paused: bool) -> Change {
    Change::Pause { process: NodeId(id), paused }
}

/// The time since which a workflow waits was part of its checkpoint.
#[test]
fn timers_of_the_sixth_format_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = v6(dir.path());
    let live = store.reader().live_processes().unwrap();
    let live = |id| live.iter().find(|live| live.id == NodeId(id)).unwrap();
    let time = |text: &str| text.parse::<Timestamp>().ok();
    assert_eq!(live(21).wake, time("2030-01-31T07:22:48.185289Z"));
    assert_eq!(live(21).since, time("2026-11-30T21:36:08.220Z"), "to a millisecond");
    assert_eq!(live(33).since, time("2026-11-30T21:36:12.462Z"));
    assert_eq!((live(13).since, live(26).since), (None, None));
    for id in [21, 33] {
        let checkpoint = store.reader().process(NodeId(id)).unwrap().checkpoint().unwrap().to_owned();
        let words = ["\"steps\":1", "\"calls\":[]", "\"until\":\"20"];
        assert!(words.iter().all(|word| checkpoint.contains(word)), "{checkpoint}");
        assert!(
            ["since", "attempt", "planned"].iter().all(|word| !checkpoint.contains(word)),
            "{checkpoint}"
        );
    }
    assert_eq!(
        store.reader().process(NodeId(23)).unwrap().checkpoint(),
        None,
        "a function has no other state"
    );
}

#[test]
fn a_crash_in_the_middle_leaves_the_old_format() {
    let dir = tempfile::tempdir().unwrap();
    let (home, crashed) = (dir.path().join("home"), dir.path().join("crashed"));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&crashed).unwrap();
    let db = v1(&home);
    // So small a cache that half of the migration is in the log before it is committed.
    db.execute_batch(&format!("PRAGMA cache_size = 1; BEGIN IMMEDIATE; {TO_V2}; PRAGMA user_version = 2;"))
        .unwrap();
    for name in ["store.db", "store.db-wal"] {
        fs::copy(home.join(name), crashed.join(name)).unwrap();
    }
    put_printed(&crashed);
    drop(db);

    assert_eq!(format(&crashed), 1);
    let store = open(&crashed).unwrap();
    everything_is_there(store.reader());
    assert_eq!(format(&crashed), FORMAT);
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = v1(dir.path());
    // In the way of the last table that the migration makes.
    db.execute_batch("CREATE TABLE pack (mine TEXT)").unwrap();
    drop(db);
    assert!(open(dir.path()).is_err());
    assert_eq!(format(dir.path()), 1);
    let db = Connection::open(dir.path().join("store.db")).unwrap();
    assert!(db.prepare("SELECT epoch FROM owner").is_err(), "the first half was kept");
    db.execute_batch("DROP TABLE pack").unwrap();
    drop(db);
    everything_is_there(open(dir.path()).unwrap().reader());
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let path = dir.path().join("store.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", FORMAT + 1).unwrap();
    let before = fs::read(&path).unwrap();
    for error in [open(dir.path()).unwrap_err(), read(dir.path()).unwrap_err()] {
        assert_eq!(*error.kind(), ErrorKind::Newer);
        assert!(error.to_string().contains("newer ferry"), "{error}");
        assert!(error.help_text().unwrap().contains("FERRY_HOME"));
    }
    assert!(fs::read(&path).unwrap() == before);
}
