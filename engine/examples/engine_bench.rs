//! Figures of the engine alone, without jobs: `cargo xtask bench engine` runs this and prints a table.
//!
//! ```text
//! engine_bench noop COUNT | chain STEPS | wait COUNT | steps COUNT EACH | calls COUNT EACH | baseline GROUP
//! ```
//!
//! `FERRY_HOME` is the profile (a scratch one), `FERRY_BIN` the executable that hosts plugins, `FERRY_SCRIPT_PLUGIN`
//! the file of `tests/plugins/script`. One line of JSON on standard output.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    env,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ferry_engine::{
    embed::{Engine, Handle},
    owner::Builder,
    process::{InputValue, Launch, Metadata, State},
    profile::Paths,
    rpc::{Request, Response},
    store::{Objects, Reader},
};
use ferry_plugin_proto::Value;
use tokio::{sync::Semaphore, task::JoinSet};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Launches at the same time.
const AT_ONCE: usize = 256;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let number =
        |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok()).ok_or("a number is missing");
    match words.first().map(String::as_str) {
        Some("noop") => noop(number(1)?).await,
        Some("chain") => chain(number(1)?).await,
        Some("wait") => wait(number(1)?).await,
        Some(what @ ("steps" | "calls")) => workchains(what, number(1)?, number(2)?).await,
        Some("baseline") => baseline(number(1)?),
        _ => Err("engine_bench noop COUNT | chain STEPS | wait COUNT | steps COUNT EACH | calls COUNT EACH | baseline GROUP".into()),
    }
}

fn variable(name: &str) -> Result<String, Failure> {
    env::var(name).map_err(|_| format!("{name} is not set").into())
}

async fn open() -> Result<Engine, Failure> {
    let builder = Builder {
        paths: Paths::new(variable("FERRY_HOME")?, "default"),
        transports: Vec::new(),
        schedulers: Default::default(),
        host_exe: variable("FERRY_BIN")?.into(),
        bundled: Vec::new(),
    };
    let engine = Engine::open(&builder).await?;
    let path = variable("FERRY_SCRIPT_PLUGIN")?;
    match engine.handle().ask(Request::InstallPlugin { path }).await {
        Response::Plugin { .. } => Ok(engine),
        other => Err(format!("the plugin was not installed: {other:?}").into()),
    }
}

/// A launch of `script.run`.
fn script(operations: Vec<Value>) -> Launch {
    let value = InputValue::New { data_type: None, value: Value::List(operations), files: Vec::new() };
    Launch {
        process_type: "script.run".into(),
        inputs: [("script".to_owned(), value)].into(),
        metadata: Metadata::default(),
        groups: Vec::new(),
    }
}

fn operation(key: &str, number: i64) -> Value {
    Value::Map([(key.to_owned(), Value::Int(number))].into())
}

/// Processes that end at once, launched and awaited by as many tasks as a busy program has.
async fn noop(count: usize) -> Result<(), Failure> {
    let mut engine = open().await?;
    engine.start();
    let handle = engine.handle();
    each(&handle, 64, Vec::new(), true).await?;
    let before = *handle.commits().borrow();
    let start = Instant::now();
    each(&handle, count, Vec::new(), true).await?;
    let seconds = start.elapsed().as_secs_f64();
    let commits = *handle.commits().borrow() - before;
    println!("{{\"seconds\": {seconds}, \"count\": {count}, \"commits\": {commits}}}");
    engine.stop().await;
    Ok(())
}

/// Steps that depend on one another: one process, one commit a step.
async fn chain(steps: usize) -> Result<(), Failure> {
    let mut engine = open().await?;
    engine.start();
    let handle = engine.handle();
    handle.run(script(Vec::new())).await?;
    let mut commits = handle.commits();
    let watch = tokio::spawn(async move {
        let mut times = vec![Instant::now()];
        while times.len() <= steps && commits.changed().await.is_ok() {
            times.push(Instant::now());
        }
        times
    });
    let ended = handle.run(script(vec![operation("steps", steps as i64)])).await?;
    if ended.end.status != Some(0) {
        return Err(format!("the chain ended badly: {ended:?}").into());
    }
    let times = watch.await?;
    let mut lasted: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    lasted.sort_by(f64::total_cmp);
    println!("{{\"step\": {}, \"slowest\": {}}}", lasted[lasted.len() / 2], lasted[lasted.len() - 1]);
    engine.stop().await;
    Ok(())
}

