//! Workfunctions step by step: what each event brings about. Whole trees are run in `testing`.

mod replay;
mod wakes;

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ferry_plugin_macros::{calcfunction, workfunction};
use ferry_plugin_proto::{
    CallInput, Command, Ended, Node as PluginNode, StepEvent, StepReply, StepRequest, Then, Value,
};

use super::{WorkFunction, function::step};
use crate::{
    error::Result,
    ports::{file::SingleFile, input::Inputs, node_ref::Node},
    process::exit::ExitCodes,
    select,
    workflow::{
        context::Cx,
        flow::{Called, join_all},
    },
};

#[calcfunction(name = "flow.plus")]
fn plus(x: i64, y: i64) -> i64 {
    x + y
}

#[calcfunction(name = "flow.times")]
fn times(x: i64, y: i64) -> i64 {
    x * y
}

#[derive(crate::ExitCodes)]
enum FlowExit {
    #[exit(420, "too late")]
    TooLate,
}

/// A process that takes one step after the other, as the engine would let it.
struct Driven {
    function: fn(&StepRequest) -> Result<StepReply, crate::process::registry::Unable>,
    process: String,
    inputs: BTreeMap<String, PluginNode>,
    state: Vec<u8>,
    time: i64,
}

impl Driven {
    fn new<F: WorkFunction>() -> Self {
        thread_local!(static COUNT: Cell<u32> = const { Cell::new(0) });
        let count = COUNT.replace(COUNT.get() + 1);
        let process = format!("{:?}-{count}", thread::current().id());
        let ports = F::Inputs::namespace().ports.into_keys();
        let inputs = ports.map(|port| (port, int("x", 1))).collect();
        Driven { function: step::<F>, process, inputs, state: Vec::new(), time: 1_000_000 }
    }

    fn request(&self, event: StepEvent) -> StepRequest {
        StepRequest {
            process_type: "flow.test".into(),
            process: self.process.clone(),
            inputs: self.inputs.clone(),
            state: self.state.clone(),
            event,
            time: self.time,
        }
    }

    fn try_step(&self, event: StepEvent) -> StepReply {
        (self.function)(&self.request(event)).map_err(|unable| unable.0).unwrap()
    }

    fn step(&mut self, event: StepEvent) -> StepReply {
        let reply = self.try_step(event);
        self.state = reply.state.clone();
        self.time += 1_000_000;
        reply
    }

    fn start(&mut self) -> StepReply {
        self.step(StepEvent::Start)
    }

    fn forget(&self) {
        super::forget(&self.process);
    }
}

fn int(uuid: &str, value: i64) -> PluginNode {
    PluginNode {
        uuid: uuid.to_owned(),
        data_type: "int".into(),
        value: Value::Int(value),
        files: BTreeMap::new(),
    }
}

fn done(value: i64) -> Ended {
    Ended {
        uuid: format!("child-{value}"),
        state: "finished".into(),
        exit_status: Some(0),
        outputs: [("result".to_owned(), int(&format!("node-{value}"), value))].into(),
        ..Ended::default()
    }
}

fn ended(children: &[(&str, Ended)]) -> StepEvent {
    let children = children.iter().map(|(call, ended)| ((*call).to_owned(), ended.clone())).collect();
    StepEvent::Resumed { children, timer: false }
}

fn timer() -> StepEvent {
    StepEvent::Resumed { children: BTreeMap::new(), timer: true }
}

fn launched(reply: &StepReply) -> Vec<String> {
    let call = |command: &Command| match command {
        Command::Launch(call) => Some(format!("{} {}", call.call, call.process_type)),
        Command::Kill(call) => Some(format!("kill {call}")),
        Command::Output { label, node } => Some(format!("{label} {node}")),
        Command::Report(line) => Some(format!("says {line}")),
        Command::Pause(reason) => Some(format!("pauses: {reason}")),
        Command::CleanWorkDirs => Some("cleans".to_owned()),
    };
    reply.commands.iter().filter_map(call).collect()
}

fn waits(reply: &StepReply) -> (Vec<&str>, Option<i64>) {
    let Then::Wait { calls, any: true, until } = &reply.then else { panic!("{reply:?}") };
    (calls.iter().map(String::as_str).collect(), *until)
}

fn error(reply: StepReply) -> String {
    let Then::Except(text) = reply.then else { panic!("{reply:?}") };
    assert!(reply.commands.is_empty());
    text
}

/// Two after one another, then two at once, of which one is raced.
#[workfunction(name = "flow.demo")]
async fn demo(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    cx.report("begins");
    cx.status("adding");
    let a = cx.call(plus::with(&x, 2)).await?;
    cx.sleep(Duration::from_secs(1)).await;
    let random = i64::try_from(cx.random() % 100).unwrap_or_default();
    let now = cx.now().duration_since(UNIX_EPOCH)?.as_secs();
    let (b, c) = crate::join!(cx.call(plus::with(&a, random)), cx.call(plus::with(&a, i64::try_from(now)?)));
    let slow = cx.call(times::with(&b?, &c?));
    select! {
        product = slow => Ok(product?),
        _ = cx.sleep(Duration::from_secs(50)) => Err(FlowExit::TooLate)?,
    }
}

