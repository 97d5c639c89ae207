//! A private munged, by which Slurm's daemons and clients trust one another: its own key and socket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Service, packages};

/// Maximum time until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// One private munged.
#[derive(Debug)]
pub(super) struct Munge {
    dir: PathBuf,
}

impl Munge {
    /// Makes key and directories below `dir`, whose `run` holds the socket.
    pub(super) fn prepare(dir: &Path) -> Result<Munge> {
        super::make_dir(&dir.join("munge"))?;
        // Munge wants its socket where everybody may come.
        super::make_dir(&dir.join("run"))?;
        fs::set_permissions(dir.join("run"), fs::Permissions::from_mode(0o755))?;
        make_key(&dir.join("munge/key"))?;
        Ok(Munge { dir: dir.to_owned() })
    }

    /// Returns the path of its socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.dir.join("run/munge.sock")
    }

    /// Returns the daemon.
    pub(super) fn service(&self) -> Result<Service> {
        let mut words = vec![packages::path_of("munged")?, "--foreground".to_owned(), "--force".to_owned()];
        let files = [
            ("socket", "run/munge.sock"),
            ("key-file", "munge/key"),
            ("log-file", "munge/log"),
            ("pid-file", "munge/pid"),
            ("seed-file", "munge/seed"),
        ];
        words.extend(files.map(|(option, file)| format!("--{option}={}", self.dir.join(file).display())));
        Ok(Service::new("munged", words))
    }

    /// Waits until it answers: without it the others die at once.
    pub(super) fn wait(&self, alive: &dyn Fn() -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        let socket = self.socket();
        while let Err(error) = UnixStream::connect(&socket) {
            alive()?;
            if begun.elapsed() > PATIENCE {
                bail!("munged does not answer at {}: {error}", socket.display());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn make_key(file: &Path) -> Result<()> {
    let mut bytes = [0; 128];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes).context("could not read random bytes")?;
    let mut key = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    key.write_all(&bytes).with_context(|| format!("could not write {}", file.display()))
}
