//! A host's queue, and the true history of its jobs: jobs, claims, start gates and markers, as the claim protocol
//! leaves them. Plain state that changes only with [`Host::advance`].

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{bounds::Bounds, fate::Fate, files::Files, payload::Payload, rng::Rng};
use crate::scheduler::{
    Fenced, JobFailure, JobId, JobRef, JobState, JobStatus, Limits, Marker, Submission, Survey,
};

/// Age of a claim without a record after which its wrapper is known to be dead.
const WRAPPER: Duration = Duration::from_secs(70);

/// The signal that a host's jobs give at their end, beside leaving their markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// None, and the scheduler says so.
    Nothing,
    /// They signal the watch, which lasts half a minute.
    Ends,
    /// They should signal, but a watch never answers.
    Hangs,
    /// They should signal, but a watch fails.
    Fails,
}

/// The behaviour of a host without faults.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// Its name, and its scheduler's.
    pub name: &'static str,
    /// True if jobs may wait in its queue.
    pub has_queue: bool,
    /// True if its listing is always up to date.
    pub is_authoritative: bool,
    /// Jobs that run at the same time.
    pub slots: usize,
    /// Longest time that a job stays pending though there is room, s.
    pub pending_max: u64,
    /// Longest time of one round trip, ms.
    pub latency_max: u64,
    /// Time for which it remembers ended jobs.
    pub remembers: Duration,
    /// The signal of its jobs at their end.
    pub told: Told,
}

impl HostSettings {
    /// Makes a host that answers at once, and has room for all jobs.
    pub fn quiet(name: &'static str) -> HostSettings {
        HostSettings {
            name,
            has_queue: true,
            is_authoritative: true,
            slots: usize::MAX,
            pending_max: 0,
            latency_max: 0,
            remembers: Duration::from_secs(600),
            told: Told::Nothing,
        }
    }
}

/// The behaviour of a host that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// It refuses connections at once.
    Refuses,
    /// It does not answer.
    Silent,
}

/// The true history of the jobs of one work directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// The number of times that its payload was started.
    pub starts: u32,
    /// The number of times that its scheduler started it again with permission.
    pub reruns: u32,
    /// True if its node or its controller died.
    pub is_lost: bool,
    /// True if its owner cancelled it.
    pub is_cancelled: bool,
    /// Its exit status.
    pub exit: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Job(u64),
    Busy,
    Refused,
    Unclear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Recovery took it.
    Recovered,
    /// A wrapper took it at this time, and recorded nothing.
    Begun(Duration),
    Recorded(Answer),
}

#[derive(Debug, Default)]
struct Dir {
    claims: BTreeMap<String, Claim>,
    run: Option<(String, u64, u32)>,
    exit: Option<i32>,
    fenced: bool,
    truth: Truth,
}

#[derive(Debug, Clone)]
struct Job {
    token: String,
    /// `None`: another program's job.
    dir: Option<PathBuf>,
    /// The time from which it may start.
    ready: Duration,
    /// The time of its end; `None`: pending.
    ends: Option<Duration>,
    seconds: u64,
    restart: u32,
}

#[derive(Debug)]
struct Ended {
    id: u64,
    token: String,
    at: Duration,
    raw: &'static str,
}

/// The answer to a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Job(u64),
    Busy,
    Refused,
    Unclear,
}

/// The result of recovery's look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trail {
    Job(String),
    Never,
    Missing,
    /// No job in the queue bears its token. True if its wrapper is known to be dead.
    Absent(bool),
}

/// A host: its queue and the history of its jobs.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) settings: HostSettings,
    pub(super) down: Option<(Duration, Outage)>,
    /// Number of the present generation of connections. Those of earlier generations are lost.
    pub(super) generation: u64,
    /// Generation of the owner's newest connection.
    pub(super) connected: u64,
    pub(super) refuses_until: Duration,
    bounds: Bounds,
    jobs: BTreeMap<u64, Job>,
    ended: Vec<Ended>,
    /// Number of jobs that have ended, including those that it has forgotten.
    ended_ever: usize,
    late: Vec<(Duration, Submission)>,
    dirs: BTreeMap<PathBuf, Dir>,
    next_id: u64,
    /// True if the last listing left something out.
    has_lied: bool,
    /// True if some look for a token left something out.
    has_lied_of_token: bool,
}

/// The context of a host's queue.
pub(super) struct Means<'a> {
    pub(super) now: Duration,
    pub(super) files: &'a mut Files,
    pub(super) rng: &'a mut Rng,
    pub(super) fate: &'a Arc<Fate>,
}

