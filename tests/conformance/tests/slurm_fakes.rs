//! Cases that no real Slurm can be made to produce at will: commands that lie, hang, answer twice or answer
//! half. The fakes stand first in `PATH`, in a child that is started for this, since only a child's
//! environment can be chosen.

use std::{
    collections::HashSet,
    env, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use ferry_conformance::{
    libtest_mimic::{Arguments, Trial, run},
    scheduler::{Bench, Outcome},
};
use ferry_engine::{
    computer::Computer,
    error::Effect,
    scheduler::{Error, ErrorKind, Fenced, JobId, JobState, Recovery, Submission, fence},
};

/// Says that this is the child, and where the commands are.
const INSIDE: &str = "FERRY_FAKES";

/// The beginning of each fake `sbatch`: `start ID` starts the job and lets `squeue` show it.
const SBATCH: &str = r#"#!/bin/sh
for word; do
    case $word in
    --chdir=*) dir=${word#*=};; --output=*) out=${word#*=};; --error=*) err=${word#*=};; --job-name=*) name=${word#*=};;
    esac
    script=$token token=$word
done
start() {
    cd "$dir" && SLURM_JOB_ID=$1 setsid "$script" "$token" > "$out" 2> "$err" < /dev/null &
    echo "$1|RUNNING|$name|None" >> "$FERRY_FAKES/queue"
}
lost() { echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1; }
"#;

/// An honest `squeue`, and a site without accounts. The fakes keep `ID|STATE|NAME|REASON`.
const SQUEUE: &str = r#"rows "$@" < "$FERRY_FAKES/queue""#;
/// Prints what the fakes keep as `squeue` would; asked for one job, that one, and fails if there is none.
const ROWS: &str = r#"
rows() {
    id=; for word; do case $word in --jobs=*) id=${word#*=};; esac; done
    awk -F'|' -v id="$id" '{ if (id == "" || $1 == id) { printf "@%s\037%s\037%s\037/\037(null)\037%s\037.\n", $1, $2, $4, $3; n++ } }
        END { if (id != "" && !n) { print "slurm_load_jobs error: Invalid job id specified" > "/dev/stderr"; exit 1 } }'
}
"#;
/// Knows no job that `squeue` does not show.
const SCONTROL: &str = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1";
const SACCT: &str = "echo 'Slurm accounting storage is disabled' >&2; exit 1";

type Case = fn(Bench, Fakes) -> Pin<Box<dyn Future<Output = Outcome>>>;

macro_rules! cases {
    ($($name:ident),+ $(,)?) => { [$((stringify!($name), (|bench, fakes| Box::pin($name(bench, fakes))) as Case)),+] };
}

fn main() -> io::Result<ExitCode> {
    let Some(dir) = env::var_os(INSIDE) else { return again_with_fakes() };
    let mut arguments = Arguments::from_args();
    // The commands are the same files for all cases.
    arguments.test_threads = Some(1);
    let cases = cases![
        an_id_beside_a_failure_counts,
        a_lost_answer_is_looked_up_and_found,
        a_lost_answer_is_looked_up_and_found_late,
        a_lost_request_was_never_submitted,
        without_proof_two_listings_decide_nothing,
        a_fenced_token_is_never_used_and_its_job_meets_the_gate,
        an_older_token_that_won_the_gate_is_the_job,
        a_claim_that_can_t_be_made_is_unclear,
        a_restart_of_its_own_goes_on_and_leaves_no_old_end,
        a_failed_squeue_is_never_an_absent_job,
        half_a_listing_is_none,
        two_answers_run_once,
        a_hanging_sbatch_is_ended,
        a_slow_sbatch_leaves_the_rest_of_its_batch_unclaimed,
        never_more_are_submitted_at_once_than_allowed,
        a_full_queue_is_busy_and_nothing_is_submitted,
        a_full_controller_is_busy_and_looked_up,
        unknown_words_are_looked_up,
        complaints_beside_a_listing_prove_nothing_absent,
        an_id_of_somebody_else_is_not_ours,
        the_jobs_of_a_user_without_a_name_are_seen,
        login_files_that_print_and_meddle_harm_nothing,
        login_files_that_end_the_shell_harm_nothing,
        login_files_that_hang_harm_nothing,
        a_computer_without_login_shells_has_none,
    ];
    let trial = |(name, case): (&str, Case)| {
        let dir = PathBuf::from(&dir);
        Trial::test(format!("scheduler/slurm-fakes/{name}"), move || play(&dir, case))
    };
    Ok(run(&arguments, cases.into_iter().map(trial).collect()).exit_code())
}

fn again_with_fakes() -> io::Result<ExitCode> {
    let dir = tempfile::tempdir()?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(dir.path().join("bin")).chain(env::split_paths(&path));
    let path = env::join_paths(path).map_err(io::Error::other)?;
    // A login starts with a path of its own, as Debian's does.
    let login =
        "PATH=$FERRY_FAKES/bin:/usr/bin:/bin; [ ! -e \"$FERRY_FAKES/login\" ] || . \"$FERRY_FAKES/login\"\n";
    fs::write(dir.path().join(".bash_profile"), login)?;
    let mut child = Command::new(env::current_exe()?);
    child.args(env::args_os().skip(1)).env("PATH", path).env("HOME", dir.path()).env(INSIDE, dir.path());
    let status = child.status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[tokio::main]
async fn play(dir: &Path, case: Case) -> Outcome {
    let fakes = Fakes { dir: dir.to_owned() };
    fs::create_dir_all(dir.join("bin"))?;
    fs::write(dir.join("queue"), "")?;
    fakes.put("squeue", SQUEUE)?;
    fakes.put("sacct", SACCT)?;
    fakes.put("scontrol", SCONTROL)?;
    let scratch = tempfile::tempdir()?;
    let via = ferry_transport_local::register().open(&Computer::default()).await?;
    let scheduler = ferry_scheduler_slurm::register().make(&Computer::default())?;
    case(Bench::new(scheduler, via, scratch.path().into()), fakes).await
}

/// The commands.
struct Fakes {
    dir: PathBuf,
}

impl Fakes {
    fn put(&self, name: &str, text: &str) -> io::Result<()> {
        let file = self.dir.join("bin").join(name);
        // Not over the old one, which may still run.
        let draft = self.dir.join(name);
        let words = if name == "squeue" { ROWS } else { "" };
        fs::write(&draft, format!("#!/bin/sh\n{words}{text}\n"))?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
        fs::rename(draft, file)
    }

    /// Puts this text into the user's login files, until the returned value is dropped.
    fn login(&self, text: &str) -> io::Result<Login> {
        let file = self.dir.join("login");
        fs::write(&file, text)?;
        Ok(Login(file))
    }

    fn sbatch(&self, text: &str) -> io::Result<()> {
        self.put("sbatch", &format!("{SBATCH}{text}"))
    }
}

/// A command that is there for one case: gone when it is dropped.
struct Put(PathBuf);

impl Drop for Put {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Login files that are there for one case.
struct Login(PathBuf);

impl Drop for Login {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Submits a job whose submission fails; the error.
async fn failing(bench: &Bench, job: &Submission) -> Error {
    let mut results = bench.scheduler.submit(&*bench.via, std::slice::from_ref(job), 1).await;
    results.remove(0).expect_err("it should have failed")
}

async fn an_id_beside_a_failure_counts(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 7; echo 7; lost")?;
    let job = bench.job("true").await?;
    assert_eq!(bench.submit(&job).await?.id, JobId("7".into()));
    assert_eq!(bench.exit(&job.dir).await?, 0);
    Ok(())
}

async fn a_lost_answer_is_looked_up_and_found(bench: Bench, fakes: Fakes) -> Outcome {
    // In the queue at once; it runs only after we have gone.
    fakes.sbatch(
        "echo \"8|PENDING|$name|Priority\" >> \"$FERRY_FAKES/queue\"
         { sleep 1; start 8; } > /dev/null 2>&1 & lost",
    )?;
    let job = bench.job("true").await?;
    assert_eq!(*failing(&bench, &job).await.kind(), ErrorKind::Ambiguous);
    let found = bench.scheduler.recover(&*bench.via, &job).await?;
    assert_eq!(found, Recovery::Found(JobId("8".into())));
    assert_eq!(bench.exit(&job.dir).await?, 0);
    assert_eq!(bench.runs(&job.dir).await?, 1);
    Ok(())
}

async fn a_lost_answer_is_looked_up_and_found_late(bench: Bench, fakes: Fakes) -> Outcome {
    // The controller takes its time, and the first look sees nothing.
    fakes.sbatch("{ sleep 2; start 9; } > /dev/null 2>&1 & lost")?;
    let job = bench.job("true").await?;
    assert_eq!(*failing(&bench, &job).await.kind(), ErrorKind::Ambiguous);
    let found = bench.scheduler.recover(&*bench.via, &job).await?;
    assert_eq!(found, Recovery::Found(JobId("9".into())));
    Ok(())
}

async fn a_lost_request_was_never_submitted(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("lost")?;
    let job = bench.job("true").await?;
    assert_eq!(*failing(&bench, &job).await.kind(), ErrorKind::Ambiguous);
    for _ in 0..2 {
        assert_eq!(bench.scheduler.recover(&*bench.via, &job).await?, Recovery::NeverSubmitted);
    }
    fakes.sbatch("start 10; echo 10")?;
    assert!(bench.submit(&job).await.is_err(), "a token that was given up was used");
    bench.submit(&bench.again(&job)).await?;
    assert_eq!(bench.exit(&job.dir).await?, 0);
    assert_eq!(bench.runs(&job.dir).await?, 1);
    Ok(())
}

async fn without_proof_two_listings_decide_nothing(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("lost")?;
    let job = Submission { proven: false, ..bench.job("true").await? };
    failing(&bench, &job).await;
    let Recovery::Unclear(reason) = bench.scheduler.recover(&*bench.via, &job).await? else {
        return Err("nobody has seen that this computer shares its directories".into());
    };
    assert!(reason.contains("computer test"), "{reason}");
    let job = Submission { proven: true, ..job };
    assert_eq!(bench.scheduler.recover(&*bench.via, &job).await?, Recovery::NeverSubmitted);
    Ok(())
}

async fn a_fenced_token_is_never_used_and_its_job_meets_the_gate(bench: Bench, fakes: Fakes) -> Outcome {
    // The first request arrives very late, after the user has decided.
    fakes.sbatch("{ sleep 4; start 20; } > /dev/null 2>&1 & lost")?;
    let job = Submission { proven: false, ..bench.job("sleep 5; exit 3").await? };
    failing(&bench, &job).await;
    assert_eq!(fence(&*bench.via, &job).await?, Fenced::Yes);
    fakes.sbatch("start 21; echo 21")?;
    assert!(bench.submit(&job).await.is_err(), "a token that was fenced off was used");
    let again = bench.again(&job);
    bench.submit(&again).await?;
    assert_eq!(bench.exit(&job.dir).await?, 3);
    let marker = bench.marker(&job.dir).await?;
    assert_eq!((bench.runs(&job.dir).await?, marker.fenced), (1, true));
    assert_eq!(marker.run, Some((again.token, JobId("21".into()))));
    Ok(())
}

async fn an_older_token_that_won_the_gate_is_the_job(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 22; echo 22")?;
    let job = bench.job("sleep 1").await?;
    bench.submit(&job).await?;
    while bench.marker(&job.dir).await?.run.is_none() {}
    let newer = bench.again(&job);
    let owner = job.job(JobId("22".into()));
    assert_eq!(fence(&*bench.via, &newer).await?, Fenced::Runs(owner));
    bench.exit(&job.dir).await?;
    Ok(())
}

async fn a_claim_that_can_t_be_made_is_unclear(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 23; echo 23")?;
    let job = bench.job("true").await?;
    // Stands for a full disk, which stops root too: the claim's name is too long for any file system.
    let long = Submission { token: "t".repeat(300), ..job };
    assert_eq!(*failing(&bench, &long).await.kind(), ErrorKind::Ambiguous);
    let recovery = bench.scheduler.recover(&*bench.via, &long).await?;
    assert!(matches!(recovery, Recovery::Unclear(_)), "{recovery:?}");
    assert!(!bench.text(&fakes.dir.join("queue")).await?.contains("23|"), "it was submitted without a claim");
    Ok(())
}

async fn a_restart_of_its_own_goes_on_and_leaves_no_old_end(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 24; echo 24")?;
    // Its second start is killed hard, as by a node that stops.
    let job = bench.job("[ -e again ] && kill -9 $(ps -o ppid= $PPID); touch again; exit 4").await?;
    bench.submit(&job).await?;
    assert_eq!(bench.exit(&job.dir).await?, 4);
    let start = |id: &str, restart: u32| {
        let mut script = Command::new(job.dir.join(&job.script));
        script
            .arg(&job.token)
            .env("SLURM_JOB_ID", id)
            .env("SLURM_RESTART_COUNT", restart.to_string())
            .status()
    };
    assert_eq!(start("24", 0)?.code(), Some(98), "the same start twice");
    assert_eq!(start("25", 1)?.code(), Some(98), "another job");
    assert_eq!(bench.marker(&job.dir).await?.exit, Some(4));
    start("24", 1)?;
    assert_eq!(bench.marker(&job.dir).await?.exit, None, "the first start's end is not the second's");
    assert_eq!(bench.runs(&job.dir).await?, 2);
    Ok(())
}

async fn a_failed_squeue_is_never_an_absent_job(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("lost")?;
    let job = bench.job("true").await?;
    failing(&bench, &job).await;
    let reference = job.job(JobId("1".into()));
    let complaint = "echo 'slurm_load_jobs error: Socket timed out on send/recv operation' >&2";
    for text in [format!("{complaint}; exit 0"), format!("{complaint}; exit 1"), "kill -9 $$".to_owned()] {
        fakes.put("squeue", &text)?;
        assert!(bench.scheduler.recover(&*bench.via, &job).await.is_err(), "{text}");
        assert!(bench.status(&reference).await.is_err(), "{text}");
        let list = bench.scheduler.list(&*bench.via).await;
        assert_eq!(list.map_err(|error| *error.kind()), Err(ErrorKind::Unreachable), "{text}");
    }
    Ok(())
}

async fn half_a_listing_is_none(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 11; echo 11")?;
    let job = bench.job("sleep 2").await?;
    let reference = bench.submit(&job).await?;
    fakes.put("squeue", "printf '@10\\037RUNNING\\037None\\037/\\037x\\037y\\037.\\n@11\\037RUN'")?;
    assert!(bench.status(&reference).await.is_err());
    fakes.put("squeue", SQUEUE)?;
    assert_eq!(bench.status(&reference).await?.map(|status| status.state), Some(JobState::Running));
    Ok(())
}

async fn two_answers_run_once(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 12; sleep 0.3; start 13; echo 12; echo 13")?;
    let job = bench.job("sleep 1; exit 4").await?;
    bench.submit(&job).await?;
    assert_eq!(bench.exit(&job.dir).await?, 4);
    let marker = bench.marker(&job.dir).await?;
    assert_eq!((bench.runs(&job.dir).await?, marker.fenced), (1, true));
    assert_eq!(marker.run.map(|(_, id)| id), Some(JobId("12".into())));
    Ok(())
}

async fn a_hanging_sbatch_is_ended(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 14; exec sleep 1000")?;
    let job = bench.job("true").await?;
    let begun = std::time::Instant::now();
    // The gate is taken meanwhile, and names the owner.
    assert_eq!(bench.submit(&job).await?.id, JobId("14".into()));
    assert!(begun.elapsed() < Duration::from_secs(60));
    Ok(())
}

async fn a_slow_sbatch_leaves_the_rest_of_its_batch_unclaimed(bench: Bench, fakes: Fakes) -> Outcome {
    // Whatever the wrapper begins must be over when it is ended itself, or a job could come in after recovery.
    fakes.sbatch("start 16; sleep 17; echo 16")?;
    let jobs = [bench.job("true").await?, bench.job("true").await?];
    let results = bench.scheduler.submit(&*bench.via, &jobs, 1).await;
    assert_eq!(results[0].as_ref().ok(), Some(&JobId("16".into())));
    let error = results[1].as_ref().expect_err("the second one was begun too late");
    assert_eq!(*error.kind(), ErrorKind::Ambiguous);
    assert_eq!(bench.scheduler.recover(&*bench.via, &jobs[1]).await?, Recovery::NeverSubmitted);
    assert_eq!(bench.marker(&jobs[1].dir).await?.run, None);
    Ok(())
}

async fn never_more_are_submitted_at_once_than_allowed(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch(
        r#"count() {
            exec 9>> "$FERRY_FAKES/lock"; flock 9
            read -r now most < "$FERRY_FAKES/count"; now=$((now + $1))
            echo "$now $((now > most ? now : most))" > "$FERRY_FAKES/count"
            exec 9>&-
        }
        count 1; sleep 0.2; start $$; echo $$; count -1"#,
    )?;
    for (at_once, seen) in [(1, "0 1\n"), (3, "0 3\n")] {
        fs::write(fakes.dir.join("count"), "0 0\n")?;
        let mut jobs = Vec::new();
        for _ in 0..10 {
            jobs.push(bench.job("true").await?);
        }
        for result in bench.scheduler.submit(&*bench.via, &jobs, at_once).await {
            result?;
        }
        assert_eq!(fs::read_to_string(fakes.dir.join("count"))?, seen, "at most {at_once} at once");
        for job in &jobs {
            assert_eq!(bench.exit(&job.dir).await?, 0);
            assert_eq!(bench.runs(&job.dir).await?, 1);
        }
    }
    Ok(())
}

async fn a_full_queue_is_busy_and_nothing_is_submitted(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch(
        "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2
         echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit)' >&2
         exit 1",
    )?;
    let job = bench.job("true").await?;
    assert_eq!(*failing(&bench, &job).await.kind(), ErrorKind::Quota);
    assert_eq!(bench.scheduler.recover(&*bench.via, &job).await?, Recovery::NeverSubmitted);
    Ok(())
}

/// `sbatch` tries again by itself, and is ended in between.
async fn a_full_controller_is_busy_and_looked_up(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch(
        "echo 'sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying' >&2; exit 124",
    )?;
    let job = bench.job("true").await?;
    let error = failing(&bench, &job).await;
    assert_eq!((*error.kind(), error.effect()), (ErrorKind::Full, Effect::Unknown));
    assert_eq!(bench.scheduler.recover(&*bench.via, &job).await?, Recovery::NeverSubmitted);
    Ok(())
}

/// A site's own words, beside a job that is in.
async fn unknown_words_are_looked_up(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch(
        "start 16
         echo 'sbatch: error: your project has no budget left' >&2
         echo 'sbatch: error: Batch job submission failed: Unspecified error' >&2
         exit 1",
    )?;
    let job = bench.job("sleep 1").await?;
    match bench.scheduler.submit(&*bench.via, std::slice::from_ref(&job), 1).await.remove(0) {
        // Its gate may show this at once.
        Ok(id) => assert_eq!(id, JobId("16".into())),
        Err(error) => assert_eq!(*error.kind(), ErrorKind::Unrecognized),
    }
    let found = bench.scheduler.recover(&*bench.via, &job).await?;
    assert_eq!(found, Recovery::Found(JobId("16".into())));
    assert_eq!((bench.exit(&job.dir).await?, bench.runs(&job.dir).await?), (0, 1));
    Ok(())
}

/// A second controller whose name does not resolve.
async fn complaints_beside_a_listing_prove_nothing_absent(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 17; echo 17")?;
    let job = bench.job("true").await?;
    let reference = bench.submit(&job).await?;
    bench.exit(&job.dir).await?;
    let complaint = "echo 'squeue: error: slurm_set_addr: Unable to resolve \"nosuchhost.invalid\"' >&2";
    fakes.put("squeue", &format!("{SQUEUE}\n{complaint}"))?;
    let jobs = [reference];
    let survey = bench.scheduler.survey(&*bench.via, None, &jobs, &HashSet::new()).await?;
    assert_eq!((survey.jobs.len(), survey.proves_absence, survey.notices.len()), (1, false, 1));
    // Another of ours is not found, but not absent either.
    fakes.sbatch("lost")?;
    let lost = bench.job("true").await?;
    assert_eq!(*failing(&bench, &lost).await.kind(), ErrorKind::Ambiguous);
    let found = bench.scheduler.recover(&*bench.via, &lost).await?;
    assert!(matches!(&found, Recovery::Unclear(reason) if reason.contains("nosuchhost")), "{found:?}");
    // Without a row it is no listing at all.
    fakes.put("squeue", complaint)?;
    assert!(bench.scheduler.survey(&*bench.via, None, &jobs, &HashSet::new()).await.is_err());
    fakes.put("squeue", SQUEUE)?;
    Ok(())
}

async fn an_id_of_somebody_else_is_not_ours(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 15; echo 15")?;
    let job = bench.job("true").await?;
    let reference = bench.submit(&job).await?;
    bench.exit(&job.dir).await?;
    fakes.put("squeue", "echo '15|RUNNING|of-somebody-else|None' | rows \"$@\"")?;
    assert_eq!(bench.status(&reference).await?, None);
    fakes.put("scancel", "echo \"$@\" >> \"$FERRY_FAKES/cancelled\"")?;
    for result in bench.scheduler.cancel(&*bench.via, &[reference]).await {
        result?;
    }
    assert!(!fakes.dir.join("cancelled").exists(), "somebody else's job was cancelled");
    Ok(())
}

/// Submits a job, which must run once and print the login's `GREETING`. Returns the time that the submission
/// took.
async fn greeted(bench: &Bench, job: &Submission, greeting: &str) -> Outcome<Duration> {
    let begun = Instant::now();
    bench.submit(job).await?;
    let took = begun.elapsed();
    assert_eq!(bench.exit(&job.dir).await?, 0);
    assert_eq!(bench.runs(&job.dir).await?, 1);
    assert_eq!(bench.text(&job.dir.join("stdout")).await?, format!("{greeting}\n"));
    Ok(took)
}

const GREETED: &str = "echo \"hello $GREETING\"";

async fn login_files_that_print_and_meddle_harm_nothing(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 30; echo 30")?;
    let _login = fakes.login(
        "echo '#0'; echo 99; echo noise >&2; cat
         export GREETING=there
         cd() { return 1; }; mkdir() { return 1; }; printf() { return 1; }; mv() { return 1; }
         alias f=false; shopt -s expand_aliases; trap 'echo trapped' EXIT; IFS=/; set -efuC",
    )?;
    let job = bench.job(GREETED).await?;
    assert!(greeted(&bench, &job, "hello there").await? < Duration::from_secs(8));
    Ok(())
}

async fn login_files_that_end_the_shell_harm_nothing(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 31; echo 31")?;
    for text in ["export GREETING=there; exit 3", "exec true", "kill -9 $$"] {
        let _login = fakes.login(text)?;
        let job = bench.job(GREETED).await?;
        assert!(greeted(&bench, &job, "hello ").await? < Duration::from_secs(8), "{text}");
    }
    Ok(())
}

async fn login_files_that_hang_harm_nothing(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 32; echo 32")?;
    let _login = fakes.login("echo $$ > \"$FERRY_FAKES/hung\"; sleep 1234")?;
    let jobs = [bench.job(GREETED).await?, bench.job(GREETED).await?];
    let begun = Instant::now();
    let results = bench.scheduler.submit(&*bench.via, &jobs, 1).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    // Once for both.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    for job in &jobs {
        assert_eq!(bench.exit(&job.dir).await?, 0);
        assert_eq!(bench.runs(&job.dir).await?, 1);
    }
    // Nothing of them is left.
    let shell = fs::read_to_string(fakes.dir.join("hung"))?;
    let left = |pid: &str| Path::new("/proc").join(pid.trim()).exists();
    assert!(!left(&shell), "{shell}");
    let sleeps = Command::new("pgrep").args(["-f", "^sleep 1234$"]).output()?;
    assert!(sleeps.stdout.is_empty(), "{sleeps:?}");
    Ok(())
}

async fn a_computer_without_login_shells_has_none(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.sbatch("start 33; echo 33")?;
    let _login = fakes.login("export GREETING=there")?;
    for (login_shell, greeting) in
        [(None, "hello there"), (Some(true), "hello there"), (Some(false), "hello ")]
    {
        let job = Submission { login_shell, ..bench.job(GREETED).await? };
        greeted(&bench, &job, greeting).await?;
    }
    Ok(())
}

/// `squeue` 22.05.8 takes no user without a name, neither by number nor by `--me`: it complains, lists nothing and
/// succeeds.
async fn the_jobs_of_a_user_without_a_name_are_seen(bench: Bench, fakes: Fakes) -> Outcome {
    fakes.put("id", "[ \"$*\" != -un ] || { echo 4711; echo 'id: cannot find name for user ID 4711' >&2; exit 1; }; echo 4711")?;
    let _id = Put(fakes.dir.join("bin/id"));
    fakes.put(
        "squeue",
        r#"case " $* " in
*" --user="*) echo 'squeue: error: Invalid user: 4711' >&2; exit 0;;
*"--format=%U %A"*) echo '0 1'; awk -F'|' '{ print 4711, $1 }' "$FERRY_FAKES/queue"; exit 0;;
*" --name=/ "*) exit 0;;
*" --jobs="*) ids=$(printf '%s\n' "$@" | sed -n 's/^--jobs=//p'); set --;;
esac
for one in $(echo "$ids" | tr ',' ' '); do rows --jobs="$one" < "$FERRY_FAKES/queue"; done"#,
    )?;
    fakes.sbatch("start 40; echo 40")?;
    let job = bench.job("sleep 2").await?;
    let reference = bench.submit(&job).await?;
    let status = bench.status(&reference).await?.ok_or("the job is not seen")?;
    assert_eq!(status.state, JobState::Running);
    assert_eq!(bench.exit(&job.dir).await?, 0);
    fs::write(fakes.dir.join("queue"), "")?;
    assert_eq!(bench.status(&reference).await?, None, "an empty queue is an answer");
    Ok(())
}
