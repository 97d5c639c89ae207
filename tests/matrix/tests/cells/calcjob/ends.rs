//! Cases about the ends of calculations: parsers and exit codes, plugins that fail, and data that is not
//! kept.

use std::{fs, time::Duration};

use ferry_matrix::{Result, check, kill};
use serde_json::{Value, json};

use super::{Bench, sh, tree, work_dir};
use crate::{Case, chaos::is_alive, sweep};

pub(super) const CASES: &[Case] = &[
    ("an_exception_before_the_submission_is_not_retried", an_exception_before_the_submission_is_not_retried),
    ("the_schedulers_exit_code_stays_when_the_parser_says_nothing", the_schedulers_exit_code_stays),
    ("a_parser_overrides_the_schedulers_exit_code", a_parser_overrides_the_schedulers_exit_code),
    ("a_parser_that_excepts_keeps_its_outputs", a_parser_that_excepts_keeps_its_outputs),
    ("an_excepted_job_is_resumed_and_not_run_again", an_excepted_job_is_resumed_and_not_run_again),
    ("exit_100_when_nothing_was_retrieved", exit_100_when_nothing_was_retrieved),
    ("a_nested_path_is_left_out_of_the_provenance", a_nested_path_is_left_out_of_the_provenance),
    ("what_is_left_out_stays_until_the_job_has_ended", what_is_left_out_stays_until_the_job_has_ended),
    ("a_job_that_skips_the_submission_only_moves_files", a_job_that_skips_the_submission_only_moves_files),
    ("files_are_transferred_without_a_job", files_are_transferred_without_a_job),
    ("a_daemon_that_is_reset_goes_on_with_its_job", a_daemon_that_is_reset_goes_on_with_its_job),
    ("a_daemon_that_dies_in_a_step_repeats_it_whole", a_daemon_that_dies_in_a_step_repeats_it_whole),
    ("a_rerunnable_job_runs", a_rerunnable_job_runs),
];

fn an_exception_before_the_submission_is_not_retried() -> Result {
    let bench = Bench::new()?;
    let shown = bench.run(&json!({"prepare": "no such thing"}), &[])?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted" && said.contains("no such thing"), || format!("{shown:#}"))?;
    check(shown["work_dir"].is_null() && shown["job_id"].is_null(), || format!("{shown:#}"))?;
    let report = bench.report(&shown)?;
    check(report.matches("no such thing").count() == 1 && !report.contains("again"), || report)
}

/// Runs a job that is killed by the hardest signal, its own shell included, so that ferry itself concludes how it ended.
fn killed_job(bench: &Bench, parse: &Value) -> Result<Value> {
    let job = json!({"run": [sh("kill -9 $(ps -o ppid= $PPID) -$(ps -o pgid= $$ | tr -d ' ')")]});
    bench.run(&job, &[&format!("parse={parse}")])
}

fn the_schedulers_exit_code_stays() -> Result {
    let bench = Bench::new()?;
    let shown = killed_job(&bench, &json!({}))?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["exit_code"] == 140 && said.contains("ERROR_SCHEDULER_NODE_FAILURE"), || format!("{shown:#}"))
}

