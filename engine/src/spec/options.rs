//! `metadata.options` of a calcjob, with AiiDA's names and defaults.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Problem, Value};
use serde::{Deserialize, Serialize};

use super::{
    Resources,
    ports::closest,
    stash::{self, Stash, Unstash},
};
use crate::{node::lend::is_inside, scheduler::Demand};

/// A job's requests to its scheduler, and the settings of its script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Machines, processes and cores.
    pub resources: Resources,
    /// Wall time limit, s.
    pub max_wallclock_seconds: Option<u64>,
    /// Memory limit on each machine, kB.
    pub max_memory_kb: Option<u64>,
    /// Partition or queue.
    pub queue_name: Option<String>,
    /// Account to charge.
    pub account: Option<String>,
    /// Quality of service.
    pub qos: Option<String>,
    /// Priority, in the scheduler's terms.
    pub priority: Option<String>,
    /// True if the scheduler may restart the job by itself.
    pub rerunnable: bool,
    /// True to start the programs with MPI; `None` leaves it to plugin and code.
    pub withmpi: Option<bool>,
    /// True if processes that the job starts, such as a server, may outlive its script. It applies to a computer
    /// without a queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_children: bool,
    /// Arguments after the computer's `mpirun_command`.
    pub mpirun_extra_params: Vec<String>,
    /// True to keep the login's environment in the job.
    pub import_sys_environment: bool,
    /// Variables set in the job.
    pub environment_variables: BTreeMap<String, String>,
    /// True to quote those with double quotes, so that the shell expands variables in them.
    pub environment_variables_double_quotes: bool,
    /// Name of the file that the program reads, for the plugin to use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_filename: Option<String>,
    /// Name of the file that the program writes, for the plugin to use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_filename: Option<String>,
    /// Name of the calcjob type that parses the results, if it is not the process's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parser_name: Option<String>,
    /// Raw lines for the script's header.
    pub custom_scheduler_commands: String,
    /// Shell text before the commands.
    pub prepend_text: String,
    /// Shell text after the commands.
    pub append_text: String,
    /// More relative paths to retrieve.
    pub additional_retrieve_list: Vec<String>,
    /// Name of the job script.
    pub submit_script_filename: String,
    /// Name of the file for the job's standard output.
    pub scheduler_stdout: String,
    /// Name of the file for the job's standard error.
    pub scheduler_stderr: String,
    /// Files to stash on the computer when the job has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stash: Option<Stash>,
    /// Files to take out of a stash before the job begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unstash: Option<Unstash>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            resources: Resources::default(),
            max_wallclock_seconds: None,
            max_memory_kb: None,
            queue_name: None,
            account: None,
            qos: None,
            priority: None,
            rerunnable: false,
            keep_children: false,
            withmpi: None,
            mpirun_extra_params: Vec::new(),
            import_sys_environment: true,
            environment_variables: BTreeMap::new(),
            environment_variables_double_quotes: false,
            input_filename: None,
            output_filename: None,
            parser_name: None,
            custom_scheduler_commands: String::new(),
            prepend_text: String::new(),
            append_text: String::new(),
            additional_retrieve_list: Vec::new(),
            submit_script_filename: "_ferrysubmit.sh".into(),
            scheduler_stdout: "_scheduler-stdout.txt".into(),
            scheduler_stderr: "_scheduler-stderr.txt".into(),
            stash: None,
            unstash: None,
        }
    }
}

/// When an option is part of stored data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// Always.
    Always,
    /// Only if it is set: it came later, and data stored before it existed must count as equal to data stored now.
    /// Its field needs a `skip_serializing_if`.
    IfSet,
}

/// Properties of an option that its type does not show.
struct Fact {
    name: &'static str,
    stored: Stored,
    /// True if results may depend on it, so that it counts for the cache.
    counts: bool,
}

const fn fact(name: &'static str, stored: Stored, counts: bool) -> Fact {
    Fact { name, stored, counts }
}

/// Every option, once. A test holds it against the fields of [`Options`].
const FACTS: [Fact; 26] = [
    fact("resources", Stored::Always, true),
    fact("max_wallclock_seconds", Stored::Always, false),
    fact("max_memory_kb", Stored::Always, false),
    fact("queue_name", Stored::Always, false),
    fact("account", Stored::Always, false),
    fact("qos", Stored::Always, false),
    fact("priority", Stored::Always, false),
    fact("rerunnable", Stored::Always, true),
    fact("withmpi", Stored::Always, true),
    fact("keep_children", Stored::IfSet, true),
    fact("mpirun_extra_params", Stored::Always, true),
    fact("import_sys_environment", Stored::Always, true),
    fact("environment_variables", Stored::Always, true),
    fact("environment_variables_double_quotes", Stored::Always, true),
    fact("input_filename", Stored::IfSet, true),
    fact("output_filename", Stored::IfSet, true),
    fact("parser_name", Stored::IfSet, true),
    fact("custom_scheduler_commands", Stored::Always, true),
    fact("prepend_text", Stored::Always, true),
    fact("append_text", Stored::Always, true),
    fact("additional_retrieve_list", Stored::Always, true),
    fact("submit_script_filename", Stored::Always, true),
    fact("scheduler_stdout", Stored::Always, true),
    fact("scheduler_stderr", Stored::Always, true),
    fact("stash", Stored::IfSet, true),
    fact("unstash", Stored::IfSet, true),
];

