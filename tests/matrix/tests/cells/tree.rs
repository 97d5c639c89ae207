//! Call trees: parents with children, and the commands that go down a tree. The parents run `script.run` of
//! `tests/plugins/script`, whose input is its program.

use std::{fs, thread, time::Duration};

use ferry_matrix::{Profile, Result, check, kill, plugin, text};
use serde_json::{Value, json};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("a_parent_calls_and_returns", a_parent_calls_and_returns),
    ("trees_in_trees_end_from_the_leaves", trees_in_trees_end_from_the_leaves),
    ("the_first_of_two_and_a_timer", the_first_of_two_and_a_timer),
    ("a_sleep_goes_on_without_a_daemon", a_sleep_goes_on_without_a_daemon),
    ("pause_and_play_go_down_the_tree", pause_and_play_go_down_the_tree),
    ("who_steps_is_paused_and_played", who_steps_is_paused_and_played),
    ("a_pause_lets_the_present_step_end", a_pause_lets_the_present_step_end),
    ("who_waits_at_a_gate_is_paused_and_played", who_waits_at_a_gate_is_paused_and_played),
    ("pause_and_play_need_no_daemon", pause_and_play_need_no_daemon),
    ("kill_goes_down_the_tree", kill_goes_down_the_tree),
    ("a_forced_kill_goes_down_the_tree", a_forced_kill_goes_down_the_tree),
    ("a_paused_parent_is_killed_with_its_children", a_paused_parent_is_killed_with_its_children),
    ("a_parent_that_waits_at_a_gate_is_killed", a_parent_that_waits_at_a_gate_is_killed),
    ("kill_without_a_daemon_ends_what_has_no_job", kill_without_a_daemon_ends_what_has_no_job),
    ("a_host_that_never_answered_blocks_no_command", a_host_that_never_answered_blocks_no_command),
    ("what_was_paused_by_its_failures_is_killed", what_was_paused_by_its_failures_is_killed),
    ("all_and_names_exclude_one_another", all_and_names_exclude_one_another),
    ("commands_to_the_dead_change_nothing", commands_to_the_dead_change_nothing),
    ("an_excepted_parent_is_resumed", an_excepted_parent_is_resumed),
    ("a_step_that_dies_harms_only_its_process", a_step_that_dies_harms_only_its_process),
    ("a_child_that_can_not_be_launched_says_why", a_child_that_can_not_be_launched_says_why),
    ("run_steps_the_whole_tree", run_steps_the_whole_tree),
    ("children_are_launched_once_whatever_crashes", children_are_launched_once_whatever_crashes),
];

const LIMIT: Duration = Duration::from_secs(240);

fn profile() -> Result<Profile> {
    let ferry = Profile::unbounded()?;
    ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
    Ok(ferry)
}

