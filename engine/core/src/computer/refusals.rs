//! A site's own words for refusals. The answer of its submit filter may mean "not now" or "never", and only the
//! site knows which. A computer lists such words under `refusals:`; they count where the scheduler's answer is
//! read.
//!
//! ```
//! use ferry_engine_core::scheduler::{Refusal, Refusals};
//!
//! let refusals = Refusals { busy: vec!["no budget left until *".into()], ..Refusals::default() };
//! assert_eq!(refusals.meaning("Your project has NO budget left until 1 January"), Some(Refusal::Busy));
//! ```

use serde::{Deserialize, Serialize};

/// Texts that a site's refusals contain, grouped by meaning.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Refusals {
    /// Not now: the job waits, and costs no attempt.
    pub busy: Vec<String>,
    /// Never: the job ends, with the scheduler's words.
    #[serde(rename = "final")]
    pub never: Vec<String>,
}

/// The meaning of a site's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not now.
    Busy,
    /// Never.
    Final,
}

/// Fewest letters and digits of a text. A shorter one would match almost any refusal.
const LEAST: usize = 4;

impl Refusals {
    /// Returns whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.busy.is_empty() && self.never.is_empty()
    }

    /// Returns what the scheduler's words mean there; `None` if no text matches. "Not now" has precedence over
    /// "never", since an end can't be taken back.
    pub fn meaning(&self, words: &str) -> Option<Refusal> {
        let words = words.to_lowercase();
        let says = |texts: &[String]| texts.iter().any(|text| contains(&words, &text.to_lowercase()));
        if says(&self.busy) {
            return Some(Refusal::Busy);
        }
        says(&self.never).then_some(Refusal::Final)
    }

    /// Returns everything that is wrong with the texts.
    pub fn problems(&self) -> Vec<String> {
        let lists = [("busy", &self.busy), ("final", &self.never)];
        let texts = lists.into_iter().flat_map(|(list, texts)| texts.iter().map(move |text| (list, text)));
        let mut problems: Vec<String> = texts
            .filter(|(_, text)| text.chars().filter(|c| c.is_alphanumeric()).count() < LEAST)
            .map(|(list, text)| {
                format!(
                    "refusals.{list}: `{text}` has fewer than {LEAST} letters and would match almost any refusal"
                )
            })
            .collect();
        let both = self.busy.iter().filter(|text| self.never.contains(text));
        problems.extend(both.map(|text| format!("refusals: `{text}` can't be both busy and final")));
        problems
    }
}

/// Returns whether `words` contain the text; a star in it stands for any text, also an empty one.
fn contains(words: &str, text: &str) -> bool {
    let mut rest = words;
    text.split('*').all(|part| match rest.find(part.trim()) {
        Some(at) => {
            rest = &rest[at + part.trim().len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(busy: &[&str], never: &[&str]) -> Refusals {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Refusals { busy: own(busy), never: own(never) }
    }

    #[test]
    fn texts_are_found_whatever_their_case_and_stars_stand_for_anything() {
        let site = refusals(&["quota of * exceeded", "(job submit limit"], &["state a project"]);
        assert_eq!(site.meaning("Quota of sci42 exceeded; failed: Unspecified error"), Some(Refusal::Busy));
        assert_eq!(site.meaning("exceeded: the quota of sci42"), None);
        assert_eq!(site.meaning("please STATE a project"), Some(Refusal::Final));
        assert_eq!(site.meaning("violates policy (job submit limit, size)"), Some(Refusal::Busy));
        assert_eq!(
            site.meaning("state a project: quota of x exceeded"),
            Some(Refusal::Busy),
            "an end comes last"
        );
        assert_eq!(Refusals::default().meaning("anything"), None);
    }

    #[test]
    fn texts_that_mean_anything_are_refused() {
        assert_eq!(refusals(&["budget"], &["state a project"]).problems(), Vec::<String>::new());
        let problems = refusals(&["*", "no", "budget"], &["budget", " "]).problems();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].starts_with("refusals.busy: `*` has fewer than 4 letters"), "{problems:?}");
        assert!(problems[3].contains("`budget` can't be both"), "{problems:?}");
    }
}
