//! Jobs on the machine itself, through the daemon, as users see them: one that does nothing, forty that sleep
//! two at a time, and a thousand that do nothing. The baselines are a bare loop, and HyperQueue where that can
//! be installed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::table::{Aim, Table, median};
use super::throughput;
use crate::ferry::Ferry;
use crate::interrupt::Interrupt;
use crate::services::{Kinds, Services};
use crate::shell;

/// Number of timings of one job.
const TIMES: usize = 15;
/// Jobs that sleep, and how many at a time.
const SLEEPERS: usize = 40;
const AT_A_TIME: &str = "2";
/// Jobs that do nothing.
const MANY: u32 = 1000;
/// The bare loop: a directory, a script, the script's run with its output, and a result, for each job.
const LOOP: &str = r#"
for ((i = 0; i < $1; i++)); do
    mkdir $i && cd $i || exit 1
    printf 'true > stdout 2> stderr\n' > script
    /bin/bash script
    echo $? > result
    cd ..
done
"#;
/// Prints how many seconds HyperQueue needs for `MANY` tasks of one submission, started beforehand.
const HYPERQUEUE: &str = r#"
import sys, time
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
with LocalCluster() as cluster:
    cluster.start_worker()
    client = cluster.client()
    def run(count):
        job = Job()
        for _ in range(count):
            job.program(["true"], stdout=None, stderr=None)
        begun = time.time()
        client.wait_for_jobs([client.submit(job)])
        return time.time() - begun
    run(10)
    print(run(int(sys.argv[1])))
"#;

/// Times all of them, and adds their figures.
pub(super) fn report(binary: &Path, has_ssh: bool, interrupt: &Interrupt, table: &mut Table) -> Result<()> {
    let ferry = Ferry::scratch(binary.to_owned(), false, interrupt.clone())?;
    ferry.show(&["daemon", "start"])?;
    println!("\none job that does nothing, {TIMES} times");
    let alone = one(&ferry, "localhost")?;
    table.judge("one `true` through the daemon", alone, " ms", "", Aim::Under(50.0));
    if has_ssh {
        over_ssh(&ferry, interrupt, table)?;
    }
    let few = many(&ferry, MANY, r#"{"command": "true"}"#)?;
    ferry.ask(&["computer", "configure", "localhost", "-n", "--num-cores", "unlimited"])?;
    let seconds = many(&ferry, MANY, r#"{"command": "true"}"#)?;
    let bare = bare(&ferry.desk().join("bare"))?;
    let each = |seconds: f64| seconds * 1000.0 / f64::from(MANY);
    let baseline = format!("bare loop {:.2} ms", each(bare));
    table.note(&format!("{MANY} `true`, each, one a core at a time"), each(few), " ms", &baseline);
    table.note(&format!("{MANY} `true`, each, all at once"), each(seconds), " ms", &baseline);
    table.judge("times the bare loop", seconds / bare, "", &baseline, Aim::Under(1.5));
    match hyperqueue(ferry.desk()) {
        Ok(theirs) => {
            let baseline = format!("HyperQueue {:.2} ms", each(theirs));
            table.note("times HyperQueue, which keeps nothing", seconds / theirs, "", &baseline);
        }
        Err(why) => table.skip("times HyperQueue", &format!("{why:#}")),
    }
    ferry.ask(&["computer", "configure", "localhost", "-n", "--max-active-jobs", AT_A_TIME])?;
    let slept = many(&ferry, SLEEPERS as u32, r#"{"command": "sleep", "arguments": ["0.5"]}"#)?;
    let what = format!("`sleep 0.5` {SLEEPERS} times, {AT_A_TIME} at a time");
    table.judge(&what, slept, " s", "ideal 10 s", Aim::Under(11.0));
    ferry.show(&["daemon", "stop"])?;
    Ok(())
}

/// Times one job over SSH on loopback.
fn over_ssh(ferry: &Ferry, interrupt: &Interrupt, table: &mut Table) -> Result<()> {
    let services = Services::for_test(Kinds { ssh: true, ..Kinds::default() }, interrupt)?;
    let report = services.environment().into_iter().find(|(name, _)| name == "FERRY_SERVICES");
    let (_, report) = report.context("the services tell nothing")?;
    let report: Value = serde_json::from_str(&fs::read_to_string(report)?)?;
    let config = report.pointer("/computers/ssh+direct").and_then(Value::as_str);
    let config = config.context("the services have no computer over SSH")?;
    ferry.ask(&["computer", "setup", "-n", "--label", "far", "--config", config])?;
    println!("the same over SSH on loopback");
    let far = one(ferry, "far")?;
    table.judge("one `true` over SSH on loopback", far, " ms", "", Aim::Under(100.0));
    Ok(())
}

/// Returns the median time, in ms, from the submission of a job that does nothing until a user sees its end.
fn one(ferry: &Ferry, computer: &str) -> Result<f64> {
    let mut times = Vec::new();
    // The first one opens the connection and starts the plugin's host.
    for time in 0..=TIMES {
        let begun = Instant::now();
        let id = ferry.ask(&["submit", "shell.run", "command=true", "--computer", computer])?;
        ferry.ask(&["process", "watch", id.trim()])?;
        if time > 0 {
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(median(&times))
}

/// Seconds that many jobs with these inputs take, from their submission as one to the end of the last.
fn many(ferry: &Ferry, count: u32, line: &str) -> Result<f64> {
    println!("{count} times {line}");
    let lines = ferry.desk().join("jobs.jsonl");
    fs::write(&lines, format!("{line}\n").repeat(count as usize)).context("could not write the inputs")?;
    let begun = Instant::now();
    let told = ferry.ask(&["submit", "shell.run", "--each", &lines.to_string_lossy()])?;
    throughput::wait(ferry)?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(told.lines().count() == count as usize, "not all jobs were submitted");
    let failed = ferry.ask(&["process", "list", "-a", "--failed", "--format", "json"]);
    ensure!(failed.is_ok_and(|text| text.trim() == "[]"), "some of the jobs failed");
    Ok(seconds)
}

/// Seconds of the bare loop for as many jobs.
fn bare(root: &Path) -> Result<f64> {
    fs::create_dir(root).with_context(|| format!("could not make {}", root.display()))?;
    let begun = Instant::now();
    let status =
        Command::new("/bin/bash").args(["-c", LOOP, "bash", &MANY.to_string()]).current_dir(root).status();
    ensure!(status.context("could not start bash")?.success(), "the bare loop failed");
    Ok(begun.elapsed().as_secs_f64())
}

/// Seconds that HyperQueue needs for as many tasks.
///
/// # Errors
/// Fails if it can't be installed, which is no failure of the bench.
fn hyperqueue(desk: &Path) -> Result<f64> {
    println!("{MANY} tasks of HyperQueue");
    let venv = desk.join("hyperqueue");
    let python = venv.join("bin/python");
    let quietly = |command: &mut Command| -> Result<String> {
        let output = command.output().context("could not start")?;
        let words = shell::words(command);
        ensure!(
            output.status.success(),
            "`{words}` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    quietly(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    quietly(Command::new(&python).args(["-m", "pip", "install", "--quiet", "hyperqueue"]))?;
    let told = quietly(Command::new(&python).args(["-c", HYPERQUEUE, &MANY.to_string()]).current_dir(desk))?;
    told.lines().last().and_then(|line| line.trim().parse().ok()).context("HyperQueue told no time")
}
