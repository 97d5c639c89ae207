//! Cases about stashing: files that calculations keep on their computers, and their retrieval.

use std::{fs, path::Path, time::Duration};

use ferry_matrix::{Profile, Result, check, text};
use serde_json::{Value, json};

use crate::{
    Case,
    cell::{Cell, CellCase},
};

pub(crate) const CASES: &[Case] = &[
    ("a_stash_that_fails_is_160_and_the_results_come_home", a_stash_that_fails_is_160),
    ("a_failed_stash_removes_nothing_but_its_own", a_failed_stash_removes_nothing_but_its_own),
    ("wrong_stashes_are_refused_at_submission", wrong_stashes_are_refused_at_submission),
    ("what_is_stashed_goes_back_to_its_original_place", what_is_stashed_goes_back),
];

pub(crate) const CELL_CASES: &[CellCase] =
    &[("stashes_are_made_and_taken_out", stashes_are_made_and_taken_out)];

const LIMIT: Duration = Duration::from_secs(240);

/// A job that writes `a.txt`, `sub/b.txt`, and a link to the first.
const FILES: &str = r#"arguments=["-c", "mkdir sub; echo a > a.txt; echo b > sub/b.txt; ln -s a.txt link"]"#;

fn stash(base: &Path, mode: &str, sources: &[&str]) -> Value {
    let mut stash = json!({"target_base": text(base), "source_list": sources, "stash_mode": mode});
    if mode != "copy" {
        stash["dereference"] = json!(false);
    }
    stash
}

fn submit(cell: &Cell, ferry: &Profile, arguments: &str, stash: &Value) -> Result<String> {
    let option = format!("stash={stash}");
    cell.submit(ferry, &["shell.run", "command=sh", arguments, "--option", &option])
}

fn local() -> Cell {
    Cell { name: "local+direct".into() }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns everything below a directory, by relative path.
fn below(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(place) = todo.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let path = entry.path();
            found.push(path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(path);
            }
        }
    }
    found.sort();
    found
}

fn stashes_are_made_and_taken_out(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let base = ferry.scratch().join("stashes");
    let modes: &[&str] = match cell.name.as_str() {
        "local+direct" => &["copy", "tar", "tar.bz2", "tar.gz", "tar.xz"],
        _ => &["copy", "tar.gz"],
    };
    let jobs: Vec<String> = modes
        .iter()
        .map(|mode| submit(cell, &ferry, FILES, &stash(&base, mode, &["a*", "sub", "link", "nope*"])))
        .collect::<Result<_>>()?;
    let mut users = Vec::new();
    for (mode, id) in modes.iter().zip(&jobs) {
        let shown = ferry.ended(id, LIMIT)?;
        let made = &shown["outputs"]["remote_stash"];
        check(shown["exit_code"] == 0 && made["type"] == "remote_stash", || format!("{mode}: {shown:#}"))?;
        let path = Path::new(made["value"]["path"].as_str().unwrap_or_default()).to_owned();
        let uuid = shown["uuid"].as_str().unwrap_or_default();
        if *mode == "copy" {
            check(below(&path) == ["a.txt", "link", "sub", "sub/b.txt"], || format!("{:?}", below(&path)))?;
            let end = &uuid[uuid.len() - 4..];
            let place = base.join(&end[..2]).join(&end[2..]);
            check(path.starts_with(&place), || format!("{} for {uuid}", path.display()))?;
        } else {
            check(path == base.join(format!("{uuid}.{mode}")), || path.display().to_string())?;
        }
        let report = ferry.ok(&["process", "report", id])?;
        check(report.contains("nothing to stash for `nope*`"), || report.clone())?;
        // Another calculation takes it out, and reads what it has taken.
        let unstash = r#"unstash={"source_list": ["a.txt", "sub"], "unstash_target_mode": "NewRemoteData"}"#;
        let stash = format!("nodes.stash=@{}", made["id"]);
        let words = ["shell.run", "command=cat", "arguments=a.txt sub/b.txt", &stash, "--option", unstash];
        users.push((mode, cell.submit(&ferry, &words)?));
    }
    for (mode, id) in users {
        let shown = ferry.ended(&id, LIMIT)?;
        check(shown["exit_code"] == 0, || format!("{mode}: {shown:#}"))?;
        let printed = ferry.ok(&["calcjob", "outputcat", &id, "stdout"])?;
        check(printed == "a\nb", || format!("{mode}: {printed}"))?;
    }
    let left: Vec<String> = below(&base).into_iter().filter(|path| path.contains(".stash-")).collect();
    check(left.is_empty(), || format!("{left:?}"))
}

