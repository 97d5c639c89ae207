//! The heart that a workfunction's handles share: operations under way, and what was asked for in this turn.
//!
//! Operations are numbered when they are made, not when they are first polled: so the order in which `join!` and
//! `select!` poll has no part in their names. The lock is never held while an author's code or a waker runs.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use ferry_plugin_proto::{Call, Command, Ended, encode};

use super::{
    journal::{Event, Print, fixed_hash},
    live::Flag,
};

/// The state that a workfunction's handles share.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    state: Arc<Mutex<State>>,
    flag: Arc<Flag>,
}

#[derive(Debug, Default)]
struct State {
    process: String,
    /// The number of the next operation.
    next: u64,
    /// Operations whose handle was not dropped.
    under_way: BTreeMap<u64, Slot>,
    asked: Vec<Asked>,
    /// Time of this turn.
    now: i64,
    random: u64,
    position: Option<String>,
}

#[derive(Debug)]
struct Slot {
    /// When a sleep is over; a call has none.
    due: Option<i64>,
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// The outcome of an operation.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// A called process has ended.
    Ended(Arc<Ended>),
    /// A sleep is over.
    Slept,
}

/// Something that the code asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// To launch a process.
    Launch { op: u64, call: Box<Call> },
    /// To be woken at a time.
    Sleep { op: u64, until: i64 },
    /// To end a process whose handle was dropped.
    Kill { op: u64 },
    /// Nothing any more: a sleep was dropped.
    Cancel { op: u64 },
}

impl Asked {
    /// Returns the fingerprint that the journal stores. It is enough to notice that the code, or its inputs,
    /// changed.
    pub(crate) fn print(&self) -> Print {
        match self {
            Asked::Launch { op, call } => {
                // Labels and descriptions are for people: they may change under way.
                let asked = encode(&(&call.inputs, &call.computer, &call.options));
                Print { what: format!("call {}", call.process_type), op: *op, hash: fixed_hash(&asked) }
            }
            Asked::Sleep { op, until } => {
                Print { what: "sleep".to_owned(), op: *op, hash: fixed_hash(&until.to_le_bytes()) }
            }
            Asked::Kill { op } => Print { what: "kill".to_owned(), op: *op, hash: 0 },
            Asked::Cancel { op } => Print { what: "cancel sleep".to_owned(), op: *op, hash: 0 },
        }
    }

    /// Returns the command for the engine; `None` for operations that need none.
    pub(crate) fn into_command(self) -> Option<Command> {
        match self {
            Asked::Launch { call, .. } => Some(Command::Launch(call)),
            Asked::Kill { op } => Some(Command::Kill(op.to_string())),
            Asked::Sleep { .. } | Asked::Cancel { .. } => None,
        }
    }
}

/// The operations that a workfunction waits for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outstanding {
    /// Calls.
    pub(crate) calls: Vec<u64>,
    /// When the first of its sleeps is over.
    pub(crate) until: Option<i64>,
}

