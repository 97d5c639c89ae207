//! Workfunctions in the daemon: from the bundled `arithmetic`, and from `tests/plugins/flow`.

use std::{collections::BTreeSet, thread, time::Duration};

use ferry_matrix::{Profile, Result, check, kill, plugin, text};
use serde_json::Value;

use crate::{Case, sweep::graph};

pub(crate) const CASES: &[Case] = &[
    ("add_mul_gives_35_with_its_links", add_mul_gives_35_with_its_links),
    ("a_hundred_levels_nest", a_hundred_levels_nest),
    ("a_job_and_a_timer_race", a_job_and_a_timer_race),
    ("a_run_waits_for_what_it_killed", a_run_waits_for_what_it_killed),
    ("what_is_let_go_runs_on", what_is_let_go_runs_on),
    ("a_sleep_survives_restarts", a_sleep_survives_restarts),
    ("whatever_is_killed_the_graph_is_the_same", whatever_is_killed_the_graph_is_the_same),
    ("a_tree_without_end_is_noticed", a_tree_without_end_is_noticed),
    ("a_workflow_that_goes_by_the_clock_is_named", a_workflow_that_goes_by_the_clock_is_named),
    ("many_calls_end_in_any_order", many_calls_end_in_any_order),
    ("a_wide_tree_keeps_nobody_waiting", a_wide_tree_keeps_nobody_waiting),
    ("large_values_are_read_after_a_restart", large_values_are_read_after_a_restart),
];

const LIMIT: Duration = Duration::from_secs(240);

fn profile() -> Result<Profile> {
    let ferry = Profile::new()?;
    ferry.ok(&["plugin", "install", text(&plugin("flow_file")?)])?;
    Ok(ferry)
}

fn with_daemon() -> Result<Profile> {
    let ferry = profile()?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

fn show(ferry: &Profile, id: &str) -> Result<Value> {
    ferry.json(&["process", "show", id])
}

/// Waits until a process waits for something.
fn until_it_waits(ferry: &Profile, id: &str, what: &str) -> Result {
    for _ in 0..600 {
        let shown = show(ferry, id)?;
        if shown["state"] == "waiting" && shown["waiting_for"].to_string().contains(what) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("it never waits for {what}: {:#}", show(ferry, id)?))
}

/// Returns the links at a process, as `FROM KIND LABEL TO`.
fn links(ferry: &Profile, id: &str) -> Result<BTreeSet<String>> {
    let dot = ferry.ok(&["node", "graph", "generate", id, "-f", "dot", "--stdout"])?;
    let edges = dot.lines().filter(|line| line.contains("->"));
    Ok(edges
        .filter_map(|line| {
            let parts: Vec<&str> = line.split('"').collect();
            Some(format!("{} {} {}", parts.get(1)?, parts.get(5)?.replace("\\n", " "), parts.get(3)?))
        })
        .collect())
}

fn add_mul_gives_35_with_its_links() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["arithmetic.add_mul", "x=3", "y=4", "z=5"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["outputs"]["result"]["value"] == 35, || format!("{shown:#}"))?;
    let node = |links: &Value, label: &str| links[label]["id"].to_string();
    let [x, y, z] = ["x", "y", "z"].map(|label| node(&shown["inputs"], label));
    let result = node(&shown["outputs"], "result");
    let [add, multiply] = [0, 1].map(|n| shown["called"][n]["id"].to_string());
    let sum = node(&show(&ferry, &add)?["outputs"], "result");
    let want = [
        format!("{x} INPUT_WORK x {id}"),
        format!("{y} INPUT_WORK y {id}"),
        format!("{z} INPUT_WORK z {id}"),
        format!("{id} CALL_CALC CALL {add}"),
        format!("{id} CALL_CALC CALL {multiply}"),
        format!("{add} CREATE result {sum}"),
        format!("{sum} INPUT_CALC x {multiply}"),
        format!("{multiply} CREATE result {result}"),
        format!("{id} RETURN result {result}"),
    ];
    let found = links(&ferry, &id)?;
    check(found == want.into(), || format!("{found:#?}"))?;
    // The very nodes that it was given, not copies of them.
    for (call, port, given) in [(&add, "x", x), (&add, "y", y), (&multiply, "y", z)] {
        let inputs = show(&ferry, call)?["inputs"].clone();
        check(node(&inputs, port) == given, || format!("{inputs:#}"))?;
    }
    Ok(())
}

