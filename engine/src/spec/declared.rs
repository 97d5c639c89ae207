//! Judges what a plugin declares of the engine's own: options of its process types, and port names that are taken.
//! The rest of a manifest is judged by the plugin host before anything relies on it.

use ferry_plugin_proto::{Kind, Manifest, ProcessType};

use super::{MONITORS, Options};
use crate::plugin::{self, refused_manifest};

/// Checks a manifest.
///
/// # Errors
/// `BadReply`; the text names the first thing wrong.
pub(crate) fn check_declared(manifest: &Manifest) -> plugin::Result<()> {
    manifest.types.iter().try_for_each(|each| {
        check_type(each)
            .map_err(|message| refused_manifest(manifest, format!("process type `{}`: {message}", each.name)))
    })
}

fn check_type(process_type: &ProcessType) -> Result<(), String> {
    let mut problems = Vec::new();
    Options::read(&process_type.options, &mut problems);
    if let Some(problem) = problems.first() {
        return Err(format!("its own {}: {}", problem.port, problem.message));
    }
    if process_type.kind == Kind::CalcJob && process_type.inputs.ports.contains_key(MONITORS) {
        return Err(format!("input port `{MONITORS}`: that name is reserved for the job's monitors"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::{Port, Value};

    use super::*;

    fn problem(change: impl FnOnce(&mut ProcessType)) -> String {
        let mut process_type = ProcessType {
            name: "qe.pw".into(),
            kind: Kind::CalcJob,
            doc: String::new(),
            inputs: Default::default(),
            outputs: Default::default(),
            exit_codes: Vec::new(),
            aliases: Vec::new(),
            cache_version: 0,
            options: Default::default(),
        };
        change(&mut process_type);
        let manifest = Manifest { types: vec![process_type], ..Manifest::default() };
        check_declared(&manifest).map_or_else(|error| error.to_string(), |()| "fine".into())
    }

    #[test]
    fn options_of_its_own_are_judged_and_the_port_of_monitors_is_taken() {
        assert_eq!(problem(|_| ()), "fine");
        let wrong = problem(|one| {
            one.options.insert("max_memory_kb".into(), Value::Str("much".into()));
        });
        assert!(
            wrong.contains("process type `qe.pw`: its own") && wrong.contains("max_memory_kb"),
            "{wrong}"
        );
        let taken = |kind| {
            problem(|one| {
                one.kind = kind;
                one.inputs.ports.insert(MONITORS.into(), Port::default());
            })
        };
        assert!(taken(Kind::CalcJob).contains("input port `monitors`: that name is reserved"));
        assert_eq!(taken(Kind::CalcFunction), "fine");
    }
}
