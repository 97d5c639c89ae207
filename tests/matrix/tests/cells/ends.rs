//! Cases about jobs that are hard to end: texts that would keep the end from being recorded, programs that
//! ignore signals, and processes that are left when the script has ended.

use std::{fs, path::Path, thread, time::Duration};

use ferry_matrix::{Profile, Result, check};

use crate::{
    cell::{Cell, CellCase},
    chaos::is_alive,
};

/// Cases that run in every cell.
pub(crate) const CASES: &[CellCase] = &[
    ("no_text_keeps_an_end_from_being_told", no_text_keeps_an_end_from_being_told),
    ("a_job_that_removes_its_markers_is_told_so", a_job_that_removes_its_markers_is_told_so),
    ("a_program_that_is_deaf_is_killed_all_the_same", a_program_that_is_deaf_is_killed_all_the_same),
];

/// Cases that run where only ferry ends the processes that a job leaves.
pub(crate) const DIRECT_CASES: &[CellCase] = &[
    ("what_a_job_leaves_ends_before_its_process", what_a_job_leaves_ends_before_its_process),
    ("children_that_are_to_stay_stay", children_that_are_to_stay_stay),
];

/// Cases that run where there is a queue.
pub(crate) const QUEUE_CASES: &[CellCase] =
    &[("a_signal_to_the_batch_shell_reaches_the_job", a_signal_to_the_batch_shell_reaches_the_job)];

const LIMIT: Duration = Duration::from_secs(240);

fn started(cell: &Cell) -> Result<Profile> {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

/// Returns the arguments of a job that runs shell text.
fn shell(text: &str) -> [String; 3] {
    let arguments = serde_json::json!(["-c", text]);
    ["shell.run".into(), "command=sh".into(), format!("arguments={arguments}")]
}

fn submit(cell: &Cell, ferry: &Profile, text: &str, options: &[&str]) -> Result<String> {
    let words = shell(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let options: Vec<&str> = options.iter().flat_map(|option| ["--option", *option]).collect();
    cell.submit(ferry, &[words, options].concat())
}

fn no_text_keeps_an_end_from_being_told(cell: &Cell) -> Result {
    let ferry = started(cell)?;
    let cases = [
        ("prepend_text=trap 'echo mine' EXIT", "true", 0),
        ("append_text=trap 'echo mine' EXIT; exit 7", "true", 7),
        ("prepend_text=exec true", "false", 0),
        ("append_text=echo 'open", "true", 2),
        ("prepend_text=kill -9 $$", "true", 137),
    ];
    let mut sent = Vec::new();
    for (option, text, exit) in cases {
        sent.push((submit(cell, &ferry, text, &[option])?, option, exit));
    }
    for (id, option, exit) in sent {
        let shown = ferry.ended(&id, LIMIT)?;
        let report = ferry.ok(&["process", "report", &id])?;
        // Whatever the exit code is made of, no node failure is reported.
        let is_told = shown["state"] == "finished" && !report.contains("NODE_FAILURE");
        let marker = marker(&shown)?;
        let status = marker.split(' ').next().unwrap_or_default();
        check(is_told && status == exit.to_string(), || format!("{option}: {marker}: {shown:#}\n{report}"))?;
    }
    Ok(())
}

/// Returns the exit marker in a job's directory.
fn marker(shown: &serde_json::Value) -> Result<String> {
    let dir = shown["work_dir"].as_str().ok_or("no work_dir")?;
    let marker = fs::read_to_string(Path::new(dir).join(".ferry/exit")).unwrap_or_default();
    Ok(marker.lines().last().unwrap_or_default().to_owned())
}

fn a_job_that_removes_its_markers_is_told_so(cell: &Cell) -> Result {
    let ferry = started(cell)?;
    let id = submit(cell, &ferry, "rm -rf .ferry; echo good", &[])?;
    let shown = ferry.ended(&id, LIMIT)?;
    let report = ferry.ok(&["process", "report", &id])?;
    let is_told = report.contains("the job removed the folder `.ferry`");
    check(shown["exit_code"] == 0 && is_told, || format!("{shown:#}\n{report}"))
}

/// Waits for a file with a number, and gives that.
fn pid_in(file: &Path) -> Result<i32> {
    for _ in 0..600 {
        if let Some(pid) = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) {
            return Ok(pid);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(format!("no pid in {}", file.display()))
}

fn a_program_that_is_deaf_is_killed_all_the_same(cell: &Cell) -> Result {
    let ferry = started(cell)?;
    let file = ferry.scratch().join("pid");
    let text = format!("echo $$ > {}; trap '' TERM; while :; do sleep 0.2; done", file.display());
    let id = submit(cell, &ferry, &text, &[])?;
    let pid = pid_in(&file)?;
    ferry.ok(&["process", "kill", &id, "--timeout", "0"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["state"] == "killed" && !is_alive(pid), || format!("alive {}: {shown:#}", is_alive(pid)))
}

fn what_a_job_leaves_ends_before_its_process(cell: &Cell) -> Result {
    let ferry = started(cell)?;
    let [group, stray] = ["group", "stray"].map(|name| ferry.scratch().join(name));
    let text = format!(
        "sleep 1000 > /dev/null 2>&1 & echo $! > {}; setsid sh -c 'echo $$ > {}; exec sleep 1000' < /dev/null \
         > /dev/null 2>&1 & while ! [ -s {} ]; do sleep 0.05; done",
        group.display(),
        stray.display(),
        stray.display()
    );
    let id = submit(cell, &ferry, &text, &[])?;
    let pids = [pid_in(&group)?, pid_in(&stray)?];
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    let left: Vec<i32> = pids.into_iter().filter(|pid| is_alive(*pid)).collect();
    check(left.is_empty(), || format!("{left:?} of {pids:?} run: {shown:#}"))
}

fn children_that_are_to_stay_stay(cell: &Cell) -> Result {
    let ferry = started(cell)?;
    let file = ferry.scratch().join("server");
    let text = format!("setsid sleep 1000 < /dev/null > /dev/null 2>&1 & echo $! > {}", file.display());
    let id = submit(cell, &ferry, &text, &["keep_children=true"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    let pid = pid_in(&file)?;
    let stays = is_alive(pid);
    ferry_matrix::kill(pid, 9);
    check(shown["exit_code"] == 0 && stays, || format!("{shown:#}"))
}

/// `scancel --batch` signals the script's shell alone; the user's `trap` hears it.
fn a_signal_to_the_batch_shell_reaches_the_job(cell: &Cell) -> Result {
    let ferry = started(cell)?;
    let ready = ferry.scratch().join("ready");
    let text = format!(
        "prepend_text=trap 'echo heard; exit 9' USR1; : > {}; while :; do sleep 0.1; done",
        ready.display()
    );
    let id = submit(cell, &ferry, "true", &[&text])?;
    for _ in 0..600 {
        if ready.exists() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    let shown = ferry.json(&["process", "show", &id])?;
    let job = shown["job_id"].as_str().unwrap_or_default();
    let number = job.split(';').next().unwrap_or_default();
    let mut signal = std::process::Command::new("scancel");
    signal.args(["--batch", "--signal=USR1", number]);
    Profile::run(signal)?.expect(0)?;
    let shown = ferry.ended(&id, LIMIT)?;
    let marker = marker(&shown)?;
    check(marker.starts_with("9 "), || format!("{marker}: {shown:#}"))
}
