//! A step of a workfunction: from the engine's request to the reply.

use std::collections::BTreeSet;

use ferry_plugin_proto::{Command, StepEvent, StepReply, StepRequest, Then};

use super::{
    cache,
    core::{Asked, Outstanding},
    journal::{Event, Journal, Print, Turn},
    live::{Body, Live, Returned, Taken},
};
use crate::{error::Error, host::report};

/// A workfunction in memory, and its position in the journal.
#[derive(Debug)]
pub(super) struct Standing {
    live: Live,
    /// [`Journal::mark`] of the journal up to its position.
    mark: u64,
    turns: usize,
    /// Time of its last turn; time never goes back in a workfunction.
    time: i64,
}

/// Makes a workfunction's future out of the inputs of a request.
pub(crate) type Begin = fn(&StepRequest, super::core::Core) -> Result<Body, String>;

/// Takes one step.
pub(crate) fn step(request: &StepRequest, begin: Begin) -> StepReply {
    let reply = match stand(request, begin) {
        Ok(Stand::Ready(standing)) => advance(standing, request),
        Ok(Stand::Lacks(ops)) => Ok(ask_again(request, ops)),
        Err(text) => Err(text),
    };
    reply.unwrap_or_else(|text| nothing_done(request, Then::Except(text)))
}

fn nothing_done(request: &StepRequest, then: Then) -> StepReply {
    StepReply { state: request.state.clone(), commands: Vec::new(), then, position: None }
}

/// Waits for processes that have ended, so that the engine delivers their ends again. It includes those that
/// this step is about, so that the next step can continue even if nothing stays in memory until then.
fn ask_again(request: &StepRequest, ops: Vec<u64>) -> StepReply {
    let mut calls: BTreeSet<String> = ops.iter().map(u64::to_string).collect();
    if let StepEvent::Resumed { children, .. } = &request.event {
        calls.extend(children.keys().cloned());
    }
    let calls = calls.into_iter().collect();
    nothing_done(request, Then::Wait { calls, any: false, until: None })
}

/// Forgets a process's future, so that its next step plays its journal again.
pub(crate) fn forget(process: &str) {
    cache::drop_quietly(cache::take(process));
}

/// The workfunction to go on with, or the calls that are needed first.
enum Stand {
    /// The workfunction at the end of the journal that the engine sent.
    Ready(Standing),
    /// Calls whose large outputs the journal leaves out, and the request too.
    Lacks(Vec<u64>),
}

/// Returns the workfunction at the end of the journal: from memory, or replayed.
fn stand(request: &StepRequest, begin: Begin) -> Result<Stand, String> {
    let journal = Journal::stored(request.state.clone());
    let mark = journal.mark();
    match cache::take(&request.process) {
        Some(standing) if standing.mark == mark => return Ok(Stand::Ready(standing)),
        stale => cache::drop_quietly(stale),
    }
    let mut turns = journal.turns()?;
    let lacks = fill_in(&mut turns, request);
    if !lacks.is_empty() {
        return Ok(Stand::Lacks(lacks));
    }
    let mut standing = Standing { live: new_live(request, begin)?, mark, turns: 0, time: i64::MIN };
    for turn in turns {
        standing.repeat(&turn)?;
    }
    Ok(Stand::Ready(standing))
}

/// Puts the values that the journal leaves out back into its turns. Returns the operations whose values are
/// missing.
fn fill_in(turns: &mut [Turn], request: &StepRequest) -> Vec<u64> {
    let told = match &request.event {
        StepEvent::Resumed { children, .. } => Some(children),
        _ => None,
    };
    let mut lacks = Vec::new();
    for turn in turns {
        let Event::Ended { op, ended, slim: true } = &mut turn.event else { continue };
        match told.and_then(|children| children.get(&op.to_string())) {
            Some(whole) => **ended = whole.clone(),
            None => lacks.push(*op),
        }
    }
    lacks
}

fn new_live(request: &StepRequest, begin: Begin) -> Result<Live, String> {
    let mut problem = None;
    let live = Live::new(&request.process, |core| {
        begin(request, core).unwrap_or_else(|text| {
            problem = Some(text);
            Box::pin(std::future::pending())
        })
    });
    match problem {
        Some(text) => Err(text),
        None => Ok(live),
    }
}

/// Takes the turns for the engine's event, and returns the requests.
fn advance(mut standing: Standing, request: &StepRequest) -> Result<StepReply, String> {
    let mut journal = Journal::stored(request.state.clone());
    let mut commands = Vec::new();
    let mut returned = None;
    for (time, event) in standing.events(request) {
        // A turn before this one may have given up what the event is about.
        if returned.is_some() || !standing.live.core().awaits(&event) {
            continue;
        }
        let (taken, lines) = report::collect(|| standing.turn(time, &event));
        let Taken { asked, returned: end } = taken?;
        returned = end;
        journal.add(&Turn { time: standing.time, event, asked: asked.iter().map(Asked::print).collect() });
        commands.extend(lines.into_iter().map(Command::Report));
        commands.extend(asked.into_iter().filter_map(Asked::into_command));
    }
    let position = standing.live.core().position();
    let mut commands = without_stillborn(commands);
    let then = match returned {
        Some(returned) => finish(returned, &mut commands),
        None => {
            let outstanding = standing.live.core().outstanding();
            standing.mark = journal.mark();
            cache::put(&request.process, standing);
            wait(outstanding)
        }
    };
    let state = match then {
        // Nothing of a step that excepts is done: it can be resumed from before it.
        Then::Except(_) => request.state.clone(),
        _ => journal.into_bytes(),
    };
    Ok(StepReply { state, commands, then, position })
}

