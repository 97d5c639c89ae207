//! Failure classes that ferry itself determines, and resources that are raised.

use super::*;
use crate::workflow::restart::JobFailure;

#[derive(Default, Serialize, Deserialize)]
struct Patient {
    next: Draft<Run>,
    lost: i64,
}

#[restart(name = "test.patient", child = Run)]
impl Patient {
    #[handler(on(JobFailure::OutOfMemory))]
    fn more_memory(&mut self, run: &Child<Run>) -> Result<Next> {
        assert_eq!(run.failure(), Some(JobFailure::OutOfMemory));
        Ok(match self.next.raise(Resource::Memory, 1.5, 1000) {
            Some(_) => Next::Restart,
            None => Next::Pass,
        })
    }

    #[handler(on(JobFailure::NodeFailure, JobFailure::LostInReboot, JobFailure::Preempted))]
    fn lost(&mut self, run: &Child<Run>) -> Result<Next> {
        assert!(run.failure().is_some_and(JobFailure::is_transient));
        self.lost += 1;
        Ok(if self.lost < 4 { Next::Restart } else { Next::Pass })
    }
}

/// Runs a restart workchain with children that end in these ways, and gives one option of each of them.
fn options<R: Restart<Child = Run> + Process<Inputs = RestartInputs<R>>>(
    ends: &'static [u32],
    option: &str,
    set: impl FnOnce(&mut Draft<R>, &mut Draft<Run>),
) -> (u32, Vec<Option<i64>>) {
    let (mut draft, mut run) = (Draft::<R>::new(), Draft::<Run>::new());
    run.n(0).label("mine");
    set(&mut draft, &mut run);
    draft.child(run);
    let ran = world_of(ends).call(draft);
    let told =
        ran.calls().iter().map(|call| call.options.get(option).and_then(ferry_plugin_proto::Value::as_int));
    (ran.status(), told.collect())
}

#[test]
fn handlers_name_failure_classes_and_raise_resources() {
    let memory = |ends, before: Option<i64>| {
        options::<Patient>(ends, "max_memory_kb", |_, run| {
            before.into_iter().for_each(|kb| drop_ref(run.metadata().option("max_memory_kb", kb)));
        })
    };
    let raised = vec![Some(400), Some(600), Some(900), Some(1000)];
    assert_eq!(memory(&[110, 110, 110, 0], Some(400)), (0, raised.clone()));
    // At the limit, no handler deals with it any more.
    assert_eq!(memory(&[110], Some(400)), (402, raised));
    // Without an earlier request, the limit is requested.
    assert_eq!(memory(&[110, 0], None), (0, vec![None, Some(1000)]));
}

#[test]
fn what_was_lost_is_run_again_with_nothing_changed() {
    let (status, told) = options::<Patient>(&[140, 141, 142, 0], "max_memory_kb", |_, _| ());
    assert_eq!((status, told), (0, vec![None; 4]));
    assert_eq!(options::<Patient>(&[141], "max_memory_kb", |_, _| ()).0, 402);
}

fn escalation(option: &str, limit: i64, factor: f64) -> Json<std::collections::BTreeMap<String, Escalation>> {
    Json([(option.to_owned(), Escalation { limit, factor })].into())
}

#[test]
fn the_input_escalation_raises_what_ran_out_up_to_its_limit() {
    let time = |ends| {
        options::<Base>(ends, "max_wallclock_seconds", |base, run| {
            run.metadata().option("max_wallclock_seconds", 60_i64);
            base.max_iterations(9).handler_overrides(Json(
                [("one_more".to_owned(), Override { enabled: Some(false), priority: None })].into(),
            ));
            base.escalation(escalation("max_wallclock_seconds", 200, 2.0));
        })
    };
    assert_eq!(time(&[120, 120, 120, 0]).1, [Some(60), Some(120), Some(200)]);
    // At the limit it fails as it does without.
    assert_eq!(time(&[120]), (402, vec![Some(60), Some(120), Some(200)]));
    assert_eq!(time(&[120, 0]), (0, vec![Some(60), Some(120)]));
    // The missing resource was memory, which may not be raised.
    assert_eq!(time(&[110]), (402, vec![Some(60)]));
}

#[test]
fn a_handler_that_says_something_comes_before_the_escalation() {
    // `one_more` deals with 120.
    let (status, told) = options::<Base>(&[120, 0], "max_wallclock_seconds", |base, _| {
        base.escalation(escalation("max_wallclock_seconds", 200, 2.0));
    });
    assert_eq!((status, told), (0, vec![None, None]));
}

#[test]
fn a_wrong_escalation_is_refused() {
    let wrong = |option: &'static str, limit, factor| {
        let said = std::panic::catch_unwind(|| {
            options::<Patient>(&[0], "x", |base, _| {
                drop_ref(base.escalation(escalation(option, limit, factor)));
            })
        });
        *said.unwrap_err().downcast::<String>().unwrap()
    };
    assert!(wrong("memory", 5, 2.0).contains("`memory` can't be raised: want max_memory_kb or"));
    assert!(wrong("max_memory_kb", 0, 2.0).contains("limit must be at least 1"));
    assert!(wrong("max_memory_kb", 5, 1.0).contains("factor must be above 1"));
}