fn with_daemon() -> Result<Profile> {
    let ferry = profile()?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

fn submit(ferry: &Profile, script: &Value) -> Result<String> {
    ferry.submit(&["script.run", &format!("script={script}")])
}

/// Returns a call of `arithmetic.add_job`.
fn add(call: &str, x: Value, y: Value) -> Value {
    json!({"call": call, "type": "arithmetic.add_job", "inputs": {"x": x, "y": y}})
}

/// Returns a call of a job that takes this long.
fn sleeper(call: &str, seconds: f64) -> Value {
    json!({"call": call, "type": "arithmetic.add_job", "inputs": {"x": 1, "y": 1, "sleep": seconds}})
}

fn show(ferry: &Profile, id: &str) -> Result<Value> {
    ferry.json(&["process", "show", id])
}

/// Waits until a process is as wanted.
fn until(ferry: &Profile, id: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    for _ in 0..600 {
        let shown = show(ferry, id)?;
        if wanted(&shown) {
            return Ok(shown);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("process {id} never came there: {:#}\n{}", show(ferry, id)?, ferry.log_tail()))
}

/// Ids of the processes that one called.
fn called(shown: &Value) -> Vec<String> {
    let ids = shown["called"].as_array().into_iter().flatten();
    ids.map(|child| child.get("id").unwrap_or(child).to_string()).collect()
}

/// Waits until a process has called this many processes with jobs.
fn with_jobs(ferry: &Profile, id: &str, count: usize) -> Result<Vec<String>> {
    let children = called(&until(ferry, id, |shown| called(shown).len() == count)?);
    for child in &children {
        until(ferry, child, |shown| shown["job_id"].is_string())?;
    }
    Ok(children)
}

fn state_of(ferry: &Profile, id: &str) -> Result<String> {
    Ok(show(ferry, id)?["state"].as_str().unwrap_or_default().to_owned())
}

fn a_parent_calls_and_returns() -> Result {
    let ferry = with_daemon()?;
    let script = json!([
        add("a", json!(1), json!(2)),
        {"wait": ["a"]},
        add("b", json!("$a.sum"), json!(3)),
        {"wait": ["b"]},
        {"return": "sum", "of": "b.sum"},
        {"report": "both are in"},
    ]);
    let id = submit(&ferry, &script)?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["results.sum"]["value"] == 6, || format!("{shown:#}"))?;
    let children = called(&shown);
    check(children.len() == 2, || format!("{shown:#}"))?;
    let child = show(&ferry, &children[1])?;
    check(child["caller"].to_string().contains(&id), || format!("{child:#}"))?;
    // The second sum's first summand is the very node that the first job made.
    let first = show(&ferry, &children[0])?;
    check(first["outputs"]["sum"]["uuid"] == child["inputs"]["x"]["uuid"], || format!("{child:#}"))?;
    let report = ferry.ok(&["process", "report", &id])?;
    check(report.contains("both are in"), || report)
}

fn trees_in_trees_end_from_the_leaves() -> Result {
    let ferry = with_daemon()?;
    let mut script =
        json!([add("leaf", json!(20), json!(22)), {"wait": ["leaf"]}, {"return": "n", "of": "leaf.sum"}]);
    for _ in 0..20 {
        script = json!([
            {"call": "in", "type": "script.run", "inputs": {"script": script}},
            {"wait": ["in"]},
            {"return": "n", "of": "in.results.n"},
        ]);
    }
    let shown = ferry.ended(&submit(&ferry, &script)?, LIMIT)?;
    check(shown["outputs"]["results.n"]["value"] == 42, || format!("{shown:#}"))?;
    let all = ferry.json(&["process", "list", "-a"])?;
    check(all.as_array().map(Vec::len) == Some(22), || format!("{all:#}"))
}

fn the_first_of_two_and_a_timer() -> Result {
    let ferry = with_daemon()?;
    let script = json!([
        sleeper("slow", 60.0),
        add("quick", json!(1), json!(1)),
        {"wait": ["slow", "quick"], "any": true},
        {"return": "first", "of": "quick.sum"},
        {"wait": ["slow"], "seconds": 0.5},
        {"kill": "slow"},
        {"wait": ["slow"]},
    ]);
    let shown = ferry.ended(&submit(&ferry, &script)?, LIMIT)?;
    check(shown["outputs"]["results.first"]["value"] == 2, || format!("{shown:#}"))?;
    let slow = &called(&shown)[0];
    check(state_of(&ferry, slow)? == "killed", || format!("{slow} was not killed"))
}

fn a_sleep_goes_on_without_a_daemon() -> Result {
    let ferry = with_daemon()?;
    let long = submit(&ferry, &json!([{"sleep": 100_000}]))?;
    let short = submit(&ferry, &json!([{"sleep": 3}]))?;
    until(&ferry, &short, |shown| shown["state"] == "waiting")?;
    ferry.ok(&["daemon", "stop"])?;
    thread::sleep(Duration::from_secs(3));
    ferry.ok(&["daemon", "start"])?;
    // It was due while no daemon ran: a fresh three seconds would be another sleep.
    ferry.ended(&short, Duration::from_secs(2))?;
    check(state_of(&ferry, &long)? == "waiting", || "the long sleep ended".into())
}

fn pause_and_play_go_down_the_tree() -> Result {
    let ferry = with_daemon()?;
    let id = submit(&ferry, &json!([sleeper("a", 1.0), sleeper("b", 1.0), {"wait": ["a", "b"]}]))?;
    let children = with_jobs(&ferry, &id, 2)?;
    ferry.ok(&["process", "pause", &id])?;
    // The jobs run on and end unnoticed.
    thread::sleep(Duration::from_secs(4));
    for process in children.iter().chain([&id]) {
        let shown = show(&ferry, process)?;
        check(shown["paused"] == true && shown["state"] == "waiting", || format!("{shown:#}"))?;
    }
    ferry.ok(&["process", "pause", &id])?;
    ferry.ok(&["daemon", "restart"])?;
    thread::sleep(Duration::from_secs(1));
    check(state_of(&ferry, &id)? == "waiting", || "a restart let it go on".into())?;
    ferry.ok(&["process", "play", &id])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["paused"] == false, || format!("{shown:#}"))
}

