//! Sandbox, local copies, remote copies and links: AiiDA's `test_upload_*`.

use std::{collections::BTreeMap, fs};

use ferry_matrix::{Result, check, text};
use serde_json::{Value, json};

use super::{Bench, tree, work_dir};
use crate::Case;

pub(super) const CASES: &[Case] = &[
    ("upload_combinations", upload_combinations),
    ("local_copies_place_files_and_folders_and_are_not_kept", local_copies_place_files_and_folders),
    ("a_file_can_t_take_the_place_of_a_directory", a_file_can_t_take_the_place_of_a_directory),
    ("the_copy_order_decides_which_of_two_stays", the_copy_order_decides_which_of_two_stays),
    ("symlinks_make_the_directories_around_them", symlinks_make_the_directories_around_them),
    ("globs_copy_and_link_what_they_find", globs_copy_and_link_what_they_find),
    ("a_missing_remote_source_is_no_silence", a_missing_remote_source_is_no_silence),
    ("what_is_on_another_computer_is_refused", what_is_on_another_computer_is_refused),
];

/// Files with their contents.
type Files = &'static [(&'static str, &'static str)];

/// One line of AiiDA's table.
struct Combination {
    sandbox: Files,
    /// Files of a folder, a place in it, and a target.
    local: &'static [(Files, &'static str, &'static str)],
    /// The same on the computer.
    remote: &'static [(Files, &'static str, &'static str)],
    expect: Files,
}

const BA: Files = &[("pseudo/Ba.upf", "Ba")];
const NESTED: Files = &[("folder/nested/file", "new")];

const TABLE: &[Combination] = &[
    // One of the three alone.
    Combination { sandbox: BA, local: &[], remote: &[], expect: BA },
    Combination { sandbox: &[], local: &[(BA, "pseudo/Ba.upf", "pseudo/Ba.upf")], remote: &[], expect: BA },
    Combination {
        sandbox: &[],
        local: &[(BA, "pseudo", "target")],
        remote: &[],
        expect: &[("target/Ba.upf", "Ba")],
    },
    Combination { sandbox: &[], local: &[(BA, "pseudo", ".")], remote: &[], expect: &[("Ba.upf", "Ba")] },
    // AiiDA copies nothing here and reports nothing: the directory around the target is missing.
    Combination { sandbox: &[], local: &[], remote: &[(BA, "pseudo/Ba.upf", "pseudo/Ba.upf")], expect: BA },
    Combination {
        sandbox: &[],
        local: &[],
        remote: &[(BA, "pseudo", "target")],
        expect: &[("target/Ba.upf", "Ba")],
    },
    Combination { sandbox: &[], local: &[], remote: &[(BA, "pseudo", ".")], expect: BA },
    // The sandbox has the directory.
    Combination {
        sandbox: &[("pseudo/", "")],
        local: &[(BA, "pseudo/Ba.upf", "pseudo/Ba.upf")],
        remote: &[],
        expect: BA,
    },
    Combination {
        sandbox: &[("pseudo/", "")],
        local: &[(BA, "pseudo/Ba.upf", "pseudo/Ba.upf"), (BA, "pseudo/Ba.upf", "pseudo/Ti.upf")],
        remote: &[],
        expect: &[("pseudo/Ba.upf", "Ba"), ("pseudo/Ti.upf", "Ba")],
    },
    Combination { sandbox: &[("pseudo/", "")], local: &[(BA, "pseudo", "pseudo")], remote: &[], expect: BA },
    Combination {
        sandbox: &[("pseudo/", "")],
        local: &[],
        remote: &[(BA, "pseudo/Ba.upf", "pseudo/Ba.upf")],
        expect: BA,
    },
    Combination {
        sandbox: &[("pseudo/", "")],
        local: &[],
        remote: &[(BA, "pseudo/Ba.upf", "pseudo")],
        expect: BA,
    },
    // Contents of a local folder, and a remote folder that keeps its name.
    Combination {
        sandbox: &[("folder/nested/file", "old")],
        local: &[(NESTED, "folder/nested", "folder/nested")],
        remote: &[],
        expect: NESTED,
    },
    Combination {
        sandbox: &[("folder/nested/file", "old")],
        local: &[(NESTED, "folder", "folder")],
        remote: &[],
        expect: NESTED,
    },
    Combination {
        sandbox: &[("folder/nested/file", "old")],
        local: &[],
        remote: &[(NESTED, "folder/nested", "folder/nested")],
        expect: &[("folder/nested/file", "old"), ("folder/nested/nested/file", "new")],
    },
    // Into a directory that has one of that name already: as `cp -r`, file over file.
    Combination {
        sandbox: &[("folder/nested/file", "old"), ("folder/nested/other", "kept")],
        local: &[],
        remote: &[(NESTED, "folder/nested", "folder")],
        expect: &[("folder/nested/file", "new"), ("folder/nested/other", "kept")],
    },
];

