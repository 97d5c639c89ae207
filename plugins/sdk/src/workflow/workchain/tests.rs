//! A workchain with everything that an outline may hold, step by step and in the engine in memory.

use std::collections::BTreeMap;

use ferry_plugin_macros::{outline, workchain};
use ferry_plugin_proto::{self as proto, Command, Ended, StepEvent, StepReply, StepRequest, Then, Value};
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    ports::node_ref::Node,
    testing::{self, Ran},
    workflow::{context::Cx, draft::Draft},
};

/// Instructions for the chain of these tests.
#[derive(crate::Inputs)]
struct TrialInputs {
    /// Rounds of the loop
    #[port(default = 3)]
    rounds: i64,
    /// Failure to provoke, if any
    #[port(default = "")]
    wrong: String,
    /// Number of children per round
    #[port(default = 1)]
    width: i64,
}

#[derive(crate::Outputs)]
struct TrialOutputs {
    sum: Option<Node<i64>>,
}

/// Adds two numbers.
#[crate::calcfunction(name = "test.add", exit = AddExit)]
fn add(x: i64, y: i64) -> Result<i64> {
    if x + y < 0 {
        Err(AddExit::Negative)?;
    }
    Ok(x + y)
}

#[derive(crate::ExitCodes)]
enum AddExit {
    #[exit(410, "negative")]
    Negative,
}

#[derive(crate::ExitCodes, Debug)]
enum TrialExit {
    #[exit(400, "unlucky after {rounds} rounds")]
    Unlucky { rounds: i64 },
    #[exit(401, "returned")]
    Returned,
}

#[derive(Default, Serialize, Deserialize)]
struct Trial {
    round: i64,
    sum: i64,
    children: Vec<Child<add>>,
    trail: Vec<String>,
}

/// Adds numbers, one round after the other.
#[workchain(name = "test.trial")]
impl WorkChain for Trial {
    type Inputs = TrialInputs;
    type Outputs = TrialOutputs;
    type Exit = TrialExit;

    fn outline() -> Outline<Self> {
        outline! {
            begin;
            if is_wrong {
                go_wrong;
            } elif never {
                unreachable;
            } else if !never {
                fine;
            } else {
                unreachable;
            }
            while unfinished {
                launch;
                if odd { gather; } else { gather; skip; }
            }
            if returns { return; }
            if fails { return TrialExit::Returned; }
            results;
        }
    }

    fn validate(inputs: &TrialInputs, bad: &mut Problems) {
        if inputs.rounds < 0 {
            bad.at("rounds", "must be 0 or more");
        }
    }
}

impl Trial {
    fn begin(&mut self) {
        self.trail.push("begin".into());
    }

    fn is_wrong(&self, cx: &Cx<Self>) -> Result<bool> {
        match &*cx.inputs().wrong {
            "condition" => Err("no idea")?,
            wrong => Ok(!wrong.is_empty()),
        }
    }

    fn never(&self) -> bool {
        false
    }

    fn unreachable(&mut self) -> Result {
        Err("this step stands where no way leads")?
    }

    fn go_wrong(&mut self, cx: &mut Cx<Self>) -> Result<Option<TrialExit>> {
        cx.report("about to go wrong");
        match &*cx.inputs().wrong {
            "error" => Err("as it was told")?,
            "exit" => {
                cx.submit(add::with(1, 1));
                Err(TrialExit::Unlucky { rounds: self.round })?
            }
            "returned" => Ok(Some(TrialExit::Unlucky { rounds: self.round })),
            _ => Ok(None),
        }
    }

    fn fine(&mut self) -> Option<TrialExit> {
        None
    }

    fn unfinished(&self, cx: &Cx<Self>) -> bool {
        self.round < cx.inputs().rounds
    }

    fn launch(&mut self, cx: &mut Cx<Self>) {
        self.round += 1;
        self.children = (0..cx.inputs().width).map(|i| cx.submit(add::with(self.round, i))).collect();
    }

