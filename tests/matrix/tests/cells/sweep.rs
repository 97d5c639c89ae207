//! Every named crash point, one after the other. A parent with two calcjobs and a calcfunction runs while the
//! daemon dies there. It must produce the same graph as without, compared node by node.
//!
//! It needs a `ferry` with the feature `crash-points`, which does nothing without `FERRY_CRASH_AT` and which no release
//! build has. `cargo xtask test` and `cargo xtask chaos` build it. All points are tried on local+direct; those on the
//! computer also on ssh+slurm with `--full`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::{Value, json};

use crate::{
    cell::{Cell, CellCase},
    chaos::{is_alive, points, runs},
};

pub(crate) const CASES: &[CellCase] =
    &[("every_crash_point_gives_the_same_graph", every_crash_point_gives_the_same_graph)];

const LIMIT: Duration = Duration::from_secs(240);
/// Runs beside one another: they mostly wait.
const LANES: usize = 4;
/// Tested passages of the places that everything passes.
const COMMITS: &[u64] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26];
/// Passages of the other places.
const PASSAGES: &[u64] = &[1, 2];

/// The processes that are run, and the actions of their user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Story {
    /// The tree runs to its end.
    Whole,
    /// It is killed while its first job runs.
    Killed,
    /// A restart workchain whose job a monitor stops, and which cleans up.
    Stopped,
}

/// A daemon's death, and the story that passes its place.
#[derive(Debug, Clone)]
struct Death {
    place: String,
    story: Story,
    /// True if the death must happen. The first passage of any place must.
    certain: bool,
}

fn every_crash_point_gives_the_same_graph(cell: &Cell) -> Result {
    let all = points()?;
    let is_local = cell.name == "local+direct";
    // In other cells the steps on the computer are enough: the local cell covers the rest, and they are
    // slower.
    let away =
        ["upload.", "submit.", "observed", "update.", "monitor.", "stash.", "retrieve.", "kill.", "clean."];
    let wanted = |point: &&String| is_local || away.iter().any(|start| point.starts_with(start));
    let deaths: Vec<Death> = all.iter().filter(wanted).flat_map(|point| deaths_at(point)).collect();
    let mut graphs = BTreeMap::new();
    for story in [Story::Whole, Story::Killed, Story::Stopped] {
        graphs.insert(story, tell(cell, story, None)?.0);
    }
    let (left, failures) = (Mutex::new(deaths.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(death) = next(&left) {
                    if let Err(error) = compare(cell, death, &graphs[&death.story]) {
                        let text = format!("FERRY_CRASH_AT={} ({:?}): {error}", death.place, death.story);
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                }
            });
        }
    });
    eprintln!("{}: {} deaths at {} places", cell.name, deaths.len(), all.iter().filter(wanted).count());
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    check(failures.is_empty(), || failures.join("\n\n"))
}

fn next<'a>(left: &Mutex<std::slice::Iter<'a, Death>>) -> Option<&'a Death> {
    left.lock().unwrap_or_else(PoisonError::into_inner).next()
}

fn deaths_at(point: &str) -> Vec<Death> {
    let story = match point.split_once('.') {
        Some(("kill", _)) => Story::Killed,
        Some(("monitor" | "clean", _)) => Story::Stopped,
        _ => Story::Whole,
    };
    let passages = if point.starts_with("commit.") { COMMITS } else { PASSAGES };
    let death = |count: &u64| Death { place: format!("{point}:{count}"), story, certain: *count == 1 };
    passages.iter().map(death).collect()
}

fn compare(cell: &Cell, death: &Death, want: &Value) -> Result {
    let (graph, died) = tell(cell, death.story, Some(&death.place))?;
    check(died || !death.certain, || "it is never passed".into())?;
    check(graph == *want, || format!("another graph: {graph:#}\nwithout the death: {want:#}"))
}