/// Drives `demo` through its first steps, up to the race.
fn demo_until_race() -> (Driven, StepReply) {
    let mut driven = Driven::new::<demo>();
    driven.start();
    driven.step(ended(&[("0", done(3))]));
    driven.step(timer());
    let reply = driven.step(ended(&[("2", done(4)), ("3", done(5))]));
    (driven, reply)
}

#[test]
fn each_event_is_a_turn_and_says_what_comes_next() {
    let mut driven = Driven::new::<demo>();
    let first = driven.start();
    assert_eq!(launched(&first), ["says begins", "0 flow.plus"]);
    assert_eq!((waits(&first), first.position.as_deref()), ((vec!["0"], None), Some("adding")));
    let second = driven.step(ended(&[("0", done(3))]));
    assert_eq!((launched(&second), waits(&second)), (vec![], (vec![], Some(3_000_000))));
    let third = driven.step(timer());
    assert_eq!(
        (launched(&third), waits(&third).0),
        (vec!["2 flow.plus".into(), "3 flow.plus".into()], vec!["2", "3"])
    );
    let fourth = driven.step(ended(&[("3", done(5))]));
    assert_eq!((launched(&fourth), waits(&fourth).0), (vec![], vec!["2"]));
    assert_eq!(fourth.position.as_deref(), Some("adding"));
}

#[test]
fn the_winner_of_a_race_ends_the_loser() {
    let (mut driven, race) = demo_until_race();
    assert_eq!((launched(&race), waits(&race).0), (vec!["4 flow.times".to_owned()], vec!["4"]));
    driven.time += 60_000_000;
    let late = driven.try_step(timer());
    assert_eq!(
        (launched(&late), late.then),
        (vec!["kill 4".into()], Then::Finish(Some(FlowExit::TooLate.exit())))
    );
    let in_time = driven.try_step(ended(&[("4", done(20))]));
    assert_eq!((launched(&in_time), in_time.then), (vec!["result node-20".into()], Then::Finish(None)));
    // Both at once: what came in time wins over a time-out that is seen with it.
    let both = StepEvent::Resumed { children: [("4".to_owned(), done(20))].into(), timer: true };
    assert_eq!(driven.try_step(both).then, Then::Finish(None));
}

/// Makes handles that come to different ends.
#[workfunction(name = "flow.handles")]
async fn handles(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    drop(cx.call(plus::with(&x, 0)));
    let dropped = cx.submit(plus::with(&x, 1));
    let detached = cx.submit(plus::with(&x, 2));
    let mut killed = cx.submit(plus::with(&x, 3));
    let kept = cx.submit(plus::with(&x, 4));
    let _left = cx.submit(plus::with(&x, 5));
    cx.sleep(Duration::from_secs(1)).await;
    drop(dropped);
    detached.detach();
    killed.kill();
    assert_eq!(killed.uuid(), None);
    let how = (&mut killed).await;
    cx.report(format!("{:?} {:?}", killed.uuid(), how.map_err(|failed| failed.state().to_owned())));
    Ok(kept.await?)
}

#[test]
fn calls_are_dropped_killed_detached_and_awaited() {
    let mut driven = Driven::new::<handles>();
    let first = driven.start();
    let calls: Vec<String> = (1..6).map(|call| format!("{call} flow.plus")).collect();
    assert_eq!(launched(&first), calls, "one that is dropped at once is never launched");
    assert_eq!(waits(&first).0, ["1", "2", "3", "4", "5"]);
    let second = driven.step(timer());
    assert_eq!(
        (launched(&second), waits(&second).0),
        (vec!["kill 1".into(), "kill 3".into()], vec!["3", "4", "5"])
    );
    // The fixed order is by number, not by name.
    let killed = Ended { uuid: "k".into(), state: "killed".into(), ..Ended::default() };
    let last = driven.step(ended(&[("4", done(5)), ("3", killed)]));
    assert_eq!(launched(&last), ["says Some(\"k\") Err(\"killed\")", "kill 5", "result node-5"]);
}

#[test]
fn a_future_that_is_thrown_away_kills_nobody() {
    let mut driven = Driven::new::<handles>();
    driven.start();
    driven.forget();
    let after = driven.step(timer());
    assert_eq!(launched(&after), ["kill 1", "kill 3"]);
}

/// Says which of two calls it was told of first, though it asks for the later one first.
#[workfunction(name = "flow.which")]
async fn which(cx: Cx, x: Node<i64>) {
    let mut calls: Vec<Called<plus>> = (0..=10).map(|n| cx.call(plus::with(&x, n))).collect();
    let mut tenth = calls.remove(10);
    select! {
        _ = &mut tenth => cx.report("the tenth"),
        _ = &mut calls[2] => cx.report("the second"),
    }
}

