//! Cases about the files that are retrieved, and their names: AiiDA's `test_retrieve_files_from_list`.

use ferry_matrix::{Result, check};
use serde_json::{Value, json};

use super::{Bench, sh, work_dir};
use crate::{Case, refused::until};

pub(super) const CASES: &[Case] = &[
    ("retrieve_lists_flatten_keep_depth_and_glob", retrieve_lists_flatten_keep_depth_and_glob),
    ("missing_files_are_warnings", missing_files_are_warnings),
    ("files_of_one_name_are_told", files_of_one_name_are_told),
    ("a_temporary_file_is_seen_by_the_parser_alone", a_temporary_file_is_seen_by_the_parser_alone),
    ("a_pattern_that_leaves_the_work_directory_is_refused", a_pattern_that_leaves_is_refused),
    ("additional_retrieve_list_brings_more_home", additional_retrieve_list_brings_more_home),
    ("a_name_that_is_not_utf8_loses_nothing", a_name_that_is_not_utf8_loses_nothing),
    ("a_retrieval_is_bounded", a_retrieval_is_bounded),
];

const C: &str = "path/sub/file_c.txt";

/// Returns AiiDA's table: retrieve lists of (pattern, target, depth), and the resulting names.
fn table() -> Vec<(Value, Vec<&'static str>)> {
    let c_d = vec!["file_c.txt", "file_d.txt"];
    let flat = |pattern: &str| json!([[pattern, "", 0]]);
    vec![
        (flat("file_a.txt"), vec!["file_a.txt"]),
        (flat(C), vec!["file_c.txt"]),
        (flat("path"), vec!["path/file_b.txt", "path/sub/file_c.txt", "path/sub/file_d.txt"]),
        (flat("path/sub"), vec!["sub/file_c.txt", "sub/file_d.txt"]),
        (flat("*.txt"), vec!["file_a.txt"]),
        (flat("*/*.txt"), vec!["file_b.txt"]),
        (json!([[C, ".", 3]]), vec![C]),
        (json!([[C, ".", 2]]), vec!["sub/file_c.txt"]),
        (json!([[C, ".", 1]]), vec!["file_c.txt"]),
        (json!([[C, ".", 0]]), vec!["file_c.txt"]),
        (json!([["path/sub", ".", 2]]), vec!["path/sub/file_c.txt", "path/sub/file_d.txt"]),
        (json!([["path/sub", ".", 1]]), vec!["sub/file_c.txt", "sub/file_d.txt"]),
        (json!([["path/*", ".", 0]]), vec!["file_b.txt", "sub/file_c.txt", "sub/file_d.txt"]),
        (json!([["path/sub/*", ".", 0]]), c_d),
        (json!([["path/sub/*c.txt", ".", 2]]), vec!["sub/file_c.txt"]),
        (json!([["path/sub/*c.txt", ".", 0]]), vec!["file_c.txt"]),
        (json!([["path/*.txt", ".", null]]), vec!["path/file_b.txt"]),
        (json!([["path/sub/*.txt", ".", null]]), vec!["path/sub/file_c.txt", "path/sub/file_d.txt"]),
        (json!([[C, "target", 3]]), vec!["target/path/sub/file_c.txt"]),
        (json!([["path/sub", "target", 1]]), vec!["target/sub/file_c.txt", "target/sub/file_d.txt"]),
        (json!([["path/sub/*c.txt", "target", 2]]), vec!["target/sub/file_c.txt"]),
        (
            json!([["file_a.txt", "", 0], ["path/file_u.txt", "", 0], ["path/sub/u", ".", 3]]),
            vec!["file_a.txt"],
        ),
    ]
}

fn hierarchy() -> Value {
    json!({"file_a.txt": "a", "path/file_b.txt": "b", "path/sub/file_c.txt": "c", "path/sub/file_d.txt": "d"})
}

fn retrieve_lists_flatten_keep_depth_and_glob() -> Result {
    let bench = Bench::new()?;
    let mut ids = Vec::new();
    for (list, _) in table() {
        ids.push(bench.submit(&json!({"sandbox": hierarchy(), "retrieve": list, "skip": true}), &[])?);
    }
    for ((list, expect), id) in table().into_iter().zip(&ids) {
        let shown = bench.ended(id)?;
        check(shown["exit_code"] == 0, || format!("{list}: {shown:#}"))?;
        let listed = bench.ferry.json(&["calcjob", "outputls", id])?;
        let names: Vec<_> =
            listed.as_array().into_iter().flatten().filter_map(|file| file["path"].as_str()).collect();
        check(names == expect, || format!("{list}: {names:?}"))?;
    }
    Ok(())
}

