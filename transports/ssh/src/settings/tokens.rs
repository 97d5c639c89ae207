//! Tokens (`%h`) and variables (`${NAME}`) in what `ssh -G` prints: it leaves those of `IdentityFile`,
//! `CertificateFile`, `ProxyJump`, `ProxyCommand` and `KnownHostsCommand` to the program that connects. See
//! ssh_config(5), "TOKENS" and "ENVIRONMENT VARIABLES", OpenSSH 9.2.

use std::{env, path::PathBuf};

use crate::settings::home;

/// The values of tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens(Vec<(char, String)>);

/// The facts that tokens stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The name as it was given.
    pub(crate) name: &'a str,
    /// The name or address to connect to.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The user there.
    pub(crate) user: &'a str,
    pub(crate) alias: Option<&'a str>,
    pub(crate) jump: Option<&'a str>,
}

impl Tokens {
    /// Returns the tokens of a host.
    pub(crate) fn of(facts: Facts<'_>) -> Tokens {
        let nodename = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let short = nodename.split('.').next().unwrap_or_default().to_owned();
        let uid = rustix::process::getuid().as_raw();
        let user = env::var("USER").or_else(|_| env::var("LOGNAME")).unwrap_or_else(|_| uid.to_string());
        Tokens(vec![
            ('d', home::home().display().to_string()),
            ('h', facts.host.to_owned()),
            ('i', uid.to_string()),
            ('j', facts.jump.unwrap_or_default().to_owned()),
            ('k', facts.alias.unwrap_or(facts.name).to_owned()),
            ('L', short),
            ('l', nodename),
            ('n', facts.name.to_owned()),
            ('p', facts.port.to_string()),
            ('r', facts.user.to_owned()),
            ('u', user),
        ])
    }

    /// Returns these tokens and more.
    pub(crate) fn with(&self, more: impl IntoIterator<Item = (char, String)>) -> Tokens {
        Tokens(more.into_iter().chain(self.0.iter().cloned()).collect())
    }

    fn value(&self, token: char) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == token).map(|(_, value)| value.as_str())
    }

    /// Fills in the tokens that are among `which`. Others stay as they are.
    pub(crate) fn fill(&self, text: &str, which: &str) -> String {
        let mut filled = String::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match (next, if next == '%' { rest.next() } else { None }) {
                ('%', Some('%')) => filled.push('%'),
                ('%', Some(token)) => match self.value(token).filter(|_| which.contains(token)) {
                    Some(value) => filled.push_str(value),
                    None => filled.extend(['%', token]),
                },
                (other, _) => filled.push(other),
            }
        }
        filled
    }

    /// Returns the path that a text with tokens, variables and `~` stands for.
    ///
    /// # Errors
    /// A phrase that names the token or the variable without a value.
    pub(crate) fn path(&self, text: &str) -> Result<PathBuf, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['%', '$']) {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let variable = rest.strip_prefix("${").and_then(|rest| rest.split_once('}'));
            if let Some((name, after)) = variable {
                let value = env::var(name).map_err(|_| format!("the variable `{name}` is not set"))?;
                filled.push_str(&value);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('%') {
                let token = after.chars().next().ok_or("it ends in `%`")?;
                match self.value(token) {
                    _ if token == '%' => filled.push('%'),
                    Some(value) => filled.push_str(value),
                    None => return Err(format!("ferry does not know the token `%{token}`")),
                }
                rest = &after[token.len_utf8()..];
            } else {
                filled.push('$');
                rest = &rest[1..];
            }
        }
        filled.push_str(rest);
        Ok(home::expand(&filled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let facts = Facts { name: "n", host: "h.example", port: 2222, user: "ada", alias: None, jump: None };
        Tokens::of(facts)
    }

    #[test]
    fn paths_are_expanded() {
        let check = |text: &str, expect: Result<&str, &str>| {
            let path = tokens().path(text).map(|path| path.display().to_string());
            assert_eq!(path.as_deref().map_err(String::as_str), expect, "{text}");
        };
        let home = home::home().display().to_string();
        check("/k/%h_%n_%r_%p_%%x", Ok("/k/h.example_n_ada_2222_%x"));
        check("%d/k", Ok(&format!("{home}/k")));
        check("~/two words", Ok(&format!("{home}/two words")));
        check("/k/${CARGO_PKG_NAME}/$x", Ok("/k/ferry-transport-ssh/$x"));
        check("/k/${FERRY_NO_SUCH}", Err("the variable `FERRY_NO_SUCH` is not set"));
        check("/k/%Z", Err("ferry does not know the token `%Z`"));
        check("/k/%", Err("it ends in `%`"));
    }

    #[test]
    fn only_wanted_tokens_are_filled_in() {
        assert_eq!(tokens().fill("%r@gate-%h:%%%u%", "hr"), "ada@gate-h.example:%%u%");
    }
}
