//! Jobs share this machine: no more of them run than its cores and GPUs hold, over crashes too, and waiting
//! ones show what they wait for.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, text};
use serde_json::Value;

use crate::{Case, limits::Observer};

pub(crate) const CASES: &[Case] = &[
    ("a_computer_runs_what_its_cores_hold", a_computer_runs_what_its_cores_hold),
    ("a_large_job_is_not_starved_by_small_ones", a_large_job_is_not_starved_by_small_ones),
    ("an_end_lets_the_next_one_begin_soon", an_end_lets_the_next_one_begin_soon),
    ("who_is_paused_holds_nobody_up", who_is_paused_holds_nobody_up),
    ("what_never_fits_is_refused_or_pauses", what_never_fits_is_refused_or_pauses),
    ("computers_of_one_machine_share_its_cores", computers_of_one_machine_share_its_cores),
    ("no_gpu_is_given_to_two_jobs", no_gpu_is_given_to_two_jobs),
    ("gpus_are_those_that_the_login_may_see", gpus_are_those_that_the_login_may_see),
    ("what_a_machine_has_is_asked_again", what_a_machine_has_is_asked_again),
    ("memory_is_kept_for_those_that_asked", memory_is_kept_for_those_that_asked),
    ("a_resource_that_nobody_knows_is_refused", a_resource_that_nobody_knows_is_refused),
];

const LIMIT: Duration = Duration::from_secs(240);

