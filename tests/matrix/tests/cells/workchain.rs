//! Workchains: `arithmetic.multiply_add`, and `script.rounds` of `tests/plugins/script`, which has a loop, children of
//! each kind, a child's ports among its own, and ways to go wrong.

use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::Value;

use crate::{Case, chaos::runs, tree};

pub(crate) const CASES: &[Case] = &[
    ("multiply_add_is_linked_as_in_the_tutorial", multiply_add_is_linked_as_in_the_tutorial),
    ("multiply_add_refuses_a_negative_sum", multiply_add_refuses_a_negative_sum),
    ("rounds_children_and_exposed_ports", rounds_children_and_exposed_ports),
    ("inputs_of_an_exposed_child_are_judged", inputs_of_an_exposed_child_are_judged),
    ("an_exposed_job_runs_as_its_metadata_say", an_exposed_job_runs_as_its_metadata_say),
    ("what_goes_wrong_names_the_step", what_goes_wrong_names_the_step),
    ("a_step_and_its_round_are_told", a_step_and_its_round_are_told),
    ("a_running_one_stays_on_its_plugin_file", a_running_one_stays_on_its_plugin_file),
    ("a_restart_workchain_mends_and_labels", a_restart_workchain_mends_and_labels),
    ("an_unhandled_failure_pauses_until_it_is_played", an_unhandled_failure_pauses_until_it_is_played),
    ("a_killed_child_ends_its_restart_workchain", a_killed_child_ends_its_restart_workchain),
    ("two_hundred_with_five_jobs_each", two_hundred_with_five_jobs_each),
];

const LIMIT: Duration = Duration::from_secs(240);
/// Workchains of the large case, and jobs of each.
const MANY: usize = 200;
const WIDTH: usize = 5;

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

fn show(ferry: &Profile, id: &Value) -> Result<Value> {
    ferry.json(&["process", "show", &id.to_string()])
}

/// Returns the processes that one called, in the order of their launch.
fn called(ferry: &Profile, shown: &Value) -> Result<Vec<Value>> {
    shown["called"].as_array().into_iter().flatten().map(|child| show(ferry, &child["id"])).collect()
}

fn multiply_add_is_linked_as_in_the_tutorial() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["arithmetic.multiply_add", "x=2", "y=3", "z=4"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["result"]["value"] == 10, || format!("{shown:#}"))?;
    let children = called(&ferry, &shown)?;
    let types: Vec<&Value> = children.iter().map(|child| &child["process_type"]).collect();
    check(types == ["arithmetic.multiply", "arithmetic.add_job"], || format!("{types:?}"))?;
    // Nodes are handed on, not copied.
    let (product, sum) = (&children[0], &children[1]);
    let same = |a: &Value, b: &Value| {
        check(a["uuid"].is_string() && a["uuid"] == b["uuid"], || format!("{a} is not {b}"))
    };
    same(&product["inputs"]["x"], &shown["inputs"]["x"])?;
    same(&sum["inputs"]["x"], &product["outputs"]["result"])?;
    same(&sum["inputs"]["y"], &shown["inputs"]["z"])?;
    same(&shown["outputs"]["result"], &sum["outputs"]["sum"])?;
    let dot = ferry.scratch().join("graph.dot");
    ferry.ok(&["node", "graph", "generate", &id, "-f", "dot", "-O", text(&dot)])?;
    let graph = fs::read_to_string(&dot).map_err(|error| error.to_string())?;
    for link in ["INPUT_WORK\\nz", "CALL_CALC\\nCALL", "RETURN\\nresult", "CREATE\\nsum"] {
        check(graph.contains(link), || format!("no link `{link}` in {graph}"))?;
    }
    Ok(())
}

fn multiply_add_refuses_a_negative_sum() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["core.arithmetic.multiply_add", "x=2", "y=3", "z=-7"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    let label = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["exit_code"] == 400 && label.starts_with("ERROR_NEGATIVE_NUMBER"), || format!("{shown:#}"))?;
    check(shown["outputs"].as_object().is_some_and(|outputs| outputs.is_empty()), || format!("{shown:#}"))
}

