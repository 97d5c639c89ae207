//! The cases.

use std::{path::Path, pin::Pin, time::Duration};

use ferry_engine_core::scheduler::{
    ErrorKind, JobState, JobTemplate, Machine, Recovery, Submission, gpu_environment,
};
use libtest_mimic::Failed;

use super::bench::{Bench, Outcome};

pub(super) type Run = fn(Bench) -> Pin<Box<dyn Future<Output = Outcome>>>;

macro_rules! cases {
    ($($name:ident),+ $(,)?) => { vec![$((stringify!($name), (|bench| Box::pin($name(bench))) as Run)),+] };
}

pub(super) fn all() -> Vec<(&'static str, Run)> {
    cases![
        a_job_runs_in_its_directory,
        exit_statuses_come_home,
        one_result_for_each_of_many,
        the_queue_can_be_listed,
        the_queue_keeps_its_name,
        a_machine_that_jobs_share_says_what_it_has,
        a_job_is_given_its_part_of_the_machine,
        memory_is_bounded_where_the_job_asked_for_it,
        a_running_job_is_listed_and_an_ended_one_is_marked,
        a_token_submits_once,
        a_second_copy_ends_at_the_gate,
        a_directory_without_sentinel_runs_nothing,
        recovery_finds_a_job_that_was_submitted,
        recovery_takes_a_free_claim_and_no_late_wrapper_submits,
        recovery_of_an_old_claim_says_never_twice_over,
        recovery_without_a_directory_is_unclear,
        cancel_ends_a_job_and_its_children,
        cancel_of_an_ended_job_is_fine,
        an_unknown_job_is_absent,
    ]
}

fn check(condition: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(Failed::from(otherwise())) }
}

async fn a_job_runs_in_its_directory(bench: Bench) -> Outcome {
    let job = bench.job("pwd > where; echo out; echo err >&2").await?;
    bench.submit(&job).await?;
    check(bench.exit(&job.dir).await? == 0, || "not 0".into())?;
    let place = bench.text(&job.dir.join("where")).await?;
    check(Path::new(place.trim_end()).file_name() == job.dir.file_name(), || place.clone())?;
    check(bench.text(&job.dir.join("stdout")).await? == "out\n", || "stdout".into())?;
    check(bench.text(&job.dir.join("stderr")).await? == "err\n", || "stderr".into())
}

async fn exit_statuses_come_home(bench: Bench) -> Outcome {
    for status in [0, 1, 42, 255] {
        let job = bench.job(&format!("exit {status}")).await?;
        bench.submit(&job).await?;
        let found = bench.exit(&job.dir).await?;
        check(found == status, || format!("{found}, not {status}"))?;
    }
    Ok(())
}

async fn one_result_for_each_of_many(bench: Bench) -> Outcome {
    let mut jobs = Vec::new();
    for i in 0..40 {
        jobs.push(bench.job(&format!("exit {i}")).await?);
    }
    // One in the middle can't be submitted; the others can.
    bench.via.remove_tree(&jobs[7].dir).await?;
    let results = bench.scheduler.submit(&*bench.via, &jobs, 4).await;
    check(results.len() == jobs.len(), || format!("{} results", results.len()))?;
    for (i, (job, result)) in jobs.iter().zip(&results).enumerate() {
        if i == 7 {
            check(result.is_err(), || "a job without directory was submitted".into())?;
            continue;
        }
        result.as_ref().map_err(|error| format!("{i}: {error}"))?;
        check(bench.exit(&job.dir).await? == i as i32, || format!("{i}"))?;
        check(bench.runs(&job.dir).await? == 1, || format!("{i} did not run once"))?;
    }
    Ok(())
}

async fn the_queue_can_be_listed(bench: Bench) -> Outcome {
    bench.scheduler.list(&*bench.via).await?;
    Ok(())
}

async fn the_queue_keeps_its_name(bench: Bench) -> Outcome {
    match bench.scheduler.queue_key(&*bench.via).await {
        Ok(key) => {
            check(!key.queue.is_empty(), || "a name of nothing".into())?;
            let again = bench.scheduler.queue_key(&*bench.via).await?;
            check(again == key, || format!("{again} after {key}"))
        }
        // It may have none, but then its error must be permanent.
        Err(error) => check(*error.kind() == ErrorKind::Permanent, || error.to_string()),
    }
}

async fn a_machine_that_jobs_share_says_what_it_has(bench: Bench) -> Outcome {
    let machine = bench.scheduler.machine(&*bench.via).await?;
    if !bench.scheduler.capabilities().shares_host {
        // A scheduler that counts for itself is not counted for.
        return check(machine == Machine::default(), || format!("{machine:?}"));
    }
    check(machine.cores > Some(0) && machine.memory_kb > Some(0), || format!("{machine:?}"))
}

