//! Imports of runs that are over: AiiDA's `test_import_*`.

use ferry_matrix::{Result, check, text};
use serde_json::json;

use super::{Bench, sh};
use crate::Case;

pub(super) const CASES: &[Case] = &[
    ("a_run_that_is_over_is_imported", a_run_that_is_over_is_imported),
    ("an_import_needs_no_code_and_submits_nothing", an_import_needs_no_code_and_submits_nothing),
    ("an_import_of_nothing_is_told", an_import_of_nothing_is_told),
    ("an_import_reads_the_files_that_are_named", an_import_reads_the_files_that_are_named),
    ("a_run_of_ferry_is_imported_with_its_exit_status", a_run_of_ferry_is_imported_with_its_exit_status),
];

fn place(dir: &std::path::Path) -> String {
    format!("remote_folder=localhost:{}", text(dir))
}

fn a_run_that_is_over_is_imported() -> Result {
    let bench = Bench::new()?;
    let dir = bench.files("over", &[("add.out", "5\n"), ("other", "")])?;
    let id = bench.ferry.submit(&["arithmetic.add_job", "x=2", "y=3", &place(&dir)])?;
    let shown = bench.ended(&id)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 5, || format!("{shown:#}"))?;
    check(shown["imported"] == true && shown["job_id"].is_null(), || format!("{shown:#}"))?;
    check(shown["inputs"]["remote_folder"]["type"] == "remote_folder", || format!("{shown:#}"))?;
    check(shown["outputs"]["remote_folder"].is_null(), || "its own folder".into())?;
    let told = bench.ferry.ok(&["process", "show", &id])?;
    check(told.contains("imported"), || told)?;
    // The graph knows the folder as what it came from.
    let graph = bench.ferry.ok(&["storage", "check", "--full"])?;
    check(!graph.contains("finding"), || graph)
}

fn an_import_needs_no_code_and_submits_nothing() -> Result {
    let bench = Bench::new()?;
    let dir = bench.files("over", &[("out", "text")])?;
    let job = json!({"sandbox": {"in": "x"}, "run": [sh("touch ran")], "retrieve": [["out", "", 0]]});
    let shown = bench.fine(&job, &[&place(&dir), r#"parse={"output": "out"}"#])?;
    check(shown["outputs"]["text"]["value"] == "text", || format!("{shown:#}"))?;
    let names: Vec<_> = super::tree(&dir)?.into_keys().collect();
    check(names == ["out"], || format!("something was written: {names:?}"))?;
    let other = ["--computer", "nowhere", &place(&dir)];
    let answer =
        bench.ferry.ferry(&[&["submit", "arithmetic.add_job", "x=1", "y=1"][..], &other].concat())?;
    answer.expect(2)?.says(&["metadata.computer", "localhost"]).map(drop)
}

fn an_import_of_nothing_is_told() -> Result {
    let bench = Bench::new()?;
    let gone = bench.ferry.scratch().join("gone");
    let id = bench.ferry.submit(&["arithmetic.add_job", "x=2", "y=3", &place(&gone)])?;
    let shown = bench.ended(&id)?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted" && said.contains("there is no directory"), || format!("{shown:#}"))?;
    // A directory with nothing of it inside: the engine's word, which the parser leaves.
    let empty = bench.files("empty", &[])?;
    let id = bench.ferry.submit(&["arithmetic.add_job", "x=2", "y=3", &place(&empty)])?;
    let shown = bench.ended(&id)?;
    check(shown["exit_code"] == 100, || format!("{shown:#}"))?;
    let answer =
        bench.ferry.ferry(&["submit", "arithmetic.add_job", "x=1", "y=1", "remote_folder=/just/a/path"])?;
    answer.expect(2)?.says(&["remote_folder", "COMPUTER:/ABSOLUTE/PATH"]).map(drop)
}

fn an_import_reads_the_files_that_are_named() -> Result {
    let bench = Bench::new()?;
    let dir = bench.files("over", &[("old-name.out", "-1\n")])?;
    let named = ["--option", "output_filename=old-name.out"];
    let id =
        bench.ferry.submit(&[&["arithmetic.add_job", "x=2", "y=-3", &place(&dir)][..], &named].concat())?;
    let shown = bench.ended(&id)?;
    check(shown["exit_code"] == 410 && shown["outputs"]["sum"]["value"] == -1, || format!("{shown:#}"))
}

fn a_run_of_ferry_is_imported_with_its_exit_status() -> Result {
    let bench = Bench::new()?;
    let run =
        |words: &[&str]| bench.ended(&bench.ferry.submit(&[&["shell.run", "command=sh"], words].concat())?);
    let script = r#"arguments=["-c", "echo out; exit 3"]"#;
    let first = run(&[script])?;
    check(first["exit_code"] == 400, || format!("{first:#}"))?;
    let folder = format!("remote_folder=@{}", first["outputs"]["remote_folder"]["id"]);
    let again = run(&[script, &folder])?;
    check(again["exit_code"] == 400 && again["imported"] == true, || format!("{again:#}"))?;
    check(bench.cat(&again, "stdout")? == "out", || "not its output".into())?;
    // Outside of ferry, its end was not recorded.
    let dir = bench.files("over", &[("stdout", "x\n"), ("stderr", "")])?;
    let shown = run(&[&place(&dir)])?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))
}
