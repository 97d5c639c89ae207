//! Dry runs: files and script are written here, and nothing is stored.

use std::{fs, path::Path};

use ferry_matrix::{Result, check, text};
use serde_json::json;

use super::{Bench, sh, tree};
use crate::Case;

pub(super) const CASES: &[Case] = &[
    ("a_dry_run_writes_files_and_script_and_stores_nothing", a_dry_run_writes_files_and_script),
    ("a_dry_run_beside_a_daemon_is_the_same", a_dry_run_beside_a_daemon_is_the_same),
    ("a_dry_run_of_what_would_fail_fails", a_dry_run_of_what_would_fail_fails),
];

fn a_dry_run_writes_files_and_script() -> Result {
    let bench = Bench::without_daemon()?;
    let dir = bench.files("f", &[("big", "from a node")])?;
    let job = json!({
        "sandbox": {"in/a.txt": "a", "empty/": ""},
        "local": [["f", "", "copied"]],
        "copy": [["p", "out", "old"]],
        "link": [["p", "", "parent"]],
        "run": [{"command": "cat", "args": ["in/a.txt", "copied/big"]}],
    });
    let words = [
        format!("job={job}"),
        format!("folders.f=folder:{}", text(&dir)),
        "places.p=localhost:/data/parent".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = bench.ferry.json(&[&["submit", "--dry-run", "script.job"], &words[..]].concat())?;
    let place = Path::new(done["dir"].as_str().unwrap_or_default());
    check(place.parent() == Some(&bench.ferry.scratch().join("submit_test")), || format!("{done:#}"))?;
    let found = tree(place)?;
    check(found["in/a.txt"] == "a" && found["copied/big"] == "from a node", || format!("{found:?}"))?;
    check(found.contains_key("empty/"), || format!("{found:?}"))?;
    check(found["_ferry_remote_copy_list.txt"] == "localhost:/data/parent/out -> old\n", || {
        format!("{found:?}")
    })?;
    let links = &found["_ferry_remote_symlink_list.txt"];
    check(links.contains("/data/parent") && links.ends_with("-> parent\n"), || format!("{found:?}"))?;
    check(found["_ferrysubmit.sh"].contains("\ncat in/a.txt copied/big\n"), || format!("{found:?}"))?;
    // Nothing is stored, not even the inputs.
    let listed = bench.ferry.json(&["process", "list", "-a"])?;
    check(listed == json!([]), || format!("{listed:#}"))?;
    let nodes = bench.ferry.json(&["node", "list"])?;
    check(nodes == json!([]), || format!("{nodes:#}"))?;
    // The next one has a directory of its own.
    let again = bench.ferry.json(&[&["run", "--dry-run", "script.job"], &words[..]].concat())?;
    check(again["dir"] != done["dir"], || format!("{again:#}"))?;
    // The script can be tried manually.
    let output =
        std::process::Command::new("bash").args(["_ferrysubmit.sh", "by-hand"]).current_dir(place).output();
    let output = output.map_err(|error| error.to_string())?;
    check(output.stdout == b"afrom a node" && output.status.success(), || format!("{output:?}"))
}

fn a_dry_run_beside_a_daemon_is_the_same() -> Result {
    let bench = Bench::new()?;
    let words = ["arithmetic.add_job", "x=2", "y=3", "metadata.dry_run=true"];
    let answer =
        bench.ferry.ferry(&[&["run"], &words[..]].concat())?.expect(0)?.says(&["nothing was started"])?;
    let script =
        answer.stdout.lines().find(|line| line.ends_with("_ferrysubmit.sh")).unwrap_or_default().to_owned();
    let text = fs::read_to_string(&script).map_err(|error| format!("{script}: {error}"))?;
    check(text.contains("add.sh 2 3"), || text)?;
    check(bench.ferry.json(&["process", "list", "-a"])? == json!([]), || "something was started".into())
}

fn a_dry_run_of_what_would_fail_fails() -> Result {
    let bench = Bench::without_daemon()?;
    let dry = |words: &[&str]| bench.ferry.ferry(&[&["run", "--dry-run"], words].concat());
    dry(&["script.job", r#"job={"prepare": "a bug"}"#])?.expect(1)?.says(&["a bug"])?;
    dry(&["arithmetic.add_job", "x=2"])?.expect(2)?.says(&["y: required"])?;
    dry(&["arithmetic.add", "x=2", "y=1"])?.expect(2)?.says(&["metadata.dry_run", "only a calcjob"])?;
    let twice = json!({"run": [sh("true")], "exclude": ["../x"]});
    dry(&["script.job", &format!("job={twice}")])?.expect(1)?.says(&["../x"])?;
    check(!bench.ferry.scratch().join("submit_test").exists(), || "something was written".into())
}
