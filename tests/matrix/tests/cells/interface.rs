//! `tests/plugins/caller`: workflows that call types of other plugin files by their interfaces, without their crates; and
//! validators of ports and namespaces in workflows and functions.

use std::{fs, time::Duration};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::Value;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("a_child_of_another_plugin_is_called_by_interface", a_child_of_another_plugin_is_called_by_interface),
    ("a_child_that_changed_is_refused_naming_both", a_child_that_changed_is_refused_naming_both),
    ("an_interface_is_what_the_stubs_were_made_of", an_interface_is_what_the_stubs_were_made_of),
    ("exposed_ports_of_an_interface_are_judged", exposed_ports_of_an_interface_are_judged),
    ("validators_of_nested_namespaces_tell_all_at_once", validators_of_nested_namespaces_tell_all_at_once),
    ("a_function_has_its_spec_from_its_signature", a_function_has_its_spec_from_its_signature),
    ("a_function_gives_several_outputs_or_an_exit_code", a_function_gives_several_outputs_or_an_exit_code),
    ("functions_have_validators_too", functions_have_validators_too),
];

const LIMIT: Duration = Duration::from_secs(240);

fn profile(files: &[&str]) -> Result<Profile> {
    let ferry = Profile::new()?;
    for file in files {
        ferry.ok(&["plugin", "install", text(&plugin(file)?)])?;
    }
    Ok(ferry)
}

/// Returns the message of a submission that is refused.
fn refused(ferry: &Profile, words: &[&str]) -> Result<String> {
    Ok(ferry.ferry(&[&["submit"], words].concat())?.expect(2)?.stderr)
}

/// A workchain (with an exposed calcjob and an exposed workchain), a restart workchain and a workfunction call types of
/// two other files.
fn a_child_of_another_plugin_is_called_by_interface() -> Result {
    let ferry = profile(&["script_file", "caller_file"])?;
    ferry.ok(&["daemon", "start"])?;
    let sums = [
        "caller.sums",
        "job.y=5",
        "terms.a=1",
        "terms.b=2",
        "rounds.rounds=1",
        "rounds.job.metadata.label=deep",
    ];
    let ids = [
        ferry.submit(&sums)?,
        ferry.submit(&["caller.base", "add_job.x=-5", "add_job.y=2"])?,
        ferry.submit(&["caller.square", "x=7"])?,
        ferry.submit(&["caller.sums", "job.y=-5", "terms.a=1"])?,
    ];
    let shown: Vec<Value> = ids.iter().map(|id| ferry.ended(id, LIMIT)).collect::<Result<_>>()?;
    let outputs = &shown[0]["outputs"];
    let ports = ["sums.a", "sums.b", "rounds.last.sum", "rounds.sums.round_1", "rounds.total", "total"];
    let values = ports.map(|port| outputs[port]["value"].as_i64());
    let want = [6, 7, 11, 10, 30, 36].map(Some);
    check(values == want, || format!("{:#}", shown[0]))?;
    let plugins: Vec<&Value> =
        shown[0]["called"].as_array().into_iter().flatten().map(|child| &child["process_type"]).collect();
    check(plugins.len() == 4 && plugins.contains(&&"script.rounds".into()), || format!("{plugins:?}"))?;
    check(shown[1]["outputs"]["sum"]["value"] == 1, || format!("{:#}", shown[1]))?;
    check(shown[2]["outputs"]["result"]["value"] == 49, || format!("{:#}", shown[2]))?;
    // The child's exit code is known by the stub's constant.
    check(shown[3]["exit_code"] == 400, || format!("{:#}", shown[3]))
}