impl Host {
    pub(super) fn new(settings: HostSettings) -> Host {
        Host {
            settings,
            down: None,
            generation: 0,
            connected: 0,
            refuses_until: Duration::ZERO,
            bounds: Bounds::default(),
            jobs: BTreeMap::new(),
            ended: Vec::new(),
            ended_ever: 0,
            late: Vec::new(),
            dirs: BTreeMap::new(),
            next_id: 1,
            has_lied: false,
            has_lied_of_token: false,
        }
    }

    /// Processes all events that are due by now, in order of time.
    pub(super) fn advance(&mut self, means: &mut Means<'_>) {
        while let Some((at, event)) = self.next_event().filter(|(at, _)| *at <= means.now) {
            match event {
                Due::End(id) => self.end(id, at, means),
                Due::Start(id) => self.start(id, at, means),
                Due::Late(index) => {
                    let (_, submission) = self.late.remove(index);
                    means.fate.note(format_args!("late wrapper of {}", submission.token));
                    self.wrap(&submission, None, at, means);
                }
            }
        }
        let oldest = means.now.saturating_sub(self.settings.remembers);
        self.ended.retain(|ended| ended.at >= oldest);
    }

    fn next_event(&self) -> Option<(Duration, Due)> {
        let running = self.jobs.values().filter(|job| job.ends.is_some()).count();
        let has_room = !self.settings.has_queue || running < self.settings.slots;
        let jobs = self.jobs.iter().filter_map(|(id, job)| match job.ends {
            Some(ends) => Some((ends, Due::End(*id))),
            None => has_room.then_some((job.ready, Due::Start(*id))),
        });
        let late = self.late.iter().enumerate().map(|(index, (at, _))| (*at, Due::Late(index)));
        jobs.chain(late).min()
    }

