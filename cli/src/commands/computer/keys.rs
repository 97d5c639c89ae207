//! The keys of computer files, and how their values make a [`Computer`].

use ferry_engine::{
    computer::{Computer, MPIRUN_NUMBERS, PARALLEL_SUBMITS_MAX},
    scheduler::Machine,
};
use serde_json::Value;

use crate::{
    config_file::{Key, Keys, Shape, Values},
    error::{Failure, Result},
};

const SETUP: [Key; 39] = [
    Key::new("label", "label", Shape::Text, "Name in this profile").short('L'),
    Key::new("transport", "transport", Shape::Text, "How to reach it, such as core.local").short('T'),
    Key::new("hostname", "hostname", Shape::Text, "Host name or address").short('H'),
    Key::new("description", "description", Shape::Text, "A few words for people").short('D'),
    Key::new("scheduler", "scheduler", Shape::Text, "What runs jobs there, such as core.direct").short('S'),
    Key::new("shebang", "shebang", Shape::Text, "First line of job scripts"),
    Key::new("work_dir", "work-dir", Shape::Text, "Absolute directory for jobs; {username} is filled in")
        .short('w'),
    Key::new(
        "mpirun_command",
        "mpirun-command",
        Shape::Words,
        "Starts MPI programs, with {tot_num_mpiprocs}",
    )
    .short('m'),
    Key::new("mpiprocs_per_machine", "mpiprocs-per-machine", Shape::Count, "Default MPI processes a machine"),
    Key::new(
        "default_memory_per_machine",
        "default-memory-per-machine",
        Shape::Count,
        "Default memory a machine, kB",
    ),
    Key::new(
        "use_double_quotes",
        "use-double-quotes",
        Shape::Truth,
        "Let the shell expand variables in arguments",
    ),
    Key::new("prepend_text", "prepend-text", Shape::Text, "Shell text before every job's commands"),
    Key::new("append_text", "append-text", Shape::Text, "Shell text after every job's commands"),
    Key::new("max_queued_jobs", "max-queued-jobs", Shape::Count, "Most jobs pending at once"),
    Key::new("max_active_jobs", "max-active-jobs", Shape::Count, "Most jobs pending or running at once"),
    Key::new("submit_rate", "submit-rate", Shape::Text, "Most submissions a time, as 50/2min"),
    Key::new(
        "num_cores",
        "num-cores",
        Shape::Cores,
        "Cores for jobs at once, where no queue counts them; those of the machine if not said",
    ),
    Key::new(
        "memory_kb",
        "memory-kb",
        Shape::Count,
        "Memory for jobs that ask for it, kB, where no queue counts it; that of the machine if not said",
    ),
    Key::new(
        "num_gpus",
        "num-gpus",
        Shape::Count,
        "GPUs for jobs that ask for them, where no queue counts them",
    ),
    Key::new(
        "gpu_devices",
        "gpu-devices",
        Shape::Text,
        "Their names, as 0,2 or MIG-...; 0,1,... if not said",
    ),
    Key::new(
        "refusals",
        "refusals",
        Shape::Lists,
        "What this site's refusals mean: texts that mean busy, and texts that mean final",
    ),
    Key::new(
        "max_parallel_submits",
        "max-parallel-submits",
        Shape::Count,
        "Most submissions under way at once; 4 if not said",
    ),
    Key::new(
        "retrieve_max_files",
        "retrieve-max-files",
        Shape::Count,
        "Most files that one retrieval brings home; 200000 if not said",
    ),
    Key::new(
        "retrieve_max_bytes",
        "retrieve-max-bytes",
        Shape::Count,
        "Most bytes that one retrieval brings home; 200 GB if not said",
    ),
    Key::new(
        "poll_interval",
        "poll-interval",
        Shape::Number,
        "Least time between two listings of the queue, s",
    ),
    Key::new(
        "retry_initial",
        "retry-initial",
        Shape::Number,
        "Wait after a first failure of a process there, s; doubles",
    ),
    Key::new("retry_attempts", "retry-attempts", Shape::Count, "Failures after which a process pauses"),
    Key::new(
        "probe_initial",
        "probe-initial",
        Shape::Number,
        "Wait between the first probes of a host that is down, s; doubles",
    ),
    Key::new("probe_max", "probe-max", Shape::Number, "Longest wait between two such probes, s"),
    Key::new("use_login_shell", "use-login-shell", Shape::Truth, "Run commands through a login shell"),
    Key::new("username", "username", Shape::Text, "User name there"),
    Key::new("port", "port", Shape::Count, "Port of the SSH server"),
    Key::new("key_filename", "key-filename", Shape::Text, "SSH key to use"),
    Key::new("proxy_jump", "proxy-jump", Shape::Text, "Hosts to jump through"),
    Key::new(
        "proxy_command",
        "proxy-command",
        Shape::Text,
        "Command whose input and output are the connection",
    ),
    Key::new("key_policy", "key-policy", Shape::Text, "What to do with unknown host keys"),
    Key::new("known_hosts", "known-hosts", Shape::Text, "File with known host keys"),
    Key::new("safe_interval", "safe-interval", Shape::Number, "Least time between two openings, s"),
    Key::new("timeout", "timeout", Shape::Number, "How long opening a connection may take, s"),
];