fn a_child_that_changed_is_refused_naming_both() -> Result {
    let ferry = profile(&["caller_file"])?;
    ferry.ok(&["daemon", "start"])?;
    let (stale, absent) = (ferry.submit(&["caller.stale", "x=1"])?, ferry.submit(&["caller.absent", "x=1"])?);
    let excepted = |id: &str, told: &[&str]| {
        let shown = ferry.ended(id, LIMIT)?;
        let message = shown["exit_message"].as_str().unwrap_or_default();
        let all = told.iter().all(|word| message.contains(word));
        check(shown["state"] == "excepted" && all, || format!("{shown:#}"))?;
        check(shown["called"].as_array().is_some_and(Vec::is_empty), || format!("it was launched: {shown:#}"))
    };
    let told = [
        "installed plugin `arithmetic` 0.1.0 is not what plugin `caller` 0.1.0 was built to call",
        "the `arithmetic.multiply_add` of `arithmetic` 0.0.9",
        "input `scale` is gone",
        "input `x` took int or str and takes int",
        "output `result` was float and is int",
        "exit code 499 ERROR_OLD is gone",
        "`ferry plugin interface arithmetic.multiply_add`",
    ];
    excepted(&stale, &told)?;
    excepted(
        &absent,
        &["no process type is called `nowhere.thing`", "plugin `caller` 0.1.0", "plugin `nowhere` 2.1.0"],
    )?;
    let shown = ferry.json(&["plugin", "show", "caller"])?;
    let calls: Vec<&str> =
        shown["calls"].as_array().into_iter().flatten().filter_map(|call| call["name"].as_str()).collect();
    check(calls.contains(&"nowhere.thing") && calls.contains(&"script.rounds"), || format!("{shown:#}"))
}

/// The files in the plugin's crate are those that ferry writes. So the requirement on the child in every
/// other case is real.
fn an_interface_is_what_the_stubs_were_made_of() -> Result {
    let ferry = profile(&["script_file"])?;
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/caller/interfaces");
    let kept = fs::read_to_string(dir.join("arithmetic.add.json")).map_err(|error| error.to_string())?;
    let written = ferry.ok(&["plugin", "interface", "arithmetic.add"])?;
    check(kept.trim() == written, || written)?;
    // Nested, dynamic and exposed ports are all there.
    let rounds = ferry.json(&["plugin", "interface", "script.rounds"])?;
    let (inputs, outputs) = (&rounds["type"]["inputs"]["ports"], &rounds["type"]["outputs"]["ports"]);
    let options =
        &inputs["job"]["namespace"]["ports"]["metadata"]["namespace"]["ports"]["options"]["namespace"];
    let whole = options["dynamic"].is_array()
        && inputs["rounds"]["default"] == 2
        && outputs["sums"]["namespace"]["dynamic"][0] == "int"
        && outputs["last"]["namespace"]["ports"]["sum"]["required"] == true;
    check(whole, || format!("{rounds:#}"))?;
    let plugin = ferry.ferry(&["plugin", "interface", "arithmetic"])?.expect(2)?;
    check(plugin.stderr.contains("arithmetic.add_job"), || plugin.stderr.clone())?;
    let unknown = ferry.ferry(&["plugin", "interface", "arithmetic.ad_job"])?;
    check(unknown.status != 0 && unknown.stderr.contains("did you mean `arithmetic.add_job`?"), || {
        unknown.stderr
    })
}

fn exposed_ports_of_an_interface_are_judged() -> Result {
    let ferry = profile(&["caller_file"])?;
    let words = ["caller.sums", "job.x=1", "rounds.job.sleep=-1", "rounds.rounds=0", "terms.b=x"];
    let told = refused(&ferry, &words)?;
    let all = [
        "job.x: no such input; did you mean `job.y`?",
        "job.y: required, but not given (int)",
        "rounds.job.sleep: must be at least 0, got -1",
        "rounds.rounds: must be at least 1, got 0",
        "terms.b: expected int, got `x`",
    ];
    check(all.iter().all(|line| told.contains(line)), || told)
}