fn rounds_children_and_exposed_ports() -> Result {
    let ferry = with_daemon()?;
    let marker = ferry.scratch().join("marks");
    let words =
        ["script.rounds", "rounds=3", "width=4", "job.sleep=0.1", &format!("job.marker={}", text(&marker))];
    let shown = ferry.ended(&ferry.submit(&words)?, LIMIT)?;
    let outputs = &shown["outputs"];
    let values =
        ["sums.round_1", "sums.round_3", "last.sum", "total"].map(|port| outputs[port]["value"].as_i64());
    // (10 + 30) * 2 + 10
    check(values == [Some(10), Some(30), Some(33), Some(90)], || format!("{shown:#}"))?;
    check(runs(&marker) == 12, || "not each job ran once".to_owned())?;
    let children = called(&ferry, &shown)?;
    let labels: Vec<&str> = children.iter().filter_map(|child| child["label"].as_str()).collect();
    check(labels[..5] == ["job 0", "job 1", "job 2", "job 3", "job 0"], || format!("{labels:?}"))?;
    let kinds: BTreeSet<&str> = children.iter().filter_map(|child| child["kind"].as_str()).collect();
    check(kinds == ["calcfunction", "calcjob", "workchain"].into(), || format!("{kinds:?}"))?;
    let report = ferry.ok(&["process", "report", &shown["id"].to_string()])?;
    // The large value was fetched again, two steps after it had arrived.
    check(report.contains("round 3: 30") && report.contains("counted to 10000"), || report)
}

fn inputs_of_an_exposed_child_are_judged() -> Result {
    let ferry = profile()?;
    let refused = |words: &[&str], told: &[&str]| {
        let answer = ferry.ferry(&[&["submit", "script.rounds"], words].concat())?.expect(2)?;
        let all = told.iter().all(|word| answer.stderr.contains(word));
        check(all, || format!("{words:?}: {}", answer.stderr))
    };
    refused(&["job.x=1", "rounds=0"], &["job.x: no such input", "rounds: "])?;
    refused(&["job.sleep=-1"], &["job.sleep: "])?;
    refused(&["rounds=11", "width=100"], &["width: a thousand jobs are enough"])?;
    refused(&["width=101", "job.marker=/tmp/m"], &["job.marker: so many jobs"])?;
    refused(&["wrong=never"], &["wrong: "])?;
    // A child that is exposed as a whole is validated too.
    let words = ["submit", "script.base", "add_job.x=1", "add_job.y=1", "add_job.marker=here"];
    let answer = ferry.ferry(&words)?.expect(2)?;
    check(answer.stderr.contains("add_job.marker: must be an absolute path"), || answer.stderr)
}

fn an_exposed_job_runs_as_its_metadata_say() -> Result {
    let ferry = with_daemon()?;
    let lines = format!(
        "hostname: localhost\ntransport: core.local\nwork_dir: {}",
        text(&ferry.scratch().join("second"))
    );
    tree::set_up(&ferry, "second", &lines)?;
    let said = ["computer=second", "label=mine", "options.max_wallclock_seconds=600"];
    let said = said.map(|word| format!("add_job.metadata.{word}"));
    let words = ["script.base", "add_job.x=1", "add_job.y=1", &said[0], &said[1], &said[2]];
    let shown = ferry.ended(&ferry.submit(&words)?, LIMIT)?;
    let child = called(&ferry, &shown)?.remove(0);
    check(child["computer"] == "second" && child["label"] == "mine", || format!("{child:#}"))?;
    // An invalid option is reported with the call that it was meant for.
    let id = ferry.submit(&[
        "script.base",
        "add_job.x=1",
        "add_job.y=1",
        "add_job.metadata.options.wallclock=1",
    ])?;
    let shown = ferry.ended(&id, LIMIT)?;
    let message = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted" && message.contains("metadata.options.wallclock"), || {
        format!("{shown:#}")
    })
}

fn what_goes_wrong_names_the_step() -> Result {
    let ferry = with_daemon()?;
    let end = |wrong: &str| {
        let id = ferry.submit(&["script.rounds", &format!("wrong={wrong}")])?;
        let shown = ferry.ended(&id, LIMIT)?;
        Ok::<_, String>((
            shown["state"].clone(),
            shown["exit_message"].as_str().unwrap_or_default().to_owned(),
            shown,
        ))
    };
    let (state, message, _) = end("step")?;
    check(state == "excepted" && message.contains("step `gather (round 1)`: as it was told"), || message)?;
    let (state, message, _) = end("condition")?;
    let told = "the condition `unfinished` failed: nobody can tell";
    check(state == "excepted" && message.contains(told), || message)?;
    let (state, message, shown) = end("exit")?;
    check(state == "finished" && shown["exit_code"] == 400, || format!("{shown:#}"))?;
    check(message.contains("told so in round 1"), || message)
}

fn a_step_and_its_round_are_told() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["script.rounds", "job.sleep=3"])?;
    let begun = Instant::now();
    loop {
        let status = ferry.ok(&["process", "status", &id])?;
        if status.contains("launch (round 1): waits for 2 processes that it called") {
            break;
        }
        check(begun.elapsed() < LIMIT, || status)?;
        thread::sleep(Duration::from_millis(100));
    }
    ferry.ok(&["process", "kill", &id]).map(drop)
}

