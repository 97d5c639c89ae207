//! Cases about users' changes to the graph: comments, groups, and deletion with a preview.

use std::{fs, time::Duration};

use ferry_matrix::{Profile, Result, check, text};
use serde_json::{Value, json};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("comments_come_and_go", comments_come_and_go),
    ("groups_are_changed_in_every_way", groups_are_changed_in_every_way),
    ("deletion_shows_what_goes_and_takes_no_more", deletion_shows_what_goes_and_takes_no_more),
    ("deletion_leaves_room_and_a_whole_store", deletion_leaves_room_and_a_whole_store),
    ("live_processes_are_not_deleted", live_processes_are_not_deleted),
    ("a_group_is_deleted_with_its_nodes", a_group_is_deleted_with_its_nodes),
    ("labels_of_links_are_names", labels_of_links_are_names),
    ("what_a_name_means_stays_when_it_changes", what_a_name_means_stays_when_it_changes),
];

/// Makes a profile with 2 + 3, and that + 10: x 2, y 3 -> process 1 -> 4 -> process 5 <- y 6, and 7.
fn sums() -> Result<Profile> {
    let ferry = Profile::new()?;
    ferry.ok(&["run", "arithmetic.add", "x=2", "y=3"])?;
    ferry.ok(&["run", "arithmetic.add", "x=@4", "y=10"])?;
    Ok(ferry)
}

fn ids(nodes: &Value) -> Vec<i64> {
    let id = |node: &Value| node.as_i64().or_else(|| node["id"].as_i64());
    nodes.as_array().into_iter().flatten().filter_map(id).collect()
}

fn comments_come_and_go() -> Result {
    let ferry = sums()?;
    ferry.ok(&["node", "comment", "add", "4", "1", "-m", "looks odd\nbut is right"])?;
    ferry.ok(&["node", "comment", "add", "4", "--content", "no, it is wrong"])?;
    let shown = ferry.json(&["node", "comment", "show", "4"])?;
    check(shown[0]["text"] == "looks odd\nbut is right" && shown[0]["author"].is_string(), || {
        format!("{shown:#}")
    })?;
    let second = shown[1]["id"].to_string();
    ferry.ok(&["node", "comment", "update", &second, "-m", "it is right"])?;
    let shown = ferry.json(&["node", "show", "4"])?;
    check(shown["comments"][1]["text"] == "it is right", || format!("{shown:#}"))?;
    ferry.ok(&["node", "comment", "remove", &second])?;
    check(
        ferry.json(&["node", "comment", "show", "4"])?.as_array().is_some_and(|all| all.len() == 1),
        || "not removed".into(),
    )?;
    ferry.ferry(&["node", "comment", "remove", &second])?.expect(1)?.says(&[&second])?;
    ferry.ferry(&["node", "comment", "add", "99", "-m", "x"])?.expect(1)?.says(&["99"])?;
    ferry.ferry(&["node", "comment", "add", "4", "-m", " "])?.expect(2)?.says(&["needs a text"]).map(drop)
}

fn groups_are_changed_in_every_way() -> Result {
    let ferry = sums()?;
    let members =
        |label: &str| -> Result<Vec<i64>> { Ok(ids(&ferry.json(&["group", "show", label])?["nodes"])) };
    let expect = |label: &str, expected: &[i64]| -> Result {
        let found = members(label)?;
        check(found == expected, || format!("{label}: {found:?}, expected {expected:?}"))
    };
    ferry.ok(&["group", "create", "a", "--description", "first"])?;
    ferry.ok(&["group", "add", "a", "1", "4", "5"])?;
    expect("a", &[1, 4, 5])?;
    ferry.ok(&["group", "remove", "a", "4"])?;
    ferry.ferry(&["group", "remove", "a", "4"])?.expect(1)?.says(&["not in the group `a`: 4"])?;
    ferry.ok(&["group", "copy", "a", "b"])?;
    expect("b", &[1, 5])?;
    ferry.ok(&["group", "move-nodes", "a", "b", "1"])?;
    expect("a", &[5])?;
    ferry.ok(&["group", "create", "c"])?;
    ferry.ok(&["group", "move-nodes", "b", "c", "--all"])?;
    expect("c", &[1, 5])?;
    expect("b", &[])?;
    ferry.ferry(&["group", "relabel", "c", "b"])?.expect(1)?.says(&["`b` already exists"])?;
    ferry.ok(&["group", "relabel", "c", "d"])?;
    ferry.ok(&["group", "description", "d", "other words"])?;
    check(ferry.ok(&["group", "description", "d"])? == "other words", || "not its description".into())?;
    ferry.ferry(&["group", "add", "e", "1"])?.expect(1)?.says(&["no group is called `e`"])?;
    ferry.ferry(&["group", "delete", "b", "--dry-run"])?.expect(0)?;
    ferry.ok(&["group", "delete", "b"])?;
    let left: Vec<_> = ferry.json(&["group", "list"])?.as_array().into_iter().flatten().cloned().collect();
    let left: Vec<_> = left.iter().filter_map(|group| group["label"].as_str()).collect();
    check(left == ["a", "d"], || format!("{left:?}"))?;
    check(ferry.json(&["node", "list"])?.as_array().is_some_and(|all| all.len() == 7), || {
        "nodes are gone".into()
    })
}