fn a_hundred_levels_nest() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["arithmetic.nested", "n=100"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["outputs"]["result"]["value"] == 100, || format!("{shown:#}"))?;
    let all = ferry.json(&["process", "list", "-a"])?;
    check(all.as_array().map(Vec::len) == Some(201), || "not 101 levels and 100 sums".into())
}

fn a_job_and_a_timer_race() -> Result {
    let ferry = with_daemon()?;
    // A killed job ends long before its sleep does.
    const SOON: Duration = Duration::from_secs(20);
    let race = |sleep: &str, limit: &str| -> Result<(Value, Value)> {
        let words = [&format!("sleep={sleep}"), &format!("limit={limit}")];
        let id = ferry.submit(&["arithmetic.race", "x=3", "y=4", words[0], words[1]])?;
        let shown = ferry.ended(&id, LIMIT)?;
        let job = ferry.ended(&shown["called"][0]["id"].to_string(), SOON)?;
        Ok((shown, job))
    };
    let (won, job) = race("0", "60")?;
    check(won["exit_code"] == 0 && won["outputs"]["result"]["value"] == 7, || format!("{won:#}"))?;
    check(job["outputs"]["sum"]["uuid"] == won["outputs"]["result"]["uuid"], || format!("{job:#}"))?;
    let (lost, job) = race("60", "1")?;
    check(lost["exit_code"] == 420 && lost["outputs"] == serde_json::json!({}), || format!("{lost:#}"))?;
    check(job["state"] == "killed", || format!("{job:#}"))
}

fn a_run_waits_for_what_it_killed() -> Result {
    let ferry = profile()?;
    // Without a daemon, the job would not be killed afterwards.
    ferry.ferry(&["run", "arithmetic.race", "x=3", "y=4", "sleep=60", "limit=1"])?.expect(1)?;
    let all = ferry.json(&["process", "list", "-a"])?;
    let job = all.as_array().into_iter().flatten().find(|one| one["process_type"] == "arithmetic.add_job");
    check(job.is_some_and(|job| job["state"] == "killed"), || format!("{all:#}"))
}