/// Returns whether results may depend on an option. One of an unknown name counts.
pub(crate) fn counts_for_cache(name: &str) -> bool {
    FACTS.iter().find(|fact| fact.name == name).is_none_or(|fact| fact.counts)
}

impl Options {
    /// Returns the job's demand on a machine that it shares with others.
    ///
    /// # Errors
    /// Returns the contradiction in its resources.
    pub fn demand(&self, default_per_machine: Option<u32>) -> Result<Demand, String> {
        let (_, per_machine, _) = self.resources.tasks(default_per_machine)?;
        Ok(Demand {
            cores: self.resources.cores(per_machine),
            memory_kb: self.max_memory_kb.unwrap_or(0),
            gpus: self.resources.num_gpus.unwrap_or(0),
        })
    }

    /// Reads options from a map, and reports every wrong key and value at once.
    pub fn read(map: &BTreeMap<String, Value>, problems: &mut Vec<Problem>) -> Options {
        let mut good = serde_json::to_value(Options::default()).unwrap_or_default();
        let known = all_keys();
        for (key, value) in map {
            let port = format!("metadata.options.{key}");
            if let Some(message) = unknown_key(&known, key) {
                problems.push(Problem { port, message });
                continue;
            }
            let wrong = stash::problems(key, value, &port);
            if !wrong.is_empty() {
                problems.extend(wrong);
                continue;
            }
            let mut tried = good.clone();
            let json = serde_json::to_value(value).unwrap_or_default();
            if key == "resources" {
                problems.extend(super::resources::problems(value, &port));
            }
            tried[key] = json;
            match serde_json::from_value::<Options>(tried.clone()) {
                Ok(_) => good = tried,
                Err(error) => problems.push(Problem { port, message: error.to_string() }),
            }
        }
        let options: Options = serde_json::from_value(good).unwrap_or_default();
        check_names(&options, problems);
        if let Err(message) = options.resources.tasks(None) {
            problems.push(Problem { port: "metadata.options.resources".into(), message });
        }
        options
    }
}

/// Returns the defaults with every key. Keys that are stored only if they are set are null.
fn all_keys() -> serde_json::Value {
    let mut keys = serde_json::to_value(Options::default()).unwrap_or_default();
    for fact in FACTS.iter().filter(|fact| fact.stored == Stored::IfSet) {
        keys[fact.name] = serde_json::Value::Null;
    }
    keys
}

fn unknown_key(known: &serde_json::Value, key: &str) -> Option<String> {
    let known = known.as_object()?;
    if known.contains_key(key) {
        return None;
    }
    let names = || known.keys().map(String::as_str);
    Some(match closest(key, names()) {
        Some(close) => format!("no such option; did you mean `{close}`?"),
        None => format!("no such option; there are: {}", names().collect::<Vec<_>>().join(", ")),
    })
}

