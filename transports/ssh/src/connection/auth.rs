//! Logging in: certificates, the agent's keys and key files in OpenSSH's order, each tried once.
//!
//! A refusal is final: neither this module nor its callers try again by themselves, since servers count failures
//! and lock people out. The error lists each attempt and why it failed.

use std::{path::Path, time::SystemTime};

use ferry_engine_core::transport::{Asker, Error, ErrorKind, Result};
use russh::{
    MethodKind, MethodSet,
    client::{AuthResult, Handle},
    keys::{
        Certificate, HashAlg, PrivateKeyWithHashAlg, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
    },
};
use tokio::{net::UnixStream, time::timeout};

use crate::{
    connection::{
        ask,
        client::{Client, Gone},
        keys::{self, CertificateFile, KeyFile, Prompt},
        open::People,
    },
    settings::endpoint::Endpoint,
    trust::host_key::fingerprint,
};

const AUTH: &str = "log in";
/// Most attempts to answer, partial successes included.
const TRIES: usize = 5;

type Agent = AgentClient<UnixStream>;

/// A credential to offer to the server.
enum Credential {
    /// A certificate, signed for with a key file.
    FileCertificate(CertificateFile, KeyFile),
    /// A certificate from a file or the agent, signed for by the agent.
    AgentCertificate(Certificate, String),
    AgentKey(PublicKey, String),
    FileKey(KeyFile),
}

/// Logs in to an endpoint, over a connection whose host key was checked.
///
/// # Errors
/// `Authentication`, with the credentials that were tried; `Unreachable` if the connection is lost meanwhile.
pub(crate) async fn log_in(
    handle: &mut Handle<Client>,
    endpoint: &Endpoint,
    people: People<'_>,
    gone: &Gone,
) -> Result<()> {
    let mut attempt = Attempt::new(handle, endpoint, people.prompt, gone);
    let mut agent = attempt.agent().await;
    let credentials = attempt.credentials(agent.as_mut()).await;
    for credential in credentials {
        if attempt.try_one(credential, agent.as_mut()).await? {
            return Ok(());
        }
    }
    attempt.learn_methods().await;
    match people.asker {
        Some(asker) if attempt.ask(asker).await? => Ok(()),
        None if attempt.wants_a_person() => Err(attempt.needs_login()),
        _ => Err(attempt.refused()),
    }
}

struct Attempt<'a> {
    handle: &'a mut Handle<Client>,
    endpoint: &'a Endpoint,
    prompt: Option<&'a Prompt>,
    gone: &'a Gone,
    /// The attempts and their results.
    tried: Vec<String>,
    /// The methods that the server still accepts.
    remaining: Option<MethodSet>,
    is_partial: bool,
    /// The hash to sign with RSA on this connection; queried once.
    rsa_hash: Option<Option<HashAlg>>,
}

impl<'a> Attempt<'a> {
    fn new(
        handle: &'a mut Handle<Client>,
        endpoint: &'a Endpoint,
        prompt: Option<&'a Prompt>,
        gone: &'a Gone,
    ) -> Self {
        let tried = Vec::new();
        Attempt { handle, endpoint, prompt, gone, tried, remaining: None, is_partial: false, rsa_hash: None }
    }

    async fn agent(&mut self) -> Option<Agent> {
        let path = self.endpoint.identities.agent.clone()?;
        match timeout(self.endpoint.timeout, Agent::connect_uds(&path)).await {
            Ok(Ok(agent)) => Some(agent),
            _ => {
                self.tried.push(format!("agent at {}: it does not answer", path.display()));
                None
            }
        }
    }

