//! A store that an older ferry left with jobs queued and running: opened by this one, their ids, tickets and intents
//! are what they were, so that each job is watched on, and none is submitted once more.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeMap, path::Path};

use ferry_engine::{
    calcjob::{Checkpoint, Step},
    process::State,
    store::{NodeId, Objects, Process, Reader, SqliteReader, SqliteStore, Store},
};
use rusqlite::Connection;

const GOLDEN_V4: &str = include_str!("../store/tests/golden/store_v4.sql");

/// Processes in Slurm: the job of one waits, that of the other runs.
const PENDING: NodeId = NodeId(1);
const RUNNING: NodeId = NodeId(6);
/// One whose job runs directly.
const DIRECT: NodeId = NodeId(11);
/// One that a forced kill ended, and whose job was not cancelled yet.
const LEFT: NodeId = NodeId(16);
const FINISHED: NodeId = NodeId(21);
/// Two of which the submission was sent, and nobody knows what came of it; the first is to be killed.
const UNCLEAR: [NodeId; 2] = [NodeId(28), NodeId(33)];

fn store(dir: &Path) -> SqliteStore {
    let file = dir.join("store.db");
    let db = Connection::open(&file).unwrap();
    db.execute_batch(GOLDEN_V4).unwrap();
    drop(db);
    SqliteStore::open(&file, Objects::new(dir.join("objects"))).unwrap()
}

/// Opened once by an owner, so it is of today's format, and read.
fn opened<T>(look: impl FnOnce(&Reader) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    look(store(dir.path()).reader())
}

fn checkpoint(process: &Process) -> Checkpoint {
    Checkpoint::read(process.checkpoint()).unwrap()
}

#[test]
fn who_lives_is_watched_by_the_same_job_and_token() {
    opened(|store| {
        let live: Vec<NodeId> = store.live_processes().unwrap().into_iter().map(|live| live.id).collect();
        assert_eq!(live, [PENDING, RUNNING, DIRECT, UNCLEAR[0], UNCLEAR[1]]);
        let direct = "vm:93927804-662a-4f0f-9f71-57b339a350f9:8878:192987";
        let jobs = [
            (PENDING, "7", "01a22c14-6dc0-769f-b6b2-dacec736f4e6"),
            (RUNNING, "8", "01a22c14-71b5-743c-8f9d-a222ed21795d"),
            (DIRECT, direct, "01a22c14-75bc-71a6-81d4-4e9fab7d9168"),
        ];
        for (id, job, token) in jobs {
            let process = store.process(id).unwrap();
            assert_eq!((process.state, process.job_id()), (State::Waiting, Some(job)));
            let checkpoint = checkpoint(&process);
            assert_eq!(
                (checkpoint.step, process.attempts.attempt, checkpoint.forgotten),
                (Step::Update, 0, 0)
            );
            let submission = checkpoint.submission.unwrap();
            assert_eq!(submission.token, token);
            assert_eq!(Some(&submission.dir), checkpoint.dir.as_ref());
            assert_eq!(checkpoint.unclear_since, None);
        }
    });
}

#[test]
fn an_intent_without_outcome_is_looked_up_and_not_sent_again() {
    opened(|store| {
        let wishes = [true, false];
        for (id, to_be_killed) in UNCLEAR.into_iter().zip(wishes) {
            let process = store.process(id).unwrap();
            assert_eq!((process.state, process.job_id()), (State::Running, None));
            assert_eq!(process.wishes.kill, to_be_killed);
            let checkpoint = checkpoint(&process);
            assert_eq!((checkpoint.step, checkpoint.resubmit), (Step::Submit, false));
            assert!(checkpoint.submission.unwrap().token.starts_with("01a22c14-"));
        }
    });
}

#[test]
fn each_ticket_is_counted_where_it_was_taken() {
    opened(|store| {
        let queued = |computer: &str| -> BTreeMap<u64, bool> {
            let tickets = store.tickets(computer).unwrap().into_iter();
            tickets.map(|ticket| (ticket.process.0 as u64, ticket.queued)).collect()
        };
        assert_eq!(queued("cluster"), [(1, true), (6, false), (28, true), (33, true)].into());
        assert_eq!(queued("localhost"), [(11, false)].into());
        assert!(store.gate("cluster").unwrap().is_some());
        let cluster = store.computer("cluster").unwrap().config;
        assert_eq!((cluster.max_queued_jobs, cluster.max_active_jobs), (Some(3), Some(100)));
        // What a test job has shown holds on, so recovery may conclude from listings as before.
        assert!(store.host("cluster").unwrap().is_proven(&cluster));
    });
}

#[test]
fn the_reaper_finds_the_job_that_was_left_to_it() {
    opened(|store| {
        let orphans = store.orphans().unwrap();
        let [orphan] = orphans.as_slice() else { panic!("{orphans:?}") };
        assert_eq!((orphan.process, orphan.computer.as_str()), (LEFT, "cluster"));
        assert_eq!(orphan.job_id.as_deref(), Some("9"));
        assert_eq!(orphan.submission.token, "01a22c14-785b-752d-9b15-4c7a3c073f68");
        assert!(orphan.error.as_deref().unwrap().contains("connect failure"));
        assert_eq!(store.process(LEFT).unwrap().state, State::Killed);
        let finished = store.process(FINISHED).unwrap();
        assert_eq!((finished.state, finished.end.status), (State::Finished, Some(0)));
    });
}

#[test]
fn nothing_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(dir.path()));
    let reader = SqliteReader::open(&dir.path().join("store.db"), Objects::new(dir.path().join("objects")));
    assert_eq!(reader.unwrap().check(true).unwrap(), []);
}