/// Checks names: the engine's file names are names, not paths; variables are shell identifiers.
fn check_names(options: &Options, problems: &mut Vec<Problem>) {
    for (key, name) in [
        ("submit_script_filename", &options.submit_script_filename),
        ("scheduler_stdout", &options.scheduler_stdout),
        ("scheduler_stderr", &options.scheduler_stderr),
    ] {
        if name.is_empty() || name == "." || name == ".." || name.contains('/') || name.contains('\0') {
            let port = format!("metadata.options.{key}");
            problems.push(Problem { port, message: format!("`{name}` is not a file name") });
        }
    }
    for (key, name) in
        [("input_filename", &options.input_filename), ("output_filename", &options.output_filename)]
    {
        if let Some(name) = name.as_ref().filter(|name| !is_inside(name)) {
            let port = format!("metadata.options.{key}");
            problems
                .push(Problem { port, message: format!("`{name}` is not a path inside the work directory") });
        }
    }
    for path in options.additional_retrieve_list.iter().filter(|path| !is_inside(path)) {
        let why = if path.starts_with('/') { "is absolute" } else { "is not a plain path" };
        let message =
            format!("`{path}` {why}: give paths or globs relative to the work directory, without `..`");
        problems.push(Problem { port: "metadata.options.additional_retrieve_list".into(), message });
    }
    for name in options.environment_variables.keys() {
        let good =
            |(i, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit());
        if name.is_empty() || !name.chars().enumerate().all(good) {
            let port = "metadata.options.environment_variables".to_owned();
            problems.push(Problem { port, message: format!("`{name}` is not a variable's name") });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(key: &str, value: Value) -> Vec<String> {
        let mut problems = Vec::new();
        Options::read(&BTreeMap::from([(key.to_owned(), value)]), &mut problems);
        problems.into_iter().map(|problem| format!("{}: {}", problem.port, problem.message)).collect()
    }

    #[test]
    fn each_option_stands_in_the_table_once() {
        // Every field, and those that are stored only if they are set are: a new field does not compile without a line
        // here, and fails without one in the table.
        let all = Options {
            resources: Resources::default(),
            max_wallclock_seconds: None,
            max_memory_kb: None,
            queue_name: None,
            account: None,
            qos: None,
            priority: None,
            rerunnable: false,
            withmpi: None,
            keep_children: true,
            mpirun_extra_params: Vec::new(),
            import_sys_environment: true,
            environment_variables: BTreeMap::new(),
            environment_variables_double_quotes: false,
            input_filename: Some("i".into()),
            output_filename: Some("o".into()),
            parser_name: Some("p".into()),
            custom_scheduler_commands: String::new(),
            prepend_text: String::new(),
            append_text: String::new(),
            additional_retrieve_list: Vec::new(),
            submit_script_filename: String::new(),
            scheduler_stdout: String::new(),
            scheduler_stderr: String::new(),
            stash: Some(Stash {
                target_base: "/s".into(),
                source_list: Vec::new(),
                stash_mode: stash::StashMode::Copy,
                dereference: None,
                fail_on_missing: false,
            }),
            unstash: Some(Unstash {
                source_list: Vec::new(),
                unstash_target_mode: stash::UnstashTarget::NewRemoteData,
            }),
        };
        let stored = |options: &Options| -> Vec<String> {
            let value = serde_json::to_value(options).unwrap();
            value.as_object().unwrap().keys().cloned().collect()
        };
        let names = |is: &dyn Fn(&Fact) -> bool| {
            let mut names: Vec<String> =
                FACTS.iter().filter(|fact| is(fact)).map(|fact| fact.name.to_owned()).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(stored(&all), names(&|_| true));
        assert_eq!(stored(&Options::default()), names(&|fact| fact.stored == Stored::Always));
        assert!(!counts_for_cache("queue_name") && counts_for_cache("resources") && counts_for_cache("new"));
    }

    #[test]
    fn an_absolute_path_in_additional_retrieve_list_is_refused() {
        let list = |path: &str| Value::List(vec!["fine/*.txt".into(), path.into()]);
        assert!(problems("additional_retrieve_list", list("aiida.out")).is_empty());
        for (path, why) in [("/etc/passwd", "is absolute"), ("../x", "is not a plain path"), ("", "is not")] {
            let found = problems("additional_retrieve_list", list(path));
            assert!(found.len() == 1 && found[0].contains(why), "{found:?}");
        }
    }

    #[test]
    fn the_schedulers_files_can_t_be_none() {
        for key in ["scheduler_stdout", "scheduler_stderr", "submit_script_filename"] {
            assert!(problems(key, Value::Null)[0].contains("expected a string"), "{key}");
        }
        assert!(problems("input_filename", Value::Null).is_empty());
        assert!(problems("input_filename", "/abs".into())[0].contains("inside the work directory"));
    }

    #[test]
    fn options_that_say_nothing_are_not_stored() {
        let stored = serde_json::to_value(Options::default()).unwrap();
        let later = FACTS.iter().filter(|fact| fact.stored == Stored::IfSet);
        assert!(later.clone().count() > 0 && later.into_iter().all(|fact| stored.get(fact.name).is_none()));
        let named = Options { parser_name: Some("a.b".into()), ..Options::default() };
        assert_eq!(serde_json::to_value(named).unwrap()["parser_name"], "a.b");
    }

    #[test]
    fn every_wrong_option_is_named_at_once() {
        let map = [
            ("max_wallclock_second".to_owned(), Value::Int(5)),
            ("rerunnable".to_owned(), Value::from("often")),
            ("scheduler_stdout".to_owned(), Value::from("../x")),
        ];
        let mut problems = Vec::new();
        Options::read(&map.into(), &mut problems);
        let ports: Vec<_> = problems.iter().map(|problem| problem.port.as_str()).collect();
        assert_eq!(
            ports,
            [
                "metadata.options.max_wallclock_second",
                "metadata.options.rerunnable",
                "metadata.options.scheduler_stdout"
            ]
        );
        assert!(problems[0].message.contains("did you mean `max_wallclock_seconds`"));
        assert_eq!(
            closest("max_wall", ["max_memory_kb", "max_wallclock_seconds"]),
            Some("max_wallclock_seconds")
        );
        assert_eq!(closest("max", ["max_wallclock_seconds"]), None, "that may be many");
    }
}