    fn odd(&self) -> bool {
        self.round % 2 == 1
    }

    fn gather(&mut self) -> Result {
        for child in &self.children {
            if child.has_failed() {
                crate::report!(
                    "child {} failed with {:?}: {}",
                    child.call(),
                    child.exit_status(),
                    child.message()
                );
                continue;
            }
            self.sum += child.outputs()?.value()?;
            crate::report!("gathered {}", child.call());
        }
        Ok(())
    }

    fn skip(&mut self) {}

    fn returns(&self, cx: &Cx<Self>) -> bool {
        cx.inputs().wrong == "return"
    }

    fn fails(&self, cx: &Cx<Self>) -> Result<bool> {
        Ok(cx.inputs().wrong == "return with")
    }

    fn results(&mut self, cx: &mut Cx<Self>) -> Result {
        crate::report!("the sum is {}", self.sum);
        if let Some(child) = self.children.last().filter(|child| child.is_ok()) {
            cx.out().sum(child.outputs()?);
        }
        Ok(())
    }
}

fn run(set: impl FnOnce(&mut TrialInputsDraft) -> &mut TrialInputsDraft) -> Ran<Trial> {
    let mut draft = Draft::<Trial>::new();
    set(&mut draft);
    testing::call(draft)
}

#[test]
fn steps_and_children_come_in_the_order_of_the_outline() {
    let ran = run(|given| given.width(2));
    assert_eq!((ran.status(), ran.output::<i64>("sum")), (0, Ok(4)));
    assert_eq!(
        ran.positions(),
        [
            "begin",
            "fine",
            "launch (round 1)",
            "gather (round 1)",
            "launch (round 2)",
            "gather (round 2)",
            "skip (round 2)",
            "launch (round 3)",
            "gather (round 3)",
            "results",
        ]
    );
    let names: Vec<&str> = ran.calls().iter().map(|call| &*call.call).collect();
    assert_eq!(names, ["3.0", "3.1", "5.0", "5.1", "8.0", "8.1"]);
    assert_eq!(ran.reports().last().unwrap(), "the sum is 15");
}

#[test]
fn a_loop_may_have_no_rounds() {
    let ran = run(|given| given.rounds(0));
    assert_eq!(ran.positions(), ["begin", "fine", "results"]);
}

#[test]
fn return_ends_it_with_and_without_an_exit_code() {
    let returned = |wrong: &str| run(|given| given.wrong(wrong).rounds(1));
    assert_eq!((returned("return").status(), returned("return").reports().len()), (0, 2));
    assert_eq!(returned("return with").status(), TrialExit::RETURNED);
}

#[test]
fn an_exit_code_ends_it_by_error_and_by_value() {
    for wrong in ["exit", "returned"] {
        let ran = run(|given| given.wrong(wrong));
        assert!(ran.in_words().ends_with("ERROR_UNLUCKY: unlucky after 0 rounds"), "{ran:?}");
        assert_eq!(ran.reports(), ["about to go wrong"]);
        assert!(ran.calls().is_empty(), "nobody would wait for them");
    }
}

#[test]
fn errors_name_the_step_or_the_condition() {
    let text = |wrong: &str| run(|given| given.wrong(wrong)).exception().unwrap().to_owned();
    assert_eq!(text("error"), "step `go_wrong` failed: as it was told");
    assert_eq!(text("condition"), "the condition `is_wrong` failed: no idea");
}

#[test]
fn its_own_validation_is_asked() {
    let refused = std::panic::catch_unwind(|| run(|given| given.rounds(-1))).unwrap_err();
    let refused = refused.downcast::<String>().unwrap();
    assert!(refused.ends_with("rounds: must be 0 or more"), "{refused}");
}

