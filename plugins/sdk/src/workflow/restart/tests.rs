//! The cases of AiiDA's own tests of `BaseRestartWorkChain`, one by one.

mod failures;

use std::cell::Cell;

use ferry_plugin_macros::{calcjob, restart};
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    error::Error,
    ports::scalars::Json,
    testing::{self, Ran, failing},
    workflow::workchain::Child,
};

#[derive(crate::Inputs)]
struct RunInputs {
    n: i64,
    label: Option<String>,
}

#[derive(crate::Outputs)]
struct RunOutputs {
    n: i64,
}

#[derive(crate::ExitCodes)]
enum RunExit {
    #[exit(400, "mended by one more")]
    OneMore,
    #[exit(410, "good enough")]
    GoodEnough,
    #[exit(420, "hopeless")]
    Hopeless,
    #[exit(430, "nobody knows this")]
    Unknown,
}

struct Run;

#[calcjob(name = "test.restarted")]
impl crate::process::calcjob::CalcJob for Run {
    type Inputs = RunInputs;
    type Outputs = RunOutputs;
    type Exit = RunExit;

    fn prepare(_: &RunInputs, _: &mut crate::process::job::Job) -> Result {
        Ok(())
    }

    fn parse(_: &RunInputs, _: &crate::process::finished::Finished, _: &mut RunOutputsDraft) -> Result {
        Ok(())
    }
}

#[derive(crate::ExitCodes)]
enum BaseExit {
    #[exit(500, "given up at {n}")]
    GivenUp { n: i64 },
}

#[derive(Default, Serialize, Deserialize)]
struct Base {
    next: Draft<Run>,
    n: i64,
}

/// Runs it until it is satisfied.
#[restart(name = "test.base", child = Run, exit = BaseExit)]
impl Base {
    #[setup]
    fn begin(&mut self) -> Result {
        self.next.label("mine");
        Ok(())
    }

    #[handler(priority = 10, on(RunExit::OneMore, 120))]
    fn one_more(&mut self, _: &Child<Run>) -> Result<Next> {
        self.n += 1;
        self.next.n(self.n);
        Ok(Next::Restart)
    }

    #[handler(priority = 500)]
    fn look(&mut self, run: &Child<Run>) -> Result<Next> {
        crate::report!("looked: {}", run.in_words());
        Ok(Next::Pass)
    }

    #[handler(on(RunExit::GoodEnough))]
    fn accept(&mut self, _: &Child<Run>) -> Result<Next> {
        Ok(Next::Done)
    }

    #[handler(on(RunExit::Hopeless))]
    fn give_up(&mut self, _: &Child<Run>) -> Result<Next> {
        Err(BaseExit::GivenUp { n: self.n })?
    }

    #[handler(priority = 1000, enabled = false)]
    fn once_more(&mut self, run: &Child<Run>) -> Result<Next> {
        // Also of a child that succeeded.
        Ok(if run.is_ok() && self.n < 2 { Next::RestartNow } else { Next::Pass }).inspect(|_| self.n += 1)
    }
}

/// Runs it with children that end in these ways, one after the other; the last is repeated.
fn run(ends: &'static [u32], set: impl FnOnce(&mut RestartInputsDraft<Base>)) -> Ran<Base> {
    let mut draft = Draft::<Base>::new();
    let mut run = Draft::<Run>::new();
    run.n(0);
    draft.child(run);
    set(&mut draft);
    world_of(ends).call(draft)
}

