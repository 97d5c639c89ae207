//! Every style of workflow, through a death of the daemon at each of its steps: before the commit of a step and after
//! it. Whatever dies, the graph is the same, node by node, and each job ran once. What lies on a computer between two
//! steps is the business of `sweep`, whose parent is the fourth style, a machine.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::Value;

use crate::{
    Case,
    chaos::{is_alive, runs},
    sweep,
};

pub(crate) const CASES: &[Case] = &[
    ("a_workchain_survives_a_death_at_any_step", || survives(&WORKCHAIN)),
    ("a_restart_workchain_survives_a_death_at_any_step", || survives(&RESTART)),
    ("a_workfunction_survives_a_death_at_any_step", || survives(&WORKFUNCTION)),
];

/// Deaths that are tried beside one another: they mostly wait.
const LANES: usize = 4;

/// A workflow that is run.
struct Style {
    plugin: &'static str,
    /// Arguments of the submission; `MARK` is a file to which each job adds a line.
    words: &'static [&'static str],
    /// Steps that it takes, including those of the workflows that it calls.
    steps: usize,
    /// Steps more that it may take where some are taken twice.
    more: usize,
    jobs: usize,
}

/// A loop of calcjobs, calcfunctions and a workchain inside.
const WORKCHAIN: Style = Style {
    plugin: "script_file",
    words: &["script.rounds", "job.sleep=0.05", "job.marker=MARK"],
    steps: 15,
    more: 0,
    jobs: 4,
};

/// Two iterations of a calcjob, the first of which fails and is mended.
const RESTART: Style = Style {
    plugin: "script_file",
    words: &["script.base", "add_job.x=-3", "add_job.y=2", "add_job.sleep=0.05", "add_job.marker=MARK"],
    steps: 6,
    more: 1,
    jobs: 2,
};

/// A calcjob beside a calcfunction, and another calcfunction after both.
const WORKFUNCTION: Style = Style {
    plugin: "caller_file",
    words: &["caller.both", "x=3", "job.sleep=0.05", "job.marker=MARK"],
    steps: 4,
    more: 1,
    jobs: 1,
};

fn survives(style: &Style) -> Result {
    let (want, _) = tell(style, None)?;
    let places = ["step.worked", "step.stored"];
    let passages = style.steps + style.more;
    let deaths: Vec<String> =
        places.iter().flat_map(|place| (1..=passages).map(move |count| format!("{place}:{count}"))).collect();
    let (left, failures, died) = (Mutex::new(deaths.iter()), Mutex::new(Vec::new()), Mutex::new(0));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(death) = next() {
                    let outcome = tell(style, Some(death)).and_then(|(graph, has_died)| {
                        *died.lock().unwrap_or_else(PoisonError::into_inner) += usize::from(has_died);
                        check(graph == want, || {
                            format!("another graph: {graph:#}\nwithout the death: {want:#}")
                        })
                    });
                    if let Err(error) = outcome {
                        let text = format!("FERRY_CRASH_AT={death}: {error}");
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    check(failures.is_empty(), || failures.join("\n\n"))?;
    let died = died.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Some passages come only with luck: where steps are taken again, there are more of them.
    check(died >= style.steps, || format!("only {died} of {} deaths happened", deaths.len()))
}

/// Runs the workflow with a daemon that dies at a place; the graph that comes of it, and whether it died.
fn tell(style: &Style, place: Option<&str>) -> Result<(Value, bool)> {
    let ferry = Profile::unbounded()?;
    ferry.ok(&["plugin", "install", text(&plugin(style.plugin)?)])?;
    ferry.ok(&["computer", "configure", "localhost", "-n", "--poll-interval", "0.3"])?;
    ferry.ok(&["daemon", "stop"])?;
    let mut start = ferry.command(&["daemon", "start"]);
    start.envs(place.map(|place| ("FERRY_CRASH_AT", place)));
    Profile::run(start)?;
    let worker = ferry.daemon().ok().map(|(pid, _)| pid);
    let marker = ferry.scratch().join("marks");
    let words: Vec<String> = style.words.iter().map(|word| word.replace("MARK", text(&marker))).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let id = sweep::launch(&ferry, "tree", &words)?;
    sweep::end(&ferry)?;
    let died = worker.is_none_or(|pid| !is_alive(pid));
    check(runs(&marker) == style.jobs, || format!("{} runs of {} jobs", runs(&marker), style.jobs))?;
    let shown = ferry.json(&["process", "show", &id])?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    ferry.ok(&["daemon", "stop"])?;
    ferry.ferry(&["storage", "check", "--full"])?.expect(0)?;
    Ok((sweep::graph(&ferry, &id)?, died))
}
