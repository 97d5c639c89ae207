//! The configuration of the user's own OpenSSH for a host. `ssh -G` resolves Include, Match, tokens and defaults,
//! which no other reader of its files gets right. Without `ssh`, a few defaults are used.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ferry_engine_core::transport::{Error, ErrorKind, Result};
use tokio::{process::Command, time::timeout};

use crate::settings::home;

/// Most time that `ssh -G` may take: a `Match exec` may run any command.
const PATIENCE: Duration = Duration::from_secs(10);

/// The resolved configuration of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) hostname: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) port: Option<u16>,
    /// Paths as written, with tokens and variables.
    pub(crate) identities: Vec<String>,
    pub(crate) certificates: Vec<String>,
    pub(crate) identities_only: bool,
    /// The value as written: a path, `none`, or `SSH_AUTH_SOCK`.
    pub(crate) agent: Option<String>,
    pub(crate) known_hosts: Vec<PathBuf>,
    pub(crate) global_known_hosts: Vec<PathBuf>,
    /// The command as written, with tokens.
    pub(crate) known_hosts_command: Option<String>,
    pub(crate) hash_known_hosts: bool,
    pub(crate) host_key_alias: Option<String>,
    pub(crate) strict: Option<String>,
    pub(crate) proxy_jump: Option<String>,
    pub(crate) proxy_command: Option<String>,
}

/// The host and user to resolve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) host: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) port: Option<u16>,
    pub(crate) config_file: Option<&'a Path>,
}

/// Asks `ssh -G`; without `ssh`, returns the defaults of an empty configuration.
///
/// # Errors
/// `Config` with the message of `ssh` about its files; `TimedOut`.
pub(crate) async fn resolve(question: Question<'_>) -> Result<Resolved> {
    let mut command = Command::new("ssh");
    command.args(["-G", "-T"]);
    command.args(question.user.iter().flat_map(|user| ["-l", *user]));
    command.args(question.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
    if let Some(file) = question.config_file {
        command.arg("-F").arg(file);
    }
    command.arg("--").arg(question.host).stdin(Stdio::null()).kill_on_drop(true);
    let failed = |kind| Error::new(kind, "ssh -G").with("host", question.host);
    match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Ok(parse(&String::from_utf8_lossy(&output.stdout))),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace(['\r', '\n'], "; ");
            Err(failed(ErrorKind::Config).message(said).help("fix ~/.ssh/config; `ssh -G HOST` must work"))
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(defaults()),
        Ok(Err(error)) => Err(failed(ErrorKind::Other).source(error).later()),
        Err(_) => Err(failed(ErrorKind::TimedOut)
            .message(format!("`ssh -G` took longer than {PATIENCE:?}"))
            .help("look at `Match exec` in ~/.ssh/config")
            .later()),
    }
}

fn defaults() -> Resolved {
    let ssh = home::home().join(".ssh");
    Resolved {
        identities: ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"]
            .map(|name| ssh.join(name).display().to_string())
            .into(),
        known_hosts: vec![ssh.join("known_hosts"), ssh.join("known_hosts2")],
        global_known_hosts: ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
            .map(PathBuf::from)
            .into(),
        ..Resolved::default()
    }
}

/// Reads the `key value` lines of `ssh -G`.
fn parse(text: &str) -> Resolved {
    let mut resolved = Resolved::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        resolved.set(key, value.trim());
    }
    resolved
}

impl Resolved {
    fn set(&mut self, key: &str, value: &str) {
        let text = || Some(value.to_owned()).filter(|value| value != "none");
        match key {
            "hostname" => self.hostname = text(),
            "user" => self.user = text(),
            "port" => self.port = value.parse().ok(),
            "identityfile" => self.identities.extend(text()),
            "certificatefile" => self.certificates.extend(text()),
            "identitiesonly" => self.identities_only = value == "yes",
            "identityagent" => self.agent = Some(value.to_owned()),
            "userknownhostsfile" => self.known_hosts = files(value, &Path::exists),
            "globalknownhostsfile" => self.global_known_hosts = files(value, &Path::exists),
            "knownhostscommand" => self.known_hosts_command = text(),
            "hashknownhosts" => self.hash_known_hosts = value == "yes",
            "hostkeyalias" => self.host_key_alias = text(),
            "stricthostkeychecking" => self.strict = text(),
            "proxyjump" => self.proxy_jump = text(),
            "proxycommand" => self.proxy_command = text(),
            _ => {}
        }
    }
}

/// Splits paths as OpenSSH prints them: by blanks, without the quotes around those that have blanks in them. So the
/// longest path that exists is taken; where none does, each absolute word begins a path. `none` is no file.
fn files(value: &str, exists: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        let ends: Vec<usize> = rest.match_indices(' ').map(|(at, _)| at).chain([rest.len()]).collect();
        let path = |end: &usize| home::expand(rest[..*end].trim_end());
        let there = ends.iter().rev().find(|end| exists(&path(end)));
        let begins = |end: &&usize| rest[**end..].trim_start().starts_with(['/', '~']);
        let end = *there.or_else(|| ends.iter().find(begins)).unwrap_or(&rest.len());
        paths.push(path(&end));
        rest = rest[end..].trim_start();
    }
    paths.retain(|path| path != Path::new("none"));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_blanks_are_put_together_again() {
        let check = |value: &str, there: &[&str], expect: &[&str]| {
            let exists = |path: &Path| there.iter().any(|one| path == Path::new(one));
            assert_eq!(
                files(value, &exists),
                expect.iter().map(PathBuf::from).collect::<Vec<_>>(),
                "{value}"
            );
        };
        check("/a /b", &[], &["/a", "/b"]);
        check("/a b /c", &[], &["/a b", "/c"]);
        check("/a b /c", &["/a b /c"], &["/a b /c"]);
        check("/a b c", &["/a b"], &["/a b", "c"]);
        check("/a  b", &["/a  b"], &["/a  b"]);
        check("none", &[], &[]);
        check("/dev/null", &["/dev/null"], &["/dev/null"]);
    }

    #[test]
    fn lines_are_read_and_others_passed_over() {
        let text = "host login1\nuser ada\nhostname login1.example.org\nport 2222\nfuture thing\n\
                    identitiesonly yes\nidentityfile /k/one\nidentityfile /k/two words\nproxyjump a@b:3,c\n\
                    userknownhostsfile /k/hosts /k/hosts2\nproxycommand none\nstricthostkeychecking ask\n";
        let expect = Resolved {
            hostname: Some("login1.example.org".into()),
            user: Some("ada".into()),
            port: Some(2222),
            identities: vec!["/k/one".into(), "/k/two words".into()],
            identities_only: true,
            known_hosts: vec!["/k/hosts".into(), "/k/hosts2".into()],
            strict: Some("ask".into()),
            proxy_jump: Some("a@b:3,c".into()),
            ..Resolved::default()
        };
        assert_eq!(parse(text), expect);
    }
}
