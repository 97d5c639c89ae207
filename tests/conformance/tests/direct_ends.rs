//! Cases about the end of direct jobs: everything they started ends with them, and nothing is called ended
//! that still runs.

#![allow(clippy::print_stdout, reason = "what is skipped is said on stdout")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ferry_conformance::scheduler::{Bench, Outcome};
use ferry_engine::{
    computer::Computer,
    scheduler::{Cancelled, JobRef, JobState, JobTemplate},
};

/// Makes a bench in a directory of its own, whose name has a blank.
async fn bench() -> Outcome<(Bench, tempfile::TempDir)> {
    let dir = tempfile::Builder::new().prefix("direct ends").tempdir()?;
    let via = ferry_transport_local::register().open(&Computer::default()).await?;
    let scheduler = ferry_scheduler_direct::register().make(&Computer::default())?;
    Ok((Bench::new(scheduler, via, dir.path().into()), dir))
}

async fn start(
    bench: &Bench,
    shell: &str,
    body: &str,
    change: impl FnOnce(&mut JobTemplate),
) -> Outcome<JobRef> {
    let change = |job: &mut JobTemplate| {
        job.shebang = shell.into();
        change(job);
    };
    let job = bench.job_with(body, change).await?;
    bench.submit(&job).await
}

/// Makes a test of each case, with a shell that has job control everywhere and with the system's own.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        mod bash {
            $(#[tokio::test]
            async fn $name() -> super::Outcome {
                super::$name("#!/bin/bash").await
            })*
        }
        mod sh {
            $(#[tokio::test]
            async fn $name() -> super::Outcome {
                super::$name("#!/bin/sh").await
            })*
        }
    };
}

