//! `metadata.options.stash` and `unstash`, with AiiDA's keys. A calculation stashes files on its computer when its
//! job has ended, or takes files out of a stash before its job begins.

use ferry_plugin_proto::{Problem, Value};
use serde::{Deserialize, Serialize};

use super::fields::Fields;
use crate::node::lend::is_inside;

/// The files to stash, the place, and the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stash {
    /// Absolute directory on the computer, which all calculations may share.
    pub target_base: String,
    /// Relative paths in the work directory, and patterns.
    pub source_list: Vec<String>,
    /// The format: copies, or one archive.
    pub stash_mode: StashMode,
    /// True if an archive holds the targets of links instead of the links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dereference: Option<bool>,
    /// True if a missing entry of `source_list` makes the stash fail.
    #[serde(default)]
    pub fail_on_missing: bool,
}

/// The format of a stash: copies, or one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StashMode {
    /// Copies, at their relative paths.
    #[serde(rename = "copy")]
    Copy,
    /// An uncompressed tar archive.
    #[serde(rename = "tar")]
    Tar,
    /// A tar archive, compressed with bzip2.
    #[serde(rename = "tar.bz2")]
    TarBz2,
    /// A tar archive, compressed with gzip.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// A tar archive, compressed with xz.
    #[serde(rename = "tar.xz")]
    TarXz,
}

impl StashMode {
    const ALL: [StashMode; 5] =
        [StashMode::Copy, StashMode::Tar, StashMode::TarBz2, StashMode::TarGz, StashMode::TarXz];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            StashMode::Copy => "copy",
            StashMode::Tar => "tar",
            StashMode::TarBz2 => "tar.bz2",
            StashMode::TarGz => "tar.gz",
            StashMode::TarXz => "tar.xz",
        }
    }

    /// Returns the mode of a name.
    pub(crate) fn of(word: &str) -> Option<StashMode> {
        StashMode::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// The files to take out of a stash, which is an input of the calculation, and their destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unstash {
    /// Relative paths in the stash, and patterns.
    pub source_list: Vec<String>,
    /// The destination.
    pub unstash_target_mode: UnstashTarget,
}

impl Unstash {
    /// Returns whether the files go to another calculation than the one that takes them out.
    pub(crate) fn is_for_others(&self) -> bool {
        self.unstash_target_mode == UnstashTarget::OriginalPlace
    }
}

/// The destination of files taken out of a stash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnstashTarget {
    /// Into the work directory of the calculation that stashed it.
    OriginalPlace,
    /// Into the work directory of the calculation that takes it out.
    NewRemoteData,
}

/// Returns all problems with an option of this module; none for any other option.
pub(crate) fn problems(key: &str, value: &Value, port: &str) -> Vec<Problem> {
    match (key, value) {
        (_, Value::Null) => Vec::new(),
        ("stash", value) => stash_problems(value, port),
        ("unstash", value) => unstash_problems(value, port),
        _ => Vec::new(),
    }
}

fn stash_problems(value: &Value, port: &str) -> Vec<Problem> {
    let known = ["target_base", "source_list", "stash_mode", "dereference", "fail_on_missing"];
    let mut fields = Fields::of(value, port, &known);
    if let Some(base) = fields.text("target_base", "an absolute path on the computer")
        && (!base.starts_with('/') || base.contains('\0') || base.split('/').any(|part| part == ".."))
    {
        fields.wrong("target_base", format!("`{base}` is not an absolute path"));
    }
    let must_be_there = fields.flag("fail_on_missing") == Some(true);
    let sources = check_sources(&mut fields, "the work directory");
    for source in sources.iter().filter(|source| must_be_there && is_pattern(source)) {
        let why = "a pattern with `fail_on_missing`: it can't be known whether something is missing";
        fields.wrong("source_list", format!("`{source}` is {why}; write the names, or omit that key"));
    }
    let words = StashMode::ALL.map(StashMode::as_str).join(", ");
    let mode = fields.text("stash_mode", &format!("one of {words}")).map(|word| (word, StashMode::of(word)));
    let dereference = fields.flag("dereference");
    match mode {
        Some((word, None)) => fields.wrong("stash_mode", format!("`{word}` is none of {words}")),
        Some((_, Some(StashMode::Copy))) if dereference.is_some() => {
            fields.wrong("dereference", "a copy keeps links as they are; this key is for archives");
        }
        Some((word, Some(mode)))
            if mode != StashMode::Copy && dereference.is_none() && fields.get("dereference").is_none() =>
        {
            let what = "true puts what links point to into the archive, false the links";
            fields.wrong("dereference", format!("required with `{word}`: {what}"));
        }
        _ => {}
    }
    fields.problems()
}

