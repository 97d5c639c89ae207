//! The cores of a computer that a user lets jobs have.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The number of cores that a user lets jobs have at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// As many as the jobs want.
    Unlimited,
    /// At most this number.
    Count(u32),
}

/// The word for [`Cores::Unlimited`] in a computer's settings.
const UNLIMITED: &str = "unlimited";

impl std::str::FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Cores, String> {
        let count = || text.trim().parse().ok().filter(|count| *count > 0).map(Cores::Count);
        let cores = if text.trim() == UNLIMITED { Some(Cores::Unlimited) } else { count() };
        cores.ok_or_else(|| format!("`{text}` is neither a number of at least 1 nor `{UNLIMITED}`"))
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cores::Unlimited => f.write_str(UNLIMITED),
            Cores::Count(count) => write!(f, "{count}"),
        }
    }
}

impl Serialize for Cores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cores::Unlimited => serializer.serialize_str(UNLIMITED),
            Cores::Count(count) => serializer.serialize_u32(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cores, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Number(u32),
            Text(String),
        }
        let text = match Said::deserialize(deserializer)? {
            Said::Number(count) => count.to_string(),
            Said::Text(text) => text,
        };
        text.parse().map_err(|text| de::Error::custom(format!("num_cores: {text}")))
    }
}