fn map(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

impl Bench {
    /// Submits a job that only copies.
    fn copies(
        &self,
        number: usize,
        sandbox: &[(&str, &str)],
        local: &[(Files, &str, &str)],
        remote: &[(Files, &str, &str)],
        more: &Value,
    ) -> Result<String> {
        let mut words = Vec::new();
        let (mut locals, mut remotes) = (Vec::new(), Vec::new());
        for (at, (files, path, target)) in local.iter().enumerate() {
            let dir = self.files(&format!("local-{number}-{at}"), files)?;
            words.push(format!("folders.f{at}=folder:{}", dir.display()));
            locals.push(json!([format!("f{at}"), path, target]));
        }
        for (at, (files, path, target)) in remote.iter().enumerate() {
            let dir = self.files(&format!("remote-{number}-{at}"), files)?;
            words.push(format!("places.p{at}=localhost:{}", dir.display()));
            remotes.push(json!([format!("p{at}"), path, target]));
        }
        let mut job = json!({"sandbox": map(sandbox), "local": locals, "copy": remotes, "skip": true});
        for (key, value) in more.as_object().into_iter().flatten() {
            job[key] = value.clone();
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.submit(&job, &words)
    }
}

fn upload_combinations() -> Result {
    let bench = Bench::new()?;
    let mut ids = Vec::new();
    for (number, case) in TABLE.iter().enumerate() {
        ids.push(bench.copies(number, case.sandbox, case.local, case.remote, &json!({}))?);
    }
    for ((number, case), id) in TABLE.iter().enumerate().zip(&ids) {
        let shown = bench.ended(id)?;
        check(shown["exit_code"] == 0, || format!("{number}: {shown:#}"))?;
        check(shown["job_id"].is_null(), || format!("{number}: a job was submitted"))?;
        let found = tree(&work_dir(&shown))?;
        check(found == map(case.expect), || format!("combination {number}: {found:?}"))?;
    }
    Ok(())
}

fn local_copies_place_files_and_folders() -> Result {
    let bench = Bench::new()?;
    let dir = bench.files("f", &[("sub/b", "file_b"), ("a", "file_a")])?;
    let file = bench.files("g", &[("x.txt", "content_x")])?.join("x.txt");
    let job =
        json!({"local": [["f", "", "."], ["f", "sub", "target"], ["x", "", "./files/file_x"]], "skip": true});
    let (f, x) = (format!("folders.f=folder:{}", text(&dir)), format!("folders.x=file:{}", text(&file)));
    let shown = bench.fine(&job, &[&f, &x])?;
    let found = tree(&work_dir(&shown))?;
    let expect =
        map(&[("sub/b", "file_b"), ("a", "file_a"), ("target/b", "file_b"), ("files/file_x", "content_x")]);
    check(found == expect, || format!("{found:?}"))?;
    // They are in their own nodes already.
    let answer = bench.ferry.ferry(&["calcjob", "inputls", &shown["id"].to_string()])?.expect(1)?;
    answer.says(&["no input files"]).map(drop)
}

fn a_file_can_t_take_the_place_of_a_directory() -> Result {
    let bench = Bench::new()?;
    let id = bench.copies(0, &[("pseudo/", "")], &[(BA, "pseudo/Ba.upf", "pseudo")], &[], &json!({}))?;
    let shown = bench.ended(&id)?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted" && said.contains("can't replace the directory `pseudo`"), || {
        format!("{shown:#}")
    })
}