    /// Returns all credentials in OpenSSH's order: certificates, configured keys of the agent, its other keys, and
    /// configured keys that exist only in files.
    async fn credentials(&mut self, agent: Option<&mut Agent>) -> Vec<Credential> {
        let files = self.key_files();
        let held = self.held(agent).await;
        let is_held = |key: &PublicKey| held.iter().any(|one| one.public_key().key_data() == key.key_data());
        let mut credentials = self.certificates(&files, is_held);
        let is_listed = |key: &PublicKey| files.iter().any(|file| file.public.key_data() == key.key_data());
        let (listed, others): (Vec<_>, Vec<_>) =
            held.iter().cloned().partition(|identity| is_listed(&identity.public_key()));
        let others = if self.endpoint.identities.only_these { Vec::new() } else { others };
        credentials.extend(listed.into_iter().chain(others).map(|identity| match identity {
            AgentIdentity::PublicKey { key, comment } => Credential::AgentKey(key, comment),
            AgentIdentity::Certificate { certificate, comment } => {
                Credential::AgentCertificate(certificate, comment)
            }
        }));
        credentials.extend(files.into_iter().filter(|file| !is_held(&file.public)).map(Credential::FileKey));
        credentials
    }

    fn key_files(&mut self) -> Vec<KeyFile> {
        let mut files = Vec::new();
        for path in &self.endpoint.identities.keys {
            match keys::read(path) {
                Ok(file) => files.push(file),
                Err(None) if !self.endpoint.identities.are_named => {}
                Err(None) => self.tried.push(format!("{}: no such file", path.display())),
                Err(Some(fault)) => self.tried.push(format!("{}: {fault}", path.display())),
            }
        }
        files
    }

    async fn held(&mut self, agent: Option<&mut Agent>) -> Vec<AgentIdentity> {
        let Some(agent) = agent else { return Vec::new() };
        match timeout(self.endpoint.timeout, agent.request_identities()).await {
            Ok(Ok(held)) => held,
            _ => {
                self.tried.push("agent: it does not list its keys".into());
                Vec::new()
            }
        }
    }

    /// Returns the certificates of files, each with a key that can sign for it.
    fn certificates(&self, files: &[KeyFile], is_held: impl Fn(&PublicKey) -> bool) -> Vec<Credential> {
        let named = self.endpoint.identities.certificates.iter().cloned();
        let beside = files.iter().map(|file| keys::certificate_of(&file.path));
        let mut credentials = Vec::new();
        for found in named.chain(beside).filter_map(|path| keys::certificate(&path)) {
            let key = PublicKey::new(found.certificate.public_key().clone(), "");
            let signer = files.iter().find(|file| file.public.key_data() == key.key_data());
            if is_held(&key) {
                let name = found.path.display().to_string();
                credentials.push(Credential::AgentCertificate(found.certificate, name));
            } else if let Some(signer) = signer {
                credentials.push(Credential::FileCertificate(found, signer.clone()));
            }
        }
        credentials
    }

    /// Offers one credential; returns true if the server accepted the log-in.
    async fn try_one(&mut self, credential: Credential, agent: Option<&mut Agent>) -> Result<bool> {
        match (credential, agent) {
            (Credential::FileKey(file), _) => self.try_file(&file).await,
            (Credential::FileCertificate(certificate, file), _) => {
                self.try_file_certificate(&certificate, &file).await
            }
            (Credential::AgentKey(key, name), Some(agent)) => self.try_agent_key(key, &name, agent).await,
            (Credential::AgentCertificate(certificate, name), Some(agent)) => {
                self.try_agent_certificate(certificate, &name, agent).await
            }
            (_, None) => Ok(false),
        }
    }

    async fn try_file(&mut self, file: &KeyFile) -> Result<bool> {
        let what = file.path.display().to_string();
        let key = match file.open(self.prompt).await {
            Ok(key) => key,
            Err(fault) => return Ok(self.note(&what, &fault)),
        };
        let hash = self.hash(&file.public).await?;
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let shown = self.handle.authenticate_publickey(&self.endpoint.user, key);
        let shown = timeout(self.endpoint.timeout, shown).await;
        self.judge(&what, shown.map_err(|_| Fault::Silent)?)
    }

