//! The plan of a trial, drawn from a seed: what is submitted, and what breaks when. It is drawn before
//! anything runs, so the same seed gives the same plan on the same cell.

use std::{fmt, time::Duration};

use crate::{cell::Cell, crash::Random};

/// One trial.
#[derive(Debug)]
pub(super) struct Plan {
    /// The seed that it was drawn from.
    pub(super) seed: u64,
    /// The computer's limit, if it has one.
    pub(super) bound: Option<Bound>,
    /// Processes to submit.
    pub(super) works: Vec<Work>,
    /// Events, by the time since the trial began.
    pub(super) events: Vec<(Duration, Event)>,
}

/// A limit on jobs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// True if it counts pending jobs alone.
    pub(super) queued: bool,
    /// So many.
    pub(super) most: usize,
}

/// Something to submit. Its result is known beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    /// A calcjob. The process that it leaves behind runs on unless it is ended.
    Job { x: u64, sleep: f64, leaves: Leaves },
    /// A workflow that calls this many calcjobs, and a calcfunction at last.
    Parent { x: u64, sleep: f64, jobs: u64, together: bool },
    /// A calcfunction.
    Function { x: u64 },
}

/// The process that a job leaves behind when its script ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    Nothing,
    /// A process in a session of its own.
    Stray,
    /// One that ignores TERM.
    Deaf,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A work is submitted.
    Submit(usize),
    /// A user's command to a work's process.
    Command(Verb, usize),
    /// Something breaks.
    Break(Fault),
}

/// A user's command to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Kill,
    Pause,
    Play,
}

/// A fault.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// `kill -9` of the daemon's worker, and a new start after so long.
    Worker(Duration),
    /// `kill -9` of all plugin hosts.
    Hosts,
    /// Of both, and of the supervisor.
    All,
    /// The daemon is started so that it dies at this named point.
    Point(String),
    /// `daemon restart`.
    Restart,
    /// `kill -9` of the sshd of every connection.
    Connections,
    /// The server and its connections are stopped for so long.
    StoppedServer(Duration),
    /// The server and its connections are killed; it is started again after so long.
    KilledServer(Duration),
    /// No packet passes for so long.
    Cut(Duration),
    /// Slurm's controller is killed, and started again after so long.
    Controller(Duration),
}

impl Fault {
    /// Returns its sort, as the table names it.
    pub(super) fn sort(&self) -> &'static str {
        match self {
            Fault::Worker(_) => "worker",
            Fault::Hosts => "hosts",
            Fault::All => "daemon and hosts",
            Fault::Point(_) => "armed point",
            Fault::Restart => "restart",
            Fault::Connections => "connections",
            Fault::StoppedServer(_) => "stopped sshd",
            Fault::KilledServer(_) => "killed sshd",
            Fault::Cut(_) => "cut wire",
            Fault::Controller(_) => "slurmctld",
        }
    }
}

/// The time in which things are submitted and broken, ms.
const SPAN: u64 = 3500;

impl Plan {
    /// Draws one. `points` are the names of the crash points.
    pub(super) fn draw(seed: u64, cell: &Cell, points: &[String]) -> Plan {
        // Neighbouring seeds begin alike.
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.below(2);
        let bound = (random.below(2) == 0)
            .then(|| Bound { queued: random.below(2) == 0, most: 2 + random.below(3) as usize });
        let works = works(&mut random);
        let mut events: Vec<(Duration, Event)> = Vec::new();
        for work in 0..works.len() {
            submit(&mut random, work, &mut events);
        }
        for _ in 0..3 + random.below(3) {
            let at = Duration::from_millis(100 + random.below(SPAN));
            events.push((at, Event::Break(fault(&mut random, cell, points))));
        }
        events.sort_by_key(|(at, _)| *at);
        Plan { seed, bound, works, events }
    }
}

impl Plan {
    /// Returns the faults among the events.
    pub(super) fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.events.iter().filter_map(|(_, event)| match event {
            Event::Break(fault) => Some(fault),
            _ => None,
        })
    }
}

fn works(random: &mut Random) -> Vec<Work> {
    let mut works = Vec::new();
    for _ in 0..6 + random.below(7) {
        let (x, sleep) = (random.below(1000), seconds(random));
        let leaves = match random.below(12) {
            0..3 => Leaves::Stray,
            3 => Leaves::Deaf,
            _ => Leaves::Nothing,
        };
        works.push(Work::Job { x, sleep, leaves });
    }
    for _ in 0..1 + random.below(2) {
        works.push(Work::Parent {
            x: random.below(1000),
            sleep: seconds(random) / 2.0,
            jobs: 2 + random.below(3),
            together: random.below(2) == 0,
        });
    }
    works.push(Work::Function { x: random.below(1000) });
    works
}

fn seconds(random: &mut Random) -> f64 {
    random.below(11) as f64 / 10.0
}

/// Draws the time of a work's submission, and its user's later commands.
fn submit(random: &mut Random, work: usize, events: &mut Vec<(Duration, Event)>) {
    let at = if random.below(3) == 0 { random.below(300) } else { random.below(SPAN) };
    let mut say = |after: u64, event| events.push((Duration::from_millis(at + after), event));
    say(0, Event::Submit(work));
    match random.below(10) {
        0 => say(random.below(1500), Event::Command(Verb::Kill, work)),
        1 => {
            let paused = random.below(800);
            say(paused, Event::Command(Verb::Pause, work));
            say(paused + 300 + random.below(1500), Event::Command(Verb::Play, work));
        }
        _ => {}
    }
}

fn fault(random: &mut Random, cell: &Cell, points: &[String]) -> Fault {
    let mut sorts = 8;
    if cell.has_link() {
        sorts += 6;
    }
    let queue_from = sorts;
    if cell.has_queue() {
        sorts += 2;
    }
    let mut after = |most: u64| Duration::from_millis(random.below(most));
    let short = after(500);
    let long = Duration::from_millis(500) + after(1500);
    let cut = Duration::from_secs(1) + after(5000);
    match random.below(sorts) {
        0 | 1 => Fault::Worker(short),
        2 => Fault::Hosts,
        3 => Fault::All,
        4 => Fault::Restart,
        5..8 => Fault::Point(point(random, points)),
        sort if sort >= queue_from => Fault::Controller(long),
        8 | 9 => Fault::Connections,
        10 => Fault::StoppedServer(long),
        11 => Fault::KilledServer(long),
        _ => Fault::Cut(cut),
    }
}

/// Draws a named point, and the passage that ends the daemon.
fn point(random: &mut Random, points: &[String]) -> String {
    let name = &points[random.below(points.len() as u64) as usize];
    // Everything passes these; the others are passed a few times in a trial.
    let most = if name.starts_with("commit.") { 30 } else { 3 };
    format!("{name}:{}", 1 + random.below(most))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:?}", self.seed, self.bound)?;
        for (at, event) in &self.events {
            let what = match event {
                Event::Submit(work) => format!("submit {work}: {:?}", self.works[*work]),
                Event::Command(verb, work) => format!("{verb:?} {work}"),
                Event::Break(fault) => format!("{fault:?}"),
            };
            writeln!(f, "  {:>5} ms  {what}", at.as_millis())?;
        }
        Ok(())
    }
}