/// Number of keys of [`SETUP`] that are ferry's own; the others are the transport's.
const OWN: usize = 29;

/// Keys that AiiDA has and ferry has no use for, with the reason.
pub(super) const UNUSED: &[(&str, &str)] = &[
    ("minimum_job_poll_interval", "write `poll_interval`"),
    ("look_for_keys", "keys are looked for as `ssh` does"),
    ("load_system_host_keys", "write `known_hosts`, or leave it to ssh's own files"),
    ("compress", "ferry does not compress its connections"),
    ("gss_auth", "with `transport: core.ssh_openssh`, `ssh` uses it as your configuration says"),
    ("gss_kex", "with `transport: core.ssh_openssh`, `ssh` uses it as your configuration says"),
    ("gss_deleg_creds", "with `transport: core.ssh_openssh`, `ssh` uses it as your configuration says"),
    ("gss_host", "with `transport: core.ssh_openssh`, `ssh` uses it as your configuration says"),
    ("max_io_allowed", "ferry bounds its own channels"),
    ("authentication_script", "ferry runs no script before it connects"),
    ("script_before", "ferry runs no script before it connects"),
    ("backend", "write `transport: core.ssh_openssh` for OpenSSH"),
    ("host", "write `hostname`"),
    ("user", "a profile has one user"),
    ("uuid", "a computer gets a uuid of its own"),
    ("metadata", "ferry keeps no free metadata with a computer"),
];

/// Keys of `computer setup`.
#[derive(Debug, Clone)]
pub(crate) struct SetupKeys;

impl Keys for SetupKeys {
    const KEYS: &'static [Key] = &SETUP;
}

/// Keys of `computer configure`: all but label and transport, which come first.
#[derive(Debug, Clone)]
pub(crate) struct ConfigureKeys;

impl Keys for ConfigureKeys {
    const KEYS: &'static [Key] = SETUP.split_at(2).1;
}

/// Returns the names of all keys in their order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SETUP.iter().map(|key| key.name)
}

/// Returns the key of a name.
pub(super) fn key(name: &str) -> Option<Key> {
    SETUP.iter().find(|key| key.name == name).copied()
}

/// Returns whether a key belongs to ferry rather than to a transport.
pub(super) fn is_own(name: &str) -> bool {
    SETUP[..OWN].iter().any(|key| key.name == name)
}

/// Returns a computer with these settings changed. Those of `scheduler` are its scheduler's, and all others that are
/// not ferry's own are its transport's.
///
/// # Errors
/// Fails at a value that does not fit, by name.
pub(super) fn apply(computer: &Computer, values: Values, scheduler: &[&str]) -> Result<Computer> {
    let mut fields = serde_json::to_value(computer).unwrap_or_default();
    for (name, value) in values {
        match is_own(&name) {
            true => fields[name] = value,
            false if scheduler.contains(&name.as_str()) => fields["scheduler_settings"][name] = value,
            false => fields["connection"][name] = value,
        }
    }
    strip_core(&mut fields["transport"]);
    strip_core(&mut fields["scheduler"]);
    serde_json::from_value(fields).map_err(|error| Failure::usage(format!("a setting does not fit: {error}")))
}

