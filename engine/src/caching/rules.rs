//! The reuse of earlier results: which calculations do it, and the reason why one did or did not.

use ferry_plugin_proto::ProcessType;
use serde::{Deserialize, Serialize};

use super::Ingredients;
use ferry_engine_core::process::State;

use crate::{
    spec::is_workflow,
    store::{LinkType, Node, Process, ProcessFilter, Reader, Result},
    transport::Pattern,
};

/// The setting that enables reuse of results, unless one of the two lists applies.
pub(crate) const DEFAULT: &str = "caching.default_enabled";
/// The setting that lists process types whose calculations reuse results.
pub(crate) const ENABLED_FOR: &str = "caching.enabled_for";
/// The setting that lists process types whose calculations do not.
pub(crate) const DISABLED_FOR: &str = "caching.disabled_for";

/// The entry of a process's body that forbids it to take over results.
pub(crate) const NO_CACHE: &str = "disable_cache";

/// Number of earlier calculations that are compared if none has the same ingredients.
const COMPARED: usize = 50;

/// The profile's settings about reuse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheRules {
    by_default: bool,
    enabled_for: Vec<String>,
    disabled_for: Vec<String>,
}

impl CacheRules {
    /// Reads the settings in force.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub fn read(reader: &Reader) -> Result<CacheRules> {
        let list = |key| -> Result<Vec<String>> {
            Ok(patterns(&reader.setting(key)?.unwrap_or_default()).map(str::to_owned).collect())
        };
        Ok(CacheRules {
            by_default: reader.setting(DEFAULT)?.is_some_and(|value| value == "true"),
            enabled_for: list(ENABLED_FOR)?,
            disabled_for: list(DISABLED_FOR)?,
        })
    }

    /// Returns whether calculations of a type reuse results, and the setting that decides. A plain name takes
    /// precedence over a pattern; between two of the same kind, the refusal does.
    pub fn judge(&self, process_type: &str) -> (bool, String) {
        let of = |list: &[String], exact: bool| {
            list.iter().find(|pattern| is_plain(pattern) == exact && fits(pattern, process_type)).cloned()
        };
        for exact in [true, false] {
            if let Some(pattern) = of(&self.disabled_for, exact) {
                return (false, format!("`{DISABLED_FOR}` has `{pattern}`"));
            }
            if let Some(pattern) = of(&self.enabled_for, exact) {
                return (true, format!("`{ENABLED_FOR}` has `{pattern}`"));
            }
        }
        (self.by_default, format!("`{DEFAULT}` is {}", self.by_default))
    }
}

/// Returns the patterns of a list in a setting.
fn patterns(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|pattern| !pattern.is_empty())
}

fn is_plain(pattern: &str) -> bool {
    Pattern::read(pattern.as_ref()).is_none()
}

fn fits(pattern: &str, process_type: &str) -> bool {
    match Pattern::read(pattern.as_ref()) {
        Some(pattern) => pattern.matches(process_type.as_ref()),
        None => pattern == process_type,
    }
}

/// Checks a value of one of the settings above.
///
/// # Errors
/// Returns a text that says what the value should be.
pub(crate) fn check_setting(key: &str, value: Option<&str>) -> std::result::Result<(), String> {
    let Some(value) = value else { return Ok(()) };
    if key == DEFAULT {
        return match value {
            "true" | "false" => Ok(()),
            _ => Err(format!("`{key}` is true or false, got `{value}`")),
        };
    }
    let is_good = |c: char| c.is_ascii_alphanumeric() || "._*?[]-".contains(c);
    match patterns(value).find(|pattern| !pattern.chars().all(is_good)) {
        None => Ok(()),
        Some(bad) => Err(format!(
            "`{key}` is a list of process types separated by `,`, where `*` stands for anything; `{bad}` is not one"
        )),
    }
}

/// An earlier calculation, and the reason why its results can't be taken over, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The calculation.
    pub process: i64,
    /// The reason against it; `None` if its results can be taken over.
    pub obstacle: Option<String>,
}

/// Returns the reason against taking over the results of `source`; `None` if there is none.
///
/// # Errors
/// Returns an error of the store.
pub(crate) fn obstacle(reader: &Reader, source: &Process) -> Result<Option<String>> {
    if source.state != State::Finished {
        return Ok(Some(format!("it is {}, and only a finished one has results", source.state.as_str())));
    }
    if reader.cache_entry(source.id)?.is_some_and(|entry| !entry.reusable) {
        return Ok(Some("a user has forbidden its reuse (`ferry cache invalidate`)".to_owned()));
    }
    let status = source.end.status.unwrap_or(0);
    let plugin = reader.plugin(&source.plugin)?;
    let process_type = plugin.manifest.types.iter().find(|found| found.name == source.process_type);
    if status != 0 && process_type.is_none_or(|found| invalidates(found, status)) {
        return Ok(Some(format!("exit status {status} says that its results must not be reused")));
    }
    Ok(None)
}

/// Returns whether a result with this exit status is never reused. Its type may say so. Otherwise it holds for a
/// status that the engine itself sets, since the inputs did not cause that end.
fn invalidates(process_type: &ProcessType, status: u32) -> bool {
    let declared = process_type.exit_codes.iter().find(|code| code.status == status);
    declared.map_or(status < 200, |code| code.invalidates_cache)
}