fn the_copy_order_decides_which_of_two_stays() -> Result {
    let bench = Bench::new()?;
    let orders = [
        (json!([]), "remote"),
        (json!(["sandbox", "remote", "local"]), "local"),
        (json!(["remote", "local", "sandbox"]), "sandbox"),
    ];
    let mut ids = Vec::new();
    for (number, (order, _)) in orders.iter().enumerate() {
        let local: Files = &[("file.txt", "local")];
        let remote: Files = &[("file.txt", "remote")];
        let place = "file.txt";
        let order = json!({ "order": order });
        ids.push(bench.copies(
            number,
            &[(place, "sandbox")],
            &[(local, place, place)],
            &[(remote, place, place)],
            &order,
        )?);
    }
    for ((_, expect), id) in orders.iter().zip(&ids) {
        let found = tree(&work_dir(&bench.ended(id)?))?;
        check(found["file.txt"] == *expect, || format!("{expect}: {found:?}"))?;
    }
    let twice = bench.copies(9, &[], &[], &[], &json!({"order": ["remote", "remote", "local"]}))?;
    let shown = bench.ended(&twice)?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted" && said.contains("twice"), || format!("{shown:#}"))
}

fn symlinks_make_the_directories_around_them() -> Result {
    let bench = Bench::new()?;
    let dir = bench.files("there", &[("path/sub/file_c.txt", "file_c"), ("file_a.txt", "file_a")])?;
    let job = json!({
        "link": [["p", "path/sub", "path/sub"], ["p", "file_a.txt", "file_a.txt"], ["p", "gone", "later"]],
        "skip": true,
    });
    let shown = bench.fine(&job, &[&format!("places.p=localhost:{}", text(&dir))])?;
    let work = work_dir(&shown);
    check(work.join("path/sub").is_symlink() && work.join("file_a.txt").is_symlink(), || "no links".into())?;
    let read = fs::read_to_string(work.join("path/sub/file_c.txt")).map_err(|error| error.to_string())?;
    check(read == "file_c", || read)?;
    let report = bench.report(&shown)?;
    check(report.contains("`later` is a link to") && report.contains("not there"), || report)
}

fn globs_copy_and_link_what_they_find() -> Result {
    let bench = Bench::new()?;
    let dir = bench.files("there", &[("out/a.xml", "a"), ("out/save/b.dat", "b"), ("out/c.txt", "c")])?;
    let job = json!({
        "copy": [["p", "out/*", "copied"], ["p", "*.nothing", "x"]],
        "link": [["p", "out/*.xml", "linked"]],
        "skip": true,
    });
    let shown = bench.fine(&job, &[&format!("places.p=localhost:{}", text(&dir))])?;
    let found = tree(&work_dir(&shown))?;
    let expect = map(&[
        ("copied/a.xml", "a"),
        ("copied/save/b.dat", "b"),
        ("copied/c.txt", "c"),
        ("linked/a.xml", "a"),
    ]);
    check(found == expect, || format!("{found:?}"))?;
    let report = bench.report(&shown)?;
    check(report.contains("nothing to copy for `*.nothing`"), || report)
}

fn a_missing_remote_source_is_no_silence() -> Result {
    let bench = Bench::new()?;
    let id = bench.copies(0, &[], &[], &[(BA, "Ti.upf", "Ti.upf")], &json!({}))?;
    let mut shown = Value::Null;
    for _ in 0..200 {
        shown = bench.ferry.json(&["process", "show", &id])?;
        if shown["paused"] == true {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let said = shown["waiting_for"].as_str().unwrap_or_default();
    check(said.contains("Ti.upf` ") || said.contains("Ti.upf is to be copied"), || format!("{shown:#}"))?;
    check(said.contains("does not exist") && said.contains("process play"), || format!("{shown:#}"))?;
    bench.files("remote-0-0", &[("Ti.upf", "Ti")])?;
    bench.ferry.ok(&["process", "play", &id])?;
    let shown = bench.ended(&id)?;
    check(tree(&work_dir(&shown))? == map(&[("Ti.upf", "Ti")]), || format!("{shown:#}"))
}

fn what_is_on_another_computer_is_refused() -> Result {
    let bench = Bench::new()?;
    let far =
        ["--label", "far", "--hostname", "localhost", "--transport", "core.local", "--work-dir", "/tmp"];
    bench.ferry.ok(&[&["computer", "setup", "-n"][..], &far].concat())?;
    for key in ["copy", "link"] {
        let job = json!({key: [["p", "", "parent"]], "skip": true});
        let shown = bench.run(&job, &["places.p=far:/tmp/x"])?;
        let said = shown["exit_message"].as_str().unwrap_or_default();
        check(shown["state"] == "excepted" && said.contains("from computer `far`"), || format!("{shown:#}"))?;
    }
    let answer = bench.ferry.ferry(&["submit", "script.job", "job={}", "places.p=nowhere:/tmp"])?;
    answer.expect(2)?.says(&["places.p", "nowhere"])?;
    let answer = bench.ferry.ferry(&["submit", "script.job", "job={}", "places.p=far:relative"])?;
    answer.expect(2)?.says(&["places.p", "COMPUTER:/ABSOLUTE/PATH"]).map(drop)
}