fn validators_of_nested_namespaces_tell_all_at_once() -> Result {
    let ferry = profile(&["caller_file"])?;
    let mesh = [
        "grid.mesh.from=3",
        "grid.mesh.to=1",
        "grid.mesh.points.a=1",
        "grid.mesh.points.bb=1",
        "grid.mesh.points.cc=1",
    ];
    let told = refused(
        &ferry,
        &[&["caller.checked", "n=3", "maybe=5", "grid.again.from=2", "grid.again.to=1"], &mesh[..]].concat(),
    )?;
    let all = [
        "  n: 3 is odd, and must be even",
        "  maybe: 5 is odd, and must be even",
        "  grid.mesh.from: 3 is odd, and must be even",
        "  grid.mesh.points: 3 points, at most 2 are wanted",
        "  grid.mesh.points.a: a name of one letter",
        "  grid.mesh: `from` 3 is not below `to` 1",
        "  grid.again: `from` 2 is not below `to` 1",
    ];
    check(all.iter().all(|line| told.contains(line)), || told)?;
    // A default is judged like what is given; all together only where each is read.
    let good = ["caller.checked", "n=2", "grid.mesh.from=0", "grid.mesh.to=1"];
    check(
        refused(&ferry, &[&good[..], &["maybe=4"]].concat())?.contains("maybe: is the same as `m`"),
        || "taken".into(),
    )?;
    ferry.ok(&["daemon", "start"])?;
    let shown = ferry.ended(&ferry.submit(&good)?, LIMIT)?;
    check(shown["exit_code"] == 0 && shown["outputs"]["n"]["value"] == 2, || format!("{shown:#}"))
}

/// Names, types, defaults, help, and a dynamic namespace for a map.
fn a_function_has_its_spec_from_its_signature() -> Result {
    let ferry = profile(&["caller_file"])?;
    let shown = ferry.json(&["plugin", "show", "caller.parts"])?;
    check(shown["doc"] == "Divides with a rest.\n\nThe rest has the sign of `n`.", || format!("{shown:#}"))?;
    let port = |list: &str, name: &str| {
        let all = shown[list].as_array().into_iter().flatten();
        all.clone().find(|port| port["name"] == name).cloned().unwrap_or_default()
    };
    let (n, by, weights) = (port("inputs", "n"), port("inputs", "by"), port("inputs", "weights"));
    check(n["types"][0] == "int" && n["required"] == true && n["help"] == "What is divided", || {
        format!("{n:#}")
    })?;
    check(by["default"] == 2 && by["required"] == false && by["help"] == "By what", || format!("{by:#}"))?;
    check(weights["dynamic"] == true && weights["types"][0] == "float", || format!("{weights:#}"))?;
    let (rest, weighed) = (port("outputs", "rest"), port("outputs", "weighed"));
    check(rest["types"][0] == "int" && rest["help"] == "What is left" && weighed["dynamic"] == true, || {
        format!("{shown:#}")
    })?;
    check(shown["exit_codes"][0]["label"] == "ERROR_TOO_LARGE", || format!("{shown:#}"))?;
    let one = ferry.json(&["plugin", "show", "arithmetic.add"])?;
    check(one["outputs"][0]["name"] == "result", || format!("{one:#}"))
}

fn a_function_gives_several_outputs_or_an_exit_code() -> Result {
    let ferry = profile(&["caller_file"])?;
    ferry.ok(&["daemon", "start"])?;
    let (fine, large) = (
        ferry.submit(&["caller.parts", "n=7", "weights.half=0.5"])?,
        ferry.submit(&["caller.parts", "n=3", "by=4"])?,
    );
    let shown = ferry.ended(&fine, LIMIT)?;
    let values = ["quotient", "rest", "weighed.half"].map(|port| shown["outputs"][port]["value"].as_f64());
    check(values == [Some(3.0), Some(1.0), Some(1.5)], || format!("{shown:#}"))?;
    // The default is an input like any other.
    check(shown["inputs"]["by"]["value"] == 2, || format!("{shown:#}"))?;
    let shown = ferry.ended(&large, LIMIT)?;
    let message = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["exit_code"] == 410 && message.contains("4 is larger than 3"), || format!("{shown:#}"))
}

fn functions_have_validators_too() -> Result {
    let ferry = profile(&["caller_file"])?;
    let told = |words: &[&str], lines: &[&str]| {
        let told = refused(&ferry, words)?;
        check(lines.iter().all(|line| told.contains(line)), || told)
    };
    told(&["caller.parts", "n=1", "by=0"], &["by: nothing can be divided by 0"])?;
    told(&["caller.parts", "n=-4", "by=-2"], &["both are negative"])?;
    told(&["caller.first", "a=3", "b=3"], &["a: 3 is odd, and must be even", "b: is the same as `a`"])
}
