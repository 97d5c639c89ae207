//! The processes that were being stepped when a worker died, and the consequences for them.
//!
//! An owner keeps the ids that it steps in the file `stepping`: slots of eight bytes, written without sync. So
//! they outlive the owner's death, but perhaps not a power cut, which no process causes. The next owner reads the
//! file together with the supervisor's report of the death. A crash is counted for each of these processes. After
//! [`CRASHES`] crashes without any progress a process is excepted. Until then suspects are stepped one at a time,
//! beside the other processes, so that the innocent are cleared.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ferry_plugin_proto::Kind;

use crate::{
    calcjob::Submitters,
    calcjob::{self, Calcjob},
    child::Child,
    executor::{advance as drive, moment::Moment},
    owner::{Context, Death, Supervision},
    profile::Paths,
    store::{Change, Level, NodeId, Process, Result},
};

/// Crashes of the daemon after which a process that was being stepped each time is excepted.
const CRASHES: u32 = 3;
/// Time that the other suspects wait while one is being stepped.
const TURN: Duration = Duration::from_secs(30);
/// The setting that records which death was counted, so that none is counted twice.
const COUNTED: &str = "runner.counted_death";
/// Bytes of a slot.
const SLOT: usize = 8;
/// Slots that name the owner: its pid, and its start time.
const HEAD: usize = 2;

/// The turns of the suspects. Pure.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    /// Suspects not stepped yet since the crash.
    left: BTreeSet<NodeId>,
    /// The suspect whose turn it is, and the start of its turn.
    turn: Option<(NodeId, Moment)>,
}

impl Suspects {
    /// Returns the turns of these suspects.
    pub(crate) fn of(left: impl IntoIterator<Item = NodeId>) -> Suspects {
        Suspects { left: left.into_iter().collect(), turn: None }
    }

    /// Returns the longest time that a suspect must wait for its turn; `None` if it may be stepped now.
    pub(crate) fn not_yet(&mut self, id: NodeId, now: Moment) -> Option<Duration> {
        if !self.left.contains(&id) {
            return None;
        }
        match self.turn {
            Some((other, since)) if other != id && now < since + TURN => Some(since + TURN - now),
            _ => {
                self.turn = Some((id, now));
                None
            }
        }
    }

    /// Records that a process is no longer being stepped, and this owner is alive. Returns the suspect whose turn
    /// is next.
    pub(crate) fn end(&mut self, id: NodeId) -> Option<NodeId> {
        if !self.left.remove(&id) {
            return None;
        }
        self.turn = self.turn.filter(|(whose, _)| *whose != id);
        self.left.first().copied()
    }
}

/// Evaluates what the last owner left, and begins a new file. Without a file, a crash of this owner is not counted.
/// An error of the store is logged: no process may wait for it.
pub(crate) async fn begin(cx: &Arc<Context>) -> (Suspects, Option<Stepping>) {
    if let Err(error) = count(cx).await {
        tracing::error!(%error, "the last crash could not be counted");
    }
    let stepping = Stepping::create(&cx.paths)
        .inspect_err(|error| tracing::warn!(%error, "a crash of this daemon will not be counted"));
    let left = cx.store.suspects().unwrap_or_default().into_iter().map(|(id, _)| id);
    (Suspects::of(left), stepping.ok())
}

/// Counts the last owner's death for the processes that it stepped, and excepts those with too many.
async fn count(cx: &Arc<Context>) -> Result<()> {
    let Some((owner, ids)) = Stepping::read(&cx.paths) else { return Ok(()) };
    let death = Supervision::read(&cx.paths).and_then(|told| told.last_death);
    let Some(death) = death.filter(|death| death.worker == owner && death.is_crash()) else { return Ok(()) };
    let name = format!("{}-{}", owner.pid, owner.started);
    if cx.store.setting(COUNTED)?.as_ref() == Some(&name) {
        return Ok(());
    }
    let mut changes = vec![Change::Setting { key: COUNTED.into(), value: Some(name) }];
    for id in &ids {
        if cx.store.process(*id).is_ok_and(|process| !process.state.is_terminal()) {
            let message = format!("the daemon died ({death}) while it was working on this process");
            changes.push(Change::Crashed(*id));
            changes.push(Change::Log { process: *id, level: Level::Warning, message });
        }
    }
    tracing::warn!(suspects = changes.len() / 2, "the last daemon died: {death}");
    cx.store.commit(changes).await?;
    for (id, _) in cx.store.suspects()?.into_iter().filter(|(_, crashes)| *crashes >= CRASHES) {
        except(cx, cx.store.process(id)?, &death).await;
    }
    Ok(())
}

