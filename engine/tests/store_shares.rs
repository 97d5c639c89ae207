//! A store that an older ferry left with jobs on a machine that nothing bounded: opened by this one, each of them counts for
//! a core, so that no more are started beside them than fit, and what ran is watched on.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use ferry_engine::{
    calcjob::{Checkpoint, Step},
    scheduler::{Bounds, Demand, Machine},
    store::{Change, ErrorKind, NodeId, Objects, SqliteReader, SqliteStore, Store},
};
use rusqlite::Connection;

const GOLDEN_V5: &str = include_str!("../store/tests/golden/store_v5.sql");
const RUNNING: [NodeId; 3] = [NodeId(1), NodeId(5), NodeId(9)];
const FINISHED: NodeId = NodeId(13);

fn store(dir: &Path) -> SqliteStore {
    let file = dir.join("store.db");
    let db = Connection::open(&file).unwrap();
    db.execute_batch(GOLDEN_V5).unwrap();
    drop(db);
    SqliteStore::open(&file, Objects::new(dir.join("objects"))).unwrap()
}

#[test]
fn jobs_that_run_count_for_a_core_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let tickets = store.tickets("ws").unwrap();
    let one = Demand { cores: 1, ..Demand::default() };
    let seen: Vec<_> = tickets.iter().map(|ticket| (ticket.process, ticket.demand)).collect();
    assert_eq!(seen, RUNNING.map(|id| (id, one)));
    for id in RUNNING {
        let process = store.process(id).unwrap();
        let checkpoint = Checkpoint::read(process.checkpoint()).unwrap();
        assert_eq!((checkpoint.step, process.attempts.attempt), (Step::Update, 0));
        assert!(checkpoint.submission.unwrap().environment.is_empty());
    }
    let ws = store.computer("ws").unwrap().config;
    assert_eq!((ws.num_cores, ws.num_gpus, ws.max_active_jobs), (None, None, Some(9)));
    // Nobody has asked its host yet.
    let sharing = store.sharing("ws").unwrap();
    assert_eq!((sharing.machine.clone(), sharing.capacity("ws")), (None, None));
    drop(store);
    let reader = SqliteReader::open(&dir.path().join("store.db"), Objects::new(dir.path().join("objects")));
    assert_eq!(reader.unwrap().check(true).unwrap(), []);
}

#[tokio::test]
async fn what_its_host_says_bounds_those_that_come() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let ticket = || Change::TakeTicket {
        process: FINISHED,
        computer: "ws".into(),
        token: "t".into(),
        bounds: Some(Bounds::default()),
        demand: Demand { cores: 1, ..Demand::default() },
    };
    let address = store.computer("ws").unwrap().config.address();
    let has = |cores| Change::Machine {
        address: address.clone(),
        machine: Machine { cores: Some(cores), ..Machine::default() },
    };
    store.commit(vec![has(3)]).await.unwrap();
    let error = store.commit(vec![ticket()]).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Limit);
    store.commit(vec![has(4), ticket()]).await.unwrap();
    assert_eq!(store.tickets("ws").unwrap().len(), 4);
}
