//! The scheduler suite on Slurm, through the local transport, and cases about Slurm alone. Needs a cluster:
//! `cargo xtask services up` makes a private one, and `FERRY_SERVICES` or `SLURM_CONF` names it.

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    pin::Pin,
    process::{Command, ExitCode},
    time::Duration,
};

use ferry_conformance::{
    libtest_mimic::{Arguments, Failed, Trial, run},
    scheduler::{self, Bench, Fixture, Outcome},
};
use ferry_engine::{
    computer::Computer,
    scheduler::{ErrorKind, JobRef, JobState, JobStatus, Recovery, Submission},
    transport::Command as Far,
};

type Case = fn(Bench) -> Pin<Box<dyn Future<Output = Outcome>>>;

macro_rules! cases {
    ($($name:ident),+ $(,)?) => { [$((stringify!($name), (|bench| Box::pin($name(bench))) as Case)),+] };
}

/// Says that this is the child with the right environment.
const INSIDE: &str = "FERRY_CONFORMANCE_SLURM";
/// A default as users have them; the private cluster has this partition.
const DEFAULT: (&str, &str) = ("SBATCH_PARTITION", "debug");

/// Login files as clusters have them: `module` is a function, and something is printed.
const LOGIN: &str = "echo 'Welcome!'
module() { echo \"module $* from $MODULEPATH\"; }
export -f module
export MODULEPATH=/apps/modules
";

fn main() -> io::Result<ExitCode> {
    if env::var_os(INSIDE).is_some() {
        return Ok(suite());
    }
    let own = env::var_os("FERRY_SERVICES")
        .map(|report| PathBuf::from(report).with_file_name("slurm/etc/slurm.conf"));
    match own.filter(|conf| conf.exists()).or(env::var_os("SLURM_CONF").map(PathBuf::from)) {
        Some(conf) => again_with_its_cluster(&conf),
        None => without_a_cluster(),
    }
}

fn suite() -> ExitCode {
    let mut trials = scheduler::suite("slurm", open);
    let own = cases![
        a_refusal_has_slurm_s_words,
        a_held_job_is_held_until_it_is_cancelled,
        a_job_that_waits_says_why,
        the_raw_end_of_a_job_is_kept,
        a_job_without_its_directory_runs_nothing,
        a_job_that_lost_its_directory_runs_nothing_elsewhere,
        file_names_with_patterns_are_names,
        a_job_without_the_login_s_environment_lacks_it,
        a_user_s_default_does_not_overrule_the_job,
        directives_of_prepend_texts_count,
        words_of_the_command_win_over_directives,
        lines_of_other_schedulers_count_for_nothing,
        what_a_directive_says_counts_more_than_the_login,
        a_job_has_what_the_login_sets,
    ];
    trials.extend(own.map(|(name, case)| Trial::test(format!("scheduler/slurm/{name}"), move || play(case))));
    run(&Arguments::from_args(), trials).exit_code()
}

async fn open() -> Result<Fixture<tempfile::TempDir>, Failed> {
    let dir = tempfile::tempdir()?;
    let transport = ferry_transport_local::register().open(&Computer::default()).await?;
    let scheduler = ferry_scheduler_slurm::register().make(&Computer::default())?;
    Ok(Fixture { scheduler, transport, scratch: dir.path().into(), guard: dir })
}

#[tokio::main]
async fn play(case: Case) -> Outcome {
    let fixture = open().await?;
    case(Bench::new(fixture.scheduler, fixture.transport, fixture.scratch)).await
}

/// Runs the suite again in a child. Slurm's clients look for their cluster in the environment, which can only
/// be set at a child's start.
fn again_with_its_cluster(conf: &Path) -> io::Result<ExitCode> {
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join(".bash_profile"), LOGIN)?;
    let mut child = Command::new(env::current_exe()?);
    child.args(env::args_os().skip(1)).env("SLURM_CONF", conf).env(INSIDE, "1").env(DEFAULT.0, DEFAULT.1);
    child.env("HOME", home.path());
    Ok(if child.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn without_a_cluster() -> io::Result<ExitCode> {
    let asked = env::var("FERRY_CELLS").is_ok_and(|cells| cells.contains("slurm"));
    let what = if asked { "FAILED" } else { "SKIPPED" };
    let text =
        "no Slurm: start one with `cargo xtask services up`, and set FERRY_SERVICES to its services.json";
    writeln!(io::stderr(), "{what}: {text}")?;
    Ok(if asked { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Makes a job with one more line in its header, as a user's own scheduler commands would be.
async fn job_with(bench: &Bench, line: &str, body: &str) -> Outcome<Submission> {
    let job = bench.job(body).await?;
    let file = job.dir.join(&job.script);
    let script = bench.text(&file).await?.replacen('\n', &format!("\n#SBATCH {line}\n"), 1);
    bench.via.write(&file, &mut script.as_bytes(), true).await?;
    Ok(job)
}

/// Waits until the job is in this state.
async fn reaches(bench: &Bench, job: &JobRef, state: JobState) -> Outcome<JobStatus> {
    let mut last = None;
    for _ in 0..600 {
        last = bench.status(job).await?;
        if let Some(status) = last.as_ref().filter(|status| status.state == state) {
            return Ok(status.clone());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("it is {last:?}, not {state:?}").into())
}

async fn run_far(bench: &Bench, words: &[&str]) -> Outcome {
    let output = bench.via.exec(&Far::new(words.iter().copied())).await?;
    assert_eq!(output.status, 0, "{words:?}: {}", output.error_text());
    Ok(())
}

async fn cancel(bench: &Bench, job: &JobRef) -> Outcome {
    for result in bench.scheduler.cancel(&*bench.via, std::slice::from_ref(job)).await {
        result?;
    }
    Ok(())
}

async fn a_refusal_has_slurm_s_words(bench: Bench) -> Outcome {
    for (line, words) in [
        ("--partition=nosuch", "invalid partition specified: nosuch"),
        ("--time=abc", "Invalid --time specification"),
        ("--mem=9T", "Memory specification can not be satisfied"),
        ("--constraint=nosuch", "Invalid feature specification"),
    ] {
        let job = job_with(&bench, line, "true").await?;
        let results = bench.scheduler.submit(&*bench.via, std::slice::from_ref(&job), 1).await;
        let Some(Err(error)) = results.into_iter().next() else {
            return Err(format!("{line} was taken").into());
        };
        assert_eq!(*error.kind(), ErrorKind::Permanent, "{line}: {error}");
        assert!(error.to_string().contains(words), "{line}: {error}");
        // It is settled: no search is needed, and the token is spent.
        assert_eq!(bench.scheduler.recover(&*bench.via, &job).await?, Recovery::NeverSubmitted, "{line}");
    }
    Ok(())
}

async fn a_held_job_is_held_until_it_is_cancelled(bench: Bench) -> Outcome {
    let job = job_with(&bench, "--hold", "true").await?;
    let reference = bench.submit(&job).await?;
    let status = reaches(&bench, &reference, JobState::Held).await?;
    assert_eq!((status.raw.as_str(), status.reason.as_deref()), ("PENDING", Some("JobHeldUser")));
    assert_eq!(bench.scheduler.recover(&*bench.via, &job).await?, Recovery::Found(reference.id.clone()));
    cancel(&bench, &reference).await?;
    assert_eq!(reaches(&bench, &reference, JobState::Done).await?.raw, "CANCELLED");
    assert_eq!(bench.runs(&job.dir).await?, 0);
    Ok(())
}

async fn a_job_that_waits_says_why(bench: Bench) -> Outcome {
    let job = job_with(&bench, "--begin=now+1hour", "true").await?;
    let reference = bench.submit(&job).await?;
    for _ in 0..100 {
        let status = reaches(&bench, &reference, JobState::Pending).await?;
        if status.reason.as_deref() == Some("BeginTime") {
            return cancel(&bench, &reference).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("it does not say that its time has not come".into())
}

async fn the_raw_end_of_a_job_is_kept(bench: Bench) -> Outcome {
    for (body, raw, reason) in [
        ("true", "COMPLETED", None),
        ("exit 3", "FAILED", Some("NonZeroExitCode")),
        // The whole job dies, with the shell that would have left a marker.
        ("kill -9 $(ps -o ppid= $PPID)", "FAILED", Some("JobLaunchFailure")),
    ] {
        let job = bench.job(body).await?;
        let reference = bench.submit(&job).await?;
        let status = reaches(&bench, &reference, JobState::Done).await?;
        assert_eq!((status.raw.as_str(), status.reason.as_deref()), (raw, reason), "{body}");
    }
    Ok(())
}

async fn a_job_without_its_directory_runs_nothing(bench: Bench) -> Outcome {
    let job = bench.job("true").await?;
    bench.via.remove_tree(&job.dir).await?;
    assert!(bench.submit(&job).await.is_err());
    Ok(())
}

/// Slurm starts a job whose directory is missing in `/tmp`, and such a job "completes".
async fn a_job_that_lost_its_directory_runs_nothing_elsewhere(bench: Bench) -> Outcome {
    let job = job_with(&bench, "--hold", "true").await?;
    let reference = bench.submit(&job).await?;
    let aside = job.dir.with_file_name("aside");
    bench.via.rename(&job.dir, &aside).await?;
    run_far(&bench, &["scontrol", "release", &reference.id.0]).await?;
    let status = reaches(&bench, &reference, JobState::Done).await?;
    assert_eq!(status.raw, "FAILED");
    assert_eq!(bench.runs(&aside).await?, 0);
    assert!(bench.marker(&aside).await?.run.is_none());
    Ok(())
}

async fn file_names_with_patterns_are_names(bench: Bench) -> Outcome {
    let job = bench.job("echo out; echo err >&2").await?;
    let dir = job.dir.with_file_name("100%j it's");
    bench.via.rename(&job.dir, &dir).await?;
    let file = dir.join(&job.script);
    let (from, to) = (job.dir.to_string_lossy(), dir.to_string_lossy().replace('\'', r"'\''"));
    let script = bench.text(&file).await?.replace(&*from, &to);
    bench.via.write(&file, &mut script.as_bytes(), true).await?;
    let job = Submission { dir, stdout: "out %j".into(), stderr: "err%%".into(), ..job };
    bench.submit(&job).await?;
    assert_eq!(bench.exit(&job.dir).await?, 0);
    assert_eq!(bench.text(&job.dir.join("out %j")).await?, "out\n");
    assert_eq!(bench.text(&job.dir.join("err%%")).await?, "err\n");
    Ok(())
}

async fn a_job_without_the_login_s_environment_lacks_it(bench: Bench) -> Outcome {
    // The suite's own jobs keep it; the later of two lines counts.
    let job = job_with(&bench, "--export=NONE", "echo \"$FERRY_SERVICES $SLURM_CONF\"").await?;
    let file = job.dir.join(&job.script);
    let script = bench.text(&file).await?.replace("#SBATCH --export=ALL\n", "");
    bench.via.write(&file, &mut script.as_bytes(), true).await?;
    bench.submit(&job).await?;
    assert_eq!(bench.exit(&job.dir).await?, 0);
    let text = bench.text(&job.dir.join("stdout")).await?;
    assert!(!text.contains("services.json"), "{text}");
    assert!(text.contains("slurm.conf"), "Slurm's own variables stay: {text}");
    Ok(())
}

/// To `sbatch` a variable of the user's counts more than a line of the script.
async fn a_user_s_default_does_not_overrule_the_job(bench: Bench) -> Outcome {
    let job = job_with(&bench, "--partition=nosuch", "true").await?;
    let results = bench.scheduler.submit(&*bench.via, std::slice::from_ref(&job), 1).await;
    let Some(Err(error)) = results.into_iter().next() else { return Err("it was taken".into()) };
    assert!(error.to_string().contains("nosuch"), "{error}");
    Ok(())
}

/// Returns Slurm's description of a job.
async fn shown(bench: &Bench, id: &str) -> Outcome<String> {
    let output = bench.via.exec(&Far::new(["scontrol", "show", "job", "-o", id])).await?;
    Ok(output.text())
}

async fn directives_of_prepend_texts_count(bench: Bench) -> Outcome {
    let job = bench
        .job_with("echo \"$MODULE\"", |job| {
            job.custom_scheduler_commands =
                "#SBATCH -p short --nice=1\nulimit -c 0\n#SBATCH -p closed".into();
            job.prepend = vec![
                "# the site's\n#SBATCH --time-min 1\n\nexport MODULE=loaded\n#SBATCH -p closed".into(),
                "#SBATCH --nice=7".into(),
            ];
        })
        .await?;
    let id = bench.submit(&job).await?.id;
    let text = shown(&bench, &id.0).await?;
    for words in ["Partition=short", "TimeMin=00:01:00", "Nice=7 "] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert_eq!(bench.exit(&job.dir).await?, 0);
    assert_eq!(bench.text(&job.dir.join("stdout")).await?, "loaded\n");
    Ok(())
}

/// `sbatch` would obey such lines anywhere, also in the text of an argument.
async fn lines_of_other_schedulers_count_for_nothing(bench: Bench) -> Outcome {
    let job = bench
        .job_with("cat <<'END'\n#PBS -q nosuch\n#BSUB -q nosuch\n#PBS -t 1-3\nEND", |job| {
            job.custom_scheduler_commands = "#PBS -q nosuch\n#BSUB -q nosuch".into();
        })
        .await?;
    bench.submit(&job).await?;
    assert_eq!(bench.exit(&job.dir).await?, 0);
    assert_eq!(bench.text(&job.dir.join("stdout")).await?.lines().count(), 3);
    Ok(())
}

async fn words_of_the_command_win_over_directives(bench: Bench) -> Outcome {
    const ORDERS: &str =
        "#SBATCH --requeue -J mine -D /tmp -o /dev/null\n#SBATCH --error=/dev/null\n#PBS -r y";
    for rerunnable in [false, true] {
        let orders = if rerunnable { ORDERS.replace("--requeue", "--no-requeue") } else { ORDERS.to_owned() };
        let job = bench
            .job_with("echo out; pwd >&2", |job| {
                job.custom_scheduler_commands = orders.clone();
                job.prepend = vec![orders];
                job.rerunnable = rerunnable;
            })
            .await?;
        let id = bench.submit(&job).await?.id;
        let text = shown(&bench, &id.0).await?;
        let name = text.split(' ').find(|word| word.starts_with("JobName=")).unwrap_or_default();
        assert!(name.ends_with(&job.token), "{name}");
        assert!(text.contains(&format!("Requeue={}", u8::from(rerunnable))), "{text}");
        assert_eq!(bench.exit(&job.dir).await?, 0);
        assert_eq!(bench.text(&job.dir.join("stdout")).await?, "out\n");
        assert_eq!(bench.text(&job.dir.join("stderr")).await?.trim_end(), job.dir.to_string_lossy());
    }
    Ok(())
}

/// The login of this suite has the partition `debug` as its default.
async fn what_a_directive_says_counts_more_than_the_login(bench: Bench) -> Outcome {
    for order in ["#SBATCH -p short", "#SBATCH  --part short # not debug"] {
        let job = bench.job_with("true", |job| job.prepend = vec![format!("{order}\ntrue")]).await?;
        let id = bench.submit(&job).await?.id;
        let text = shown(&bench, &id.0).await?;
        assert!(text.contains("Partition=short"), "{order}: {text}");
        assert_eq!(bench.exit(&job.dir).await?, 0);
    }
    Ok(())
}

async fn a_job_has_what_the_login_sets(bench: Bench) -> Outcome {
    let change = |job: &mut ferry_engine::scheduler::JobTemplate| {
        job.shebang = "#!/bin/bash".into();
        job.prepend = vec!["module load gcc".into()];
    };
    let jobs = [bench.job_with("true", change).await?, bench.job_with("true", change).await?];
    for result in bench.scheduler.submit(&*bench.via, &jobs, 4).await {
        result?;
    }
    for job in jobs {
        assert_eq!(bench.exit(&job.dir).await?, 0);
        assert_eq!(bench.text(&job.dir.join("stdout")).await?, "module load gcc from /apps/modules\n");
    }
    Ok(())
}