#[test]
fn a_child_can_fail_without_its_caller() {
    let world = testing::world().fake::<add, _>(|_| -> Result<i64> { Err(AddExit::Negative)? });
    let mut draft = Draft::<Trial>::new();
    draft.rounds(1);
    let ran = world.call(draft);
    assert_eq!(ran.reports()[0], "child 3.0 failed with Some(410): ERROR_NEGATIVE: negative");
    assert_eq!(ran.status(), 0);
}

#[derive(crate::Inputs)]
struct NoInputs {}

#[derive(crate::Outputs)]
struct NoOutputs {}

/// A chain that looks at a large output long after it came.
#[derive(Default, Serialize, Deserialize)]
struct Late {
    numbers: Child<numbers>,
}

/// Many numbers.
#[crate::calcfunction(name = "test.numbers")]
fn numbers(count: i64) -> Vec<i64> {
    (0..count).collect()
}

#[workchain(name = "test.late")]
impl WorkChain for Late {
    type Inputs = NoInputs;
    type Outputs = NoOutputs;

    fn outline() -> Outline<Self> {
        outline! { launch; idle; if is_large { look; } }
    }
}

impl Late {
    fn launch(&mut self, cx: &mut Cx<Self>) {
        self.numbers = cx.submit(numbers::with(10_000));
    }

    fn idle(&mut self) {}

    fn is_large(&self) -> Result<bool> {
        Ok(self.numbers.outputs()?.value()?.len() > 1000)
    }

    fn look(&mut self) -> Result {
        crate::report!("the last is {}", self.numbers.outputs()?.value()?.last().ok_or("there is none")?);
        Ok(())
    }
}

#[test]
fn large_outputs_can_be_read_in_every_later_step() {
    assert_eq!(testing::call(Draft::<Late>::new()).reports(), ["the last is 9999"]);
}

/// A chain that knows the type of its child by name alone.
#[derive(Default, Serialize, Deserialize)]
struct Named {
    sum: Child<()>,
}

#[workchain(name = "test.named")]
impl WorkChain for Named {
    type Inputs = NoInputs;
    type Outputs = NoOutputs;

    fn outline() -> Outline<Self> {
        outline! { launch; look; }
    }
}

impl Named {
    fn launch(&mut self, cx: &mut Cx<Self>) -> Result {
        let call = add::with(2, 3).into_call("")?;
        self.sum = cx.call(proto::Call { process_type: "test.add".into(), ..call });
        Ok(())
    }

    fn look(&mut self) -> Result {
        crate::report!("{:?}", self.sum.output::<i64>("result")?.map(|sum| sum.value()).transpose()?);
        Ok(())
    }
}

#[test]
fn a_child_may_be_called_by_name() {
    assert_eq!(testing::call(Draft::<Named>::new()).reports(), ["Some(5)"]);
}

fn request(state: Vec<u8>, event: StepEvent) -> StepRequest {
    let nodes = [("rounds", Value::Int(3)), ("wrong", "".into()), ("width", Value::Int(1))];
    let node =
        |(port, value): (&str, Value)| (port.to_owned(), proto::Node { value, ..proto::Node::default() });
    StepRequest {
        process_type: "test.trial".into(),
        process: "p".into(),
        inputs: nodes.into_iter().map(node).collect(),
        state,
        event,
        time: 0,
    }
}

fn take(state: Vec<u8>, event: StepEvent) -> StepReply {
    step::<Trial>(&request(state, event)).map_err(|unable| unable.0).unwrap()
}

fn ended(outputs: BTreeMap<String, proto::Node>) -> Ended {
    Ended {
        uuid: "c".into(),
        state: "finished".into(),
        exit_status: Some(0),
        message: String::new(),
        outputs,
    }
}

/// Returns the state in which the first child is waited for, and its call.
fn waiting() -> (Vec<u8>, String) {
    let mut state = Vec::new();
    for _ in 0..3 {
        let reply = take(state, StepEvent::Continue);
        if let Then::Wait { calls, .. } = reply.then {
            return (reply.state, calls[0].clone());
        }
        state = reply.state;
    }
    panic!("nothing was launched");
}