fn a_stash_that_fails_is_160() -> Result {
    let (ferry, cell) = (Profile::new()?, local());
    ferry.ok(&["daemon", "start"])?;
    // There is a file where a directory is needed.
    let base = ferry.scratch().join("no-directory");
    fs::write(&base, "mine").map_err(|error| error.to_string())?;
    let modes = ["copy", "tar", "tar.bz2", "tar.gz", "tar.xz"];
    let arguments = r#"arguments=["-c", "echo printed; echo a > a.txt"]"#;
    let jobs: Vec<String> = modes
        .iter()
        .map(|mode| submit(&cell, &ferry, arguments, &stash(&base.join("below"), mode, &["a.txt"])))
        .collect::<Result<_>>()?;
    let must = json!({"target_base": text(ferry.scratch()), "source_list": ["a.txt", "gone"],
                      "stash_mode": "copy", "fail_on_missing": true});
    let missing = submit(&cell, &ferry, arguments, &must)?;
    for (mode, id) in modes.iter().zip(&jobs).chain([(&"fail_on_missing", &missing)]) {
        let shown = ferry.ended(id, LIMIT)?;
        let message = shown["exit_message"].as_str().unwrap_or_default();
        let told = message.starts_with("ERROR_STASHING_FAILED: ");
        check(shown["exit_code"] == 160 && told, || format!("{mode}: {shown:#}"))?;
        let outputs = &shown["outputs"];
        let good = outputs["stdout"].is_object() && outputs["retrieved"].is_object();
        check(good && outputs["remote_stash"].is_null(), || format!("{mode}: {outputs:#}"))?;
        check(ferry.ok(&["calcjob", "outputcat", id, "stdout"])? == "printed", || {
            format!("{mode}: no stdout")
        })?;
        let report = ferry.ok(&["process", "report", id])?;
        check(report.contains("the results are retrieved nevertheless"), || report.clone())?;
    }
    let shown = ferry.json(&["process", "show", &missing])?;
    check(shown["exit_message"].to_string().contains("not in the work directory: gone"), || {
        format!("{shown:#}")
    })?;
    // The calculation's own result is more important.
    let failing = r#"arguments=["-c", "echo a > a.txt; exit 3"]"#;
    let id = submit(&cell, &ferry, failing, &stash(&base, "copy", &["a.txt"]))?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 400, || "the command's own failure is hidden".into())?;
    check(read(&base)? == "mine", || "somebody's file was changed".into())
}

fn a_failed_stash_removes_nothing_but_its_own() -> Result {
    let (ferry, cell) = (Profile::new()?, local());
    ferry.ok(&["daemon", "start"])?;
    let base = ferry.scratch().join("stashes");
    let good: Vec<String> = ["copy", "tar"]
        .iter()
        .map(|mode| submit(&cell, &ferry, FILES, &stash(&base, mode, &["*"])))
        .collect::<Result<_>>()?;
    for id in &good {
        check(ferry.ended(id, LIMIT)?["exit_code"] == 0, || "no stash".into())?;
    }
    // In each directory that a stash might be put into, there is a foreign one.
    let mut others = Vec::new();
    for number in 0..256 {
        let other = base.join(format!("{number:02x}/other/x"));
        fs::create_dir_all(other.parent().unwrap_or(&base)).map_err(|error| error.to_string())?;
        fs::write(&other, "mine").map_err(|error| error.to_string())?;
        others.push(other);
    }
    let before = below(&base);
    // The copy fails half-way: at a pipe.
    let pipe = r#"arguments=["-c", "echo a > a.txt; mkfifo pipe"]"#;
    let id = submit(&cell, &ferry, pipe, &stash(&base, "copy", &["a.txt", "pipe"]))?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 160, || format!("{shown:#}"))?;
    let new: Vec<String> = below(&base).into_iter().filter(|path| !before.contains(path)).collect();
    let uuid = shown["uuid"].as_str().unwrap_or_default();
    let end = &uuid[uuid.len() - 4..];
    check(new.iter().all(|path| *path == format!("{}/{}", &end[..2], &end[2..])), || {
        format!("left: {new:?}")
    })?;
    check(before.iter().all(|path| base.join(path).symlink_metadata().is_ok()), || "others are gone".into())
}

