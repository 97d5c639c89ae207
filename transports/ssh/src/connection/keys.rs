//! Private keys and certificates in files, and the passphrases that open them.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use russh::keys::{self, Certificate, PrivateKey, PublicKey, ssh_key};

/// A function that asks a person for a secret; `None`: no person is there. Called on a thread that may block.
pub type Prompt = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Number of attempts to enter a passphrase.
const TRIES: usize = 3;

/// A key file of which at least the public half is known. Where only that half is there, an agent has to hold the key.
#[derive(Clone)]
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
    pub(crate) public: PublicKey,
    private: Private,
}

/// The private half of a key file.
#[derive(Clone)]
enum Private {
    Open(Arc<PrivateKey>),
    /// A passphrase protects it.
    Protected,
    /// The file has only the public half.
    Elsewhere,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A certificate in a file.
#[derive(Debug, Clone)]
pub(crate) struct CertificateFile {
    pub(crate) path: PathBuf,
    pub(crate) certificate: Certificate,
}

/// Reads a key file. The public half of a protected one comes from the `.pub` beside it, or from the file.
///
/// # Errors
/// A sentence about what is wrong with the file; `None` if it is missing.
pub(crate) fn read(path: &Path) -> Result<KeyFile, Option<String>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return public_half(&with_suffix(path, ".pub")).ok_or(None);
        }
        Err(error) => return Err(Some(error.to_string())),
    };
    if let Some(public) = public_half(path) {
        return Ok(public);
    }
    let file = decode(path, &text).map_err(Some)?;
    match exposed(path).map_err(|error| Some(error.to_string()))? {
        Some(fault) => Err(Some(fault)),
        None => Ok(file),
    }
}

/// Reads a file that holds a public key alone, which chooses one of the agent's keys.
fn public_half(path: &Path) -> Option<KeyFile> {
    let public = keys::load_public_key(path).ok()?;
    Some(KeyFile { path: path.to_owned(), public, private: Private::Elsewhere })
}

fn decode(path: &Path, text: &str) -> Result<KeyFile, String> {
    match keys::decode_secret_key(text, None) {
        Ok(private) => Ok(KeyFile {
            path: path.to_owned(),
            public: private.public_key().clone(),
            private: Private::Open(Arc::new(private)),
        }),
        Err(error) => {
            let protected = || PrivateKey::from_openssh(text).ok().filter(PrivateKey::is_encrypted);
            let beside = || keys::load_public_key(with_suffix(path, ".pub")).ok();
            let public = match protected() {
                Some(key) => Some(key.public_key().clone()),
                None if matches!(error, keys::Error::KeyIsEncrypted) => beside(),
                None => return Err(format!("no private key that ferry can read: {error}")),
            };
            let public = public.ok_or_else(|| "protected, and no `.pub` file is beside it".to_owned())?;
            Ok(KeyFile { path: path.to_owned(), public, private: Private::Protected })
        }
    }
}

/// Returns the reason why a private key is refused, if others than its owner may read or write it. As in OpenSSH,
/// only the user's own files are judged.
fn exposed(path: &Path) -> io::Result<Option<String>> {
    let metadata = fs::metadata(path)?;
    let is_own = metadata.uid() == rustix::process::getuid().as_raw();
    let mode = metadata.mode() & 0o777;
    Ok((is_own && mode & 0o077 != 0)
        .then(|| format!("other users may open this private key (mode {mode:04o}): run `chmod 600` on it")))
}

impl KeyFile {
    /// Returns the private half; asks a person for the passphrase where one is needed.
    ///
    /// # Errors
    /// A sentence that says why it can't be opened.
    pub(crate) async fn open(&self, prompt: Option<&Prompt>) -> Result<Arc<PrivateKey>, String> {
        match &self.private {
            Private::Open(private) => return Ok(private.clone()),
            Private::Elsewhere => return Err("it is only the public half, and no agent holds the key".into()),
            Private::Protected => {}
        }
        let prompt = prompt.ok_or("it needs a passphrase, and there is no terminal to ask for it")?.clone();
        let path = self.path.clone();
        let asked = tokio::task::spawn_blocking(move || unlock(&path, &prompt)).await;
        asked.map_err(|_| "asking for its passphrase failed".to_owned())?
    }
}

fn unlock(path: &Path, prompt: &Prompt) -> Result<Arc<PrivateKey>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    for _ in 0..TRIES {
        let question = format!("Passphrase for {}: ", path.display());
        let secret =
            prompt(&question).ok_or("it needs a passphrase, and there is no terminal to ask for it")?;
        if let Ok(private) = keys::decode_secret_key(&text, Some(&secret)) {
            return Ok(Arc::new(private));
        }
    }
    Err("the passphrase was wrong".into())
}

/// Reads a certificate; `None` if it is missing or unreadable.
pub(crate) fn certificate(path: &Path) -> Option<CertificateFile> {
    let certificate = keys::load_openssh_certificate(path).ok()?;
    Some(CertificateFile { path: path.to_owned(), certificate })
}

/// Returns the path where OpenSSH looks for the certificate of a key.
pub(crate) fn certificate_of(key: &Path) -> PathBuf {
    with_suffix(key, "-cert.pub")
}

/// Returns the reason why a certificate can't be used now, if any.
pub(crate) fn fault(certificate: &Certificate, now: SystemTime) -> Option<String> {
    let time = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    if certificate.cert_type() != ssh_key::certificate::CertType::User {
        return Some("the certificate is not for users".into());
    }
    if let Some(end) = time(certificate.valid_before())
        && now >= end
    {
        return Some(format!("the certificate expired {} ago", span(now, end)));
    }
    if let Some(begin) = time(certificate.valid_after())
        && now < begin
    {
        return Some(format!("the certificate is valid only in {}", span(begin, now)));
    }
    None
}

fn span(later: SystemTime, earlier: SystemTime) -> String {
    let minutes = later.duration_since(earlier).unwrap_or_default().as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
