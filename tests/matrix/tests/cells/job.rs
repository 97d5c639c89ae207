//! Jobs from the command line to their results.

use std::{fs, time::Duration};

use ferry_matrix::{Profile, Result, check, kill, text};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("first_line_of_a_newcomer", first_line_of_a_newcomer),
    ("add_gives_the_sum", add_gives_the_sum),
    ("exit_codes_keep_outputs", exit_codes_keep_outputs),
    ("a_failing_command_is_an_exit_code", a_failing_command_is_an_exit_code),
    ("three_hundred_at_once", three_hundred_at_once),
    ("functions_make_data", functions_make_data),
    ("a_code_runs_on_its_computer", a_code_runs_on_its_computer),
    ("kill_ends_the_job_and_its_children", kill_ends_the_job_and_its_children),
    ("kill_works_without_a_daemon", kill_works_without_a_daemon),
    ("a_lost_job_is_noticed", a_lost_job_is_noticed),
    ("computer_test_runs_a_job", computer_test_runs_a_job),
];

const LIMIT: Duration = Duration::from_secs(240);

fn first_line_of_a_newcomer() -> Result {
    let ferry = Profile::new()?;
    let answer = ferry.ferry(&["run", "shell.run", "command=echo", "arguments=hello"])?.expect(0)?;
    check(answer.stdout.contains("stdout"), || answer.stdout.clone())?;
    let listed = ferry.json(&["process", "list", "-a"])?;
    let id = listed[0]["id"].to_string();
    check(ferry.ok(&["calcjob", "outputcat", &id, "stdout"])? == "hello", || "not hello".into())
}

fn add_gives_the_sum() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let id = ferry.submit(&["arithmetic.add_job", "x=2", "y=3"])?;
    check(id.parse::<i64>().is_ok(), || format!("not an id alone: {id}"))?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["outputs"]["sum"]["value"] == 5, || format!("{shown:#}"))?;
    check(shown["exit_code"] == 0 && shown["state"] == "finished", || format!("{shown:#}"))?;
    let keys = "id uuid process_type label state paused exit_code exit_message created modified waiting_for computer \
                job_id scheduler_state inputs outputs called caller";
    for key in keys.split_whitespace() {
        check(shown.get(key).is_some(), || format!("`{key}` is missing in {shown:#}"))?;
    }
    let uuid = shown["uuid"].as_str().unwrap_or_default();
    check(ferry.json(&["process", "show", uuid])?["id"] == shown["id"], || "uuid".into())?;
    check(ferry.ok(&["process", "report", &id])?.len() < 10_000, || "report".into())
}

fn exit_codes_keep_outputs() -> Result {
    let ferry = Profile::new()?;
    let answer = ferry.ferry(&["run", "arithmetic.add_job", "x=2", "y=-3"])?.expect(1)?.says(&["410"])?;
    check(!answer.stderr.is_empty(), || "silent".into())?;
    let shown = ferry.json(&["process", "list", "-a"])?;
    let shown = ferry.json(&["process", "show", &shown[0]["id"].to_string()])?;
    check(shown["exit_code"] == 410 && shown["outputs"]["sum"]["value"] == -1, || format!("{shown:#}"))
}

fn a_failing_command_is_an_exit_code() -> Result {
    let ferry = Profile::new()?;
    ferry
        .ferry(&["run", "shell.run", "command=ls", "arguments=/no/such/place"])?
        .expect(1)?
        .says(&["No such file"])?;
    let shown = ferry.json(&["process", "list", "-a"])?;
    check(shown[0]["exit_code"] == 400, || format!("{shown:#}"))
}

fn three_hundred_at_once() -> Result {
    let ferry = Profile::unbounded()?;
    ferry.ok(&["daemon", "start"])?;
    let mut ids = Vec::new();
    for i in 0..300 {
        ids.push(ferry.submit(&["arithmetic.add_job", &format!("x={i}"), "y=1000", "--group", "many"])?);
    }
    ferry.all_ended(Duration::from_secs(400))?;
    let members = ferry.json(&["process", "list", "-a", "-G", "many"])?;
    check(members.as_array().map(Vec::len) == Some(300), || "not 300 in the group".into())?;
    for (i, id) in ids.iter().enumerate() {
        let shown = ferry.json(&["process", "show", id])?;
        check(shown["outputs"]["sum"]["value"] == i + 1000, || format!("{i}: {shown:#}"))?;
    }
    Ok(())
}

