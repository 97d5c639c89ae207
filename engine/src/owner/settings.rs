//! Settings of a profile (`ferry config`): known keys only, kept in the store, read when an owner starts.

use std::time::Duration;

use super::log_levels;
use crate::{
    caching::rules as caching,
    store::{Reader, Result},
};

/// A known setting.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its key.
    pub key: &'static str,
    /// Its value if it is not set.
    pub default: &'static str,
    /// Its meaning, with units.
    pub help: &'static str,
}

/// All settings, except `log.level.TARGET` of further targets. A value is a number, a level, or a setting of
/// `caching`.
pub const KNOWN: &[Known] = &[
    Known {
        key: caching::DEFAULT,
        default: "false",
        help: "whether calculations take over the results of earlier equal ones: true or false; effective at once",
    },
    Known {
        key: caching::ENABLED_FOR,
        default: "",
        help: "process types that do, separated by `,`; `*` stands for anything; effective at once",
    },
    Known { key: caching::DISABLED_FOR, default: "", help: "process types that do not; effective at once" },
    Known {
        key: log_levels::KEY,
        default: "info",
        help: "level of the daemon's log: off, error, warn, info, debug or trace; effective at once",
    },
    Known {
        key: "log.level.russh",
        default: "warn",
        help: "the same for SSH; `log.level.TARGET` for any other target, as `ferry_engine::executor`",
    },
    Known { key: "log.level.runtime", default: "warn", help: "the same for the asynchronous runtime" },
    Known { key: "log.max_size", default: "10", help: "size at which the log is rotated, MB; 0: never" },
    Known { key: "log.files", default: "5", help: "how many logs are kept, the current one included" },
    Known {
        key: "plugin.timeout",
        default: "600",
        help: "how long prepare, parse or a calcfunction may take, s",
    },
    Known {
        key: "plugin.max_hosts",
        default: "0",
        help: "plugin hosts for each plugin file; 0: one for each core",
    },
    Known {
        key: "retry.initial",
        default: "20",
        help: "wait after a first failure, s; doubles with each further one",
    },
    Known { key: "retry.attempts", default: "5", help: "failures of one step after which a process pauses" },
    Known { key: "runner.tasks", default: "64", help: "most processes advanced at the same time" },
    Known {
        key: "workflow.max_depth",
        default: "1000",
        help: "most levels of a call tree, so that endless recursion of workflows is noticed",
    },
];

/// The settings in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Time limit for a call of a plugin.
    pub plugin_timeout: Duration,
    /// Plugin hosts for each file, if limited by the user.
    pub plugin_max_hosts: Option<usize>,
    /// Wait after a first failure.
    pub retry_initial: Duration,
    /// Failures of one step after which a process pauses.
    pub retry_attempts: u32,
    /// Processes stepped at the same time.
    pub runner_tasks: usize,
    /// Levels of a call tree below its root.
    pub workflow_max_depth: u32,
}

impl Settings {
    /// Reads the settings of a profile. A setting that is missing or unreadable has its default.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub fn read(reader: &Reader) -> Result<Settings> {
        let set = reader.settings()?;
        let number = |key| number(&set, key);
        let seconds = |key| Duration::try_from_secs_f64(number(key)).unwrap_or(Duration::from_secs(600));
        Ok(Settings {
            plugin_timeout: seconds("plugin.timeout"),
            plugin_max_hosts: Some(number("plugin.max_hosts") as usize).filter(|max| *max > 0),
            retry_initial: seconds("retry.initial"),
            retry_attempts: (number("retry.attempts") as u32).max(1),
            runner_tasks: (number("runner.tasks") as usize).max(1),
            workflow_max_depth: number("workflow.max_depth") as u32,
        })
    }
}

/// Checks a setting before it is stored.
///
/// # Errors
/// Fails for an unknown key, with the known ones, and for a value that is not a valid number or level.
pub fn check(key: &str, value: Option<&str>) -> Result<(), String> {
    if let Some(target) = log_levels::target(key) {
        return log_levels::check(target, value);
    }
    if !KNOWN.iter().any(|known| known.key == key) {
        let keys: Vec<_> = KNOWN.iter().map(|known| known.key).collect();
        let hint = crate::spec::closest_name(key, keys.iter().copied()).map_or_else(
            || format!("there are: {}", keys.join(", ")),
            |close| format!("did you mean `{close}`?"),
        );
        return Err(format!("no setting is called `{key}`; {hint}"));
    }
    if key.starts_with("caching.") {
        return caching::check_setting(key, value);
    }
    match value.map(|text| text.parse::<f64>()) {
        Some(Ok(number)) if number.is_finite() && number >= 0.0 => Ok(()),
        None => Ok(()),
        Some(_) => {
            Err(format!("`{key}` must be a number that is not negative, got `{}`", value.unwrap_or_default()))
        }
    }
}

/// Returns whether a running daemon applies a new value at once, rather than at its next start.
pub fn is_live(key: &str) -> bool {
    key.starts_with("log.") || key.starts_with("caching.")
}

/// Returns the value of a setting as a number, or its default if it is not set; a level counts as 0.
pub fn number(set: &[(String, String)], key: &str) -> f64 {
    let of = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let default = KNOWN.iter().find(|known| known.key == key).and_then(|known| of(known.default));
    set.iter().find(|(k, _)| k == key).and_then(|(_, value)| of(value)).or(default).unwrap_or(0.0)
}
