//! The one form of errors at ferry's boundaries: kind, retry, effect, operation, context and cause.
//!
//! Callers branch on [`Error::kind`], the retry wrapper on [`Error::retry`], claim and recovery on
//! [`Error::effect`]. People read the text:
//!
//! ```text
//! stat: permission denied (retry: never, effect: none), path: /scratch/x: Permission denied (os error 13)
//! ```

use std::{error::Error as StdError, fmt};

/// The prospect of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request fails again.
    Never,
    /// It may work later.
    Later,
}

/// The effect of a failed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// It may have happened, wholly or in part: look before acting again.
    Unknown,
}

/// An error of kind `K`.
pub struct Error<K> {
    inner: Box<Inner<K>>,
}

struct Inner<K> {
    kind: K,
    retry: Retry,
    effect: Effect,
    operation: &'static str,
    context: Vec<(&'static str, String)>,
    message: Option<String>,
    help: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl<K> Error<K> {
    /// Makes an error of `kind` during `operation`: not worth retrying and without effect, unless set otherwise.
    pub fn new(kind: K, operation: &'static str) -> Self {
        let inner = Inner {
            kind,
            retry: Retry::Never,
            effect: Effect::None,
            operation,
            context: Vec::new(),
            message: None,
            help: None,
            source: None,
        };
        Error { inner: Box::new(inner) }
    }

    /// Sets the text that says what happened.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = Some(message.into());
        self
    }

    /// Names the operation of which the failed one was a part.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.inner.operation = operation;
        self
    }

    /// Adds context, such as the path.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.inner.context.push((key, value.to_string()));
        self
    }

    /// Sets the next step for a person.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.inner.help = Some(help.into());
        self
    }

    /// Marks an error after which trying again may help.
    #[must_use]
    pub fn later(mut self) -> Self {
        self.inner.retry = Retry::Later;
        self
    }

    /// Marks an error after which the operation may have happened all the same.
    #[must_use]
    pub fn effect_unknown(mut self) -> Self {
        self.inner.effect = Effect::Unknown;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Returns the kind of error.
    pub fn kind(&self) -> &K {
        &self.inner.kind
    }

    /// Returns whether trying again can help.
    pub fn retry(&self) -> Retry {
        self.inner.retry
    }

    /// Returns the effect of the failed operation.
    pub fn effect(&self) -> Effect {
        self.inner.effect
    }

    /// Returns the next step for a person, if one is known.
    pub fn help_text(&self) -> Option<&str> {
        self.inner.help.as_deref()
    }
}

impl<K: fmt::Display> Error<K> {
    /// Returns the text, with the next step behind it.
    pub fn explained(&self) -> String {
        self.help_text().map_or_else(|| self.to_string(), |help| format!("{self} ({help})"))
    }
}

impl<K: fmt::Display> fmt::Display for Error<K> {
    /// Writes the text for people: the message, or operation and kind; context; cause. No retry or effect.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        match &inner.message {
            Some(message) => f.write_str(message)?,
            None => write!(f, "{}: {}", inner.operation, inner.kind)?,
        }
        for (key, value) in &inner.context {
            write!(f, ", {key}: {value}")?;
        }
        if let Some(source) = &inner.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl<K: fmt::Display> fmt::Debug for Error<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retry = if self.inner.retry == Retry::Never { "never" } else { "later" };
        let effect = if self.inner.effect == Effect::None { "none" } else { "unknown" };
        write!(
            f,
            "{}: {self} (kind: {}, retry: {retry}, effect: {effect})",
            self.inner.operation, self.inner.kind
        )
    }
}

impl<K: fmt::Display> StdError for Error<K> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}
