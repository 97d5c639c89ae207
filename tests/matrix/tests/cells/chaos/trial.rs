//! One trial: submits, commands and breaks according to its plan, then waits until everything has ended.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::{Value, json};

use super::{
    breaking::Ground,
    daemon::Daemon,
    plan::{Event, Fault, Leaves, Plan, Verb, Work},
};
use crate::cell::Cell;

/// Maximum number of attempts at a submission that was not acknowledged.
const TRIES: usize = 40;
/// Maximum time until all processes end once nothing breaks any more. Longer means stuck.
const SETTLE: Duration = Duration::from_secs(150);
/// Maximum time until a daemon reaches the point at which it must die.
const ARMED: Duration = Duration::from_secs(4);

/// A submission, acknowledged or not.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) work: Work,
    /// The process, if it was acknowledged.
    pub(super) id: Option<String>,
    /// File to which its payload adds lines. The files of a parent's jobs have a number appended.
    pub(super) marker: PathBuf,
    /// True if a kill of it was acknowledged.
    pub(super) killed: bool,
}

/// A trial that runs.
pub(super) struct Trial<'a> {
    ground: &'a Ground,
    plan: &'a Plan,
    pub(super) ferry: &'a Profile,
    daemon: Daemon,
    /// Every submission; the last of a work is the one that was acknowledged.
    pub(super) sent: Vec<Sent>,
    /// The acknowledged submission of each work.
    of_work: BTreeMap<usize, usize>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(ground: &'a Ground, plan: &'a Plan, ferry: &'a Profile) -> Trial<'a> {
        let of_work = BTreeMap::new();
        Trial { ground, plan, ferry, daemon: Daemon::default(), sent: Vec::new(), of_work }
    }

    /// Sets up everything that must be there before the first event.
    pub(super) fn prepare(&mut self) -> Result {
        self.ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
        if let Some(bound) = self.plan.bound {
            let flag = if bound.queued { "--max-queued-jobs" } else { "--max-active-jobs" };
            let most = bound.most.to_string();
            self.ferry.ok(&["computer", "configure", &self.ground.cell.computer(), "-n", flag, &most])?;
        }
        self.daemon.run(self.ferry)
    }

    /// Lets the plan's events happen, and leaves a daemon that lives.
    pub(super) fn run(&mut self) -> Result {
        let begun = Instant::now();
        for (at, event) in &self.plan.events {
            thread::sleep(at.saturating_sub(begun.elapsed()));
            match event {
                Event::Submit(work) => self.submit(*work)?,
                Event::Command(verb, work) => self.command(*verb, *work)?,
                Event::Break(fault) => self.break_it(fault)?,
            }
        }
        let armed = Instant::now();
        while armed.elapsed() < ARMED && self.live()? > 0 {
            thread::sleep(Duration::from_millis(100));
        }
        self.daemon.disarm(self.ferry)
    }

    /// Waits until all have ended. Returns those that have not.
    pub(super) fn settle(&mut self) -> Result<Vec<Value>> {
        let begun = Instant::now();
        loop {
            let live = self.ferry.json(&["process", "list"])?;
            let live = live.as_array().cloned().unwrap_or_default();
            if live.is_empty() || begun.elapsed() > SETTLE {
                return Ok(live);
            }
            thread::sleep(Duration::from_millis(150));
        }
    }

    /// Returns the points at which daemons died on purpose, with the number of deaths at each.
    pub(super) fn died_at(&self) -> &BTreeMap<String, u64> {
        &self.daemon.died_at
    }

    fn live(&self) -> Result<usize> {
        Ok(self.ferry.json(&["process", "list"])?.as_array().map_or(0, Vec::len))
    }

    fn break_it(&mut self, fault: &Fault) -> Result {
        self.ground.break_service(fault)?;
        self.daemon.break_it(self.ferry, fault)
    }

    /// Submits until it is acknowledged. What was not may exist all the same, so each try has a marker of its own.
    fn submit(&mut self, work: usize) -> Result {
        for attempt in 0..TRIES {
            let marker = self.ferry.scratch().join(format!("marker-{work}-{attempt}"));
            let sent = Sent { work: self.plan.works[work], id: None, marker, killed: false };
            let words = words(&sent, &self.ground.cell);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let answer = self.ferry.ferry(&words)?;
            check(!answer.stderr.contains("panicked"), || answer.stderr.clone())?;
            let id = (answer.status == 0).then(|| answer.stdout.trim().to_owned());
            self.sent.push(Sent { id, ..sent });
            if answer.status == 0 {
                self.of_work.insert(work, self.sent.len() - 1);
                return Ok(());
            }
            self.daemon.run(self.ferry)?;
        }
        Err(format!("work {work} was refused {TRIES} times"))
    }

    /// Sends a command until it is acknowledged: a request that meets a dying daemon may be repeated.
    fn command(&mut self, verb: Verb, work: usize) -> Result {
        let Some(sent) = self.of_work.get(&work).map(|at| &mut self.sent[*at]) else {
            return Err(format!("work {work} was not submitted before it was commanded"));
        };
        let id = sent.id.clone().unwrap_or_default();
        let words: &[&str] = match verb {
            Verb::Kill => &["process", "kill", &id, "--timeout", "0"],
            Verb::Pause => &["process", "pause", &id],
            Verb::Play => &["process", "play", &id],
        };
        for _ in 0..TRIES {
            let answer = self.ferry.ferry(words)?;
            if verb == Verb::Kill {
                // Also one without an answer may be on disk.
                sent.killed = true;
            }
            if answer.status == 0 {
                return Ok(());
            }
            self.daemon.run(self.ferry)?;
        }
        Err(format!("`{}` was refused {TRIES} times", words.join(" ")))
    }
}