    async fn try_file_certificate(&mut self, certificate: &CertificateFile, file: &KeyFile) -> Result<bool> {
        let what = certificate.path.display().to_string();
        if let Some(fault) = keys::fault(&certificate.certificate, SystemTime::now()) {
            return Ok(self.note(&what, &fault));
        }
        let key = match file.open(self.prompt).await {
            Ok(key) => key,
            Err(fault) => return Ok(self.note(&what, &format!("{}: {fault}", file.path.display()))),
        };
        let certificate = certificate.certificate.clone();
        let shown = self.handle.authenticate_openssh_cert(&self.endpoint.user, key, certificate);
        let shown = timeout(self.endpoint.timeout, shown).await;
        self.judge(&what, shown.map_err(|_| Fault::Silent)?)
    }

    async fn try_agent_key(&mut self, key: PublicKey, name: &str, agent: &mut Agent) -> Result<bool> {
        let what = format!("{name} {} of the agent", fingerprint(&key));
        let hash = self.hash(&key).await?;
        let shown = self.handle.authenticate_publickey_with(&self.endpoint.user, key, hash, agent);
        match timeout(self.endpoint.timeout, shown).await.map_err(|_| Fault::Silent)? {
            Ok(result) => self.judge(&what, Ok(result)),
            Err(error) => Ok(self.note(&what, &format!("the agent does not sign: {error}"))),
        }
    }

    async fn try_agent_certificate(
        &mut self,
        certificate: Certificate,
        name: &str,
        agent: &mut Agent,
    ) -> Result<bool> {
        let what = format!("{name} (certificate, agent)");
        if let Some(fault) = keys::fault(&certificate, SystemTime::now()) {
            return Ok(self.note(&what, &fault));
        }
        let hash = self.hash(&PublicKey::new(certificate.public_key().clone(), "")).await?;
        let user = &self.endpoint.user;
        let shown = self.handle.authenticate_certificate_with(user, certificate, hash, agent);
        match timeout(self.endpoint.timeout, shown).await.map_err(|_| Fault::Silent)? {
            Ok(result) => self.judge(&what, Ok(result)),
            Err(error) => Ok(self.note(&what, &format!("the agent does not sign: {error}"))),
        }
    }

    /// Returns the hash to sign with for this key: RSA needs one that the server supports.
    async fn hash(&mut self, key: &PublicKey) -> Result<Option<HashAlg>> {
        if !key.algorithm().is_rsa() {
            return Ok(None);
        }
        if self.rsa_hash.is_none() {
            let best = self.handle.best_supported_rsa_hash().await.map_err(|error| self.lost(&error))?;
            self.rsa_hash = Some(best.unwrap_or(Some(HashAlg::Sha512)));
        }
        Ok(self.rsa_hash.flatten())
    }

