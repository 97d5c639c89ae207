//! Carrying faults out: on the trial's own daemon, and on the services that all trials of a cell share.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, kill};

use super::plan::Fault;
use crate::{
    cell::Cell,
    fault::{ROOM, begin_ids_at, highest_job_id, resume, signal_all},
    services::{Wire, service_pid, start_service},
    supervisor::lives,
};

/// Maximum time until a service is back.
const BACK: Duration = Duration::from_secs(240);

/// When a service that was started stays up.
const SETTLED: Duration = Duration::from_millis(300);

/// State that all trials of a cell share.
pub(super) struct Ground {
    pub(super) cell: Cell,
    /// Names of the crash points that the binary has.
    pub(super) points: Vec<String>,
    pub(super) wire: Option<Wire>,
    /// Services break one at a time, and none while a trial needs them whole.
    breaking: RwLock<()>,
    /// The highest job id that was seen.
    used: AtomicU64,
    over: AtomicBool,
}

impl Ground {
    pub(super) fn new(cell: &Cell) -> Result<Ground> {
        let wire = if cell.has_link() { Some(Wire::take()?) } else { None };
        Ok(Ground {
            cell: cell.clone(),
            points: points()?,
            wire,
            breaking: RwLock::new(()),
            used: AtomicU64::new(0),
            over: AtomicBool::new(false),
        })
    }

    /// Makes a profile for one trial; its jobs work below its scratch directory.
    pub(super) fn profile(&self) -> Result<Profile> {
        let ferry = self.cell.profile_below_scratch(self.wire.as_ref())?;
        if self.cell.has_queue() {
            // As the README advises: without it, what a controller forgot is for the user to decide.
            let _whole = self.breaking.read().unwrap_or_else(PoisonError::into_inner);
            ferry.ok(&["computer", "test", &self.cell.computer(), "--job"])?;
        }
        Ok(ferry)
    }

    /// Cleans up after killed controllers until the trials are over. A restarted controller knows only its
    /// files, so it takes nodes out of service, and lists jobs again that ended long ago. Jobs of finished
    /// trials would take up the others' places, as foreign jobs do.
    pub(super) fn keep_queue(&self) {
        while self.cell.has_queue() && !self.is_over() {
            resume();
            cancel_leftovers();
            greet_unknown_nodes();
            thread::sleep(Duration::from_millis(700));
        }
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Breaks a service, and has it mended afterwards. A fault of the daemon is none of this.
    pub(super) fn break_service(&self, fault: &Fault) -> Result {
        let _turn = self.breaking.write().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Fault::Connections => signal_all(&connections()?, 9),
            Fault::StoppedServer(time) => {
                let mut server = connections()?;
                server.push(service_pid("door")?);
                signal_all(&server, 19);
                thread::sleep(*time);
                signal_all(&server, 18);
            }
            Fault::KilledServer(time) => {
                let door = service_pid("door")?;
                let sessions = connections()?;
                kill(door, 9);
                signal_all(&sessions, 9);
                start_again("door", door, *time)?;
            }
            Fault::Cut(time) => {
                let cut = self.wire.as_ref().map(Wire::cut).transpose()?;
                thread::sleep(*time);
                drop(cut);
            }
            Fault::Controller(time) => self.kill_controller(*time)?,
            Fault::Worker(_) | Fault::Hosts | Fault::All | Fault::Point(_) | Fault::Restart => {}
        }
        Ok(())
    }

    fn kill_controller(&self, time: Duration) -> Result {
        let seen = highest_job_id()?;
        let used = self.used.fetch_max(seen, Ordering::Relaxed).max(seen);
        let controller = service_pid("slurmctld")?;
        kill(controller, 9);
        self.used.fetch_max(used + ROOM, Ordering::Relaxed);
        begin_ids_at(used + ROOM)?;
        start_again("slurmctld", controller, time)?;
        let begun = Instant::now();
        while !squeue_answers() {
            check(begun.elapsed() < BACK, || "slurmctld does not come back".into())?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Starts a service that was killed. One that finds its port still held by a last child of the old one ends at once,
/// and is started once more.
fn start_again(service: &str, killed: i32, time: Duration) -> Result {
    thread::sleep(time);
    let (begun, mut old) = (Instant::now(), killed);
    loop {
        start_service(service)?;
        while service_pid(service)? == old {
            check(begun.elapsed() < BACK, || format!("{service} does not start again"))?;
            thread::sleep(Duration::from_millis(20));
        }
        old = service_pid(service)?;
        thread::sleep(SETTLED);
        if lives(old) {
            return Ok(());
        }
        check(begun.elapsed() < BACK, || format!("{service} ends as soon as it is started"))?;
    }
}

/// Cancels jobs whose directory is gone, as it is when a trial has passed.
fn cancel_leftovers() {
    let listed = Command::new("squeue").args(["-h", "-o", "%i %Z"]).stderr(Stdio::null()).output();
    let listed =
        listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let left =
        listed.lines().filter_map(|line| line.split_once(' ')).filter(|(_, dir)| !Path::new(dir).exists());
    let ids: Vec<&str> = left.map(|(id, _)| id).collect();
    if !ids.is_empty() {
        // One that has just ended is refused, which is no failure.
        let _ = Command::new("scancel").args(ids).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Makes the controller greet all nodes. One that was killed soon after its start has greeted none, and the
/// next one does so after minutes only: until then it starts nothing, and ended jobs seem to run. On reading
/// its settings again, it greets them all.
fn greet_unknown_nodes() {
    let listed = Command::new("sinfo").args(["-h", "-p", "debug", "-o", "%t"]).stderr(Stdio::null()).output();
    let states =
        listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if states.lines().any(|state| state.starts_with("unk") || state.ends_with('*')) {
        let _ =
            Command::new("scontrol").arg("reconfigure").stdout(Stdio::null()).stderr(Stdio::null()).status();
        thread::sleep(Duration::from_secs(2));
    }
}

fn squeue_answers() -> bool {
    let asked = Command::new("squeue").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// Returns the sshd of each connection over the wire.
fn connections() -> Result<Vec<i32>> {
    let listed = Command::new("pgrep").args(["-P", &service_pid("door")?.to_string()]).output();
    let listed = listed.map_err(|error| format!("pgrep: {error}"))?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.trim().parse().ok()).collect())
}

/// Returns the crash points of the binary under test.
///
/// # Errors
/// Fails if it has none.
pub(crate) fn points() -> Result<Vec<String>> {
    let mut command = Command::new(ferry_matrix::binary());
    command.arg("crash-points").stdin(Stdio::null());
    let answer = Profile::run(command)?;
    check(answer.status == 0 && !answer.stdout.is_empty(), || {
        "this ferry has no crash points: build it with `--features ferry-cli/crash-points`, or use `cargo xtask chaos`"
            .into()
    })?;
    Ok(answer.stdout.lines().map(str::to_owned).collect())
}
