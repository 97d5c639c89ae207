//! Verification of a server: its key or certificate against the known hosts.
//!
//! The check is strict unless set otherwise, and a changed key is always refused. A refusal gives the command that
//! would make the key known, for a person who has compared the fingerprint.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ferry_engine_core::transport::{Error, ErrorKind, Result, quote, quote_path};
use russh::keys::{
    Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate, ssh_key::certificate::CertType,
};
use rustix::fs::{FlockOperation, flock};

use crate::{
    settings::{
        config::KeyPolicy,
        endpoint::{Endpoint, Trust, Way},
        tokens::Tokens,
    },
    trust::{
        command::{self, Reason},
        known_hosts::{self, Line, Verdict},
        random,
    },
};

const HOST_KEY: &str = "host key";

/// The known keys of one host.
#[derive(Debug)]
pub(crate) struct HostKeys {
    trust: Trust,
    lines: Vec<Line>,
    /// The name to look up, with the port.
    name: String,
    /// The name without the port, as in certificates.
    host: String,
    port: u16,
    is_direct: bool,
    /// The tokens of a command, and the most time that it may take.
    tokens: Tokens,
    patience: Duration,
}

impl HostKeys {
    /// Reads the known hosts for an endpoint.
    ///
    /// # Errors
    /// `Config` if a command that prints some fails.
    pub(crate) async fn of(endpoint: &Endpoint) -> Result<Self> {
        let trust = endpoint.trust.clone();
        let files = trust.files.iter().chain(&trust.global_files).map(PathBuf::as_path);
        let (name, host) = match &trust.alias {
            Some(alias) => (alias.to_ascii_lowercase(), alias.clone()),
            None => (known_hosts::name(&endpoint.host, endpoint.port), endpoint.host.to_ascii_lowercase()),
        };
        let mut keys = HostKeys {
            lines: known_hosts::read(files),
            name,
            host,
            port: endpoint.port,
            is_direct: endpoint.way == Way::Direct,
            tokens: endpoint.tokens.clone(),
            patience: endpoint.timeout,
            trust,
        };
        // Those for the order of types count in the check too: a line that revokes a key is never lost.
        keys.lines.extend(keys.told(Reason::Order).await?);
        Ok(keys)
    }

    /// Returns the lines of the command, if there is one.
    async fn told(&self, reason: Reason<'_>) -> Result<Vec<Line>> {
        match &self.trust.command {
            Some(command) => command::lines(command, &self.tokens, &self.name, reason, self.patience).await,
            None => Ok(Vec::new()),
        }
    }