    fn judge(&mut self, what: &str, result: Result<AuthResult, russh::Error>) -> Result<bool> {
        match result {
            Ok(AuthResult::Success) => {
                tracing::debug!(host = %self.endpoint.name, user = %self.endpoint.user, with = what, "logged in");
                Ok(true)
            }
            // russh reports the end of the connection as a refusal that leaves no method to try.
            Ok(AuthResult::Failure { remaining_methods, .. })
                if remaining_methods.is_empty()
                    && (self.handle.is_closed() || self.gone.reason().is_some()) =>
            {
                self.note(what, "the server closed the connection");
                Err(self.lost(&russh::Error::Disconnect))
            }
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.remaining = Some(remaining_methods);
                self.is_partial |= partial_success;
                let came = if partial_success { "accepted, but the server wants more" } else { "refused" };
                Ok(self.note(what, came))
            }
            Err(error) => {
                self.note(what, "the server closed the connection");
                Err(self.lost(&error))
            }
        }
    }

    fn note(&mut self, what: &str, came: &str) -> bool {
        self.tried.push(format!("{what}: {came}"));
        false
    }

    /// Returns the error for a connection that ended during the log-in: servers hang up after too many wrong keys.
    fn lost(&self, error: &russh::Error) -> Error {
        match self.gone.reason() {
            Some(reason) if reason.contains("authentication failures") => self
                .error(&reason)
                .help("name the right key with `key_filename`, so that no others are tried"),
            Some(reason) => self.hung_up(&reason),
            None => self.hung_up(&error.to_string()),
        }
    }

    fn hung_up(&self, reason: &str) -> Error {
        Error::new(ErrorKind::Unreachable, AUTH)
            .message(format!("the connection ended during the log-in: {reason}"))
            .with("host", self.endpoint.address())
            .later()
    }

    /// Asks the server which methods it would accept, if no credential was there to show.
    async fn learn_methods(&mut self) {
        if self.remaining.is_none() {
            let asked = self.handle.authenticate_none(&self.endpoint.user);
            if let Ok(Ok(AuthResult::Failure { remaining_methods, .. })) =
                timeout(self.endpoint.timeout, asked).await
            {
                self.remaining = Some(remaining_methods);
            }
        }
    }

    /// Returns whether only a person can go on: the server wants more than a key, or takes none.
    fn wants_a_person(&self) -> bool {
        let Some(methods) = &self.remaining else { return false };
        ask::is_possible(methods) && (self.is_partial || !methods.contains(&MethodKind::PublicKey))
    }

    /// Lets a person answer until the server is content, or refuses too often; returns true if it is.
    async fn ask(&mut self, asker: &dyn Asker) -> Result<bool> {
        for _ in 0..TRIES {
            let Some(methods) = self.remaining.clone().filter(ask::is_possible) else { break };
            match ask::ask(self.handle, self.endpoint, &methods, asker).await {
                Ok(None) => {
                    self.note("questions", "no answer was given");
                    break;
                }
                Ok(Some(result)) => {
                    if self.judge("answers", Ok(result))? {
                        return Ok(true);
                    }
                }
                Err(error) => return self.judge("answers", Err(error)),
            }
        }
        Ok(false)
    }

    fn needs_login(&self) -> Error {
        Error::new(ErrorKind::NeedsLogin, AUTH)
            .message("needs login: the server asks a person")
            .with("host", self.endpoint.address())
            .with("user", &self.endpoint.user)
    }

    fn refused(self) -> Error {
        let accepted: Vec<&str> =
            self.remaining.iter().flat_map(|set| set.iter()).map(<&str>::from).collect();
        let error = self.error("no credential was accepted").with("server accepts", accepted.join(", "));
        error.help(self.help())
    }

    fn error(&self, message: &str) -> Error {
        let tried =
            if self.tried.is_empty() { "nothing: no key is there".into() } else { self.tried.join("; ") };
        Error::new(ErrorKind::Authentication, AUTH)
            .message(message)
            .with("host", self.endpoint.address())
            .with("user", &self.endpoint.user)
            .with("tried", tried)
    }

    fn help(&self) -> String {
        let Endpoint { user, host, port, identities, .. } = self.endpoint;
        let takes_keys = self.remaining.as_ref().is_none_or(|set| set.contains(&MethodKind::PublicKey));
        if self.tried.iter().any(|tried| tried.contains("passphrase")) {
            return "run `ssh-add` with the key, so that an agent holds it".into();
        }
        if self.tried.iter().any(|tried| tried.contains("certificate expired")) {
            return "get a new certificate from the site, then try again".into();
        }
        if self.is_partial || !takes_keys {
            return "the server asks a person: `ferry computer login` relays its questions".into();
        }
        let key =
            identities.keys.iter().find(|key| key.exists()).map_or(Path::new("~/.ssh/id_ed25519"), |k| k);
        format!("install the key there: ssh-copy-id -i {} -p {port} {user}@{host}", key.display())
    }
}

/// The error for a server that does not answer.
enum Fault {
    Silent,
}

impl From<Fault> for Error {
    fn from(_: Fault) -> Self {
        Error::new(ErrorKind::Unreachable, AUTH).message("the server does not answer").later()
    }
}