async fn a_job_is_given_its_part_of_the_machine(bench: Bench) -> Outcome {
    if !bench.scheduler.capabilities().shares_host {
        return Ok(());
    }
    for keeps_login in [true, false] {
        let with = |job: &mut JobTemplate| {
            job.import_sys_environment = keeps_login;
            job.resources.gpus = Some(2);
        };
        let body = "printf '%s %s %s\\n' \"$CUDA_VISIBLE_DEVICES\" \"$ROCR_VISIBLE_DEVICES\" \"$CUDA_DEVICE_ORDER\" > gpus";
        let job = bench.job_with(body, with).await?;
        let environment = gpu_environment(&["MIG-it's".to_owned(), "1".to_owned()]);
        let job = Submission { environment, ..job };
        let reference = bench.submit(&job).await?;
        bench.exit(&job.dir).await?;
        let given = bench.text(&job.dir.join("gpus")).await?;
        check(given == "MIG-it's,1 MIG-it's,1 PCI_BUS_ID\n", || format!("{given:?} of {}", reference.id))?;
    }
    Ok(())
}

async fn memory_is_bounded_where_the_job_asked_for_it(bench: Bench) -> Outcome {
    if !bench.scheduler.capabilities().shares_host {
        return Ok(());
    }
    for (asked, expect) in [(Some(654_321), "654321\n"), (None, "unlimited\n")] {
        let with = |job: &mut JobTemplate| {
            job.asked_memory_kb = asked;
            job.max_memory_kb = Some(654_321);
        };
        let job = bench.job_with("ulimit -v > limit", with).await?;
        bench.submit(&job).await?;
        check(bench.exit(&job.dir).await? == 0, || "it failed".into())?;
        let limit = bench.text(&job.dir.join("limit")).await?;
        check(limit == expect, || format!("{limit} where {asked:?} was asked for"))?;
    }
    Ok(())
}