fn profile(words: &[&str]) -> Result<Profile> {
    let ferry = Profile::new()?;
    configure(&ferry, words)?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

fn configure(ferry: &Profile, words: &[&str]) -> Result {
    ferry.ok(&[&["computer", "configure", "localhost", "-n"], words].concat()).map(drop)
}

/// Submits a job that sleeps.
fn sleeper(ferry: &Profile, seconds: &str, words: &[&str]) -> Result<String> {
    let arguments = format!("arguments={seconds}");
    ferry.submit(&[&["shell.run", "command=sleep", &arguments], words].concat())
}

/// Submits a job that runs shell text.
fn shell(ferry: &Profile, body: &str, words: &[&str]) -> Result<String> {
    let arguments = format!("arguments={}", serde_json::json!(["-c", body]));
    ferry.submit(&[&["shell.run", "command=sh", &arguments], words].concat())
}

fn good(ferry: &Profile, ids: &[String]) -> Result {
    for id in ids {
        let shown = ferry.ended(id, LIMIT)?;
        check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    }
    Ok(())
}

/// Waits until a process's status contains this text.
fn told(ferry: &Profile, id: &str, words: &str) -> Result {
    let begun = Instant::now();
    let mut status = String::new();
    while begun.elapsed() < Duration::from_secs(20) {
        status = ferry.json(&["process", "show", id])?["waiting_for"].as_str().unwrap_or_default().to_owned();
        if status.contains(words) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{id} is told `{status}`, not `{words}`"))
}

fn a_computer_runs_what_its_cores_hold() -> Result {
    let ferry = profile(&["--num-cores", "2"])?;
    let observer = Observer::start(&ferry);
    let ids: Vec<String> = (0..6).map(|_| sleeper(&ferry, "5", &[])).collect::<Result<_>>()?;
    told(&ferry, &ids[5], "waiting for 1 core on localhost: 2 of 2 in use")?;
    let shown = ferry.json(&["limit", "show", "localhost"])?;
    let cores = &shown[0]["cores"];
    check(cores["in_use"] == 2 && cores["of"] == 2 && shown[0]["waiting"] == 4, || format!("{shown:#}"))?;
    let shown = ferry.ok(&["computer", "show", "localhost"])?;
    check(shown.contains("2 of 2 cores"), || shown.clone())?;
    ferry_matrix::kill(ferry.daemon()?.0, 9);
    ferry.ok(&["daemon", "start"])?;
    good(&ferry, &ids)?;
    let most = observer.most();
    check(most == 2, || format!("{most} jobs ran at once, 2 fit"))?;
    // Users who want all at once must set this.
    configure(&ferry, &["--num-cores", "unlimited"])?;
    let observer = Observer::start(&ferry);
    let ids: Vec<String> = (0..6).map(|_| sleeper(&ferry, "2", &[])).collect::<Result<_>>()?;
    good(&ferry, &ids)?;
    let most = observer.most();
    check(most == 6, || format!("{most} of 6 jobs ran at once"))
}

/// Small jobs come all the time, and leave the large one its turn.
fn a_large_job_is_not_starved_by_small_ones() -> Result {
    let ferry = profile(&["--num-cores", "2"])?;
    let until = |name: &str| {
        let file = ferry.scratch().join(name);
        (file.clone(), format!("while ! [ -e '{}' ]; do sleep 0.1; done", file.display()))
    };
    let ((one, body_one), (two, body_two)) = (until("one"), until("two"));
    let first = [shell(&ferry, &body_one, &[])?, shell(&ferry, &body_two, &[])?];
    let large = sleeper(&ferry, "0.1", &["--option", "resources.num_cores_per_machine=2"])?;
    let small: Vec<String> = (0..4).map(|_| sleeper(&ferry, "0.1", &[])).collect::<Result<_>>()?;
    told(&ferry, &small[3], "waiting for 1 core on localhost: ")?;
    // One core is free from here on: enough for a small job, too little for the large one.
    fs::write(one, "").map_err(|error| error.to_string())?;
    good(&ferry, &first[..1])?;
    none_overtakes(&ferry, &large, &small, Duration::from_secs(3))?;
    fs::write(two, "").map_err(|error| error.to_string())?;
    none_overtakes(&ferry, &large, &small, LIMIT)?;
    good(&ferry, &[&first[1..], std::slice::from_ref(&large), &small].concat())
}

/// Looks until the large job was submitted, or for this time, that no small one is submitted before it.
fn none_overtakes(ferry: &Profile, large: &str, small: &[String], time: Duration) -> Result {
    let has_job =
        |id: &str| -> Result<bool> { Ok(ferry.json(&["process", "show", id])?["job_id"].is_string()) };
    let begun = Instant::now();
    while begun.elapsed() < time {
        let overtook = small.iter().map(|id| has_job(id)).collect::<Result<Vec<bool>>>()?;
        // Read last: whoever has a job by then that the large one lacks was submitted before it.
        if has_job(large)? {
            return Ok(());
        }
        check(!overtook.contains(&true), || {
            format!("small jobs have overtaken the large one: {overtook:?}")
        })?;
    }
    Ok(())
}

/// Even if the queue is polled rarely, a waiting job begins when the end is seen, not a poll later.
fn an_end_lets_the_next_one_begin_soon() -> Result {
    let ferry = profile(&["--num-cores", "1", "--poll-interval", "3"])?;
    let first = sleeper(&ferry, "0.1", &[])?;
    let next = sleeper(&ferry, "0.1", &[])?;
    good(&ferry, &[first])?;
    let begun = Instant::now();
    loop {
        let shown = ferry.json(&["process", "show", &next])?;
        if shown["job_id"].is_string() {
            break;
        }
        check(begun.elapsed() < Duration::from_secs(2), || format!("{shown:#}"))?;
        thread::sleep(Duration::from_millis(20));
    }
    good(&ferry, &[next])
}

fn who_is_paused_holds_nobody_up() -> Result {
    let ferry = profile(&["--num-cores", "1"])?;
    let first = sleeper(&ferry, "2", &[])?;
    let paused = sleeper(&ferry, "0.1", &[])?;
    let next = sleeper(&ferry, "0.1", &[])?;
    told(&ferry, &next, "waiting for 1 core")?;
    ferry.ok(&["process", "pause", &paused])?;
    let begun = Instant::now();
    good(&ferry, &[first, next])?;
    check(begun.elapsed() < Duration::from_secs(20), || format!("it took {:?}", begun.elapsed()))?;
    ferry.ok(&["process", "play", &paused])?;
    good(&ferry, &[paused])
}

fn what_never_fits_is_refused_or_pauses() -> Result {
    let ferry = profile(&["--num-cores", "2"])?;
    let wide = ["--option", "resources.num_cores_per_machine=3"];
    // The host was not asked yet, so this is reported when the job comes to it.
    let id = sleeper(&ferry, "0.1", &wide)?;
    told(&ferry, &id, "3 cores requested, but computer `localhost` has only 2")?;
    let shown = ferry.json(&["process", "show", &id])?;
    check(shown["paused"] == true, || format!("{shown:#}"))?;
    let submit = [&["submit", "shell.run", "command=true"], &wide[..]].concat();
    ferry.ferry(&submit)?.expect(2)?.says(&[
        "3 cores requested, but computer `localhost` has only 2",
        "ferry computer configure localhost --num-cores N",
    ])?;
    let gpu = ["submit", "shell.run", "command=true", "--option", "resources.num_gpus=1"];
    ferry.ferry(&gpu)?.expect(2)?.says(&["1 GPU requested", "--num-gpus N"])?;
    configure(&ferry, &["--num-cores", "3"])?;
    ferry.ok(&["process", "play", &id])?;
    good(&ferry, &[id])
}

fn computers_of_one_machine_share_its_cores() -> Result {
    let ferry = profile(&["--num-cores", "2"])?;
    let work = ferry.scratch().join("work");
    let other = ["--label", "other", "--hostname", "alias", "--transport", "core.local"];
    let other =
        [&["computer", "setup", "-n", "--scheduler", "core.direct", "--work-dir", text(&work)], &other[..]];
    ferry.ok(&other.concat())?;
    let observer = Observer::start(&ferry);
    let both = [&[][..], &["--computer", "other"]];
    // Each host is asked before its first job, and then known to be the same.
    let first: Vec<String> = both.iter().map(|words| sleeper(&ferry, "0.1", words)).collect::<Result<_>>()?;
    good(&ferry, &first)?;
    let ids: Vec<String> =
        (0..8).map(|number| sleeper(&ferry, "0.7", both[number % 2])).collect::<Result<_>>()?;
    told(&ferry, &ids[7], ", together with localhost")?;
    good(&ferry, &ids)?;
    let most = observer.most();
    check(most <= 2, || format!("{most} jobs ran at once, 2 fit"))
}

fn no_gpu_is_given_to_two_jobs() -> Result {
    let ferry = profile(&["--num-cores", "8", "--num-gpus", "2"])?;
    let locks = ferry.scratch().join("locks");
    fs::create_dir(&locks).map_err(|error| error.to_string())?;
    // A job that finds its GPU taken fails.
    let body = format!(
        "for gpu in $(echo $CUDA_VISIBLE_DEVICES | tr , ' '); do mkdir {0}/$gpu || exit 9; done; sleep 2; \
         for gpu in $(echo $CUDA_VISIBLE_DEVICES | tr , ' '); do rmdir {0}/$gpu; done; \
         echo $CUDA_VISIBLE_DEVICES $ROCR_VISIBLE_DEVICES $CUDA_DEVICE_ORDER",
        locks.display()
    );
    let job = |gpus: &str| shell(&ferry, &body, &["--option", &format!("resources.num_gpus={gpus}")]);
    let ids = ["1", "1", "2", "1", "1", "1"].map(job).into_iter().collect::<Result<Vec<_>>>()?;
    told(&ferry, &ids[2], "waiting for 2 GPUs on localhost: 2 of 2 in use")?;
    let without = shell(&ferry, "echo [$CUDA_VISIBLE_DEVICES][$CUDA_DEVICE_ORDER]", &[])?;
    good(&ferry, &ids)?;
    good(&ferry, std::slice::from_ref(&without))?;
    let printed = |id: &str| ferry.ok(&["calcjob", "outputcat", id, "stdout"]);
    check(printed(&ids[2])?.trim() == "0,1 0,1 PCI_BUS_ID", || "not both".into())?;
    let given = printed(&ids[3])?;
    check(["0 0 PCI_BUS_ID", "1 1 PCI_BUS_ID"].contains(&given.trim()), || given.clone())?;
    check(printed(&without)?.trim() == "[][]", || "a job that asked for none was told something".into())
}

fn gpus_are_those_that_the_login_may_see() -> Result {
    let ferry = Profile::new()?.with("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b");
    configure(&ferry, &["--num-cores", "8", "--num-gpus", "4"])?;
    ferry.ok(&["daemon", "start"])?;
    let body = "echo $CUDA_VISIBLE_DEVICES; env | grep -c ^HOME=";
    let clean = ["--option", "resources.num_gpus=1", "--option", "import_sys_environment=false"];
    let id = shell(&ferry, body, &clean)?;
    good(&ferry, std::slice::from_ref(&id))?;
    let printed = ferry.ok(&["calcjob", "outputcat", &id, "stdout"])?;
    check(printed.trim() == "MIG-a\n1", || printed.clone())?;
    // Four are declared, and two of them seen.
    let three = ["submit", "shell.run", "command=true", "--option", "resources.num_gpus=3"];
    ferry.ferry(&three)?.expect(2)?.says(&["3 GPUs requested, but computer `localhost` has only 2"]).map(drop)
}

/// A machine that was set up again has its new resources, over its next connection.
fn what_a_machine_has_is_asked_again() -> Result {
    let ferry = Profile::new()?;
    let bin = ferry.scratch().join("bin");
    let nproc = bin.join("nproc");
    let says = |cores: u32| -> std::io::Result<()> {
        std::fs::create_dir_all(&bin)?;
        std::fs::write(&nproc, format!("#!/bin/sh\necho {cores}\n"))?;
        std::fs::set_permissions(&nproc, std::os::unix::fs::PermissionsExt::from_mode(0o755))
    };
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let ferry = ferry.with("PATH", &path);
    for cores in [1, 3] {
        says(cores).map_err(|error| error.to_string())?;
        ferry.ok(&["daemon", "restart"])?;
        good(&ferry, &[sleeper(&ferry, "0.1", &[])?])?;
        let shown = ferry.json(&["limit", "show", "localhost"])?;
        check(shown[0]["cores"]["of"] == cores, || format!("{shown:#}"))?;
    }
    Ok(())
}

fn memory_is_kept_for_those_that_asked() -> Result {
    let ferry = profile(&["--num-cores", "2"])?;
    let asked = shell(&ferry, "ulimit -v", &["--option", "max_memory_kb=543210"])?;
    let threads = ["--option", "resources.num_cores_per_mpiproc=2"];
    let free = shell(&ferry, "ulimit -v; echo $OMP_NUM_THREADS", &threads)?;
    good(&ferry, &[asked.clone(), free.clone()])?;
    let printed = |id: &str| ferry.ok(&["calcjob", "outputcat", id, "stdout"]);
    check(printed(&asked)?.trim() == "543210", || "no limit".into())?;
    check(printed(&free)?.trim() == "unlimited\n2", || {
        "a limit that nobody asked for, or other threads".into()
    })?;
    let report = ferry.ok(&["process", "report", &asked])?;
    check(report.contains("`ulimit -v 543210`") && report.contains("CUDA and Java"), || report.clone())
}

fn a_resource_that_nobody_knows_is_refused() -> Result {
    let ferry = Profile::new()?;
    let submit = |option: &str| ferry.ferry(&["submit", "shell.run", "command=true", "--option", option]);
    submit("resources.licenses=ansys")?.expect(2)?.says(&[
        "metadata.options.resources.licenses",
        "knows no such resource",
        "num_gpus",
    ])?;
    submit("resources.num_gpu=1")?.expect(2)?.says(&["did you mean `num_gpus`?"])?;
    let listed: Value = ferry.json(&["process", "list", "-a"])?;
    check(listed.as_array().is_some_and(Vec::is_empty), || format!("{listed:#}"))
}
