//! Decides which submission a listed job belongs to. Schedulers forget and reuse ids, and users and sites rename
//! jobs.
//! So a job is ours if it has our id *and* a witness: its name or comment bears the token, or it works in the
//! job's directory.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

use super::{JobId, JobRef, JobStatus, Listed, Submission};

/// The jobs asked about, indexed by their ids.
pub(super) struct Wanted<'a> {
    by_number: BTreeMap<&'a str, Vec<&'a JobRef>>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(jobs: &'a [JobRef]) -> Wanted<'a> {
        let mut by_number = BTreeMap::<&str, Vec<&JobRef>>::new();
        for job in jobs {
            by_number.entry(job.id.number()).or_default().push(job);
        }
        Wanted { by_number }
    }

    /// Returns which of them a listed job of the same cluster is. If two of them have the same id, the one whose
    /// token the listed job bears is preferred.
    pub(super) fn find(&self, listed: &Listed) -> Option<&'a JobRef> {
        let same = self.by_number.get(listed.id.number())?;
        let bears = same.iter().find(|job| listed.bears(&job.token));
        bears.or_else(|| same.iter().find(|job| listed.works_in(&job.dir))).copied()
    }

    /// Returns the states of those that are listed.
    pub(super) fn states(&self, listed: Vec<Listed>) -> BTreeMap<JobRef, JobStatus> {
        listed.into_iter().filter_map(|one| Some((self.find(&one)?.clone(), one.status))).collect()
    }
}

impl Listed {
    /// Makes a job of which the scheduler shows only id and name.
    pub fn named(id: JobId, name: String, status: JobStatus) -> Listed {
        Listed { id, name, comment: String::new(), dir: None, status }
    }

    /// Returns whether its name or comment bears a token.
    pub fn bears(&self, token: &str) -> bool {
        has_word(&self.name, token) || has_word(&self.comment, token)
    }

    /// Returns whether it works in a directory.
    pub fn works_in(&self, dir: &Path) -> bool {
        self.dir.as_deref() == Some(dir)
    }

    /// Returns whether the listing shows anything of it that could be a witness.
    pub(super) fn has_witness(&self) -> bool {
        !self.name.is_empty() || !self.comment.is_empty() || self.dir.is_some()
    }
}

impl Submission {
    /// Returns the job of this submission among listed ones, where its id is not known: the one that bears the
    /// token. A site that renames jobs leaves them their directory, which jobs of earlier attempts had as well; so
    /// one that works there counts if it is none of those.
    pub fn among<'a>(&self, listed: &'a [Listed]) -> Option<&'a Listed> {
        let is_earlier = |one: &Listed| self.earlier.iter().any(|job| job.id.number() == one.id.number());
        let bears = listed.iter().find(|one| one.bears(&self.token));
        bears.or_else(|| listed.iter().find(|one| one.works_in(&self.dir) && !is_earlier(one)))
    }
}

/// The tokens of our jobs, prepared for the search in names and comments.
pub(super) struct Tokens<'a> {
    tokens: &'a HashSet<String>,
    lengths: BTreeSet<usize>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(tokens: &'a HashSet<String>) -> Tokens<'a> {
        Tokens { tokens, lengths: tokens.iter().map(String::len).collect() }
    }

    /// Returns whether a listed job bears one of them.
    pub(super) fn is_borne_by(&self, listed: &Listed) -> bool {
        [&listed.name, &listed.comment].into_iter().any(|text| self.is_in(text))
    }

    fn is_in(&self, text: &str) -> bool {
        let at = |start: usize, length: &usize| text.get(start..start + length);
        starts(text).any(|start| {
            self.lengths
                .iter()
                .filter_map(|length| at(start, length))
                .any(|word| self.tokens.contains(word) && ends_well(&text[start + word.len()..]))
        })
    }
}

/// Returns the positions in a text where words may begin.
fn starts(text: &str) -> impl Iterator<Item = usize> {
    let breaks = text.char_indices().filter(|(_, c)| !c.is_ascii_alphanumeric());
    std::iter::once(0).chain(breaks.map(|(index, c)| index + c.len_utf8()))
}

fn ends_well(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Returns whether a text contains a word with no letter or digit right before or after it.
fn has_word(text: &str, word: &str) -> bool {
    !word.is_empty() && starts(text).any(|start| text[start..].strip_prefix(word).is_some_and(ends_well))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::JobState;

    const TOKEN: &str = "01a22b86-0000-7000-8000-000000000001";

    fn listed(name: &str, comment: &str, dir: &str) -> Listed {
        let status =
            JobStatus { state: JobState::Running, raw: "R".into(), reason: None, ..JobStatus::default() };
        let named = Listed::named(JobId("7".into()), name.into(), status);
        Listed { comment: comment.into(), dir: Some(dir.into()), ..named }
    }

    fn job(token: &str, dir: &str) -> JobRef {
        JobRef { id: JobId("7".into()), token: token.into(), dir: dir.into() }
    }

    #[test]
    fn name_comment_and_directory_are_witnesses() {
        let jobs = [job(TOKEN, "/w")];
        let is_ours = |name: &str, comment: &str, dir: &str| {
            Wanted::new(&jobs).find(&listed(name, comment, dir)).is_some()
        };
        assert!(is_ours(TOKEN, "", "/"), "as it was named before names had labels");
        assert!(is_ours(&format!("ferry-17-{TOKEN}"), "", "/"));
        assert!(is_ours(&format!("site_ferry-17-{TOKEN}"), "", "/"), "a site's prefix");
        assert!(is_ours("renamed", &format!("theirs {TOKEN}"), "/"));
        assert!(is_ours("renamed", "", "/w"));
        assert!(!is_ours("renamed", "", "/w/other"));
        assert!(!is_ours(&format!("{TOKEN}1"), &format!("a{TOKEN}"), "/"));
    }

    #[test]
    fn of_two_jobs_with_one_id_the_token_decides() {
        let jobs = [job("old", "/w"), job("new", "/w")];
        let found = |name: &str| Wanted::new(&jobs).find(&listed(name, "", "/w")).map(|job| &*job.token);
        assert_eq!(found("x-new"), Some("new"));
        assert_eq!(found("x-old"), Some("old"));
    }

    #[test]
    fn tokens_are_found_wherever_they_stand() {
        let tokens: HashSet<String> = [TOKEN.to_owned(), "t1-2".to_owned()].into();
        let tokens = Tokens::new(&tokens);
        for name in [TOKEN.to_owned(), format!("é-{TOKEN}"), format!("x-{TOKEN}-y"), "a t1-2".into()] {
            assert!(tokens.is_borne_by(&listed(&name, "", "/")), "{name}");
            assert!(tokens.is_borne_by(&listed("x", &name, "/")), "{name}");
        }
        for name in ["", "t1-20", "xt1-2", "01a22b86"] {
            assert!(!tokens.is_borne_by(&listed(name, name, "/")), "{name}");
        }
    }
}
