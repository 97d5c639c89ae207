//! Filter of the daemon's log: the settings `log.level` and `log.level.TARGET`, as a filter of `tracing`. This
//! module only builds the text; the program that owns the log applies it.

/// The setting for all targets without a setting of their own.
pub const KEY: &str = "log.level";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The name under which users know the asynchronous runtime, and the targets of its events.
const RUNTIME: (&str, [&str; 3]) = ("runtime", ["runtime", "tokio", "mio"]);

/// Returns the target whose level a key sets; empty for all targets. Returns `None` if it is no such key.
pub fn target(key: &str) -> Option<&str> {
    match key.strip_prefix(KEY)? {
        "" => Some(""),
        rest => rest.strip_prefix('.').filter(|target| !target.is_empty()),
    }
}

/// Checks a level before it is stored.
///
/// # Errors
/// Returns a sentence if the target can't be a module path, or the level is unknown.
pub fn check(target: &str, level: Option<&str>) -> Result<(), String> {
    if !target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-')) {
        return Err(format!(
            "`{target}` is not a log target: write a module path, as in `{KEY}.ferry_engine::executor`"
        ));
    }
    match level {
        Some(level) if !LEVELS.contains(&level) => {
            let key = if target.is_empty() { KEY.to_owned() } else { format!("{KEY}.{target}") };
            Err(format!("`{key}` must be one of {}, got `{level}`", LEVELS.join(", ")))
        }
        _ => Ok(()),
    }
}

/// Returns the filter for these settings, in the syntax of `tracing`: a later directive overrides an earlier one
/// for the same target. `base` are directives that replace the default of `log.level`.
pub fn filter(base: Option<&str>, settings: &[(String, String)]) -> String {
    let known = super::settings::KNOWN.iter();
    let defaults = known.filter_map(|known| Some((target(known.key)?, known.default)));
    let mut directives: Vec<String> = defaults.flat_map(|(target, level)| directive(target, level)).collect();
    directives.extend(base.map(str::to_owned));
    let set = settings.iter().filter_map(|(key, level)| Some((target(key)?, level.as_str())));
    // An unreadable setting was written by another version of ferry: it must not invalidate the others.
    let good = set.filter(|(target, level)| check(target, Some(level)).is_ok());
    directives.extend(good.flat_map(|(target, level)| directive(target, level)));
    directives.join(",")
}

fn directive(target: &str, level: &str) -> Vec<String> {
    match target {
        "" => vec![level.to_owned()],
        target if target == RUNTIME.0 => RUNTIME.1.iter().map(|name| format!("{name}={level}")).collect(),
        target => vec![format!("{target}={level}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_comes_after_the_defaults() {
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let defaults = "info,russh=warn,runtime=warn,tokio=warn,mio=warn";
        assert_eq!(filter(None, &[]), defaults);
        let settings =
            [set("log.level", "error"), set("log.level.russh", "debug"), set("retry.initial", "5")];
        assert_eq!(filter(Some("warn"), &settings), format!("{defaults},warn,error,russh=debug"));
        assert_eq!(filter(None, &[set("log.level.a=b", "x")]), defaults);
    }

    #[test]
    fn wrong_levels_and_targets_are_refused_in_words() {
        assert!(check("russh", Some("loud")).unwrap_err().contains("`log.level.russh` must be one of off"));
        assert!(check("a=b", Some("info")).unwrap_err().contains("module path"));
        assert_eq!(check("ferry_engine::executor", Some("trace")), Ok(()));
        assert_eq!((target("log.level"), target("log.levels"), target("log.level.")), (Some(""), None, None));
    }
}