#[test]
fn several_ends_are_turns_of_their_own_in_the_order_of_their_calls() {
    let mut driven = Driven::new::<which>();
    driven.start();
    let reply = driven.try_step(ended(&[("10", done(10)), ("2", done(2))]));
    assert_eq!(launched(&reply)[0], "says the second");
    assert_eq!((launched(&reply).len(), reply.then), (1 + 10, Then::Finish(None)));
}

/// Passes on what became of one call.
#[workfunction(name = "flow.passes_on")]
async fn passes_on(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    Ok(cx.call(plus::with(&x, 1)).await?)
}

#[test]
fn an_exit_code_is_passed_on_and_anything_else_excepts() {
    let end = |state: &str, exit_status, message: &str| {
        let mut driven = Driven::new::<passes_on>();
        driven.start();
        let (state, message) = (state.to_owned(), message.to_owned());
        driven
            .step(ended(&[(
                "0",
                Ended { uuid: "u".into(), state, exit_status, message, ..Ended::default() },
            )]))
            .then
    };
    let Then::Finish(Some(exit)) = end("finished", Some(410), "ERROR_NEGATIVE: it is: negative") else {
        panic!()
    };
    assert_eq!((exit.status, &*exit.label, &*exit.message), (410, "ERROR_NEGATIVE", "it is: negative"));
    let Then::Finish(Some(exit)) = end("finished", Some(120), "out of time: 5 s") else { panic!() };
    assert_eq!((exit.status, &*exit.label, &*exit.message), (120, "", "out of time: 5 s"));
    let text = |then| match then {
        Then::Except(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(text(end("excepted", None, "a bug")), "`flow.plus` (u) was excepted: a bug");
    assert_eq!(text(end("killed", None, "")), "`flow.plus` (u) was killed");
    assert_eq!(text(end("finished", Some(0), "")), "`flow.plus` (u) finished: it has no output `result`");
}

#[workfunction(name = "flow.tells_time")]
async fn tells_time(cx: Cx) -> Result<()> {
    for _ in 0..3 {
        cx.sleep(Duration::from_secs(5)).await;
        cx.report(format!("{}", cx.now().duration_since(UNIX_EPOCH)?.as_secs()));
    }
    cx.sleep(Duration::MAX).await;
    Ok(())
}

#[test]
fn time_never_goes_back() {
    let mut driven = Driven::new::<tells_time>();
    driven.time = 100_000_000;
    driven.start();
    driven.time = 105_000_000;
    assert_eq!(launched(&driven.step(timer())), ["says 105"]);
    // The clock was set back; the timer rang all the same.
    driven.time = 50_000_000;
    assert_eq!(launched(&driven.step(timer())), ["says 110"]);
    driven.time = 60_000_000;
    let reply = driven.step(timer());
    assert_eq!(launched(&reply), ["says 115"]);
    assert_eq!(waits(&reply).1, Some(253_402_000_000_000_000), "a time that the engine can tell");
}

/// Adds up to `n` at once, more than other executors poll one by one.
#[workfunction(name = "flow.many")]
async fn many(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let calls: Vec<Called<plus>> = (0..100).map(|n| cx.call(plus::with(&x, n))).collect();
    let sums = join_all(calls).await;
    Ok(sums.into_iter().last().ok_or("none")??)
}

#[test]
fn a_hundred_at_once_come_in_any_order() {
    let mut driven = Driven::new::<many>();
    assert_eq!(launched(&driven.start()).len(), 100);
    for call in (1..100_i64).rev() {
        let reply = driven.step(ended(&[(&*call.to_string(), done(call))]));
        assert_eq!(waits(&reply).0.len(), usize::try_from(call).unwrap());
        if call % 10 == 0 {
            driven.forget();
        }
    }
    assert_eq!(launched(&driven.step(ended(&[("0", done(0))]))), ["result node-99"]);
}

#[calcfunction(name = "flow.length")]
fn length(text: SingleFile) -> Result<i64> {
    Ok(i64::try_from(text.read()?.len())?)
}

#[workfunction(name = "flow.wrong_input")]
async fn wrong_input(cx: Cx) -> Result<Node<i64>> {
    let file = SingleFile::from_path("/nonexistent/a")?;
    Ok(cx.call(length::with(file)).await?)
}

#[test]
fn inputs_that_no_step_can_give_are_told() {
    let text = error(Driven::new::<wrong_input>().start());
    assert!(text.starts_with("`flow.length` was not called: text: needs `/nonexistent/a`"), "{text}");
}

#[test]
fn events_of_operations_that_are_gone_are_no_turns() {
    let mut driven = Driven::new::<demo>();
    driven.start();
    let before = driven.state.clone();
    let reply = driven.step(ended(&[("17", done(1)), ("x", done(1))]));
    assert_eq!((launched(&reply), waits(&reply).0), (vec![], vec!["0"]));
    assert_eq!(reply.state, before);
}