fn who_steps_is_paused_and_played() -> Result {
    let ferry = with_daemon()?;
    let id = submit(&ferry, &json!([{"steps": 4000}]))?;
    until(&ferry, &id, |shown| shown["state"] == "running")?;
    ferry.ok(&["process", "pause", &id])?;
    // The current step ends.
    thread::sleep(Duration::from_secs(1));
    let stands = show(&ferry, &id)?;
    check(stands["paused"] == true && stands["state"] == "running", || format!("{stands:#}"))?;
    thread::sleep(Duration::from_secs(1));
    check(show(&ferry, &id)? == stands, || "a paused process goes on".into())?;
    // Taken back before the step has noticed, as often as you like.
    for _ in 0..10 {
        ferry.ok(&["process", "play", &id])?;
        ferry.ok(&["process", "pause", &id])?;
    }
    check(show(&ferry, &id)?["paused"] == true, || "a pause was lost".into())?;
    ferry.ok(&["process", "play", &id])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["paused"] == false, || format!("{shown:#}"))
}

/// The work of a step that was under way when its process was paused is kept, and not done again. No step
/// follows it.
fn a_pause_lets_the_present_step_end() -> Result {
    let ferry = with_daemon()?;
    let mark = |name: &str| ferry.scratch().join(name);
    let (flow_mark, job_mark) = (mark("of_flow"), mark("of_job"));
    let flow = submit(&ferry, &json!([{"work": 4.0, "mark": flow_mark}, {"work": 0.0, "mark": flow_mark}]))?;
    let wish = json!({"toil": [job_mark, 4.0], "run": [{"command": "true"}]});
    let job = ferry.submit(&["script.job", &format!("job={wish}")])?;
    let work = [(&flow, &flow_mark), (&job, &job_mark)];
    for (id, mark) in work {
        until(&ferry, id, |_| mark.exists())?;
        ferry.ok(&["process", "pause", id])?;
    }
    thread::sleep(Duration::from_secs(6));
    for (id, mark) in work {
        let shown = show(&ferry, id)?;
        check(shown["paused"] == true && shown["job_id"].is_null(), || format!("{shown:#}"))?;
        check(fs::read_to_string(mark).is_ok_and(|marks| marks == "once\n"), || format!("{shown:#}"))?;
        ferry.ok(&["process", "play", id])?;
    }
    for (id, mark, times) in [(&flow, &flow_mark, 2), (&job, &job_mark, 1)] {
        let shown = ferry.ended(id, LIMIT)?;
        let marks = fs::read_to_string(mark).unwrap_or_default();
        check(shown["exit_code"] == 0 && marks.lines().count() == times, || format!("{marks}{shown:#}"))?;
    }
    Ok(())
}

fn who_waits_at_a_gate_is_paused_and_played() -> Result {
    let ferry = with_daemon()?;
    let bound = |most| ferry.ok(&["computer", "configure", "localhost", "--max-active-jobs", most]);
    bound("0")?;
    let id = submit(&ferry, &json!([add("a", json!(1), json!(1)), {"wait": ["a"]}]))?;
    let child = called(&until(&ferry, &id, |shown| called(shown).len() == 1)?).remove(0);
    let waits = until(&ferry, &child, |shown| shown["waiting_for"].to_string().contains("slot"))?;
    ferry.ok(&["process", "pause", &id])?;
    bound("4")?;
    thread::sleep(Duration::from_secs(2));
    let shown = show(&ferry, &child)?;
    check(shown["paused"] == true && shown["job_id"].is_null(), || format!("{shown:#}"))?;
    let since = [&waits, &shown].map(|shown| shown["waiting_since"].as_str());
    check(since[0].is_some() && since[0] != since[1], || format!("it stands still since {since:?}"))?;
    check(shown["next"].to_string().contains("process play"), || format!("{shown:#}"))?;
    // A paused process does not hold up another.
    check(ferry.ended(&submit(&ferry, &json!([]))?, LIMIT)?["exit_code"] == 0, || "kept".into())?;
    ferry.ok(&["process", "play", &id])?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || "not finished".into())
}