impl Core {
    pub(crate) fn new(process: &str, flag: Arc<Flag>) -> Self {
        let random = fixed_hash(process.as_bytes());
        let state = State { process: process.to_owned(), random, ..State::default() };
        Core { state: Arc::new(Mutex::new(state)), flag }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, so the state is valid even after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn process(&self) -> String {
        self.state().process.clone()
    }

    pub(crate) fn now(&self) -> i64 {
        self.state().now
    }

    pub(crate) fn set_now(&self, time: i64) {
        self.state().now = time;
    }

    pub(crate) fn position(&self) -> Option<String> {
        self.state().position.clone()
    }

    pub(crate) fn set_position(&self, position: String) {
        self.state().position = Some(position);
    }

    /// Returns the next random number: SplitMix64, seeded by the process.
    pub(crate) fn random(&self) -> u64 {
        self.flag.note_use();
        let mut state = self.state();
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state.random ^ (state.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Calls a process. The call's name is the operation's number.
    pub(crate) fn launch(&self, call: impl FnOnce(String) -> Call) -> Op {
        self.operation(None, |op| Asked::Launch { op, call: Box::new(call(op.to_string())) })
    }

    /// Sleeps until a time.
    pub(crate) fn sleep(&self, until: i64) -> Op {
        self.operation(Some(until), |op| Asked::Sleep { op, until })
    }

    fn operation(&self, due: Option<i64>, ask: impl FnOnce(u64) -> Asked) -> Op {
        self.flag.note_use();
        let number = {
            let mut state = self.state();
            state.next += 1;
            state.next - 1
        };
        let asked = ask(number);
        let mut state = self.state();
        state.asked.push(asked);
        state.under_way.insert(number, Slot { due, outcome: None, waker: None });
        Op { core: self.clone(), number }
    }

    /// Returns whether an event is still awaited: its operation is under way and has no outcome.
    pub(crate) fn awaits(&self, event: &Event) -> bool {
        match event {
            Event::Start => true,
            Event::Ended { op, .. } | Event::Slept { op } => {
                self.state().under_way.get(op).is_some_and(|slot| slot.outcome.is_none())
            }
        }
    }

    /// Sleeps that are over at `time`, the first one first.
    pub(crate) fn due(&self, time: i64) -> Vec<(i64, u64)> {
        let state = self.state();
        let under_way = state.under_way.iter().filter(|(_, slot)| slot.outcome.is_none());
        let mut due: Vec<(i64, u64)> =
            under_way.filter_map(|(op, slot)| Some((slot.due.filter(|due| *due <= time)?, *op))).collect();
        due.sort_unstable();
        due
    }

    /// Ends an operation and wakes its waiter.
    pub(crate) fn deliver(&self, op: u64, outcome: Outcome) {
        let waker = self.state().under_way.get_mut(&op).and_then(|slot| {
            slot.outcome = Some(outcome);
            slot.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes what was asked for since the last time.
    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        mem::take(&mut self.state().asked)
    }

    pub(crate) fn outstanding(&self) -> Outstanding {
        let state = self.state();
        let mut outstanding = Outstanding::default();
        for (op, slot) in state.under_way.iter().filter(|(_, slot)| slot.outcome.is_none()) {
            match slot.due {
                None => outstanding.calls.push(*op),
                Some(due) => outstanding.until = Some(outstanding.until.map_or(due, |until| until.min(due))),
            }
        }
        outstanding
    }
}

/// A handle of one operation. Dropping it before the operation has ended gives the operation up.
#[derive(Debug)]
pub(crate) struct Op {
    core: Core,
    number: u64,
}

impl Op {
    /// Returns the outcome of the operation once it was delivered. Until then, registers the waker of
    /// `context`.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Outcome> {
        let mut state = self.core.state();
        let Some(slot) = state.under_way.get_mut(&self.number) else { return Poll::Pending };
        if let Some(outcome) = &slot.outcome {
            return Poll::Ready(outcome.clone());
        }
        // A noop waker, or none, would never wake a caller that polls only what was woken.
        let before = slot.waker.replace(context.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// Returns the outcome of the operation; `None` if it was not delivered yet.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.core.state().under_way.get(&self.number)?.outcome.clone()
    }

    /// Returns the number of the operation.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Asks for the end of the process that it called, and goes on waiting for that.
    pub(crate) fn kill(&self) {
        self.core.flag.note_use();
        let mut state = self.core.state();
        if state.under_way.get(&self.number).is_some_and(|slot| slot.outcome.is_none()) {
            state.asked.push(Asked::Kill { op: self.number });
        }
    }

    /// Gives it up, and lets the process that it called run on.
    pub(crate) fn detach(self) {
        let _slot = self.core.state().under_way.remove(&self.number);
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        let mut state = self.core.state();
        let Some(slot) = state.under_way.remove(&self.number) else { return };
        // Requests made while the whole future is dropped are ignored.
        if slot.outcome.is_none() {
            let op = self.number;
            state.asked.push(if slot.due.is_some() { Asked::Cancel { op } } else { Asked::Kill { op } });
        }
        drop(state);
    }
}
