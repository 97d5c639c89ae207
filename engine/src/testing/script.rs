//! `script.run`: a workflow whose input is its program. It has the operations of the test plugin of that name, in
//! plain code.
//!
//! ```text
//! script: [{call: a, type: sim.job, inputs: {value: 1}}, {wait: [a]},
//!          {call: b, type: sim.add, inputs: {x: $a.sum, y: 3}}, {wait: [b]}, {return: sum, of: b.sum}]
//! ```
//!
//! Also `{sleep: seconds}`, `{wait: [a, b], any: true}` and `{exit: status}`. Every operation is one step.

use std::collections::BTreeMap;

use ferry_plugin_proto::{
    Call, CallInput, Command, Exit, NewNode, StepEvent, StepReply, StepRequest, Then, Value, decode, encode,
};
use serde::{Deserialize, Serialize};

/// The position in the script, and the outputs of its calls.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    at: usize,
    /// `call.output` -> uuid.
    outputs: BTreeMap<String, String>,
}

/// Takes one step.
pub(super) fn step(request: &StepRequest) -> StepReply {
    let mut place = match request.state.as_slice() {
        [] => Place::default(),
        bytes => decode(bytes).unwrap_or_default(),
    };
    if let StepEvent::Resumed { children, .. } = &request.event {
        for (call, ended) in children {
            let outputs = ended.outputs.iter();
            place.outputs.extend(outputs.map(|(label, node)| (format!("{call}.{label}"), node.uuid.clone())));
        }
    }
    let mut commands = Vec::new();
    let script = request.inputs.get("script").map(|node| &node.value);
    let operation = match script {
        Some(Value::List(script)) => script.get(place.at),
        _ => None,
    };
    place.at += 1;
    let then = match operation {
        None => Then::Finish(None),
        Some(operation) => {
            execute(operation, &place, request.time, &mut commands).unwrap_or_else(Then::Except)
        }
    };
    let position = Some(format!("operation {}", place.at));
    StepReply { state: encode(&place), commands, then, position }
}

fn execute(operation: &Value, place: &Place, now: i64, commands: &mut Vec<Command>) -> Result<Then, String> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str);
    let number = |key: &str| operation.get(key).and_then(Value::as_int);
    if let Some(call) = text("call") {
        commands.push(Command::Launch(Box::new(read_call(call, operation, place)?)));
    } else if let Some(Value::List(calls)) = operation.get("wait") {
        let calls = calls.iter().filter_map(|call| call.as_str().map(str::to_owned)).collect();
        let any = operation.get("any") == Some(&Value::Bool(true));
        return Ok(Then::Wait { calls, any, until: None });
    } else if let Some(seconds) = number("sleep") {
        return Ok(Then::Wait { calls: Vec::new(), any: false, until: Some(now + seconds * 1_000_000) });
    } else if let Some(label) = text("return") {
        let node = node(text("of").unwrap_or_default(), place)?;
        commands.push(Command::Output { label: format!("results.{label}"), node });
    } else if let Some(status) = number("exit") {
        let status = u32::try_from(status).map_err(|error| error.to_string())?;
        let message = "as the script said".into();
        return Ok(Then::Finish(Some(Exit { status, label: "ERROR_SCRIPT".into(), message })));
    } else {
        return Err(format!("no operation: {operation:?}"));
    }
    Ok(Then::Continue)
}

fn read_call(call: &str, operation: &Value, place: &Place) -> Result<Call, String> {
    let Some(Value::Map(given)) = operation.get("inputs") else { return Err("a call needs `inputs`".into()) };
    let mut inputs = BTreeMap::new();
    for (port, value) in given {
        let input = match value.as_str().and_then(|text| text.strip_prefix('$')) {
            Some(name) => CallInput::Node(node(name, place)?),
            None => CallInput::New(NewNode { value: value.clone(), ..NewNode::default() }),
        };
        inputs.insert(port.clone(), input);
    }
    let text = |key: &str| operation.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(Call {
        call: call.to_owned(),
        process_type: text("type").ok_or("a call needs `type`")?,
        inputs,
        computer: text("computer"),
        ..Call::default()
    })
}

fn node(name: &str, place: &Place) -> Result<String, String> {
    place.outputs.get(name).cloned().ok_or_else(|| format!("no call has left `{name}`"))
}