fn pause_and_play_need_no_daemon() -> Result {
    let ferry = profile()?;
    let id = submit(&ferry, &json!([{"sleep": 0.1}]))?;
    ferry.ok(&["process", "pause", &id])?;
    ferry.ok(&["daemon", "start"])?;
    thread::sleep(Duration::from_secs(1));
    let shown = show(&ferry, &id)?;
    check(shown["paused"] == true && shown["state"] == "created", || format!("{shown:#}"))?;
    ferry.ok(&["daemon", "stop"])?;
    ferry.ok(&["process", "play", &id])?;
    ferry.ok(&["daemon", "start"])?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || "not finished".into())
}

fn kill_goes_down_the_tree() -> Result {
    ends_from_the_leaves(&["process", "kill"])
}

fn a_forced_kill_goes_down_the_tree() -> Result {
    ends_from_the_leaves(&["process", "kill", "--force"])
}

/// Kills a tree of two levels: no process ends before those it called, and no job goes on running.
fn ends_from_the_leaves(kill: &[&str]) -> Result {
    let ferry = with_daemon()?;
    let inner = json!([sleeper("deep", 60.0), {"wait": ["deep"]}]);
    let id = submit(
        &ferry,
        &json!([
            sleeper("job", 60.0),
            {"call": "inner", "type": "script.run", "inputs": {"script": inner}},
            {"wait": ["job", "inner"]},
        ]),
    )?;
    let children = called(&until(&ferry, &id, |shown| called(shown).len() == 2)?);
    let deep = with_jobs(&ferry, &children[1], 1)?.remove(0);
    until(&ferry, &children[0], |shown| shown["job_id"].is_string())?;
    ferry.ok(&[kill, &[id.as_str()]].concat())?;
    let mut ends = Vec::new();
    for process in [&deep, &children[1], &children[0], &id] {
        let shown = show(&ferry, process)?;
        check(shown["state"] == "killed", || format!("{shown:#}"))?;
        ends.push(shown["modified"].as_str().unwrap_or_default().to_owned());
    }
    check(ends[0] <= ends[1] && ends[1] <= ends[3] && ends[2] <= ends[3], || {
        format!("callers first: {ends:?}")
    })?;
    let running = fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*ferry.scratch().to_string_lossy())
            && line.starts_with(b"sleep")
    });
    check(!running, || "a job's sleep runs on".into())
}

fn a_paused_parent_is_killed_with_its_children() -> Result {
    let ferry = with_daemon()?;
    let id = submit(&ferry, &json!([sleeper("a", 60.0), {"wait": ["a"]}]))?;
    let child = with_jobs(&ferry, &id, 1)?.remove(0);
    ferry.ok(&["process", "pause", &id])?;
    ferry.ok(&["process", "kill", &id])?;
    check(state_of(&ferry, &child)? == "killed", || "the child lives".into())?;
    check(state_of(&ferry, &id)? == "killed", || "the parent lives".into())
}

fn a_parent_that_waits_at_a_gate_is_killed() -> Result {
    let ferry = with_daemon()?;
    ferry.ok(&["computer", "configure", "localhost", "--max-active-jobs", "0"])?;
    let id = submit(&ferry, &json!([add("a", json!(1), json!(1)), {"wait": ["a"]}]))?;
    let child = called(&until(&ferry, &id, |shown| called(shown).len() == 1)?).remove(0);
    until(&ferry, &child, |shown| shown["waiting_for"].to_string().contains("slot"))?;
    ferry.ok(&["process", "kill", &id])?;
    check(state_of(&ferry, &child)? == "killed", || "the child lives".into())
}

fn kill_without_a_daemon_ends_what_has_no_job() -> Result {
    let ferry = profile()?;
    let id = submit(&ferry, &json!([{"sleep": 1000}]))?;
    ferry.ok(&["process", "kill", &id])?;
    check(state_of(&ferry, &id)? == "killed", || "it lives".into())?;
    let waits = submit(&ferry, &json!([{"sleep": 1000}]))?;
    ferry.ok(&["daemon", "start"])?;
    until(&ferry, &waits, |shown| shown["state"] == "waiting")?;
    ferry.ok(&["daemon", "stop"])?;
    ferry.ok(&["process", "kill", &waits])?;
    check(state_of(&ferry, &waits)? == "killed", || "it lives".into())
}

pub(crate) fn set_up(ferry: &Profile, label: &str, lines: &str) -> Result {
    let file = ferry.scratch().join(format!("{label}.yaml"));
    let yaml = format!("label: {label}\nscheduler: core.direct\n{lines}\n");
    fs::write(&file, yaml).map_err(|error| error.to_string())?;
    ferry.ok(&["computer", "setup", "--non-interactive", "--config", text(&file)]).map(drop)
}

