//! Resources that jobs may ask for beside machines, processes and cores: the keys that a scheduler adds.

/// A key of `metadata.options.resources` that only some schedulers know. A launch that asks for a key which its
/// scheduler does not know is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceKey {
    /// Its name.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: ResourceKind,
}

/// The kind of value that a [`ResourceKey`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// A whole number, at least 1.
    Count,
    /// A text that is not blank.
    Text,
}

impl ResourceKind {
    /// Returns whether a value is of this kind.
    pub fn fits(self, value: &serde_json::Value) -> bool {
        match self {
            ResourceKind::Count => value.as_u64().is_some_and(|number| number > 0),
            ResourceKind::Text => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        }
    }

    /// Returns the words for the expected value.
    pub fn expected(self) -> &'static str {
        match self {
            ResourceKind::Count => "a whole number of at least 1",
            ResourceKind::Text => "a text",
        }
    }
}