fn what_is_let_go_runs_on() -> Result {
    let ferry = with_daemon()?;
    let shown = ferry.ended(&ferry.submit(&["flow.lets_go", "x=1"])?, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    let sum = ferry.ended(&shown["called"][0]["id"].to_string(), LIMIT)?;
    check(sum["outputs"]["result"]["value"] == 2, || format!("{sum:#}"))
}

fn a_sleep_survives_restarts() -> Result {
    let ferry = with_daemon()?;
    let three_days = ferry.submit(&["flow.naps", "seconds=259200"])?;
    let short = ferry.submit(&["flow.naps", "seconds=3"])?;
    for id in [&three_days, &short] {
        until_it_waits(&ferry, id, "napping: waits until")?;
    }
    let until = show(&ferry, &three_days)?["waiting_for"].clone();
    ferry.ok(&["daemon", "stop"])?;
    thread::sleep(Duration::from_secs(3));
    ferry.ok(&["daemon", "start"])?;
    // It was due while no daemon ran: a fresh three seconds would be another sleep.
    ferry.ended(&short, Duration::from_secs(2))?;
    ferry.ok(&["daemon", "restart"])?;
    let shown = show(&ferry, &three_days)?;
    check(shown["state"] == "waiting" && shown["waiting_for"] == until, || format!("{until}: {shown:#}"))
}

fn whatever_is_killed_the_graph_is_the_same() -> Result {
    let ferry = with_daemon()?;
    let submit = || ferry.submit(&["flow.mixed", "levels=2"]);
    let id = submit()?;
    ferry.ended(&id, LIMIT)?;
    let calm = graph(&ferry, &id)?;
    let trees = [submit()?, submit()?, submit()?];
    for round in 0..10_u64 {
        thread::sleep(Duration::from_millis(60 + 41 * round));
        // One may have died of the round before, and not be there again.
        if let Ok((daemon, hosts)) = ferry.daemon() {
            // A process whose hosts have died three times is at fault.
            let victims = if round % 5 == 0 { hosts } else { vec![daemon] };
            for pid in victims {
                kill(pid, 9);
            }
        }
        ferry.ferry(&["daemon", "start"])?;
    }
    for tree in &trees {
        let shown = ferry.ended(tree, LIMIT)?;
        check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
        let (mut was, mut is) = (calm.clone(), graph(&ferry, tree)?);
        // These are of the whole store.
        for count in ["nodes", "processes", "links", "files"] {
            was[count].take();
            is[count].take();
        }
        check(is == was, || format!("another graph: {is:#}\nwithout deaths: {was:#}"))?;
        let report = ferry.ok(&["process", "report", tree])?;
        check(report.matches("all sums are in").count() == 3, || report.clone())?;
    }
    let all = ferry.json(&["process", "list", "-a"])?;
    let count = all.as_array().map(Vec::len).unwrap_or_default();
    check(count == 4 * 3 * 11, || format!("{count} processes, not 4 trees of 3 levels of 11"))?;
    ferry.ferry(&["storage", "check", "--full"])?.expect(0).map(drop)
}

fn a_tree_without_end_is_noticed() -> Result {
    let ferry = profile()?;
    ferry.ok(&["config", "set", "workflow.max_depth", "20"])?;
    ferry.ok(&["daemon", "start"])?;
    let id = ferry.submit(&["flow.endless"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    let said = shown["exit_message"].to_string();
    let words =
        ["`flow.endless` can't be launched", "21 levels below the root", "`workflow.max_depth` is 20"];
    check(shown["state"] == "excepted" && words.iter().all(|word| said.contains(word)), || {
        format!("{shown:#}")
    })?;
    let all = ferry.json(&["process", "list", "-a"])?;
    check(all.as_array().map(Vec::len) == Some(21), || "not 21 processes".into())?;
    // As deep as it may be.
    let deep = ferry.ended(&ferry.submit(&["arithmetic.nested", "n=20"])?, LIMIT)?;
    check(deep["outputs"]["result"]["value"] == 20, || format!("{deep:#}"))
}

fn a_workflow_that_goes_by_the_clock_is_named() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["flow.by_the_clock", "x=1"])?;
    until_it_waits(&ferry, &id, "waits until")?;
    ferry.ok(&["daemon", "restart"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    let said = shown["exit_message"].to_string();
    let words = ["nondeterminism at turn 0, command 0", "`call flow.plus`", "with other inputs", "a clock"];
    check(shown["state"] == "excepted" && words.iter().all(|word| said.contains(word)), || {
        format!("{shown:#}")
    })
}

fn many_calls_end_in_any_order() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["flow.wide", "x=1", "count=300"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["outputs"]["result"]["value"] == 2, || format!("{shown:#}"))?;
    check(shown["called"].as_array().map(Vec::len) == Some(300), || "not 300 calls".into())
}

fn large_values_are_read_after_a_restart() -> Result {
    let ferry = with_daemon()?;
    let ids = [
        ferry.submit(&["flow.reads_long_texts", "count=1"])?,
        ferry.submit(&["flow.reads_long_texts", "count=40"])?,
    ];
    for id in &ids {
        until_it_waits(&ferry, id, "waits until")?;
    }
    ferry.ok(&["daemon", "restart"])?;
    let sums = [10_000, (0..40).map(|n| 10_000 + n).sum::<i64>()];
    for (id, sum) in ids.iter().zip(sums) {
        let shown = ferry.ended(id, LIMIT)?;
        check(shown["outputs"]["result"]["value"] == sum, || format!("{shown:#}"))?;
    }
    Ok(())
}

/// A later process has its turn before the many processes of one tree.
fn a_wide_tree_keeps_nobody_waiting() -> Result {
    const MANY: usize = 200;
    let ferry = profile()?;
    ferry.ok(&["config", "set", "runner.tasks", "2"])?;
    ferry.ok(&["daemon", "start"])?;
    let wide = ferry.submit(&["flow.wide_and_slow", "x=1", &format!("count={MANY}")])?;
    let live = || {
        let shown = show(&ferry, &wide)?;
        let states = shown["called"].as_array().into_iter().flatten().map(|child| &child["state"]);
        Ok::<_, String>(states.filter(|state| *state != "finished").count())
    };
    for _ in 0..600 {
        if live()? > MANY / 2 {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let small = ferry.submit(&["arithmetic.add", "x=1", "y=2"])?;
    check(ferry.ended(&small, LIMIT)?["exit_code"] == 0, || "not finished".into())?;
    // In the order of their coming all of them would have been first.
    let live = live()?;
    check(live > MANY / 4, || format!("it waited until {live} of {MANY} were left"))?;
    ferry.ok(&["process", "kill", &wide, "--timeout", "60"]).map(drop)
}
