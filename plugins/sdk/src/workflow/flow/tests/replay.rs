//! Tests of what a replay repeats, and of the changes that it detects.

use super::*;

#[test]
fn a_replay_says_what_the_live_run_said() {
    let (driven, race) = demo_until_race();
    for _ in 0..2 {
        let live = driven.try_step(ended(&[("4", done(20))]));
        driven.forget();
        assert_eq!(driven.try_step(ended(&[("4", done(20))])), live);
    }
    let inputs = |reply: &StepReply| match &reply.commands[0] {
        Command::Launch(call) => call.inputs.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(inputs(&race)["x"], CallInput::Node("node-4".into()));
}

#[test]
fn a_step_that_was_not_committed_is_taken_again_from_the_journal() {
    let mut driven = Driven::new::<demo>();
    driven.start();
    let lost = driven.try_step(ended(&[("0", done(7))]));
    let kept = driven.try_step(ended(&[("0", done(3))]));
    assert_ne!(lost.state, kept.state, "the journal keeps how it ended");
    driven.state = kept.state;
    let next = driven.step(timer());
    let Command::Launch(call) = &next.commands[0] else { panic!("{next:?}") };
    assert_eq!(call.inputs["x"], CallInput::Node("node-3".into()));
}

/// The same as [`demo`] in the beginning, and another thing then.
#[workfunction(name = "flow.changed")]
async fn changed(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let a = cx.call(plus::with(&x, 2)).await?;
    Ok(cx.call(plus::with(&a, 3)).await?)
}

#[workfunction(name = "flow.shorter")]
async fn shorter(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    Ok(cx.call(plus::with(&x, 2)).await?)
}

#[workfunction(name = "flow.other_inputs")]
async fn other_inputs(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    Ok(cx.call(plus::with(&x, 3)).await?)
}

#[workfunction(name = "flow.more")]
async fn more(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let (a, _) = crate::join!(cx.call(plus::with(&x, 2)), cx.call(plus::with(&x, 2)));
    Ok(a?)
}

#[test]
fn changed_code_is_named() {
    let (driven, _) = demo_until_race();
    let with = |function| Driven {
        function,
        process: driven.process.clone(),
        inputs: driven.inputs.clone(),
        state: driven.state.clone(),
        time: 0,
    };
    let said = |function| {
        driven.forget();
        let text = error(with(function).try_step(timer()));
        text.split("; ").next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        said(step::<changed>),
        "nondeterminism at turn 1, command 0: the journal has `sleep`, the code asks for `call flow.plus`"
    );
    assert_eq!(
        said(step::<shorter>),
        "nondeterminism at turn 1, command 0: the journal has `sleep`, the code asks for nothing"
    );
    assert_eq!(
        said(step::<other_inputs>),
        "nondeterminism at turn 0, command 0: the journal has `call flow.plus`, the code asks for it with other \
         inputs"
    );
    assert_eq!(
        said(step::<more>),
        "nondeterminism at turn 0, command 1: the journal has nothing, the code asks for `call flow.plus`"
    );
    assert_eq!(launched(&with(step::<demo>).try_step(ended(&[("4", done(1))]))), ["result node-1"]);
}

#[workfunction(name = "flow.clock")]
async fn clock(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    Ok(cx.call(plus::with(&x, i64::from(now))).await?)
}

#[test]
fn a_hidden_input_is_named() {
    let mut driven = Driven::new::<clock>();
    driven.start();
    driven.forget();
    thread::sleep(Duration::from_millis(1));
    let text = error(driven.try_step(ended(&[("0", done(1))])));
    assert!(text.contains("at turn 0, command 0: the journal has `call flow.plus`"), "{text}");
    assert!(text.contains("with other inputs") && text.contains("a clock"), "{text}");
}

#[workfunction(name = "flow.panics")]
async fn panics(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    thread_local!(static PANICKED: Cell<bool> = const { Cell::new(false) });
    let sum = cx.call(plus::with(&x, 1)).await?;
    if !PANICKED.replace(true) {
        panic!("once");
    }
    Ok(sum)
}

#[test]
fn after_a_panic_the_journal_is_played_again() {
    let mut driven = Driven::new::<panics>();
    driven.start();
    let step = std::panic::AssertUnwindSafe(|| driven.try_step(ended(&[("0", done(1))])));
    assert!(std::panic::catch_unwind(step).is_err());
    assert_eq!(launched(&driven.try_step(ended(&[("0", done(1))]))), ["result node-1"]);
}

#[calcfunction(name = "flow.long_text")]
fn long_text(length: i64) -> Result<String> {
    Ok("x".repeat(usize::try_from(length)?))
}

/// Reads a large value after two other turns.
#[workfunction(name = "flow.reads_large")]
async fn reads_large(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let text = cx.call(long_text::with(10_000)).await?;
    let sum = cx.call(plus::with(&x, 1)).await?;
    cx.sleep(Duration::from_secs(1)).await;
    Ok(cx.call(plus::with(&sum, i64::try_from(text.value()?.len())?)).await?)
}

#[test]
fn large_values_are_asked_for_again() {
    let mut driven = Driven::new::<reads_large>();
    driven.start();
    let mut large = done(1);
    let node = large.outputs.get_mut("result").unwrap();
    (node.data_type, node.value) = ("str".into(), Value::Str("x".repeat(10_000)));
    driven.step(ended(&[("0", large.clone())]));
    assert!(driven.state.len() < 1500, "{}", driven.state.len());
    driven.forget();
    let asks = driven.step(ended(&[("1", done(2))]));
    let again = Then::Wait { calls: vec!["0".into(), "1".into()], any: false, until: None };
    assert_eq!((launched(&asks), asks.then), (vec![], again));
    // Told of both, it gets on at once.
    let slept = driven.step(ended(&[("0", large.clone()), ("1", done(2))]));
    assert_eq!(waits(&slept), (vec![], Some(driven.time)));
    let live = driven.try_step(timer());
    assert_eq!(launched(&live), ["3 flow.plus"]);
    driven.forget();
    driven.try_step(timer());
    // The timer is over by the time alone.
    assert_eq!(driven.try_step(ended(&[("0", large)])), live);
    assert_eq!(crate::testing::call(reads_large::with(1)).value::<i64>(), Ok(10_002));
}