/// A newer file of the same plugin takes the launches that follow, and leaves a running workchain alone.
fn a_running_one_stays_on_its_plugin_file() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["script.rounds", "job.sleep=2"])?;
    let newer = ferry.scratch().join("libscript_file.so");
    let mut bytes = fs::read(plugin("script_file")?).map_err(|error| error.to_string())?;
    // Another digest, the same plugin.
    bytes.extend(b"newer");
    fs::write(&newer, bytes).map_err(|error| error.to_string())?;
    ferry.ok(&["plugin", "install", text(&newer)])?;
    ferry.ok(&["daemon", "restart"])?;
    let old = ferry.ended(&id, LIMIT)?;
    let new = ferry.ended(&ferry.submit(&["script.rounds", "rounds=1"])?, LIMIT)?;
    check(old["exit_code"] == 0 && new["exit_code"] == 0, || format!("{old:#}\n{new:#}"))?;
    check(old["plugin"] != new["plugin"], || "the newer file took nothing".into())
}

fn a_restart_workchain_mends_and_labels() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["script.base", "add_job.x=-5", "add_job.y=2"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 1, || format!("{shown:#}"))?;
    check(called(&ferry, &shown)?.len() == 3, || format!("{shown:#}"))?;
    let dot = ferry.scratch().join("graph.dot");
    ferry.ok(&["node", "graph", "generate", &id, "-f", "dot", "-O", text(&dot)])?;
    let graph = fs::read_to_string(&dot).map_err(|error| error.to_string())?;
    check(graph.contains("CALL_CALC\\niteration_03"), || graph)?;
    let few = ferry.submit(&["script.base", "add_job.x=-5", "add_job.y=2", "max_iterations=2"])?;
    let shown = ferry.ended(&few, LIMIT)?;
    check(shown["exit_code"] == 401, || format!("{shown:#}"))
}

fn an_unhandled_failure_pauses_until_it_is_played() -> Result {
    let ferry = with_daemon()?;
    let off = "handler_overrides={\"mend\": {\"enabled\": false}}";
    let words = ["script.base", "add_job.x=-5", "add_job.y=2", "on_unhandled_failure=pause", off];
    let id = ferry.submit(&words)?;
    for iterations in 1..=2 {
        let begun = Instant::now();
        loop {
            let shown = ferry.json(&["process", "show", &id])?;
            let told = shown["waiting_for"].to_string() + &shown["status"].to_string();
            if shown["paused"] == true && shown["called"].as_array().map(Vec::len) == Some(iterations) {
                check(told.contains("no handler dealt with"), || format!("{shown:#}"))?;
                break;
            }
            check(begun.elapsed() < LIMIT, || format!("{shown:#}"))?;
            thread::sleep(Duration::from_millis(100));
        }
        ferry.ok(&["daemon", "restart"])?;
        check(ferry.json(&["process", "show", &id])?["paused"] == true, || "a restart let it go on".into())?;
        ferry.ok(&["process", "play", &id])?;
    }
    ferry.ok(&["process", "kill", &id])?;
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "it was not killed".into())
}

fn a_killed_child_ends_its_restart_workchain() -> Result {
    let ferry = with_daemon()?;
    let id = ferry.submit(&["script.base", "add_job.x=5", "add_job.y=2", "add_job.sleep=60"])?;
    let begun = Instant::now();
    let child = loop {
        let shown = ferry.json(&["process", "show", &id])?;
        if let Some(child) = called(&ferry, &shown)?.first().filter(|child| child["job_id"].is_string()) {
            break child["id"].to_string();
        }
        check(begun.elapsed() < LIMIT, || format!("{shown:#}"))?;
        thread::sleep(Duration::from_millis(50));
    };
    ferry.ok(&["process", "kill", &child])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 302, || format!("{shown:#}"))
}

fn two_hundred_with_five_jobs_each() -> Result {
    let ferry = with_daemon()?;
    let begun = Instant::now();
    let width = format!("width={WIDTH}");
    let ids: Vec<String> =
        (0..MANY).map(|_| ferry.submit(&["script.rounds", "rounds=1", &width])).collect::<Result<_>>()?;
    ferry.all_ended(Duration::from_secs(600))?;
    println!("{MANY} workchains with {WIDTH} jobs each: {:.1} s", begun.elapsed().as_secs_f64());
    for id in &ids {
        let shown = ferry.json(&["process", "show", id])?;
        let good = shown["exit_code"] == 0 && shown["outputs"]["total"]["value"] == 30;
        check(good && shown["called"].as_array().map(Vec::len) == Some(WIDTH + 3), || format!("{shown:#}"))?;
    }
    Ok(())
}
