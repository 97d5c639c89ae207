//! Calculations that take over the results of earlier ones: AiiDA's rules, and their explanations.

use std::{fs, time::Duration};

use ferry_matrix::{Profile, Result, check};
use serde_json::Value;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("nothing_is_taken_over_unless_asked", nothing_is_taken_over_unless_asked),
    ("an_equal_job_takes_over_results_and_does_not_run", an_equal_job_takes_over_results_and_does_not_run),
    ("what_results_do_not_depend_on_does_not_count", what_results_do_not_depend_on_does_not_count),
    ("a_failure_is_taken_over_but_no_accident", a_failure_is_taken_over_but_no_accident),
    ("an_invalidated_result_is_left_alone", an_invalidated_result_is_left_alone),
    ("rules_name_types", rules_name_types),
    ("a_workflow_runs_and_what_it_calls_is_taken_over", a_workflow_runs_and_what_it_calls_is_taken_over),
];

/// A profile with a daemon; jobs leave a line each in a file.
struct Bench {
    ferry: Profile,
    marker: String,
}

impl Bench {
    fn new(settings: &[(&str, &str)]) -> Result<Bench> {
        let ferry = Profile::new()?;
        for (key, value) in settings {
            ferry.ok(&["config", "set", key, value])?;
        }
        ferry.ok(&["daemon", "start"])?;
        let marker = ferry.scratch().join("marker").display().to_string();
        Ok(Bench { ferry, marker })
    }

    fn caching() -> Result<Bench> {
        Bench::new(&[("caching.default_enabled", "true")])
    }

    /// Runs a job to its end.
    fn job(&self, words: &[&str]) -> Result<Value> {
        let marker = format!("marker={}", self.marker);
        let id = self.ferry.submit(&[&["arithmetic.add_job", &marker], words].concat())?;
        self.ferry.ended(&id, Duration::from_secs(240))
    }

    /// Returns the number of jobs that have run.
    fn ran(&self) -> usize {
        fs::read_to_string(&self.marker).unwrap_or_default().lines().count()
    }

    fn explained(&self, process: &Value) -> Result<String> {
        self.ferry.ok(&["cache", "explain", &process["id"].to_string()])
    }

    fn runs(&self, expect: usize) -> Result {
        let ran = self.ran();
        check(ran == expect, || format!("{ran} jobs ran, not {expect}"))
    }
}

fn is_taken(process: &Value, from: &Value) -> Result {
    let fine = process["cached_from"] == from["uuid"] && process["exit_code"] == from["exit_code"];
    check(fine && process["job_id"].is_null(), || format!("did not take over: {process:#}"))
}

fn is_own(process: &Value) -> Result {
    check(process["cached_from"].is_null() && !process["job_id"].is_null(), || {
        format!("took over: {process:#}")
    })
}

fn nothing_is_taken_over_unless_asked() -> Result {
    let bench = Bench::new(&[])?;
    bench.job(&["x=1", "y=2"])?;
    let second = bench.job(&["x=1", "y=2"])?;
    is_own(&second)?;
    bench.runs(2)?;
    let told = bench.explained(&second)?;
    check(told.contains("does not ask") && told.contains("caching.default_enabled"), || told.clone())?;
    check(told.contains("has the same: nothing is against"), || told)
}

fn an_equal_job_takes_over_results_and_does_not_run() -> Result {
    let bench = Bench::caching()?;
    let first = bench.job(&["x=2", "y=3"])?;
    is_own(&first)?;
    let second = bench.job(&["x=2", "y=3"])?;
    is_taken(&second, &first)?;
    bench.runs(1)?;
    let sum = |process: &Value| process["outputs"]["sum"].clone();
    check(sum(&second)["value"] == 5 && sum(&second)["id"] != sum(&first)["id"], || format!("{second:#}"))?;
    for output in ["remote_folder", "retrieved"] {
        check(!second["outputs"][output].is_null(), || format!("no {output}: {second:#}"))?;
    }
    let id = second["id"].to_string();
    let stdout = bench.ferry.ok(&["calcjob", "outputcat", &id, "add.out"])?;
    check(stdout == "5", || format!("add.out has `{stdout}`"))?;
    let report = bench.ferry.ok(&["process", "report", &id])?;
    check(report.contains("took over the results of process"), || report)?;
    check(bench.explained(&second)?.contains("took over the results of process"), || "not told".into())?;

    // Processes that took over results may be sources too, but the one that ran comes first; a user's choice
    // has priority.
    is_taken(&bench.job(&["x=2", "y=3"])?, &first)?;
    let own = bench.job(&["x=2", "y=3", "--no-cache"])?;
    is_own(&own)?;
    check(bench.explained(&own)?.contains("--no-cache"), || "not told".into())?;
    bench.ferry.ok(&["storage", "check", "--full"])?;

    // Other inputs, other results; what differs is named.
    let other = bench.job(&["x=2", "y=4"])?;
    is_own(&other)?;
    let told = bench.explained(&other)?;
    check(told.contains("comes closest, and differs in\n  inputs.y: "), || told)
}

