//! The settings of this transport: those of a computer file override those of OpenSSH's own files.

use std::{path::PathBuf, time::Duration};

use ferry_engine_core::{
    computer::Computer,
    transport::{Error, ErrorKind, Result, Setting},
};

use crate::settings::home;

/// The settings that a computer file may have.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting { key: "username", help: "user on the computer (default: what your ~/.ssh/config says)" },
    Setting { key: "port", help: "port of its SSH server (default: what your ~/.ssh/config says, or 22)" },
    Setting { key: "key_filename", help: "private key, or a list of them (default: agent and ~/.ssh)" },
    Setting { key: "allow_agent", help: "use the keys of a running ssh-agent (default: true)" },
    Setting { key: "proxy_jump", help: "hosts to go through: [user@]host[:port], separated by commas" },
    Setting { key: "proxy_command", help: "command whose standard input and output lead to the server" },
    Setting {
        key: "key_policy",
        help: "unknown host keys: `strict` refuses, `accept-new` remembers; changed ones are always refused \
               (default: strict)",
    },
    Setting { key: "known_hosts", help: "file of known host keys, or a list (default: ~/.ssh/known_hosts)" },
    Setting { key: "config_file", help: "OpenSSH configuration to read instead of yours (`none`: no file)" },
    Setting {
        key: "use_login_shell",
        help: "run commands through `bash -l`, so that they see what your login files set (default: only what submits jobs)",
    },
    Setting { key: "safe_interval", help: "least time between two connections, s (default: 15)" },
    Setting { key: "timeout", help: "most time for each step of connecting, s (default: 20)" },
    Setting { key: "keepalive", help: "how often to check that the connection is alive, s (default: 10)" },
];

/// The policy for an unknown host key. A changed one is always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPolicy {
    /// Refuse it.
    Strict,
    /// Write it to the known hosts and go on.
    AcceptNew,
}

/// The settings, read. `None` and empty lists leave the choice to OpenSSH's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// User on the computer.
    pub username: Option<String>,
    /// Port of its server.
    pub port: Option<u16>,
    /// Private keys, instead of the configured ones.
    pub keys: Vec<PathBuf>,
    /// True to use the keys of a running agent.
    pub allow_agent: bool,
    /// Hosts to go through.
    pub proxy_jump: Option<String>,
    /// Command that leads to the server.
    pub proxy_command: Option<String>,
    /// The policy for unknown host keys.
    pub key_policy: Option<KeyPolicy>,
    /// Files of known host keys; the first is the one to write to.
    pub known_hosts: Vec<PathBuf>,
    /// OpenSSH configuration to read instead of the user's.
    pub config_file: Option<PathBuf>,
    /// True to run commands through `bash -l`, unless a command says otherwise.
    pub use_login_shell: bool,
    /// Least time between two openings.
    pub safe_interval: Duration,
    /// Most time for each step of an opening.
    pub timeout: Duration,
    /// Time between two checks of the connection.
    pub keepalive: Duration,
}

impl Config {
    /// Reads the connection settings of a computer. Keys of others are ignored.
    ///
    /// # Errors
    /// `Config`, naming the key.
    pub fn read(computer: &Computer) -> Result<Self> {
        let read = Keys { computer };
        let host = &computer.hostname;
        if host.is_empty() || host.starts_with('-') || host.contains(char::is_whitespace) {
            return Err(read.wrong("hostname", host, "set it to the name or address of a computer"));
        }
        Ok(Config {
            username: read.text("username")?,
            port: read.port()?,
            keys: read.paths("key_filename")?,
            allow_agent: read.flag("allow_agent", true)?,
            proxy_jump: read.text("proxy_jump")?,
            proxy_command: read.text("proxy_command")?,
            key_policy: read.key_policy()?,
            known_hosts: read.paths("known_hosts")?,
            config_file: read.text("config_file")?.map(|path| home::expand(&path)),
            use_login_shell: read.flag("use_login_shell", false)?,
            safe_interval: read.seconds("safe_interval", 15.0, 0.0)?,
            timeout: read.seconds("timeout", 20.0, 0.1)?,
            keepalive: read.seconds("keepalive", 10.0, 0.1)?,
        })
    }
}

/// A reader of settings by their type.
struct Keys<'a> {
    computer: &'a Computer,
}