fn a_parser_overrides_the_schedulers_exit_code() -> Result {
    let bench = Bench::new()?;
    let shown = killed_job(&bench, &json!({"exit": 411}))?;
    check(shown["exit_code"] == 411, || format!("{shown:#}"))?;
    // It is heard also after a job that ended well.
    let shown = bench.run(&json!({"run": [sh("true")]}), &[r#"parse={"exit": 412}"#])?;
    check(shown["exit_code"] == 412, || format!("{shown:#}"))
}

fn a_parser_that_excepts_keeps_its_outputs() -> Result {
    let bench = Bench::new()?;
    let job = json!({"run": [{"command": "echo", "args": ["kept"], "stdout": "out"}], "retrieve": [["out", "", 0]]});
    let shown = bench.run(&job, &[r#"parse={"output": "out", "except": "a bug"}"#])?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted" && said.contains("a bug"), || format!("{shown:#}"))?;
    check(shown["outputs"]["text"]["value"] == "kept\n", || format!("{shown:#}"))
}

fn an_excepted_job_is_resumed_and_not_run_again() -> Result {
    let bench = Bench::new()?;
    let [ran, table] = ["ran", "table"].map(|name| bench.ferry.scratch().join(name));
    let job = json!({
        "run": [sh(&format!("echo once >> {}; echo kept > out", ran.display()))],
        "retrieve": [["out", "", 0]],
    });
    let parse = json!({"output": "out", "needs": table});
    let shown = bench.run(&job, &[&format!("parse={parse}")])?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted" && said.contains("is not there"), || format!("{shown:#}"))?;
    let id = shown["id"].to_string();
    // Its cause is put right.
    fs::write(&table, "now it is").map_err(|error| error.to_string())?;
    bench.ferry.ok(&["process", "resume", &id])?;
    let shown = bench.ended(&id)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["text"]["value"] == "kept\n", || format!("{shown:#}"))?;
    let runs = fs::read_to_string(&ran).map_err(|error| error.to_string())?;
    check(runs == "once\n", || format!("it ran again: {runs}"))
}

fn exit_100_when_nothing_was_retrieved() -> Result {
    let bench = Bench::new()?;
    let shown = bench.run(&json!({"run": [sh("rm -f _scheduler-*")]}), &[])?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["exit_code"] == 100 && said.contains("ERROR_NO_RETRIEVED_FOLDER"), || format!("{shown:#}"))
}

fn inputs(bench: &Bench, id: &str) -> Result<Vec<String>> {
    let listed = bench.ferry.json(&["calcjob", "inputls", id])?;
    let names =
        listed.as_array().into_iter().flatten().filter_map(|file| file["path"].as_str().map(str::to_owned));
    Ok(names.collect())
}

fn secrets() -> Value {
    json!({"input.txt": "i", "nested/secret.txt": "s", "nested/open.txt": "o", "pot/a/POTCAR": "p"})
}

fn a_nested_path_is_left_out_of_the_provenance() -> Result {
    let bench = Bench::new()?;
    let exclude = json!(["nested/secret.txt", "pot", "typo.txt"]);
    let shown = bench.fine(&json!({"sandbox": secrets(), "exclude": exclude, "run": [sh("true")]}), &[])?;
    let id = shown["id"].to_string();
    let names = inputs(&bench, &id)?;
    check(names == ["_ferrysubmit.sh", "input.txt", "nested/open.txt"], || format!("{names:?}"))?;
    let found = tree(&work_dir(&shown))?;
    check(found["nested/secret.txt"] == "s" && found["pot/a/POTCAR"] == "p", || format!("{found:?}"))?;
    let report = bench.report(&shown)?;
    check(report.contains("`typo.txt` is to be left out"), || report)?;
    bench.ferry.ok(&["storage", "check", "--full"]).map(drop)
}

fn what_is_left_out_stays_until_the_job_has_ended() -> Result {
    let bench = Bench::new()?;
    let job = json!({"sandbox": secrets(), "exclude": ["pot"], "run": [sh("while ! [ -e go ]; do sleep 0.05; done")]});
    let id = bench.submit(&job, &[])?;
    let running = waits(&bench, &id)?;
    check(inputs(&bench, &id)?.contains(&"pot/a/POTCAR".to_owned()), || "gone too early".into())?;
    std::fs::write(work_dir(&running).join("go"), "").map_err(|error| error.to_string())?;
    bench.ended(&id)?;
    check(!inputs(&bench, &id)?.contains(&"pot/a/POTCAR".to_owned()), || "kept".into())
}

/// Waits until its job runs.
fn waits(bench: &Bench, id: &str) -> Result<Value> {
    for _ in 0..400 {
        let shown = bench.ferry.json(&["process", "show", id])?;
        if shown["job_id"].is_string() {
            return Ok(shown);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("the job did not start".into())
}

fn a_job_that_skips_the_submission_only_moves_files() -> Result {
    let bench = Bench::new()?;
    let job = json!({
        "sandbox": {"a.txt": "here and back", "s.txt": "s"},
        "exclude": ["s.txt"],
        "retrieve": [["a.txt", "", 0]],
        "skip": true,
    });
    let shown = bench.fine(&job, &[r#"parse={"output": "a.txt"}"#])?;
    check(shown["job_id"].is_null() && shown["outputs"]["text"]["value"] == "here and back", || {
        format!("{shown:#}")
    })?;
    check(!shown["outputs"]["remote_folder"].is_null(), || format!("{shown:#}"))?;
    let found = tree(&work_dir(&shown))?;
    check(found.keys().collect::<Vec<_>>() == ["a.txt", "s.txt"], || format!("{found:?}"))?;
    check(inputs(&bench, &shown["id"].to_string())? == ["a.txt"], || "s.txt was kept".into())
}

fn files_are_transferred_without_a_job() -> Result {
    let bench = Bench::new()?;
    let there = bench.files("there", &[("out/a.xml", "a"), ("out/b.txt", "b")])?;
    let here = bench.files("here", &[("c", "c")])?;
    let words = [
        "shell.transfer".to_owned(),
        format!("sources.there=remote:localhost:{}", there.display()),
        format!("sources.here=folder:{}", here.display()),
        r#"copy=[["there", "out/*.xml", "copied"], ["here", "", "."]]"#.to_owned(),
        r#"link=[["there", "out", "all"]]"#.to_owned(),
        r#"retrieve=["copied/*", "all/b.txt"]"#.to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let shown = bench.ended(&bench.ferry.submit(&words)?)?;
    check(shown["exit_code"] == 0 && shown["job_id"].is_null(), || format!("{shown:#}"))?;
    let listed = bench.ferry.ok(&["calcjob", "outputls", &shown["id"].to_string()])?;
    check(listed == "all/b.txt\ncopied/a.xml", || listed)?;
    check(tree(&work_dir(&shown))?["c"] == "c", || "c did not go there".into())?;
    let missing = [&words[..5], &[r#"retrieve=["gone"]"#]].concat();
    let shown = bench.ended(&bench.ferry.submit(&missing)?)?;
    check(shown["exit_code"] == 303, || format!("{shown:#}"))
}

fn a_daemon_that_is_reset_goes_on_with_its_job() -> Result {
    let bench = Bench::new()?;
    let job = json!({"run": [sh("echo x >> ran; while ! [ -e go ]; do sleep 0.05; done")], "retrieve": [["ran", "", 0]]});
    let id = bench.submit(&job, &[])?;
    let running = waits(&bench, &id)?;
    let (pid, _) = bench.ferry.daemon()?;
    check(kill(pid, 9), || "no daemon".into())?;
    bench.ferry.ok(&["daemon", "stop"])?;
    bench.ferry.ok(&["daemon", "start"])?;
    std::fs::write(work_dir(&running).join("go"), "").map_err(|error| error.to_string())?;
    let shown = bench.ended(&id)?;
    check(shown["exit_code"] == 0 && shown["job_id"] == running["job_id"], || format!("{shown:#}"))?;
    check(bench.cat(&shown, "ran")? == "x", || "it ran again".into())
}

/// Copies, exclusions and transfers through a death between each intent and its outcome.
fn a_daemon_that_dies_in_a_step_repeats_it_whole() -> Result {
    for point in ["prepare.stored", "upload.published", "upload.stored", "retrieve.fetched"] {
        let bench = Bench::without_daemon()?;
        let mut start = bench.ferry.command(&["daemon", "start"]);
        start.env("FERRY_CRASH_AT", point);
        ferry_matrix::Profile::run(start)?;
        let worker = bench.ferry.daemon().ok().map(|(pid, _)| pid);
        let there = bench.files("there", &[("out/a", "remote")])?;
        let job = json!({
            "sandbox": secrets(),
            "exclude": ["pot"],
            "copy": [["p", "out", "."]],
            "order": ["remote", "sandbox", "local"],
            "retrieve": [["out/a", "", null]],
            "skip": true,
        });
        let place = format!("places.p=localhost:{}", there.display());
        let id = sweep::launch(&bench.ferry, "it", &["script.job", &format!("job={job}"), &place])?;
        sweep::end(&bench.ferry)?;
        let shown = bench.ended(&id)?;
        check(shown["exit_code"] == 0, || format!("{point}: {shown:#}"))?;
        check(worker.is_none_or(|pid| !is_alive(pid)), || format!("{point} was not passed"))?;
        let found = tree(&work_dir(&shown))?;
        check(found["out/a"] == "remote" && found["pot/a/POTCAR"] == "p", || format!("{point}: {found:?}"))?;
        let kept = inputs(&bench, &id)?;
        check(kept == ["input.txt", "nested/open.txt", "nested/secret.txt"], || {
            format!("{point}: {kept:?}")
        })?;
        bench.ferry.ok(&["storage", "check", "--full"])?;
    }
    Ok(())
}

fn a_rerunnable_job_runs() -> Result {
    let bench = Bench::new()?;
    bench.fine(&json!({"run": [sh("true")]}), &["--option", "rerunnable=true"]).map(drop)
}