/// Returns a world where children end in these ways, one after the other; the last is repeated.
fn world_of(ends: &'static [u32]) -> testing::World {
    let count = Cell::new(0);
    // Each step is taken twice, but children are launched once.
    let end = move |run: RunInputs| {
        assert_eq!(run.label.as_deref(), Some("mine"));
        let status = ends[count.get().min(ends.len() - 1)];
        count.set(count.get() + 1);
        let outputs = RunOutputs { n: run.n };
        let error: Error = match status {
            400 => RunExit::OneMore.into(),
            410 => RunExit::GoodEnough.into(),
            420 => RunExit::Hopeless.into(),
            430 => RunExit::Unknown.into(),
            1 => "a bug".into(),
            100..200 => Error::exit(ferry_plugin_proto::Exit { status, ..told() }),
            _ => return Ok(outputs),
        };
        Err(failing(outputs, error))
    };
    // One order of events: the ends are counted.
    testing::world().seeds(0..1).fake::<Run, _>(move |run| Settled(end(run)))
}

fn told() -> ferry_plugin_proto::Exit {
    ferry_plugin_proto::Exit { status: 0, label: "ERROR_OF_THE_JOB".into(), message: "it failed".into() }
}

/// Outputs, or outputs beside an error.
struct Settled(std::result::Result<RunOutputs, testing::Failing<RunOutputs>>);

impl crate::process::calcfunction::Returned for Settled {
    type Nodes = RunOutputsNodes;

    fn namespace() -> ferry_plugin_proto::Namespace {
        <RunOutputs as crate::ports::output::Outputs>::namespace()
    }

    fn emit(self, set: &mut crate::ports::output::OutputSet) -> Result {
        match self.0 {
            Ok(outputs) => outputs.emit(set),
            Err(failing) => failing.emit(set),
        }
    }
}

/// Returns the exit status and the number of iterations.
fn gist(ran: &Ran<Base>) -> (u32, usize) {
    (ran.status(), ran.calls().len())
}

#[test]
fn handlers_are_found_by_their_attribute_with_what_it_says() {
    let found = Base::handlers();
    let told: Vec<_> =
        found.iter().map(|handler| (handler.name, handler.priority, handler.enabled)).collect();
    let expect = [
        ("one_more", 10, true),
        ("look", 500, true),
        ("accept", 0, true),
        ("give_up", 0, true),
        ("once_more", 1000, false),
    ];
    assert_eq!(told, expect);
    assert_eq!((found[0].on, found[1].on), (&[400, 120][..], &[][..]));
}

#[test]
fn the_flag_of_an_unhandled_failure_is_reset_by_a_success() {
    let played = run(&[430, 0, 430, 0], |given| {
        let on = Override { enabled: Some(true), priority: None };
        given.on_unhandled_failure("restart_once");
        given.handler_overrides(Json::<std::collections::BTreeMap<_, _>>(
            [("once_more".to_owned(), on)].into(),
        ));
    });
    assert_eq!(gist(&played), (0, 4));
}

#[test]
fn a_success_is_handed_on() {
    let played = run(&[0], |_| ());
    assert_eq!((gist(&played), played.output::<i64>("n").ok()), ((0, 1), Some(0)));
    assert_eq!(played.calls()[0].link_label, "iteration_01");
    let told = [
        "launched test.restarted, iteration 1",
        "looked: finished with exit status 0",
        "completed after 1 iterations",
    ];
    assert_eq!(played.reports(), told);
}

#[test]
fn a_handled_failure_is_run_again() {
    let played = run(&[400, 400, 0], |_| ());
    assert_eq!((gist(&played), played.output::<i64>("n").ok()), ((0, 3), Some(2)));
    assert_eq!(played.positions()[1..3], ["run (round 1)", "inspect (round 1)"]);
    assert_eq!(played.calls()[2].link_label, "iteration_03");
}

#[test]
fn too_many_iterations_are_401() {
    assert_eq!(gist(&run(&[400], |_| ())), (401, 5));
    assert_eq!(gist(&run(&[400], |given| drop_ref(given.max_iterations(2)))), (401, 2));
}

fn drop_ref<T>(_: &mut T) {}

#[test]
fn a_pause_grants_as_many_iterations_again() {
    let played = run(&[400, 400, 400, 0], |given| {
        given.max_iterations(2).pause_on_max_iterations(true);
    });
    assert_eq!((gist(&played), played.pauses().len()), ((0, 4), 1));
    assert!(played.pauses()[0].contains("2 iterations were not enough"), "{:?}", played.pauses());
}

