//! Makes a store of a million nodes and times what people ask of it: `cargo run --release -p ferry-engine --example
//! large_store -- DIR [PROCESSES]`. A directory that holds one already is only timed.
//!
//! Each process has two inputs and now and then an output, a hundredth are live, a thousandth in a group. The rows are
//! written by plain SQL, not as commits: a million of those would take an hour.

use std::{
    error::Error,
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ferry_engine::{
    process::State,
    store::{NodeId, Objects, ProcessFilter, Reader, SqliteReader, SqliteStore},
};
use rusqlite::Connection;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Number of times that each question is asked.
const ROUNDS: usize = 40;

fn main() -> Outcome {
    let mut words = std::env::args().skip(1);
    let dir = PathBuf::from(words.next().ok_or("name a directory")?);
    let processes: i64 = words.next().map_or(Ok(300_000), |word| word.parse())?;
    let store = dir.join("store.db");
    if !store.exists() {
        fs::create_dir_all(&dir)?;
        drop(SqliteStore::open(&store, Objects::new(dir.join("objects")))?);
        fill(&store, processes)?;
    }
    ask(&Reader::open(&store, Objects::new(dir.join("objects")))?)?;
    let begun = Instant::now();
    let faults = SqliteReader::open(&store, Objects::new(dir.join("objects")))?.check(false)?;
    line(format!("{:>10.1} ms  storage check: {} faults", millis(begun.elapsed()), faults.len()))
}

/// Numbers of nodes: three to a process (two inputs, itself), and an output for a third of them.
fn fill(store: &Path, processes: i64) -> Outcome {
    let db = Connection::open(store)?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN")?;
    db.execute_batch(&format!(
        "CREATE TEMP TABLE number AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {processes})
             SELECT i FROM n;
         INSERT INTO node (id, uuid, kind, type, label, description, body, created, modified)
             SELECT i, printf('01900000-%04x-7000-8000-%012x', i % 65536, i), 'process',
                 'type.t' || (i % 7), CASE WHEN i % 50 = 0 THEN 'label' || i ELSE '' END, '', '{{}}',
                 1700000000000000 + i, 1700000000000000 + i FROM number;
         INSERT INTO process (id, kind, state, plugin, exit_status, status, root)
             SELECT i, 'calcjob', CASE WHEN i % 100 = 0 THEN 'waiting' WHEN i % 1000 = 1 THEN 'excepted' ELSE 'finished' END,
                 'digest', CASE WHEN i % 100 = 0 THEN NULL ELSE i % 5 / 4 END, 'waiting for its job', i FROM number;
         INSERT INTO node (uuid, kind, type, label, description, body, created, modified)
             SELECT printf('01a00000-%04x-7000-8000-%012x', j, i), 'data', 'int', '', '', '1', 1700000000000000 + i,
                 1700000000000000 + i
             FROM number, (SELECT 1 AS j UNION ALL SELECT 2 UNION ALL SELECT 3) WHERE j < 3 OR i % 3 = 0;
         INSERT INTO link SELECT n.id, i, 'input_calc', 'x' FROM number JOIN node n
             ON n.uuid = printf('01a00000-%04x-7000-8000-%012x', 1, i);
         INSERT INTO link SELECT n.id, i, 'input_calc', 'y' FROM number JOIN node n
             ON n.uuid = printf('01a00000-%04x-7000-8000-%012x', 2, i);
         INSERT INTO link SELECT i, n.id, 'create', 'sum' FROM number JOIN node n
             ON n.uuid = printf('01a00000-%04x-7000-8000-%012x', 3, i);
         INSERT INTO log (process, time, level, message) SELECT i, i, 'report', 'it went on' FROM number;
         INSERT INTO node_group (uuid, label, description, created) VALUES ('g', 'thousandth', '', 0);
         INSERT INTO group_member SELECT 1, i FROM number WHERE i % 1000 = 0;
         COMMIT; PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)"
    ))?;
    Ok(())
}

fn ask(store: &Reader) -> Outcome {
    let all = ProcessFilter { limit: Some(100), ..ProcessFilter::default() };
    let state = |state| ProcessFilter { states: vec![state], ..all.clone() };
    let live = ProcessFilter { states: State::LIVE.to_vec(), limit: None, ..ProcessFilter::default() };
    let of_type = ProcessFilter { process_type: Some("type.t3".into()), ..all.clone() };
    let in_group = ProcessFilter { group: Some("thousandth".into()), ..all.clone() };
    let rare =
        ProcessFilter { states: vec![State::Excepted], process_type: Some("type.t3".into()), ..all.clone() };
    let none = ProcessFilter { process_type: Some("type.none".into()), ..all.clone() };
    let list = |filter: &ProcessFilter| store.processes(filter).map(|found| found.len());
    time("process list (live)", || list(&live))?;
    time("process list (live, newest 100)", || list(&ProcessFilter { limit: Some(100), ..live.clone() }))?;
    time("process list -a (newest 100)", || list(&all))?;
    time("process list -S excepted", || list(&state(State::Excepted)))?;
    time("process list -S killed (none)", || list(&state(State::Killed)))?;
    time("process list -a -T", || list(&of_type))?;
    time("process list -a -T (none)", || list(&none))?;
    time("process list -S excepted -T", || list(&rare))?;
    let ended = ProcessFilter { states: vec![State::Finished, State::Excepted], ..all.clone() };
    time("process list -S finished -S excepted", || list(&ended))?;
    time("process list -a -G", || list(&in_group))?;
    time("process list: total", || store.process_total().map(|total| total as usize))?;
    time("status: counts", || store.count_processes().map(|found| found.len()))?;
    time("process show", || {
        let process = store.process(NodeId(12_345))?;
        let mut nodes = store.incoming(process.id)?;
        nodes.extend(store.outgoing(process.id)?);
        nodes.iter().try_for_each(|link| store.node(link.source).and(store.node(link.target)).map(drop))?;
        Ok(nodes.len() + store.children(process.id)?.len() + store.logs(process.id)?.len())
    })?;
    time("find by uuid prefix", || store.find_node("01a00000-0002-7000-8000-00000000abcd").map(|_| 1))?;
    time("find by label", || store.find_node("label5000").map(|_| 1))?;
    time("an owner's start: live", || store.live_processes().map(|found| found.len()))
}

/// Prints the 95th percentile.
fn time(what: &str, ask: impl Fn() -> ferry_engine::store::Result<usize>) -> Outcome {
    let mut took = Vec::with_capacity(ROUNDS);
    let mut found = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        found = ask()?;
        took.push(begun.elapsed());
    }
    took.sort();
    line(format!("{:>10.1} ms  {what}: {found}", millis(took[ROUNDS * 95 / 100])))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn line(text: String) -> Outcome {
    Ok(writeln!(stdout(), "{text}")?)
}