/// Returns a calculation whose results `process` may take over.
///
/// # Errors
/// Returns an error of the store.
pub(crate) fn source(reader: &Reader, process: &Process) -> Result<Option<Process>> {
    let Some(entry) = reader.cache_entry(process.id)? else { return Ok(None) };
    for id in reader.cache_candidates(&entry.hash)? {
        let candidate = reader.process(id)?;
        if id != process.id && obstacle(reader, &candidate)?.is_none() {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// Returns whether a calculation requests results of others, and the reason.
///
/// # Errors
/// Returns an error of the store.
pub(crate) fn asks(reader: &Reader, process: &Process) -> Result<(bool, String)> {
    let (enabled, because) = CacheRules::read(reader)?.judge(&process.process_type);
    if enabled && reader.node(process.id)?.body.get(NO_CACHE).is_some() {
        return Ok((false, "it was launched with `--no-cache`".to_owned()));
    }
    Ok((enabled, because))
}

/// Returns the outputs that a calculation created: label and node.
///
/// # Errors
/// Returns an error of the store.
pub(crate) fn results(reader: &Reader, process: &Process) -> Result<Vec<(String, Node)>> {
    let made = reader.outgoing(process.id)?.into_iter().filter(|link| link.link_type == LinkType::Create);
    made.map(|link| Ok((link.label, reader.node(link.target)?))).collect()
}

/// The explanation why a calculation did or did not take over the results of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStory {
    /// Digest of its ingredients; `None` for a process that can't take over results.
    pub hash: Option<String>,
    /// UUID of the process whose results it has taken over.
    pub taken_from: Option<String>,
    /// True if it requested results.
    pub asked: bool,
    /// The reason for that.
    pub because: String,
    /// The calculations with the same ingredients.
    pub candidates: Vec<Candidate>,
    /// The most similar calculation, with the names of the ingredients that differ, if there are no candidates.
    pub nearest: Option<(i64, Vec<String>)>,
}

/// Explains the reuse of results by a calculation.
///
/// # Errors
/// Returns an error of the store.
pub fn cache_story(reader: &Reader, process: &Process) -> Result<CacheStory> {
    let entry = reader.cache_entry(process.id)?;
    let (asked, because) = match is_workflow(process.kind) {
        true => (false, "it is a workflow, and only calculations take over results".to_owned()),
        false => asks(reader, process)?,
    };
    let mut candidates = Vec::new();
    if let Some(entry) = &entry {
        for id in reader.cache_candidates(&entry.hash)?.into_iter().filter(|id| *id != process.id) {
            let obstacle = match id.0 > process.id.0 {
                true => Some("it was launched later".to_owned()),
                false => obstacle(reader, &reader.process(id)?)?,
            };
            candidates.push(Candidate { process: id.0, obstacle });
        }
    }
    let nearest = match candidates.is_empty() && entry.is_some() {
        true => nearest(reader, process)?,
        false => None,
    };
    let taken_from = entry.as_ref().and_then(|entry| entry.taken_from).map(|uuid| uuid.to_string());
    Ok(CacheStory { hash: entry.map(|entry| entry.hash), taken_from, asked, because, candidates, nearest })
}

fn nearest(reader: &Reader, process: &Process) -> Result<Option<(i64, Vec<String>)>> {
    let Some(own) = Ingredients::read(reader, process)? else { return Ok(None) };
    let alike = ProcessFilter {
        process_type: Some(process.process_type.clone()),
        states: vec![State::Finished],
        limit: Some(COMPARED),
        ..ProcessFilter::default()
    };
    let mut found: Option<(i64, Vec<String>)> = None;
    for other in reader.processes(&alike)?.iter().rev().filter(|other| other.id != process.id) {
        let Some(ingredients) = Ingredients::read(reader, other)? else { continue };
        let differences = own.differences(&ingredients);
        if found.as_ref().is_none_or(|(_, fewest)| differences.len() < fewest.len()) {
            found = Some((other.id.0, differences));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(by_default: bool, enabled: &str, disabled: &str) -> CacheRules {
        let list = |text| patterns(text).map(str::to_owned).collect();
        CacheRules { by_default, enabled_for: list(enabled), disabled_for: list(disabled) }
    }

    #[test]
    fn a_name_counts_more_than_a_pattern_and_a_refusal_more_than_a_wish() {
        let rules = rules(false, "qe.*, sums.add", "qe.ph, sums.*");
        for (name, expect) in [("qe.pw", true), ("qe.ph", false), ("sums.add", true), ("sums.mul", false)] {
            assert_eq!(rules.judge(name).0, expect, "{name}");
        }
        let (enabled, because) = rules.judge("other.type");
        assert_eq!((enabled, because.as_str()), (false, "`caching.default_enabled` is false"));
    }

    #[test]
    fn settings_are_checked() {
        assert!(check_setting(DEFAULT, Some("true")).is_ok());
        assert!(check_setting(DEFAULT, Some("yes")).unwrap_err().contains("true or false"));
        assert!(check_setting(ENABLED_FOR, Some("qe.*, sums.add")).is_ok());
        assert!(check_setting(DISABLED_FOR, Some("a b")).unwrap_err().contains("`a b`"));
    }
}
