//! Many at once: lists with columns of one's own, launches like others, and launches from a file of lines.

use std::{fs, path::PathBuf, time::Duration};

use ferry_matrix::{Profile, Result, check, text};
use serde_json::{Value, json};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("a_list_shows_inputs_outputs_and_attributes", a_list_shows_inputs_outputs_and_attributes),
    ("a_list_is_filtered_and_ordered_by_any_column", a_list_is_filtered_and_ordered_by_any_column),
    ("wrong_columns_are_told", wrong_columns_are_told),
    ("nodes_are_listed", nodes_are_listed),
    ("inputs_that_were_written_are_read_back", inputs_that_were_written_are_read_back),
    ("a_launch_like_another_shares_its_nodes", a_launch_like_another_shares_its_nodes),
    ("lines_are_launched_all_or_none", lines_are_launched_all_or_none),
];

const LIMIT: Duration = Duration::from_secs(240);

fn file(ferry: &Profile, name: &str, content: &str) -> Result<PathBuf> {
    let path = ferry.scratch().join(name);
    fs::write(&path, content).map_err(|error| error.to_string())?;
    Ok(path)
}

/// Products 2, 6, 12, 20 in the group `si`; the third one is called `third, one`.
fn products() -> Result<Profile> {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let lines = "{\"x\": 1, \"y\": 2}\n\n{\"x\": 2, \"y\": 3}\n\
                 {\"x\": 3, \"y\": 4, \"metadata\": {\"label\": \"third, one\"}}\n{\"x\": 4, \"y\": 5}\n";
    let lines = file(&ferry, "lines.jsonl", lines)?;
    let ids = ferry.submit(&["arithmetic.multiply", "--each", text(&lines), "--group", "si"])?;
    check(ids.lines().count() == 4, || format!("not four ids: {ids}"))?;
    ferry.all_ended(LIMIT)?;
    Ok(ferry)
}

fn a_list_shows_inputs_outputs_and_attributes() -> Result {
    let ferry = products()?;
    let list = ["process", "list", "-a", "-G", "si", "--project", "label,inputs.x,outputs.result"];
    let csv = ferry.ok(&[&list[..], &["--format", "csv"]].concat())?;
    let expected = "label,inputs.x,outputs.result\n,1,2\n,2,6\n\"third, one\",3,12\n,4,20";
    check(csv == expected, || csv.clone())?;
    let rows = ferry.json(&list)?;
    check(rows[2] == json!({"label": "third, one", "inputs.x": 3, "outputs.result": 12}), || {
        format!("{rows:#}")
    })?;
    let table = ferry.ok(&[&list[..], &["-r"]].concat())?;
    let words: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().last()).collect();
    check(words == ["2", "6", "12", "20"], || table.clone())?;

    let job = ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "--option", "max_wallclock_seconds=77"])?;
    ferry.ended(&job, LIMIT)?;
    let columns =
        "id,attributes.options.max_wallclock_seconds,outputs.sum.type,outputs.remote_folder,exit_status";
    let rows = ferry.json(&["process", "list", "-a", "-T", "arithmetic.add_*", "-P", columns])?;
    let row = &rows[0];
    check(row["attributes.options.max_wallclock_seconds"] == 77 && row["exit_status"] == 0, || {
        format!("{row:#}")
    })?;
    check(row["outputs.sum.type"] == "int" && row["outputs.remote_folder"].is_string(), || format!("{row:#}"))
}

