//! Processes that go wrong: their messages, and the continuation of the others.

use std::time::Duration;

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::Value;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("an_output_that_is_not_declared_is_exit_10", an_output_that_is_not_declared_is_exit_10),
    ("an_output_of_another_type_is_exit_10", an_output_of_another_type_is_exit_10),
    ("a_required_output_that_is_missing_is_exit_11", a_required_output_that_is_missing_is_exit_11),
    ("a_child_that_excepts_is_told_to_its_caller", a_child_that_excepts_is_told_to_its_caller),
    ("a_step_that_panics_harms_nobody_else", a_step_that_panics_harms_nobody_else),
    ("missing_and_wrong_inputs_are_told_by_full_name", missing_and_wrong_inputs_are_told_by_full_name),
];

const LIMIT: Duration = Duration::from_secs(240);

fn with_daemon() -> Result<Profile> {
    let ferry = Profile::new()?;
    ferry.ok(&["plugin", "install", text(&plugin("caller_file")?)])?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

fn ended(ferry: &Profile, words: &[&str]) -> Result<Value> {
    ferry.ended(&ferry.submit(words)?, LIMIT)
}

/// Checks that it finished with this exit code, and that its message has all these words.
fn exits(shown: &Value, status: u32, words: &[&str]) -> Result {
    let message = shown["exit_message"].as_str().unwrap_or_default();
    let all = words.iter().all(|word| message.contains(word));
    check(shown["exit_code"] == status && all, || format!("{shown:#}"))
}

fn an_output_that_is_not_declared_is_exit_10() -> Result {
    let ferry = with_daemon()?;
    let shown = ended(&ferry, &["caller.wrong", "x=1", "how=undeclared"])?;
    exits(&shown, 10, &["ERROR_INVALID_OUTPUT", "`numbers.more` is not an output of `caller.wrong`"])?;
    let twice = ended(&ferry, &["caller.wrong", "x=1", "how=twice"])?;
    exits(&twice, 10, &["output `number` is returned twice"])
}

fn an_output_of_another_type_is_exit_10() -> Result {
    let ferry = with_daemon()?;
    let shown = ended(&ferry, &["caller.wrong", "x=1", "how=type"])?;
    exits(&shown, 10, &["ERROR_INVALID_OUTPUT", "output `text`: expected str, got int"])
}

/// Of a workflow and of a calcjob whose parser forgets it.
fn a_required_output_that_is_missing_is_exit_11() -> Result {
    let ferry = with_daemon()?;
    let shown = ended(&ferry, &["caller.wrong", "x=1", "how=missing"])?;
    exits(&shown, 11, &["ERROR_MISSING_OUTPUT", "number"])?;
    let job = ended(&ferry, &["caller.forgets"])?;
    exits(&job, 11, &["ERROR_MISSING_OUTPUT", "number"])
}

/// A workfunction is excepted with its child's words, a workchain ends with the exit code it has for that.
fn a_child_that_excepts_is_told_to_its_caller() -> Result {
    let ferry = with_daemon()?;
    let (huge, fine) = (i64::MAX.to_string(), ferry.submit(&["arithmetic.add_mul", "x=3", "y=4", "z=5"])?);
    let shown = ended(&ferry, &["arithmetic.add_mul", &format!("x={huge}"), "y=1", "z=1"])?;
    let child = shown["called"][0]["id"].to_string();
    let child = ferry.json(&["process", "show", &child])?;
    let (why, told) = (
        child["exit_message"].as_str().unwrap_or_default(),
        shown["exit_message"].as_str().unwrap_or_default(),
    );
    check(child["state"] == "excepted" && !why.is_empty(), || format!("{child:#}"))?;
    let named = told.contains(why) && told.contains("`arithmetic.add`");
    check(shown["state"] == "excepted" && named, || format!("{shown:#}"))?;
    let chain = ended(&ferry, &["arithmetic.multiply_add", &format!("x={huge}"), "y=2", "z=1"])?;
    exits(&chain, 410, &["the multiplication failed", "excepted"])?;
    check(ferry.ended(&fine, LIMIT)?["exit_code"] == 0, || "another one was harmed".into())
}

fn a_step_that_panics_harms_nobody_else() -> Result {
    let ferry = with_daemon()?;
    let fine = ferry.submit(&["caller.both", "x=3"])?;
    let shown = ended(&ferry, &["caller.wrong", "x=1", "how=panic"])?;
    let message = shown["exit_message"].as_str().unwrap_or_default();
    let named = message.contains("it lost its head") && message.contains("wrong.rs");
    check(shown["state"] == "excepted" && named, || format!("{shown:#}"))?;
    check(ferry.ended(&fine, LIMIT)?["outputs"]["sum"]["value"] == 13, || "another one was harmed".into())
}

/// By a workflow inside a workflow as by a user: what was given, what is expected, and all of it at once.
fn missing_and_wrong_inputs_are_told_by_full_name() -> Result {
    let ferry = with_daemon()?;
    let words =
        ["submit", "caller.checked", "m=two", "grid.mesh.from=x", "grid.mesh.points.a=y", "gird.to=1"];
    let told = ferry.ferry(&words)?.expect(2)?.stderr;
    let all = [
        "  n: required, but not given (int)",
        "  m: expected int, got `two`",
        "  grid.mesh.from: expected int, got `x`",
        "  grid.mesh.to: required, but not given (int)",
        "  grid.mesh.points.a: expected float, got `y`",
        "  gird.to: no such input",
    ];
    check(all.iter().all(|line| told.contains(line)), || told)?;
    check(ferry.json(&["process", "list", "-a"])?.as_array().is_some_and(Vec::is_empty), || {
        "one was made".into()
    })
}