#[test]
fn the_saved_state_stays_small() {
    let (state, call) = waiting();
    let node = |value: Value| proto::Node { value, ..proto::Node::default() };
    let outputs = [("result", node(5.into())), ("log", node("x".repeat(100_000).as_str().into()))];
    let outputs = outputs.map(|(label, node)| (label.to_owned(), node)).into();
    let children = [(call.clone(), ended(outputs))].into();
    let reply = take(state, StepEvent::Resumed { children, timer: false });
    assert_eq!(reply.position.as_deref(), Some("gather (round 1)"));
    assert!(reply.state.len() < 1000, "{} bytes", reply.state.len());
    // The handle is still there, so the value can be requested from the engine.
    let program = Program::<Trial>::of(Trial::outline());
    let saved = Saved::read(&reply.state, &program).unwrap();
    let chain: Trial = saved.context().unwrap();
    assert!(chain.children[0].is_ok() && chain.children[0].end().is_err());
    assert_eq!(child::wanted(), [call].into());
}

#[test]
fn another_outline_is_refused_by_name() {
    let (state, _) = waiting();
    let program = Program::<Trial>::of(outline_of_another());
    let refused = Saved::read(&state, &program).unwrap_err();
    assert!(refused.starts_with("its outline changed while it ran (it stood at"), "{refused}");
    assert!(refused.contains("`if odd`") && refused.contains("launch it anew"), "{refused}");
}

fn outline_of_another() -> Outline<Trial> {
    Outline::new().step("begin", Trial::begin)
}

#[test]
fn a_loop_without_a_step_is_noticed() {
    let outline = Outline::<Trial>::new().while_(
        Condition::not("never", Trial::never),
        Outline::new().if_(Condition::is("never", Trial::never), outline_of_another(), Outline::new()),
    );
    let program = Program::of(outline);
    let cx = StepCx::of(&request(Vec::new(), StepEvent::Start), 1).unwrap();
    let error = program.next(0, &mut Rounds::new(), &Trial::default(), &cx).err().unwrap();
    assert!(error.to_string().contains("`while !never` goes round without a step"), "{error}");
}

#[test]
fn reports_and_nothing_else_are_kept_of_a_step_that_fails() {
    let mut request = request(Vec::new(), StepEvent::Start);
    request.inputs.get_mut("wrong").unwrap().value = "error".into();
    let first = step::<Trial>(&request).map_err(|unable| unable.0).unwrap();
    request.state = first.state;
    let failed = step::<Trial>(&request).map_err(|unable| unable.0).unwrap();
    assert_eq!(failed.commands, [Command::Report("about to go wrong".into())]);
    assert_eq!(failed.state, request.state);
}

/// The output of version 1, in hexadecimal. A change of the format fails here.
const GOLDEN: &str = include_str!("saved_v1.hex");

#[test]
fn what_version_1_wrote_is_read() {
    let (state, call) = waiting();
    let reply = take(
        state,
        StepEvent::Resumed {
            children: [(
                call,
                ended(
                    [("result".to_owned(), proto::Node { value: 7.into(), ..proto::Node::default() })].into(),
                ),
            )]
            .into(),
            timer: false,
        },
    );
    let hex: String = reply.state.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN.trim(), "the stored format changed: raise its version, and read the old one too");
}

#[test]
fn a_newer_format_is_refused() {
    let (state, _) = waiting();
    let mut newer = state;
    let version = newer.windows(7).position(|word| word == b"version").unwrap() + 7;
    newer[version] = 2;
    let refused = step::<Trial>(&request(newer, StepEvent::Continue));
    let Then::Except(text) = refused.map_err(|unable| unable.0).unwrap().then else { panic!("it went on") };
    assert!(text.contains("newer ferry-plugin (format 2; this plugin reads 1)"), "{text}");
}