fn a_host_that_never_answered_blocks_no_command() -> Result {
    let ferry = with_daemon()?;
    // No server listens on port 1.
    let lines = "hostname: 127.0.0.1\nport: 1\ntransport: core.ssh\nwork_dir: /tmp/nowhere";
    set_up(&ferry, "gone", lines)?;
    let mut call = add("a", json!(1), json!(1));
    call["computer"] = json!("gone");
    let id = submit(&ferry, &json!([call, {"wait": ["a"]}]))?;
    let child = called(&until(&ferry, &id, |shown| called(shown).len() == 1)?).remove(0);
    let waits = |shown: &Value| shown["waiting_for"].to_string().contains("gone");
    until(&ferry, &child, waits)?;
    ferry.ok(&["process", "pause", &id])?;
    let shown = show(&ferry, &child)?;
    check(shown["paused"] == true && shown["next_try"].is_null(), || format!("{shown:#}"))?;
    ferry.ok(&["process", "play", &id])?;
    until(&ferry, &child, |shown| waits(shown) && shown["next_try"].is_string())?;
    ferry.ok(&["process", "kill", "--timeout", "5", &id])?;
    check(state_of(&ferry, &child)? == "killed", || "the child lives".into())
}

fn what_was_paused_by_its_failures_is_killed() -> Result {
    let ferry = with_daemon()?;
    let blocked = ferry.scratch().join("a-file");
    fs::write(&blocked, "").map_err(|error| error.to_string())?;
    set_up(
        &ferry,
        "blocked",
        &format!("hostname: localhost\ntransport: core.local\nwork_dir: {}/work", blocked.display()),
    )?;
    ferry.ok(&["config", "set", "retry.attempts", "1"])?;
    ferry.ok(&["daemon", "restart"])?;
    let mut call = add("a", json!(1), json!(1));
    call["computer"] = json!("blocked");
    let id = submit(&ferry, &json!([call, {"wait": ["a"]}]))?;
    let child = called(&until(&ferry, &id, |shown| called(shown).len() == 1)?).remove(0);
    until(&ferry, &child, |shown| shown["paused"] == true)?;
    // Zero: only ask for it.
    ferry.ok(&["process", "kill", "--timeout", "0", &id])?;
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "the parent lives".into())?;
    check(state_of(&ferry, &child)? == "killed", || "the child lives".into())
}

fn all_and_names_exclude_one_another() -> Result {
    let ferry = with_daemon()?;
    let ids = [submit(&ferry, &json!([{"sleep": 1000}]))?, submit(&ferry, &json!([{"sleep": 1000}]))?];
    for word in ["kill", "pause", "play"] {
        ferry.ferry(&["process", word, "--all", &ids[0]])?.expect(2)?.says(&["--all"])?;
    }
    ferry.ok(&["process", "pause", "--all"])?;
    ferry.ok(&["process", "kill", "--all", "--yes"])?;
    for id in &ids {
        check(state_of(&ferry, id)? == "killed", || format!("{id} lives"))?;
    }
    Ok(())
}

fn commands_to_the_dead_change_nothing() -> Result {
    let ferry = with_daemon()?;
    let id = submit(&ferry, &json!([]))?;
    let excepted = submit(&ferry, &json!([{"except": "as planned"}]))?;
    for id in [&id, &excepted] {
        let before = ferry.ended(id, LIMIT)?;
        for word in ["kill", "pause", "play"] {
            ferry.ferry(&["process", word, id])?.expect(0)?.says(&["ended already"])?;
        }
        check(show(&ferry, id)? == before, || format!("{id} has changed"))?;
    }
    ferry
        .ferry(&["process", "resume", &id])?
        .expect(1)?
        .says(&["finished", "only an excepted process"])
        .map(drop)
}

