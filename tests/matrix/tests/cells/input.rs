//! Wrong words: every one gets a clear answer, the right exit status, and harms nothing.

use std::fs;

use ferry_matrix::{Profile, Result, check, text};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("all_problems_at_once", all_problems_at_once),
    ("unknown_process_type", unknown_process_type),
    ("yaml_wrong_key_and_tab", yaml_wrong_key_and_tab),
    ("unknown_words", unknown_words),
    ("missing_things", missing_things),
    ("work_dir_that_cannot_be_written", work_dir_that_cannot_be_written),
];

fn all_problems_at_once() -> Result {
    let ferry = Profile::new()?;
    let words = ["submit", "arithmetic.add_job", "x=two", "z=1", "--option", "max_wallclock_second=3"];
    ferry.ferry(&words)?.expect(2)?.says(&["x", "two", "z", "y", "required", "max_wallclock_second"])?;
    let listed = ferry.json(&["process", "list", "-a"])?;
    check(listed.as_array().is_some_and(Vec::is_empty), || "something was stored".into())
}

fn unknown_process_type() -> Result {
    let ferry = Profile::new()?;
    let answer = ferry.ferry(&["run", "arithmetic.ad_job", "x=1"])?.expect(2)?;
    answer.says(&["arithmetic.ad_job", "did you mean", "arithmetic.add_job"]).map(drop)
}

fn yaml_wrong_key_and_tab() -> Result {
    let ferry = Profile::new()?;
    let file = ferry.scratch().join("computer.yaml");
    let write = |content: &str| fs::write(&file, content).map_err(|error| error.to_string());
    let setup = ["computer", "setup", "-n", "--config", text(&file)];
    write("label: a\nhostnme: localhost\n")?;
    ferry.ferry(&setup)?.expect(2)?.says(&["hostnme", "hostname", "computer.yaml"])?;
    write("label: a\n\thostname: localhost\n")?;
    ferry.ferry(&setup)?.expect(2)?.says(&["tab", "computer.yaml", "line 2"])?;
    let inputs = ferry.scratch().join("inputs.yaml");
    fs::write(&inputs, "x: 1\ny: 2\nmetdata: {label: a}\n").map_err(|error| error.to_string())?;
    ferry
        .ferry(&["submit", "arithmetic.add_job", "--inputs", text(&inputs)])?
        .expect(2)?
        .says(&["metdata"])
        .map(drop)
}

fn unknown_words() -> Result {
    let ferry = Profile::new()?;
    ferry.ferry(&["proces", "list"])?.expect(2)?.says(&["process"])?;
    ferry.ferry(&["process", "show"])?.expect(2)?;
    ferry.ferry(&["run", "arithmetic.add", "x"])?.expect(2)?.says(&["PORT=VALUE"]).map(drop)
}

fn missing_things() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["status"])?;
    ferry.ferry(&["process", "show", "4711"])?.expect(1)?.says(&["4711"])?;
    ferry.ferry(&["computer", "show", "nowhere"])?.expect(1)?.says(&["nowhere", "localhost"])?;
    ferry.ferry(&["run", "arithmetic.add", "x=@nothing", "y=1"])?.expect(2)?.says(&["nothing", "x"])?;
    ferry
        .ferry(&["run", "shell.run", "command=cat", "nodes.a=file:/no/such/file"])?
        .expect(2)?
        .says(&["/no/such/file"])?;
    ferry
        .ferry(&["submit", "arithmetic.add_job", "x=1", "y=1", "--computer", "nowhere"])?
        .expect(2)?
        .says(&["nowhere"])?;
    ferry.ferry(&["plugin", "install", "/no/such/file.so"])?.expect(1)?.says(&["/no/such/file.so"]).map(drop)
}

fn work_dir_that_cannot_be_written() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&[
        "computer",
        "setup",
        "-n",
        "--label",
        "bad",
        "--hostname",
        "localhost",
        "--transport",
        "core.local",
        "--scheduler",
        "core.direct",
        "--work-dir",
        "/sys/ferry",
    ])?;
    ferry.ok(&["daemon", "start"])?;
    let id = ferry.submit(&["arithmetic.add_job", "x=1", "y=2", "--computer", "bad"])?;
    let mut shown = serde_json::Value::Null;
    for _ in 0..100 {
        shown = ferry.json(&["process", "show", &id])?;
        if shown["paused"] == true {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let why = shown["waiting_for"].as_str().unwrap_or_default();
    check(why.contains("/sys/ferry") && why.contains("computer configure"), || format!("{shown:#}"))?;
    let good = ferry.scratch().join("work");
    ferry.ok(&["computer", "configure", "bad", "-n", "--work-dir", text(&good)])?;
    ferry.ok(&["process", "play", &id])?;
    let shown = ferry.ended(&id, std::time::Duration::from_secs(240))?;
    check(shown["outputs"]["sum"]["value"] == 3, || format!("{shown:#}"))
}