/// Returns the arguments that submit it.
fn words(sent: &Sent, cell: &Cell) -> Vec<String> {
    let (marker, computer) = (sent.marker.display(), cell.computer());
    let words = match sent.work {
        Work::Job { x, sleep, leaves } => {
            let words = format!(
                "submit arithmetic.add_job x={x} y=1 sleep={sleep} marker={marker} --computer {computer} --option"
            );
            let text = format!("prepend_text={}", left_behind(sent, leaves, cell));
            return words.split(' ').map(str::to_owned).chain([text]).collect();
        }
        Work::Function { x } => format!("submit arithmetic.add x={x} y=1"),
        Work::Parent { .. } => {
            let script = script(sent, &computer);
            return ["submit".into(), "script.run".into(), format!("script={script}")].into();
        }
    };
    words.split(' ').map(str::to_owned).collect()
}

/// The variable that identifies a job's processes, whatever ferry calls them.
const MARK: &str = "FERRY_CHAOS_JOB";

/// Returns shell text before the job's command, which marks all that the job starts. With a queue, the
/// scheduler ends the processes that a job leaves.
fn left_behind(sent: &Sent, leaves: Leaves, cell: &Cell) -> String {
    let mark = format!("export {MARK}={}", sent.marker.display());
    let quiet = "< /dev/null > /dev/null 2>&1 &";
    match leaves {
        Leaves::Stray if !cell.has_queue() => format!("{mark}\nsetsid sleep 1000 {quiet}"),
        Leaves::Deaf if !cell.has_queue() => format!("{mark}\n(trap '' TERM; sleep 1000) {quiet}"),
        _ => mark,
    }
}

/// Returns the processes of these jobs that run now, by the marks of what was submitted.
pub(super) fn running(sent: &[Sent]) -> Vec<String> {
    let is_marked = |environ: &[u8]| {
        let is_of = |one: &Sent| {
            let mark = format!("{MARK}={}", one.marker.display());
            environ.split(|byte| *byte == 0).any(|word| word == mark.as_bytes())
        };
        sent.iter().any(is_of)
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let is_zombie = stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'));
        if is_marked(&environ) && !is_zombie {
            found.push(stat.split_inclusive(')').next().unwrap_or_default().to_owned());
        }
    }
    found
}

/// Returns the program of a parent: its jobs one after the other, each with the sum of the one before, or all
/// at once; then a calcfunction.
fn script(sent: &Sent, computer: &str) -> Value {
    let Work::Parent { x, sleep, jobs, together } = sent.work else { return Value::Null };
    let mut script = Vec::new();
    for job in 0..jobs {
        let summand = match job {
            0 => json!(x),
            _ if together => json!(x + job),
            _ => json!(format!("$c{}.sum", job - 1)),
        };
        let marker = format!("{}-{job}", sent.marker.display());
        script.push(json!({
            "call": format!("c{job}"), "type": "arithmetic.add_job", "computer": computer,
            "inputs": {"x": summand, "y": 1, "sleep": sleep, "marker": marker},
        }));
        if !together {
            script.push(json!({"wait": [format!("c{job}")]}));
        }
    }
    if together {
        let all: Vec<String> = (0..jobs).map(|job| format!("c{job}")).collect();
        script.push(json!({ "wait": all }));
    }
    let last = format!("$c{}.sum", jobs - 1);
    script.push(json!({"call": "f", "type": "arithmetic.add", "inputs": {"x": last, "y": 1}}));
    script.push(json!({"wait": ["f"]}));
    script.push(json!({"return": "sum", "of": "f.result"}));
    script.into()
}

impl Sent {
    /// Returns the expected result of its process.
    pub(super) fn result(&self) -> u64 {
        match self.work {
            Work::Job { x, .. } | Work::Function { x } => x + 1,
            Work::Parent { x, jobs, .. } => x + jobs + 1,
        }
    }

    /// Returns the files that show how often its payloads ran.
    pub(super) fn markers(&self) -> Vec<PathBuf> {
        let numbered = |job| PathBuf::from(format!("{}-{job}", self.marker.display()));
        match self.work {
            Work::Job { .. } => vec![self.marker.clone()],
            Work::Parent { jobs, .. } => (0..jobs).map(numbered).collect(),
            Work::Function { .. } => Vec::new(),
        }
    }
}

/// Returns the number of times that the payload which writes to this file ran.
pub(crate) fn runs(marker: &Path) -> usize {
    fs::read_to_string(marker).map_or(0, |lines| lines.lines().count())
}