fn an_excepted_parent_is_resumed() -> Result {
    let ferry = with_daemon()?;
    let script = json!([
        add("a", json!(1), json!(2)),
        {"wait": ["a"]},
        {"return": "early", "of": "a.sum"},
        {"call": "b", "type": "arithmetic.add_job", "inputs": {"x": 1, "y": 1}, "computer": "later"},
        {"wait": ["b"]},
        {"return": "late", "of": "b.sum"},
    ]);
    let id = submit(&ferry, &script)?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["state"] == "excepted", || format!("{shown:#}"))?;
    check(shown["exit_message"].to_string().contains("later"), || format!("{shown:#}"))?;
    let work = ferry.scratch().join("later");
    let lines = format!("hostname: localhost\ntransport: core.local\nwork_dir: {}", work.display());
    set_up(&ferry, "later", &lines)?;
    ferry.ok(&["process", "resume", &id])?;
    let shown = ferry.ended(&id, LIMIT)?;
    let outputs = &shown["outputs"];
    check(outputs["results.early"]["value"] == 3 && outputs["results.late"]["value"] == 2, || {
        format!("{shown:#}")
    })?;
    // Earlier work was not repeated.
    check(called(&shown).len() == 2, || format!("{shown:#}"))
}

fn a_step_that_dies_harms_only_its_process() -> Result {
    let ferry = with_daemon()?;
    let panics = submit(&ferry, &json!([{"panic": "as the script said"}]))?;
    let aborts = submit(&ferry, &json!([{"abort": true}]))?;
    let lives = submit(&ferry, &json!([{"steps": 50}, {"sleep": 1}, {"exit": 400}]))?;
    let shown = ferry.ended(&panics, LIMIT)?;
    check(shown["exit_message"].to_string().contains("as the script said"), || format!("{shown:#}"))?;
    let shown = ferry.ended(&aborts, LIMIT)?;
    check(shown["state"] == "excepted" && shown["exit_message"].to_string().contains("SIGABRT"), || {
        format!("{shown:#}")
    })?;
    let shown = ferry.ended(&lives, LIMIT)?;
    check(shown["state"] == "finished" && shown["exit_code"] == 400, || format!("{shown:#}"))?;
    ferry.daemon().map(drop)
}

fn a_child_that_can_not_be_launched_says_why() -> Result {
    let ferry = with_daemon()?;
    let script = json!([{"call": "a", "type": "arithmetic.add_job", "inputs": {"x": 1, "z": 3}}]);
    let shown = ferry.ended(&submit(&ferry, &script)?, LIMIT)?;
    let message = shown["exit_message"].as_str().unwrap_or_default().to_owned();
    // All that is wrong, at once.
    let all = ["arithmetic.add_job", "`a`", "y: ", "z: "].iter().all(|word| message.contains(word));
    check(shown["state"] == "excepted" && all, || message)?;
    check(called(&shown).is_empty(), || "a child was launched".into())
}

fn run_steps_the_whole_tree() -> Result {
    let ferry = profile()?;
    let script = json!([sleeper("a", 0.5), {"wait": ["a"]}, {"return": "sum", "of": "a.sum"}]);
    let answer = ferry.ferry(&["run", "script.run", &format!("script={script}")])?.expect(0)?;
    check(answer.stdout.contains("results.sum"), || answer.stdout.clone())
}

fn children_are_launched_once_whatever_crashes() -> Result {
    let ferry = with_daemon()?;
    let marker = ferry.scratch().join("marks");
    let mut parents = Vec::new();
    for _ in 0..10 {
        let job = |call: String| {
            json!({"call": call, "type": "arithmetic.add_job",
                   "inputs": {"x": 1, "y": 1, "sleep": 0.3, "marker": text(&marker)}})
        };
        let mut script: Vec<Value> = (0..3).map(|n| job(format!("first.{n}"))).collect();
        script.push(json!({"wait": ["first.0", "first.1", "first.2"]}));
        script.extend((0..2).map(|n| job(format!("second.{n}"))));
        script.push(json!({"wait": ["second.0", "second.1"]}));
        parents.push(submit(&ferry, &json!(script))?);
    }
    for round in 0..8 {
        thread::sleep(Duration::from_millis(150 + 97 * round));
        let (daemon, _) = ferry.daemon()?;
        kill(daemon, 9);
        ferry.ok(&["daemon", "start"])?;
    }
    for parent in &parents {
        let shown = ferry.ended(parent, Duration::from_secs(240))?;
        check(shown["exit_code"] == 0 && called(&shown).len() == 5, || format!("{shown:#}"))?;
    }
    let marks = fs::read_to_string(&marker).map_err(|error| error.to_string())?;
    let mut lines: Vec<&str> = marks.lines().collect();
    lines.sort_unstable();
    let count = lines.len();
    lines.dedup();
    check(count == 50 && lines.len() == 50, || format!("{count} runs of {} jobs, want 50", lines.len()))
}
