//! `script.run`: a workflow whose input is its program, so that trials of the engine can ask for any shape.
//!
//! ```text
//! script: [{call: a, type: arithmetic.add_job, inputs: {x: 1, y: 2}},
//!          {wait: [a]},
//!          {call: b, type: arithmetic.add_job, inputs: {x: $a.sum, y: 3}},
//!          {wait: [b]},
//!          {return: sum, of: b.sum}]
//! ```
//!
//! A text `$CALL.OUTPUT` among a call's inputs is that output's node. Every operation is a step of its own.

mod base;
mod count;
mod job;
mod moody;
mod rounds;

use std::{collections::BTreeMap, fs::File, io::Write, thread, time::Duration};

use ferry_plugin::{
    AnyOutput, Error, Inputs, Machine, Outputs, Result, Steps, Value, machine,
    proto::{Call, CallInput, Exit, NewNode, StepEvent, Then},
    report,
};
use serde::{Deserialize, Serialize};

/// The program.
#[derive(Inputs)]
pub struct ScriptInputs {
    /// Its operations, in order
    pub script: Vec<Value>,
}

/// The outputs of the script.
#[derive(Outputs)]
pub struct ScriptOutputs {
    /// By the names that the script gave
    pub results: BTreeMap<String, AnyOutput>,
}

/// The position in the script, and the results of its calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Place {
    at: usize,
    /// Times that the present operation was repeated.
    round: u64,
    /// `call.output` -> uuid.
    outputs: BTreeMap<String, String>,
    /// Calls that have ended: their exit status, or nothing.
    ended: BTreeMap<String, Option<u32>>,
}

/// The machine.
pub struct Run;

/// Does what its script says.
#[machine(name = "script.run")]
impl Machine for Run {
    type Inputs = ScriptInputs;
    type Outputs = ScriptOutputs;
    type State = Place;

    fn step(inputs: &ScriptInputs, place: &mut Place, event: &StepEvent, cx: &mut Steps) -> Result<Then> {
        if let StepEvent::Resumed { children, .. } = event {
            for (call, ended) in children {
                place.ended.insert(call.clone(), ended.exit_status);
                for (label, node) in &ended.outputs {
                    place.outputs.insert(format!("{call}.{label}"), node.uuid.clone());
                }
            }
        }
        let Some(operation) = inputs.script.get(place.at) else { return Ok(Then::Finish(None)) };
        cx.position(&format!("operation {}", place.at + 1));
        let then = execute(operation, place, cx)?;
        if !matches!(then, Some(Then::Continue)) {
            place.at += 1;
            place.round = 0;
        }
        Ok(then.unwrap_or(Then::Continue))
    }
}

/// Executes an operation. `Continue` means that the same operation is repeated.
fn execute(operation: &Value, place: &mut Place, cx: &mut Steps) -> Result<Option<Then>> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str);
    let number = |key: &str| operation.get(key).and_then(Value::as_float);
    let until = |seconds: f64| cx.time() + (seconds * 1e6) as i64;
    if let Some(call) = text("call") {
        cx.launch(read_call(call, operation, place)?);
    } else if let Some(Value::List(calls)) = operation.get("wait") {
        let calls = calls.iter().filter_map(|call| call.as_str().map(str::to_owned)).collect();
        let any = operation.get("any") == Some(&Value::Bool(true));
        return Ok(Some(Then::Wait { calls, any, until: number("seconds").map(until) }));
    } else if let Some(seconds) = number("sleep") {
        return Ok(Some(Then::Wait { calls: Vec::new(), any: false, until: Some(until(seconds)) }));
    } else if let Some(steps) = operation.get("steps").and_then(Value::as_int) {
        place.round += 1;
        return Ok((place.round < steps.unsigned_abs()).then_some(Then::Continue));
    } else if let Some(seconds) = number("work") {
        toil(text("mark").ok_or("`work` needs `mark`")?, seconds)?;
    } else if let Some(call) = text("kill") {
        cx.kill(call);
    } else if let Some(label) = text("return") {
        let of = text("of").ok_or("`return` needs `of`")?;
        cx.output(&format!("results.{label}"), node(of, place)?);
    } else if let Some(line) = text("report") {
        report!("{line}");
    } else if let Some(status) = operation.get("exit").and_then(Value::as_int) {
        let status = u32::try_from(status)?;
        Err(Error::exit(Exit {
            status,
            label: "ERROR_SCRIPT".into(),
            message: "as the script said".into(),
        }))?;
    } else if let Some(text) = text("except") {
        Err(text)?;
    } else if let Some(text) = text("panic") {
        panic!("{text}");
    } else if operation.get("abort").is_some() {
        std::process::abort();
    } else {
        Err(format!("no operation: {operation:?}"))?;
    }
    Ok(None)
}

/// Does countable work, which adds a line to `mark` each time and takes this long.
fn toil(mark: &str, seconds: f64) -> Result {
    let mut file = File::options().create(true).append(true).open(mark)?;
    writeln!(file, "once")?;
    thread::sleep(Duration::try_from_secs_f64(seconds)?);
    Ok(())
}

fn read_call(call: &str, operation: &Value, place: &Place) -> Result<Call> {
    let Some(Value::Map(given)) = operation.get("inputs") else { Err("a call needs `inputs`")? };
    let mut inputs = BTreeMap::new();
    for (port, value) in given {
        let input = match value.as_str().and_then(|text| text.strip_prefix('$')) {
            Some(name) => CallInput::Node(node(name, place)?.to_owned()),
            None => CallInput::New(NewNode { value: value.clone(), ..NewNode::default() }),
        };
        inputs.insert(port.clone(), input);
    }
    let text = |key: &str| operation.get(key).and_then(Value::as_str).map(str::to_owned);
    let options = match operation.get("options") {
        Some(Value::Map(options)) => options.clone(),
        _ => BTreeMap::new(),
    };
    Ok(Call {
        call: call.to_owned(),
        process_type: text("type").ok_or("a call needs `type`")?,
        inputs,
        label: text("label").unwrap_or_default(),
        computer: text("computer"),
        options,
        ..Call::default()
    })
}

fn node<'a>(name: &str, place: &'a Place) -> Result<&'a str> {
    Ok(place.outputs.get(name).ok_or_else(|| format!("no call has left `{name}`"))?)
}
