//! A log-in with a person at hand: the server's questions, and the answers to them.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A question of a server, as keyboard-interactive authentication has it (RFC 4256). All of its text is the server's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Question {
    /// The host that asks, and the user.
    pub from: String,
    /// Its title; often empty.
    pub name: String,
    /// The server's instructions; often empty.
    pub instructions: String,
    /// The things that are asked for, each of which takes an answer.
    pub prompts: Vec<Prompt>,
}

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Its text.
    pub text: String,
    /// True if the answer may be shown while it is typed.
    pub echo: bool,
}

/// A secret: never shown, and overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over.
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// Returns the text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A person who answers questions.
#[async_trait]
pub trait Asker: Send + Sync {
    /// Asks, and waits for the answers, one for each prompt; `None` if there are none to come.
    async fn ask(&self, question: Question) -> Option<Vec<Secret>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{:?}", Some(&secret)), "Some(Secret)");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