fn deletion_shows_what_goes_and_takes_no_more() -> Result {
    let ferry = sums()?;
    let dry = |words: &[&str]| -> Result<Vec<i64>> {
        Ok(ids(&ferry.json(&[&["node", "delete", "--dry-run"], words].concat())?["nodes"]))
    };
    check(dry(&["2"])? == [1, 2, 4, 5, 7], || "what came of x".into())?;
    check(dry(&["7"])? == [5, 7], || "the last sum and its process".into())?;
    check(dry(&["5", "--no-create-forward"])? == [5], || "the process alone".into())?;
    let answer = ferry.ferry(&["node", "delete", "7"])?.expect(2)?;
    answer.says(&["2 nodes would go", "--yes"])?;
    let shown = ferry.ok(&["process", "delete", "5", "--yes"])?;
    check(shown.contains("2 nodes will go: 1 arithmetic.add, 1 int"), || shown.clone())?;
    check(ids(&ferry.json(&["node", "list"])?) == [1, 2, 3, 4, 6], || "not these".into())?;
    ferry.ferry(&["node", "show", "7"])?.expect(1)?.says(&["7"])?;
    // Its number is not given again: what people wrote down means what it meant.
    ferry.ok(&["run", "arithmetic.add", "x=1", "y=1"])?;
    check(ids(&ferry.json(&["process", "list", "-a"])?) == [1, 8], || "a number was given twice".into())?;
    ferry.ferry(&["process", "delete", "4", "-n"])?.expect(1)?.says(&["not a process"]).map(drop)
}

fn deletion_leaves_room_and_a_whole_store() -> Result {
    let ferry = Profile::new()?;
    let big = ferry.scratch().join("big.txt");
    fs::write(&big, "0123456789\n".repeat(40_000)).map_err(|error| error.to_string())?;
    let node = format!("nodes.big=file:{}", text(&big));
    let shown = ferry.json(&["run", "shell.run", "command=sort", "arguments={big}", &node])?;
    ferry.ok(&["node", "comment", "add", &shown["id"].to_string(), "-m", "words"])?;
    let files = || -> Result<Value> {
        let info = ferry.json(&["storage", "info"])?;
        Ok(json!([info["files"]["count"].clone(), info["nodes"].clone()]))
    };
    let before = files()?;
    check(before[0].as_i64() > Some(0), || format!("{before}"))?;
    ferry.ok(&["node", "delete", &shown["inputs"]["nodes.big"]["id"].to_string(), "--yes"])?;
    for object in walk(&ferry.root().join("objects")) {
        // As if they had lain there for long: young ones are spared.
        let old = fs::File::open(&object)
            .and_then(|file| file.set_modified(std::time::SystemTime::now() - Duration::from_secs(200_000)));
        old.map_err(|error| error.to_string())?;
    }
    ferry.ok(&["storage", "maintain"])?;
    let after = files()?;
    check(after[0] == 0, || format!("{before} {after}"))?;
    ferry.ok(&["storage", "check", "--full"]).map(drop)
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn live_processes_are_not_deleted() -> Result {
    let ferry = Profile::new()?;
    let id = ferry.submit(&["arithmetic.add_job", "x=2", "y=3"])?;
    let x = ferry.json(&["process", "show", &id])?["inputs"]["x"]["id"].to_string();
    for node in [&id, &x] {
        let answer = ferry.ferry(&["node", "delete", node, "--yes"])?.expect(1)?;
        answer.says(&["nothing was deleted", "has not ended", &format!("{id} (created)"), "process kill"])?;
    }
    ferry.ok(&["daemon", "start"])?;
    ferry.ended(&id, Duration::from_secs(240))?;
    ferry.ok(&["node", "delete", &x, "--yes"])?;
    ferry.ferry(&["process", "show", &id])?.expect(1)?;
    // The daemon lives on, and on a store that is whole.
    let next = ferry.submit(&["arithmetic.add_job", "x=4", "y=3"])?;
    check(ferry.ended(&next, Duration::from_secs(240))?["exit_code"] == 0, || "it fails".into())?;
    ferry.ok(&["storage", "check"]).map(drop)
}

fn a_group_is_deleted_with_its_nodes() -> Result {
    let ferry = sums()?;
    ferry.ok(&["group", "create", "last", "7"])?;
    let dry = ferry.json(&["group", "delete", "last", "--delete-nodes", "--dry-run"])?;
    check(ids(&dry["nodes"]) == [5, 7], || format!("{dry:#}"))?;
    ferry.ok(&["group", "delete", "last", "--delete-nodes", "--yes"])?;
    check(ids(&ferry.json(&["node", "list"])?) == [1, 2, 3, 4, 6], || "not these".into())?;
    check(ferry.json(&["group", "list"])?.as_array().is_some_and(Vec::is_empty), || {
        "the group is there".into()
    })
}

fn labels_of_links_are_names() -> Result {
    let ferry = Profile::new()?;
    let words = ["submit", "shell.run", "command=true", "nodes.a b=1", "nodes.c..d=2"];
    ferry.ferry(&words)?.expect(2)?.says(&["nodes.a b", "nodes.c..d", "letters, digits"])?;
    check(ferry.json(&["node", "list"])?.as_array().is_some_and(Vec::is_empty), || {
        "something was stored".into()
    })
}

fn what_a_name_means_stays_when_it_changes() -> Result {
    let ferry = sums()?;
    let before = ferry.json(&["node", "show", "4"])?;
    ferry.ok(&["node", "label", "4", "the sum"])?;
    ferry.ok(&["node", "description", "4", "of two and three"])?;
    let after = ferry.json(&["node", "show", "the sum"])?;
    check(after["description"] == "of two and three" && after["id"] == 4, || format!("{after:#}"))?;
    for key in ["uuid", "value", "type", "created", "incoming", "outgoing"] {
        check(after[key] == before[key], || format!("{key} has changed: {after:#}"))?;
    }
    check(ferry.ok(&["node", "label", "4"])? == "the sum", || "not its label".into())
}
