//! A workfunction in memory: its future, and the turns that it takes.

use std::{
    cell::Cell,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{
    core::{Asked, Core, Outcome},
    journal::Event,
};
use crate::error::Error;

/// Polls of one turn, after which a workfunction that keeps waking itself is given up.
const POLLS_MAX: u32 = 100_000;

/// The nodes that a workfunction returned, by dotted output port.
pub(crate) type Returned = Vec<(String, String)>;

/// A workfunction's future, whatever its function is.
pub(crate) type Body = Pin<Box<dyn Future<Output = Result<Returned, Error>> + Send>>;

thread_local! {
    /// The workfunction whose turn this thread takes: the address of its flag, 0 for none.
    static TURN: Cell<usize> = const { Cell::new(0) };
}

/// The flag that a workfunction's waker sets.
#[derive(Debug, Default)]
pub(crate) struct Flag {
    woken: AtomicBool,
    /// Woken, or used, by something that is not the engine.
    foreign: AtomicBool,
}

impl Flag {
    fn in_turn(&self) -> bool {
        TURN.get() == std::ptr::from_ref(self).addr()
    }

    /// Takes notice that something of the workfunction is used.
    pub(crate) fn note_use(&self) {
        if !self.in_turn() {
            self.foreign.store(true, Ordering::SeqCst);
        }
    }

    fn check_foreign(&self) -> Result<(), String> {
        if self.foreign.load(Ordering::SeqCst) {
            return Err("nondeterminism: the workflow was woken or used by something other than the engine (a \
                        thread, a channel, a timer of its own): a replay could not repeat that; await only what \
                        `cx` gives"
                .to_owned());
        }
        Ok(())
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.note_use();
        self.woken.store(true, Ordering::SeqCst);
    }
}

/// Says which turn this thread takes; dropped, also by a panic of the author's code, none.
struct InTurn(usize);

impl InTurn {
    fn of(flag: &Arc<Flag>) -> Self {
        InTurn(TURN.replace(Arc::as_ptr(flag).addr()))
    }
}

impl Drop for InTurn {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}

/// The result of a turn.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) asked: Vec<Asked>,
    /// The function's return value; `None` if it has not returned.
    pub(crate) returned: Option<Result<Returned, Error>>,
}

/// A workfunction in memory.
pub(crate) struct Live {
    core: Core,
    flag: Arc<Flag>,
    body: Option<Body>,
}

impl Live {
    /// Makes a workfunction of the process `process`, before its first turn.
    pub(crate) fn new(process: &str, begin: impl FnOnce(Core) -> Body) -> Self {
        let flag = Arc::new(Flag::default());
        let core = Core::new(process, Arc::clone(&flag));
        let body = {
            let _turn = InTurn::of(&flag);
            begin(core.clone())
        };
        Live { core, flag, body: Some(body) }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Delivers one event, and polls until nothing is woken any more.
    ///
    /// # Errors
    /// Fails if the code awaits or does something that a replay could not repeat.
    pub(crate) fn turn(&mut self, time: i64, event: &Event) -> Result<Taken, String> {
        self.flag.check_foreign()?;
        let _turn = InTurn::of(&self.flag);
        self.core.set_now(time);
        match event {
            Event::Start => {}
            Event::Ended { op, ended, .. } => {
                self.core.deliver(*op, Outcome::Ended(Arc::new((**ended).clone())))
            }
            Event::Slept { op } => self.core.deliver(*op, Outcome::Slept),
        }
        let returned = self.poll()?;
        self.flag.check_foreign()?;
        let taken = Taken { asked: self.core.take_asked(), returned };
        let outstanding = self.core.outstanding();
        if taken.returned.is_none() && outstanding.calls.is_empty() && outstanding.until.is_none() {
            return Err(
                "stuck: the workflow awaits something that `cx` did not give, and nothing else is under \
                        way: no event would ever wake it"
                    .to_owned(),
            );
        }
        Ok(taken)
    }

    fn poll(&mut self) -> Result<Option<Result<Returned, Error>>, String> {
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut context = Context::from_waker(&waker);
        for _ in 0..POLLS_MAX {
            let Some(body) = self.body.as_mut() else { return Ok(None) };
            self.flag.woken.store(false, Ordering::SeqCst);
            if let Poll::Ready(returned) = body.as_mut().poll(&mut context) {
                // End the remaining operations now: the losers of a race end with the turn.
                self.body = None;
                return Ok(Some(returned));
            }
            if !self.flag.woken.load(Ordering::SeqCst) {
                return Ok(None);
            }
        }
        Err(format!("the workflow wakes itself without end: {POLLS_MAX} times in one turn"))
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("core", &self.core).finish_non_exhaustive()
    }
}
