//! The scheduler suite on this dialect. No PBS is needed: shell scripts stand in for its commands, and run each job
//! at once as a child. They give a script no arguments, and its name no more than 15 characters, as PBS does.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::ExitCode};

use ferry_conformance::{
    libtest_mimic::{Arguments, run},
    scheduler::{self, Fixture},
};
use ferry_engine_core::{computer::Computer, scheduler::Schedulers};

const QSUB: &str = r#"
while [ $# -gt 1 ]; do case $1 in -N) name=$2;; -o) out=$2;; -e) err=$2;; esac; shift 2; done
case $name in [!a-zA-Z]*|????????????????*) echo "qsub: illegal -N value" >&2; exit 1;; esac
n=1; until mkdir "$here/jobs/$n" 2> /dev/null; do n=$((n + 1)); done
job=$here/jobs/$n; cp "$1" "$job/script"; echo "$name" > "$job/name"; pwd > "$job/place"
cd /
PBS_JOBID=$n.fake setsid sh -c 'echo $$ > "$1/pid"
    trap : TERM
    "$1/script" & c=$!; wait $c; code=$?
    while kill -0 $c 2> /dev/null; do wait $c; code=$?; done
    echo $code > "$1/exit"' sh "$job" > "$out" 2> "$err" < /dev/null &
until [ -s "$job/pid" ]; do sleep 0.01; done
echo "$n.fake""#;

const QSELECT: &str = r#"
cd "$here/jobs" && for n in *; do [ ! -d "$n" ] || echo "$n.fake"; done"#;

const QSTAT: &str = r#"
shift 2; code=0
for id; do
    job=$here/jobs/${id%.fake}
    [ -d "$job" ] || { echo "qstat: Unknown Job Id $id" >&2; code=153; continue; }
    printf 'Job Id: %s\n    Job_Name = %s\n    Variable_List = PBS_O_HOME=/,\n\tPBS_O_WORKDIR=%s\n' \
        "$id" "$(cat "$job/name")" "$(cat "$job/place")"
    if [ -s "$job/exit" ]; then printf '    job_state = F\n    Exit_status = %s\n\n' "$(cat "$job/exit")"
    else printf '    job_state = R\n\n'; fi
done
exit $code"#;

const QDEL: &str = r#"
for id; do
    job=$here/jobs/${id%.fake}
    if [ ! -d "$job" ]; then echo "qdel: Unknown Job Id $id" >&2
    elif [ -s "$job/exit" ]; then echo "qdel: Job has finished $id" >&2
    else
        pid=$(cat "$job/pid"); kill -s TERM -- "-$pid"
        (sleep 1; [ -s "$job/exit" ] || echo 271 > "$job/exit"; kill -s KILL -- "-$pid") > /dev/null 2>&1 &
    fi
done"#;

fn fakes(dir: &Path) -> std::io::Result<()> {
    fs::create_dir(dir.join("jobs"))?;
    for (name, body) in [("qsub", QSUB), ("qselect", QSELECT), ("qstat", QSTAT), ("qdel", QDEL)] {
        let file = dir.join(name);
        fs::write(&file, format!("#!/bin/sh\nhere=${{0%/*}}{body}\n"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let trials = scheduler::suite("pbs", || async {
        let dir = tempfile::tempdir()?;
        fakes(dir.path())?;
        let mut computer = Computer { scheduler: "example.pbs".into(), ..Computer::default() };
        computer.scheduler_settings.insert("pbs_bin".into(), dir.path().to_string_lossy().into());
        let scheduler = Schedulers::new([ferry_example_dialect::register()]).of(&computer)?;
        let transport = ferry_transport_local::register().open(&computer).await?;
        Ok(Fixture { scheduler, transport, scratch: dir.path().into(), guard: dir })
    });
    run(&Arguments::from_args(), trials).exit_code()
}