    fn start(&mut self, id: u64, at: Duration, means: &mut Means<'_>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(dir) = job.dir.clone() else {
            job.ends = Some(at + Duration::from_secs(job.seconds));
            return;
        };
        if means.files.read(&dir.join(".ferry/sentinel")).is_err() {
            means.fate.note(format_args!("job {id} ends: no sentinel in {}", dir.display()));
            return self.gone(id, at, "FAILED");
        }
        let record = self.dirs.entry(dir.clone()).or_default();
        let may_go_on = match &record.run {
            None => true,
            Some((token, owner, restart)) => *token == job.token && *owner == id && *restart < job.restart,
        };
        if !may_go_on {
            means.fate.note(format_args!("job {id} is fenced in {}", dir.display()));
            record.fenced = true;
            return self.gone(id, at, "FAILED");
        }
        record.run = Some((job.token.clone(), id, job.restart));
        record.truth.starts += 1;
        if record.truth.starts > 1 + record.truth.reruns {
            means.fate.wrong(format!("executed twice: {}", dir.display()));
        }
        means.fate.note(format_args!("job {id} starts in {}", dir.display()));
        job.ends = Some(at + Duration::from_secs(job.seconds));
    }

    fn end(&mut self, id: u64, at: Duration, means: &mut Means<'_>) {
        let dir = self.jobs.get(&id).and_then(|job| job.dir.clone());
        let payload = dir.as_deref().map(|dir| Payload::read(means.files, dir)).unwrap_or_default();
        self.gone(id, at, payload.ends.unwrap_or("COMPLETED"));
        let Some(dir) = dir else { return };
        if let Some(word) = payload.ends {
            // The scheduler ends the job: it leaves no exit marker.
            means.fate.note(format_args!("job {id} is ended: {word}"));
            self.dirs.entry(dir).or_default().truth.is_lost = true;
            return;
        }
        let text = |text: String| Arc::from(text.into_bytes());
        // A missing directory takes nothing; the truth is kept all the same.
        let _ = means.files.write(&dir.join("result"), text(format!("{}\n", payload.value)), false);
        let _ = means.files.write(&dir.join("_scheduler-stdout.txt"), text("done\n".into()), false);
        let _ = means.files.write(&dir.join("_scheduler-stderr.txt"), text(String::new()), false);
        let record = self.dirs.entry(dir).or_default();
        record.exit = Some(payload.exit);
        record.truth.exit = Some(payload.exit);
        means.fate.note(format_args!("job {id} ends with {}", payload.exit));
    }

    /// Returns the number of jobs that have ended here, and whether one of these has.
    pub(super) fn ends(&self, jobs: &[JobRef]) -> (usize, bool) {
        let is_alive = |job: &JobRef| self.jobs.keys().any(|id| id.to_string() == job.id.0);
        (self.ended_ever, !jobs.iter().all(is_alive))
    }

    fn gone(&mut self, id: u64, at: Duration, raw: &'static str) {
        if let Some(job) = self.jobs.remove(&id) {
            self.ended_ever += 1;
            self.ended.push(Ended { id, token: job.token, at, raw });
        }
    }

    /// Runs the submit wrapper: takes the claim, asks the scheduler, records its answer. `times_out`: the
    /// scheduler's client times out, and the job was accepted (true) or not.
    pub(super) fn wrap(
        &mut self,
        job: &Submission,
        times_out: Option<bool>,
        at: Duration,
        means: &mut Means<'_>,
    ) {
        if !has_sentinel(means.files, job) || self.claim(job).is_some() {
            return;
        }
        let payload = Payload::read(means.files, &job.dir);
        let claim = match times_out {
            Some(is_in) => {
                if is_in && !payload.is_refused {
                    self.enqueue(job, &payload, at, means);
                }
                if means.rng.chance(50) { Claim::Begun(at) } else { Claim::Recorded(Answer::Unclear) }
            }
            None if payload.is_refused => Claim::Recorded(Answer::Refused),
            None if at < self.refuses_until => Claim::Recorded(Answer::Busy),
            None => Claim::Recorded(Answer::Job(self.enqueue(job, &payload, at, means))),
        };
        self.dirs.entry(job.dir.clone()).or_default().claims.insert(job.token.clone(), claim);
    }

    /// Returns what the markers say of a submission that was just tried.
    pub(super) fn said(&self, job: &Submission) -> Said {
        if let Some((_, id, _)) = self.dirs.get(&job.dir).and_then(|dir| dir.run.as_ref()) {
            return Said::Job(*id);
        }
        match self.claim(job) {
            Some(Claim::Recorded(Answer::Job(id))) => Said::Job(id),
            Some(Claim::Recorded(Answer::Busy)) => Said::Busy,
            Some(Claim::Recorded(Answer::Refused)) => Said::Refused,
            _ => Said::Unclear,
        }
    }

    /// Plans a wrapper that arrives later.
    pub(super) fn wrap_later(&mut self, job: &Submission, at: Duration) {
        self.late.push((at, job.clone()));
    }

    /// Does recovery's look at the markers and at the queue; takes the claim if it is free.
    pub(super) fn trail(&mut self, job: &Submission, is_half: bool, means: &Means<'_>) -> Trail {
        if !has_sentinel(means.files, job) {
            return Trail::Missing;
        }
        if let Some((_, id, _)) = self.dirs.get(&job.dir).and_then(|dir| dir.run.as_ref()) {
            return Trail::Job(id.to_string());
        }
        let age = match self.claim(job) {
            None => {
                self.seal(job);
                return Trail::Never;
            }
            Some(Claim::Recorded(Answer::Job(id))) => return Trail::Job(id.to_string()),
            Some(Claim::Recovered | Claim::Recorded(Answer::Busy | Answer::Refused)) => return Trail::Never,
            Some(Claim::Recorded(Answer::Unclear)) => None,
            Some(Claim::Begun(at)) => Some(means.now.saturating_sub(at)),
        };
        let is_half = is_half && !self.settings.is_authoritative && !self.has_lied_of_token;
        self.has_lied_of_token |= is_half;
        let found = self.jobs.iter().find(|(_, queued)| queued.token == job.token);
        match found.filter(|_| !is_half) {
            Some((id, _)) => Trail::Job(id.to_string()),
            None => Trail::Absent(self.settings.is_authoritative || age.is_none_or(|age| age > WRAPPER)),
        }
    }

    /// Marks that no submission with this token will happen any more.
    pub(super) fn seal(&mut self, job: &Submission) {
        let dir = self.dirs.entry(job.dir.clone()).or_default();
        dir.claims.insert(job.token.clone(), Claim::Recovered);
    }

    /// Does the same on the user's decision, whatever happened to the submission.
    pub(super) fn fence(&mut self, job: &Submission, files: &Files) -> Fenced {
        if !has_sentinel(files, job) {
            return Fenced::Gone;
        }
        self.seal(job);
        match self.dirs.get(&job.dir).and_then(|dir| dir.run.clone()) {
            Some((token, id, _)) => {
                Fenced::Runs(JobRef { id: JobId(id.to_string()), token, dir: job.dir.clone() })
            }
            None => Fenced::Yes,
        }
    }

    fn claim(&self, job: &Submission) -> Option<Claim> {
        self.dirs.get(&job.dir)?.claims.get(&job.token).copied()
    }

    fn enqueue(
        &mut self,
        submission: &Submission,
        payload: &Payload,
        at: Duration,
        means: &mut Means<'_>,
    ) -> u64 {
        let is_there = self.jobs.values().any(|job| job.dir.as_ref() == Some(&submission.dir));
        if is_there {
            means.fate.wrong(format!("submitted twice: {}", submission.dir.display()));
        }
        let wait = if self.settings.has_queue { self.settings.pending_max } else { 0 };
        let job = Job {
            token: submission.token.clone(),
            dir: Some(submission.dir.clone()),
            ready: at + Duration::from_secs(means.rng.between(0, wait)),
            ends: None,
            seconds: payload.seconds,
            restart: 0,
        };
        let id = self.add(job);
        means.fate.note(format_args!("job {id} is in for {}", submission.token));
        self.judge_bounds(means.fate);
        id
    }

    fn add(&mut self, job: Job) -> u64 {
        while self.jobs.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.jobs.insert(self.next_id, job);
        self.next_id += 1;
        self.next_id - 1
    }

    /// Checks the bounds after each new job of ours. Ours are counted by directory: a job that a listing left out
    /// may be submitted again, and the start gate lets one of them run.
    fn judge_bounds(&self, fate: &Fate) {
        let is_pending = |job: &&Job| job.ends.is_none() && job.restart == 0;
        let dirs = |jobs: &mut dyn Iterator<Item = &Job>| {
            jobs.filter_map(|job| job.dir.clone()).collect::<BTreeSet<_>>().len()
        };
        let active = dirs(&mut self.jobs.values());
        let pending = dirs(&mut self.jobs.values().filter(is_pending));
        if let Some(wrong) = self.bounds.judge(self.settings.has_queue, pending, active) {
            fate.wrong(format!("bound exceeded on {}: {wrong}", self.settings.name));
        }
    }

    /// Records that the user changed the limits of one of its computers.
    pub(super) fn limit(&mut self, computer: &'static str, limits: Limits) {
        self.bounds.limit(computer, limits);
    }

    /// Returns whether a listing is to leave jobs out now. A job that is missing twice counts as ended. So it
    /// never happens twice in a row, and never where the listing is authoritative.
    pub(super) fn lies(&mut self, wished: bool) -> bool {
        self.has_lied = wished && !self.settings.is_authoritative && !self.has_lied;
        self.has_lied
    }

    /// Returns the queue's answer about jobs, each identified by id and token.
    pub(super) fn status(&self, jobs: &[JobRef], is_half: bool) -> BTreeMap<JobRef, JobStatus> {
        let (queue, history) = (&self.jobs, &self.ended);
        let of = |job: &JobRef| {
            let id: u64 = job.id.0.parse().ok()?;
            let queued = queue.get(&id).filter(|queued| queued.token == job.token);
            let ended = history.iter().find(|ended| ended.id == id && ended.token == job.token);
            let (state, raw) = match (queued, ended) {
                (Some(Job { ends: None, .. }), _) => (JobState::Pending, "PENDING"),
                (Some(_), _) => (JobState::Running, "RUNNING"),
                (None, Some(ended)) => (JobState::Done, ended.raw),
                (None, None) => return None,
            };
            let status = JobStatus {
                state,
                raw: raw.into(),
                reason: None,
                failure: failure_of(raw),
                ..JobStatus::default()
            };
            Some((job.clone(), status))
        };
        let shown = jobs.iter().enumerate().filter(|(index, _)| !is_half || index % 2 == 1);
        shown.filter_map(|(_, job)| of(job)).collect()
    }

    /// Returns the same, with the number of jobs that bear none of the tokens.
    pub(super) fn survey(
        &mut self,
        jobs: &[JobRef],
        tokens: &std::collections::HashSet<String>,
        is_half: bool,
    ) -> Survey {
        let jobs = self.status(jobs, is_half);
        let foreign = || self.jobs.values().filter(|job| !tokens.contains(&job.token));
        let half = |count: usize| if is_half { count / 2 } else { count } as u32;
        let survey = Survey {
            jobs,
            proves_absence: true,
            notices: Vec::new(),
            foreign_queued: half(foreign().filter(|job| job.ends.is_none()).count()),
            foreign_active: half(foreign().count()),
        };
        let others = || self.jobs.values().filter(|job| job.dir.is_none());
        let queued = others().filter(|job| job.ends.is_none()).count();
        let told = (half(queued), half(others().count()));
        self.bounds.told(told.0, told.1);
        survey
    }

    /// Returns the markers of a work directory.
    pub(super) fn marker(&self, files: &Files, dir: &Path) -> Marker {
        let sentinel = files.read(&dir.join(".ferry/sentinel")).ok();
        let record = self.dirs.get(dir);
        let run = record.and_then(|record| record.run.as_ref());
        Marker {
            sentinel: sentinel.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            run: run.map(|(token, id, _)| (token.clone(), JobId(id.to_string()))),
            exit: record.and_then(|record| record.exit),
            fenced: record.is_some_and(|record| record.fenced),
            failure: None,
            is_removed: false,
        }
    }

    /// Ends a job in any state.
    pub(super) fn cancel(&mut self, job: &JobRef, at: Duration) {
        let Ok(id) = job.id.0.parse() else { return };
        let Some(queued) = self.jobs.get(&id).filter(|queued| queued.token == job.token) else { return };
        if let Some(dir) = queued.dir.clone() {
            self.dirs.entry(dir).or_default().truth.is_cancelled = true;
        }
        self.gone(id, at, "CANCELLED");
    }

    /// Adds jobs of another program.
    pub(super) fn add_foreign(&mut self, count: u64, seconds: u64, at: Duration) {
        for number in 0..count {
            let token = format!("by-hand-{}-{number}", at.as_millis());
            self.add(Job { token, dir: None, ready: at, ends: None, seconds, restart: 0 });
        }
    }

    /// Restarts the controller: it knows no job, kills running ones, and issues ids again.
    pub(super) fn forget(&mut self, fate: &Fate) {
        for (id, job) in std::mem::take(&mut self.jobs) {
            // A job that waits for its restart has started before.
            let has_begun = job.ends.is_some() || job.restart > 0;
            if let (true, Some(dir)) = (has_begun, job.dir) {
                fate.note(format_args!("job {id} dies with its controller"));
                self.dirs.entry(dir).or_default().truth.is_lost = true;
            }
        }
        self.ended.clear();
        self.next_id = 1;
    }

    /// Fails the node of a running job: the job starts again if it may, else it is lost.
    pub(super) fn fail_node(&mut self, means: &mut Means<'_>) {
        let ours: Vec<u64> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.ends.is_some() && job.dir.is_some())
            .map(|(id, _)| *id)
            .collect();
        let Some(id) = means.rng.pick(&ours).copied() else { return };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let dir = job.dir.clone().unwrap_or_default();
        let record = self.dirs.entry(dir.clone()).or_default();
        if Payload::read(means.files, &dir).is_rerunnable {
            means.fate.note(format_args!("job {id} is requeued"));
            record.truth.reruns += 1;
            job.restart += 1;
            job.ends = None;
            job.ready = means.now + Duration::from_secs(means.rng.between(0, self.settings.pending_max));
        } else {
            means.fate.note(format_args!("job {id} dies with its node"));
            record.truth.is_lost = true;
            self.gone(id, means.now, "NODE_FAIL");
        }
    }

    /// Returns the true history of the jobs of each work directory.
    pub(super) fn truths(&self) -> impl Iterator<Item = (&PathBuf, &Truth)> {
        self.dirs.iter().map(|(dir, record)| (dir, &record.truth))
    }

    /// Returns the work directories of our jobs that are still in the queue.
    pub(super) fn left(&self) -> Vec<PathBuf> {
        self.jobs.values().filter_map(|job| job.dir.clone()).collect()
    }
}

/// The next event in a queue; at the same time, ends come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    End(u64),
    Start(u64),
    Late(usize),
}

/// Returns the class of the queue's words.
fn failure_of(raw: &str) -> Option<JobFailure> {
    Some(match raw {
        "OUT_OF_MEMORY" => JobFailure::OutOfMemory,
        "TIMEOUT" => JobFailure::OutOfWalltime,
        "NODE_FAIL" => JobFailure::NodeFailure,
        "PREEMPTED" => JobFailure::Preempted,
        _ => return None,
    })
}

fn has_sentinel(files: &Files, job: &Submission) -> bool {
    let found = files.read(&job.dir.join(".ferry/sentinel"));
    found.is_ok_and(|bytes| String::from_utf8_lossy(&bytes).trim_end() == job.digest)
}
