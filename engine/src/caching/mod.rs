//! Caching: an equal calculation takes over the results of an earlier one.

pub(crate) mod fingerprint;
pub(crate) mod reuse;
pub(crate) mod rules;

pub use fingerprint::Ingredients;
pub use rules::{CacheRules, CacheStory, Candidate, cache_story};
