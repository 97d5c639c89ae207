//! One host to log in to, with all settings resolved: the computer's settings over OpenSSH's configuration.

use std::{env, path::PathBuf, time::Duration};

use ferry_engine_core::transport::{Error, ErrorKind, Result};

use crate::settings::{
    config::{Config, KeyPolicy},
    home,
    openssh::{self, Question, Resolved},
    tokens::{Facts, Tokens},
};

/// A host, the user there, and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Its name for people.
    pub(crate) name: String,
    /// Its name or address for the connection.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) way: Way,
    pub(crate) identities: Identities,
    pub(crate) trust: Trust,
    pub(crate) timeout: Duration,
    pub(crate) tokens: Tokens,
}

/// The way to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// A TCP connection.
    Direct,
    /// Through these hosts, in order.
    Jump(Vec<Hop>),
    /// Through the standard streams of a command.
    Command(String),
}

/// A jump host, as a ProxyJump names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) host: String,
    pub(crate) user: Option<String>,
    pub(crate) port: Option<u16>,
}

/// The sources of credentials.
#[derive(Debug, Clone)]
pub(crate) struct Identities {
    /// Private key files, the preferred ones first.
    pub(crate) keys: Vec<PathBuf>,
    /// True if the computer's settings name them. Then a missing one is reported.
    pub(crate) are_named: bool,
    pub(crate) certificates: Vec<PathBuf>,
    /// True to use only those of the agent's keys that are also among `keys`.
    pub(crate) only_these: bool,
    /// The agent's socket.
    pub(crate) agent: Option<PathBuf>,
}

/// The host keys to trust.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// The user's files; the first is written to.
    pub(crate) files: Vec<PathBuf>,
    /// Files that are only read.
    pub(crate) global_files: Vec<PathBuf>,
    pub(crate) alias: Option<String>,
    pub(crate) policy: KeyPolicy,
    /// True to write names as hashes.
    pub(crate) hash: bool,
    /// The command that prints more known hosts, with tokens.
    pub(crate) command: Option<String>,
}

/// The tokens that a ProxyJump may have.
const JUMP_TOKENS: &str = "hnpr";

impl Endpoint {
    /// Resolves the settings of the computer itself.
    ///
    /// # Errors
    /// `Config` for a configuration that can't be read or understood.
    pub(crate) async fn target(host: &str, config: &Config) -> Result<Self> {
        let hop = Hop { host: host.to_owned(), user: config.username.clone(), port: config.port };
        let mut endpoint = Self::hop(&hop, config).await?;
        if let Some(command) = &config.proxy_command {
            endpoint.way = command_way(command);
        }
        if let Some(jump) = &config.proxy_jump {
            endpoint.way = jump_way(&endpoint.tokens.fill(jump, JUMP_TOKENS))?;
        }
        Ok(endpoint)
    }

    /// Resolves the settings of a jump host: its own configuration, and the computer's keys and known hosts where
    /// the settings name some.
    ///
    /// # Errors
    /// As [`Endpoint::target`].
    pub(crate) async fn hop(hop: &Hop, config: &Config) -> Result<Self> {
        let question = Question {
            host: &hop.host,
            user: hop.user.as_deref(),
            port: hop.port,
            config_file: config.config_file.as_deref(),
        };
        let resolved = openssh::resolve(question).await?;
        let user = hop.user.clone().or_else(|| resolved.user.clone()).or_else(|| env::var("USER").ok());
        let no_user = || {
            Error::new(ErrorKind::Config, "computer")
                .message(format!("no user is known for {}", hop.host))
                .help("set `username`")
        };
        let user = user.ok_or_else(no_user)?;
        let host = resolved.hostname.clone().unwrap_or_else(|| hop.host.clone());
        let port = hop.port.or(resolved.port).unwrap_or(22);
        let tokens = Tokens::of(Facts {
            name: &hop.host,
            host: &host,
            port,
            user: &user,
            alias: resolved.host_key_alias.as_deref(),
            jump: resolved.proxy_jump.as_deref(),
        });
        Ok(Endpoint {
            name: hop.host.clone(),
            way: way(&resolved, &tokens)?,
            identities: identities(&resolved, config, &tokens),
            trust: trust(&resolved, config),
            timeout: config.timeout,
            host,
            port,
            user,
            tokens,
        })
    }

    /// Returns the host as `known_hosts` and error messages name it.
    pub(crate) fn address(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }
}