    /// Returns all types of keys, first those that the host is known by.
    pub(crate) fn preferred(&self, all: &[Algorithm]) -> Vec<Algorithm> {
        let known: Vec<Algorithm> = known_hosts::types(&self.lines, &self.name).collect();
        let is_known = |algorithm: &&Algorithm| known.iter().any(|known| is_same_type(known, algorithm));
        let (mut first, rest): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|one| is_known(&one));
        first.extend(rest);
        first
    }

    /// Returns whether to ask for certificates.
    pub(crate) fn has_authorities(&self) -> bool {
        known_hosts::authorities(&self.lines, &self.name).next().is_some()
    }

    /// Checks the key or certificate that the server shows; may store a new key.
    ///
    /// # Errors
    /// `Authentication`, with the next step; `Config` if a command that prints known hosts fails.
    pub(crate) async fn check(&mut self, shown: &PublicKeyOrCertificate) -> Result<()> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            PublicKeyOrCertificate::Certificate(certificate) => {
                PublicKey::new(certificate.public_key().clone(), "")
            }
        };
        let told = self.told(Reason::Check(&key)).await?;
        self.lines.extend(told);
        match shown {
            PublicKeyOrCertificate::PublicKey { .. } => self.check_key(&key),
            PublicKeyOrCertificate::Certificate(certificate) => self.check_certificate(certificate),
        }
    }

    fn check_key(&self, key: &PublicKey) -> Result<()> {
        match known_hosts::check(&self.lines, &self.name, key) {
            Verdict::Known => Ok(()),
            // As in OpenSSH, a host on another port may show the key that its bare name has.
            Verdict::Unknown if known_hosts::check(&self.lines, &self.host, key) == Verdict::Known => Ok(()),
            Verdict::Unknown => self.unknown(key),
            Verdict::Changed(place) => Err(self.changed(key, &place)),
            Verdict::Revoked(place) => Err(self.revoked(key, &place)),
        }
    }

    fn unknown(&self, key: &PublicKey) -> Result<()> {
        if self.trust.policy == KeyPolicy::Strict {
            let help =
                format!("compare the fingerprint with what the site publishes, then: {}", self.accept());
            return Err(self.refuse("the host key is not known", key).help(help));
        }
        // As in OpenSSH, the log-in goes on: the policy accepts a new key whether or not it can be kept.
        match self.remember(key) {
            Ok(()) => {
                tracing::info!(host = %self.name, fingerprint = %fingerprint(key), "saved a new host key");
            }
            Err(error) => {
                let file = self.file().map(|file| file.display().to_string());
                tracing::warn!(host = %self.name, fingerprint = %fingerprint(key), file, %error,
                    "the new host key can't be saved, and is accepted for this connection only");
            }
        }
        Ok(())
    }

    fn changed(&self, key: &PublicKey, place: &str) -> Error {
        let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
        let forget = format!("ssh-keygen -R {} -f {}", quote(&self.name), quote(file));
        self.refuse(
            "the host key has changed: someone may be intercepting the connection, or the host was reinstalled",
            key,
        )
        .with("known", place)
        .help(format!("ask the site; only if the new fingerprint is right: {forget} && {}", self.accept()))
    }

    fn revoked(&self, key: &PublicKey, place: &str) -> Error {
        self.refuse("the host key is revoked", key)
            .with("known", place)
            .help("do not log in there; ask the site for the reason")
    }

    fn refuse(&self, message: &str, key: &PublicKey) -> Error {
        Error::new(ErrorKind::Authentication, HOST_KEY)
            .message(message)
            .with("host", &self.name)
            .with("shown", format!("{} {}", key.algorithm(), fingerprint(key)))
    }

    /// Returns the command that makes the key known.
    fn accept(&self) -> String {
        let path = self.file().unwrap_or(Path::new("~/.ssh/known_hosts"));
        let file = quote_path(path);
        if self.is_direct && self.trust.alias.is_none() {
            format!("ssh-keyscan -p {} {} >> {file}", self.port, quote(&self.host))
        } else {
            // `ssh-keyscan` can't go through another host.
            // The inner quotes are for `ssh` itself, which splits the value at blanks.
            let option = quote(&format!("UserKnownHostsFile=\"{}\"", path.display()));
            format!("ssh -o {option} -p {} {} true", self.port, quote(&self.host))
        }
    }

    fn file(&self) -> Option<&Path> {
        self.trust.files.first().map(PathBuf::as_path)
    }

    /// Appends the key in one locked write, so that concurrent writers do not interfere.
    fn remember(&self, key: &PublicKey) -> io::Result<()> {
        let file = self.file().ok_or_else(|| io::Error::other("no known_hosts file is configured"))?;
        let salt = self.trust.hash.then(random::salt);
        let line = known_hosts::line(&self.name, key, salt)
            .ok_or_else(|| io::Error::other("the key can't be written in OpenSSH's format"))?;
        if let Some(parent) = file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
        flock(&file, FlockOperation::LockExclusive)?;
        let start = if ends_a_line(&mut file)? { "" } else { "\n" };
        file.write_all(format!("{start}{line}\n").as_bytes())?;
        file.sync_all()
    }

    fn check_certificate(&self, certificate: &Certificate) -> Result<()> {
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        let own = PublicKey::new(certificate.public_key().clone(), "");
        for key in [&authority, &own] {
            if let Some(place) = known_hosts::revoked(&self.lines, &self.name, key) {
                return Err(self.revoked(key, &place));
            }
        }
        let trusted: Vec<_> = known_hosts::authorities(&self.lines, &self.name)
            .map(|key| key.key_data().fingerprint(HashAlg::Sha256))
            .collect();
        match self.fault(certificate, SystemTime::now()) {
            Some(fault) => Err(self.refuse(fault, &authority).help("ask the site to renew its certificate")),
            None if certificate.validate(&trusted).is_ok() => Ok(()),
            None => Err(self
                .refuse("the host's certificate is from an authority that is not known", &authority)
                .help("add the site's `@cert-authority` line to your known_hosts")),
        }
    }

    /// Returns what is wrong with a certificate, independent of its signer.
    fn fault(&self, certificate: &Certificate, now: SystemTime) -> Option<&'static str> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let is_for_us = |principal: &String| known_hosts::matches(principal, &self.host);
        if certificate.cert_type() != CertType::Host {
            Some("the host shows a certificate that is not for hosts")
        } else if !certificate.valid_principals().iter().any(is_for_us) {
            Some("the host's certificate is for other hosts")
        } else if now < certificate.valid_after() || now >= certificate.valid_before() {
            Some("the host's certificate has expired, or is not valid yet")
        } else if !certificate.critical_options().is_empty() {
            Some("the host's certificate has critical options, of which OpenSSH knows none")
        } else {
            None
        }
    }
}

/// Returns the fingerprint as OpenSSH shows it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Returns whether two algorithms use the same type of key: RSA keys have one type and several ways to sign.
fn is_same_type(known: &Algorithm, algorithm: &Algorithm) -> bool {
    known == algorithm || (known.clone().is_rsa() && algorithm.clone().is_rsa())
}

fn ends_a_line(file: &mut fs::File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