#[test]
fn an_exception_is_301() {
    let played = run(&[1], |_| ());
    assert_eq!(gist(&played), (301, 1));
    assert!(played.in_words().contains("a bug"));
}

#[test]
fn a_handler_ends_it_with_an_exit_code_or_accepts_the_results() {
    assert_eq!(gist(&run(&[400, 420], |_| ())), (500, 2));
    let accepted = run(&[410], |_| ());
    assert_eq!((gist(&accepted), accepted.output::<i64>("n").ok()), ((0, 1), Some(0)));
}

#[test]
fn an_unhandled_failure_is_dealt_with_as_the_input_says() {
    let with = |policy: &'static str, ends| run(ends, |given| drop_ref(given.on_unhandled_failure(policy)));
    assert_eq!(gist(&run(&[430], |_| ())), (402, 1));
    assert_eq!(gist(&with("restart_once", &[430, 0])), (0, 2));
    assert_eq!(gist(&with("restart_once", &[430, 430])), (402, 2));
    // A handled failure in between restarts the count.
    assert_eq!(gist(&with("restart_once", &[430, 400, 430, 0])), (0, 4));
    let paused = with("pause", &[430, 0]);
    assert_eq!((gist(&paused), paused.pauses().len()), ((0, 2), 1));
    let paused = with("restart_and_pause", &[430, 430, 430, 0]);
    assert_eq!((gist(&paused), paused.pauses().len()), ((0, 4), 1));
}

#[test]
fn handlers_are_asked_by_priority_and_can_be_overridden() {
    let overrides = |text: &'static [(&'static str, Override)]| {
        move |given: &mut RestartInputsDraft<Base>| {
            let all = text.iter().map(|(name, said)| ((*name).to_owned(), *said)).collect();
            given.handler_overrides(Json::<std::collections::BTreeMap<_, _>>(all));
        }
    };
    const OFF: Override = Override { enabled: Some(false), priority: None };
    const ON: Override = Override { enabled: Some(true), priority: None };
    const LAST: Override = Override { enabled: None, priority: Some(-1) };
    assert_eq!(gist(&run(&[400], overrides(&[("one_more", OFF)]))), (402, 1));
    // `once_more` runs a child again that succeeded, and is first.
    let again = run(&[0], overrides(&[("once_more", ON)]));
    assert_eq!(gist(&again), (0, 3));
    let looked =
        |played: &Ran<Base>| played.reports().iter().filter(|line| line.starts_with("looked")).count();
    assert_eq!(looked(&again), 1, "whoever restarts now, has nobody asked after it");
    let last = run(&[0], overrides(&[("once_more", Override { enabled: Some(true), ..LAST })]));
    assert_eq!((gist(&last), looked(&last)), ((0, 3), 3));
    let refused = std::panic::catch_unwind(|| run(&[0], overrides(&[("one_mroe", OFF)])));
    let refused = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(
        refused.contains("no handler `one_mroe`; there are: one_more, look, accept, give_up, once_more"),
        "{refused}"
    );
}

#[test]
fn the_manifest_has_the_child_s_ports_and_the_exit_codes() {
    let manifest = testing::manifest("ferry_plugin");
    let base = manifest.types.iter().find(|ty| ty.name == "test.base").unwrap();
    assert!(base.inputs.ports["run"].namespace.as_ref().unwrap().ports["n"].required);
    assert_eq!(base.inputs.ports["max_iterations"].default, Some(5.into()));
    assert_eq!(base.outputs.ports["n"].types, ["int"]);
    let statuses: Vec<u32> = base.exit_codes.iter().map(|exit| exit.status).collect();
    assert_eq!(statuses, [301, 302, 401, 402, 500]);
    assert_eq!(base.doc, "Runs it until it is satisfied.");
}
