//! The examination of a launch: its meaning and all its problems, as far as they can be found without running a
//! plugin.

use std::collections::{BTreeMap, BTreeSet};

use ferry_plugin_proto::{Kind, Problem, ProcessType, Value};

use super::{
    Calling, Launch, Metadata, problem,
    resolve_inputs::{Resolved, resolve_inputs},
    whole,
};
use crate::{
    spec::{
        MONITORS, Options, Parser, Watcher, find_type, flatten,
        import::FOLDER,
        input_ports,
        interface::find_called_type,
        is_monitor,
        monitors::read_monitors,
        ports::{find_pinned_type, lookup, offering},
        stash::check_unstash,
    },
    store::{PluginRow, Reader, label_problem},
};

/// A launch that was examined without running the plugin.
pub(crate) struct Examined {
    pub(crate) plugin: PluginRow,
    pub(crate) process_type: ProcessType,
    pub(crate) resolved: BTreeMap<String, Resolved>,
    pub(crate) computer: Option<String>,
    pub(crate) options: Options,
    /// The parser, if it is not the type's own.
    pub(super) parser: Option<Parser>,
    /// True if a finished run is only imported.
    pub(crate) imported: bool,
    /// The monitors of its job.
    pub(super) watchers: Vec<Watcher>,
    pub(super) problems: Vec<Problem>,
}

pub(super) fn examine(
    reader: &Reader,
    launch: &Launch,
    calling: Option<&Calling<'_>>,
) -> Result<Examined, Vec<Problem>> {
    let found = match calling {
        Some(calling) => find_called_type(reader, &launch.process_type, calling.plugin, calling.pins),
        None => find_type(reader, &launch.process_type),
    };
    let (plugin, process_type) = found.map_err(whole)?;
    if process_type.kind == Kind::Unknown {
        return Err(whole(format!(
            "`{}` is a {}, which this version of ferry can't run yet",
            process_type.name,
            process_type.kind.as_str()
        )));
    }
    let mut problems = Vec::new();
    let link_label = calling.and_then(|calling| label_problem(&calling.label));
    problems.extend(link_label.map(|message| problem("metadata.call_link_label", message)));
    let ports = input_ports(&process_type);
    let imported = launch.inputs.contains_key(FOLDER) && is_import_port(&process_type);
    let resolved = resolve_inputs(reader, &plugin.digest, &ports, launch, imported, &mut problems);
    let computer =
        choose_computer(reader, &process_type, &launch.metadata, &resolved, imported, &mut problems);
    let said = process_type.options.iter().chain(&launch.metadata.options);
    let said: BTreeMap<String, Value> = said.map(|(key, value)| (key.clone(), value.clone())).collect();
    let options = Options::read(&said, &mut problems);
    let parser = choose_parser(reader, &process_type, &options, &resolved, calling, &mut problems);
    let inputs = resolved.values().map(|input| (input.data_type.as_str(), input.computer.as_deref()));
    let watchers = examine_monitors(reader, &process_type, &resolved, calling, &mut problems);
    problems.extend(check_unstash(options.unstash.as_ref(), inputs, computer.as_deref()));
    if process_type.kind != Kind::CalcJob && !launch.metadata.options.is_empty() {
        problems.push(problem("metadata.options", "only a calcjob has options"));
    }
    Ok(Examined { plugin, process_type, resolved, computer, options, parser, imported, watchers, problems })
}

/// Returns whether the input `remote_folder` means an import. It does if the type has no such port of its own.
fn is_import_port(process_type: &ProcessType) -> bool {
    process_type.kind == Kind::CalcJob && lookup(&flatten(&process_type.inputs), FOLDER).is_none()
}

fn choose_parser(
    reader: &Reader,
    process_type: &ProcessType,
    options: &Options,
    resolved: &BTreeMap<String, Resolved>,
    calling: Option<&Calling<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Parser> {
    let name = options.parser_name.as_deref()?;
    if name == process_type.name || process_type.aliases.iter().any(|alias| alias == name) {
        return None;
    }
    let found = match calling {
        Some(calling) => find_pinned_type(reader, name, calling.pins),
        None => find_type(reader, name),
    };
    let given = resolved.iter().map(|(port, input)| (port.as_str(), input.data_type.as_str())).collect();
    Parser::choose(found, &given).map_err(|problem| problems.push(problem)).ok()
}

fn examine_monitors(
    reader: &Reader,
    process_type: &ProcessType,
    resolved: &BTreeMap<String, Resolved>,
    calling: Option<&Calling<'_>>,
    problems: &mut Vec<Problem>,
) -> Vec<Watcher> {
    if process_type.kind != Kind::CalcJob || !resolved.keys().any(|name| is_monitor(name)) {
        return Vec::new();
    }
    let inputs = resolved.iter().map(|(name, input)| (name.as_str(), &input.value));
    match offering(reader, calling.map(|calling| calling.pins)) {
        Ok(plugins) => read_monitors(&plugins, inputs, problems),
        Err(message) => {
            problems.push(problem(MONITORS, message));
            Vec::new()
        }
    }
}

fn choose_computer(
    reader: &Reader,
    process_type: &ProcessType,
    metadata: &Metadata,
    resolved: &BTreeMap<String, Resolved>,
    imported: bool,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    if process_type.kind != Kind::CalcJob {
        if metadata.computer.is_some() {
            problems.push(problem("metadata.computer", "only a calcjob runs on a computer"));
        }
        return None;
    }
    let codes: BTreeSet<&str> = resolved
        .values()
        .filter(|input| input.data_type == "code")
        .filter_map(|input| input.computer.as_deref())
        .collect();
    let wanted = metadata.computer.as_deref();
    if imported {
        return import_computer(wanted, resolved.get(FOLDER)?, problems);
    }
    if codes.len() > 1 || wanted.is_some_and(|wanted| codes.iter().any(|code| *code != wanted)) {
        let places = codes.iter().copied().collect::<Vec<_>>().join(", ");
        let message = format!("the codes are on {places}; a job runs on one computer");
        problems.push(problem("metadata.computer", message));
        return None;
    }
    let label = wanted.or(codes.first().copied()).unwrap_or("localhost");
    match reader.computer(label) {
        Ok(row) => Some(row.config.label),
        Err(error) => {
            let help = error.help_text().map(|help| format!("; {help}")).unwrap_or_default();
            problems.push(problem("metadata.computer", format!("{error}{help}")));
            None
        }
    }
}

/// Returns the computer of an import, which is that of the folder.
fn import_computer(wanted: Option<&str>, folder: &Resolved, problems: &mut Vec<Problem>) -> Option<String> {
    let label = folder.value.get("computer").and_then(Value::as_str)?;
    if wanted.is_some_and(|wanted| wanted != label) {
        let message = format!("the folder to import is on `{label}`: leave the computer out");
        problems.push(problem("metadata.computer", message));
    }
    Some(label.to_owned())
}