cases!(
    killed_is_what_runs_no_more,
    a_checkpoint_on_term_comes_home_whole,
    what_a_job_leaves_in_the_background_ends_with_it,
    who_left_the_session_is_found_by_its_mark,
    nobody_leaves_a_control_group,
    children_are_kept_where_that_is_wanted,
    a_job_whose_shell_was_killed_has_not_ended_before_its_programs,
    a_number_that_is_another_s_by_now_is_left_alone,
    a_stopped_job_can_be_ended,
);

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Outcome {
    let begin = Instant::now();
    while !holds() {
        if begin.elapsed() > Duration::from_secs(60) {
            return Err(format!("never: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Returns whether the process is alive whose pid the job has written to a file.
fn lives(file: &Path) -> bool {
    is_alive(&std::fs::read_to_string(file).unwrap_or_default())
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

async fn cancel(bench: &Bench, job: &JobRef) -> Outcome<Cancelled> {
    let mut results = bench.scheduler.cancel(&*bench.via, std::slice::from_ref(job)).await;
    Ok(results.pop().ok_or("no result")??)
}

/// Returns whether its exit marker says that it ended.
fn has_ended(job: &JobRef) -> bool {
    std::fs::read_to_string(job.dir.join(".ferry/exit")).is_ok_and(|marker| marker.lines().count() > 1)
}

/// Cancels until the job is over.
async fn end(bench: &Bench, job: &JobRef) -> Outcome {
    let begin = Instant::now();
    while cancel(bench, job).await? != Cancelled::Over {
        if begin.elapsed() > Duration::from_secs(90) {
            return Err("it was not ended".into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// A program that ignores TERM, in a file of its own; it writes its pid to `pid`.
const STUBBORN: &str = "echo $$ > pid; trap '' TERM; while :; do sleep 0.1; done";

async fn killed_is_what_runs_no_more(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    // The shell in between ends by TERM; the program does not.
    let body = format!("cat > s.sh << 'E'\n{STUBBORN}\nE\nsh s.sh; echo done");
    let job = start(&bench, shell, &body, |_| ()).await?;
    until("it runs", || lives(&job.dir.join("pid"))).await?;
    let first = cancel(&bench, &job).await?;
    assert!(matches!(first, Cancelled::Ending(_)), "{first:?}");
    end(&bench, &job).await?;
    assert!(!lives(&job.dir.join("pid")), "it was called over");
    Ok(())
}

async fn a_checkpoint_on_term_comes_home_whole(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    let program = "trap 'for n in 1 2 3 4 5; do echo $n >> checkpoint; sleep 0.3; done; exit 0' TERM\n\
                   while :; do sleep 0.1; done";
    let body = format!("cat > s.sh << 'E'\n{program}\nE\nsh s.sh");
    let job = start(&bench, shell, &body, |job| job.max_wallclock_seconds = Some(1)).await?;
    until("it has ended", || has_ended(&job)).await?;
    let text = std::fs::read_to_string(job.dir.join("checkpoint"))?;
    assert_eq!(text, "1\n2\n3\n4\n5\n");
    let marker = bench.marker(&job.dir).await?;
    assert!(marker.failure.is_some(), "{marker:?}");
    Ok(())
}

async fn what_a_job_leaves_in_the_background_ends_with_it(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    let body = "sleep 600 > /dev/null 2>&1 & echo $! > pid";
    let job = start(&bench, shell, body, |_| ()).await?;
    until("it has ended", || has_ended(&job)).await?;
    assert!(!lives(&job.dir.join("pid")));
    assert_eq!(bench.marker(&job.dir).await?.exit, Some(0));
    Ok(())
}

/// Kills the job's own shell, which would else end what it started.
async fn kill_shell(job: &JobRef) -> Outcome {
    let shell = job.id.0.rsplit(':').nth(1).ok_or("no pid")?;
    std::process::Command::new("kill").args(["-9", shell]).status()?;
    until("its shell has ended", || !is_alive(shell)).await
}

/// Returns the command of a process that leaves the job's session, by these words, and writes its pid.
fn stray(words: &str) -> String {
    format!(
        "{words} setsid sh -c 'echo $$ > pid.new; mv pid.new pid; exec sleep 600' > /dev/null 2>&1 < /dev/null &\n\
         while ! [ -s pid ]; do sleep 0.01; done"
    )
}

async fn who_left_the_session_is_found_by_its_mark(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    let job = start(&bench, shell, &format!("{}; sleep 600", stray("")), |_| ()).await?;
    until("it runs", || lives(&job.dir.join("pid"))).await?;
    kill_shell(&job).await?;
    for name in ["child", "cgroup"] {
        let _ = std::fs::remove_file(job.dir.join(".ferry").join(name));
    }
    let status = bench.status(&job).await?.ok_or("it was called absent")?;
    assert_eq!(status.state, JobState::Left);
    assert!(status.reason.is_some_and(|reason| reason.contains("(sleep)")));
    end(&bench, &job).await?;
    assert!(!lives(&job.dir.join("pid")));
    assert_eq!(bench.status(&job).await?, None);
    Ok(())
}

async fn nobody_leaves_a_control_group(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    // Neither its session nor its environment shows its owner.
    let clean = stray("env -i PATH=\"$PATH\"");
    let by_itself = start(&bench, shell, &clean, |_| ()).await?;
    until("its script has ended", || has_ended(&by_itself)).await?;
    if !by_itself.dir.join(".ferry/cgroup").exists() {
        println!("skipped: no control groups may be made here");
        return Ok(());
    }
    assert!(!lives(&by_itself.dir.join("pid")));

    let killed = start(&bench, shell, &format!("{clean}; sleep 600"), |_| ()).await?;
    until("it runs", || lives(&killed.dir.join("pid"))).await?;
    kill_shell(&killed).await?;
    end(&bench, &killed).await?;
    assert!(!lives(&killed.dir.join("pid")));
    let cgroup = std::fs::read_to_string(killed.dir.join(".ferry/cgroup"))?;
    assert!(!Path::new(cgroup.trim()).exists(), "{cgroup}");
    Ok(())
}

async fn children_are_kept_where_that_is_wanted(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    let body = "sleep 600 > /dev/null 2>&1 & echo $! > pid";
    let job = start(&bench, shell, body, |job| job.keep_children = true).await?;
    until("it has ended", || has_ended(&job)).await?;
    assert_eq!(bench.status(&job).await?, None);
    assert!(lives(&job.dir.join("pid")));
    let pid = std::fs::read_to_string(job.dir.join("pid"))?;
    std::process::Command::new("kill").arg(pid.trim()).status()?;
    Ok(())
}

async fn a_job_whose_shell_was_killed_has_not_ended_before_its_programs(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    let job = start(&bench, shell, "echo $$ > pid; sleep 600; sleep 600", |_| ()).await?;
    until("it runs", || lives(&job.dir.join("pid"))).await?;
    kill_shell(&job).await?;
    let status = bench.status(&job).await?.ok_or("it was called absent")?;
    assert_eq!(status.state, JobState::Left);
    end(&bench, &job).await?;
    assert!(!lives(&job.dir.join("pid")));
    Ok(())
}

async fn a_number_that_is_another_s_by_now_is_left_alone(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    let job = start(&bench, shell, "true", |_| ()).await?;
    until("it has ended", || has_ended(&job)).await?;
    let mut stranger = std::process::Command::new("setsid").args(["sleep", "600"]).spawn()?;
    std::fs::write(job.dir.join(".ferry/child"), format!("{} 1\n", stranger.id()))?;
    assert_eq!(bench.status(&job).await?, None);
    assert_eq!(cancel(&bench, &job).await?, Cancelled::Over);
    assert!(stranger.try_wait()?.is_none(), "it was killed");
    stranger.kill()?;
    stranger.wait()?;
    Ok(())
}

async fn a_stopped_job_can_be_ended(shell: &str) -> Outcome {
    let (bench, _dir) = bench().await?;
    let job = start(&bench, shell, "echo $$ > pid; sleep 600", |_| ()).await?;
    until("it runs", || lives(&job.dir.join("pid"))).await?;
    let shell = job.id.0.rsplit(':').nth(1).ok_or("no pid")?.to_owned();
    std::process::Command::new("kill").args(["-STOP", &shell]).status()?;
    // `kill` returns before the signal has stopped anything.
    let begin = Instant::now();
    while bench.status(&job).await?.ok_or("absent")?.state != JobState::Suspended {
        assert!(begin.elapsed() < Duration::from_secs(60), "it is never called suspended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    end(&bench, &job).await?;
    assert!(!lives(&job.dir.join("pid")));
    Ok(())
}