fn a_list_is_filtered_and_ordered_by_any_column() -> Result {
    let ferry = products()?;
    let list = |words: &[&str]| -> Result<Vec<i64>> {
        let rows = ferry.json(&[&["process", "list", "-a", "-P", "outputs.result"], words].concat())?;
        Ok(rows.as_array().into_iter().flatten().filter_map(|row| row["outputs.result"].as_i64()).collect())
    };
    let expect = |words: &[&str], expected: &[i64]| -> Result {
        let found = list(words)?;
        check(found == expected, || format!("{words:?}: {found:?}, expected {expected:?}"))
    };
    expect(&["--order-by", "outputs.result:desc"], &[20, 12, 6, 2])?;
    expect(&["--order-by", "outputs.result:desc", "-l", "2"], &[20, 12])?;
    expect(&["-l", "2"], &[12, 20])?;
    expect(&["--where", "inputs.x>=2", "--where", "outputs.result!=12"], &[6, 20])?;
    expect(&["--where", "label~third"], &[12])?;
    expect(&["-L", "third*"], &[12])?;
    expect(&["-E", "0", "--past-days", "1"], &[2, 6, 12, 20])?;
    expect(&["-X"], &[])?;
    expect(&["-T", "arithmetic.add"], &[])?;
    expect(&["-G", "si", "--where", "state=finished", "-w", "inputs.y<4"], &[2, 6])
}

fn wrong_columns_are_told() -> Result {
    let ferry = products()?;
    let list = |words: &[&str]| ferry.ferry(&[&["process", "list", "-a"], words].concat());
    list(&["-P", "lable"])?.expect(2)?.says(&["lable", "did you mean `label`?"])?;
    list(&["-w", "inputs.x"])?.expect(2)?.says(&["KEY OP VALUE"])?;
    list(&["-P", "id,inputs.z"])?.expect(0)?.says(&["inputs.z", "they have: x, y"])?;
    list(&["-G", "sii"])?.expect(1)?.says(&["sii", "did you mean `si`?"])?;
    ferry.ferry(&["status", "--format", "csv"])?.expect(2)?.says(&["process list", "json"]).map(drop)
}

fn nodes_are_listed() -> Result {
    let ferry = products()?;
    let csv = [
        "node",
        "list",
        "-T",
        "int",
        "-w",
        "value>=12",
        "-O",
        "value:desc",
        "-P",
        "value",
        "--format",
        "csv",
    ];
    check(ferry.ok(&csv)? == "value\n20\n12", || "not the values".into())?;
    let all = ferry.json(&["node", "list"])?;
    check(all.as_array().is_some_and(|all| all.len() == 16), || format!("{all:#}"))?;
    let data = ferry.json(&["node", "list", "-k", "data", "-l", "3"])?;
    check(data.as_array().is_some_and(|all| all.len() == 3 && all[0]["kind"] == "data"), || {
        format!("{data:#}")
    })
}

/// Returns the values of the inputs of a process.
fn values(shown: &Value) -> Vec<(String, Value, Value)> {
    let inputs = shown["inputs"].as_object().into_iter().flatten();
    inputs.map(|(port, input)| (port.clone(), input["type"].clone(), input["value"].clone())).collect()
}

fn inputs_that_were_written_are_read_back() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let numbers = file(&ferry, "numbers.txt", "3\n1\n2\n")?;
    let first = ferry.submit(&[
        "shell.run",
        "command=sort",
        "arguments=[\"-n\", \"{numbers}\", \"@x: 'y' \\\"z\\\" #\\u00e9\\n\"]",
        &format!("nodes.numbers=file:{}", text(&numbers)),
        "nodes.home=str:@home: 5",
        "nodes.five=str:5",
        "--label",
        "it's: a \"label\"",
        "--option",
        "environment_variables={\"A\": \"b c\"}",
        "--option",
        "resources.num_machines=1",
    ])?;
    let shown = ferry.ended(&first, LIMIT)?;
    for extra in [&[][..], &["--nodes"]] {
        let written = ferry.scratch().join("inputs.yaml");
        ferry.ok(&[&["process", "inputs", &first, "-O", text(&written)], extra].concat())?;
        let again = ferry.submit(&["shell.run", "--inputs", text(&written)])?;
        let copy = ferry.ended(&again, LIMIT)?;
        check(values(&copy) == values(&shown), || format!("{copy:#}\n{shown:#}"))?;
        check(copy["label"] == shown["label"], || format!("{copy:#}"))?;
        let options = |id: &str| -> Result<Value> { Ok(ferry.json(&["node", "show", id])?["value"].clone()) };
        check(options(&again)? == options(&first)?, || "other options".into())?;
        let nodes = |shown: &Value| shown["inputs"]["command"]["id"].clone();
        let same = nodes(&copy) == nodes(&shown);
        check(same != extra.is_empty(), || format!("{extra:?}: {copy:#}"))?;
    }
    Ok(())
}