async fn except(cx: &Arc<Context>, process: Process, death: &Death) {
    let id = process.id;
    let saved = calcjob::Checkpoint::read(process.checkpoint()).ok();
    let step = saved.filter(|_| process.kind == Kind::CalcJob).map(|saved| saved.step.as_str());
    let what = step.map_or("was working on it".to_owned(), |step| format!("was in its step `{step}`"));
    let when = death.time.strftime("%Y-%m-%dT%H:%M:%SZ");
    let message =
        format!("the daemon died {CRASHES} times while it {what}, the last time at {when}: {death}");
    tracing::error!(process = %id, "excepted: {message}");
    let submitters = Submitters::new(cx.clone());
    let ended = match process.kind {
        Kind::CalcJob => match Calcjob::new(cx, &submitters, process.clone()) {
            Ok(mut job) => calcjob::end_excepted(&mut job, message.clone()).await.is_ok(),
            Err(_) => false,
        },
        _ => false,
    };
    if !ended {
        drive::except_plain(cx, process, message).await;
    }
}

/// The file of the ids that are being stepped.
#[derive(Debug)]
pub(crate) struct Stepping {
    file: File,
    slots: HashMap<NodeId, usize>,
    free: Vec<usize>,
    len: usize,
}

impl Stepping {
    fn create(paths: &Paths) -> io::Result<Stepping> {
        let me = Child::me().ok_or(io::ErrorKind::NotFound)?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path(paths))?;
        let head = [u64::from(me.pid).to_le_bytes(), me.started.to_le_bytes()].concat();
        file.write_all_at(&head, 0)?;
        Ok(Stepping { file, slots: HashMap::new(), free: Vec::new(), len: HEAD })
    }

    /// Returns the owner that wrote the file last, and the processes that it was stepping.
    fn read(paths: &Paths) -> Option<(Child, Vec<NodeId>)> {
        let bytes = fs::read(path(paths)).ok()?;
        let mut slots = bytes.as_chunks::<SLOT>().0.iter().map(|slot| u64::from_le_bytes(*slot));
        let owner = Child { pid: u32::try_from(slots.next()?).ok()?, started: slots.next()? };
        let ids = slots.filter_map(|slot| i64::try_from(slot).ok()).filter(|id| *id != 0).map(NodeId);
        Some((owner, ids.collect()))
    }

    /// Records that a process is being stepped from now on.
    pub(crate) fn begin(&mut self, id: NodeId) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.len += 1;
            self.len - 1
        });
        self.slots.insert(id, slot);
        self.write(slot, id.0);
    }

    /// Records that a process is no longer being stepped.
    pub(crate) fn end(&mut self, id: NodeId) {
        if let Some(slot) = self.slots.remove(&id) {
            self.write(slot, 0);
            self.free.push(slot);
        }
    }

    /// Writes a slot. If that fails, as on a full disk, a suspect or two may be cleared wrongly.
    fn write(&self, slot: usize, value: i64) {
        let _ = self.file.write_all_at(&value.to_le_bytes(), (slot * SLOT) as u64);
    }
}

