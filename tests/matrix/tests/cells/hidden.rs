//! A work directory that the compute nodes don't see: it is on a file system of the login side alone. No job
//! can begin there; each process reports this with advice, and nothing else is harmed.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use ferry_matrix::{Profile, Result, check, text};

use crate::{
    cell::{Cell, CellCase},
    services::{Wire, services},
};

pub(crate) const CASES: &[CellCase] =
    &[("a_work_directory_that_nodes_do_not_see", a_work_directory_that_nodes_do_not_see)];

const LIMIT: Duration = Duration::from_secs(240);

/// Mounts a file system in memory at its first word and becomes the rest.
const MOUNT: &str = r#"mount -t tmpfs -o size=64m ferry "$1" && shift && exec "$@""#;

fn a_work_directory_that_nodes_do_not_see(cell: &Cell) -> Result {
    if cell.has_link() {
        let wire = Wire::take()?;
        let ferry = cell.profile_changed(&wire.computer(&cell.name)?, "work_dir", text(&wire.hidden()))?;
        return fails_with_advice(cell, &ferry, |command| command);
    }
    let services = services()?;
    let file = services["computers"][&cell.name].as_str().ok_or("the services have no such computer")?;
    let hidden = tempfile::tempdir().map_err(|error| error.to_string())?;
    let ferry = cell.profile_changed(Path::new(file), "work_dir", text(hidden.path()))?;
    let inside = |command: Command| behind_mount(hidden.path(), &command);
    Profile::run(inside(Command::new("true")))?
        .expect(0)
        .map_err(|error| format!("can't run without root, who alone may mount: {error}"))?;
    fails_with_advice(cell, &ferry, inside)
}

/// Returns the same command in a mount namespace, where the directory has contents that no other process
/// sees.
fn behind_mount(dir: &Path, command: &Command) -> Command {
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "--propagation", "slave", "sh", "-c", MOUNT, "sh", text(dir)]);
    inside.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

fn fails_with_advice(cell: &Cell, ferry: &Profile, inside: impl Fn(Command) -> Command) -> Result {
    Profile::run(inside(ferry.command(&["daemon", "start"])))?.expect(0)?;
    let daemon = ferry.daemon()?.0;
    let lost = cell.submit(ferry, &["shell.run", "command=date"])?;
    let shown = ferry.ended(&lost, LIMIT)?;
    let why = shown["exit_message"].as_str().unwrap_or_default();
    let failed = shown["state"] == "finished" && shown["exit_code"] == 140;
    let advised = why.contains("work directory") && why.contains("ferry computer test");
    check(failed && advised, || {
        format!("{shown:#}\n{}", ferry.ok(&["process", "report", &lost]).unwrap_or_default())
    })?;
    check(ferry.daemon()?.0 == daemon, || "the daemon died".into())?;

    let words = ["computer", "test", &cell.computer(), "--job"];
    let tested = Profile::run(inside(ferry.command(&words)))?.expect(1)?;
    check(tested.stdout.contains("compute nodes"), || format!("{tested:?}"))?;
    let good = ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "--computer", "localhost"])?;
    check(ferry.ended(&good, LIMIT)?["exit_code"] == 0, || "another process was harmed".into())
}