fn wrong_stashes_are_refused_at_submission() -> Result {
    let ferry = Profile::new()?;
    let refused = |options: &[&str], words: &[&str]| -> Result {
        let options = options.iter().flat_map(|option| ["--option", option]);
        let line: Vec<&str> =
            ["submit", "arithmetic.add_job", "x=1", "y=2"].into_iter().chain(options).collect();
        ferry.ferry(&line)?.expect(2)?.says(words).map(drop)
    };
    refused(
        &[r#"stash={"target_base": "here", "source_list": ["/etc", "../x"], "stash_mode": "zip"}"#],
        &[
            "metadata.options.stash.target_base: `here` is not an absolute path",
            "`/etc` is not a path inside the work directory",
            "`../x` is not a path inside",
            "`zip` is none of copy, tar, tar.bz2, tar.gz, tar.xz",
        ],
    )?;
    refused(
        &["stash.target_base=/s", "stash.source_list=[\"a\"]", "stash.stash_mode=tar"],
        &["metadata.options.stash.dereference: required with `tar`"],
    )?;
    refused(
        &[r#"stash={"target_base": "/s", "source_list": ["*"], "stash_mode": "copy", "dereference": true,
                    "fail_on_missing": true}"#],
        &["a copy keeps links as they are", "`*` is a pattern with `fail_on_missing`"],
    )?;
    refused(
        &[r#"unstash={"source_list": ["a"], "unstash_target_mode": "Somewhere"}"#],
        &["expected OriginalPlace or NewRemoteData, got `Somewhere`"],
    )?;
    refused(
        &[r#"unstash={"source_list": ["a"], "unstash_target_mode": "NewRemoteData"}"#],
        &["metadata.options.unstash: there is no stash among the inputs"],
    )
}

fn what_is_stashed_goes_back() -> Result {
    let (ferry, cell) = (Profile::new()?, local());
    ferry.ok(&["daemon", "start"])?;
    let base = ferry.scratch().join("stashes");
    for mode in ["copy", "tar.gz"] {
        let id = submit(&cell, &ferry, FILES, &stash(&base, mode, &["*"]))?;
        let shown = ferry.ended(&id, LIMIT)?;
        let stash = &shown["outputs"]["remote_stash"];
        let work_dir = Path::new(stash["value"]["work_dir"].as_str().unwrap_or_default()).to_owned();
        check(work_dir.join("a.txt").exists(), || format!("{shown:#}"))?;
        // The directory is cleaned, as a file system does that keeps nothing for long.
        ferry.ok(&["calcjob", "cleanworkdir", &id, "--force"])?;
        check(!work_dir.exists(), || "it was not cleaned".into())?;
        let unstash = r#"unstash={"source_list": ["*.txt", "sub"], "unstash_target_mode": "OriginalPlace"}"#;
        let (stash, old) =
            (format!("nodes.stash=@{}", stash["id"]), format!("arguments={}", work_dir.display()));
        let words = ["shell.run", "command=ls", &old, &stash, "--option", unstash];
        let id = cell.submit(&ferry, &words)?;
        let shown = ferry.ended(&id, LIMIT)?;
        check(shown["exit_code"] == 0, || format!("{mode}: {shown:#}"))?;
        check(read(&work_dir.join("sub/b.txt"))? == "b\n", || format!("{mode}: another content"))?;
        check(!work_dir.join("link").exists(), || format!("{mode}: more than was asked for"))?;
        // A missing source is reported.
        let none = r#"unstash={"source_list": ["nope"], "unstash_target_mode": "NewRemoteData"}"#;
        let id = cell.submit(&ferry, &["shell.run", "command=true", &stash, "--option", none])?;
        let shown = ferry.ended(&id, LIMIT)?;
        let told = shown["exit_message"].as_str().unwrap_or_default();
        check(shown["state"] == "excepted" && told.contains("nope"), || format!("{mode}: {shown:#}"))?;
    }
    Ok(())
}