fn way(resolved: &Resolved, tokens: &Tokens) -> Result<Way> {
    match (&resolved.proxy_jump, &resolved.proxy_command) {
        (Some(jump), _) => jump_way(&tokens.fill(jump, JUMP_TOKENS)),
        (None, Some(command)) => Ok(command_way(command)),
        (None, None) => Ok(Way::Direct),
    }
}

fn command_way(command: &str) -> Way {
    if command == "none" { Way::Direct } else { Way::Command(command.to_owned()) }
}

/// Reads `[user@]host[:port],...`; an IPv6 address is in brackets.
fn jump_way(text: &str) -> Result<Way> {
    if text == "none" {
        return Ok(Way::Direct);
    }
    let hops: Option<Vec<Hop>> = text.split(',').map(|hop| read_hop(hop.trim())).collect();
    hops.map(Way::Jump).ok_or_else(|| {
        Error::new(ErrorKind::Config, "computer")
            .message(format!("the ProxyJump `{text}` can't be read"))
            .help("write it as [user@]host[:port], several separated by commas")
    })
}

fn read_hop(text: &str) -> Option<Hop> {
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()).filter(|user| !user.is_empty()), place),
        None => (None, text),
    };
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match place.split_once(':') {
            // A text with several colons is an IPv6 address without brackets.
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (place, None),
        },
    };
    let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0));
    let is_option = |word: &str| word.starts_with('-');
    if host.is_empty() || is_option(host) || user.as_deref().is_some_and(is_option) || port == Some(None) {
        return None;
    }
    Some(Hop { host: host.to_owned(), user, port: port.flatten() })
}

fn identities(resolved: &Resolved, config: &Config, tokens: &Tokens) -> Identities {
    let are_named = !config.keys.is_empty();
    let expanded = |key: &'static str, paths: &[String]| -> Vec<PathBuf> {
        let path = |text: &String| match tokens.path(text) {
            Ok(path) => Some(path),
            Err(fault) => {
                tracing::warn!("`{key} {text}` of the SSH configuration is left out: {fault}");
                None
            }
        };
        paths.iter().filter_map(path).collect()
    };
    Identities {
        keys: if are_named { config.keys.clone() } else { expanded("IdentityFile", &resolved.identities) },
        are_named,
        certificates: expanded("CertificateFile", &resolved.certificates),
        only_these: resolved.identities_only || are_named,
        agent: if config.allow_agent { agent(resolved.agent.as_deref()) } else { None },
    }
}

/// Returns the socket of the agent that OpenSSH would ask.
fn agent(setting: Option<&str>) -> Option<PathBuf> {
    let from_env = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    match setting {
        None | Some("SSH_AUTH_SOCK") => from_env("SSH_AUTH_SOCK"),
        Some("none") => None,
        Some(path) => match path.strip_prefix('$') {
            Some(name) => from_env(name.trim_matches(['{', '}'])),
            None => Some(home::expand(path)),
        },
    }
}

fn trust(resolved: &Resolved, config: &Config) -> Trust {
    let is_named = !config.known_hosts.is_empty();
    Trust {
        files: if is_named { config.known_hosts.clone() } else { resolved.known_hosts.clone() },
        global_files: if is_named { Vec::new() } else { resolved.global_known_hosts.clone() },
        alias: resolved.host_key_alias.clone(),
        policy: config.key_policy.unwrap_or_else(|| policy(resolved.strict.as_deref())),
        hash: resolved.hash_known_hosts,
        command: resolved.known_hosts_command.clone().filter(|_| !is_named),
    }
}

/// Returns the policy. OpenSSH's `no` also accepts changed keys, which ferry never does.
fn policy(strict: Option<&str>) -> KeyPolicy {
    match strict {
        Some("accept-new" | "no" | "off" | "false") => KeyPolicy::AcceptNew,
        _ => KeyPolicy::Strict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<(&str, Option<&str>, Option<u16>)>) {
        let expect = expect.map(|(host, user, port)| Hop {
            host: host.to_owned(),
            user: user.map(str::to_owned),
            port,
        });
        assert_eq!(read_hop(text), expect, "{text}");
    }

    #[test]
    fn hops() {
        check("login1", Some(("login1", None, None)));
        check("ada@login1:2222", Some(("login1", Some("ada"), Some(2222))));
        check("ada@uni.example@login1", Some(("login1", Some("ada@uni.example"), None)));
        check("ssh://login1:22", Some(("login1", None, Some(22))));
        check("[::1]:2222", Some(("::1", None, Some(2222))));
        check("fe80::1", Some(("fe80::1", None, None)));
        check("login1:0", None);
        check("-oProxyCommand=x", None);
        check("", None);
    }
}