fn path(paths: &Paths) -> PathBuf {
    paths.root().join("stepping")
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::Value;
    use uuid::Uuid;

    use super::*;
    use crate::{owner::Builder, process::State, store::NewProcess};

    #[test]
    fn the_file_tells_who_is_being_stepped() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path(), "default");
        paths.create().unwrap();
        assert_eq!(Stepping::read(&paths), None);
        let mut stepping = Stepping::create(&paths).unwrap();
        [4, 5, 6].into_iter().for_each(|id| stepping.begin(NodeId(id)));
        stepping.end(NodeId(5));
        stepping.begin(NodeId(7));
        let (owner, ids) = Stepping::read(&paths).unwrap();
        assert_eq!((owner, ids), (Child::me().unwrap(), vec![NodeId(4), NodeId(7), NodeId(6)]));
    }

    #[test]
    fn suspects_take_turns_and_the_others_do_not_wait() {
        let (a, b, other, now) = (NodeId(1), NodeId(2), NodeId(3), Moment::START);
        let mut suspects = Suspects::of([a, b]);
        assert_eq!(suspects.not_yet(a, now), None);
        assert_eq!(suspects.not_yet(other, now), None);
        assert_eq!(suspects.not_yet(b, now), Some(TURN));
        assert_eq!(suspects.end(other), None);
        assert_eq!(suspects.end(a), Some(b));
        assert_eq!(suspects.not_yet(b, now), None);
        assert_eq!(suspects.not_yet(a, now), None);
        assert_eq!(suspects.end(b), None);
    }

    #[test]
    fn a_long_step_lets_the_next_suspect_go_on() {
        let (a, b, now) = (NodeId(1), NodeId(2), Moment::START);
        let mut suspects = Suspects::of([a, b]);
        assert_eq!(suspects.not_yet(a, now), None);
        assert_eq!(suspects.not_yet(b, now + TURN), None);
    }

    async fn open(paths: &Paths) -> Arc<Context> {
        let builder = Builder {
            paths: paths.clone(),
            transports: Vec::new(),
            schedulers: Vec::new(),
            host_exe: "/nonexistent".into(),
            bundled: Vec::new(),
        };
        Arc::new(builder.own("daemon").unwrap().open().await.unwrap())
    }

    fn new_process() -> Change {
        Change::Process(NewProcess {
            uuid: Uuid::now_v7(),
            process_type: "test.call".into(),
            kind: Kind::CalcFunction,
            label: String::new(),
            description: String::new(),
            plugin: "digest".into(),
            computer: None,
            body: Value::Map([].into()),
            caller: None,
        })
    }

    /// Simulates the death of an owner, number `life`, while it stepped these processes.
    fn died(paths: &Paths, life: u64, signal: i32, ids: &[NodeId]) {
        let worker = Child { pid: 1, started: life };
        let slots = [1, life].into_iter().chain(ids.iter().map(|id| id.0 as u64));
        fs::write(path(paths), slots.flat_map(u64::to_le_bytes).collect::<Vec<_>>()).unwrap();
        let death = Death {
            worker,
            time: crate::clock::now(),
            signal: Some(signal),
            code: None,
            out_of_memory: false,
        };
        let told = Supervision {
            supervisor: worker,
            worker: None,
            restarts: 0,
            next_start: None,
            last_death: Some(death),
        };
        told.write(paths).unwrap();
    }

    #[tokio::test]
    async fn crashes_are_counted_once_each_and_the_third_excepts() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path(), "default");
        let cx = open(&paths).await;
        let made = cx.store.commit(vec![new_process(), new_process()]).await.unwrap();
        let [guilty, innocent] = [made[0], made[1]];

        died(&paths, 1, 11, &made);
        count(&cx).await.unwrap();
        count(&cx).await.unwrap();
        assert_eq!(cx.store.suspects().unwrap(), [(guilty, 1), (innocent, 1)]);
        died(&paths, 2, 9, &made);
        count(&cx).await.unwrap();
        assert_eq!(cx.store.suspects().unwrap(), [(guilty, 1), (innocent, 1)]);

        let progress = cx.store.process(innocent).unwrap().update();
        cx.store.commit(vec![progress]).await.unwrap();
        assert_eq!(cx.store.suspects().unwrap(), [(guilty, 1)]);
        for life in 3..5 {
            died(&paths, life, 6, &[guilty]);
            drop(begin(&cx).await);
        }
        let ended = cx.store.process(guilty).unwrap();
        assert_eq!(ended.state, State::Excepted);
        assert!(ended.end.message.unwrap().contains("SIGABRT"));
        assert_eq!(cx.store.process(innocent).unwrap().state, State::Created);
    }
}