fn finish(returned: Result<Returned, Error>, commands: &mut Vec<Command>) -> Then {
    match returned.map_err(Error::into_exit) {
        Ok(nodes) => {
            commands.extend(nodes.into_iter().map(|(label, node)| Command::Output { label, node }));
            Then::Finish(None)
        }
        Err(Ok(exit)) => Then::Finish(Some(exit)),
        Err(Err(text)) => Then::Except(text),
    }
}

fn wait(Outstanding { calls, until }: Outstanding) -> Then {
    Then::Wait { calls: calls.iter().map(u64::to_string).collect(), any: true, until }
}

/// Removes calls that are made and given up in the same step.
fn without_stillborn(commands: Vec<Command>) -> Vec<Command> {
    let launched: BTreeSet<String> = commands.iter().filter_map(launched_call).collect();
    let killed = commands.iter().filter_map(|command| match command {
        Command::Kill(call) => Some(call.clone()),
        _ => None,
    });
    let stillborn: BTreeSet<String> = killed.filter(|call| launched.contains(call)).collect();
    let lives = |command: &Command| match command {
        Command::Launch(call) => !stillborn.contains(&call.call),
        Command::Kill(call) => !stillborn.contains(call),
        _ => true,
    };
    commands.into_iter().filter(lives).collect()
}

fn launched_call(command: &Command) -> Option<String> {
    match command {
        Command::Launch(call) => Some(call.call.clone()),
        _ => None,
    }
}

impl Standing {
    /// Returns the events of a request, in a fixed order: processes that ended, by the number of their call;
    /// then sleeps that are over, the earliest first. So a result that came in time wins over a time-out seen
    /// with it.
    fn events(&self, request: &StepRequest) -> Vec<(i64, Event)> {
        let now = request.time.max(self.time);
        if self.turns == 0 {
            return vec![(now, Event::Start)];
        }
        let StepEvent::Resumed { children, timer } = &request.event else { return Vec::new() };
        let mut ended: Vec<(u64, Event)> = children
            .iter()
            .filter_map(|(call, ended)| {
                let op = call.parse().ok()?;
                Some((op, Event::Ended { op, ended: Box::new(ended.clone()), slim: false }))
            })
            .collect();
        ended.sort_unstable_by_key(|(op, _)| *op);
        // A clock that was set back in between does not undo that the time has come.
        let first = self.live.core().outstanding().until.filter(|_| *timer);
        let due = self.live.core().due(now.max(first.unwrap_or(now)));
        let slept = due.into_iter().map(|(due, op)| (now.max(due), Event::Slept { op }));
        ended.into_iter().map(|(_, event)| (now, event)).chain(slept).collect()
    }

    fn turn(&mut self, time: i64, event: &Event) -> Result<Taken, String> {
        let taken = self.live.turn(time, event)?;
        self.turns += 1;
        self.time = time;
        Ok(taken)
    }

    /// Takes a turn once more, and compares.
    fn repeat(&mut self, turn: &Turn) -> Result<(), String> {
        let number = self.turns;
        // Its reports were already made when the turn was taken first.
        let (taken, _) = report::collect(|| self.turn(turn.time, &turn.event));
        let taken = taken.map_err(|text| format!("at turn {number} of its journal: {text}"))?;
        let asked: Vec<Print> = taken.asked.iter().map(Asked::print).collect();
        let differs = differs(&turn.asked, &asked)
            .map(|(command, how)| format!("at turn {number}, command {command}: {how}"));
        let ended =
            taken.returned.map(|_| format!("at turn {number}: the journal goes on, the code returns there"));
        match differs.or(ended) {
            None => Ok(()),
            Some(text) => Err(format!(
                "nondeterminism {text}; the code has changed since this process began, or it goes by something \
                 that is not in the journal: a clock, the environment, random numbers or the order of a hash map"
            )),
        }
    }
}

/// Returns the index of the first command that is not the journal's, and a description of the difference.
fn differs(journal: &[Print], code: &[Print]) -> Option<(usize, String)> {
    let count = journal.len().max(code.len());
    let command = (0..count).find(|command| journal.get(*command) != code.get(*command))?;
    let how = match (journal.get(command), code.get(command)) {
        (Some(was), Some(is)) if was.what == is.what && was.op == is.op => {
            let with = if was.what == "sleep" { "another end" } else { "other inputs" };
            format!("the journal has {was}, the code asks for it with {with}")
        }
        (Some(was), Some(is)) if was.what == is.what => {
            format!("the journal has {was} as operation {}, the code as operation {}", was.op, is.op)
        }
        (was, is) => {
            format!("the journal has {}, the code asks for {}", in_words(was), in_words(is))
        }
    };
    Some((command, how))
}

fn in_words(print: Option<&Print>) -> String {
    print.map_or_else(|| "nothing".to_owned(), Print::to_string)
}

#[cfg(test)]
impl Standing {
    /// Makes one without a journal.
    pub(super) fn example() -> Self {
        let live = Live::new("p", |_| Box::pin(std::future::pending()));
        Standing { live, mark: 0, turns: 0, time: 0 }
    }
}