fn strip_core(name: &mut Value) {
    if let Some(bare) = name.as_str().and_then(|name| name.strip_prefix("core.")) {
        *name = Value::from(bare);
    }
}

/// Returns whether a text may name a computer or a code: no option, and one word before or after an `@`.
pub(in crate::commands) fn is_label(text: &str) -> bool {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == '@';
    !text.is_empty() && !text.starts_with('-') && !text.contains(is_bad)
}

/// Returns all problems of a computer's own settings.
pub(super) fn problems(computer: &Computer) -> Vec<String> {
    let mut problems = Vec::new();
    let label = &computer.label;
    if !is_label(label) {
        problems.push(format!("label: `{label}` is empty, begins with `-`, or has a blank or an `@` in it"));
    }
    if !computer.work_dir.starts_with('/') {
        problems.push(format!("work_dir: `{}` is not an absolute path", computer.work_dir));
    }
    let placeholders = computer.work_dir.replace("{username}", "");
    if placeholders.contains(['{', '}']) {
        problems.push(format!("work_dir: `{}`: only {{username}} is filled in", computer.work_dir));
    }
    if let Some(name) = computer.unknown_mpirun_number() {
        let known = MPIRUN_NUMBERS.map(|name| format!("{{{name}}}")).join(", ");
        problems.push(format!("mpirun_command: nothing is called {{{name}}}; what is filled in: {known}"));
    }
    if !computer.shebang.starts_with("#!") || computer.shebang.contains('\n') {
        problems.push(format!("shebang: `{}` is not one line that begins with #!", computer.shebang));
    }
    if let Some(rate) = computer.submit_rate.as_deref().filter(|rate| !is_rate(rate)) {
        problems.push(format!("submit_rate: `{rate}` is not a rate such as 50/2min, 10/s or 100/1h"));
    }
    let submits = computer.max_parallel_submits;
    if let Some(number) = submits.filter(|number| !(1..=PARALLEL_SUBMITS_MAX).contains(number)) {
        problems.push(format!(
            "max_parallel_submits: {number} is not between 1, one submission after the other, and \
             {PARALLEL_SUBMITS_MAX}"
        ));
    }
    if let Some(text) = computer.gpu_devices.as_deref() {
        let names = text.split(',').filter(|name| !name.trim().is_empty()).count();
        if Machine::devices(text).len() != names {
            problems.push(format!(
                "gpu_devices: `{text}` is not a list of numbers or names as GPU-.. and MIG-.., with commas between them"
            ));
        }
    }
    problems.extend(computer.refusals.problems());
    problems
}

/// Returns whether the text is a rate: `COUNT/[NUMBER]UNIT`, the unit being s, min or h.
fn is_rate(text: &str) -> bool {
    let Some((count, time)) = text.split_once('/') else { return false };
    let digits = time.bytes().take_while(u8::is_ascii_digit).count();
    let number = &time[..digits];
    count.parse::<u32>().is_ok_and(|count| count > 0)
        && (number.is_empty() || number.parse::<u32>().is_ok_and(|number| number > 0))
        && matches!(&time[digits..], "s" | "min" | "h")
}

#[cfg(test)]
mod tests {
    use ferry_engine::scheduler::Cores;

    use super::*;

    fn values(json: &str) -> Values {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn labels_are_words_and_no_options() {
        for good in ["x", "far-1", "gr\u{fc}n"] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-x", "--all", "a b", "a@b", "a\u{1b}", "a\n"] {
            assert!(!is_label(bad), "{bad:?}");
        }
    }