fn unstash_problems(value: &Value, port: &str) -> Vec<Problem> {
    let mut fields = Fields::of(value, port, &["source_list", "unstash_target_mode"]);
    check_sources(&mut fields, "the stash");
    let words = "OriginalPlace or NewRemoteData";
    if let Some(word) = fields.text("unstash_target_mode", words)
        && !["OriginalPlace", "NewRemoteData"].contains(&word)
    {
        fields.wrong("unstash_target_mode", format!("expected {words}, got `{word}`"));
    }
    fields.problems()
}

fn check_sources(fields: &mut Fields<'_>, place: &str) -> Vec<String> {
    let sources = fields.texts("source_list", &format!("a list of paths in {place}"));
    for source in &sources {
        let is_ours = source == ".ferry" || source.starts_with(".ferry/");
        if !is_inside(source) || is_ours {
            fields.wrong("source_list", format!("`{source}` is not a path inside {place}"));
        }
    }
    sources
}

/// Returns whether a path is a pattern.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Returns the problem with taking files out of a stash, if there is one. The inputs are given as (data type,
/// computer).
pub(crate) fn check_unstash<'a>(
    unstash: Option<&Unstash>,
    inputs: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    computer: Option<&str>,
) -> Option<Problem> {
    unstash?;
    let port = "metadata.options.unstash".to_owned();
    let stashes: Vec<Option<&str>> =
        inputs.filter(|(data_type, _)| *data_type == "remote_stash").map(|(_, computer)| computer).collect();
    let message = match stashes.as_slice() {
        [place] if computer.is_none() || *place == computer => return None,
        [place] => format!(
            "the stash is on computer `{}`, but the calculation runs on `{}`",
            place.unwrap_or_default(),
            computer.unwrap_or_default()
        ),
        [] => "there is no stash among the inputs: give the output `remote_stash` of the calculation that \
               made it to one of them"
            .to_owned(),
        several => format!("there are {} stashes among the inputs; give one", several.len()),
    };
    Some(Problem { port, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns all problems, as `port: message`.
    fn wrong(key: &str, json: &str) -> Vec<String> {
        let value: Value = serde_json::from_str(json).unwrap();
        problems(key, &value, key)
            .into_iter()
            .map(|problem| format!("{}: {}", problem.port, problem.message))
            .collect()
    }

    fn check(key: &str, json: &str, expect: &[&str]) {
        let wrong = wrong(key, json);
        let fits = wrong.len() == expect.len()
            && wrong.iter().zip(expect).all(|(wrong, expect)| wrong.contains(expect));
        assert!(fits, "{json}: {wrong:#?}");
    }

    #[test]
    fn good_ones_are_taken_and_read() {
        let json = r#"{"target_base": "/s", "source_list": ["a", "b/*"], "stash_mode": "copy"}"#;
        check("stash", json, &[]);
        let stash: Stash = serde_json::from_str(json).unwrap();
        assert_eq!((stash.stash_mode, stash.fail_on_missing), (StashMode::Copy, false));
        for mode in ["tar", "tar.bz2", "tar.gz", "tar.xz"] {
            let json = format!(
                r#"{{"target_base": "/s", "source_list": ["a"], "stash_mode": "{mode}", "dereference": false}}"#
            );
            check("stash", &json, &[]);
            assert_eq!(serde_json::from_str::<Stash>(&json).unwrap().stash_mode.as_str(), mode);
        }
        check("unstash", r#"{"source_list": ["*"], "unstash_target_mode": "NewRemoteData"}"#, &[]);
    }

    #[test]
    fn the_target_base_must_be_absolute() {
        for base in ["s", "", "~/s", "/a/../b"] {
            let json = format!(r#"{{"target_base": "{base}", "source_list": ["a"], "stash_mode": "copy"}}"#);
            check("stash", &json, &["stash.target_base: `"]);
        }
    }

    #[test]
    fn the_source_list_must_be_relative_and_inside() {
        for source in ["/etc/passwd", "../x", "a/../../x", "", ".ferry/run"] {
            let json =
                format!(r#"{{"target_base": "/s", "source_list": ["{source}"], "stash_mode": "copy"}}"#);
            check("stash", &json, &["is not a path inside the work directory"]);
        }
        let json = r#"{"target_base": "/s", "source_list": [], "stash_mode": "copy"}"#;
        check("stash", json, &["got an empty list"]);
        let json = r#"{"target_base": "/s", "source_list": "a", "stash_mode": "copy"}"#;
        check("stash", json, &["expected a list of paths in the work directory, got the text `a`"]);
    }

    #[test]
    fn the_mode_must_be_known() {
        let json = r#"{"target_base": "/s", "source_list": ["a"], "stash_mode": "zip"}"#;
        check("stash", json, &["`zip` is none of copy, tar, tar.bz2, tar.gz, tar.xz"]);
    }

    #[test]
    fn dereference_is_required_for_archives_and_refused_for_copies() {
        let json = r#"{"target_base": "/s", "source_list": ["a"], "stash_mode": "tar"}"#;
        check("stash", json, &["stash.dereference: required with `tar`"]);
        let json =
            r#"{"target_base": "/s", "source_list": ["a"], "stash_mode": "copy", "dereference": true}"#;
        check("stash", json, &["stash.dereference: a copy keeps links"]);
    }

    #[test]
    fn patterns_and_fail_on_missing_exclude_one_another() {
        let json = r#"{"target_base": "/s", "source_list": ["a", "*.x"], "stash_mode": "copy",
                       "fail_on_missing": true}"#;
        check("stash", json, &["`*.x` is a pattern with `fail_on_missing`"]);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let expect = [
            "stash.stashmode: no such key; did you mean `stash_mode`?",
            "stash.target_base: required",
            "stash.fail_on_missing: expected true or false",
            "stash.source_list: `/x`",
            "stash.stash_mode: required",
        ];
        check("stash", r#"{"stashmode": "copy", "source_list": ["/x"], "fail_on_missing": "no"}"#, &expect);
        check("stash", "5", &["stash: expected a map with target_base"]);
        let expect = ["unstash.source_list: required", "expected OriginalPlace or NewRemoteData, got `here`"];
        check("unstash", r#"{"unstash_target_mode": "here"}"#, &expect);
    }

    #[test]
    fn taking_out_needs_one_stash_of_the_same_computer() {
        let unstash =
            Unstash { source_list: vec!["a".into()], unstash_target_mode: UnstashTarget::NewRemoteData };
        let judge = |inputs: &[(&'static str, Option<&'static str>)]| {
            let problem = check_unstash(Some(&unstash), inputs.iter().copied(), Some("daint"));
            problem.map(|problem| problem.message).unwrap_or_default()
        };
        assert_eq!(judge(&[("remote_stash", Some("daint")), ("int", None)]), "");
        assert!(judge(&[("int", None)]).contains("no stash among the inputs"));
        assert!(judge(&[("remote_stash", Some("eiger"))]).contains("is on computer `eiger`"));
        assert!(judge(&[("remote_stash", Some("daint")); 2]).contains("2 stashes"));
        assert!(check_unstash(None, [].into_iter(), None).is_none());
    }
}
