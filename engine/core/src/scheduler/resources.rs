//! What jobs may ask of a machine beside machines, processes and cores: the keys that a scheduler adds.

/// A key of `metadata.options.resources` that a scheduler knows beside those that all know. A launch that asks for
/// one which its scheduler does not know is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceKey {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: ResourceKind,
}

/// What the value of a [`ResourceKey`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// A whole number, at least 1.
    Count,
    /// A text that says something.
    Text,
}

impl ResourceKind {
    /// Returns whether a value is one.
    pub fn fits(self, value: &serde_json::Value) -> bool {
        match self {
            ResourceKind::Count => value.as_u64().is_some_and(|number| number > 0),
            ResourceKind::Text => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        }
    }

    /// Says what is wanted.
    pub fn expected(self) -> &'static str {
        match self {
            ResourceKind::Count => "a whole number of at least 1",
            ResourceKind::Text => "a text",
        }
    }
}
