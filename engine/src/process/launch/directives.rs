//! Header lines that no job may have, reported before a process is created: in the options, the codes and the
//! computer.

use ferry_plugin_proto::{Kind, Problem, Value};

use super::{examine::Examined, problem};
use crate::{
    owner::Context,
    scheduler::{Scheduler, Texts},
};

/// Returns problems for the texts of a launch with directives that the scheduler does not allow. A computer or
/// scheduler that does not exist is reported elsewhere.
pub(super) fn refused(cx: &Context, examined: &Examined) -> Vec<Problem> {
    if examined.process_type.kind != Kind::CalcJob || examined.imported {
        return Vec::new();
    }
    let computer = examined.computer.as_deref().and_then(|label| cx.store.computer(label).ok());
    let Some(config) = computer.map(|row| row.config) else { return Vec::new() };
    let Ok(scheduler) = cx.scheduler(&config) else { return Vec::new() };
    let options = &examined.options;
    let own = [
        ("metadata.computer", Texts { prepend: &config.prepend_text, ..Texts::default() }),
        (
            "metadata.options.custom_scheduler_commands",
            Texts { custom: &options.custom_scheduler_commands, ..Texts::default() },
        ),
        ("metadata.options.prepend_text", Texts { prepend: &options.prepend_text, ..Texts::default() }),
    ];
    let codes = examined.resolved.iter().filter(|(_, input)| input.data_type == "code");
    let codes = codes.filter_map(|(port, input)| {
        let text = input.value.get("prepend_text").and_then(Value::as_str)?;
        Some((port.as_str(), Texts { prepend: text, ..Texts::default() }))
    });
    own.into_iter().chain(codes).filter_map(|(port, texts)| judge(&*scheduler, port, &texts)).collect()
}

fn judge(scheduler: &dyn Scheduler, port: &str, texts: &Texts<'_>) -> Option<Problem> {
    texts.check(scheduler).err().map(|error| problem(port, error.explained()))
}
