//! The daemon's life: second ones, stale files, stopped ones, hand-over.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Stdio,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, kill};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("a_second_daemon_is_told_of_the_first", a_second_daemon_is_told_of_the_first),
    ("stale_files_do_not_matter", stale_files_do_not_matter),
    ("a_stopped_daemon_hangs_nobody", a_stopped_daemon_hangs_nobody),
    ("stop_is_quick_while_jobs_run", stop_is_quick_while_jobs_run),
    ("run_hands_over_to_a_daemon", run_hands_over_to_a_daemon),
    ("two_runs_at_once_both_end", two_runs_at_once_both_end),
    ("an_interrupted_run_lets_go", an_interrupted_run_lets_go),
    ("private_files_are_private", private_files_are_private),
    ("logs_are_shown", logs_are_shown),
];

const LIMIT: Duration = Duration::from_secs(240);

fn a_second_daemon_is_told_of_the_first() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let (pid, _) = ferry.daemon()?;
    let again = ferry.ferry(&["daemon", "start"])?.expect(0)?;
    check(format!("{}{}", again.stdout, again.stderr).contains(&pid.to_string()), || format!("{again:?}"))?;
    let second = ferry.ferry(&["daemon", "start", "--foreground"])?.expect(1)?;
    second.says(&[&pid.to_string(), "daemon stop"])?;
    check(ferry.daemon()?.0 == pid, || "the first one changed".into())?;
    ferry.ok(&["daemon", "stop"])?;
    ferry.ferry(&["daemon", "status"])?.expect(1)?;
    ferry.ok(&["daemon", "stop"]).map(drop)
}

fn stale_files_do_not_matter() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let (pid, _) = ferry.daemon()?;
    kill(pid, 9);
    check(ferry.root().join("ferry.sock").exists(), || "a killed daemon leaves its socket".into())?;
    std::thread::sleep(Duration::from_millis(200));
    ferry.ferry(&["daemon", "status"])?.expect(1)?;
    let id = ferry.submit(&["arithmetic.add_job", "x=1", "y=2"])?;
    fs::write(ferry.root().join("owner.lock"), "1 daemon\n").map_err(|error| error.to_string())?;
    ferry.ok(&["daemon", "start"])?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || "not finished".into())
}

fn a_stopped_daemon_hangs_nobody() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let (pid, _) = ferry.daemon()?;
    kill(pid, 19);
    let start = Instant::now();
    ferry.ok(&["process", "list"])?;
    ferry.ferry(&["submit", "arithmetic.add_job", "x=1", "y=2"])?.expect(1)?.says(&[&pid.to_string()])?;
    let stopped = ferry.ferry(&["daemon", "stop"])?.expect(0);
    kill(pid, 18);
    stopped?;
    check(start.elapsed() < Duration::from_secs(40), || format!("it took {:?}", start.elapsed()))?;
    ferry.ok(&["daemon", "start"]).map(drop)
}

fn stop_is_quick_while_jobs_run() -> Result {
    let ferry = Profile::unbounded()?;
    ferry.ok(&["daemon", "start"])?;
    let ids: Vec<String> = (0..20)
        .map(|_| ferry.submit(&["shell.run", "command=sleep", "arguments=3"]))
        .collect::<Result<_>>()?;
    std::thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    ferry.ok(&["daemon", "stop"])?;
    check(start.elapsed() < Duration::from_secs(10), || format!("it took {:?}", start.elapsed()))?;
    ferry.ok(&["daemon", "start"])?;
    for id in ids {
        check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || id.clone())?;
    }
    Ok(())
}

fn first_id(ferry: &Profile) -> Result<String> {
    for _ in 0..100 {
        let listed = ferry.json(&["process", "list", "-a"])?;
        if let Some(id) = listed[0]["id"].as_i64() {
            return Ok(id.to_string());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("nothing was launched".into())
}

fn run_hands_over_to_a_daemon() -> Result {
    let ferry = Profile::new()?;
    let child = ferry
        .command(&["run", "shell.run", "command=sleep", "arguments=4"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let id = first_id(&ferry)?;
    ferry.ok(&["daemon", "start"])?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check(output.status.success(), || said.clone())?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || "not finished".into())?;
    ferry.daemon().map(drop)
}

fn an_interrupted_run_lets_go() -> Result {
    let ferry = Profile::new()?;
    let child = ferry
        .command(&["run", "shell.run", "command=sleep", "arguments=4"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let id = first_id(&ferry)?;
    std::thread::sleep(Duration::from_millis(500));
    kill(child.id() as i32, 2);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check(said.contains("daemon start") && said.contains(&format!("process play {id}")), || said.clone())?;
    check(ferry.json(&["process", "show", &id])?["paused"] == true, || said.clone())?;
    ferry.ok(&["process", "play", &id])?;
    ferry.ok(&["daemon", "start"])?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || "not finished".into())
}

fn private_files_are_private() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    for (name, mode) in [("ferry.sock", 0o600), ("owner.lock", 0o600), ("daemon.log", 0o600), (".", 0o700)] {
        let found = fs::metadata(ferry.root().join(name)).map_err(|error| format!("{name}: {error}"))?;
        check(found.permissions().mode() & 0o777 == mode, || {
            format!("{name}: {:o}", found.permissions().mode())
        })?;
    }
    Ok(())
}

fn logs_are_shown() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let said = ferry.ok(&["daemon", "logs"])?;
    check(said.contains("daemon started"), || said.clone())
}

fn two_runs_at_once_both_end() -> Result {
    let ferry = Profile::new()?;
    let run = |seconds: &str| {
        let seconds = format!("arguments={seconds}");
        let mut command = ferry.command(&["run", "shell.run", "command=sleep", &seconds]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())
    };
    let children = [run("1")?, run("3")?, run("2")?];
    for child in children {
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        check(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    }
    let listed = ferry.json(&["process", "list", "-a"])?;
    check(listed.as_array().map(Vec::len) == Some(3), || format!("{listed:#}"))
}