fn missing_files_are_warnings() -> Result {
    let bench = Bench::new()?;
    let job = json!({"run": [sh("true")], "retrieve": [["gone.txt", "", 0], ["*.none", "", 0]]});
    let shown = bench.fine(&job, &[])?;
    let report = bench.report(&shown)?;
    check(report.contains("nothing to retrieve for `gone.txt`") && report.contains("`*.none`"), || report)
}

fn files_of_one_name_are_told() -> Result {
    let bench = Bench::new()?;
    let job = json!({"sandbox": {"a/x": "1", "b/x": "2"}, "retrieve": [["a/x", "", 0], ["b/x", "", 0]], "skip": true});
    let shown = bench.fine(&job, &[])?;
    check(bench.cat(&shown, "x")? == "2", || "not the second".into())?;
    let report = bench.report(&shown)?;
    check(
        report.contains("several retrieved files have the name `x`") && report.contains("`a/x` is not kept"),
        || report,
    )
}

fn a_temporary_file_is_seen_by_the_parser_alone() -> Result {
    let bench = Bench::new()?;
    let job = json!({"run": [sh("mkdir d; echo seen > d/big.tmp")], "temporary": ["d/*.tmp"]});
    let shown = bench.fine(&job, &["parse={\"temporary\": \"big.tmp\"}"])?;
    check(shown["outputs"]["text"]["value"] == "seen\n", || format!("{shown:#}"))?;
    let listed = bench.ferry.ok(&["calcjob", "outputls", &shown["id"].to_string()])?;
    check(!listed.contains("big.tmp"), || listed)
}

fn a_pattern_that_leaves_is_refused() -> Result {
    let bench = Bench::new()?;
    for pattern in ["../../etc/passwd", "/etc/passwd"] {
        let shown = bench.run(&json!({"run": [sh("true")], "retrieve": [[pattern, "", 0]]}), &[])?;
        let said = shown["exit_message"].as_str().unwrap_or_default();
        let fine = shown["state"] == "excepted" && said.contains(pattern) && shown["job_id"].is_null();
        check(fine, || format!("{shown:#}"))?;
    }
    Ok(())
}

fn additional_retrieve_list_brings_more_home() -> Result {
    let bench = Bench::new()?;
    let list = r#"additional_retrieve_list=["d/*.log"]"#;
    let shown = bench.fine(&json!({"run": [sh("mkdir d; echo more > d/a.log")]}), &["--option", list])?;
    check(bench.cat(&shown, "a.log")? == "more", || "not more".into())?;
    check(work_dir(&shown).join("d/a.log").is_file(), || "moved".into())?;
    let list = r#"additional_retrieve_list=["/etc/passwd"]"#;
    let answer = bench.ferry.ferry(&["submit", "script.job", "job={}", "--option", list])?.expect(2)?;
    answer.says(&["metadata.options.additional_retrieve_list", "`/etc/passwd` is absolute"]).map(drop)
}

fn a_name_that_is_not_utf8_loses_nothing() -> Result {
    let bench = Bench::new()?;
    let script =
        r"mkdir out; echo kept > out/a.log; echo odd > out/$(printf 'M\374.log'); ln -s loop out/loop";
    let shown = bench.fine(&json!({"run": [sh(script)], "retrieve": [["out", "", 0]]}), &[])?;
    check(bench.cat(&shown, "out/a.log")? == "kept", || "the other file is lost".into())?;
    check(bench.cat(&shown, r"out/M\xFC.log")? == "odd", || "the odd file is lost".into())?;
    let report = bench.report(&shown)?;
    check(report.contains("is not UTF-8; it is kept as"), || report)
}

/// One file above the bound pauses the process, and nothing is lost: with a higher bound it ends well.
fn a_retrieval_is_bounded() -> Result {
    let bench = Bench::new()?;
    // Three files, and the scheduler's two.
    let job =
        json!({"run": [sh("mkdir d; for i in 1 2 3; do echo $i > d/$i; done")], "retrieve": [["d", "", 0]]});
    for (low, high) in [
        (["--retrieve-max-files", "4"], ["--retrieve-max-files", "5"]),
        (["--retrieve-max-bytes", "5"], ["--retrieve-max-bytes", "100000"]),
    ] {
        bench.configure(&low)?;
        let id = bench.submit(&job, &[])?;
        let is_paused = |shown: &Value| shown["paused"] == true;
        let shown = until(&bench.ferry, &id, "the process pauses", is_paused)?;
        let status = shown["waiting_for"].as_str().unwrap_or_default();
        check(status.contains("retrieve_max_files"), || format!("{shown:#}"))?;
        bench.configure(&high)?;
        bench.ferry.ok(&["process", "play", &id])?;
        let shown = bench.ended(&id)?;
        check(shown["exit_code"] == 0 && bench.cat(&shown, "d/3")? == "3", || format!("{shown:#}"))?;
    }
    Ok(())
}