fn what_results_do_not_depend_on_does_not_count() -> Result {
    let bench = Bench::caching()?;
    let first = bench.job(&["x=1", "y=1", "--label", "first"])?;
    let words = ["x=1", "y=1", "--label", "second", "--option", "max_wallclock_seconds=99"];
    is_taken(&bench.job(&words)?, &first)?;
    // A variable may change what a program does.
    is_own(&bench.job(&["x=1", "y=1", "--option", "environment_variables.A=1"])?)?;
    bench.runs(2)
}

fn a_failure_is_taken_over_but_no_accident() -> Result {
    let bench = Bench::caching()?;
    let failed = bench.job(&["x=1", "y=-2"])?;
    check(failed["exit_code"] == 410, || format!("{failed:#}"))?;
    is_taken(&bench.job(&["x=1", "y=-2"])?, &failed)?;
    bench.runs(1)?;

    // A cancelled job shows nothing about its inputs.
    let marker = format!("marker={}", bench.marker);
    let id = bench.ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "sleep=60", &marker])?;
    bench.ferry.ok(&["process", "kill", &id])?;
    let killed = bench.ferry.ended(&id, Duration::from_secs(240))?;
    check(killed["state"] == "killed", || format!("{killed:#}"))?;
    let id = bench.ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "sleep=60", &marker])?;
    let told = bench.ferry.ok(&["cache", "explain", &id])?;
    bench.ferry.ok(&["process", "kill", &id])?;
    check(told.contains("it is killed, and only a finished one has results"), || told)
}

fn an_invalidated_result_is_left_alone() -> Result {
    let bench = Bench::caching()?;
    let first = bench.job(&["x=4", "y=4"])?;
    let id = first["id"].to_string();
    bench.ferry.ok(&["cache", "invalidate", &id])?;
    let second = bench.job(&["x=4", "y=4"])?;
    is_own(&second)?;
    check(bench.explained(&second)?.contains("a user has forbidden its reuse"), || "not told".into())?;
    bench.ferry.ok(&["cache", "invalidate", &second["id"].to_string()])?;
    bench.ferry.ok(&["cache", "validate", &id])?;
    is_taken(&bench.job(&["x=4", "y=4"])?, &first)
}

fn rules_name_types() -> Result {
    let bench = Bench::new(&[
        ("caching.enabled_for", "arithmetic.*"),
        ("caching.disabled_for", "arithmetic.add_job"),
    ])?;
    bench.job(&["x=1", "y=1"])?;
    is_own(&bench.job(&["x=1", "y=1"])?)?;
    let run = || -> Result<Value> {
        let id = bench.ferry.submit(&["arithmetic.add", "x=1", "y=1"])?;
        bench.ferry.ended(&id, Duration::from_secs(240))
    };
    let first = run()?;
    is_taken(&run()?, &first)?;
    let answer = bench.ferry.ferry(&["config", "set", "caching.default_enabled", "perhaps"])?;
    answer.expect(2)?.says(&["true or false", "perhaps"])?;
    let answer = bench.ferry.ferry(&["cache", "explain", "99999"])?;
    answer.expect(1)?.says(&["99999"]).map(drop)
}

/// Only calculations are taken over: the workflow itself runs, and its calculations are nodes of their own.
fn a_workflow_runs_and_what_it_calls_is_taken_over() -> Result {
    let bench = Bench::caching()?;
    let run = || {
        let id = bench.ferry.submit(&["arithmetic.multiply_add", "x=2", "y=3", "z=4"])?;
        bench.ferry.ended(&id, Duration::from_secs(240))
    };
    let (first, second) = (run()?, run()?);
    let of = |shown: &Value, call: usize| -> Result<Value> {
        bench.ferry.json(&["process", "show", &shown["called"][call]["id"].to_string()])
    };
    check(second["cached_from"].is_null() && second["outputs"]["result"]["value"] == 10, || {
        format!("{second:#}")
    })?;
    for call in 0..2 {
        let (source, taken) = (of(&first, call)?, of(&second, call)?);
        let clones = taken["uuid"] != source["uuid"] && taken["outputs"] != source["outputs"];
        check(taken["cached_from"] == source["uuid"] && clones, || format!("{taken:#}"))?;
    }
    Ok(())
}
