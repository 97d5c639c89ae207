//! The services of `cargo xtask services`, for cases that break one: which ones run, how to start them again,
//! how to cut the wire. `FERRY_SERVICES` names the report.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use ferry_matrix::{Result, check};
use serde_json::Value;

/// Returns the report of the services.
pub(crate) fn services() -> Result<Value> {
    let path =
        std::env::var_os("FERRY_SERVICES").ok_or("FERRY_SERVICES is not set; use `cargo xtask test`")?;
    let text =
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", PathBuf::from(&path).display()))?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Returns the pid of a daemon of the services, the newest if it was started again.
pub(crate) fn service_pid(name: &str) -> Result<i32> {
    pid_in(&services()?, name)
}

/// Returns the pid of a daemon of the services of a report.
pub(crate) fn pid_in(services: &Value, name: &str) -> Result<i32> {
    let pids = fs::read_to_string(services["pids"].as_str().unwrap_or_default())
        .map_err(|error| error.to_string())?;
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.split_whitespace().next()?.parse().ok();
    pids.lines().rev().find_map(of).ok_or_else(|| format!("no {name} was started"))
}

/// Starts a daemon of the services again, the way they did.
pub(crate) fn start_service(name: &str) -> Result {
    start_in(&services()?, name)
}

/// Starts a daemon of the services of a report.
pub(crate) fn start_in(services: &Value, name: &str) -> Result {
    let words = words(&services["daemons"][name]);
    let (program, words) = words.split_first().ok_or_else(|| format!("no words for {name}"))?;
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|error| format!("{program}: {error}"))
}

/// The wire by which the private sshd is reached a second time. One case at a time has it.
pub(crate) struct Wire {
    report: Value,
    _turn: MutexGuard<'static, ()>,
}

/// A wire that is cut, until this is dropped.
pub(crate) struct Cut<'a>(&'a Wire);

impl Wire {
    /// Waits for a turn.
    ///
    /// # Errors
    /// Fails with what is missing if the machine can't have a wire.
    pub(crate) fn take() -> Result<Wire> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let report = services()?["wire"].clone();
        if let Some(missing) = report["missing"].as_str() {
            return Err(format!("can't run without a wire to cut, and there is none: {missing}"));
        }
        let wire = Wire { report, _turn: turn };
        // A run that was killed may have left it cut.
        wire.run("mend")?;
        Ok(wire)
    }

    /// Returns the file of the cell's computer behind the wire.
    pub(crate) fn computer(&self, cell: &str) -> Result<PathBuf> {
        let file = self.report["computers"][cell].as_str();
        file.map(PathBuf::from).ok_or_else(|| format!("no {cell} behind the wire"))
    }

    /// Returns a directory in which only sessions behind the wire see something.
    pub(crate) fn hidden(&self) -> PathBuf {
        PathBuf::from(self.report["hidden"].as_str().unwrap_or_default())
    }

    /// Cuts it.
    pub(crate) fn cut(&self) -> Result<Cut<'_>> {
        let cut = Cut(self);
        self.run("cut")?;
        Ok(cut)
    }

    fn run(&self, verb: &str) -> Result {
        let words = words(&self.report[verb]);
        let (program, words) = words.split_first().ok_or_else(|| format!("no words to {verb} the wire"))?;
        let output = Command::new(program).args(words).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        check(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.run("mend") {
            eprintln!("the wire could not be mended: {error}");
        }
    }
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