impl Keys<'_> {
    fn text(&self, key: &str) -> Result<Option<String>> {
        let Some(value) = self.computer.connection.get(key) else { return Ok(None) };
        match value.as_str() {
            // A word that begins with a dash would be an option of `ssh`.
            Some(text) if !text.starts_with('-') => Ok(Some(text.to_owned()).filter(|text| !text.is_empty())),
            _ => Err(self.wrong(key, value, "set it to a text, without a dash in front")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.computer.connection.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, value, "set it to true or false"))
    }

    fn port(&self) -> Result<Option<u16>> {
        let Some(value) = self.computer.connection.get("port") else { return Ok(None) };
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        port.map(Some).ok_or_else(|| self.wrong("port", value, "set it to a number from 1 to 65535"))
    }

    fn seconds(&self, key: &str, default: f64, least: f64) -> Result<Duration> {
        let value = self.computer.connection.get(key);
        let seconds = value.map_or(Some(default), |value| value.as_f64()).filter(|seconds| *seconds >= least);
        let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        duration.ok_or_else(|| {
            let shown = value.map(ToString::to_string).unwrap_or_default();
            self.wrong(key, shown, &format!("set it to a number of seconds, at least {least}"))
        })
    }

    fn paths(&self, key: &str) -> Result<Vec<PathBuf>> {
        let Some(value) = self.computer.connection.get(key) else { return Ok(Vec::new()) };
        let wrong = || self.wrong(key, value, "set it to a path, or to a list of paths");
        let path = |text: &str| Some(home::expand(text)).filter(|path| path.is_absolute());
        let paths: Option<Vec<PathBuf>> = match (value.as_str(), value.as_array()) {
            (Some(""), _) => Some(Vec::new()),
            (Some(text), _) => path(text).map(|path| vec![path]),
            (None, Some(list)) => list.iter().map(|item| item.as_str().and_then(path)).collect(),
            (None, None) => None,
        };
        paths.ok_or_else(wrong)
    }

    /// Reads the policy in ferry's own words, OpenSSH's, or those of AiiDA's paramiko.
    fn key_policy(&self) -> Result<Option<KeyPolicy>> {
        let Some(word) = self.text("key_policy")? else { return Ok(None) };
        match word.as_str() {
            "strict" | "yes" | "RejectPolicy" => Ok(Some(KeyPolicy::Strict)),
            "accept-new" | "AutoAddPolicy" => Ok(Some(KeyPolicy::AcceptNew)),
            "WarningPolicy" => {
                let computer = &self.computer.label;
                tracing::warn!(computer, "key_policy WarningPolicy is not safe: ferry is strict instead");
                Ok(Some(KeyPolicy::Strict))
            }
            _ => Err(self.wrong("key_policy", &word, "set it to strict or accept-new")),
        }
    }

    fn wrong(&self, key: &str, value: impl std::fmt::Display, help: &str) -> Error {
        Error::new(ErrorKind::Config, "computer")
            .message(format!("`{key}` is {value}"))
            .with("computer", &self.computer.label)
            .help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str, expect: impl FnOnce(Result<Config, String>) -> bool) {
        let mut computer = Computer { label: "far".into(), hostname: "login1".into(), ..Computer::default() };
        computer.connection.insert(key.into(), value.parse().unwrap());
        let read = Config::read(&computer).map_err(|error| error.to_string());
        assert!(expect(read.clone()), "{key}: {value}: {read:?}");
    }

    #[test]
    fn settings_are_read_or_named() {
        check("port", "2222", |read| read.unwrap().port == Some(2222));
        check("port", "0", |read| read == Err("`port` is 0, computer: far".into()));
        check("key_filename", "\"/k\"", |read| read.unwrap().keys == [PathBuf::from("/k")]);
        check("key_filename", "[\"/k\", \"/l\"]", |read| read.unwrap().keys.len() == 2);
        check("key_filename", "\"relative\"", |read| read.is_err());
        check("key_policy", "\"AutoAddPolicy\"", |read| {
            read.unwrap().key_policy == Some(KeyPolicy::AcceptNew)
        });
        check("key_policy", "\"WarningPolicy\"", |read| read.unwrap().key_policy == Some(KeyPolicy::Strict));
        check("key_policy", "\"maybe\"", |read| read.is_err());
        check("safe_interval", "0", |read| read.unwrap().safe_interval.is_zero());
        check("timeout", "-1", |read| read.is_err());
        check("username", "\"-oProxyCommand=x\"", |read| read.is_err());
        check("use_login_shell", "\"yes\"", |read| read.is_err());
    }
}