async fn a_running_job_is_listed_and_an_ended_one_is_marked(bench: Bench) -> Outcome {
    let job = bench.job("while [ ! -e go ]; do sleep 0.05; done").await?;
    let reference = bench.submit(&job).await?;
    for _ in 0..600 {
        if bench.runs(&job.dir).await? == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = bench.status(&reference).await?.ok_or("a running job is not listed")?;
    check(status.state == JobState::Running, || format!("{status:?}"))?;
    let marker = bench.marker(&job.dir).await?;
    check(marker.exit.is_none(), || "marked before its end".into())?;
    check(
        marker
            .run
            .is_some_and(|(token, id)| token == job.token && id.is_same(&reference.id, job.home.as_deref())),
        || "not the owner".into(),
    )?;
    bench.via.write(&job.dir.join("go"), &mut &b""[..], false).await?;
    check(bench.exit(&job.dir).await? == 0, || "not 0".into())?;
    for _ in 0..600 {
        if bench.status(&reference).await?.is_none_or(|status| status.state == JobState::Done) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("an ended job is listed as active".into())
}

async fn a_token_submits_once(bench: Bench) -> Outcome {
    let job = bench.job("sleep 0.3").await?;
    let batch = [job.clone(), job.clone(), job.clone()];
    let _ = bench.scheduler.submit(&*bench.via, &batch, 4).await;
    let _ = bench.scheduler.submit(&*bench.via, &batch, 4).await;
    bench.exit(&job.dir).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let marker = bench.marker(&job.dir).await?;
    check(bench.runs(&job.dir).await? == 1 && !marker.fenced, || "the token was used twice".into())
}

async fn a_second_copy_ends_at_the_gate(bench: Bench) -> Outcome {
    let job = bench.job("sleep 1; exit 5").await?;
    let first = bench.submit(&job).await?;
    for _ in 0..600 {
        if bench.marker(&job.dir).await?.run.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let second = bench.again(&job);
    let adopted = bench.submit(&second).await;
    check(bench.exit(&job.dir).await? == 5, || "the exit marker is not the first copy's".into())?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    check(bench.exit(&job.dir).await? == 5, || "the second copy touched the exit marker".into())?;
    check(bench.runs(&job.dir).await? == 1, || "both copies ran".into())?;
    // A submission that finds the gate taken may name the owner; it may not claim to be another job.
    if let Ok(found) = adopted {
        let owner = bench.marker(&job.dir).await?.run.ok_or("no owner")?;
        check(owner.1.is_same(&first.id, job.home.as_deref()) && owner.0 == first.token, || {
            format!("{found:?} {owner:?}")
        })?;
    }
    Ok(())
}

async fn a_directory_without_sentinel_runs_nothing(bench: Bench) -> Outcome {
    let job = bench.job("true").await?;
    bench.via.remove_file(&job.dir.join(".ferry/sentinel")).await?;
    check(bench.submit(&job).await.is_err(), || "it was submitted".into())?;
    bench.via.write(&job.dir.join(".ferry/sentinel"), &mut &b"another\n"[..], false).await?;
    check(bench.submit(&bench.again(&job)).await.is_err(), || "it was submitted".into())?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    check(bench.runs(&job.dir).await? == 0, || "it ran".into())
}

async fn recovery_finds_a_job_that_was_submitted(bench: Bench) -> Outcome {
    for body in ["sleep 1", "true"] {
        let job = bench.job(body).await?;
        let submitted = bench.submit(&job).await?;
        let running = bench.scheduler.recover(&*bench.via, &job).await?;
        check(running == Recovery::Found(submitted.id.clone()), || format!("{running:?} while it runs"))?;
        bench.exit(&job.dir).await?;
        let ended = bench.scheduler.recover(&*bench.via, &job).await?;
        check(ended == Recovery::Found(submitted.id), || format!("{ended:?} after its end"))?;
    }
    Ok(())
}

async fn recovery_takes_a_free_claim_and_no_late_wrapper_submits(bench: Bench) -> Outcome {
    let job = bench.job("true").await?;
    for _ in 0..2 {
        let found = bench.scheduler.recover(&*bench.via, &job).await?;
        check(found == Recovery::NeverSubmitted, || format!("{found:?}"))?;
    }
    check(bench.submit(&job).await.is_err(), || "a late wrapper submitted".into())?;
    let fresh = bench.again(&job);
    bench.submit(&fresh).await?;
    check(bench.exit(&job.dir).await? == 0, || "the fresh token did not run".into())?;
    check(bench.runs(&job.dir).await? == 1, || "not once".into())
}

async fn recovery_of_an_old_claim_says_never_twice_over(bench: Bench) -> Outcome {
    let job = bench.job("true").await?;
    // A wrapper that took the claim long ago and died before it reached the scheduler.
    let claim = job.dir.join(format!(".ferry/submit-{}", job.token));
    let words = [
        "sh",
        "-c",
        "mkdir \"$1\" && touch -d '3 hours ago' \"$1\"",
        "sh",
        claim.to_str().unwrap_or_default(),
    ];
    bench.via.exec(&ferry_engine_core::transport::Command::new(words)).await?;
    for _ in 0..2 {
        let found = bench.scheduler.recover(&*bench.via, &job).await?;
        check(found == Recovery::NeverSubmitted, || format!("{found:?}"))?;
    }
    check(bench.submit(&job).await.is_err(), || "the dead token was used".into())?;
    check(bench.runs(&job.dir).await? == 0, || "it ran".into())
}

async fn recovery_without_a_directory_is_unclear(bench: Bench) -> Outcome {
    let job = bench.job("true").await?;
    bench.via.remove_tree(&job.dir).await?;
    let found = bench.scheduler.recover(&*bench.via, &job).await?;
    check(matches!(found, Recovery::Unclear(_)), || format!("{found:?}"))
}

async fn cancel_ends_a_job_and_its_children(bench: Bench) -> Outcome {
    let job = bench.job("sleep 300 & echo $! > child; wait").await?;
    let reference = bench.submit(&job).await?;
    let mut child = String::new();
    for _ in 0..600 {
        child = bench.text(&job.dir.join("child")).await?;
        if child.ends_with('\n') {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for result in bench.scheduler.cancel(&*bench.via, std::slice::from_ref(&reference)).await {
        result?;
    }
    for _ in 0..600 {
        let gone = bench.status(&reference).await?.is_none_or(|status| status.state == JobState::Done);
        let alive = format!("kill -0 {} 2> /dev/null && echo alive; true", child.trim());
        let alive = bench.via.exec(&ferry_engine_core::transport::Command::sh(alive)).await?.text();
        if gone && alive.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the job or its child lives on".into())
}

async fn cancel_of_an_ended_job_is_fine(bench: Bench) -> Outcome {
    let job = bench.job("true").await?;
    let reference = bench.submit(&job).await?;
    bench.exit(&job.dir).await?;
    for _ in 0..2 {
        for result in bench.scheduler.cancel(&*bench.via, std::slice::from_ref(&reference)).await {
            result?;
        }
    }
    check(bench.exit(&job.dir).await? == 0, || "the marker changed".into())
}

async fn an_unknown_job_is_absent(bench: Bench) -> Outcome {
    let job = bench.job("true").await?;
    let ended = bench.submit(&job).await?;
    bench.exit(&job.dir).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = bench.status(&ended).await?;
    check(status.is_none_or(|status| status.state == JobState::Done), || "an ended job is active".into())
}
