//! Caching: an equal calculation takes over the results of an earlier one.
//!
//! ```text
//! launch     fingerprint: a digest of type, computer, options and inputs, kept by the store
//! first step rules: does it reuse results, and is there a source with the same digest?
//!            reuse: copies of the source's outputs, links and the end, in one commit
//! ```
//!
//! Workflows reuse nothing themselves; the calculations that they call do.

pub(crate) mod fingerprint;
pub(crate) mod rules;

pub use fingerprint::Ingredients;
pub use rules::{CacheRules, CacheStory, Candidate, cache_story};