    #[test]
    fn connection_settings_are_kept_apart() {
        let json = r#"{"label": "x", "transport": "core.local", "work_dir": "/w", "use_login_shell": true}"#;
        let computer = apply(&Computer::default(), values(json), &[]).unwrap();
        assert_eq!(computer.transport, "local");
        assert!(computer.connection_flag("use_login_shell"));
        assert_eq!(problems(&computer), Vec::<String>::new());
    }

    #[test]
    fn settings_of_a_scheduler_are_kept_apart() {
        let json = r#"{"scheduler": "mysite.pbs", "server": "pbs01", "timeout": 3}"#;
        let computer = apply(&Computer::default(), values(json), &["server"]).unwrap();
        assert_eq!(computer.scheduler, "mysite.pbs");
        assert_eq!(computer.scheduler_settings, values(r#"{"server": "pbs01"}"#));
        assert_eq!(computer.connection, values(r#"{"timeout": 3}"#));
    }

    #[test]
    fn every_problem_is_named() {
        let json = r#"{"label": "a b", "work_dir": "x/{user}", "shebang": "bash", "submit_rate": "fast", "max_parallel_submits": 0,
                       "mpirun_command": "mpirun -np {tot_num_procs}"}"#;
        let computer = apply(&Computer::default(), values(json), &[]).unwrap();
        let problems = problems(&computer);
        assert_eq!(problems.len(), 7);
        assert!(problems[6].contains("0 is not between 1"), "{problems:?}");
        assert!(
            problems[3].contains("{tot_num_procs}") && problems[3].contains("{tot_num_mpiprocs}"),
            "{problems:?}"
        );
        assert!(apply(&computer, values(r#"{"mpiprocs_per_machine": 99999999999}"#), &[]).is_err());
    }

    #[test]
    fn what_jobs_may_have_of_a_machine_is_read_and_judged() {
        let json = r#"{"label": "x", "work_dir": "/w", "num_cores": "unlimited", "num_gpus": 2, "gpu_devices": "0, MIG-a"}"#;
        let computer = apply(&Computer::default(), values(json), &[]).unwrap();
        assert_eq!((computer.num_cores, computer.num_gpus), (Some(Cores::Unlimited), Some(2)));
        assert_eq!(problems(&computer), Vec::<String>::new());
        let computer = apply(&computer, values(r#"{"num_cores": 4, "gpu_devices": "first"}"#), &[]).unwrap();
        assert_eq!(computer.num_cores, Some(Cores::Count(4)));
        assert!(problems(&computer)[0].starts_with("gpu_devices: `first` is not a list"));
    }

    #[test]
    fn a_site_s_own_words_are_kept_and_judged() {
        let json = r#"{"label": "x", "work_dir": "/w", "refusals": {"busy": ["no budget left"]}}"#;
        let computer = apply(&Computer::default(), values(json), &[]).unwrap();
        assert_eq!(computer.refusals.busy, ["no budget left"]);
        assert_eq!(problems(&computer), Vec::<String>::new());
        let json = r#"{"refusals": {"busy": ["*"], "final": ["state a project"]}}"#;
        let wrong = problems(&apply(&computer, values(json), &[]).unwrap());
        assert!(wrong.len() == 1 && wrong[0].starts_with("refusals.busy: `*`"), "{wrong:?}");
        let unknown =
            apply(&computer, values(r#"{"refusals": {"bussy": ["no budget left"]}}"#), &[]).unwrap_err();
        assert!(unknown.lines[0].contains("unknown field `bussy`"), "{:?}", unknown.lines);
    }

    #[test]
    fn rates() {
        for (text, expect) in
            [("50/2min", true), ("10/s", true), ("0/s", false), ("5/0h", false), ("5/day", false)]
        {
            assert_eq!(is_rate(text), expect, "{text}");
        }
    }

    #[test]
    fn ferrys_own_keys_are_those_of_a_computer() {
        let fields = serde_json::to_value(Computer::default()).unwrap();
        let own: Vec<_> = SETUP[..OWN].iter().filter(|key| fields.get(key.name).is_none()).collect();
        assert!(own.is_empty(), "{own:?}");
        assert!(SETUP[OWN..].iter().all(|key| fields.get(key.name).is_none()));
    }
}