fn a_launch_like_another_shares_its_nodes() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let option = ["--option", "max_wallclock_seconds=50", "--label", "first"];
    let first = ferry.submit(&[&["arithmetic.add_job", "x=2", "y=3"], &option[..]].concat())?;
    let shown = ferry.ended(&first, LIMIT)?;
    let second = ferry.submit(&["--like", &first, "y=40"])?;
    let like = ferry.ended(&second, LIMIT)?;
    check(like["outputs"]["sum"]["value"] == 42 && like["label"] == "first", || format!("{like:#}"))?;
    check(like["inputs"]["x"]["id"] == shown["inputs"]["x"]["id"], || format!("{like:#}"))?;
    let node = ferry.json(&["node", "show", &second])?;
    check(node["value"]["options"]["max_wallclock_seconds"] == 50, || format!("{node:#}"))?;
    ferry
        .ferry(&["submit", "arithmetic.multiply", "--like", &first])?
        .expect(2)?
        .says(&["arithmetic.multiply"])?;
    ferry.ferry(&["submit", "--like", &first, "z=1"])?.expect(2)?.says(&["z"])?;
    ferry.ferry(&["submit", "x=1"])?.expect(2)?;
    let third = ferry.json(&["run", "--like", &first, "x=-50", "--label", "third"]);
    check(third.is_err_and(|said| said.contains("negative") && said.contains("third")), || {
        "no exit code".into()
    })
}

fn lines_are_launched_all_or_none() -> Result {
    let ferry = Profile::new()?;
    let good = "{\"x\": 1}\n".repeat(500);
    let bad = format!("{good}{{\"x\": \"two\"}}\n{{\"x\": 1, \"z\": 3}}\n[1]\n{{\"x\": 1\n");
    let [good, bad] =
        [("good.jsonl", good.clone()), ("bad.jsonl", bad)].map(|(name, text)| file(&ferry, name, &text));
    let (good, bad) = (good?, bad?);
    let answer = ferry.ferry(&["submit", "arithmetic.add", "y=1", "--each", text(&bad)])?.expect(2)?;
    let told =
        ["4 lines", "none", "line 501, x", "two", "line 502, z", "line 503: not a map", "line 504: no JSON"];
    answer.says(&told)?;
    // Problems that only the plugin finds are reported with their line too.
    let over = file(&ferry, "over.jsonl", "{\"x\": 1, \"y\": 2}\n{\"x\": 9223372036854775807, \"y\": 2}\n")?;
    ferry
        .ferry(&["submit", "arithmetic.add_job", "--each", text(&over)])?
        .expect(2)?
        .says(&["line 2", "64-bit"])?;
    let total = ferry.json(&["process", "list", "-a"])?;
    check(total.as_array().is_some_and(Vec::is_empty), || "something was started".into())?;

    let ids = ferry.submit(&["arithmetic.add", "y=1", "--each", text(&good)])?;
    check(ids.lines().count() == 500, || format!("{} ids", ids.lines().count()))?;
    ferry.ok(&["daemon", "start"])?;
    ferry.all_ended(LIMIT)?;
    let sums = ferry.ok(&["process", "list", "-a", "-w", "outputs.result=2", "-P", "id", "-r"])?;
    check(sums == ids, || "not all sums, or not in the order of their lines".into())
}