/// Processes that wait for a far time; all are left behind.
async fn wait(count: usize) -> Result<(), Failure> {
    let mut engine = open().await?;
    engine.start();
    let handle = engine.handle();
    let start = Instant::now();
    each(&handle, count, vec![operation("sleep", 10_000_000)], false).await?;
    println!("{{\"seconds\": {}}}", start.elapsed().as_secs_f64());
    // Whoever measures a daemon at rest must not find it at their first steps.
    let paths = Paths::new(variable("FERRY_HOME")?, "default");
    let reader = Reader::open(&paths.store(), Objects::new(paths.objects()))?;
    while reader.count_processes()?.iter().any(|(state, _)| *state != State::Waiting) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    engine.stop().await;
    Ok(())
}

/// Workchains side by side that take so many steps, or make so many calls one after the other.
async fn workchains(what: &str, count: usize, each: usize) -> Result<(), Failure> {
    let mut engine = open().await?;
    engine.start();
    let handle = engine.handle();
    let launch = |number: usize| Launch {
        process_type: "script.count".into(),
        inputs: [(
            what.to_owned(),
            InputValue::New { data_type: None, value: Value::Int(number as i64), files: Vec::new() },
        )]
        .into(),
        metadata: Metadata::default(),
        groups: Vec::new(),
    };
    all(&handle, vec![launch(1); 8], true).await?;
    let start = Instant::now();
    all(&handle, vec![launch(each); count], true).await?;
    println!("{{\"seconds\": {}}}", start.elapsed().as_secs_f64());
    engine.stop().await;
    Ok(())
}

async fn each(
    handle: &Handle,
    count: usize,
    operations: Vec<Value>,
    to_the_end: bool,
) -> Result<(), Failure> {
    all(handle, vec![script(operations); count], to_the_end).await
}

async fn all(handle: &Handle, launches: Vec<Launch>, to_the_end: bool) -> Result<(), Failure> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for launch in launches {
        let permit = permits.clone().acquire_owned().await?;
        let handle = handle.clone();
        tasks.spawn(async move {
            let launched = handle.launch(launch).await?;
            if to_the_end {
                handle.ended(launched.id).await?;
            }
            drop(permit);
            Ok::<_, Failure>(())
        });
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Measures SQLite itself on this disk: the time of one commit of one row, and the number of batches of one row a
/// second if each commit holds a group of them, a savepoint each.
fn baseline(group: usize) -> Result<(), Failure> {
    let home = variable("FERRY_HOME")?;
    std::fs::create_dir_all(&home)?;
    let mut db = rusqlite::Connection::open(Path::new(&home).join("baseline.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch("CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")?;
    let mut singles = Vec::new();
    for _ in 0..300 {
        let start = Instant::now();
        insert(&mut db, 1)?;
        singles.push(start.elapsed().as_secs_f64());
    }
    singles.sort_by(f64::total_cmp);
    let start = Instant::now();
    let mut batches = 0;
    while start.elapsed() < Duration::from_secs(3) {
        insert(&mut db, group.max(1))?;
        batches += group.max(1);
    }
    let rate = batches as f64 / start.elapsed().as_secs_f64();
    println!("{{\"commit\": {}, \"batches_per_second\": {rate}}}", singles[singles.len() / 2]);
    Ok(())
}

fn insert(db: &mut rusqlite::Connection, batches: usize) -> rusqlite::Result<()> {
    let mut tx = db.transaction()?;
    for _ in 0..batches {
        let savepoint = tx.savepoint()?;
        savepoint.prepare_cached("INSERT INTO row (text) VALUES ('a process and its state')")?.execute([])?;
        savepoint.commit()?;
    }
    tx.commit()
}