/// Tells a story with a daemon that dies at a place; the graph that comes of it, and whether it died.
fn tell(cell: &Cell, story: Story, place: Option<&str>) -> Result<(Value, bool)> {
    let ferry = cell.profile()?;
    ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
    ferry.ok(&["daemon", "stop"])?;
    let mut start = ferry.command(&["daemon", "start"]);
    start.envs(place.map(|place| ("FERRY_CRASH_AT", place)));
    // It may die before it has started.
    Profile::run(start)?;
    let worker = ferry.daemon().ok().map(|(pid, _)| pid);
    // The second passage of a launch is the tree's.
    launch(&ferry, "first", &["arithmetic.add", "x=1", "y=1"])?;
    let script = format!("script={}", script(&ferry, &cell.computer(), story));
    let marker = format!("add_job.marker={}", text(&ferry.scratch().join("a")));
    let computer = format!("add_job.metadata.computer={}", cell.computer());
    let tree = match story {
        Story::Stopped => {
            vec!["script.base", "add_job.x=1", "add_job.y=2", STOP, SLEEP, CLEAN, &marker, &computer]
        }
        _ => vec!["script.run", &script],
    };
    let tree = launch(&ferry, "tree", &tree)?;
    if story == Story::Killed {
        kill_when_it_runs(&ferry, &tree)?;
    }
    end(&ferry)?;
    if story == Story::Stopped {
        cleaned(&ferry, &tree)?;
    }
    // A job that is ended early may not have come so far.
    let most = if story == Story::Whole { 1..=1 } else { 0..=1 };
    for job in ["a", "b"].into_iter().filter(|job| story == Story::Whole || *job == "a") {
        let runs = runs(&ferry.scratch().join(job));
        check(most.contains(&runs), || format!("job {job} ran {runs} times"))?;
    }
    let died = worker.is_none_or(|pid| !is_alive(pid));
    ferry.ok(&["daemon", "stop"])?;
    ferry.ferry(&["storage", "check", "--full"])?.expect(0)?;
    Ok((graph(&ferry, &tree)?, died))
}

const STOP: &str = r#"add_job.monitors.stop={"entry_point": "shell.always_kill"}"#;
const SLEEP: &str = "add_job.sleep=60";
const CLEAN: &str = "clean_workdir=true";

