//! Slurm's accounting for private clusters: slurmdbd over a private MariaDB. It makes them one federation of
//! sorts: `sbatch --clusters` and `squeue -M` find the other clusters' controllers through it.
//!
//! MariaDB listens on a socket in a directory that is ours alone, and syncs nothing: what it holds is worth
//! nothing after the services.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Service, munge::Munge, packages};

/// Maximum time until each daemon answers. slurmdbd makes its tables first.
const PATIENCE: Duration = Duration::from_secs(60);

/// One private database with its daemon.
#[derive(Debug)]
pub(super) struct Accounting {
    dir: PathBuf,
    port: u16,
    user: String,
}

impl Accounting {
    /// Makes the database and the configuration below `dir`; `etc` is where slurmdbd looks.
    pub(super) fn prepare(dir: &Path, port: u16, munge: &Munge, host: &str) -> Result<Accounting> {
        for name in ["etc", "db"] {
            super::make_dir(&dir.join(name))?;
        }
        let user = packages::user("-un").context("`id -un` does not say who we are")?;
        let accounting = Accounting { dir: dir.to_owned(), port, user };
        accounting.install()?;
        fs::write(accounting.first_words(), FIRST_WORDS).context("could not write SQL for MariaDB")?;
        accounting.write(munge, host)?;
        Ok(accounting)
    }

    /// Returns the lines of `slurm.conf` that connect a cluster to this accounting.
    pub(super) fn lines(&self, munge: &Munge) -> String {
        format!(
            "AccountingStorageType=accounting_storage/slurmdbd\n\
             AccountingStorageHost=127.0.0.1\n\
             AccountingStoragePort={}\n\
             AccountingStoragePass={}\n\
             AccountingStorageEnforce=associations,limits,qos\n\
             AccountingStoreFlags=job_comment\n",
            self.port,
            munge.socket().display()
        )
    }

    /// Starts both daemons and waits until they answer.
    pub(super) fn start(&self, dir: &Path, alive: &dyn Fn() -> Result<()>) -> Result<Vec<Service>> {
        let database = self.database()?;
        database.start(dir)?;
        wait("mariadbd", alive, || UnixStream::connect(self.socket()).map(drop))?;
        let socket = format!("MYSQL_UNIX_PORT={}", self.socket().display());
        let words = ["env".to_owned(), socket, packages::path_of("slurmdbd")?, "-D".to_owned()];
        let daemon = Service::new("slurmdbd", words);
        daemon.start(dir)?;
        wait("slurmdbd", alive, || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map(drop))?;
        Ok(vec![database, daemon])
    }

    /// Returns the socket of MariaDB; no key of `slurmdbd.conf` names it.
    fn socket(&self) -> PathBuf {
        self.dir.join("run/mysql.sock")
    }

    fn first_words(&self) -> PathBuf {
        self.dir.join("etc/first.sql")
    }

    /// Words that every start of MariaDB has, also the one that makes its own tables.
    fn storage(&self) -> Vec<String> {
        let data = format!("--datadir={}", self.dir.join("db").display());
        let user = format!("--user={}", self.user);
        let fixed =
            ["--innodb-flush-method=nosync", "--innodb-log-file-size=32M", "--innodb-buffer-pool-size=64M"];
        ["--no-defaults", &user, &data].iter().chain(&fixed).map(|&word| word.to_owned()).collect()
    }

    fn install(&self) -> Result<()> {
        let mut command = Command::new(packages::path_of("mariadb-install-db")?);
        command.args(self.storage()).args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        let output = command.output().context("could not start mariadb-install-db")?;
        if !output.status.success() {
            let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
            bail!("mariadb-install-db failed ({}): {}{}", output.status, out.trim(), err.trim());
        }
        Ok(())
    }

    fn database(&self) -> Result<Service> {
        let mut words = vec![packages::path_of("mariadbd")?];
        words.extend(self.storage());
        words.extend(["--skip-networking", "--innodb-lock-wait-timeout=900"].map(str::to_owned));
        words.push(format!("--socket={}", self.socket().display()));
        words.push(format!("--pid-file={}", self.dir.join("run/mariadbd.pid").display()));
        words.push(format!("--init-file={}", self.first_words().display()));
        Ok(Service::new("mariadbd", words))
    }

    fn write(&self, munge: &Munge, host: &str) -> Result<()> {
        let Accounting { dir, port, user } = self;
        let dir = dir.display();
        let text = format!(
            "AuthType=auth/munge\n\
             AuthInfo=socket={socket}\n\
             DbdHost={host}\n\
             DbdAddr=127.0.0.1\n\
             DbdPort={port}\n\
             SlurmUser={user}\n\
             LogFile={dir}/slurmdbd.log\n\
             PidFile={dir}/run/slurmdbd.pid\n\
             StorageType=accounting_storage/mysql\n\
             StorageHost=localhost\n\
             StorageUser=slurm\n\
             StoragePass=slurm\n\
             StorageLoc=accounting\n",
            socket = munge.socket().display()
        );
        let file = self.dir.join("etc/slurmdbd.conf");
        // It refuses a file that others may read.
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
        made.and_then(|mut made| std::io::Write::write_all(&mut made, text.as_bytes()))
            .with_context(|| format!("could not write {}", file.display()))
    }
}

/// Statements that MariaDB runs at each start before it answers, one a line.
const FIRST_WORDS: &str = "\
CREATE DATABASE IF NOT EXISTS accounting;
CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'slurm';
GRANT ALL ON accounting.* TO 'slurm'@'localhost';
";

fn wait(name: &str, alive: &dyn Fn() -> Result<()>, ask: impl Fn() -> std::io::Result<()>) -> Result<()> {
    let begun = Instant::now();
    while let Err(error) = ask() {
        alive()?;
        if begun.elapsed() > PATIENCE {
            bail!("{name} does not answer: {error}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