fn functions_make_data() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let sum = ferry.ended(&ferry.submit(&["arithmetic.add", "x=3", "y=4"])?, LIMIT)?;
    let node = sum["outputs"]["result"]["id"].to_string();
    let product =
        ferry.ended(&ferry.submit(&["arithmetic.multiply", &format!("x=@{node}"), "y=5"])?, LIMIT)?;
    check(product["outputs"]["result"]["value"] == 35, || format!("{product:#}"))
}

fn a_code_runs_on_its_computer() -> Result {
    let ferry = Profile::new()?;
    let work = ferry.scratch().join("other work");
    ferry.ok(&[
        "computer",
        "setup",
        "-n",
        "--label",
        "other",
        "--hostname",
        "localhost",
        "--transport",
        "core.local",
        "--scheduler",
        "core.direct",
        "--work-dir",
        text(&work),
    ])?;
    ferry.ok(&[
        "code",
        "create",
        "-n",
        "--label",
        "cat",
        "--computer",
        "other",
        "--filepath-executable",
        "/bin/cat",
    ])?;
    let file = ferry.scratch().join("in.txt");
    fs::write(&file, "from a code\n").map_err(|error| error.to_string())?;
    let input = format!("nodes.text=file:{}", file.display());
    ferry.ok(&["run", "shell.run", "code=cat@other", "arguments={text}", &input])?;
    let listed = ferry.json(&["process", "list", "-a"])?;
    check(listed[0]["computer"] == "other", || format!("{listed:#}"))?;
    let id = listed[0]["id"].to_string();
    check(ferry.ok(&["calcjob", "outputcat", &id, "stdout"])? == "from a code", || "wrong output".into())?;
    check(work.is_dir(), || "the work directory was not used".into())
}

fn running(ferry: &Profile, id: &str) -> Result<serde_json::Value> {
    for _ in 0..200 {
        let shown = ferry.json(&["process", "show", id])?;
        if shown["job_id"].is_string() {
            return Ok(shown);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("the job did not start".into())
}

fn job_pid(shown: &serde_json::Value) -> Result<i32> {
    let id = shown["job_id"].as_str().unwrap_or_default();
    id.rsplit(':').nth(1).and_then(|pid| pid.parse().ok()).ok_or_else(|| format!("no pid in {id}"))
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

fn kill_ends_the_job_and_its_children() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let pidfile = ferry.scratch().join("grandchild");
    let script = format!("arguments=[\"-c\", \"sleep 300 & echo $! > {}; wait\"]", pidfile.display());
    let id = ferry.submit(&["shell.run", "command=sh", &script])?;
    let job = job_pid(&running(&ferry, &id)?)?;
    let mut grandchild = None;
    for _ in 0..100 {
        grandchild = fs::read_to_string(&pidfile).ok().and_then(|text| text.trim().parse().ok());
        if grandchild.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let grandchild = grandchild.ok_or("the grandchild did not start")?;
    ferry.ok(&["process", "kill", &id])?;
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "not killed".into())?;
    check(!is_alive(job) && !is_alive(grandchild), || "the job lives on".into())?;
    ferry.ok(&["process", "kill", &id]).map(drop)
}

fn kill_works_without_a_daemon() -> Result {
    let ferry = Profile::new()?;
    let answer =
        ferry.ferry(&["submit", "arithmetic.add_job", "x=1", "y=1"])?.expect(0)?.says(&["daemon start"])?;
    let id = answer.stdout.trim().to_owned();
    ferry.ferry(&["process", "kill", &id, "--timeout", "1"])?;
    ferry.ok(&["daemon", "start"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["state"] == "killed" && shown["job_id"].is_null(), || format!("{shown:#}"))
}

fn a_lost_job_is_noticed() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let id = ferry.submit(&["shell.run", "command=sleep", "arguments=300"])?;
    let pid = job_pid(&running(&ferry, &id)?)?;
    // The whole group, as an out-of-memory killer or a reboot would.
    if let Some(group) = rustix::process::Pid::from_raw(pid) {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL)
            .map_err(|error| error.to_string())?;
    }
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 140, || format!("{shown:#}"))?;
    check(!kill(pid, 0) || !is_alive(pid), || "alive".into())
}

fn computer_test_runs_a_job() -> Result {
    let ferry = Profile::new()?;
    let steps = ferry.json(&["computer", "test", "localhost", "--job"])?;
    let all = steps.as_array().ok_or("no array")?;
    check(all.len() >= 6 && all.iter().all(|step| step["ok"] == true), || format!("{steps:#}"))?;
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
    let answer = ferry.ferry(&["computer", "test", "bad"])?.expect(1)?;
    let said = format!("{}{}", answer.stdout, answer.stderr);
    check(said.contains("/sys/ferry") && said.contains("work-dir"), || said.clone())
}