/// Waits until the work directory of its only child is gone, with a daemon.
fn cleaned(ferry: &Profile, tree: &str) -> Result {
    let begun = Instant::now();
    let shown = ferry.json(&["process", "show", tree])?;
    let child = ferry.json(&["process", "show", &shown["called"][0]["id"].to_string()])?;
    let folder = child["outputs"]["remote_folder"]["id"].to_string();
    while !ferry.json(&["node", "show", &folder])?["cleaned"].is_string() {
        check(begun.elapsed() < LIMIT, || format!("it is not cleaned: {child:#}\n{}", ferry.log_tail()))?;
        ferry.ferry(&["daemon", "start"])?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Returns the program of the parent.
fn script(ferry: &Profile, computer: &str, story: Story) -> Value {
    let job = |call: &str, x: Value, sleep: f64| {
        // One puts aside what it has written, the other way for each.
        let mode = if call == "a" { "tar.gz" } else { "copy" };
        let mut stash = json!({"target_base": text(&ferry.scratch().join("stash")), "stash_mode": mode,
                               "source_list": ["_scheduler-stdout.txt"]});
        if call == "a" {
            stash["dereference"] = json!(true);
        }
        json!({"call": call, "type": "arithmetic.add_job", "computer": computer, "label": call,
               "options": {"stash": stash},
               "inputs": {"x": x, "y": 2, "sleep": sleep, "marker": text(&ferry.scratch().join(call))}})
    };
    let first = if story == Story::Killed { 60.0 } else { 0.1 };
    json!([
        job("a", json!(1), first),
        {"wait": ["a"]},
        {"call": "f", "type": "arithmetic.add", "label": "f", "inputs": {"x": "$a.sum", "y": 3}},
        {"wait": ["f"]},
        {"call": "g", "type": "arithmetic.multiply", "label": "g", "inputs": {"x": "$a.sum", "y": "$f.result"}},
        job("b", json!("$f.result"), 0.1),
        {"wait": ["b", "g"]},
        {"return": "sum", "of": "b.sum"},
        {"return": "product", "of": "g.result"},
    ])
}

/// Submits as a careful user does: where no answer came, they look before they repeat it.
pub(crate) fn launch(ferry: &Profile, label: &str, words: &[&str]) -> Result<String> {
    let begun = Instant::now();
    loop {
        let answer = ferry.ferry(&[&["submit", "--label", label], words].concat())?;
        if answer.status == 0 {
            return Ok(answer.stdout.trim().to_owned());
        }
        check(begun.elapsed() < LIMIT, || answer.stderr.clone())?;
        ferry.ferry(&["daemon", "start"])?;
        let listed = ferry.json(&["process", "list", "-a"])?;
        let found = listed.as_array().into_iter().flatten().find(|process| process["label"] == label);
        if let Some(found) = found {
            return Ok(found["id"].to_string());
        }
    }
}

fn kill_when_it_runs(ferry: &Profile, tree: &str) -> Result {
    let begun = Instant::now();
    while runs(&ferry.scratch().join("a")) == 0 && !has_job(ferry, tree)? {
        check(begun.elapsed() < LIMIT, || format!("no job runs\n{}", ferry.log_tail()))?;
        ferry.ferry(&["daemon", "start"])?;
        thread::sleep(Duration::from_millis(50));
    }
    while ferry.ferry(&["process", "kill", tree, "--timeout", "0"])?.status != 0 {
        check(begun.elapsed() < LIMIT, || "it can't be killed".into())?;
        ferry.ferry(&["daemon", "start"])?;
    }
    Ok(())
}

fn has_job(ferry: &Profile, tree: &str) -> Result<bool> {
    let shown = ferry.json(&["process", "show", tree])?;
    let Some(child) = shown["called"][0]["id"].as_i64() else { return Ok(false) };
    Ok(ferry.json(&["process", "show", &child.to_string()])?["job_id"].is_string())
}

/// Waits until all have ended, with a daemon.
pub(crate) fn end(ferry: &Profile) -> Result {
    let begun = Instant::now();
    loop {
        ferry.ferry(&["daemon", "start"])?;
        let live = ferry.json(&["process", "list"])?;
        if live.as_array().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        check(begun.elapsed() < LIMIT, || format!("not all have ended: {live:#}\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(100));
    }
}

/// Returns the process with all nodes that it used, made and called. A node is numbered when it is met first,
/// so that one node in one graph must be one in the other.
pub(crate) fn graph(ferry: &Profile, tree: &str) -> Result<Value> {
    let mut met = BTreeMap::new();
    let top = process(ferry, tree, &mut met)?;
    // Also what hangs on nothing, and how it hangs.
    let info = ferry.json(&["storage", "info"])?;
    Ok(json!({
        "top": top,
        "nodes": info["nodes"],
        "processes": info["processes"],
        "links": lines(ferry, LINKS)?,
        "files": lines(ferry, FILES)?,
    }))
}

const LINKS: &str = "SELECT s.type || ' -' || l.type || ' ' || l.label || '-> ' || t.type
     FROM link l JOIN node s ON s.id = l.source JOIN node t ON t.id = l.target ORDER BY 1";
const FILES: &str = "SELECT n.type || ' ' || f.path || ' ' || f.executable FROM node_file f JOIN node n ON n.id = f.node ORDER BY 1";

fn lines(ferry: &Profile, sql: &str) -> Result<Vec<String>> {
    let told = |error| format!("the store: {error}");
    let store = ferry.root().join("store.db");
    let db = rusqlite::Connection::open_with_flags(store, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let db = db.map_err(told)?;
    let mut query = db.prepare(sql).map_err(told)?;
    let rows = query.query_map([], |row| row.get(0)).map_err(told)?;
    rows.collect::<rusqlite::Result<_>>().map_err(told)
}

fn process(ferry: &Profile, id: &str, met: &mut BTreeMap<String, usize>) -> Result<Value> {
    let shown = ferry.json(&["process", "show", id])?;
    let mut kept = serde_json::Map::new();
    for key in ["process_type", "kind", "label", "state", "paused", "exit_code", "computer"] {
        kept.insert(key.into(), shown[key].clone());
    }
    kept.insert("exit_message".into(), without_paths(&shown["exit_message"]));
    for links in ["inputs", "outputs"] {
        let all = shown[links].as_object().into_iter().flatten();
        let all = all.map(|(label, node)| (label.clone(), data(node, met)));
        kept.insert(links.into(), Value::Object(all.collect()));
    }
    let mut called = Vec::new();
    for child in shown["called"].as_array().into_iter().flatten() {
        called.push(process(ferry, &child["id"].to_string(), met)?);
    }
    kept.insert("called".into(), called.into());
    Ok(kept.into())
}

fn data(node: &Value, met: &mut BTreeMap<String, usize>) -> Value {
    let count = met.len();
    let number = *met.entry(node["uuid"].to_string()).or_insert(count);
    json!({"node": number, "type": node["type"], "value": without_paths(&node["value"])})
}

/// Returns the value without paths: each profile has directories of its own, and so have its jobs.
fn without_paths(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains('/') => json!("a path"),
        Value::Array(items) => items.iter().map(without_paths).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), without_paths(value))).collect())
        }
        other => other.clone(),
    }
}
